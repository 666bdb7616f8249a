/* Holds by open associations, and when a quiet study is complete. */
#include "suite.h"

#include "aurabridge/study.h"

#include <pthread.h>
#include <stdbool.h>

#define HOLD 120000
#define FAR  INT64_MAX

/* An instance over an association that is open. */
static int64_t deliver(struct study_holds *holds, uint64_t association_id, int64_t study_id,
                       int64_t now_ms)
{
    study_holds_opened(holds, association_id);
    return study_holds_delivered(holds, association_id, study_id, now_ms);
}

static struct study_holds *make_holds(void)
{
    struct study_holds *holds = NULL;
    struct error err;
    CU_ASSERT_EQUAL_FATAL(study_holds_new(&holds, &err), 0);
    return holds;
}

static void test_complete_at(void)
{
    static const struct {
        const char *name;
        struct {
            uint64_t association;
            int64_t study, at;
        } delivered[3];
        uint64_t ended; /* association, 0: none */
        int64_t study, now, max_wait_at, expected;
    } rows[] = {
        {"nothing holds it", {{0}}, 0, 7, 5000, FAR, 5000},
        {"one holds it", {{1, 7, 1000}}, 0, 7, 5000, FAR, 1000 + HOLD},
        {"the hold is over", {{1, 7, 1000}}, 0, 7, 1000 + HOLD, FAR, 1000 + HOLD},
        {"long over", {{1, 7, 1000}}, 0, 7, 2 * HOLD, FAR, 2 * HOLD},
        {"another study is held", {{1, 8, 1000}}, 0, 7, 5000, FAR, 5000},
        {"the association went on", {{1, 7, 1000}, {1, 8, 2000}}, 0, 7, 5000, FAR, 5000},
        {"a later instance prolongs", {{1, 7, 1000}, {1, 7, 2000}}, 0, 7, 5000, FAR, 2000 + HOLD},
        {"the last of two counts", {{1, 7, 3000}, {2, 7, 2000}}, 0, 7, 5000, FAR, 3000 + HOLD},
        {"one of two ended", {{1, 7, 3000}, {2, 7, 2000}}, 1, 7, 5000, FAR, 2000 + HOLD},
        {"its only one ended", {{1, 7, 3000}}, 1, 7, 5000, FAR, 5000},
        {"max_wait comes first", {{1, 7, 3000}}, 0, 7, 5000, 6000, 6000},
        {"max_wait is past", {{1, 7, 3000}}, 0, 7, 5000, 4000, 5000},
        {"max_wait past, nothing holds", {{0}}, 0, 7, 5000, 4000, 5000},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct study_holds *holds = make_holds();
        for (size_t d = 0; d < 3 && rows[i].delivered[d].association; d++)
            deliver(holds, rows[i].delivered[d].association, rows[i].delivered[d].study,
                    rows[i].delivered[d].at);
        if (rows[i].ended)
            CU_ASSERT_NOT_EQUAL(study_holds_ended(holds, rows[i].ended), 0);
        int64_t at =
            study_complete_at(holds, rows[i].study, rows[i].now, HOLD, rows[i].max_wait_at);
        if (at != rows[i].expected)
            printf("\n%s: %lld instead of %lld\n", rows[i].name, (long long)at,
                   (long long)rows[i].expected);
        CU_ASSERT_EQUAL(at, rows[i].expected);
        study_holds_free(holds);
    }
}

static void test_ended(void)
{
    struct study_holds *holds = make_holds();
    CU_ASSERT_EQUAL(study_holds_ended(holds, 1), 0);
    deliver(holds, 1, 7, 0);
    deliver(holds, 2, 8, 0);
    deliver(holds, 1, 9, 0);
    CU_ASSERT_EQUAL(study_holds_ended(holds, 1), 9);
    CU_ASSERT_EQUAL(study_holds_ended(holds, 1), 0);
    CU_ASSERT_EQUAL(study_holds_ended(holds, 2), 8);
    study_holds_free(holds);
    study_holds_free(NULL);
}

/* What it delivered is looked at a moment later, when it may be gone: nothing would ever end the
 * hold. */
static void test_ended_before_its_instance_is_known(void)
{
    struct study_holds *holds = make_holds();
    study_holds_opened(holds, 1);
    CU_ASSERT_EQUAL(study_holds_ended(holds, 1), 0);
    CU_ASSERT_EQUAL(study_holds_delivered(holds, 1, 7, 0), 0);
    CU_ASSERT_EQUAL(study_complete_at(holds, 7, 5000, HOLD, FAR), 5000);
    study_holds_opened(holds, 2); /* one that delivers nothing holds nothing */
    CU_ASSERT_EQUAL(study_complete_at(holds, 0, 5000, HOLD, FAR), 5000);
    study_holds_free(holds);
}

static void test_beyond_its_room(void)
{
    struct study_holds *holds = make_holds();
    for (uint64_t association = 1; association <= 1024; association++)
        deliver(holds, association, (int64_t)association, 0);
    deliver(holds, 5000, 5000, 0);
    CU_ASSERT_EQUAL(study_complete_at(holds, 1024, 1, HOLD, FAR), HOLD);
    CU_ASSERT_EQUAL(study_complete_at(holds, 5000, 1, HOLD, FAR), 1);
    CU_ASSERT_EQUAL(study_holds_ended(holds, 5000), 0);
    /* Those that are in it still move, and a place that is given back is used again. */
    deliver(holds, 3, 77, 0);
    CU_ASSERT_EQUAL(study_holds_ended(holds, 3), 77);
    deliver(holds, 5000, 5000, 0);
    CU_ASSERT_EQUAL(study_holds_ended(holds, 5000), 5000);
    study_holds_free(holds);
}

struct sender {
    struct study_holds *holds;
    uint64_t association;
    bool wrong;
};

static void *send_many(void *context)
{
    struct sender *sender = context;
    int64_t study = (int64_t)sender->association * 100;
    for (int round = 0; round < 500; round++) {
        deliver(sender->holds, sender->association, study + round % 7, round);
        if (study_complete_at(sender->holds, study + round % 7, round, HOLD, FAR) != round + HOLD)
            sender->wrong = true;
        if (study_holds_ended(sender->holds, sender->association) != study + round % 7)
            sender->wrong = true;
    }
    return NULL;
}

static void test_threads(void)
{
    enum { THREADS = 8 };
    struct study_holds *holds = make_holds();
    pthread_t threads[THREADS];
    struct sender senders[THREADS];
    for (size_t i = 0; i < THREADS; i++) {
        senders[i] = (struct sender){.holds = holds, .association = i + 1};
        CU_ASSERT_EQUAL_FATAL(pthread_create(&threads[i], NULL, send_many, &senders[i]), 0);
    }
    for (size_t i = 0; i < THREADS; i++) {
        CU_ASSERT_EQUAL(pthread_join(threads[i], NULL), 0);
        CU_ASSERT_FALSE(senders[i].wrong);
    }
    study_holds_free(holds);
}

static CU_TestInfo cases[] = {SUITE_CASE(test_complete_at),
                              SUITE_CASE(test_ended),
                              SUITE_CASE(test_ended_before_its_instance_is_known),
                              SUITE_CASE(test_beyond_its_room),
                              SUITE_CASE(test_threads),
                              CU_TEST_INFO_NULL};
SUITE_MAIN("study", cases)
