/* Files, retention and totals. */
#include "bench.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* The row names no file any more, as it names this one. */
static void remove_named(struct bench *bench, int64_t id, const char *name)
{
    struct ledger_file file = {.instance_id = id};
    (void)snprintf(file.name, sizeof file.name, "%s", name);
    CU_ASSERT_EQUAL(ledger_files_removed(bench->ledger, &file, 1, NULL), 0);
}

static void test_files(void)
{
    struct bench *bench = bench_new(true);
    bool known = true;
    CU_ASSERT_EQUAL(ledger_file_is_known(bench->ledger, "a.dcm", &known, NULL), 0);
    CU_ASSERT_FALSE(known);
    SEND(bench, .sop = "1", .file = "a.dcm");
    CU_ASSERT_EQUAL(ledger_file_is_known(bench->ledger, "a.dcm", &known, NULL), 0);
    CU_ASSERT_TRUE(known);
    remove_named(bench, 1, "b.dcm"); /* which it does not name */
    CU_ASSERT_EQUAL(ledger_file_is_known(bench->ledger, "a.dcm", &known, NULL), 0);
    CU_ASSERT_TRUE(known);
    remove_named(bench, 1, "a.dcm");
    remove_named(bench, 1, "a.dcm");
    CU_ASSERT_EQUAL(ledger_file_is_known(bench->ledger, "a.dcm", &known, NULL), 0);
    CU_ASSERT_FALSE(known);
    CU_ASSERT_EQUAL(bench_study(bench, 1).instances, 1); /* the row stays */
    bench_free(bench);
}

/* A file is lost, and the sender gives it again under another name. */
static void test_lost_file_is_replaced(void)
{
    struct bench *bench = bench_new(true);
    bool known = false;
    SEND(bench, .sop = "1", .file = "a.dcm", .size = 10);
    SEND(bench, .sop = "2", .file = "b.dcm", .size = 10);
    const struct sent again = {.sop = "1", .file = "c.dcm", .size = 12};
    struct ledger_arrival_outcome outcome = bench_send(bench, &again);
    CU_ASSERT_EQUAL(outcome.kind, ARRIVAL_RESEND);
    CU_ASSERT_EQUAL(outcome.resent_id, 1);
    CU_ASSERT_EQUAL(outcome.resent_size, 10);
    CU_ASSERT_STRING_EQUAL(outcome.resent_file, "a.dcm");
    const struct ledger_arrival *arrival = bench_arrival(bench, &again);
    CU_ASSERT_EQUAL(ledger_file_replaced(bench->ledger, 2, "b.dcm", arrival, &bench->err),
                    LEDGER_CONFLICT); /* another data set */
    CU_ASSERT_EQUAL(ledger_file_replaced(bench->ledger, 1, "a.dcm", arrival, &bench->err), 0);
    CU_ASSERT_EQUAL(ledger_file_replaced(bench->ledger, 1, "a.dcm", arrival, &bench->err),
                    LEDGER_CONFLICT);
    CU_ASSERT_EQUAL(ledger_file_is_known(bench->ledger, "c.dcm", &known, NULL), 0);
    CU_ASSERT_TRUE(known);
    CU_ASSERT_EQUAL(ledger_file_is_known(bench->ledger, "a.dcm", &known, NULL), 0);
    CU_ASSERT_FALSE(known);
    CU_ASSERT_EQUAL(bench_study(bench, 1).bytes, 22);
    CU_ASSERT_EQUAL(bench_study(bench, 1).instances, 2);
    CU_ASSERT_TRUE(bench_adds_up(bench));
    /* What is new, completed or superseded has no file that a resend could be needed for. */
    CU_ASSERT_EQUAL(SEND(bench, .sop = "3").resent_id, 0);
    CU_ASSERT_EQUAL(
        SEND(bench, .sop = "1", .version = 1, .policy = CHANGED_DUPLICATE_KEEP_FIRST).resent_id, 0);
    CU_ASSERT_EQUAL(SEND(bench, .sop = "1", .version = 1).resent_id, 0);
    bench_bring(bench, 1, STUDY_COMPLETED);
    CU_ASSERT_EQUAL(SEND(bench, .sop = "1").resent_id, 0);
    bench_free(bench);
}

/* Versions in their order, with those that were let go. */
static void test_versions(void)
{
    struct bench *bench = bench_new(true);
    struct ledger_version version = {.instance_id = 0};
    SEND(bench, .sop = "1", .file = "a.dcm", .size = 10);
    SEND(bench, .sop = "1", .version = 1, .policy = CHANGED_DUPLICATE_KEEP_FIRST);
    SEND(bench, .sop = "2", .file = "b.dcm");
    SEND(bench, .sop = "1", .study = "1.9");
    SEND(bench, .sop = "1", .route = "bbbbbbbbbbbbbbbb");
    const struct ledger_arrival *arrival =
        bench_arrival(bench, &(const struct sent){.sop = "1", .version = 1});
    CU_ASSERT_EQUAL(ledger_version_next(bench->ledger, &version, arrival, 0, NULL), 0);
    CU_ASSERT_EQUAL(version.instance_id, 1);
    CU_ASSERT_EQUAL(version.study_id, 1);
    CU_ASSERT_EQUAL(version.disposition, INSTANCE_STORED);
    CU_ASSERT_EQUAL(version.state, STUDY_RECEIVING);
    CU_ASSERT_FALSE(version.is_identical);
    CU_ASSERT_STRING_EQUAL(version.file_name, "a.dcm");
    CU_ASSERT_EQUAL(version.file_size, 10);
    CU_ASSERT_EQUAL(ledger_version_next(bench->ledger, &version, arrival, 1, NULL), 0);
    CU_ASSERT_EQUAL(version.disposition, INSTANCE_SUPERSEDED);
    CU_ASSERT_TRUE(version.is_identical);
    CU_ASSERT_STRING_EQUAL(version.file_name, "");
    CU_ASSERT_EQUAL(
        ledger_version_next(bench->ledger, &version, arrival, version.instance_id, NULL),
        LEDGER_NOT_FOUND);
    CU_ASSERT_FALSE(version.is_let_go);
    bench->now += 5000;
    CU_ASSERT_EQUAL(ledger_study_discard(bench->ledger, 1, "test", NULL), 0);
    CU_ASSERT_EQUAL(ledger_version_next(bench->ledger, &version, arrival, 0, NULL), 0);
    CU_ASSERT_TRUE(version.is_let_go);
    CU_ASSERT_EQUAL(version.let_go_ms, bench->now);
    bench_free(bench);
}

/* A row gets another file; counts of files and bytes go with it. */
/* What the server has of the lost one may be damaged; what it has whole was checked. */
static void test_replaced_file_begins_the_upload_anew(void)
{
    static const struct {
        enum ledger_step before, after;
    } rows[] = {{STEP_START_DONE, STEP_START_DONE},
                {STEP_UPLOAD_CREATED, STEP_START_DONE},
                {STEP_UPLOAD_DONE, STEP_UPLOAD_DONE}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct bench *bench = bench_new(true);
        SEND(bench, .sop = "1", .file = "a.dcm", .size = 10);
        bench_bring(bench, 1, STUDY_UPLOADING);
        const struct ledger_upload upload = {.upload_id = "u",
                                             .step = rows[i].before,
                                             .upload_url = "http://tus/1",
                                             .upload_offset = 7};
        CU_ASSERT_EQUAL(ledger_upload_put(bench->ledger, 1, &upload, &bench->err), 0);
        const struct sent again = {.sop = "1", .file = "c.dcm", .size = 10};
        CU_ASSERT_EQUAL(ledger_file_replaced(bench->ledger, 1, "a.dcm",
                                             bench_arrival(bench, &again), &bench->err),
                        0);
        bool is_given_up = rows[i].before == STEP_UPLOAD_CREATED;
        struct ledger_upload after = bench_study(bench, 1).upload;
        CU_ASSERT_EQUAL(after.step, rows[i].after);
        CU_ASSERT_STRING_EQUAL(after.upload_url, is_given_up ? "" : "http://tus/1");
        CU_ASSERT_EQUAL(after.upload_offset, is_given_up ? 0 : 7);
        bench_free(bench);
    }
}

static void test_found_file(void)
{
    struct bench *bench = bench_new(true);
    SEND(bench, .sop = "1", .file = "a.dcm", .size = 10);
    SEND(bench, .sop = "2", .file = "b.dcm", .size = 100);
    bool known = false;
    for (int had_file = 1; had_file >= 0; had_file--) {
        const char *name = had_file ? "c.dcm" : "d.dcm";
        const struct sent again = {.sop = "1", .file = name, .size = 17};
        const struct ledger_arrival *arrival = bench_arrival(bench, &again);
        if (!had_file)
            remove_named(bench, 1, "c.dcm");
        CU_ASSERT_EQUAL(ledger_file_replaced(bench->ledger, 1, "e.dcm", arrival, NULL),
                        LEDGER_CONFLICT);
        CU_ASSERT_EQUAL(
            ledger_file_replaced(bench->ledger, 1, had_file ? "a.dcm" : "", arrival, NULL), 0);
        CU_ASSERT_EQUAL(ledger_file_is_known(bench->ledger, name, &known, NULL), 0);
        CU_ASSERT_TRUE(known);
        CU_ASSERT_EQUAL(bench_study(bench, 1).bytes, 117);
        CU_ASSERT_EQUAL(bench_study(bench, 1).instances, 2);
    }
    CU_ASSERT_EQUAL(ledger_file_is_known(bench->ledger, "a.dcm", &known, NULL), 0);
    CU_ASSERT_FALSE(known);
    CU_ASSERT_TRUE(bench_adds_up(bench));
    /* Its count of files is right: the rows are trimmed when both are gone, and not before. */
    unsigned removed = 0;
    bench_bring(bench, 1, STUDY_COMPLETED);
    remove_named(bench, 1, "d.dcm");
    CU_ASSERT_EQUAL(ledger_trim(bench->ledger, INT64_MAX, &removed, NULL), 0);
    CU_ASSERT_EQUAL(removed, 0);
    remove_named(bench, 2, "b.dcm");
    CU_ASSERT_EQUAL(ledger_trim(bench->ledger, INT64_MAX, &removed, NULL), 0);
    CU_ASSERT_EQUAL(removed, 1);
    bench_free(bench);
}

struct files {
    struct ledger *ledger;
    unsigned count;
    uint64_t bytes;
    bool remove;
};

static int note_file(void *context, int64_t study_id, int64_t instance_id, const char *file_name,
                     uint64_t file_size)
{
    struct files *files = context;
    CU_ASSERT_TRUE(study_id > 0 && file_name[0] != '\0');
    files->count++;
    files->bytes += file_size;
    if (!files->remove)
        return 0;
    struct ledger_file file = {.instance_id = instance_id};
    (void)snprintf(file.name, sizeof file.name, "%s", file_name);
    return ledger_files_removed(files->ledger, &file, 1, NULL);
}

static void test_all_files(void)
{
    struct bench *bench = bench_new(true);
    for (int i = 0; i < 600; i++) {
        char uid[32];
        (void)snprintf(uid, sizeof uid, "1.%d", i);
        SEND(bench, .sop = uid, .study = i % 2 ? "5.1" : "5.2", .size = 10);
    }
    SEND(bench, .sop = "1.1", .study = "5.1", .version = 1,
         .policy = CHANGED_DUPLICATE_KEEP_FIRST); /* has no file */
    struct files files = {.ledger = bench->ledger, .remove = true};
    CU_ASSERT_EQUAL(ledger_files(bench->ledger, note_file, &files, NULL), 0);
    CU_ASSERT_EQUAL(files.count, 600);
    CU_ASSERT_EQUAL(files.bytes, 6000);
    files.count = 0;
    CU_ASSERT_EQUAL(ledger_files(bench->ledger, note_file, &files, NULL), 0);
    CU_ASSERT_EQUAL(files.count, 0);
    bench_free(bench);
}

static void test_clean_and_trim(void)
{
    struct bench *bench = bench_new(true);
    struct ledger *ledger = bench->ledger;
    struct ledger_to_clean at = {.id = 0};
    unsigned removed = 9;
    SEND(bench, .study = "1.1", .sop = "1");
    SEND(bench, .study = "1.1", .sop = "1");
    SEND(bench, .study = "1.2", .sop = "2");
    SEND(bench, .study = "1.3", .sop = "3");
    SEND(bench, .study = "1.4", .sop = "4");
    bench->now = 5000000;
    bench_bring(bench, 1, STUDY_COMPLETED);
    bench->now = 6000000;
    bench_bring(bench, 2, STUDY_DISCARDED);
    bench_bring(bench, 3, STUDY_FAILED);
    CU_ASSERT_EQUAL(ledger_next_to_clean(ledger, &at, 5000000, NULL), LEDGER_NOT_FOUND);
    CU_ASSERT_EQUAL(ledger_next_to_clean(ledger, &at, 5000001, NULL), 0);
    CU_ASSERT_EQUAL(at.id, 1);
    /* Rows that name files stay. */
    CU_ASSERT_EQUAL(ledger_trim(ledger, 9000000, &removed, NULL), 0);
    CU_ASSERT_EQUAL(removed, 0);
    for (int64_t study = 1; study <= 4; study++)
        CU_ASSERT_EQUAL(ledger_instances(ledger, study, -1, bench_remove_file, ledger, NULL), 0);
    at = (struct ledger_to_clean){.id = 0};
    CU_ASSERT_EQUAL(ledger_next_to_clean(ledger, &at, 9000000, NULL), LEDGER_NOT_FOUND);
    CU_ASSERT_EQUAL(ledger_trim(ledger, 5500000, &removed, NULL), 0);
    CU_ASSERT_EQUAL(removed, 1);
    struct ledger_study study;
    CU_ASSERT_EQUAL(ledger_study(ledger, &study, 1, NULL), LEDGER_NOT_FOUND);
    CU_ASSERT_EQUAL(bench_totals(bench).acknowledged, 3);
    CU_ASSERT_TRUE(bench_adds_up(bench));
    CU_ASSERT_EQUAL(ledger_trim(ledger, 9000000, &removed, NULL), 0);
    CU_ASSERT_EQUAL(removed, 1); /* the discarded one; failed and receiving ones stay */
    CU_ASSERT_TRUE(bench_adds_up(bench));
    /* Trimmed means unknown, and no id is given twice. */
    CU_ASSERT_EQUAL(SEND(bench, .study = "1.1", .sop = "1").study_id, 5);
    CU_ASSERT_EQUAL(bench_study(bench, 5).generation, 0);
    bench_free(bench);
}

/* Oldest end first, only what is over for good, and on past one that is left as it is. */
static void test_order_of_cleaning(void)
{
    struct bench *bench = bench_new(true);
    struct ledger_to_clean at = {.id = 0};
    static const enum study_state states[] = {
        STUDY_RECEIVING, STUDY_COMPLETED, STUDY_QUARANTINED, STUDY_READY,     STUDY_DISCARDED,
        STUDY_FAILED,    STUDY_CANCELLED, STUDY_UPLOADING,   STUDY_COMPLETED, STUDY_CONFIRMING};
    enum { COUNT = sizeof states / sizeof *states };
    for (int i = 0; i < COUNT; i++) {
        char study[32], sop[32];
        (void)snprintf(study, sizeof study, "1.%d", i);
        (void)snprintf(sop, sizeof sop, "2.%d", i);
        SEND(bench, .study = study, .sop = sop, .size = 100U + (unsigned)i);
    }
    for (int i = COUNT - 1; i >= 0; i--) { /* the last to come is the first to end */
        bench->now += 1000;
        if (states[i] != STUDY_RECEIVING)
            bench_bring(bench, i + 1, states[i]);
    }
    CU_ASSERT_EQUAL(ledger_next_to_clean(bench->ledger, &at, INT64_MAX, NULL), 0);
    CU_ASSERT_EQUAL(at.id, 9);
    CU_ASSERT_EQUAL(at.bytes, 108);
    CU_ASSERT_EQUAL(ledger_next_to_clean(bench->ledger, &at, INT64_MAX, NULL), 0);
    CU_ASSERT_EQUAL(at.id, 5);
    int64_t changed = bench_study(bench, 2).changed_ms;
    CU_ASSERT_EQUAL(ledger_next_to_clean(bench->ledger, &at, changed, NULL), LEDGER_NOT_FOUND);
    CU_ASSERT_EQUAL(ledger_next_to_clean(bench->ledger, &at, INT64_MAX, NULL), 0);
    CU_ASSERT_EQUAL(at.id, 2);
    CU_ASSERT_EQUAL(ledger_next_to_clean(bench->ledger, &at, INT64_MAX, NULL), LEDGER_NOT_FOUND);
    bench_free(bench);
}

static void test_files_in_pages(void)
{
    struct bench *bench = bench_new(true);
    struct ledger_file files[4];
    size_t count = 0;
    for (int i = 0; i < 6; i++) {
        char sop[32];
        (void)snprintf(sop, sizeof sop, "2.%d", i);
        SEND(bench, .study = i == 2 ? "1.9" : "1.1", .sop = sop);
    }
    bench_bring(bench, 1, STUDY_COMPLETED);
    CU_ASSERT_EQUAL(ledger_study_files(bench->ledger, 1, 0, files, 4, &count, NULL), 0);
    CU_ASSERT_EQUAL(count, 4);
    CU_ASSERT_EQUAL(files[2].instance_id, 4); /* the third is another study's */
    CU_ASSERT_EQUAL(ledger_files_removed(bench->ledger, files, count, NULL), 0);
    CU_ASSERT_EQUAL(ledger_files_removed(bench->ledger, files, count, NULL), 0); /* once counts */
    CU_ASSERT_EQUAL(
        ledger_study_files(bench->ledger, 1, files[3].instance_id, files, 4, &count, NULL), 0);
    CU_ASSERT_EQUAL(count, 1);
    struct ledger_to_clean at = {.id = 0};
    CU_ASSERT_EQUAL(ledger_next_to_clean(bench->ledger, &at, INT64_MAX, NULL), 0);
    /* A row that names another file by now keeps it. */
    struct ledger_file other = files[0];
    (void)snprintf(other.name, sizeof other.name, "other.dcm");
    CU_ASSERT_EQUAL(ledger_files_removed(bench->ledger, &other, 1, NULL), 0);
    CU_ASSERT_EQUAL(ledger_study_files(bench->ledger, 1, 0, files, 4, &count, NULL), 0);
    CU_ASSERT_EQUAL(count, 1);
    CU_ASSERT_EQUAL(ledger_files_removed(bench->ledger, files, 1, NULL), 0);
    at = (struct ledger_to_clean){.id = 0};
    CU_ASSERT_EQUAL(ledger_next_to_clean(bench->ledger, &at, INT64_MAX, NULL), LEDGER_NOT_FOUND);
    CU_ASSERT_EQUAL(ledger_study_files(bench->ledger, 2, 0, files, 4, &count, NULL), 0);
    CU_ASSERT_EQUAL(count, 1);
    CU_ASSERT_EQUAL(bench_study(bench, 1).instances, 5);
    CU_ASSERT_TRUE(bench_adds_up(bench));
    bench_free(bench);
}

static void test_trim_many(void)
{
    struct bench *bench = bench_new(false);
    enum { STUDIES = 30, EACH = 150 };
    for (int i = 0; i < STUDIES * EACH; i++) {
        char sop[32], study[32];
        (void)snprintf(sop, sizeof sop, "1.%d", i);
        (void)snprintf(study, sizeof study, "2.%d", i / EACH);
        SEND(bench, .sop = sop, .study = study, .file = "");
    }
    for (int64_t id = 1; id <= STUDIES; id++)
        bench_bring(bench, id, STUDY_COMPLETED);
    unsigned removed = 0;
    CU_ASSERT_EQUAL(ledger_trim(bench->ledger, bench->now + 1, &removed, NULL), 0);
    CU_ASSERT_EQUAL(removed, STUDIES);
    CU_ASSERT_EQUAL(bench_totals(bench).acknowledged, 0);
    bench_free(bench);
}

static void test_totals(void)
{
    struct bench *bench = bench_new(true);
    SEND(bench, .study = "1.1", .sop = "1", .size = 10);
    SEND(bench, .study = "1.1", .sop = "1");
    bench_bring(bench, 1, STUDY_COMPLETED);
    SEND(bench, .study = "1.1", .sop = "1");
    SEND(bench, .study = "1.1", .sop = "1", .version = 1, .policy = CHANGED_DUPLICATE_KEEP_FIRST);
    SEND(bench, .study = "1.2", .sop = "2", .size = 30);
    SEND(bench, .study = "1.2", .sop = "3", .size = 5);
    CU_ASSERT_EQUAL(ledger_instance_drop(bench->ledger, 4, "rule", NULL), 0);
    SEND(bench, .study = "1.3", .sop = "5");
    bench_bring(bench, 3, STUDY_DISCARDED);
    struct ledger_totals totals = bench_totals(bench);
    CU_ASSERT_EQUAL(totals.studies[STUDY_COMPLETED], 1);
    CU_ASSERT_EQUAL(totals.studies[STUDY_RECEIVING], 1);
    CU_ASSERT_EQUAL(totals.studies[STUDY_DISCARDED], 1);
    CU_ASSERT_EQUAL(totals.studies[STUDY_READY], 0);
    CU_ASSERT_EQUAL(totals.instances[STUDY_COMPLETED], 1);
    CU_ASSERT_EQUAL(totals.bytes[STUDY_COMPLETED], 10);
    CU_ASSERT_EQUAL(totals.instances[STUDY_RECEIVING], 1);
    CU_ASSERT_EQUAL(totals.bytes[STUDY_RECEIVING], 30);
    CU_ASSERT_EQUAL(totals.dropped, 1);
    CU_ASSERT_EQUAL(totals.superseded, 1);
    CU_ASSERT_EQUAL(totals.resends, 1);
    CU_ASSERT_EQUAL(totals.swallowed_resends, 1);
    CU_ASSERT_EQUAL(totals.discarded, 1);
    CU_ASSERT_EQUAL(totals.acknowledged, 7);
    CU_ASSERT_TRUE(bench_adds_up(bench));
    bench_free(bench);
}

static CU_TestInfo cases[] = {SUITE_CASE(test_files),
                              SUITE_CASE(test_versions),
                              SUITE_CASE(test_replaced_file_begins_the_upload_anew),
                              SUITE_CASE(test_found_file),
                              SUITE_CASE(test_all_files),
                              SUITE_CASE(test_lost_file_is_replaced),
                              SUITE_CASE(test_clean_and_trim),
                              SUITE_CASE(test_order_of_cleaning),
                              SUITE_CASE(test_files_in_pages),
                              SUITE_CASE(test_trim_many),
                              SUITE_CASE(test_totals),
                              CU_TEST_INFO_NULL};
SUITE_MAIN("ledger: retention", cases)
