/* The housekeeper: what goes when space is short, what stays whatever happens, and when senders are
 * let in again. How much is free is what the test says; time passes when the test lets it. */
#include "bridge_bench.h"

#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

#define MIB     (UINT64_C(1) << 20)
#define RESERVE MIB        /* of the bench */
#define MARGIN  (16 * MIB) /* of such a reserve */
#define PLENTY  (1000 * MIB)
#define LOOK_MS 1000
#define HOUR_MS 3600000LL
#define DAY_MS  (24LL * 3600 * 1000)

static atomic_ullong free_bytes = PLENTY;
static atomic_ullong free_bytes_once; /* not 0: the next answer, and only that */
static atomic_uint looks;

int __wrap_statvfs(const char *path, struct statvfs *out);

int __wrap_statvfs(const char *path, struct statvfs *out)
{
    (void)path;
    unsigned long long once = atomic_exchange(&free_bytes_once, 0);
    *out = (struct statvfs){.f_frsize = 1, .f_bavail = once ? once : atomic_load(&free_bytes)};
    atomic_fetch_add(&looks, 1);
    return 0;
}

static pthread_t housekeeper;

static void keep_house(struct bench *bench)
{
    CU_ASSERT_EQUAL_FATAL(pthread_create(&housekeeper, NULL, housekeeping_run, bench->bridge), 0);
}

static void leave_house(struct bench *bench)
{
    atomic_store(&bench->bridge->stopping, true);
    bridge_wake(bench->bridge);
    CU_ASSERT_EQUAL(pthread_join(housekeeper, NULL), 0);
    atomic_store(&bench->bridge->stopping, false);
}

static bool wait_for(bool (*question)(struct bench *bench, unsigned figure), struct bench *bench,
                     unsigned figure)
{
    for (int i = 0; i < 2000; i++) {
        if (question(bench, figure))
            return true;
        (void)nanosleep(&(struct timespec){.tv_nsec = 5000000}, NULL);
    }
    return false;
}

static bool has_files(struct bench *bench, unsigned count)
{
    return bench_files(bench, "studies") == count;
}

/* Lets time pass as well: the housekeeper may not have begun to wait when it was let pass before.
 */
static bool has_looked(struct bench *bench, unsigned count)
{
    bench_pass(bench, LOOK_MS);
    return atomic_load(&looks) >= count;
}

static bool is_open(struct bench *bench, unsigned open)
{
    return spool_is_closed(bench->bridge->spool, NULL) != (open == 1);
}

/* One more look of the housekeeper, and what it does by it. */
static void look(struct bench *bench)
{
    CU_ASSERT_TRUE(wait_for(has_looked, bench, atomic_load(&looks) + 1));
}

static int64_t send_study(struct bench *bench, unsigned number, unsigned instances)
{
    char study[32], sop[32];
    (void)snprintf(study, sizeof study, "1.2.%u", number);
    for (unsigned i = 0; i < instances; i++) {
        (void)snprintf(sop, sizeof sop, "1.3.%u.%u", number, i);
        CU_ASSERT_EQUAL(SEND(bench, .study = study, .sop = sop).status, DIMSE_SUCCESS);
    }
    return number;
}

static void bring(struct bench *bench, int64_t id, enum study_state to)
{
    static const enum study_state way[] = {STUDY_RECEIVING, STUDY_VALIDATING, STUDY_READY,
                                           STUDY_PACKAGING, STUDY_UPLOADING,  STUDY_CONFIRMING,
                                           STUDY_COMPLETED};
    struct ledger *ledger = bench->bridge->ledger;
    size_t at = 0;
    for (; way[at] != to && !study_state_allows(way[at], to); at++)
        CU_ASSERT_EQUAL(ledger_advance(ledger, id, way[at], way[at + 1], "test", &bench->err), 0);
    if (way[at] != to)
        CU_ASSERT_EQUAL(ledger_advance(ledger, id, way[at], to, "test", &bench->err), 0);
}

/* Three completed studies, the second the oldest of them to end. */
static void complete_three(struct bench *bench)
{
    static const int64_t order[] = {2, 3, 1};
    for (unsigned i = 1; i <= 3; i++)
        (void)send_study(bench, i, 3);
    for (size_t i = 0; i < 3; i++) {
        bench_pass(bench, 10);
        bring(bench, order[i], STUDY_COMPLETED);
    }
}

static size_t files_of(struct bench *bench, int64_t id)
{
    struct ledger_file files[8];
    size_t count = 0;
    CU_ASSERT_EQUAL(ledger_study_files(bench->bridge->ledger, id, 0, files, 8, &count, &bench->err),
                    0);
    return count;
}

static void test_oldest_first_and_no_more_than_needed(void)
{
    static const int64_t order[] = {2, 3, 1};
    struct bench bench;
    atomic_store(&free_bytes, PLENTY);
    bench_open(&bench, NULL);
    complete_three(&bench);
    keep_house(&bench);
    look(&bench);
    look(&bench);
    CU_ASSERT_EQUAL(bench_files(&bench, "studies"), 9);
    for (unsigned gone = 0; gone < 3; gone++) {
        atomic_store(&free_bytes_once, RESERVE + 2 * MARGIN - 1); /* one byte would do */
        look(&bench);
        CU_ASSERT_TRUE(wait_for(has_files, &bench, 6 - 3 * gone));
        look(&bench);
        look(&bench);
        for (unsigned i = 0; i < 3; i++)
            CU_ASSERT_EQUAL(files_of(&bench, order[i]), i <= gone ? 0 : 3);
    }
    CU_ASSERT_EQUAL(bench_study(&bench, 2).state, STUDY_COMPLETED);
    CU_ASSERT_EQUAL(bench_study(&bench, 2).instances, 3); /* rows stay */
    leave_house(&bench);
    /* Resends are known still. */
    CU_ASSERT_EQUAL(SEND(&bench, .study = "1.2.2", .sop = "1.3.2.0").status, DIMSE_SUCCESS);
    CU_ASSERT_EQUAL(bench_study(&bench, 2).swallowed_resends, 1);
    bench_close(&bench);
}

/* However short space is: what is not completed or discarded stays. */
static void test_what_never_goes(void)
{
    static const enum study_state states[] = {STUDY_RECEIVING, STUDY_VALIDATING, STUDY_QUARANTINED,
                                              STUDY_UNROUTED,  STUDY_READY,      STUDY_PACKAGING,
                                              STUDY_UPLOADING, STUDY_CONFIRMING, STUDY_COMPLETED,
                                              STUDY_FAILED,    STUDY_CANCELLED,  STUDY_DISCARDED};
    enum { COUNT = sizeof states / sizeof *states };
    struct bench bench;
    atomic_store(&free_bytes, PLENTY);
    bench_open(&bench, NULL);
    for (unsigned i = 0; i < COUNT; i++)
        bring(&bench, send_study(&bench, i + 1, 1), states[i]);
    CU_ASSERT_EQUAL(bench_files(&bench, "studies"), COUNT);
    atomic_store(&free_bytes, 0);
    keep_house(&bench);
    CU_ASSERT_TRUE(wait_for(has_files, &bench, COUNT - 2));
    look(&bench);
    look(&bench);
    for (unsigned i = 0; i < COUNT; i++)
        CU_ASSERT_EQUAL(files_of(&bench, i + 1),
                        states[i] == STUDY_COMPLETED || states[i] == STUDY_DISCARDED ? 0 : 1);
    CU_ASSERT_EQUAL(bench_files(&bench, "studies"), COUNT - 2);
    leave_house(&bench);
    atomic_store(&free_bytes, PLENTY);
    bench_close(&bench);
}

static void test_reception_opens_by_itself(void)
{
    struct bench bench;
    struct error why;
    atomic_store(&free_bytes, PLENTY);
    bench_open(&bench, NULL);
    keep_house(&bench);
    CU_ASSERT_TRUE(bridge_may_accept(bench.bridge, &why));
    atomic_store(&free_bytes, RESERVE);
    CU_ASSERT_FALSE(bridge_may_accept(bench.bridge, &why));
    CU_ASSERT_TRUE(bridge_is_closed(bench.bridge, &why));
    CU_ASSERT_PTR_NOT_NULL(strstr(why.text, "reserve"));
    CU_ASSERT_EQUAL(SEND(&bench, .sop = "1.3.1").status, DIMSE_OUT_OF_RESOURCES);
    atomic_store(&free_bytes, RESERVE + MARGIN); /* more than the reserve, and not enough */
    look(&bench);
    look(&bench);
    CU_ASSERT_FALSE(bridge_may_accept(bench.bridge, &why));
    CU_ASSERT_EQUAL(SEND(&bench, .sop = "1.3.1").status, DIMSE_OUT_OF_RESOURCES);
    CU_ASSERT_EQUAL(bench_files(&bench, "incoming"), 0);
    atomic_store(&free_bytes, RESERVE + MARGIN + 1);
    look(&bench);
    CU_ASSERT_TRUE(wait_for(is_open, &bench, 1));
    CU_ASSERT_TRUE(bridge_may_accept(bench.bridge, &why));
    CU_ASSERT_FALSE(bridge_is_closed(bench.bridge, &why));
    CU_ASSERT_EQUAL(SEND(&bench, .sop = "1.3.1").status, DIMSE_SUCCESS);
    leave_house(&bench);
    bench_close(&bench);
}

/* Something stands in the way of one file: the others go. */
static void test_one_bad_study_holds_up_no_other(void)
{
    struct bench bench;
    struct ledger_file file;
    char path[512], aside[540];
    size_t count;
    atomic_store(&free_bytes, PLENTY);
    bench_open(&bench, NULL);
    complete_three(&bench);
    CU_ASSERT_EQUAL(ledger_study_files(bench.bridge->ledger, 2, 0, &file, 1, &count, &bench.err),
                    0);
    (void)snprintf(path, sizeof path, "%s/studies/%s", bench.spool, file.name);
    (void)snprintf(aside, sizeof aside, "%s.aside", path);
    CU_ASSERT_EQUAL(rename(path, aside), 0);
    CU_ASSERT_EQUAL(mkdir(path, 0700), 0);
    atomic_store(&free_bytes, 0);
    keep_house(&bench);
    CU_ASSERT_TRUE(wait_for(has_files, &bench, 1)); /* the one put aside */
    for (int i = 0; i < 3; i++)
        look(&bench);
    CU_ASSERT_EQUAL(files_of(&bench, 2), 3); /* rows let go of what is gone for sure */
    /* At once, so that it is at no moment away: then its row would let go of it. */
    CU_ASSERT_EQUAL(renameat2(AT_FDCWD, aside, AT_FDCWD, path, RENAME_EXCHANGE), 0);
    CU_ASSERT_EQUAL(rmdir(aside), 0);
    look(&bench);
    CU_ASSERT_TRUE(wait_for(has_files, &bench, 0));
    atomic_store(&free_bytes, PLENTY);
    look(&bench);
    look(&bench);
    CU_ASSERT_EQUAL(files_of(&bench, 2), 0);
    leave_house(&bench);
    bench_close(&bench);
}

static bool is_forgotten(struct bench *bench, unsigned id)
{
    struct ledger_study study;
    return ledger_study(bench->bridge->ledger, &study, id, NULL) == LEDGER_NOT_FOUND;
}

/* With nobody who looks in the middle, to whom the clocks would differ. */
static void pass_unseen(struct bench *bench, int64_t ms)
{
    leave_house(bench);
    bench_pass(bench, ms);
    keep_house(bench);
}

static void test_retention(void)
{
    struct bench bench;
    atomic_store(&free_bytes, PLENTY);
    bench_open(&bench, NULL);
    complete_three(&bench);
    keep_house(&bench);
    pass_unseen(&bench, DAY_MS - HOUR_MS);
    look(&bench);
    look(&bench);
    CU_ASSERT_EQUAL(bench_files(&bench, "studies"), 9);
    pass_unseen(&bench, HOUR_MS);
    look(&bench);
    CU_ASSERT_TRUE(wait_for(has_files, &bench, 0));
    look(&bench);
    CU_ASSERT_EQUAL(bench_study(&bench, 2).instances, 3);
    pass_unseen(&bench, 90 * DAY_MS);
    look(&bench);
    CU_ASSERT_TRUE(wait_for(is_forgotten, &bench, 2));
    leave_house(&bench);
    bench_close(&bench);
}

#define TEN_YEARS_MS (3650 * DAY_MS)

static void set_clock(struct bench *bench, int64_t by_ms)
{
    (void)atomic_fetch_add(&bench->wall_ms, by_ms);
    housekeeping_once(bench->bridge);
}

static void pass(struct bench *bench, int64_t ms)
{
    bench_pass(bench, ms);
    housekeeping_once(bench->bridge);
}

/* The machine comes up ten years ahead and is told the time minutes later: nothing was ever that
 * old. */
static void test_clock_that_ran_ahead_ages_nothing(void)
{
    struct bench bench;
    atomic_store(&free_bytes, PLENTY);
    bench_open(&bench, NULL);
    complete_three(&bench);
    bench_stop(&bench);
    (void)atomic_fetch_add(&bench.wall_ms, TEN_YEARS_MS);
    bench_start(&bench, NULL);
    pass(&bench, 0);
    pass(&bench, HOUR_MS - 1);
    CU_ASSERT_EQUAL(bench_files(&bench, "studies"), 9);
    set_clock(&bench, -TEN_YEARS_MS);
    pass(&bench, 2 * HOUR_MS);
    CU_ASSERT_EQUAL(bench_files(&bench, "studies"), 9);
    /* And while it runs, however long it was right. */
    set_clock(&bench, TEN_YEARS_MS);
    pass(&bench, HOUR_MS - 1);
    CU_ASSERT_EQUAL(bench_files(&bench, "studies"), 9);
    CU_ASSERT_FALSE(is_forgotten(&bench, 2));
    /* Nobody sets it back: then it is right, and the machine was off all the time. */
    pass(&bench, 1);
    CU_ASSERT_EQUAL(bench_files(&bench, "studies"), 0);
    CU_ASSERT_TRUE(is_forgotten(&bench, 2));
    bench_close(&bench);
}

/* Space is short by any clock; and who keeps nothing, or little, waits for no hour. */
static void test_what_waits_for_no_clock(void)
{
    struct bench bench;
    atomic_store(&free_bytes, PLENTY);
    bench_open(&bench, NULL);
    complete_three(&bench);
    set_clock(&bench, TEN_YEARS_MS);
    CU_ASSERT_EQUAL(bench_files(&bench, "studies"), 9);
    atomic_store(&free_bytes_once, RESERVE + 2 * MARGIN - 1);
    pass(&bench, 0);
    CU_ASSERT_EQUAL(bench_files(&bench, "studies"), 6);
    bench.bridge->config->retention.completed_ms = 0;
    pass(&bench, 0);
    CU_ASSERT_EQUAL(bench_files(&bench, "studies"), 0);
    bench.bridge->config->retention.receipts_ms = 5000;
    pass(&bench, 4999);
    CU_ASSERT_FALSE(is_forgotten(&bench, 2));
    pass(&bench, 1);
    CU_ASSERT_TRUE(is_forgotten(&bench, 2));
    bench_close(&bench);
}

/* More files than are removed at a time; asked without a daemon too. */
static void test_large_study(void)
{
    struct bench bench;
    atomic_store(&free_bytes, PLENTY);
    bench_open(&bench, NULL);
    (void)send_study(&bench, 1, 300);
    (void)send_study(&bench, 2, 1);
    bring(&bench, 1, STUDY_COMPLETED);
    CU_ASSERT_EQUAL(bridge_clean_study(bench.bridge->ledger, bench.bridge->spool, 1, &bench.err),
                    0);
    CU_ASSERT_EQUAL(bench_files(&bench, "studies"), 1);
    CU_ASSERT_EQUAL(files_of(&bench, 1), 0);
    CU_ASSERT_EQUAL(files_of(&bench, 2), 1);
    bench_stop(&bench);
    bench_start(&bench, NULL);
    CU_ASSERT_EQUAL(bench_study(&bench, 1).state, STUDY_COMPLETED);
    CU_ASSERT_EQUAL(bench_study(&bench, 1).instances, 300);
    bench_close(&bench);
}

static CU_TestInfo cases[] = {SUITE_CASE(test_oldest_first_and_no_more_than_needed),
                              SUITE_CASE(test_what_never_goes),
                              SUITE_CASE(test_reception_opens_by_itself),
                              SUITE_CASE(test_one_bad_study_holds_up_no_other),
                              SUITE_CASE(test_retention),
                              SUITE_CASE(test_clock_that_ran_ahead_ages_nothing),
                              SUITE_CASE(test_what_waits_for_no_clock),
                              SUITE_CASE(test_large_study),
                              CU_TEST_INFO_NULL};
SUITE_MAIN("pipeline: housekeeping", cases)
