/* Validation: each case is a study in short form and the verdict it must get. */
#include "aurabridge/validate.h"
#include "fake_ledger.h"

#include "suite.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COUNT(array)  (sizeof(array) / sizeof *(array))
#define INSTANCES_MAX 6
#define STUDY         "1.2.3"
#define CT            "1.2.840.10008.5.1.4.1.1.2"
#define RAW           "1.2.840.10008.5.1.4.1.1.66"
#define SR            "1.2.840.10008.5.1.4.1.1.88.11"
#define DICOMDIR      "1.2.840.10008.1.3.10"
#define SECRET        "PAT-SECRET"

/* Null stands for what is usual: CT, no protocol, patient A, no issuer, series 1.2.3.1. */
struct short_instance {
    bool there;
    const char *sop_class, *protocol, *patient, *issuer, *series;
    const char *study_in_data_set, *instance_in_data_set;
    enum dataset_ending ending;
    const char *instance_uid;
};

#define PLAIN                                                                                      \
    {                                                                                              \
        .there = true                                                                              \
    }

static void set(struct ledger_instance *instance, enum attribute attribute, const char *value)
{
    if (value != NULL)
        attributes_set(&instance->attributes, attribute, value, strlen(value));
}

static void expand(struct ledger_instance *out, const struct short_instance *from, size_t number)
{
    const char *series = from->series != NULL ? from->series : "1.2.3.1";
    memset(out, 0, sizeof *out);
    out->id = (int64_t)number + 100;
    out->study_id = 7;
    (void)snprintf(out->request.sop_class_uid, UID_SIZE, "%s",
                   from->sop_class != NULL ? from->sop_class : CT);
    (void)snprintf(out->request.sop_instance_uid, UID_SIZE, "%s.%zu", STUDY, number + 1);
    if (from->instance_uid != NULL)
        (void)snprintf(out->request.sop_instance_uid, UID_SIZE, "%s", from->instance_uid);
    (void)snprintf(out->series_instance_uid, UID_SIZE, "%s", series);
    out->ending = (struct dataset_result){from->ending, 0x7FE00010, 1234, 0};
    set(out, ATTRIBUTE_SOP_CLASS_UID, out->request.sop_class_uid);
    set(out, ATTRIBUTE_SOP_INSTANCE_UID,
        from->instance_in_data_set != NULL ? from->instance_in_data_set
                                           : out->request.sop_instance_uid);
    set(out, ATTRIBUTE_PATIENT_ID, from->patient != NULL ? from->patient : SECRET "-A");
    set(out, ATTRIBUTE_ISSUER_OF_PATIENT_ID, from->issuer);
    set(out, ATTRIBUTE_PROTOCOL_NAME, from->protocol);
    set(out, ATTRIBUTE_STUDY_INSTANCE_UID,
        from->study_in_data_set != NULL ? from->study_in_data_set : STUDY);
    set(out, ATTRIBUTE_SERIES_INSTANCE_UID, series);
}

static struct config_drop_rule drop_rules[] = {{(char[]){RAW}, (char[]){"ExamCard"}},
                                               {(char[]){SR}, (char[]){""}}};

static const struct config *drop_config(void)
{
    static struct config config;
    config.study.drop = drop_rules;
    config.study.drop_count = COUNT(drop_rules);
    return &config;
}

static const struct ledger_study plain_study = {.id = 7, .study_instance_uid = STUDY};

static void no_patient_data(const struct validate_result *result, const struct error *err)
{
    CU_ASSERT_PTR_NULL(strstr(result->reason, SECRET));
    CU_ASSERT_PTR_NULL(strstr(result->warning, SECRET));
    CU_ASSERT_PTR_NULL(strstr(err->text, SECRET));
}

/* ---- cases ---- */

struct study_case {
    const char *name;
    struct short_instance instances[INSTANCES_MAX];
    bool released, must_quarantine;
    const char *series_elsewhere, *other_patient;
    enum validate_verdict verdict;
    const char *reason;  /* a part of it; null: "" */
    const char *warning; /* the same */
    unsigned drops;
};

static const struct study_case study_cases[] = {
    {"plain", .instances = {PLAIN, PLAIN}, .verdict = VALIDATE_PASS},
    {"nothing", .verdict = VALIDATE_NOTHING, .reason = "holds no instance"},
    {"nothing, released", .released = true, .verdict = VALIDATE_NOTHING,
     .reason = "holds no instance"},

    {"ExamCard beside an image",
     .instances = {PLAIN, {.there = true, .sop_class = RAW, .protocol = "ExamCard"}},
     .verdict = VALIDATE_PASS, .drops = 1},
    {"raw data of another protocol stays",
     .instances = {{.there = true, .sop_class = RAW, .protocol = "ExamCard2"},
                   {.there = true, .sop_class = RAW, .protocol = "examcard"},
                   {.there = true, .sop_class = RAW}},
     .verdict = VALIDATE_PASS},
    {"an image of that protocol stays",
     .instances = {{.there = true, .sop_class = CT, .protocol = "ExamCard"}},
     .verdict = VALIDATE_PASS},
    {"a rule without protocol matches any",
     .instances = {PLAIN,
                   {.there = true, .sop_class = SR, .protocol = "X"},
                   {.there = true, .sop_class = SR}},
     .verdict = VALIDATE_PASS, .drops = 2},
    {"DICOMDIR", .instances = {PLAIN, {.there = true, .sop_class = DICOMDIR}},
     .verdict = VALIDATE_PASS, .drops = 1},
    {"all dropped",
     .instances = {{.there = true, .sop_class = RAW, .protocol = "ExamCard"},
                   {.there = true, .sop_class = RAW, .protocol = "ExamCard"},
                   {.there = true, .sop_class = RAW, .protocol = "ExamCard"}},
     .verdict = VALIDATE_NOTHING,
     .reason = "all 3 instances were dropped by rule: raw data of ExamCard", .drops = 3},
    {"the only one dropped", .instances = {{.there = true, .sop_class = DICOMDIR}},
     .verdict = VALIDATE_NOTHING, .reason = "its only instance was dropped by rule: DICOMDIR",
     .drops = 1},
    {"all dropped by several",
     .instances = {{.there = true, .sop_class = DICOMDIR}, {.there = true, .sop_class = SR}},
     .verdict = VALIDATE_NOTHING, .reason = "DICOMDIR and others", .drops = 2},
    {"released, yet dropped",
     .instances = {{.there = true, .sop_class = RAW, .protocol = "ExamCard"}}, .released = true,
     .verdict = VALIDATE_NOTHING, .reason = "dropped by rule", .drops = 1},
    {"a dropped instance is asked nothing else",
     .instances = {PLAIN,
                   {.there = true,
                    .sop_class = SR,
                    .patient = SECRET "-B",
                    .series = "9.9",
                    .ending = DATASET_TRUNCATED}},
     .series_elsewhere = "9.9", .verdict = VALIDATE_PASS, .drops = 1},

    {"two patients", .instances = {PLAIN, PLAIN, {.there = true, .patient = SECRET "-B"}},
     .verdict = VALIDATE_REJECT,
     .reason = "two patients: 2 different patient ids among 3 instances; release with "
               "--patient-id or discard"},
    {"three patients",
     .instances = {PLAIN,
                   {.there = true, .patient = SECRET "-B"},
                   {.there = true, .patient = SECRET "-C"}},
     .verdict = VALIDATE_REJECT, .reason = "3 different patient ids among 3"},
    {"two patients, released", .instances = {PLAIN, {.there = true, .patient = SECRET "-B"}},
     .released = true, .verdict = VALIDATE_PASS},
    {"two issuers",
     .instances = {{.there = true, .issuer = SECRET "-X"}, {.there = true, .issuer = SECRET "-Y"}},
     .verdict = VALIDATE_REJECT, .reason = "one patient id of 2 issuers among 2 instances"},
    {"an issuer here and there",
     .instances = {PLAIN, {.there = true, .issuer = SECRET "-X"}, PLAIN}, .verdict = VALIDATE_PASS},
    {"none, then two issuers",
     .instances = {PLAIN,
                   {.there = true, .issuer = SECRET "-X"},
                   {.there = true, .issuer = SECRET "-Y"}},
     .verdict = VALIDATE_REJECT, .reason = "2 issuers"},
    {"no PatientID in some", .instances = {PLAIN, {.there = true, .patient = ""}, PLAIN},
     .verdict = VALIDATE_PASS, .warning = "PatientID is missing in 1 of 3 instances"},
    {"no PatientID at all", .instances = {{.there = true, .patient = ""}}, .verdict = VALIDATE_PASS,
     .warning = "PatientID is missing in 1 of 1 instances"},
    {"another generation's patient", .instances = {PLAIN}, .other_patient = SECRET "-B",
     .verdict = VALIDATE_REJECT, .reason = "another upload of this study has a different patient"},
    {"the same patient as the other generation", .instances = {PLAIN}, .other_patient = SECRET "-A",
     .verdict = VALIDATE_PASS},
    {"another generation's patient, released", .instances = {PLAIN}, .released = true,
     .other_patient = SECRET "-B", .verdict = VALIDATE_PASS},

    {"another study in the data set",
     .instances = {PLAIN, {.there = true, .study_in_data_set = "1.2.4"}},
     .verdict = VALIDATE_REJECT,
     .reason = "inconsistent in 1 of 2 instances, first in 1.2.3.2: its Study Instance UID"},
    {"another instance in the data set",
     .instances = {{.there = true, .instance_in_data_set = "1.9"}}, .verdict = VALIDATE_REJECT,
     .reason = "SOP Instance UID differs"},
    {"an invalid UID", .instances = {{.there = true, .instance_uid = "1..2"}},
     .verdict = VALIDATE_REJECT, .reason = "SOP Instance UID is not valid"},
    {"series in another study", .instances = {PLAIN, {.there = true, .series = "1.2.3.2"}},
     .series_elsewhere = "1.2.3.2", .verdict = VALIDATE_REJECT,
     .reason = "series 1.2.3.2 is in another study too"},
    {"changed duplicates", .instances = {PLAIN}, .must_quarantine = true,
     .verdict = VALIDATE_REJECT,
     .reason = "changed duplicates under on_changed_duplicate: quarantine"},
    {"changed duplicates, released", .instances = {PLAIN}, .must_quarantine = true,
     .released = true, .verdict = VALIDATE_PASS},
    {"two reasons", .instances = {PLAIN, {.there = true, .patient = SECRET "-B"}},
     .must_quarantine = true, .verdict = VALIDATE_REJECT, .reason = "; also two patients"},

    {"truncated",
     .instances = {PLAIN,
                   {.there = true, .ending = DATASET_TRUNCATED},
                   {.there = true, .ending = DATASET_TRUNCATED}},
     .verdict = VALIDATE_PASS,
     .warning = "2 instances truncated (first in 7FE0,0010, 1234 bytes missing)"},
    {"not understood", .instances = {{.there = true, .ending = DATASET_NOT_UNDERSTOOD}},
     .verdict = VALIDATE_PASS, .warning = "1 instance whose data set is not understood"},
    {"a warning stays with a released study",
     .instances = {{.there = true, .ending = DATASET_TRUNCATED}}, .released = true,
     .verdict = VALIDATE_PASS, .warning = "1 instance truncated"},
};

static bool says(const char *text, const char *part)
{
    return part == NULL ? text[0] == '\0' : strstr(text, part) != NULL;
}

static void run_case(const struct study_case *row)
{
    static struct ledger_instance instances[INSTANCES_MAX];
    struct ledger ledger = {.instances = instances,
                            .series_elsewhere = row->series_elsewhere,
                            .other_patient = row->other_patient};
    struct ledger_study study = plain_study;
    struct validate_result result;
    struct error err = {""};
    study.released = row->released;
    study.must_quarantine = row->must_quarantine;
    for (; ledger.count < INSTANCES_MAX && row->instances[ledger.count].there; ledger.count++)
        expand(&instances[ledger.count], &row->instances[ledger.count], ledger.count);

    /* Twice: a restart in the middle asks again and must hear the same. */
    for (unsigned round = 0; round < 2; round++) {
        CU_ASSERT_EQUAL(validate_study(&result, &ledger, &study, drop_config(), NULL, NULL, &err),
                        0);
        bool right = result.verdict == row->verdict && says(result.reason, row->reason) &&
                     says(result.warning, row->warning);
        if (!right)
            (void)printf("\n%s: verdict %d: %s | %s\n", row->name, (int)result.verdict,
                         result.reason, result.warning);
        CU_ASSERT(right);
        CU_ASSERT_EQUAL(ledger.drops, row->drops);
        no_patient_data(&result, &err);
    }
}

static void test_studies(void)
{
    for (size_t i = 0; i < COUNT(study_cases); i++)
        run_case(&study_cases[i]);
}

/* ---- required attributes ---- */

static int first_of(void *context, uint32_t tag, char value[ATTRIBUTE_VALUE_SIZE], int *differs,
                    struct error *err)
{
    const uint32_t *present = context;
    if (tag == 0x00081030)
        return error_set(err, "the file is gone");
    (void)snprintf(value, ATTRIBUTE_VALUE_SIZE, "%s", tag == *present ? SECRET : "");
    *differs = 0;
    return 0;
}

static void test_required(void)
{
    static const struct {
        char *names[3];
        bool released;
        int result;
        enum validate_verdict verdict;
        const char *text; /* of the reason, or of the error */
    } rows[] = {
        {{"PatientID"}, false, 0, VALIDATE_PASS, NULL},
        {{"0010,0020"}, false, 0, VALIDATE_PASS, NULL},
        {{"AccessionNumber"}, false, 0, VALIDATE_REJECT, "missing: AccessionNumber;"},
        {{"PatientID", "AccessionNumber", "0010,0021"},
         false,
         0,
         VALIDATE_REJECT,
         "missing: AccessionNumber, 0010,0021;"},
        {{"AccessionNumber"}, true, 0, VALIDATE_PASS, NULL},
        {{"NoSuchKeyword"}, false, -1, VALIDATE_PASS, "map.yaml:3: require: \"NoSuchKeyword\""},
        {{"0010,002"}, false, -1, VALIDATE_PASS, "no attribute keyword"},
        {{"0010,00 2"}, false, -1, VALIDATE_PASS, "no attribute keyword"},
        {{"StudyDescription"}, false, -1, VALIDATE_PASS, "the file is gone"},
    };
    static struct ledger_instance instance;
    static const struct short_instance plain = PLAIN;
    uint32_t present = 0x00100020;
    const struct attribute_source source = {&present, first_of};
    expand(&instance, &plain, 0);
    for (size_t i = 0; i < COUNT(rows); i++) {
        char *names[3] = {rows[i].names[0], rows[i].names[1], rows[i].names[2]};
        struct ledger ledger = {.instances = &instance, .count = 1};
        struct ledger_study study = plain_study;
        struct config_map_entry entry = {.file = (char[]){"map.yaml"}, .line = 3};
        struct validate_result result;
        struct error err = {""};
        study.released = rows[i].released;
        entry.require.items = names;
        while (entry.require.count < COUNT(names) && names[entry.require.count] != NULL)
            entry.require.count++;
        CU_ASSERT_EQUAL(
            validate_study(&result, &ledger, &study, drop_config(), &entry, &source, &err),
            rows[i].result);
        CU_ASSERT_EQUAL(result.verdict, rows[i].verdict);
        CU_ASSERT(says(rows[i].result == 0 ? result.reason : err.text, rows[i].text));
        no_patient_data(&result, &err);
    }
}

/* ---- bounds ---- */

static struct ledger_instance *make_many(size_t count)
{
    static const struct short_instance plain = PLAIN;
    struct ledger_instance *instances = calloc(count, sizeof *instances);
    CU_ASSERT_PTR_NOT_NULL_FATAL(instances);
    for (size_t i = 0; i < count; i++)
        expand(&instances[i], &plain, i);
    return instances;
}

static void test_series_questions_are_few(void)
{
    const size_t count = 500;
    struct ledger ledger = {.instances = make_many(count), .count = count};
    struct validate_result result;
    struct error err = {""};
    for (size_t i = 0; i < count; i++) { /* ten series, interleaved */
        char series[UID_SIZE];
        (void)snprintf(series, sizeof series, "1.2.3.%zu", i % 10);
        memset(&ledger.instances[i].attributes, 0, sizeof ledger.instances[i].attributes);
        (void)snprintf(ledger.instances[i].series_instance_uid, UID_SIZE, "%s", series);
    }
    CU_ASSERT_EQUAL(validate_study(&result, &ledger, &plain_study, drop_config(), NULL, NULL, &err),
                    0);
    CU_ASSERT_EQUAL(result.verdict, VALIDATE_PASS);
    CU_ASSERT_EQUAL(ledger.series_questions, 10);
    free(ledger.instances);
}

/* More series than the cache remembers: all are asked for, the last one too. */
static void test_many_series(void)
{
    const size_t count = 300;
    struct ledger ledger = {
        .instances = make_many(count), .count = count, .series_elsewhere = "1.2.3.299"};
    struct validate_result result;
    struct error err = {""};
    for (size_t i = 0; i < count; i++) {
        memset(&ledger.instances[i].attributes, 0, sizeof ledger.instances[i].attributes);
        (void)snprintf(ledger.instances[i].series_instance_uid, UID_SIZE, "1.2.3.%zu", i);
    }
    CU_ASSERT_EQUAL(validate_study(&result, &ledger, &plain_study, drop_config(), NULL, NULL, &err),
                    0);
    CU_ASSERT_EQUAL(result.verdict, VALIDATE_REJECT);
    CU_ASSERT(says(result.reason, "series 1.2.3.299"));
    free(ledger.instances);
}

static void test_many_patients(void)
{
    const size_t count = 40;
    struct ledger ledger = {.instances = make_many(count), .count = count};
    struct validate_result result;
    struct error err = {""};
    for (size_t i = 0; i < count; i++) {
        char patient[64];
        (void)snprintf(patient, sizeof patient, SECRET "-%zu", i);
        memset(&ledger.instances[i].attributes, 0, sizeof ledger.instances[i].attributes);
        set(&ledger.instances[i], ATTRIBUTE_PATIENT_ID, patient);
    }
    CU_ASSERT_EQUAL(validate_study(&result, &ledger, &plain_study, drop_config(), NULL, NULL, &err),
                    0);
    CU_ASSERT_EQUAL(result.verdict, VALIDATE_REJECT);
    CU_ASSERT(says(result.reason, "more than 16 different patient ids among 40 instances"));
    CU_ASSERT_EQUAL(ledger.patient_questions, 0);
    no_patient_data(&result, &err);
    free(ledger.instances);
}

static void test_ledger_failures(void)
{
    static const char *const functions[] = {"instances", "drop", "series", "patient"};
    static const struct short_instance shorts[] = {PLAIN, {.there = true, .sop_class = SR}};
    for (size_t i = 0; i < COUNT(functions); i++) {
        static struct ledger_instance instances[COUNT(shorts)];
        struct ledger ledger = {
            .instances = instances, .count = COUNT(shorts), .fails = functions[i]};
        struct validate_result result;
        struct error err = {""};
        for (size_t j = 0; j < COUNT(shorts); j++)
            expand(&instances[j], &shorts[j], j);
        CU_ASSERT_EQUAL(
            validate_study(&result, &ledger, &plain_study, drop_config(), NULL, NULL, &err), -1);
        CU_ASSERT(says(err.text, "validating study S7"));
        CU_ASSERT(says(err.text, "played failure"));
    }
}

static CU_TestInfo cases[] = {SUITE_CASE(test_studies),
                              SUITE_CASE(test_required),
                              SUITE_CASE(test_series_questions_are_few),
                              SUITE_CASE(test_many_series),
                              SUITE_CASE(test_many_patients),
                              SUITE_CASE(test_ledger_failures),
                              CU_TEST_INFO_NULL};

SUITE_MAIN("validate", cases)
