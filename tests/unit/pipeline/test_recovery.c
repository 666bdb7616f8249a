/* A restart is an ordinary event: what recovery adopts, grants and puts aside. */
#include "bridge_bench.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <sqlite3.h>

static const char ct_alone[] =
    "- {name: ct, called: AURABRIDGE, calling: CT1, destination: main, quiet_period: 5s}\n";
static const char nobody[] = "- {name: other, called: AURABRIDGE, calling: NOBODY, "
                             "destination: main}\n";

static atomic_bool removals_refused;

int __real_unlink(const char *path);
int __wrap_unlink(const char *path);

int __wrap_unlink(const char *path)
{
    if (!atomic_load(&removals_refused))
        return __real_unlink(path);
    errno = EROFS;
    return -1;
}

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
static void copy_whole(const char *from, const char *to)
{
    static char bytes[1 << 20];
    FILE *in = fopen(from, "re");
    FILE *out = fopen(to, "we");
    CU_ASSERT_FATAL(in && out);
    size_t length = fread(bytes, 1, sizeof bytes, in);
    CU_ASSERT_TRUE(length < sizeof bytes);
    CU_ASSERT_EQUAL(fwrite(bytes, 1, length, out), length);
    CU_ASSERT_EQUAL(fclose(in), 0);
    CU_ASSERT_EQUAL(fclose(out), 0);
}

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

static void copy_with_another_byte(const char *from, const char *to, uint8_t *last)
{
    uint8_t bytes[65536];
    int file = open(from, O_RDONLY | O_CLOEXEC);
    ssize_t length = read(file, bytes, sizeof bytes);
    CU_ASSERT_TRUE_FATAL(length > 0 && length < (ssize_t)sizeof bytes);
    CU_ASSERT_EQUAL(close(file), 0);
    *last = bytes[length - 1];
    bytes[length - 1] ^= 0x20;
    file = open(to, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    CU_ASSERT_EQUAL(write(file, bytes, (size_t)length), length);
    CU_ASSERT_EQUAL(close(file), 0);
}

/* Of the right size, so that only reading it tells. */
static void test_resend_takes_the_place_of_a_damaged_file(void)
{
    struct bench bench;
    char path[600];
    uint8_t last, is;
    bench_open(&bench, NULL);
    (void)SEND(&bench, .sop = "1.2.3.1");
    only_file(&bench, path);
    copy_with_another_byte(path, path, &last);
    CU_ASSERT_EQUAL(SEND(&bench, .sop = "1.2.3.1").status, DIMSE_SUCCESS);
    CU_ASSERT_EQUAL(bench_files(&bench, "studies"), 1);
    only_file(&bench, path);
    int file = open(path, O_RDONLY | O_CLOEXEC);
    CU_ASSERT_EQUAL(pread(file, &is, 1, lseek(file, -1, SEEK_END)), 1);
    CU_ASSERT_EQUAL(is, last);
    CU_ASSERT_EQUAL(close(file), 0);
    CU_ASSERT_EQUAL(bench_study(&bench, 1).instances, 1);
    CU_ASSERT_EQUAL(bench_study(&bench, 1).resends, 1);
    bench_close(&bench);
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

/* Another file of the same instance, as a resend would have it. */
static void name_copy(char copy[640], const char *path)
{
    (void)snprintf(copy, 640, "%s", path);
    memcpy(copy + strlen(copy) - strlen("0123456789abcdef.dcm"), "0123456789abcdef", 16);
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
    name_copy(copy, path);
    CU_ASSERT_EQUAL(rename(path, copy), 0);
    bench_start(&bench, NULL);
    CU_ASSERT_EQUAL(bench_study(&bench, 1).state, STUDY_RECEIVING);
    CU_ASSERT_EQUAL(bench_study(&bench, 1).instances, 1);
    CU_ASSERT_EQUAL(bench_files(&bench, "studies"), 1);
    bench_close(&bench);
}

/* Likewise, and the row's file is there, with another byte. */
static void test_resend_without_row_takes_the_place_of_a_damaged_file(void)
{
    struct bench bench;
    char path[600], copy[640];
    uint8_t last;
    bench_open(&bench, NULL);
    (void)SEND(&bench, .sop = "1.2.3.1");
    bench_stop(&bench);
    only_file(&bench, path);
    name_copy(copy, path);
    CU_ASSERT_EQUAL(rename(path, copy), 0);
    copy_with_another_byte(copy, path, &last);
    bench_start(&bench, NULL);
    CU_ASSERT_EQUAL(bench_study(&bench, 1).state, STUDY_RECEIVING);
    CU_ASSERT_EQUAL(bench_study(&bench, 1).instances, 1);
    CU_ASSERT_EQUAL(bench_files(&bench, "studies"), 1);
    only_file(&bench, path);
    CU_ASSERT_STRING_EQUAL(path, copy);
    bench_close(&bench);
}

/* Of the only file, with the time at which it came. */
static void leave_over(struct bench *bench, char copy[640], int64_t came_ms)
{
    char path[600];
    only_file(bench, path);
    name_copy(copy, path);
    CU_ASSERT_EQUAL(link(path, copy), 0);
    const struct timespec came[] = {{.tv_sec = came_ms / 1000}, {.tv_sec = came_ms / 1000}};
    CU_ASSERT_EQUAL(utimensat(AT_FDCWD, copy, came, 0), 0);
}

/* A removal that failed, or that a power loss has undone, brings nothing back that a person let go
 * since; what came after that is new. */
static void test_leftovers_of_what_was_let_go_are_removed(void)
{
    static const struct {
        int came_s, forgotten_s; /* after it was discarded; forgotten 0: never */
        bool is_new;
    } rows[] = {{-60, 0, false}, {60, 0, true}, {60, 120, false}, {180, 120, true}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct bench bench;
        char copy[640];
        struct ledger_study study;
        bench_open(&bench, NULL);
        (void)SEND(&bench, .sop = "1.2.3.1");
        struct ledger *ledger = bench.bridge->ledger;
        leave_over(&bench, copy, atomic_load(&bench.wall_ms) + rows[i].came_s * 1000);
        CU_ASSERT_EQUAL(ledger_study_discard(ledger, 1, "test", &bench.err), 0);
        atomic_fetch_add(&bench.wall_ms, rows[i].forgotten_s * 1000);
        if (rows[i].forgotten_s > 0)
            CU_ASSERT_EQUAL(ledger_study_forget(ledger, 1, &bench.err), 0);
        bench_stop(&bench);
        bench_start(&bench, NULL);
        CU_ASSERT_EQUAL(access(copy, F_OK) == 0, rows[i].is_new);
        CU_ASSERT_EQUAL(ledger_study(bench.bridge->ledger, &study, 2, &bench.err),
                        rows[i].is_new ? 0 : LEDGER_NOT_FOUND);
        bench_close(&bench);
    }
}

static bool is_known(struct bench *bench, const char *path)
{
    bool known = false;
    const char *name = strstr(path, "/studies/") + strlen("/studies/");
    CU_ASSERT_EQUAL(ledger_file_is_known(bench->bridge->ledger, name, &known, &bench->err), 0);
    return known;
}

/* The only removal of this start fails: who sends does not notice, and the next start is at it. */
static void test_leftover_that_stays_does_not_stop_the_bridge(void)
{
    struct bench bench;
    char copy[640];
    bench_open(&bench, NULL);
    (void)SEND(&bench, .sop = "1.2.3.1");
    leave_over(&bench, copy, atomic_load(&bench.wall_ms) - 60000);
    CU_ASSERT_EQUAL(ledger_study_discard(bench.bridge->ledger, 1, "test", &bench.err), 0);
    bench_stop(&bench);
    atomic_store(&removals_refused, true);
    bench_start(&bench, NULL);
    CU_ASSERT_EQUAL(access(copy, F_OK), 0);
    CU_ASSERT_FALSE(is_known(&bench, copy));
    bench_stop(&bench);
    atomic_store(&removals_refused, false);
    bench_start(&bench, NULL);
    CU_ASSERT_EQUAL(access(copy, F_OK), -1);
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
    bench_assemble(&bench);
    CU_ASSERT_TRUE(bench_reasons(&bench, 1, "the bridge was restarted"));
    CU_ASSERT_EQUAL(bench_study(&bench, 1).due_ms, now + BENCH_QUIET_MS);
    (void)SEND(&bench, .sop = "1.2.3.2");
    CU_ASSERT_EQUAL(bench_study(&bench, 1).instances, 2);
    bench_stop(&bench);
    atomic_fetch_add(&bench.wall_ms, BENCH_WAIT_MS); /* and once more: max_wait is over */
    bench_start(&bench, NULL);
    bench_assemble(&bench);
    CU_ASSERT_TRUE(bench_becomes(&bench, 1, STUDY_READY));
    bench_close(&bench);
}

/* More than are put off in one commit. */
static void test_all_that_were_cut_off_have_a_quiet_period(void)
{
    enum { STUDIES = 300 };
    struct bench bench;
    bench_open(&bench, NULL);
    for (int i = 1; i <= STUDIES; i++) {
        char study[32], series[32], instance[32];
        (void)snprintf(study, sizeof study, "1.2.9.%d", i);
        (void)snprintf(series, sizeof series, "1.2.9.%d.1", i);
        (void)snprintf(instance, sizeof instance, "1.2.9.%d.1.1", i);
        (void)SEND(&bench, .study = study, .series = series, .sop = instance);
    }
    bench_stop(&bench);
    atomic_fetch_add(&bench.wall_ms, 10 * BENCH_QUIET_MS);
    bench_start(&bench, NULL);
    bench_assemble(&bench);
    CU_ASSERT_TRUE(bench_reasons(&bench, STUDIES, "the bridge was restarted"));
    for (int i = 1; i <= STUDIES; i++) {
        struct ledger_study study = bench_study(&bench, i);
        CU_ASSERT_EQUAL(study.state, STUDY_RECEIVING);
        CU_ASSERT_EQUAL(study.due_ms, atomic_load(&bench.wall_ms) + BENCH_QUIET_MS);
    }
    bench_pass(&bench, BENCH_QUIET_MS);
    CU_ASSERT_TRUE(bench_becomes(&bench, STUDIES, STUDY_READY));
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
    CU_ASSERT_EQUAL(ledger_defer(ledger, 1, STUDY_READY, in_two_years, "away", true, &bench.err),
                    0);
    bench_stop(&bench);
    bench_start(&bench, NULL);
    CU_ASSERT_EQUAL(bench_study(&bench, 1).retry_at_ms, 0);
    CU_ASSERT_EQUAL(bench_study(&bench, 1).state, STUDY_READY);
    bench_close(&bench);
}

static void run_sql(struct bench *bench, const char *sql)
{
    char path[160];
    sqlite3 *database = NULL;
    (void)snprintf(path, sizeof path, "%s/ledger.sqlite", bench->spool);
    CU_ASSERT_EQUAL_FATAL(sqlite3_open(path, &database), SQLITE_OK);
    CU_ASSERT_EQUAL(sqlite3_exec(database, sql, NULL, NULL, NULL), SQLITE_OK);
    CU_ASSERT_EQUAL(sqlite3_close(database), SQLITE_OK);
}

/* A clock that ran hours ahead: what no delay of ours reaches is due, and nothing else. */
static void test_retry_is_late_by_a_delay_at_most(void)
{
    enum { MINUTE = 60000, HOUR = 60 * MINUTE };
    static const struct {
        int64_t ceiling_ms, in_ms;
        bool is_due;
    } rows[] = {
        {10 * MINUTE, 10 * HOUR, true}, {10 * MINUTE, HOUR + MINUTE, true},
        {10 * MINUTE, HOUR, false},     {24 * HOUR, 24 * HOUR + MINUTE, true},
        {24 * HOUR, 24 * HOUR, false},  {24 * HOUR, HOUR + MINUTE, false},
    };
    static const enum study_state way[] = {STUDY_RECEIVING, STUDY_VALIDATING, STUDY_READY};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct bench bench;
        bench_open(&bench, NULL);
        (void)SEND(&bench, .sop = "1.2.3.1");
        struct ledger *ledger = bench.bridge->ledger;
        for (size_t at = 0; at + 1 < sizeof way / sizeof *way; at++)
            CU_ASSERT_EQUAL(ledger_advance(ledger, 1, way[at], way[at + 1], "test", &bench.err), 0);
        int64_t retry_at_ms = atomic_load(&bench.wall_ms) + rows[i].in_ms;
        char sql[80];
        (void)snprintf(sql, sizeof sql, "UPDATE study SET retry_at_ms=%" PRId64, retry_at_ms);
        run_sql(&bench, sql);
        bench.bridge->config->upload.retry_ceiling_ms = rows[i].ceiling_ms;
        CU_ASSERT_EQUAL(clock_change_repair(bench.bridge, &bench.err), 0);
        CU_ASSERT_EQUAL(bench_study(&bench, 1).retry_at_ms, rows[i].is_due ? 0 : retry_at_ms);
        bench_close(&bench);
    }
}

/* ---- a ledger that was restored, or damaged ---- */

/* Gives the one file another name of the spool's, as it has when the ledger is older than it. */
static void rename_only_file(struct bench *bench, char path[600])
{
    char other[600];
    only_file(bench, path);
    (void)snprintf(other, sizeof other, "%s", path);
    char *random = strstr(other, ".dcm") - 16;
    memset(random, *random == 'a' ? 'b' : 'a', 16);
    CU_ASSERT_EQUAL(rename(path, other), 0);
    memcpy(path, other, 600);
}

static struct ledger_totals totals_of(struct bench *bench)
{
    struct ledger_totals totals;
    CU_ASSERT_EQUAL(ledger_totals(bench->bridge->ledger, &totals, &bench->err), 0);
    return totals;
}

/* The row names a file that is not there, and the spool has its data set under another name: that
 * must not be taken for a resend of the missing one and be removed. */
static void test_only_copy_takes_the_place_of_a_missing_file(void)
{
    struct bench bench;
    char path[600];
    bench_open(&bench, NULL);
    (void)SEND(&bench, .sop = "1.2.3.1");
    struct ledger_totals before = totals_of(&bench);
    bench_stop(&bench);
    rename_only_file(&bench, path);
    bench_start(&bench, NULL);
    CU_ASSERT_EQUAL(access(path, F_OK), 0);
    CU_ASSERT_TRUE(is_known(&bench, path));
    CU_ASSERT_EQUAL(bench_study(&bench, 1).state, STUDY_RECEIVING);
    struct ledger_totals after = totals_of(&bench);
    CU_ASSERT_EQUAL(memcmp(&before, &after, sizeof before), 0);
    bench_close(&bench);
}

static void test_row_without_a_file_takes_the_only_copy(void)
{
    struct bench bench;
    char path[600];
    bench_open(&bench, NULL);
    (void)SEND(&bench, .sop = "1.2.3.1");
    bench_stop(&bench);
    only_file(&bench, path);
    run_sql(&bench, "UPDATE instance SET file_name=NULL");
    bench_start(&bench, NULL);
    CU_ASSERT_EQUAL(access(path, F_OK), 0);
    CU_ASSERT_TRUE(is_known(&bench, path));
    CU_ASSERT_EQUAL(totals_of(&bench).resends, 0);
    bench_close(&bench);
}

/* A whole copy stands beside a cut one: the whole one counts, the cut one goes. */
static void test_whole_copy_takes_the_place_of_a_short_file(void)
{
    struct bench bench;
    char path[600];
    char copy[600];
    char command[1300];
    bench_open(&bench, NULL);
    (void)SEND(&bench, .sop = "1.2.3.1");
    bench_stop(&bench);
    only_file(&bench, path);
    (void)snprintf(copy, sizeof copy, "%s", path);
    memset(strstr(copy, ".dcm") - 16, 'c', 16);
    (void)snprintf(command, sizeof command, "cp '%s' '%s'", path, copy);
    CU_ASSERT_EQUAL(system(command), 0);
    CU_ASSERT_EQUAL(truncate(path, 400), 0);
    bench_start(&bench, NULL);
    CU_ASSERT_EQUAL(bench_files(&bench, "studies"), 1);
    CU_ASSERT_TRUE(is_known(&bench, copy));
    CU_ASSERT_EQUAL(bench_study(&bench, 1).state, STUDY_RECEIVING);
    bench_close(&bench);
}

/* The index says that no row names the file, the row does: it is no resend of itself. */
static void test_file_survives_a_damaged_index(void)
{
    struct bench bench;
    char path[600];
    bench_open(&bench, NULL);
    (void)SEND(&bench, .sop = "1.2.3.1");
    bench_stop(&bench);
    only_file(&bench, path);
    /* An empty index, declared as the full one. */
    run_sql(&bench, "DROP INDEX instance_file;"
                    "CREATE UNIQUE INDEX instance_file ON instance(file_name) WHERE file_name='';"
                    "PRAGMA writable_schema=ON;"
                    "UPDATE sqlite_schema SET sql=replace(sql,'file_name=''''','file_name IS NOT "
                    "NULL') WHERE name='instance_file'");
    bench_start(&bench, NULL);
    CU_ASSERT_FALSE(is_known(&bench, path)); /* or else the damage was none */
    CU_ASSERT_EQUAL(access(path, F_OK), 0);
    CU_ASSERT_EQUAL(totals_of(&bench).resends, 0);
    bench_close(&bench);
}

/* In a damaged ledger the row of one instance names the file of another: that one stays. */
static void test_mending_removes_no_file_of_another_instance(void)
{
    struct bench bench;
    char other[600];
    bench_open(&bench, NULL);
    (void)SEND(&bench, .sop = "1.2.3.1");
    only_file(&bench, other);
    (void)SEND(&bench, .sop = "1.2.3.2");
    bench_stop(&bench);
    run_sql(&bench,
            "DROP INDEX instance_file;UPDATE instance SET file_name=(SELECT file_name FROM "
            "instance WHERE sop_instance_uid='1.2.3.1'),file_size=7 WHERE "
            "sop_instance_uid='1.2.3.2';CREATE INDEX instance_file ON instance(file_name) WHERE "
            "file_name IS NOT NULL");
    bench_start(&bench, NULL); /* finds the file of 1.2.3.2 without a row */
    CU_ASSERT_EQUAL(access(other, F_OK), 0);
    CU_ASSERT_EQUAL(bench_files(&bench, "studies"), 2);
    bench_close(&bench);
}

/* `keep_first` drops what comes second because the first one is there. */
static void test_nothing_is_dropped_for_a_version_that_is_missing(void)
{
    for (int is_recorded = 0; is_recorded < 2; is_recorded++) {
        struct bench bench;
        char first[600];
        char second[600];
        bench_open(&bench, NULL);
        (void)SEND(&bench, .sop = "1.2.3.1");
        bench_stop(&bench);
        only_file(&bench, first);
        lose_ledger(&bench);
        CU_ASSERT_EQUAL(unlink(first), 0);
        bench_start(&bench, NULL);
        (void)SEND(&bench, .sop = "1.2.3.1", .accession = "changed");
        bench_stop(&bench);
        only_file(&bench, second);
        /* Now the ledger is one that knows another version alone, whose file is missing; or that
         * had dropped this one for it. */
        run_sql(&bench,
                is_recorded
                    ? "INSERT INTO instance SELECT 2,study_id,'stored',reason,sop_class_uid,"
                      "sop_instance_uid,transfer_syntax_uid,series_instance_uid,"
                      "calling_ae_title,called_ae_title,peer_address,'gone',zeroblob(32),"
                      "file_crc32,file_size,data_set_offset,received_ms,ending,ending_tag,"
                      "ending_missing,ending_offset,patient_id,issuer,attributes FROM "
                      "instance;UPDATE instance SET file_name=NULL,"
                      "disposition='superseded' WHERE id=1"
                    : "UPDATE instance SET file_name='gone',data_set_sha256=zeroblob(32)");
        struct config *config = bench_config(&bench, NULL);
        config->study.on_changed_duplicate = CHANGED_DUPLICATE_KEEP_FIRST;
        CU_ASSERT_EQUAL_FATAL(bridge_open(&bench.bridge, config, &bench.clock, &bench.err), 0);
        config_release(config);
        CU_ASSERT_EQUAL(access(second, F_OK), 0);
        CU_ASSERT_EQUAL(is_known(&bench, second), !is_recorded);
        CU_ASSERT_EQUAL(bench_study(&bench, 1).state, STUDY_QUARANTINED); /* what is missing */
        bench_close(&bench);
    }
}

/* A file that is not the one it is named for is damaged, and must not go up as another one. */
static void test_file_that_contradicts_its_name_is_left_alone(void)
{
    static const struct {
        const char *from, *to;
    } rows[] = {{"1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.x"}, /* header */
                {"1.2.3.1", "1.2.3.7"},                                     /* header */
                {"1.2.3\0", "1.2.4\0"},                                     /* study */
                {"1.2.3.9", "1.2.3.x"}};                                    /* series */
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct bench bench;
        struct ledger_study study;
        char path[600];
        char bytes[4096];
        size_t length = i == 2 ? 6 : strlen(rows[i].from);
        bench_open(&bench, NULL);
        (void)SEND(&bench, .sop = "1.2.3.1");
        bench_stop(&bench);
        lose_ledger(&bench);
        only_file(&bench, path);
        int file = open(path, O_RDWR | O_CLOEXEC);
        ssize_t size = read(file, bytes, sizeof bytes);
        CU_ASSERT_FATAL(size > 0);
        char *at = memmem(bytes, (size_t)size, rows[i].from, length);
        CU_ASSERT_PTR_NOT_NULL_FATAL(at);
        CU_ASSERT_EQUAL(pwrite(file, rows[i].to, length, at - bytes), (ssize_t)length);
        CU_ASSERT_EQUAL(close(file), 0);
        bench_start(&bench, NULL);
        CU_ASSERT_EQUAL(ledger_study(bench.bridge->ledger, &study, 1, &bench.err),
                        LEDGER_NOT_FOUND);
        CU_ASSERT_EQUAL(access(path, F_OK), 0);
        bench_close(&bench);
    }
}

/* Times that no clock told are no times to reckon with. */
static void test_impossible_times_in_the_ledger(void)
{
    static const char *const figures[] = {"9223372036854775807", "-9223372036854775808", "-1"};
    for (size_t i = 0; i < sizeof figures / sizeof *figures; i++) {
        struct bench bench;
        char sql[300];
        bench_open(&bench, NULL);
        (void)SEND(&bench, .sop = "1.2.3.1");
        bench_stop(&bench);
        (void)snprintf(sql, sizeof sql,
                       "UPDATE study SET first_received_ms=%s,last_received_ms=%s,due_ms=%s,"
                       "changed_ms=%s",
                       figures[i], figures[i], figures[i], figures[i]);
        run_sql(&bench, sql);
        bench_start(&bench, NULL);
        struct ledger_study study = bench_study(&bench, 1);
        CU_ASSERT_TRUE(study.first_received_ms >= 0 && study.first_received_ms <= 253402300799999);
        CU_ASSERT_TRUE(study.due_ms <= atomic_load(&bench.wall_ms) + BENCH_WAIT_MS);
        bench_close(&bench);
    }
}

/* After a stop in good order nothing is compared file by file, unless something came or went. */
static void test_clean_stop_is_believed_while_nothing_changed(void)
{
    enum change { NOTHING, A_FILE_CAME, A_FILE_WENT, THE_LEDGER_IS_OLDER, A_CRASH, CHANGES };
    for (enum change change = NOTHING; change < CHANGES; change++) {
        struct bench bench;
        char path[600], copy[620], ledger[160], older[160];
        uint64_t clean = 0;
        bench_open(&bench, NULL);
        (void)SEND(&bench, .sop = "1.2.3.1");
        bench_stop_clean(&bench);
        only_file(&bench, path);
        (void)snprintf(ledger, sizeof ledger, "%s/ledger.sqlite", bench.spool);
        (void)snprintf(older, sizeof older, "%s/older", bench.spool);
        if (change == THE_LEDGER_IS_OLDER) {
            copy_whole(ledger, older);
            bench_start(&bench, NULL);
            (void)SEND(&bench, .sop = "1.2.3.2");
            bench_stop_clean(&bench);
            copy_whole(older, ledger);
        } else if (change == A_FILE_CAME) {
            (void)snprintf(copy, sizeof copy, "%.*s.0123456789abcdef.dcm",
                           (int)(strlen(path) - strlen(".0123456789abcdef.dcm")), path);
            copy_whole(path, copy);
        } else if (change == A_FILE_WENT) {
            CU_ASSERT_EQUAL(unlink(path), 0);
        } else if (change == A_CRASH) {
            bench_start(&bench, NULL);
            bench_stop(&bench);
        }
        bench_start(&bench, NULL);
        /* It is used up, whatever came of it. */
        CU_ASSERT_EQUAL(ledger_clean(bench.bridge->ledger, &clean, &bench.err), 0);
        CU_ASSERT_EQUAL(clean, 0);
        CU_ASSERT_EQUAL(bench.bridge->compared, change != NOTHING);
        CU_ASSERT_EQUAL(bench.bridge->missing_at_start, change == A_FILE_WENT);
        CU_ASSERT_EQUAL(bench_files(&bench, "studies"),
                        change == A_FILE_WENT ? 0 : 1 + (change == THE_LEDGER_IS_OLDER));
        CU_ASSERT_EQUAL(bench_study(&bench, 1).instances, 1U + (change == THE_LEDGER_IS_OLDER));
        bench_close(&bench);
    }
}

/* A kill between the row and the removal of what it made needless: it was counted already. */
static void test_leftover_copy_is_not_counted_again(void)
{
    struct bench bench;
    char path[600], copy[640];
    bench_open(&bench, NULL);
    (void)SEND(&bench, .sop = "1.2.3.1");
    (void)SEND(&bench, .sop = "1.2.3.1");
    bench_stop(&bench);
    only_file(&bench, path);
    (void)snprintf(copy, sizeof copy, "%.*s.0123456789abcdef.dcm",
                   (int)(strlen(path) - strlen(".0123456789abcdef.dcm")), path);
    copy_whole(path, copy);
    bench_start(&bench, NULL);
    CU_ASSERT_EQUAL(access(copy, F_OK), -1);
    CU_ASSERT_EQUAL(access(path, F_OK), 0);
    CU_ASSERT_EQUAL(totals_of(&bench).acknowledged, 2);
    CU_ASSERT_EQUAL(totals_of(&bench).resends, 1);
    bench_close(&bench);
}

/* What the next start has to look at keeps a stop from being one in good order. */
static void test_stop_with_work_left_is_not_clean(void)
{
    struct bench bench;
    char path[600];
    bench_open(&bench, NULL);
    (void)SEND(&bench, .sop = "1.2.3.1");
    bench_stop_clean(&bench);
    only_file(&bench, path);
    CU_ASSERT_EQUAL(unlink(path), 0);
    for (int start = 0; start < 2; start++) {
        bench_start(&bench, NULL);
        CU_ASSERT_EQUAL(bench.bridge->missing_at_start, 1);
        bench_stop_clean(&bench);
    }
    bench_start(&bench, NULL);
    CU_ASSERT_EQUAL(SEND(&bench, .sop = "1.2.3.1").status, DIMSE_SUCCESS);
    bench_stop_clean(&bench);
    bench_start(&bench, NULL); /* this run had still found one missing */
    CU_ASSERT_TRUE(bench.bridge->compared);
    CU_ASSERT_EQUAL(bench.bridge->missing_at_start, 0);
    bench_stop_clean(&bench);
    bench_start(&bench, NULL);
    CU_ASSERT_FALSE(bench.bridge->compared);
    bench_close(&bench);
}

static CU_TestInfo cases[] = {
    SUITE_CASE(test_clean_stop_is_believed_while_nothing_changed),
    SUITE_CASE(test_stop_with_work_left_is_not_clean),
    SUITE_CASE(test_leftover_copy_is_not_counted_again),
    SUITE_CASE(test_files_without_rows_are_adopted_as_received),
    SUITE_CASE(test_damaged_entry_does_not_stop_the_bridge),
    SUITE_CASE(test_missing_or_short_file_quarantines),
    SUITE_CASE(test_resend_takes_the_place_of_a_lost_file),
    SUITE_CASE(test_mending_removes_no_file_of_another_instance),
    SUITE_CASE(test_resend_takes_the_place_of_a_damaged_file),
    SUITE_CASE(test_resend_without_row_takes_the_place_of_a_damaged_file),
    SUITE_CASE(test_released_after_a_loss_meets_the_drop_rules),
    SUITE_CASE(test_resend_without_row_takes_the_place_of_a_lost_file),
    SUITE_CASE(test_leftovers_of_what_was_let_go_are_removed),
    SUITE_CASE(test_leftover_that_stays_does_not_stop_the_bridge),
    SUITE_CASE(test_half_received_files_go),
    SUITE_CASE(test_foreign_file_is_left_alone),
    SUITE_CASE(test_sender_that_was_cut_off_has_a_quiet_period),
    SUITE_CASE(test_all_that_were_cut_off_have_a_quiet_period),
    SUITE_CASE(test_validating_goes_on_after_a_restart),
    SUITE_CASE(test_retry_of_a_clock_that_ran_ahead_is_due),
    SUITE_CASE(test_retry_is_late_by_a_delay_at_most),
    SUITE_CASE(test_only_copy_takes_the_place_of_a_missing_file),
    SUITE_CASE(test_row_without_a_file_takes_the_only_copy),
    SUITE_CASE(test_whole_copy_takes_the_place_of_a_short_file),
    SUITE_CASE(test_file_survives_a_damaged_index),
    SUITE_CASE(test_nothing_is_dropped_for_a_version_that_is_missing),
    SUITE_CASE(test_file_that_contradicts_its_name_is_left_alone),
    SUITE_CASE(test_impossible_times_in_the_ledger),
    CU_TEST_INFO_NULL,
};
SUITE_MAIN("pipeline_recovery", cases)
