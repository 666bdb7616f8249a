/* Reads templates piece by piece. Guarantees that a text that passes template_check renders without
 * a syntax error. */
#include "template.h"

#include "aurabridge/route.h"

#include <string.h>

/* What stands between the braces, cut for messages. */
#define SHOWN 80
static int shown_length(size_t length)
{
    return (int)(length < SHOWN ? length : SHOWN);
}

struct ending {
    const char *text;
    int value;
};

/* Takes one of the endings off the name's end, after `mark`. Returns 0, or -1 when there is a mark
 * with something else behind it. */
static int take_ending(int *out, char *name, char mark, const struct ending *endings, size_t count)
{
    char *found = strrchr(name, mark);
    if (!found)
        return 0;
    for (size_t i = 0; i < count; i++) {
        if (strcmp(found + 1, endings[i].text) == 0) {
            *out = endings[i].value;
            *found = '\0';
            return 0;
        }
    }
    return -1;
}

static int read_name(struct template_piece *piece, const char *inside, size_t length,
                     struct error *err)
{
    static const struct ending filters[] = {{"date", TEMPLATE_DATE}, {"sex", TEMPLATE_SEX}};
    static const struct ending parts[] = {{"family", TEMPLATE_FAMILY}, {"given", TEMPLATE_GIVEN}};
    int filter = TEMPLATE_PLAIN;
    int part = TEMPLATE_WHOLE;
    int shown = shown_length(length);
    if (length == 0 || length >= sizeof piece->name)
        return error_set(err, "{%.*s} is no attribute; write e.g. {PatientID}, or {{ for a brace",
                         shown, inside);
    memcpy(piece->name, inside, length);
    piece->name[length] = '\0';
    if (take_ending(&filter, piece->name, ':', filters, 2) != 0)
        return error_set(err, "{%.*s}: only :date and :sex may follow a name", shown, inside);
    if (take_ending(&part, piece->name, '.', parts, 2) != 0)
        return error_set(err, "{%.*s}: only .family and .given may follow a name", shown, inside);
    piece->filter = (enum template_filter)filter;
    piece->part = (enum template_part)part;
    if (strcmp(piece->name, "calling_ae") == 0)
        piece->kind = TEMPLATE_CALLING_AE;
    else if (strcmp(piece->name, "called_ae") == 0)
        piece->kind = TEMPLATE_CALLED_AE;
    else if (route_attribute_tag(&piece->tag, piece->name) == 0)
        piece->kind = TEMPLATE_ATTRIBUTE;
    else
        return error_set(err,
                         "{%.*s}: %s is no attribute known here; write its DICOM keyword, e.g. "
                         "{PatientID}, or its tag, e.g. {0010,0020}",
                         shown, inside, piece->name);
    return 0;
}

static int read_placeholder(struct template_piece *piece, const char **at, struct error *err)
{
    const char *inside = *at + 1;
    size_t length = strcspn(inside, "{}");
    if (inside[length] != '}')
        return error_set(err, "{%.*s has no closing brace; write {{ for a brace itself",
                         shown_length(length), inside);
    const char *bar = memchr(inside, '|', length);
    size_t name_length = bar ? (size_t)(bar - inside) : length;
    if (read_name(piece, inside, name_length, err) != 0)
        return -1;
    piece->text = bar ? bar + 1 : "";
    piece->length = bar ? length - name_length - 1 : 0;
    *at = inside + length + 1;
    return 1;
}

int template_next(struct template_piece *piece, const char **at, struct error *err)
{
    const char *text = *at;
    *piece = (struct template_piece){.kind = TEMPLATE_LITERAL, .text = text};
    if (*text == '\0')
        return 0;
    if ((text[0] == '{' || text[0] == '}') && text[1] == text[0]) {
        piece->length = 1;
        *at = text + 2;
        return 1;
    }
    if (*text == '{')
        return read_placeholder(piece, at, err);
    if (*text == '}')
        return error_set(err, "there is a } without its {; write }} for a brace itself");
    piece->length = strcspn(text, "{}");
    *at = text + piece->length;
    return 1;
}

int template_check(const char *text, struct error *err)
{
    struct template_piece piece;
    int result = 0;
    do
        result = template_next(&piece, &text, err);
    while (result == 1);
    return result;
}
