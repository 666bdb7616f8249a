/* The template language, over a source of fixed values. */
#include "aurabridge/route.h"

#include "suite.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof *(array))

struct fixed_value {
    uint32_t tag;
    const char *value;
    int differs;
};

struct fixed_values {
    const struct fixed_value *rows;
    size_t count;
    uint32_t failing; /* a tag that cannot be read */
};

static int fixed_first(void *context, uint32_t tag, char value[ATTRIBUTE_VALUE_SIZE], int *differs,
                       struct error *err)
{
    const struct fixed_values *values = context;
    value[0] = '\0';
    *differs = 0;
    if (tag == values->failing)
        return error_set(err, "the disk is broken");
    for (size_t i = 0; i < values->count; i++) {
        if (values->rows[i].tag == tag) {
            (void)snprintf(value, ATTRIBUTE_VALUE_SIZE, "%s", values->rows[i].value);
            *differs = values->rows[i].differs;
        }
    }
    return 0;
}

#define NAME  0x00100010
#define ID    0x00100020
#define BIRTH 0x00100030
#define SEX   0x00100040

/* The printed context, the caller's; null when it cannot be rendered. */
static char *render(const char *context, const struct fixed_value *rows, size_t count,
                    struct buffer *warning, struct error *err)
{
    struct fixed_values values = {rows, count, 0x00081030};
    struct attribute_source source = {&values, fixed_first};
    struct association association = {.calling_ae_title = "CT1", .called_ae_title = "AURABRIDGE"};
    struct config_map_entry entry = {.file = (char[]){"map.yaml"}, .line = 3};
    struct json *result = NULL;
    char *text = NULL;
    if (context)
        CU_ASSERT_EQUAL_FATAL(json_parse(&entry.context, context, strlen(context), NULL), 0);
    if (route_context(&result, &entry, &association, &source, warning, err) == 0)
        text = json_print(result);
    json_free(result);
    json_free(entry.context);
    return text;
}

static void expect(const char *template, const struct fixed_value *rows, size_t count,
                   const char *wanted)
{
    char context[512];
    char expected[512] = "{}";
    (void)snprintf(context, sizeof context, "{\"x\":\"%s\"}", template);
    if (wanted)
        (void)snprintf(expected, sizeof expected, "{\"x\":\"%s\"}", wanted);
    struct error err = {""};
    char *text = render(context, rows, count, NULL, &err);
    if (!text || strcmp(text, expected) != 0) {
        (void)fprintf(stderr, "\n  %s gave %s %s\n", template, text ? text : "(null)", err.text);
        CU_FAIL("another context");
    }
    free(text);
}

static void test_values_and_literals(void)
{
    static const struct fixed_value values[] = {{ID, "4711", 0}, {0x00100021, "HOSP", 0}};
    static const struct {
        const char *template;
        const char *wanted; /* null: the key is left out */
    } rows[] = {
        {"{PatientID}", "4711"},
        {"{0010,0020}", "4711"},
        {"{(0010,0020)}", "4711"},
        {"{0010,0021}", "HOSP"},
        {"{IssuerOfPatientID}-{PatientID}", "HOSP-4711"},
        {"{calling_ae}>{called_ae}", "CT1>AURABRIDGE"},
        {"fixed", "fixed"},
        {" fixed ", " fixed "},
        {"{{PatientID}}", "{PatientID}"},
        {"{{{PatientID}}}", "{4711}"},
        {"", NULL},
        {"{AccessionNumber}", NULL},
        {"Acc-{AccessionNumber}", NULL},
        {"{AccessionNumber}{StudyID}", NULL},
        {"{AccessionNumber} {PatientID} {StudyID}", "4711"},
        {"{AccessionNumber|none}", "none"},
        {"{AccessionNumber|default text, 1.5: x|y}", "default text, 1.5: x|y"},
        {"{AccessionNumber|}", NULL},
        {"{PatientID|none}", "4711"},
        {"A{AccessionNumber|-}B", "A-B"},
    };
    for (size_t i = 0; i < COUNT(rows); i++)
        expect(rows[i].template, values, COUNT(values), rows[i].wanted);
}

static void test_person_names(void)
{
    static const struct {
        const char *name;
        const char *family; /* null: left out */
        const char *given;
    } rows[] = {
        {"Doe^John", "Doe", "John"},
        {"Doe^John^Quincy^Dr.^Jr.", "Doe", "John Quincy"},
        {"Doe^^Quincy", "Doe", "Quincy"},
        {"Doe", "Doe", NULL},
        {"^John", NULL, "John"},
        {"Doe ^ John ", "Doe", "John"},
        {"Yamada^Tarou=\345\261\261\347\224\260^\345\244\252\351\203\216=x^y", "Yamada", "Tarou"},
        {"=\345\261\261\347\224\260^\345\244\252\351\203\216", "\345\261\261\347\224\260",
         "\345\244\252\351\203\216"},
        {"^^=Hong^Gildong", "Hong", "Gildong"},
        {"Doe^John\\\\Roe^Jane", "Doe", "John"},
        {"==x^y", NULL, NULL},
        {"", NULL, NULL},
        {"^", NULL, NULL},
        {"van der Berg^Anna Maria", "van der Berg", "Anna Maria"},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        char name[128];
        size_t length = 0;
        for (const char *at = rows[i].name; *at; at++) {
            name[length++] = *at;
            if (at[0] == '\\' && at[1] == '\\')
                at++;
        }
        name[length] = '\0';
        const struct fixed_value value = {NAME, name, 0};
        expect("{PatientName.family}", &value, 1, rows[i].family);
        expect("{PatientName.given}", &value, 1, rows[i].given);
        expect("{0010,0010.family}", &value, 1, rows[i].family);
    }
}

static void test_dates_and_sexes(void)
{
    static const struct {
        uint32_t tag;
        const char *template;
        const char *value;
        const char *wanted;
    } rows[] = {
        {BIRTH, "{PatientBirthDate:date}", "19770603", "1977-06-03"},
        {BIRTH, "{PatientBirthDate:date}", "1977.06.03", "1977-06-03"},
        {BIRTH, "{PatientBirthDate:date}", "20000229", "2000-02-29"},
        {BIRTH, "{PatientBirthDate:date}", "20240229", "2024-02-29"},
        {BIRTH, "{PatientBirthDate:date}", "19000229", NULL},
        {BIRTH, "{PatientBirthDate:date}", "20230229", NULL},
        {BIRTH, "{PatientBirthDate:date}", "19771301", NULL},
        {BIRTH, "{PatientBirthDate:date}", "19770600", NULL},
        {BIRTH, "{PatientBirthDate:date}", "19770631", NULL},
        {BIRTH, "{PatientBirthDate:date}", "00000101", NULL},
        {BIRTH, "{PatientBirthDate:date}", "1977", NULL},
        {BIRTH, "{PatientBirthDate:date}", "1977060", NULL},
        {BIRTH, "{PatientBirthDate:date}", "197706031", NULL},
        {BIRTH, "{PatientBirthDate:date}", "1977-06-03", NULL},
        {BIRTH, "{PatientBirthDate:date}", "3.6.1977", NULL},
        {BIRTH, "{PatientBirthDate:date}", "1977.6.030", NULL},
        {BIRTH, "{PatientBirthDate:date}", "", NULL},
        {BIRTH, "{PatientBirthDate:date|unknown}", "1977", "unknown"},
        {BIRTH, "{PatientBirthDate}", "1977", "1977"},
        {SEX, "{PatientSex:sex}", "M", "m"},
        {SEX, "{PatientSex:sex}", "F", "f"},
        {SEX, "{PatientSex:sex}", "O", "o"},
        {SEX, "{PatientSex:sex}", "f", "f"},
        {SEX, "{PatientSex:sex}", "W", NULL},
        {SEX, "{PatientSex:sex}", "MF", NULL},
        {SEX, "{PatientSex:sex}", "", NULL},
        {SEX, "{PatientSex:sex|o}", "X", "o"},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        const struct fixed_value value = {rows[i].tag, rows[i].value, 0};
        expect(rows[i].template, &value, 1, rows[i].wanted);
    }
}

static void test_what_is_empty_is_left_out(void)
{
    static const struct fixed_value values[] = {{ID, "4711", 0}};
    static const struct {
        const char *context;
        const char *wanted;
    } rows[] = {
        {NULL, "{}"},
        {"{}", "{}"},
        {"{\"a\":{\"b\":{\"c\":\"{StudyID}\"}}}", "{}"},
        {"{\"a\":{\"b\":\"{StudyID}\",\"c\":\"{PatientID}\"},\"d\":null}",
         "{\"a\":{\"c\":\"4711\"}}"},
        {"{\"l\":[\"{StudyID}\",\"{PatientID}\",[\"{StudyID}\"]],\"m\":[null]}",
         "{\"l\":[\"4711\"]}"},
        {"{\"yes\":true,\"no\":false}", "{\"yes\":true,\"no\":false}"},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct error err = {""};
        char *text = render(rows[i].context, values, COUNT(values), NULL, &err);
        CU_ASSERT_PTR_NOT_NULL_FATAL(text);
        CU_ASSERT_STRING_EQUAL(text, rows[i].wanted);
        free(text);
    }
}

static void test_differing_values_are_named_once_without_values(void)
{
    static const struct fixed_value values[] = {
        {NAME, "Doe^John", 1}, {ID, "4711", 0}, {0x00101000, "x", 1}, {0x00091001, "y", 1}};
    static const char context[] = "{\"a\":\"{PatientName.family}\",\"b\":\"{0010,0010.given}\","
                                  "\"c\":\"{PatientID}\",\"d\":\"{OtherPatientIDs}\","
                                  "\"e\":\"{0009,1001}\"}";
    struct buffer warning;
    struct error err = {""};
    buffer_init(&warning, 256);
    char *text = render(context, values, COUNT(values), &warning, &err);
    CU_ASSERT_PTR_NOT_NULL(text);
    CU_ASSERT_STRING_EQUAL(warning.data, "PatientName, OtherPatientIDs, 0009,1001");
    free(text);
    /* The patient_id's join the same list. */
    struct fixed_values more = {values, COUNT(values), 0};
    struct attribute_source source = {&more, fixed_first};
    struct association association = {.calling_ae_title = "CT1", .called_ae_title = "AURABRIDGE"};
    struct config_map_entry entry = {.file = (char[]){"map.yaml"},
                                     .patient_id = (char[]){"{PatientName}{OtherPatientIDs}"}};
    struct json *patient_id = NULL;
    buffer_clear(&warning);
    (void)buffer_append_text(&warning, "OtherPatientIDs");
    CU_ASSERT_EQUAL(route_patient_id(&patient_id, &entry, &association, &source, &warning, &err),
                    0);
    CU_ASSERT_STRING_EQUAL(warning.data, "OtherPatientIDs, PatientName");
    json_free(patient_id);
    buffer_free(&warning);
}

/* A study must not wait because its warning is long. */
static void test_a_warning_that_does_not_fit_is_cut(void)
{
    static const struct fixed_value values[] = {{NAME, "Doe^John", 1}, {SEX, "M", 1}, {ID, "1", 1}};
    struct buffer warning;
    struct error err = {""};
    buffer_init(&warning, sizeof "PatientName, PatientID" - 1);
    char *text = render("{\"a\":\"{PatientName}\",\"b\":\"{PatientSex}\",\"c\":\"{PatientID}\"}",
                        values, COUNT(values), &warning, &err);
    CU_ASSERT_PTR_NOT_NULL(text);
    CU_ASSERT_STRING_EQUAL(warning.data, "PatientName, PatientID");
    free(text);
    buffer_free(&warning);
}

static void test_failures_name_the_entry_not_the_values(void)
{
    static const struct fixed_value values[] = {{ID, "4711", 0}};
    struct error err = {""};
    CU_ASSERT_PTR_NULL(render("{\"a\":\"{PatientID}\",\"b\":{\"c\":\"{StudyDescription}\"}}",
                              values, COUNT(values), NULL, &err));
    CU_ASSERT_STRING_EQUAL(err.text, "rendering the context of map.yaml:3: reading "
                                     "StudyDescription: the disk is broken");
}

static void test_syntax(void)
{
    static const struct {
        const char *template;
        const char *wanted;
    } rows[] = {
        {"{PatientID", "has no closing brace"},
        {"PatientID}", "there is a } without its {"},
        {"{}", "{} is no attribute"},
        {"{|x}", "{} is no attribute"},
        {"{Patient{ID}}", "has no closing brace"},
        {"{PatientName.first}", "only .family and .given"},
        {"{PatientBirthDate:iso}", "only :date and :sex"},
        {"{PatientBirthDate:}", "only :date and :sex"},
        {"{Unknown}", "Unknown is no attribute known here; write its DICOM keyword"},
        {"{ PatientID }", "is no attribute known here"},
        {"{0010,002x}", "is no attribute known here"},
        {"{AVeryLongNameThatIsLongerThanAnyKeywordOfTheStandardCouldEverReasonablyBe}",
         "is no attribute; write"},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        char context[256];
        struct error err = {""};
        (void)snprintf(context, sizeof context, "{\"x\":\"%s\"}", rows[i].template);
        CU_ASSERT_PTR_NULL(render(context, NULL, 0, NULL, &err));
        if (!strstr(err.text, rows[i].wanted)) {
            (void)fprintf(stderr, "\n  %s gave %s\n", rows[i].template, err.text);
            CU_FAIL("another error text");
        }
    }
}

static void test_long_values_fit_and_long_texts_do_not(void)
{
    static char value[ATTRIBUTE_VALUE_SIZE];
    memset(value, 'x', ATTRIBUTE_VALUE_MAX);
    const struct fixed_value longest = {NAME, value, 0};
    struct error err = {""};
    char *text =
        render("{\"a\":\"{PatientName}\",\"b\":\"{PatientName.family}\"}", &longest, 1, NULL, &err);
    CU_ASSERT_PTR_NOT_NULL_FATAL(text);
    CU_ASSERT_EQUAL(strlen(text), 2 * ATTRIBUTE_VALUE_MAX + 15);
    free(text);
    static char context[64 * 14 + 16];
    (void)snprintf(context, sizeof context, "{\"a\":\"");
    for (size_t i = 0; i < 60; i++)
        (void)snprintf(context + strlen(context), sizeof context - strlen(context),
                       "{PatientName}");
    (void)snprintf(context + strlen(context), sizeof context - strlen(context), "\"}");
    CU_ASSERT_PTR_NULL(render(context, &longest, 1, NULL, &err));
    CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "longer than 65536 bytes"));
    CU_ASSERT_PTR_NULL(strstr(err.text, "xxx"));
}

CU_TestInfo context_cases[] = {
    SUITE_CASE(test_values_and_literals),
    SUITE_CASE(test_person_names),
    SUITE_CASE(test_dates_and_sexes),
    SUITE_CASE(test_what_is_empty_is_left_out),
    SUITE_CASE(test_differing_values_are_named_once_without_values),
    SUITE_CASE(test_a_warning_that_does_not_fit_is_cut),
    SUITE_CASE(test_failures_name_the_entry_not_the_values),
    SUITE_CASE(test_syntax),
    SUITE_CASE(test_long_values_fit_and_long_texts_do_not),
    CU_TEST_INFO_NULL,
};
