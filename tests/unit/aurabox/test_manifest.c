/* The init body of section 4 over a fake ledger_instances. */
#include "aurabridge/aurabox.h"

#include "suite.h"

#include <stdio.h>
#include <string.h>

#define STUDY_UID "1.2.3"

struct row {
    const char *series, *modality, *patient_name, *description, *series_description;
};

static const struct row *rows;
static size_t row_count;
static size_t generated; /* instead of rows: as many instances, each in a series of its own */

static void set(struct ledger_instance *instance, enum attribute attribute, const char *value)
{
    attributes_set(&instance->attributes, attribute, value, strlen(value));
}

int ledger_instances(struct ledger *ledger, int64_t study_id, int disposition,
                     int (*visit)(void *context, const struct ledger_instance *instance),
                     void *context, struct error *err)
{
    static struct ledger_instance instance;
    (void)ledger;
    (void)err;
    CU_ASSERT_EQUAL(study_id, 7);
    CU_ASSERT_EQUAL(disposition, INSTANCE_STORED);
    for (size_t i = 0; i < generated + row_count; i++) {
        memset(&instance, 0, sizeof instance);
        (void)snprintf(instance.series_instance_uid, sizeof instance.series_instance_uid, "1.9.%zu",
                       i);
        if (row_count > 0) {
            (void)snprintf(instance.series_instance_uid, sizeof instance.series_instance_uid, "%s",
                           rows[i].series);
            set(&instance, ATTRIBUTE_MODALITY, rows[i].modality);
            set(&instance, ATTRIBUTE_PATIENT_NAME, rows[i].patient_name);
            set(&instance, ATTRIBUTE_STUDY_DESCRIPTION, rows[i].description);
            set(&instance, ATTRIBUTE_SERIES_DESCRIPTION, rows[i].series_description);
            set(&instance, ATTRIBUTE_STUDY_TIME, "101010.5");
        }
        int stopped = visit(context, &instance);
        if (stopped)
            return stopped;
    }
    return 0;
}

static struct ledger_study study_of(void)
{
    struct ledger_study study = {.id = 7, .study_instance_uid = STUDY_UID};
    (void)snprintf(study.upload.upload_id, sizeof study.upload.upload_id, "%s",
                   "550e8400-e29b-41d4-a716-446655440000");
    return study;
}

static void test_body(void)
{
    static const struct row three[] = {
        {"1.2.3.2", "CT", "", "", ""},
        {"1.2.3.1", "SR", "Yamada^Tarou=山田^太郎=やまだ^たろう^^=", "Thorax", "Report"},
        {"1.2.3.2", "CT", "OTHER^NAME", "Abdomen", "Axial"},
    };
    rows = three;
    row_count = 3;
    generated = 0;
    struct ledger_study study = study_of();
    struct json *body = NULL;
    struct json *context = json_new_object();
    struct error err;
    CU_ASSERT_EQUAL(json_set_string(context, "patient_id", "P1"), 0);
    CU_ASSERT_EQUAL_FATAL(
        aurabox_manifest(&body, NULL, &study, "standalone-uploader", "A9", context, &err), 0);
    char *text = json_print(body);
    CU_ASSERT_STRING_EQUAL(
        text, "{\"upload_id\":\"550e8400-e29b-41d4-a716-446655440000\",\"mode\":\"bulk\","
              "\"type\":\"uploader\",\"source\":\"standalone-uploader\",\"patient_id\":\"A9\","
              "\"context\":{\"patient_id\":\"P1\"},\"studies\":{\"1.2.3\":{\"study_uid\":\"1.2.3\","
              "\"study_description\":\"Thorax\",\"institution_name\":\"\",\"patient_id\":\"\","
              "\"patient_name\":\"Yamada^Tarou=山田^太郎=やまだ^たろう\",\"study_date\":\"\","
              "\"study_time\":\"101010.5\",\"modalities\":[\"CT\",\"SR\"],\"images\":3,"
              "\"series_count\":2,\"series\":{\"1.2.3.2\":{\"study_instance_uid\":\"1.2.3\","
              "\"series_instance_uid\":\"1.2.3.2\",\"modality\":\"CT\","
              "\"series_description\":\"Axial\"},\"1.2.3.1\":{\"study_instance_uid\":\"1.2.3\","
              "\"series_instance_uid\":\"1.2.3.1\",\"modality\":\"SR\","
              "\"series_description\":\"Report\"}}}}}");
    free(text);
    json_free(body);
}

static void test_without_context_or_patient(void)
{
    static const struct row one[] = {{"1.2.3.1", "", "^^^=", "", ""}};
    rows = one;
    row_count = 1;
    generated = 0;
    struct ledger_study study = study_of();
    struct json *body = NULL;
    CU_ASSERT_EQUAL_FATAL(aurabox_manifest(&body, NULL, &study, "s", NULL, NULL, NULL), 0);
    CU_ASSERT_TRUE(json_is_null(json_get(body, "patient_id")));
    CU_ASSERT_TRUE(json_is_object(json_get(body, "context")));
    const struct json *entry = json_get(json_get(body, "studies"), STUDY_UID);
    CU_ASSERT_STRING_EQUAL(json_text(json_get(entry, "patient_name")), "");
    CU_ASSERT_TRUE(json_is_array(json_get(entry, "modalities")));
    json_free(body);
}

static void test_bounds(void)
{
    struct ledger_study study = study_of();
    struct json *body = NULL;
    struct error err;
    row_count = 0;
    generated = 10001;
    CU_ASSERT_EQUAL(aurabox_manifest(&body, NULL, &study, "s", NULL, json_new_object(), &err), -1);
    CU_ASSERT_PTR_NULL(body);
    CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "10000 series"));
    generated = 2000;
    CU_ASSERT_EQUAL(aurabox_manifest(&body, NULL, &study, "s", NULL, NULL, &err), 0);
    json_free(body);
    generated = 0;
    CU_ASSERT_EQUAL(aurabox_manifest(&body, NULL, &study, "s", NULL, NULL, &err), -1);
    CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "no instance"));
}

static CU_TestInfo cases[] = {SUITE_CASE(test_body), SUITE_CASE(test_without_context_or_patient),
                              SUITE_CASE(test_bounds), CU_TEST_INFO_NULL};

SUITE_MAIN("aurabox_manifest", cases)
