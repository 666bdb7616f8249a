/* How large a PATCH is, by what became of those before. */
#include "chunk.h"
#include "protocol.h"

#include "suite.h"

#define MIB     (UINT64_C(1) << 20)
#define PLENTY  (UINT64_C(1) << 50)
#define FIRST   (8 * MIB)
#define FAST    100
#define HOUR_MS 3600000

static uint64_t next(struct chunk_plan *plan, int64_t now_ms)
{
    return chunk_next(plan, FIRST, PLENTY, now_ms);
}

/* Sends what is next and has it acknowledged. */
static uint64_t pass(struct chunk_plan *plan, int64_t now_ms, int64_t took_ms)
{
    uint64_t sent = next(plan, now_ms);
    chunk_acknowledged(plan, sent, took_ms);
    return sent;
}

static void test_it_doubles_while_all_is_well(void)
{
    struct chunk_plan plan = {0};
    for (uint64_t wanted = FIRST; wanted < PLENTY; wanted *= 2)
        CU_ASSERT_EQUAL(pass(&plan, 0, FAST), wanted);
    CU_ASSERT_EQUAL(next(&plan, 0), PLENTY);
    for (int i = 0; i < 100; i++) /* and never overflows */
        chunk_acknowledged(&plan, plan.size, FAST);
    CU_ASSERT_EQUAL(next(&plan, 0), PLENTY);
}

static void test_a_rest_says_nothing(void)
{
    struct chunk_plan plan = {0};
    CU_ASSERT_EQUAL(chunk_next(&plan, FIRST, 100, 0), 100);
    chunk_acknowledged(&plan, 100, FAST);
    CU_ASSERT_EQUAL(next(&plan, 0), FIRST);
    struct chunk_plan all = {0};
    CU_ASSERT_EQUAL(chunk_next(&all, 0, PLENTY, 0), PLENTY);
}

/* On a slow line a lost chunk is some seconds' work, not hours'. */
static void test_time_bounds_it(void)
{
    struct chunk_plan plan = {0};
    CU_ASSERT_EQUAL(pass(&plan, 0, CHUNK_IN_GOOD_TIME_MS), FIRST);
    CU_ASSERT_EQUAL(pass(&plan, 0, CHUNK_IN_GOOD_TIME_MS + 1), 2 * FIRST);
    CU_ASSERT_EQUAL(pass(&plan, 0, 4 * CHUNK_IN_GOOD_TIME_MS), 2 * FIRST);
    CU_ASSERT_EQUAL(pass(&plan, 0, 4 * CHUNK_IN_GOOD_TIME_MS + 1), 2 * FIRST);
    CU_ASSERT_EQUAL(pass(&plan, 0, HOUR_MS), FIRST);
    CU_ASSERT_EQUAL(pass(&plan, 0, HOUR_MS), FIRST); /* not below what S3 takes */
    CU_ASSERT_EQUAL(next(&plan, 0), FIRST);
}

static void test_one_patch_where_it_streams(void)
{
    struct chunk_plan plan = {0};
    (void)next(&plan, 0);
    chunk_kept(&plan, 1000);
    CU_ASSERT_EQUAL(next(&plan, 1000), PLENTY);
    CU_ASSERT_EQUAL(next(&plan, 1000 + CHUNK_STREAMS_MS - 1), PLENTY);
    CU_ASSERT_EQUAL(next(&plan, 1000 + CHUNK_STREAMS_MS), FIRST);
    chunk_kept(&plan, 2 * CHUNK_STREAMS_MS);
    chunk_lost(&plan, PLENTY, 2 * CHUNK_STREAMS_MS); /* it does so no more */
    CU_ASSERT_EQUAL(next(&plan, 2 * CHUNK_STREAMS_MS), FIRST);
}

/* A proxy that takes 100 MiB: found once, and not asked again for an hour. */
static void test_a_413_is_remembered(void)
{
    const uint64_t most = 100 * MIB;
    struct chunk_plan plan = {0};
    unsigned refusals = 0;
    int64_t now_ms = 5000;
    for (int study = 0; study < 50; study++) {
        uint64_t sent = next(&plan, now_ms);
        if (sent > most) {
            refusals++;
            chunk_refused(&plan, sent, FIRST, now_ms);
        } else {
            chunk_acknowledged(&plan, sent, FAST);
        }
    }
    CU_ASSERT_EQUAL(refusals, 1);
    CU_ASSERT_EQUAL(next(&plan, now_ms), 64 * MIB);
    chunk_kept(&plan, now_ms + 1); /* nor in one PATCH for the rest */
    CU_ASSERT_EQUAL(next(&plan, now_ms), 64 * MIB);
    now_ms += CHUNK_REFUSED_MS;
    CU_ASSERT_EQUAL(next(&plan, now_ms - 1), 64 * MIB);
    CU_ASSERT_EQUAL(next(&plan, now_ms), PLENTY); /* it streamed, and the setting may be another */
}

static void test_413s_end_at_the_smallest(void)
{
    struct chunk_plan plan = {0};
    uint64_t before = UINT64_MAX;
    while (before > TUS_SMALLEST_CHUNK) {
        uint64_t sent = next(&plan, 0);
        CU_ASSERT_FATAL(sent < before);
        chunk_refused(&plan, sent, FIRST, 0);
        before = sent;
    }
    CU_ASSERT_EQUAL(before, TUS_SMALLEST_CHUNK);
}

static void test_losses(void)
{
    struct chunk_plan plan = {0};
    for (int i = 0; i < 3; i++)
        (void)pass(&plan, 0, FAST);
    CU_ASSERT_EQUAL(next(&plan, 0), 64 * MIB);
    chunk_lost(&plan, 64 * MIB, 0); /* may have had any reason … */
    CU_ASSERT_EQUAL(pass(&plan, 0, FAST), 16 * MIB);
    CU_ASSERT_EQUAL(pass(&plan, 0, FAST), 32 * MIB);
    CU_ASSERT_EQUAL(next(&plan, 0), 64 * MIB); /* … and is forgotten */
    chunk_lost(&plan, 64 * MIB, 0);
    chunk_lost(&plan, 16 * MIB, 0); /* the second in a row: it is the size */
    CU_ASSERT_EQUAL(pass(&plan, 0, FAST), 4 * MIB);
    CU_ASSERT_EQUAL(pass(&plan, 0, FAST), 8 * MIB);
    CU_ASSERT_EQUAL(pass(&plan, 0, FAST), 8 * MIB);
    (void)next(&plan, CHUNK_LOST_MS);
    CU_ASSERT_EQUAL(pass(&plan, CHUNK_LOST_MS, FAST), 8 * MIB);
    CU_ASSERT_EQUAL(pass(&plan, CHUNK_LOST_MS, FAST), 16 * MIB);
    for (int i = 0; i < 40; i++)
        chunk_lost(&plan, plan.size, 0);
    CU_ASSERT_EQUAL(next(&plan, 0), TUS_LEAST_CHUNK);
}

/* What one upload found out while another was under way with more. */
static void test_the_smaller_word_counts(void)
{
    struct chunk_plan plan = {0};
    (void)pass(&plan, 0, FAST);
    chunk_refused(&plan, 16 * MIB, FIRST, 0);
    chunk_refused(&plan, 64 * MIB, FIRST, 0);
    CU_ASSERT_EQUAL(next(&plan, 0), 8 * MIB);
    chunk_acknowledged(&plan, 16 * MIB, FAST); /* some pass, some do not */
    CU_ASSERT_EQUAL(next(&plan, 0), 8 * MIB);
}

static CU_TestInfo cases[] = {SUITE_CASE(test_it_doubles_while_all_is_well),
                              SUITE_CASE(test_a_rest_says_nothing),
                              SUITE_CASE(test_time_bounds_it),
                              SUITE_CASE(test_one_patch_where_it_streams),
                              SUITE_CASE(test_a_413_is_remembered),
                              SUITE_CASE(test_413s_end_at_the_smallest),
                              SUITE_CASE(test_losses),
                              SUITE_CASE(test_the_smaller_word_counts),
                              CU_TEST_INFO_NULL};
SUITE_MAIN("tus: chunk", cases)
