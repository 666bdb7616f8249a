/* The instance sink: what a sender hears, and what is left on disk by it. */
#include "bridge_bench.h"

#include <errno.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static atomic_bool ledger_sync_fails;

static bool is_of(int fd, const char *name)
{
    char link[64];
    char path[512] = "";
    (void)snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    return readlink(link, path, sizeof path - 1) > 0 && strstr(path, name) != NULL;
}

/* Instances' bytes with this in them are not given back by the journal; records are. */
static const char *unreadable;

ssize_t pread(int fd, void *bytes, size_t length, off_t offset)
{
    ssize_t got = syscall(SYS_pread64, fd, bytes, length, offset);
    if (!unreadable || got <= 0 || length >= JOURNAL_RECORD_MAX || !is_of(fd, ".segment") ||
        !memmem(bytes, (size_t)got, unreadable, strlen(unreadable)))
        return got;
    errno = EIO;
    return -1;
}

int fdatasync(int fd)
{
    if (!atomic_load(&ledger_sync_fails) || !is_of(fd, "/ledger.sqlite"))
        return (int)syscall(SYS_fdatasync, fd);
    errno = ENOSPC;
    return -1;
}

static void test_statuses_and_comments(void)
{
    static const struct {
        struct sent sent;
        uint16_t status;
        const char *comment;
    } rows[] = {
        {{.sop = "1.2.3.1"}, DIMSE_SUCCESS, ""},
        {{.study = ""}, DIMSE_CANNOT_UNDERSTAND, "No valid Study Instance UID in the data set"},
        {{.study = "1..2"}, DIMSE_CANNOT_UNDERSTAND, "No valid Study Instance UID in the data set"},
        {{.study = "../../etc"},
         DIMSE_CANNOT_UNDERSTAND,
         "No valid Study Instance UID in the data set"},
        {{.series = ""}, DIMSE_CANNOT_UNDERSTAND, "No valid Series Instance UID in the data set"},
        {{.sop = "", .command_sop = "1.2"},
         DIMSE_CANNOT_UNDERSTAND,
         "No valid SOP Instance UID in the data set"},
        {{.command_sop = "1.2.3.77"},
         DIMSE_DATA_SET_DOES_NOT_MATCH,
         "SOP Instance UID differs between command and data set"},
        {{.command_class = "1.2.840.10008.5.1.4.1.1.4"},
         DIMSE_DATA_SET_DOES_NOT_MATCH,
         "SOP Class UID differs between command and data set"},
        {{.sop = "1.2.3.2", .cut = 3}, DIMSE_SUCCESS, ""}, /* truncated: kept and told */
    };
    struct bench bench;
    bench_open(&bench, NULL);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct dimse_answer answer = bench_send(&bench, &rows[i].sent);
        CU_ASSERT_EQUAL(answer.status, rows[i].status);
        CU_ASSERT_STRING_EQUAL(answer.comment, rows[i].comment);
        CU_ASSERT_EQUAL(bench_files(&bench, "incoming"), 0);
    }
    CU_ASSERT_EQUAL(bench_files(&bench, "studies"), 2);
    CU_ASSERT_EQUAL(bench_study(&bench, 1).instances, 2);
    CU_ASSERT_EQUAL(bench_study(&bench, 1).truncated, 1);
    bench_close(&bench);
}

static void test_resend_leaves_one_file(void)
{
    struct bench bench;
    bench_open(&bench, NULL);
    for (int i = 0; i < 3; i++)
        CU_ASSERT_EQUAL(SEND(&bench, .association = 1).status, DIMSE_SUCCESS);
    CU_ASSERT_EQUAL(bench_files(&bench, "studies"), 1);
    CU_ASSERT_EQUAL(bench_study(&bench, 1).instances, 1);
    CU_ASSERT_EQUAL(bench_study(&bench, 1).resends, 2);
    bench_close(&bench);
}

static void set_policy(struct bench *bench, enum changed_duplicate policy)
{
    bench->bridge->config->study.on_changed_duplicate = policy;
}

static void test_replaced_file_is_removed(void)
{
    struct bench bench;
    bench_open(&bench, NULL);
    set_policy(&bench, CHANGED_DUPLICATE_REPLACE);
    CU_ASSERT_EQUAL(SEND(&bench, .pixels = "first").status, DIMSE_SUCCESS);
    CU_ASSERT_EQUAL(SEND(&bench, .pixels = "second").status, DIMSE_SUCCESS);
    CU_ASSERT_EQUAL(bench_files(&bench, "studies"), 1);
    CU_ASSERT_EQUAL(bench_study(&bench, 1).instances, 1);
    CU_ASSERT_EQUAL(bench_study(&bench, 1).superseded, 1);
    bench_close(&bench);
}

static void test_kept_first_removes_the_second(void)
{
    struct bench bench;
    bench_open(&bench, NULL);
    set_policy(&bench, CHANGED_DUPLICATE_KEEP_FIRST);
    CU_ASSERT_EQUAL(SEND(&bench, .pixels = "first").status, DIMSE_SUCCESS);
    CU_ASSERT_EQUAL(SEND(&bench, .pixels = "second").status, DIMSE_SUCCESS);
    CU_ASSERT_EQUAL(bench_files(&bench, "studies"), 1);
    CU_ASSERT_EQUAL(bench_study(&bench, 1).superseded, 1);
    bench_close(&bench);
}

static void test_no_space_is_a700_and_nothing_is_left(void)
{
    struct bench bench;
    struct error why = {""};
    bench_open(&bench, NULL);
    spool_set_reserve(bench.bridge->spool, UINT64_MAX / 2);
    CU_ASSERT_FALSE(bridge_may_accept(bench.bridge, &why));
    struct dimse_answer answer = SEND(&bench, .patient = "PAT1");
    CU_ASSERT_EQUAL(answer.status, DIMSE_OUT_OF_RESOURCES);
    CU_ASSERT_STRING_EQUAL(answer.comment, "Out of disk space, try again later");
    CU_ASSERT_EQUAL(bench_files(&bench, "incoming"), 0);
    CU_ASSERT_EQUAL(bench_files(&bench, "studies"), 0);
    bench_close(&bench);
}

static void test_broken_association_leaves_nothing(void)
{
    struct bench bench;
    bench_open(&bench, NULL);
    const struct instance_sink *sink = bridge_sink(bench.bridge);
    struct association association = {
        .id = 1, .calling_ae_title = "CT1", .called_ae_title = "AURABRIDGE"};
    struct instance_request request = {.sop_class_uid = "1.2.840.10008.5.1.4.1.1.2",
                                       .sop_instance_uid = "1.2.3.1",
                                       .transfer_syntax_uid = "1.2.840.10008.1.2.1"};
    struct instance *instance = NULL;
    struct dimse_answer answer;
    CU_ASSERT_EQUAL_FATAL(sink->begin(bench.bridge, &instance, &association, &request, &answer), 0);
    CU_ASSERT_EQUAL(sink->write(instance, "\x08\0\x16\0UI", 6, &answer), 0);
    sink->abort(instance);
    CU_ASSERT_EQUAL(bench_files(&bench, "incoming"), 0);
    CU_ASSERT_EQUAL(bench_files(&bench, "studies"), 0);
    bench_close(&bench);
}

static unsigned received(struct bench *bench)
{
    struct ledger_totals totals;
    CU_ASSERT_EQUAL_FATAL(ledger_totals(bench->bridge->ledger, &totals, &bench->err), 0);
    return (unsigned)totals.acknowledged;
}

/* The ledger refuses the rows: another process holds its write lock. */
static void test_ledger_that_refuses_leaves_it_in_the_journal(void)
{
    struct bench bench;
    char path[128];
    sqlite3 *other = NULL;
    bench_open(&bench, NULL);
    (void)snprintf(path, sizeof path, "%s/ledger.sqlite", bench.spool);
    CU_ASSERT_EQUAL_FATAL(sqlite3_open(path, &other), SQLITE_OK);
    CU_ASSERT_EQUAL_FATAL(sqlite3_exec(other, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
    CU_ASSERT_EQUAL(SEND(&bench, .sop = "1.2.3.1").status, DIMSE_SUCCESS);
    CU_ASSERT_EQUAL(received(&bench), 0);
    CU_ASSERT_EQUAL(sqlite3_exec(other, "ROLLBACK", NULL, NULL, NULL), SQLITE_OK);
    CU_ASSERT_EQUAL(sqlite3_close(other), SQLITE_OK);
    CU_ASSERT_EQUAL(bridge_settle(bench.bridge, &bench.err), 0);
    CU_ASSERT_EQUAL(received(&bench), 1);
    CU_ASSERT_EQUAL(bench_files(&bench, "incoming"), 0);
    CU_ASSERT_EQUAL(bench_files(&bench, "studies"), 1);
    bench_close(&bench);
}

/* Whether the row is there shows only after a restart: until then the journal keeps the instance,
 * and nobody is let in whose instance would be written in vain. */
static void test_failed_sync_of_the_ledger_closes_reception(void)
{
    struct bench bench;
    struct error why = {""};
    bench_open(&bench, NULL);
    CU_ASSERT_TRUE(bridge_may_accept(bench.bridge, &why));
    atomic_store(&ledger_sync_fails, true);
    CU_ASSERT_EQUAL(SEND(&bench, .sop = "1.2.3.1").status, DIMSE_SUCCESS);
    atomic_store(&ledger_sync_fails, false);
    CU_ASSERT_FALSE(bridge_may_accept(bench.bridge, &why));
    CU_ASSERT_PTR_NOT_NULL(strstr(why.text, "restart the bridge"));
    CU_ASSERT_TRUE(bridge_is_closed(bench.bridge, &why));
    struct dimse_answer answer = SEND(&bench, .sop = "1.2.3.2");
    CU_ASSERT_EQUAL(answer.status, DIMSE_OUT_OF_RESOURCES);
    CU_ASSERT_STRING_EQUAL(answer.comment, "Storing failed, see the log of the bridge");
    CU_ASSERT_EQUAL(bench_files(&bench, "studies"), 1);
    bench_stop(&bench);
    bench_start(&bench, NULL);
    CU_ASSERT_EQUAL(received(&bench), 1);
    CU_ASSERT_EQUAL(SEND(&bench, .sop = "1.2.3.2").status, DIMSE_SUCCESS);
    CU_ASSERT_EQUAL(bench_files(&bench, "studies"), 2);
    CU_ASSERT_EQUAL(bench_study(&bench, 1).instances, 2);
    CU_ASSERT_EQUAL(bench_study(&bench, 1).state, STUDY_RECEIVING);
    bench_close(&bench);
}

/* What the disk does not give back is recorded, is missed, and is mended by who sends it again; who
 * came with it is not kept waiting. */
static void test_unreadable_instance_holds_up_no_other(void)
{
    struct bench bench;
    char path[128], aside[140];
    bench_open(&bench, NULL);
    (void)snprintf(path, sizeof path, "%s/studies", bench.spool);
    (void)snprintf(aside, sizeof aside, "%s.aside", path);
    CU_ASSERT_EQUAL_FATAL(rename(path, aside), 0); /* so that they stay in the journal */
    CU_ASSERT_EQUAL(SEND(&bench, .sop = "1.2.3.1").status, DIMSE_SUCCESS);
    CU_ASSERT_EQUAL(SEND(&bench, .sop = "1.2.3.77").status, DIMSE_SUCCESS);
    CU_ASSERT_EQUAL(SEND(&bench, .sop = "1.2.3.3").status, DIMSE_SUCCESS);
    bench_stop(&bench);
    CU_ASSERT_EQUAL(rename(aside, path), 0);
    unreadable = "1.2.3.77";
    bench_start(&bench, NULL);
    unreadable = NULL;
    CU_ASSERT_EQUAL(received(&bench), 3);
    CU_ASSERT_EQUAL(bench_study(&bench, 1).instances, 3);
    CU_ASSERT_EQUAL(bench_files(&bench, "studies"), 2);
    CU_ASSERT_EQUAL(SEND(&bench, .sop = "1.2.3.77").status, DIMSE_SUCCESS);
    CU_ASSERT_EQUAL(bench_files(&bench, "studies"), 3);
    CU_ASSERT_EQUAL(bench_study(&bench, 1).instances, 3);
    bench_close(&bench);
}

/* Its file was in place before the crash, and its row was not. */
static void test_file_from_before_a_crash_is_kept(void)
{
    struct bench bench;
    char path[128];
    sqlite3 *other = NULL;
    bench_open(&bench, NULL);
    (void)snprintf(path, sizeof path, "%s/ledger.sqlite", bench.spool);
    CU_ASSERT_EQUAL_FATAL(sqlite3_open(path, &other), SQLITE_OK);
    CU_ASSERT_EQUAL_FATAL(sqlite3_exec(other, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
    CU_ASSERT_EQUAL(SEND(&bench, .sop = "1.2.3.77").status, DIMSE_SUCCESS);
    bench_stop(&bench);
    CU_ASSERT_EQUAL(sqlite3_exec(other, "ROLLBACK", NULL, NULL, NULL), SQLITE_OK);
    CU_ASSERT_EQUAL(sqlite3_close(other), SQLITE_OK);
    CU_ASSERT_EQUAL(bench_files(&bench, "studies"), 1);
    unreadable = "1.2.3.77";
    bench_start(&bench, NULL);
    unreadable = NULL;
    CU_ASSERT_EQUAL(received(&bench), 1);
    CU_ASSERT_EQUAL(bench_files(&bench, "studies"), 1);
    CU_ASSERT_EQUAL(bench_study(&bench, 1).instances, 1);
    CU_ASSERT_EQUAL(bench_study(&bench, 1).state, STUDY_RECEIVING);
    bench_close(&bench);
}

static void test_folder_that_cannot_be_made_leaves_it_in_the_journal(void)
{
    struct bench bench;
    char path[128];
    char aside[140];
    bench_open(&bench, NULL);
    (void)snprintf(path, sizeof path, "%s/studies", bench.spool);
    (void)snprintf(aside, sizeof aside, "%s.aside", path);
    CU_ASSERT_EQUAL_FATAL(rename(path, aside), 0);
    int file = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600); /* a file where a folder was */
    CU_ASSERT_FATAL(file >= 0);
    CU_ASSERT_EQUAL(close(file), 0);
    CU_ASSERT_EQUAL(SEND(&bench, .sop = "1.2.3.1").status, DIMSE_SUCCESS);
    CU_ASSERT_EQUAL(bridge_settle(bench.bridge, &bench.err), -1);
    CU_ASSERT_EQUAL(bench_files(&bench, "incoming"), 0);
    CU_ASSERT_EQUAL(received(&bench), 0);
    CU_ASSERT_EQUAL(remove(path), 0);
    CU_ASSERT_EQUAL(rename(aside, path), 0);
    CU_ASSERT_EQUAL(bridge_settle(bench.bridge, &bench.err), 0);
    CU_ASSERT_EQUAL(received(&bench), 1);
    CU_ASSERT_EQUAL(bench_files(&bench, "studies"), 1);
    bench_close(&bench);
}

static CU_TestInfo cases[] = {
    SUITE_CASE(test_statuses_and_comments),
    SUITE_CASE(test_resend_leaves_one_file),
    SUITE_CASE(test_replaced_file_is_removed),
    SUITE_CASE(test_kept_first_removes_the_second),
    SUITE_CASE(test_no_space_is_a700_and_nothing_is_left),
    SUITE_CASE(test_broken_association_leaves_nothing),
    SUITE_CASE(test_ledger_that_refuses_leaves_it_in_the_journal),
    SUITE_CASE(test_failed_sync_of_the_ledger_closes_reception),
    SUITE_CASE(test_unreadable_instance_holds_up_no_other),
    SUITE_CASE(test_file_from_before_a_crash_is_kept),
    SUITE_CASE(test_folder_that_cannot_be_made_leaves_it_in_the_journal),
    CU_TEST_INFO_NULL,
};
SUITE_MAIN("pipeline_reception", cases)
