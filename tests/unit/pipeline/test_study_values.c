/* A study's values: the first that is there counts, others are told of. */
#include "bridge_bench.h"
#include "study_values.h"

#include <string.h>

#define ACCESSION_NUMBER  0x00080050U
#define PATIENT_ID        0x00100020U
#define OTHER_PATIENT_IDS 0x00101000U /* not recorded: it is read from the files */
#define BODY_PART         0x00180015U

static void test_first_value_that_is_there(void)
{
    static const struct sent sent[] = {
        {.sop = "1.2.3.1"},
        {.sop = "1.2.3.2", .accession = "A-7", .other_patient_id = "X-1"},
        {.sop = "1.2.3.3", .accession = "A-7", .other_patient_id = "X-2"},
    };
    static const struct {
        uint32_t tag;
        const char *value;
        int differs;
    } rows[] = {
        {PATIENT_ID, "PAT1", 0},
        {ACCESSION_NUMBER, "A-7", 0},  /* empty in the first, the same elsewhere */
        {OTHER_PATIENT_IDS, "X-1", 1}, /* from the files */
        {BODY_PART, "", 0},
        {0x00091001, "", 0}, /* private, in no file */
    };
    struct bench bench;
    bench_open(&bench, NULL);
    for (size_t i = 0; i < sizeof sent / sizeof *sent; i++)
        CU_ASSERT_EQUAL(bench_send(&bench, &sent[i]).status, DIMSE_SUCCESS);
    struct study_values values;
    study_values_init(&values, bench.bridge->ledger, bench.bridge->spool, 1, "");
    struct attribute_source source = study_values_source(&values);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char value[ATTRIBUTE_VALUE_SIZE];
        int differs = -1;
        CU_ASSERT_EQUAL(source.first(source.context, rows[i].tag, value, &differs, &bench.err), 0);
        CU_ASSERT_STRING_EQUAL(value, rows[i].value);
        CU_ASSERT_EQUAL(differs, rows[i].differs);
    }
    bench_close(&bench);
}

static void test_recorded_values_that_differ(void)
{
    struct bench bench;
    bench_open(&bench, NULL);
    (void)SEND(&bench, .sop = "1.2.3.1", .accession = "A-7");
    (void)SEND(&bench, .sop = "1.2.3.2", .accession = "A-8");
    struct study_values values;
    study_values_init(&values, bench.bridge->ledger, bench.bridge->spool, 1, "");
    struct attribute_source source = study_values_source(&values);
    char value[ATTRIBUTE_VALUE_SIZE];
    int differs = 0;
    for (int again = 0; again < 2; again++) {
        CU_ASSERT_EQUAL(source.first(source.context, ACCESSION_NUMBER, value, &differs, &bench.err),
                        0);
        CU_ASSERT_STRING_EQUAL(value, "A-7");
        CU_ASSERT_EQUAL(differs, 1);
    }
    bench_close(&bench);
}

static void test_sender_is_the_first_instances(void)
{
    struct bench bench;
    struct association sender;
    bench_open(&bench, NULL);
    (void)SEND(&bench, .sop = "1.2.3.1", .calling = "CT1");
    (void)SEND(&bench, .sop = "1.2.3.2", .calling = "CT2");
    CU_ASSERT_EQUAL(study_sender(bench.bridge->ledger, 1, &sender, &bench.err), 0);
    CU_ASSERT_STRING_EQUAL(sender.calling_ae_title, "CT1");
    CU_ASSERT_STRING_EQUAL(sender.called_ae_title, "AURABRIDGE");
    CU_ASSERT_STRING_EQUAL(sender.peer_address, "10.1.2.3");
    bench_close(&bench);
}

static CU_TestInfo cases[] = {
    SUITE_CASE(test_first_value_that_is_there),
    SUITE_CASE(test_recorded_values_that_differ),
    SUITE_CASE(test_sender_is_the_first_instances),
    CU_TEST_INFO_NULL,
};
SUITE_MAIN("pipeline_study_values", cases)
