/* Instance rows and the questions that span studies. */
#include "bench.h"

#include <stdio.h>
#include <string.h>

struct visit {
    struct bench *bench;
    unsigned count;
    int64_t last;
    struct ledger_instance first;
};

static int note_instance(void *context, const struct ledger_instance *instance)
{
    struct visit *visit = context;
    CU_ASSERT_TRUE(instance->id > visit->last);
    visit->last = instance->id;
    if (visit->count++ == 0)
        visit->first = *instance;
    return 0;
}

static unsigned count_instances(struct bench *bench, int64_t study, int disposition)
{
    static struct visit visit;
    memset(&visit, 0, sizeof visit);
    CU_ASSERT_EQUAL(
        ledger_instances(bench->ledger, study, disposition, note_instance, &visit, &bench->err), 0);
    return visit.count;
}

/* What goes in comes out, patient data in any script included. */
static void test_a_row_is_read_as_written(void)
{
    struct bench *bench = bench_new(true);
    const struct sent sent = {.sop = "1.1", .size = 123456, .truncated = true, .file = "f/1.dcm"};
    struct ledger_arrival arrival = *bench_arrival(bench, &sent);
    struct stored_instance stored = *arrival.instance;
    struct attributes attributes = {0};
    const char *name = "Yamada^Tarou=山田^太郎=やまだ^たろう \"\\\n";
    attributes_set(&attributes, ATTRIBUTE_PATIENT_NAME, name, strlen(name));
    attributes_set(&attributes, ATTRIBUTE_SERIES_NUMBER, "7", 1);
    stored.attributes = &attributes;
    arrival.instance = &stored;
    struct ledger_arrival_outcome outcome;
    CU_ASSERT_EQUAL(ledger_instance_received(bench->ledger, &outcome, &arrival, NULL), 0);
    bench_reopen(bench);

    static struct visit visit;
    CU_ASSERT_EQUAL(ledger_instances(bench->ledger, 1, -1, note_instance, &visit, NULL), 0);
    const struct ledger_instance *found = &visit.first;
    CU_ASSERT_EQUAL(visit.count, 1);
    CU_ASSERT_EQUAL(found->study_id, 1);
    CU_ASSERT_EQUAL(found->disposition, INSTANCE_STORED);
    CU_ASSERT_STRING_EQUAL(found->request.sop_class_uid, "1.2.840.10008.5.1.4.1.1.2");
    CU_ASSERT_STRING_EQUAL(found->request.sop_instance_uid, "1.1");
    CU_ASSERT_STRING_EQUAL(found->request.transfer_syntax_uid, "1.2.840.10008.1.2.1");
    CU_ASSERT_STRING_EQUAL(found->series_instance_uid, "1.2.3.9");
    CU_ASSERT_EQUAL(found->association.id, 0);
    CU_ASSERT_STRING_EQUAL(found->association.calling_ae_title, "CT1");
    CU_ASSERT_STRING_EQUAL(found->association.called_ae_title, "AURABRIDGE");
    CU_ASSERT_STRING_EQUAL(found->association.peer_address, "10.1.2.3");
    CU_ASSERT_STRING_EQUAL(found->file_name, "f/1.dcm");
    CU_ASSERT_EQUAL(memcmp(found->data_set_sha256, stored.data_set_sha256, SHA256_SIZE), 0);
    CU_ASSERT_EQUAL(found->file_crc32, 0xFEDCBA98);
    CU_ASSERT_EQUAL(found->file_size, 123456);
    CU_ASSERT_EQUAL(found->data_set_offset, 300);
    CU_ASSERT_EQUAL(found->received_ms, bench->now);
    CU_ASSERT_EQUAL(found->ending.ending, DATASET_TRUNCATED);
    CU_ASSERT_EQUAL(found->ending.tag, 0x7FE00010);
    CU_ASSERT_EQUAL(found->ending.missing, 77);
    CU_ASSERT_EQUAL(found->ending.offset, 900);
    CU_ASSERT_STRING_EQUAL(attributes_get(&found->attributes, ATTRIBUTE_PATIENT_NAME), name);
    CU_ASSERT_STRING_EQUAL(attributes_get(&found->attributes, ATTRIBUTE_SERIES_NUMBER), "7");
    CU_ASSERT_STRING_EQUAL(attributes_get(&found->attributes, ATTRIBUTE_PATIENT_ID), "");
    bench_free(bench);
}

static int drop_each(void *context, const struct ledger_instance *instance)
{
    struct visit *visit = context;
    visit->count++;
    return ledger_instance_drop(visit->bench->ledger, instance->id, "ExamCard", NULL);
}

static int stop_at_once(void *context, const struct ledger_instance *instance)
{
    (void)context;
    (void)instance;
    return 7;
}

static void test_drop_while_visiting(void)
{
    struct bench *bench = bench_new(true);
    char sop[32];
    for (int i = 0; i < 100; i++) {
        (void)snprintf(sop, sizeof sop, "1.%d", i);
        SEND(bench, .sop = sop, .size = 10, .truncated = i < 3);
    }
    SEND(bench, .study = "1.9", .sop = "9.1");
    CU_ASSERT_EQUAL(count_instances(bench, 1, -1), 100);
    CU_ASSERT_EQUAL(ledger_instances(bench->ledger, 1, -1, stop_at_once, NULL, NULL), 7);
    struct visit *visit = calloc(1, sizeof *visit);
    CU_ASSERT_PTR_NOT_NULL_FATAL(visit);
    visit->bench = bench;
    CU_ASSERT_EQUAL(
        ledger_instances(bench->ledger, 1, INSTANCE_STORED, drop_each, visit, &bench->err), 0);
    CU_ASSERT_EQUAL(visit->count, 100);
    free(visit);
    CU_ASSERT_EQUAL(count_instances(bench, 1, INSTANCE_STORED), 0);
    CU_ASSERT_EQUAL(count_instances(bench, 1, INSTANCE_DROPPED), 100);
    struct ledger_study study = bench_study(bench, 1);
    CU_ASSERT_EQUAL(study.instances, 0);
    CU_ASSERT_EQUAL(study.dropped, 100);
    CU_ASSERT_EQUAL(study.bytes, 0);
    CU_ASSERT_EQUAL(study.truncated, 0);
    CU_ASSERT_TRUE(bench_adds_up(bench));
    /* A dropped one is known: its resend is none the less one. */
    CU_ASSERT_EQUAL(SEND(bench, .sop = "1.5").kind, ARRIVAL_RESEND);
    bench_free(bench);
}

static void test_drop_is_refused(void)
{
    struct bench *bench = bench_new(false);
    SEND(bench, .sop = "1.1");
    SEND(bench, .sop = "1.2");
    CU_ASSERT_EQUAL(ledger_instance_drop(bench->ledger, 1, "rule", NULL), 0);
    CU_ASSERT_EQUAL(ledger_instance_drop(bench->ledger, 1, "rule", NULL), LEDGER_CONFLICT);
    CU_ASSERT_EQUAL(ledger_instance_drop(bench->ledger, 99, "rule", NULL), LEDGER_NOT_FOUND);
    bench_bring(bench, 1, STUDY_READY);
    CU_ASSERT_EQUAL(ledger_instance_drop(bench->ledger, 2, "rule", NULL), LEDGER_CONFLICT);
    CU_ASSERT_EQUAL(bench_study(bench, 1).instances, 1);
    CU_ASSERT_TRUE(bench_adds_up(bench));
    bench_free(bench);
}

static bool elsewhere(struct bench *bench, int64_t study, const char *series)
{
    bool answer = false;
    CU_ASSERT_EQUAL(ledger_series_elsewhere(bench->ledger, &answer, study, series, &bench->err), 0);
    return answer;
}

static void test_series_elsewhere(void)
{
    struct bench *bench = bench_new(true);
    SEND(bench, .study = "1.1", .series = "5.1", .sop = "1");
    SEND(bench, .study = "1.1", .series = "5.1", .sop = "2");
    SEND(bench, .study = "1.2", .series = "5.2", .sop = "3");
    SEND(bench, .study = "1.3", .series = "5.1", .sop = "4", .route = "bbbbbbbbbbbbbbbb");
    SEND(bench, .study = "1.1", .series = "5.1", .sop = "1", .version = 1); /* a supplement */
    CU_ASSERT_FALSE(elsewhere(bench, 1, "5.1"));
    CU_ASSERT_FALSE(elsewhere(bench, 4, "5.1"));
    CU_ASSERT_FALSE(elsewhere(bench, 1, "5.9"));
    CU_ASSERT_TRUE(elsewhere(bench, 1, "5.2"));
    SEND(bench, .study = "1.2", .series = "5.1", .sop = "6");
    CU_ASSERT_TRUE(elsewhere(bench, 1, "5.1"));
    CU_ASSERT_TRUE(elsewhere(bench, 2, "5.1"));
    bench_bring(bench, 2, STUDY_DISCARDED);
    CU_ASSERT_FALSE(elsewhere(bench, 1, "5.1"));
    bench_free(bench);
}

static bool differs(struct bench *bench, int64_t study, const char *patient, const char *issuer)
{
    bool answer = false;
    CU_ASSERT_EQUAL(
        ledger_other_patient(bench->ledger, &answer, study, patient, issuer, &bench->err), 0);
    return answer;
}

static void test_other_patient(void)
{
    struct bench *bench = bench_new(true);
    SEND(bench, .sop = "1", .patient = "A", .issuer = "H");
    bench_bring(bench, 1, STUDY_COMPLETED);
    SEND(bench, .sop = "2", .patient = "A", .issuer = "H");
    CU_ASSERT_FALSE(differs(bench, 2, "A", "H"));
    CU_ASSERT_TRUE(differs(bench, 2, "B", "H"));
    CU_ASSERT_TRUE(differs(bench, 2, "A", "G"));
    /* As within a study: who names no issuer, or no patient, contradicts nobody. */
    CU_ASSERT_FALSE(differs(bench, 2, "A", ""));
    SEND(bench, .sop = "6", .patient = "", .issuer = "");
    SEND(bench, .sop = "7", .patient = "A", .issuer = "");
    CU_ASSERT_FALSE(differs(bench, 1, "A", "H"));
    /* Its own instances, another route's and another study's do not count. */
    CU_ASSERT_FALSE(differs(bench, 1, "A", "H"));
    SEND(bench, .sop = "3", .patient = "C", .issuer = "H", .route = "bbbbbbbbbbbbbbbb");
    SEND(bench, .sop = "4", .patient = "C", .issuer = "H", .study = "1.9");
    CU_ASSERT_FALSE(differs(bench, 1, "A", "H"));
    /* A discarded generation does not count. */
    SEND(bench, .sop = "5", .patient = "B", .issuer = "H");
    CU_ASSERT_TRUE(differs(bench, 1, "A", "H"));
    bench_bring(bench, 2, STUDY_DISCARDED);
    CU_ASSERT_FALSE(differs(bench, 1, "A", "H"));
    bench_free(bench);
}

/* ---- as archives know them ---- */

static void test_members_are_the_rows(void)
{
    struct bench *bench = bench_new(true);
    struct ledger_member members[8];
    size_t count;
    (void)SEND(bench, .sop = "1.1", .size = 111, .file = "f/1.dcm");
    (void)SEND(bench, .study = "1.2.4", .series = "1.2.4.9", .sop = "2.1", .file = "g/1.dcm");
    (void)SEND(bench, .sop = "1.2", .size = 222, .file = "f/2.dcm");
    (void)SEND(bench, .sop = "1.3", .size = 333, .file = "f/3.dcm");
    CU_ASSERT_EQUAL(ledger_instance_drop(bench->ledger, 3, "rule", &bench->err), 0);
    bench_reopen(bench);
    CU_ASSERT_EQUAL(ledger_members(bench->ledger, 1, 0, members, 8, &count, &bench->err), 0);
    CU_ASSERT_EQUAL_FATAL(count, 3);
    CU_ASSERT_EQUAL(members[0].id, 1);
    CU_ASSERT_EQUAL(members[0].study_id, 1);
    CU_ASSERT_EQUAL(members[0].disposition, INSTANCE_STORED);
    CU_ASSERT_EQUAL(members[1].disposition, INSTANCE_DROPPED);
    CU_ASSERT_EQUAL(members[2].id, 4);
    CU_ASSERT_EQUAL(members[2].file_size, 333);
    CU_ASSERT_STRING_EQUAL(members[2].sop_instance_uid, "1.3");
    CU_ASSERT_STRING_EQUAL(members[2].transfer_syntax_uid, "1.2.840.10008.1.2.1");
    CU_ASSERT_STRING_EQUAL(members[2].file_name, "f/3.dcm");
    static struct visit visit;
    memset(&visit, 0, sizeof visit);
    CU_ASSERT_EQUAL(ledger_instances(bench->ledger, 1, -1, note_instance, &visit, &bench->err), 0);
    CU_ASSERT_EQUAL(members[0].file_crc32, visit.first.file_crc32);
    CU_ASSERT_EQUAL(ledger_members(bench->ledger, 1, 3, members, 8, &count, &bench->err), 0);
    CU_ASSERT_EQUAL(count, 1);
    CU_ASSERT_EQUAL(ledger_members(bench->ledger, 1, 0, members, 2, &count, &bench->err), 0);
    CU_ASSERT_EQUAL(count, 2);
    CU_ASSERT_EQUAL(ledger_members(bench->ledger, 9, 0, members, 8, &count, &bench->err), 0);
    CU_ASSERT_EQUAL(count, 0);
    uint64_t place = 9;
    CU_ASSERT_EQUAL(ledger_member_place(bench->ledger, &place, 1, 4, &bench->err), 0);
    CU_ASSERT_EQUAL(place, 2); /* the dropped one has its place */
    bench_free(bench);
}

/* Who follows the rows sees each once, and finds the beginning of what is still being received. */
static void test_members_are_followed(void)
{
    struct bench *bench = bench_new(false);
    struct ledger_member members[8];
    size_t count;
    int64_t after = 77;
    CU_ASSERT_EQUAL(ledger_members_open(bench->ledger, &after, &bench->err), 0);
    CU_ASSERT_EQUAL(after, 0);
    (void)SEND(bench, .sop = "1.1");
    (void)SEND(bench, .study = "1.2.4", .series = "1.2.4.9", .sop = "2.1");
    (void)SEND(bench, .study = "1.2.4", .series = "1.2.4.9", .sop = "2.2", .destination = "");
    CU_ASSERT_EQUAL(ledger_members_since(bench->ledger, &after, members, 2, &count, &bench->err),
                    0);
    CU_ASSERT_EQUAL_FATAL(count, 2);
    CU_ASSERT_EQUAL(members[1].study_id, 2);
    CU_ASSERT_EQUAL(members[1].study_state, STUDY_RECEIVING);
    CU_ASSERT_TRUE(members[1].has_destination);
    CU_ASSERT_EQUAL(ledger_members_since(bench->ledger, &after, members, 8, &count, &bench->err),
                    0);
    CU_ASSERT_EQUAL(count, 1);
    CU_ASSERT_EQUAL(after, 3);
    CU_ASSERT_EQUAL(ledger_members_since(bench->ledger, &after, members, 8, &count, &bench->err),
                    0);
    CU_ASSERT_EQUAL(count, 0);
    CU_ASSERT_EQUAL(after, 3);
    bench_bring(bench, 1, STUDY_READY);
    CU_ASSERT_EQUAL(ledger_members_open(bench->ledger, &after, &bench->err), 0);
    CU_ASSERT_EQUAL(after, 1); /* the first of study 2 comes next */
    bench_bring(bench, 2, STUDY_READY);
    CU_ASSERT_EQUAL(ledger_members_open(bench->ledger, &after, &bench->err), 0);
    CU_ASSERT_EQUAL(after, 3);
    after = 1000; /* the newest rows were trimmed: their ids come again */
    CU_ASSERT_EQUAL(ledger_members_since(bench->ledger, &after, members, 8, &count, &bench->err),
                    0);
    CU_ASSERT_EQUAL(after, 3);
    (void)SEND(bench, .study = "1.2.5", .series = "1.2.5.9", .sop = "3.1", .destination = "");
    CU_ASSERT_EQUAL(ledger_members_since(bench->ledger, &after, members, 8, &count, &bench->err),
                    0);
    CU_ASSERT_EQUAL(count, 1);
    bench_free(bench);
}

static CU_TestInfo cases[] = {SUITE_CASE(test_a_row_is_read_as_written),
                              SUITE_CASE(test_drop_while_visiting),
                              SUITE_CASE(test_drop_is_refused),
                              SUITE_CASE(test_series_elsewhere),
                              SUITE_CASE(test_other_patient),
                              SUITE_CASE(test_members_are_the_rows),
                              SUITE_CASE(test_members_are_followed),
                              CU_TEST_INFO_NULL};
SUITE_MAIN("ledger: instances", cases)
