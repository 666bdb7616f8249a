/* Templates with values: config_checks.h. */
#include "config_checks.h"

#include "aurabridge/charset.h"
#include "template.h"
#include "value.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RENDERED_MAX 65536

static void check_not_empty(const struct json *value)
{
    FUZZ_CHECK(!json_is_null(value));
    if (json_is_string(value))
        FUZZ_CHECK(json_text(value)[0]);
    if (json_is_object(value) || json_is_array(value))
        FUZZ_CHECK(json_size(value) > 0);
    for (const struct json *at = json_first(value); at; at = json_next(at))
        check_not_empty(at);
}

void config_check_rendered(const struct json *value)
{
    struct json *read = NULL;
    char *text = json_print(value);
    FUZZ_CHECK(text && json_parse(&read, text, strlen(text), NULL) == 0);
    char *again = json_print(read);
    FUZZ_CHECK_TEXT(again && strcmp(text, again) == 0, text);
    FUZZ_CHECK_TEXT(fuzz_is_utf8(text), text);
    check_not_empty(value);
    free(again);
    free(text);
    json_free(read);
}

/* ---- values ---- */

/* The line of a text that the tag falls on; values come to templates as UTF-8 without controls. */
static void take_line(char value[ATTRIBUTE_VALUE_SIZE], const char *text, uint32_t tag)
{
    size_t lines = 1;
    for (const char *at = text; *at; at++)
        lines += *at == '\n';
    for (size_t skip = tag % lines; skip > 0; skip--)
        text = strchr(text, '\n') + 1;
    (void)charset_to_utf8(value, ATTRIBUTE_VALUE_SIZE, "ISO_IR 192", NULL, CHARSET_TEXT, text,
                          strcspn(text, "\n"));
}

int config_value(void *context, uint32_t tag, char value[ATTRIBUTE_VALUE_SIZE], int *differs,
                 struct error *err)
{
    const struct config_values *values = context;
    (void)err;
    *differs = values ? values->differ : tag % 3 == 0;
    if (values)
        take_line(value, values->text, tag);
    else
        (void)snprintf(value, ATTRIBUTE_VALUE_SIZE, "%s",
                       tag % 2 ? "" : CONFIG_VALUE "^\xC3\xA9 x=y");
    return 0;
}

/* ---- pieces of values ---- */

static bool is_date(const char *text)
{
    static const char shape[] = "dddd-dd-dd";
    for (size_t i = 0; i < sizeof shape - 1; i++) {
        bool is_digit = text[i] >= '0' && text[i] <= '9';
        if (shape[i] == 'd' ? !is_digit : text[i] != '-')
            return false;
    }
    return text[10] == '\0';
}

static void check_values(const char *value)
{
    char out[ATTRIBUTE_VALUE_SIZE];
    size_t length = strlen(value);
    for (int part = TEMPLATE_FAMILY; part <= TEMPLATE_GIVEN; part++) {
        value_person_name(out, value, (enum template_part)part);
        FUZZ_CHECK(strlen(out) <= length + 1 && !strpbrk(out, "^=\\"));
        FUZZ_CHECK(out[0] != ' ' && (!out[0] || out[strlen(out) - 1] != ' '));
        FUZZ_CHECK(fuzz_is_utf8(out));
    }
    value_date(out, value);
    FUZZ_CHECK_TEXT(out[0] == '\0' || is_date(out), out);
    value_sex(out, value);
    FUZZ_CHECK_TEXT(strcmp(out, "") == 0 || strcmp(out, "m") == 0 || strcmp(out, "f") == 0 ||
                        strcmp(out, "o") == 0,
                    out);
}

/* ---- templates ---- */

static const struct association association = {
    .id = 1, .calling_ae_title = "CT1", .called_ae_title = "A", .peer_address = "10.1.2.3"};

/* The rendered text, or null; the caller frees it. */
static struct json *render(char *template, struct config_values *values, struct error *err,
                           int *failed)
{
    const struct config_map_entry entry = {
        .file = (char *)(uintptr_t) "map", .line = 1, .patient_id = template};
    const struct attribute_source source = {.context = values, .first = config_value};
    struct json *out = NULL;
    struct buffer warning;
    buffer_init(&warning, 64);
    *failed = route_patient_id(&out, &entry, &association, &source, &warning, err);
    FUZZ_CHECK(values->differ || warning.length == 0);
    buffer_free(&warning);
    return out;
}

/* Every brace twice: the text stands for itself. */
static void check_escaped(const char *text, struct config_values *values)
{
    char *escaped = malloc(2 * strlen(text) + 1);
    struct error err = {""};
    int failed = 0;
    if (!escaped)
        abort();
    char *out = escaped;
    for (const char *at = text; *at; at++) {
        if (*at == '{' || *at == '}')
            *out++ = *at;
        *out++ = *at;
    }
    *out = '\0';
    FUZZ_CHECK_TEXT(template_check(escaped, &err) == 0, err.text);
    struct json *rendered = render(escaped, values, &err, &failed);
    if (strlen(text) > RENDERED_MAX)
        FUZZ_CHECK(failed);
    else if (text[0])
        FUZZ_CHECK(!failed && rendered && strcmp(json_text(rendered), text) == 0);
    else
        FUZZ_CHECK(!failed && !rendered);
    json_free(rendered);
    free(escaped);
}

/* A placeholder and its default: one of the two stands there, or nothing does. */
static void check_default(const char *value, struct config_values *values)
{
    char template[] = "<{PatientID|none}>";
    char expected[ATTRIBUTE_VALUE_SIZE + 8];
    struct error err = {""};
    int failed = 0;
    char own[ATTRIBUTE_VALUE_SIZE];
    take_line(own, value, 0x00100020);
    struct json *rendered = render(template, values, &err, &failed);
    (void)snprintf(expected, sizeof expected, "<%s>", own[0] ? own : "none");
    FUZZ_CHECK(!failed && rendered && strcmp(json_text(rendered), expected) == 0);
    json_free(rendered);
}

void config_template(struct fuzz_input input)
{
    char *template = fuzz_section(&input, NULL);
    struct config_values values = {.differ = input.left % 2 == 1};
    struct error err = {""};
    int failed = 0;
    values.text = fuzz_section(&input, NULL);
    int checked = template_check(template, &err);
    if (checked != 0)
        FUZZ_CHECK_TEXT(fuzz_is_line(err.text, sizeof err.text), err.text);
    struct json *rendered = render(template, &values, &err, &failed);
    FUZZ_CHECK_TEXT(checked == 0 ? !failed || strstr(err.text, "longer than") : failed, err.text);
    FUZZ_CHECK(!failed || !rendered);
    if (rendered) {
        FUZZ_CHECK(json_text(rendered)[0] && strlen(json_text(rendered)) <= RENDERED_MAX);
        if (fuzz_is_utf8(template))
            config_check_rendered(rendered);
    }
    json_free(rendered);
    check_escaped(template, &values);
    check_default(values.text, &values);
    char value[ATTRIBUTE_VALUE_SIZE];
    take_line(value, values.text, 0);
    check_values(value);
    free(values.text);
    free(template);
}
