/* Renders an entry's context. Guarantees that nothing empty is in the result and that no value gets
 * into a warning or an error. */
#include "aurabridge/route.h"

#include "template.h"
#include "value.h"

#include <stdbool.h>
#include <string.h>

#define TEXT_MAX 65536 /* bytes of one rendered text */

struct rendering {
    const struct association *association;
    const struct attribute_source *source;
    struct buffer *warning;
    struct error *err;
};

/* Whether the name stands in the list already, as a whole. */
static bool is_named(const struct buffer *warning, const char *name)
{
    size_t length = strlen(name);
    const char *at = warning->length > 0 ? warning->data : "";
    while ((at = strstr(at, name)) != NULL) {
        bool starts = at == warning->data || at[-1] == ' ';
        if (starts && (at[length] == ',' || at[length] == '\0'))
            return true;
        at += length;
    }
    return false;
}

/* Names the attribute once, by its keyword where it has one. A name that does not fit is left out:
 * a study must not wait for the sake of a warning. */
static void warn(struct rendering *rendering, const struct template_piece *piece)
{
    enum attribute attribute = ATTRIBUTE_COUNT;
    const char *name = piece->name;
    if (attribute_from_tag(&attribute, piece->tag) == 0)
        name = attribute_keyword(attribute);
    if (!rendering->warning || is_named(rendering->warning, name))
        return;
    const char *separator = rendering->warning->length > 0 ? ", " : "";
    (void)buffer_append_format(rendering->warning, "%s%s", separator, name);
}

static void apply(char value[ATTRIBUTE_VALUE_SIZE], const struct template_piece *piece)
{
    char raw[ATTRIBUTE_VALUE_SIZE];
    if (piece->part != TEMPLATE_WHOLE) {
        memcpy(raw, value, sizeof raw);
        value_person_name(value, raw, piece->part);
    }
    if (piece->filter == TEMPLATE_PLAIN)
        return;
    memcpy(raw, value, sizeof raw);
    if (piece->filter == TEMPLATE_DATE)
        value_date(value, raw);
    else
        value_sex(value, raw);
}

static int read_value(struct rendering *rendering, const struct template_piece *piece,
                      char value[ATTRIBUTE_VALUE_SIZE])
{
    const struct attribute_source *source = rendering->source;
    int differs = 0;
    memset(value, 0, ATTRIBUTE_VALUE_SIZE);
    if (piece->kind == TEMPLATE_CALLING_AE)
        memcpy(value, rendering->association->calling_ae_title, AE_TITLE_SIZE);
    else if (piece->kind == TEMPLATE_CALLED_AE)
        memcpy(value, rendering->association->called_ae_title, AE_TITLE_SIZE);
    else if (source->first(source->context, piece->tag, value, &differs, rendering->err) != 0)
        return error_wrap(rendering->err, "reading %s", piece->name);
    value[ATTRIBUTE_VALUE_MAX] = '\0';
    apply(value, piece);
    if (differs)
        warn(rendering, piece);
    return 0;
}

/* The length of `text` without spaces at its end; moves it past those at its start. */
static size_t trim(char **text, size_t length)
{
    while (length > 0 && **text == ' ') {
        (*text)++;
        length--;
    }
    while (length > 0 && (*text)[length - 1] == ' ')
        length--;
    return length;
}

/* Appends the pieces; `*filled` says whether any placeholder gave something, `*fixed` that there
 * is none. */
static int append_pieces(struct rendering *rendering, const char *text, struct buffer *out,
                         bool *filled, bool *fixed)
{
    struct template_piece piece;
    int more = 0;
    *filled = false;
    *fixed = true;
    while ((more = template_next(&piece, &text, rendering->err)) == 1) {
        char value[ATTRIBUTE_VALUE_SIZE] = "";
        size_t length = 0;
        if (piece.kind != TEMPLATE_LITERAL) {
            *fixed = false;
            if (read_value(rendering, &piece, value) != 0)
                return -1;
            length = strlen(value);
            *filled = *filled || length > 0 || piece.length > 0;
        }
        bool own = length > 0;
        if (buffer_append(out, own ? value : piece.text, own ? length : piece.length) != 0)
            return error_set(rendering->err, "a text is longer than %d bytes", TEXT_MAX);
    }
    return more;
}

/* `*out` is null when the text comes out empty. */
static int render_text(struct rendering *rendering, const char *text, struct json **out)
{
    struct buffer rendered;
    bool filled = false;
    bool fixed = false;
    buffer_init(&rendered, TEXT_MAX);
    int result = append_pieces(rendering, text, &rendered, &filled, &fixed);
    if (result == 0 && (filled || fixed) && rendered.length > 0) {
        char *trimmed = rendered.data;
        size_t length = fixed ? rendered.length : trim(&trimmed, rendered.length);
        trimmed[length] = '\0';
        if (length > 0) {
            *out = json_new_string(trimmed);
            if (!*out)
                result = error_set(rendering->err, "memory is short");
        }
    }
    buffer_free(&rendered);
    return result;
}

static int render(struct rendering *rendering, const struct json *template, struct json **out);

/* Recursion is bounded by the depth of the configuration file. */
static int render_members(struct rendering *rendering, const struct json *template,
                          struct json **out)
{
    bool is_array = json_is_array(template);
    struct json *all = is_array ? json_new_array() : json_new_object();
    for (const struct json *at = json_first(template); all && at; at = json_next(at)) {
        struct json *value = NULL;
        if (render(rendering, at, &value) != 0) {
            json_free(all);
            return -1;
        }
        if (!value)
            continue;
        if ((is_array ? json_append(all, value) : json_set(all, json_key(at), value)) != 0) {
            json_free(all);
            all = NULL;
        }
    }
    if (!all)
        return error_set(rendering->err, "memory is short");
    if (json_size(all) > 0)
        *out = all;
    else
        json_free(all);
    return 0;
}

/* `*out` stays null when nothing is left of the value. */
static int render(struct rendering *rendering, const struct json *template, struct json **out)
{
    if (json_is_object(template) || json_is_array(template))
        return render_members(rendering, template, out);
    if (json_is_string(template))
        return render_text(rendering, json_text(template), out);
    if (json_is_null(template))
        return 0;
    *out = json_copy(template);
    return *out ? 0 : error_set(rendering->err, "memory is short");
}

int route_context(struct json **out, const struct config_map_entry *entry,
                  const struct association *association, const struct attribute_source *source,
                  struct buffer *warning, struct error *err)
{
    struct rendering rendering = {
        .association = association, .source = source, .warning = warning, .err = err};
    *out = NULL;
    if (entry->context && render(&rendering, entry->context, out) != 0)
        return error_wrap(err, "rendering the context of %s:%u", entry->file, entry->line);
    if (!*out)
        *out = json_new_object();
    return *out ? 0 : error_set(err, "memory is short");
}

int route_patient_id(struct json **out, const struct config_map_entry *entry,
                     const struct association *association, const struct attribute_source *source,
                     struct buffer *warning, struct error *err)
{
    struct rendering rendering = {
        .association = association, .source = source, .warning = warning, .err = err};
    *out = NULL;
    if (entry->patient_id && render_text(&rendering, entry->patient_id, out) != 0)
        return error_wrap(err, "rendering the patient_id of %s:%u", entry->file, entry->line);
    return 0;
}
