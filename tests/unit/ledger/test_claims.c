/* Claims: who works on what, in which order, and the upload's progress. */
#include "bench.h"

#include "ledger.h"

#include "aurabridge/ledger_due.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#define LEASE 60000

/* The claimed study's id, or 0. */
static int64_t claim(struct bench *bench, int64_t now, int64_t *next)
{
    struct ledger_study study = {0};
    int64_t next_ms = 0;
    int result = ledger_claim(bench->ledger, &study, "main", "test", now, LEASE, &next_ms, NULL);
    if (next)
        *next = next_ms;
    CU_ASSERT_TRUE(result == 0 || result == LEDGER_NOT_FOUND);
    return result == 0 ? study.id : 0;
}

static void add_ready(struct bench *bench, const char *uid, const char *destination)
{
    struct ledger_arrival_outcome outcome = SEND(bench, .study = uid, .destination = destination);
    bench_bring(bench, outcome.study_id, STUDY_READY);
    bench->now += 10;
}

static void test_oldest_first(void)
{
    struct bench *bench = bench_new(true);
    bench->now = 5000;
    add_ready(bench, "1.1", "main");
    bench->now = 3000;
    add_ready(bench, "1.2", "main");
    add_ready(bench, "1.3", "other");
    bench->now = 3000;
    add_ready(bench, "1.4", "main");
    SEND(bench, .study = "1.5");
    int64_t next = 0;
    CU_ASSERT_EQUAL(claim(bench, 10000, NULL), 2);
    CU_ASSERT_EQUAL(claim(bench, 10000, NULL), 4);
    CU_ASSERT_EQUAL(claim(bench, 10000, NULL), 1);
    CU_ASSERT_EQUAL(claim(bench, 10000, &next), 0);
    CU_ASSERT_EQUAL(next, 10000 + LEASE);
    bench_free(bench);
}

static void test_leases_end(void)
{
    struct bench *bench = bench_new(true);
    add_ready(bench, "1.1", "main");
    CU_ASSERT_EQUAL(claim(bench, 10000, NULL), 1);
    CU_ASSERT_EQUAL(claim(bench, 10000 + LEASE - 1, NULL), 0);
    CU_ASSERT_EQUAL(claim(bench, 10000 + LEASE, NULL), 1);
    CU_ASSERT_EQUAL(ledger_release_claim(bench->ledger, 1, NULL), 0);
    CU_ASSERT_EQUAL(claim(bench, 10000, NULL), 1);
    CU_ASSERT_EQUAL(
        ledger_defer(bench->ledger, 1, bench_study(bench, 1).state, 20000, "later", true, NULL), 0);
    int64_t next = 0;
    CU_ASSERT_EQUAL(claim(bench, 19999, &next), 0);
    CU_ASSERT_EQUAL(next, 20000);
    CU_ASSERT_EQUAL(claim(bench, 20000, NULL), 1);
    CU_ASSERT_EQUAL(
        ledger_advance(bench->ledger, 1, STUDY_READY, STUDY_PACKAGING, "go", &bench->err), 0);
    CU_ASSERT_EQUAL(claim(bench, 20000, NULL), 1);
    /* A process that died holds nothing. */
    bench_reopen(bench);
    CU_ASSERT_EQUAL(claim(bench, 20000, NULL), 1);
    CU_ASSERT_EQUAL(ledger_recover(bench->ledger, NULL), 0);
    CU_ASSERT_EQUAL(claim(bench, 20000, NULL), 1);
    CU_ASSERT_EQUAL(ledger_release_claim(bench->ledger, 9, NULL), LEDGER_NOT_FOUND);
    bench_free(bench);
}

static void test_a_wait_keeps_its_place(void)
{
    struct bench *bench = bench_new(true);
    add_ready(bench, "1.1", "main");
    add_ready(bench, "1.2", "main");
    add_ready(bench, "1.3", "main");
    CU_ASSERT_EQUAL(
        ledger_defer(bench->ledger, 1, bench_study(bench, 1).state, 90, "later", true, NULL), 0);
    CU_ASSERT_EQUAL(
        ledger_defer(bench->ledger, 2, bench_study(bench, 2).state, 50, "later", true, NULL), 0);
    CU_ASSERT_EQUAL(claim(bench, 40, NULL), 3);
    CU_ASSERT_EQUAL(ledger_release_claim(bench->ledger, 3, NULL), 0);
    CU_ASSERT_EQUAL(claim(bench, 100, NULL), 1);
    CU_ASSERT_EQUAL(claim(bench, 100, NULL), 2);
    CU_ASSERT_EQUAL(claim(bench, 100, NULL), 3);
    bench_free(bench);
}

/* The older one waited, the younger has the lower id and never did. */
static void test_age_counts_not_the_id(void)
{
    struct bench *bench = bench_new(false);
    bench->now = 5000;
    add_ready(bench, "1.1", "main");
    bench->now = 3000;
    add_ready(bench, "1.2", "main");
    CU_ASSERT_EQUAL(
        ledger_defer(bench->ledger, 2, bench_study(bench, 2).state, 50, "later", true, NULL), 0);
    CU_ASSERT_EQUAL(claim(bench, 40, NULL), 1);
    CU_ASSERT_EQUAL(ledger_release_claim(bench->ledger, 1, NULL), 0);
    CU_ASSERT_EQUAL(claim(bench, 100, NULL), 2);
    bench_free(bench);
}

/* Which states are handed out at all. */
static void test_states_that_are_claimed(void)
{
    for (unsigned state = 0; state < STUDY_STATE_COUNT; state++) {
        struct bench *bench = bench_new(false);
        SEND(bench, .study = "1.1");
        bench_bring(bench, 1, (enum study_state)state);
        bool expected = state == STUDY_READY || state == STUDY_PACKAGING ||
                        state == STUDY_UPLOADING || state == STUDY_CONFIRMING;
        CU_ASSERT_EQUAL(claim(bench, bench->now, NULL), expected ? 1 : 0);
        bench_free(bench);
    }
}

/* The first upload in each state, before a supplement with and without changed duplicates. */
static void test_supplements_wait(void)
{
    for (unsigned state = 0; state < STUDY_STATE_COUNT; state++) {
        for (int changed = 0; changed < 2; changed++) {
            enum study_state first = (enum study_state)state;
            if (first == STUDY_RECEIVING && !changed)
                continue; /* a new instance would go into the first one */
            if (first == STUDY_DISCARDED || first == STUDY_CANCELLED)
                continue; /* its instances are unknown; the next one is a changed one of nothing */
            struct bench *bench = bench_new(false);
            SEND(bench, .sop = "1.1");
            if (!changed)
                bench_bring(bench, 1, STUDY_VALIDATING);
            SEND(bench, .sop = changed ? "1.1" : "1.2", .version = 1);
            CU_ASSERT_EQUAL(bench_study(bench, 2).has_changed_duplicates, changed != 0);
            bench_bring(bench, 1, first);
            bench_bring(bench, 2, STUDY_READY);
            int64_t earlier = -1;
            CU_ASSERT_EQUAL(ledger_study_behind(bench->ledger, &earlier, 2, NULL), 0);
            /* Out of the way, but where it is. */
            int64_t busy = claim(bench, bench->now, NULL);
            bool waits = changed ? !study_state_is_final(first) : study_state_is_in_flight(first);
            int64_t second = busy == 2 ? 2 : claim(bench, bench->now, NULL);
            if ((second == 2) == waits)
                printf("\nfirst %s, changed %d: claimed %lld, %lld\n", study_state_name(first),
                       changed, (long long)busy, (long long)second);
            CU_ASSERT_EQUAL(second == 2, !waits);
            CU_ASSERT_EQUAL(earlier, waits ? 1 : 0);
            bench_free(bench);
        }
    }
}

static void test_a_cancelled_one_need_not_wait(void)
{
    struct bench *bench = bench_new(false);
    SEND(bench, .sop = "1.1");
    SEND(bench, .sop = "1.1", .version = 1);
    bench_bring(bench, 2, STUDY_READY);
    CU_ASSERT_EQUAL(claim(bench, bench->now, NULL), 0);
    const struct ledger_upload announced = {.upload_id = "id", .step = STEP_INIT_SENT};
    CU_ASSERT_EQUAL(ledger_upload_put(bench->ledger, 2, &announced, NULL), 0);
    CU_ASSERT_EQUAL(ledger_study_request_cancel(bench->ledger, 2, NULL), 0);
    CU_ASSERT_EQUAL(claim(bench, bench->now, NULL), 2);
    bench_free(bench);
}

/* ---- priorities ---- */

#define DAY_MS 86400000LL

static int64_t add_ranked(struct bench *bench, const char *uid, enum study_priority priority,
                          int64_t at)
{
    bench->now = at;
    int64_t id = SEND(bench, .study = uid, .sop = uid, .priority = priority).study_id;
    bench_bring(bench, id, STUDY_READY);
    return id;
}

/* In the order of the rows, whatever the order in which they came. */
static void test_priorities(void)
{
    static const struct {
        const char *uid;
        enum study_priority priority;
        int64_t day;
    } rows[] = {
        {"1.1", PRIORITY_NORMAL, 1}, /* urgent ones overtake a week, not more */
        {"1.2", PRIORITY_URGENT, 9}, /* oldest first among equals */
        {"1.3", PRIORITY_NORMAL, 3},  {"1.4", PRIORITY_URGENT, 11}, {"1.5", PRIORITY_NORMAL, 8},
        {"1.6", PRIORITY_LOW, 7}, /* lets a day's normal ones pass */
        {"1.7", PRIORITY_NORMAL, 10}, {"1.8", PRIORITY_LOW, 10},    {"1.9", PRIORITY_NORMAL, 12},
    };
    static const size_t came[] = {6, 3, 8, 0, 4, 1, 7, 2, 5};
    struct bench *bench = bench_new(true);
    int64_t ids[9];
    for (size_t i = 0; i < 9; i++) {
        size_t row = came[i];
        ids[row] = add_ranked(bench, rows[row].uid, rows[row].priority, rows[row].day * DAY_MS);
        CU_ASSERT_EQUAL(bench_study(bench, ids[row]).priority, rows[row].priority);
    }
    bench_reopen(bench);
    for (size_t i = 0; i < 9; i++)
        CU_ASSERT_EQUAL(claim(bench, 20 * DAY_MS, NULL), ids[i]);
    bench_free(bench);
}

/* A stream of urgent ones that never ends: what is normal or low waits for its time, not longer. */
static void test_nobody_starves(void)
{
    struct bench *bench = bench_new(false);
    int64_t normal = add_ranked(bench, "2.1", PRIORITY_NORMAL, DAY_MS);
    int64_t low = add_ranked(bench, "2.2", PRIORITY_LOW, DAY_MS);
    int64_t served_normal = 0, served_low = 0;
    for (int day = 1; day <= 12; day++) {
        char uid[32];
        for (int i = 0; i < 2; i++) { /* two come, one is served */
            (void)snprintf(uid, sizeof uid, "3.%d.%d", day, i);
            (void)add_ranked(bench, uid, PRIORITY_URGENT, day * DAY_MS + 1 + i);
        }
        int64_t id = claim(bench, bench->now, NULL);
        served_normal = id == normal ? day : served_normal;
        served_low = id == low ? day : served_low;
        bench_bring(bench, id, STUDY_COMPLETED);
    }
    CU_ASSERT_EQUAL(served_normal, 0); /* still behind urgent ones of the first week: 14 of them */
    for (int i = 0; i < 12 && served_low == 0; i++) {
        int64_t id = claim(bench, bench->now, NULL);
        served_normal = id == normal ? 1 : served_normal;
        served_low = id == low ? 1 : served_low;
        bench_bring(bench, id, STUDY_COMPLETED);
    }
    CU_ASSERT_EQUAL(served_normal, 1);
    CU_ASSERT_EQUAL(served_low, 1);
    bench_free(bench);
}

static int64_t claim_urgent(struct bench *bench, int64_t now, int64_t *next)
{
    struct ledger_study study = {0};
    int result = ledger_claim_urgent(bench->ledger, &study, "main", "u", now, LEASE, next, NULL);
    CU_ASSERT_TRUE(result == 0 || result == LEDGER_NOT_FOUND);
    return result == 0 ? study.id : 0;
}

static bool urgent_is_due(struct bench *bench, int64_t now, int64_t *next)
{
    bool due = false;
    CU_ASSERT_EQUAL(ledger_urgent_is_due(bench->ledger, &due, "main", now, next, NULL), 0);
    return due;
}

static void test_urgent_alone(void)
{
    struct bench *bench = bench_new(false);
    (void)add_ranked(bench, "1.1", PRIORITY_NORMAL, 1000);
    (void)add_ranked(bench, "1.2", PRIORITY_LOW, 1000);
    int64_t next = 0;
    CU_ASSERT_FALSE(urgent_is_due(bench, 5000, &next));
    CU_ASSERT_EQUAL(next, INT64_MAX);
    CU_ASSERT_EQUAL(claim_urgent(bench, 5000, &next), 0);
    int64_t late = add_ranked(bench, "1.4", PRIORITY_URGENT, 3000);
    int64_t early = add_ranked(bench, "1.5", PRIORITY_URGENT, 2000);
    CU_ASSERT_EQUAL(ledger_defer(bench->ledger, early, STUDY_READY, 9000, "later", true, NULL), 0);
    CU_ASSERT_TRUE(urgent_is_due(bench, 5000, &next));
    CU_ASSERT_EQUAL(claim_urgent(bench, 5000, &next), late);
    CU_ASSERT_FALSE(urgent_is_due(bench, 5000, &next));
    CU_ASSERT_EQUAL(next, 9000);
    CU_ASSERT_EQUAL(claim_urgent(bench, 5000, &next), 0);
    CU_ASSERT_EQUAL(next, 9000);
    CU_ASSERT_TRUE(urgent_is_due(bench, 9000, &next));
    CU_ASSERT_EQUAL(claim_urgent(bench, 9000, &next), early);
    uint64_t waiting = 0;
    CU_ASSERT_EQUAL(ledger_waiting(bench->ledger, &waiting, "main", NULL), 0);
    CU_ASSERT_EQUAL(waiting, 2);
    CU_ASSERT_EQUAL(ledger_waiting(bench->ledger, &waiting, "other", NULL), 0);
    CU_ASSERT_EQUAL(waiting, 0);
    bench_free(bench);
}

/* An urgent supplement does not overtake the first upload of its study. */
static void test_urgent_supplements_wait(void)
{
    struct bench *bench = bench_new(false);
    SEND(bench, .sop = "1.1");
    bench_bring(bench, 1, STUDY_READY);
    SEND(bench, .sop = "1.2", .priority = PRIORITY_URGENT);
    bench_bring(bench, 2, STUDY_READY);
    CU_ASSERT_EQUAL(bench_study(bench, 2).priority, PRIORITY_URGENT);
    int64_t next = 0;
    CU_ASSERT_FALSE(urgent_is_due(bench, bench->now, &next));
    CU_ASSERT_EQUAL(claim_urgent(bench, bench->now, NULL), 0);
    CU_ASSERT_EQUAL(claim(bench, bench->now, NULL), 1);
    bench_bring(bench, 1, STUDY_COMPLETED);
    CU_ASSERT_EQUAL(claim_urgent(bench, bench->now, NULL), 2);
    bench_free(bench);
}

static void test_a_new_route_brings_its_priority(void)
{
    struct bench *bench = bench_new(false);
    SEND(bench, .sop = "1.1", .destination = "");
    bench_bring(bench, 1, STUDY_VALIDATING);
    CU_ASSERT_EQUAL(
        ledger_set_route(bench->ledger, 1, "bbbbbbbbbbbbbbbb", "b", "main", PRIORITY_URGENT, NULL),
        0);
    bench_bring(bench, 1, STUDY_READY);
    CU_ASSERT_EQUAL(claim_urgent(bench, bench->now, NULL), 1);
    bench_free(bench);
}

/* After an outage more are due at once than one claim puts back into the order. */
static void test_many_waits_end_at_once(void)
{
    enum { MANY = 100 };
    struct bench *bench = bench_new(false);
    for (int i = 0; i < MANY; i++) {
        char uid[32];
        (void)snprintf(uid, sizeof uid, "1.%d", i);
        int64_t id = add_ranked(bench, uid, PRIORITY_NORMAL, 1000 + i);
        CU_ASSERT_EQUAL(ledger_defer(bench->ledger, id, STUDY_READY, 5000 + i, "away", true, NULL),
                        0);
    }
    for (int i = 0; i < MANY; i++)
        CU_ASSERT_EQUAL(claim(bench, 10000, NULL), i + 1);
    CU_ASSERT_EQUAL(claim(bench, 10000, NULL), 0);
    CU_ASSERT_EQUAL(bench_study(bench, 1).attempt, 1); /* its backoff goes on */
    bench_free(bench);
}

/* More than end their wait at once stand behind something: who may go is found behind them. */
static void test_due_behind_many_that_may_not_go(void)
{
    enum { MANY = 40 };
    struct bench *bench = bench_new(false);
    for (int i = 0; i < MANY; i++) {
        char uid[32], later[32];
        (void)snprintf(uid, sizeof uid, "1.%d", i);
        (void)snprintf(later, sizeof later, "1.%d.1", i);
        bench_bring(bench, SEND(bench, .study = uid, .sop = uid).study_id, STUDY_VALIDATING);
        int64_t id = SEND(bench, .study = uid, .sop = later).study_id;
        bench_bring(bench, id, STUDY_READY);
        CU_ASSERT_EQUAL(ledger_defer(bench->ledger, id, STUDY_READY, 5000, "away", true, NULL), 0);
    }
    int64_t id = add_ranked(bench, "2", PRIORITY_NORMAL, 1000);
    CU_ASSERT_EQUAL(ledger_defer(bench->ledger, id, STUDY_READY, 6000, "away", true, NULL), 0);
    CU_ASSERT_EQUAL(claim(bench, 10000, NULL), id);
    bench_free(bench);
}

/* How SQLite goes about a search: down its index, and nothing is sorted. */
static void test_claims_sort_nothing(void)
{
    for (int urgent = 0; urgent < 2; urgent++) {
        struct bench *bench = bench_new(true);
        sqlite3_stmt *row = NULL;
        sqlite3 *handle = NULL;
        char sql[2048], plan[2048] = "";
        (void)snprintf(sql, sizeof sql, "EXPLAIN QUERY PLAN %s", claim_search(urgent));
        CU_ASSERT_EQUAL(sqlite3_open(bench->path, &handle), SQLITE_OK);
        CU_ASSERT_EQUAL_FATAL(sqlite3_prepare_v2(handle, sql, -1, &row, NULL), SQLITE_OK);
        while (sqlite3_step(row) == SQLITE_ROW) {
            size_t used = strlen(plan);
            (void)snprintf(plan + used, sizeof plan - used, "%s\n", sqlite3_column_text(row, 3));
        }
        (void)sqlite3_finalize(row);
        (void)sqlite3_close(handle);
        if (strstr(plan, "TEMP B-TREE") || strstr(plan, "SCAN"))
            printf("\n%s", plan);
        CU_ASSERT_PTR_NOT_NULL(strstr(plan, urgent ? "USING INDEX study_urgent (destination=? AND "
                                                     "free_at_ms=?)"
                                                   : "USING INDEX study_turns (destination=? AND "
                                                     "free_at_ms=?)"));
        CU_ASSERT_PTR_NOT_NULL(strstr(plan, "USING INDEX study_generation"));
        CU_ASSERT_PTR_NULL(strstr(plan, "TEMP B-TREE"));
        CU_ASSERT_PTR_NULL(strstr(plan, "SCAN"));
        bench_free(bench);
    }
}

static void test_upload_progress(void)
{
    struct bench *bench = bench_new(true);
    add_ready(bench, "1.1", "main");
    struct ledger_upload upload = {.upload_id = "0e2b0f6c-56b0-4e1f-8a49-9d5a4f3f2a11",
                                   .assembly_id = "assembly",
                                   .step = STEP_UPLOAD_CREATED,
                                   .upload_url = "https://files.example/1",
                                   .upload_length = 5000000000,
                                   .upload_offset = 4999999999,
                                   .package_digest = "digest",
                                   .aurabox_study_id = "study",
                                   .complete_unanswered = true};
    CU_ASSERT_EQUAL(ledger_upload_put(bench->ledger, 1, &upload, NULL), 0);
    CU_ASSERT_EQUAL(ledger_upload_put(bench->ledger, 2, &upload, NULL), LEDGER_NOT_FOUND);
    bench_reopen(bench);
    struct ledger_study study = bench_study(bench, 1);
    CU_ASSERT_STRING_EQUAL(study.upload.upload_id, upload.upload_id);
    CU_ASSERT_STRING_EQUAL(study.upload.assembly_id, upload.assembly_id);
    CU_ASSERT_EQUAL(study.upload.step, STEP_UPLOAD_CREATED);
    CU_ASSERT_STRING_EQUAL(study.upload.upload_url, upload.upload_url);
    CU_ASSERT_EQUAL(study.upload.upload_length, 5000000000);
    CU_ASSERT_EQUAL(study.upload.upload_offset, 4999999999);
    CU_ASSERT_STRING_EQUAL(study.upload.package_digest, "digest");
    CU_ASSERT_STRING_EQUAL(study.upload.aurabox_study_id, "study");
    CU_ASSERT_TRUE(study.upload.complete_unanswered);
    bench_free(bench);
}

enum { STUDIES = 200, WORKERS = 8 };

struct workers {
    struct bench *bench;
    atomic_int claimed[STUDIES + 1];
};

static void *work(void *context)
{
    struct workers *workers = context;
    struct ledger_study study;
    int64_t next;
    while (ledger_claim(workers->bench->ledger, &study, "main", "worker", 1, LEASE, &next, NULL) ==
           0)
        atomic_fetch_add(&workers->claimed[study.id], 1);
    return NULL;
}

static void test_workers_never_share(void)
{
    struct bench *bench = bench_new(true);
    static struct workers workers;
    workers.bench = bench;
    for (int i = 0; i < STUDIES; i++) {
        char uid[32];
        (void)snprintf(uid, sizeof uid, "1.2.%d", i);
        add_ready(bench, uid, "main");
    }
    pthread_t threads[WORKERS];
    for (size_t i = 0; i < WORKERS; i++)
        CU_ASSERT_EQUAL_FATAL(pthread_create(&threads[i], NULL, work, &workers), 0);
    for (size_t i = 0; i < WORKERS; i++)
        CU_ASSERT_EQUAL(pthread_join(threads[i], NULL), 0);
    for (int i = 1; i <= STUDIES; i++)
        CU_ASSERT_EQUAL(atomic_load(&workers.claimed[i]), 1);
    bench_free(bench);
}

static CU_TestInfo cases[] = {SUITE_CASE(test_oldest_first),
                              SUITE_CASE(test_leases_end),
                              SUITE_CASE(test_a_wait_keeps_its_place),
                              SUITE_CASE(test_age_counts_not_the_id),
                              SUITE_CASE(test_states_that_are_claimed),
                              SUITE_CASE(test_supplements_wait),
                              SUITE_CASE(test_a_cancelled_one_need_not_wait),
                              SUITE_CASE(test_priorities),
                              SUITE_CASE(test_nobody_starves),
                              SUITE_CASE(test_urgent_alone),
                              SUITE_CASE(test_urgent_supplements_wait),
                              SUITE_CASE(test_a_new_route_brings_its_priority),
                              SUITE_CASE(test_many_waits_end_at_once),
                              SUITE_CASE(test_due_behind_many_that_may_not_go),
                              SUITE_CASE(test_claims_sort_nothing),
                              SUITE_CASE(test_upload_progress),
                              SUITE_CASE(test_workers_never_share),
                              CU_TEST_INFO_NULL};
SUITE_MAIN("ledger: claims", cases)
