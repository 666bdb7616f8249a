/* A restart is an ordinary event: what recovery adopts, grants and puts aside. */
#include "bridge_bench.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const char ct_alone[] =
    "- {name: ct, called: AURABRIDGE, calling: CT1, destination: main, quiet_period: 5s}\n";
static const char nobody[] = "- {name: other, called: AURABRIDGE, calling: NOBODY, "
                             "destination: main}\n";

/* As if the power had failed between publication and row. */
static void lose_ledger(struct bench *bench)
{
    static const char *const endings[] = {"", "-wal", "-shm"};
    for (size_t i = 0; i < 3; i++) {
        char path[160];
        (void)snprintf(path, sizeof path, "%s/ledger.sqlite%s", bench->spool, endings[i]);
        (void)unlink(path);
    }
}

/* The one file of the one study. */
static void only_file(struct bench *bench, char out[600])
{
    char folder[300];
    (void)snprintf(folder, sizeof folder, "%s/studies", bench->spool);
    (void)snprintf(out, 600, "%s", folder);
    for (int depth = 0; depth < 2; depth++) {
        DIR *entries = opendir(out);
        CU_ASSERT_PTR_NOT_NULL_FATAL(entries);
        struct dirent *entry = readdir(entries);
        while (entry && entry->d_name[0] == '.')
            entry = readdir(entries);
        CU_ASSERT_PTR_NOT_NULL_FATAL(entry);
        size_t used = strlen(out);
        (void)snprintf(out + used, 600 - used, "/%s", entry->d_name);
        CU_ASSERT_EQUAL(closedir(entries), 0);
    }
}

static void test_files_without_rows_are_adopted_as_received(void)
{
    struct bench bench;
    bench_open(&bench, ct_alone);
    (void)SEND(&bench, .sop = "1.2.3.1", .patient = "PAT1");
    (void)SEND(&bench, .sop = "1.2.3.2", .patient = "PAT1");
    struct ledger_study before = bench_study(&bench, 1);
    bench_stop(&bench);
    lose_ledger(&bench);
    bench_start(&bench, nobody); /* the map has lost the entry meanwhile; the spool kept it */
    struct ledger_study after = bench_study(&bench, 1);
    CU_ASSERT_EQUAL(after.instances, 2);
    CU_ASSERT_STRING_EQUAL(after.route_key, before.route_key);
    CU_ASSERT_STRING_EQUAL(after.study_instance_uid, before.study_instance_uid);
    CU_ASSERT_STRING_EQUAL(after.entry_name, "ct");
    CU_ASSERT_STRING_EQUAL(after.destination, "main");
    CU_ASSERT_EQUAL(bench_files(&bench, "studies"), 2);
    /* What is adopted is known: it is a resend when it comes again. */
    (void)SEND(&bench, .sop = "1.2.3.1", .patient = "PAT1");
    CU_ASSERT_EQUAL(bench_files(&bench, "studies"), 3 - (bench_study(&bench, 1).resends > 0));
    bench_close(&bench);
}

static void test_damaged_entry_does_not_stop_the_bridge(void)
{
    struct bench bench;
    char path[160];
    bench_open(&bench, ct_alone);
    (void)SEND(&bench, .sop = "1.2.3.1");
    (void)snprintf(path, sizeof path, "%s/entries/%s.json", bench.spool,
                   bench_study(&bench, 1).route_key);
    bench_stop(&bench);
    lose_ledger(&bench);
    int file = open(path, O_WRONLY | O_TRUNC | O_CLOEXEC);
    CU_ASSERT_EQUAL(write(file, "{\"name\": ", 9), 9);
    CU_ASSERT_EQUAL(close(file), 0);
    bench_start(&bench, nobody);
    CU_ASSERT_EQUAL(bench_study(&bench, 1).instances, 1);
    CU_ASSERT_STRING_EQUAL(bench_study(&bench, 1).destination, "");
    bench_assemble(&bench);
    bench_pass(&bench, BENCH_QUIET_MS);
    CU_ASSERT_TRUE(bench_becomes(&bench, 1, STUDY_UNROUTED));
    /* No other study is hindered. */
    CU_ASSERT_EQUAL(
        SEND(&bench, .calling = "NOBODY", .study = "1.2.4", .series = "1.2.4.9", .sop = "1.2.4.1")
            .status,
        DIMSE_SUCCESS);
    bench_hang_up(&bench, 0);
    bench_pass(&bench, BENCH_QUIET_MS);
    CU_ASSERT_TRUE(bench_becomes(&bench, 2, STUDY_READY));
    bench_close(&bench);
}

static void test_missing_or_short_file_quarantines(void)
{
    for (int is_short = 0; is_short < 2; is_short++) {
        struct bench bench;
        char path[600];
        bench_open(&bench, NULL);
        (void)SEND(&bench, .sop = "1.2.3.1");
        bench_stop(&bench);
        only_file(&bench, path);
        CU_ASSERT_EQUAL(is_short ? truncate(path, 10) : unlink(path), 0);
        bench_start(&bench, NULL);
        CU_ASSERT_EQUAL(bench_study(&bench, 1).state, STUDY_QUARANTINED);
        CU_ASSERT_EQUAL(bench_study(&bench, 1).instances, 1);
        CU_ASSERT_PTR_NOT_NULL(strstr(bench_study(&bench, 1).reason, "missing"));
        bench_close(&bench);
    }
}

/* What is acknowledged as known must be there: a resend mends what was lost. */
static void test_resend_takes_the_place_of_a_lost_file(void)
{
    for (int is_short = 0; is_short < 2; is_short++) {
        struct bench bench;
        char path[600];
        bench_open(&bench, NULL);
        (void)SEND(&bench, .sop = "1.2.3.1");
        bench_stop(&bench);
        only_file(&bench, path);
        CU_ASSERT_EQUAL(is_short ? truncate(path, 10) : unlink(path), 0);
        bench_start(&bench, NULL);
        CU_ASSERT_EQUAL(SEND(&bench, .sop = "1.2.3.1").status, DIMSE_SUCCESS);
        CU_ASSERT_EQUAL(bench_files(&bench, "studies"), 1);
        CU_ASSERT_EQUAL(SEND(&bench, .sop = "1.2.3.1").status, DIMSE_SUCCESS);
        CU_ASSERT_EQUAL(bench_files(&bench, "studies"), 1);
        CU_ASSERT_EQUAL(bench_study(&bench, 1).instances, 1);
        CU_ASSERT_EQUAL(bench_study(&bench, 1).resends, 2);
        /* Released, it stays so over a restart: nothing is missing any more. */
        CU_ASSERT_EQUAL(ledger_study_release(bench.bridge->ledger, 1, NULL, NULL, &bench.err), 0);
        bench_stop(&bench);
        bench_start(&bench, NULL);
        CU_ASSERT_EQUAL(bench_study(&bench, 1).state, STUDY_VALIDATING);
        bench_close(&bench);
    }
}

/* It went into quarantine before it had met the drop rules. */
static void test_released_after_a_loss_meets_the_drop_rules(void)
{
    struct bench bench;
    char path[600];
    bench_open(&bench, ct_alone);
    (void)SEND(&bench, .sop = "1.2.3.1");
    only_file(&bench, path);
    (void)SEND(&bench, .sop = "1.2.3.2", .sop_class = "1.2.840.10008.1.3.10");
    bench_stop(&bench);
    CU_ASSERT_EQUAL(unlink(path), 0);
    bench_start(&bench, NULL);
    CU_ASSERT_EQUAL(bench_study(&bench, 1).state, STUDY_QUARANTINED);
    CU_ASSERT_EQUAL(SEND(&bench, .sop = "1.2.3.1").status, DIMSE_SUCCESS); /* mends it */
    CU_ASSERT_EQUAL(ledger_study_release(bench.bridge->ledger, 1, NULL, NULL, &bench.err), 0);
    bench_assemble(&bench);
    CU_ASSERT_TRUE(bench_becomes(&bench, 1, STUDY_READY));
    CU_ASSERT_EQUAL(bench_study(&bench, 1).instances, 1);
    CU_ASSERT_EQUAL(bench_study(&bench, 1).dropped, 1);
    bench_close(&bench);
}

/* Killed between the record of the resend and the change of the row. */
static void test_resend_without_row_takes_the_place_of_a_lost_file(void)
{
    struct bench bench;
    char path[600], copy[640];
    bench_open(&bench, NULL);
    (void)SEND(&bench, .sop = "1.2.3.1");
    bench_stop(&bench);
    only_file(&bench, path);
    (void)snprintf(copy, sizeof copy, "%s", path);
    memcpy(copy + strlen(copy) - strlen("0123456789abcdef.dcm"), "0123456789abcdef", 16);
    CU_ASSERT_EQUAL(rename(path, copy), 0);
    bench_start(&bench, NULL);
    CU_ASSERT_EQUAL(bench_study(&bench, 1).state, STUDY_RECEIVING);
    CU_ASSERT_EQUAL(bench_study(&bench, 1).instances, 1);
    CU_ASSERT_EQUAL(bench_files(&bench, "studies"), 1);
    bench_close(&bench);
}

static void test_half_received_files_go(void)
{
    struct bench bench;
    char path[160];
    bench_open(&bench, NULL);
    (void)snprintf(path, sizeof path, "%s/incoming/abc.part", bench.spool);
    bench_stop(&bench);
    int file = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    CU_ASSERT_FATAL(file >= 0);
    CU_ASSERT_EQUAL(close(file), 0);
    bench_start(&bench, NULL);
    CU_ASSERT_EQUAL(bench_files(&bench, "incoming"), 0);
    bench_close(&bench);
}

static void test_foreign_file_is_left_alone(void)
{
    struct bench bench;
    char path[600];
    bench_open(&bench, NULL);
    (void)SEND(&bench, .sop = "1.2.3.1");
    bench_stop(&bench);
    lose_ledger(&bench);
    only_file(&bench, path);
    int file = open(path, O_WRONLY | O_TRUNC | O_CLOEXEC);
    CU_ASSERT_EQUAL(write(file, "no DICOM", 8), 8);
    CU_ASSERT_EQUAL(close(file), 0);
    bench_start(&bench, NULL);
    struct ledger_study study;
    CU_ASSERT_EQUAL(ledger_study(bench.bridge->ledger, &study, 1, &bench.err), LEDGER_NOT_FOUND);
    CU_ASSERT_EQUAL(bench_files(&bench, "studies"), 1);
    bench_close(&bench);
}

static void test_sender_that_was_cut_off_has_a_quiet_period(void)
{
    struct bench bench;
    bench_open(&bench, NULL);
    (void)SEND(&bench, .sop = "1.2.3.1");
    bench_stop(&bench);
    atomic_fetch_add(&bench.wall_ms, 10 * BENCH_QUIET_MS); /* the machine was off for a while */
    bench_start(&bench, NULL);
    int64_t now = atomic_load(&bench.wall_ms);
    CU_ASSERT_EQUAL(bench_study(&bench, 1).due_ms, now + BENCH_QUIET_MS);
    bench_assemble(&bench);
    (void)SEND(&bench, .sop = "1.2.3.2");
    CU_ASSERT_EQUAL(bench_study(&bench, 1).instances, 2);
    bench_stop(&bench);
    atomic_fetch_add(&bench.wall_ms, BENCH_WAIT_MS); /* and once more: max_wait is over */
    bench_start(&bench, NULL);
    bench_assemble(&bench);
    CU_ASSERT_TRUE(bench_becomes(&bench, 1, STUDY_READY));
    bench_close(&bench);
}

static void test_validating_goes_on_after_a_restart(void)
{
    struct bench bench;
    bench_open(&bench, NULL);
    (void)SEND(&bench, .sop = "1.2.3.1");
    CU_ASSERT_EQUAL(ledger_advance(bench.bridge->ledger, 1, STUDY_RECEIVING, STUDY_VALIDATING,
                                   "test", &bench.err),
                    0);
    bench_stop(&bench);
    bench_start(&bench, NULL);
    bench_assemble(&bench);
    CU_ASSERT_TRUE(bench_becomes(&bench, 1, STUDY_READY));
    bench_close(&bench);
}

static void test_retry_of_a_clock_that_ran_ahead_is_due(void)
{
    struct bench bench;
    bench_open(&bench, NULL);
    (void)SEND(&bench, .sop = "1.2.3.1");
    struct ledger *ledger = bench.bridge->ledger;
    static const enum study_state way[] = {STUDY_RECEIVING, STUDY_VALIDATING, STUDY_READY};
    for (size_t i = 0; i + 1 < sizeof way / sizeof *way; i++)
        CU_ASSERT_EQUAL(ledger_advance(ledger, 1, way[i], way[i + 1], "test", &bench.err), 0);
    int64_t in_two_years = atomic_load(&bench.wall_ms) + 2LL * 365 * 24 * 3600 * 1000;
    CU_ASSERT_EQUAL(ledger_defer(ledger, 1, in_two_years, "away", true, &bench.err), 0);
    bench_stop(&bench);
    bench_start(&bench, NULL);
    CU_ASSERT_EQUAL(bench_study(&bench, 1).retry_at_ms, 0);
    CU_ASSERT_EQUAL(bench_study(&bench, 1).state, STUDY_READY);
    bench_close(&bench);
}

static CU_TestInfo cases[] = {
    SUITE_CASE(test_files_without_rows_are_adopted_as_received),
    SUITE_CASE(test_damaged_entry_does_not_stop_the_bridge),
    SUITE_CASE(test_missing_or_short_file_quarantines),
    SUITE_CASE(test_resend_takes_the_place_of_a_lost_file),
    SUITE_CASE(test_released_after_a_loss_meets_the_drop_rules),
    SUITE_CASE(test_resend_without_row_takes_the_place_of_a_lost_file),
    SUITE_CASE(test_half_received_files_go),
    SUITE_CASE(test_foreign_file_is_left_alone),
    SUITE_CASE(test_sender_that_was_cut_off_has_a_quiet_period),
    SUITE_CASE(test_validating_goes_on_after_a_restart),
    SUITE_CASE(test_retry_of_a_clock_that_ran_ahead_is_due),
    CU_TEST_INFO_NULL,
};
SUITE_MAIN("pipeline_recovery", cases)
