/* The gate of a destination and the backoff: who passes when. */
#include "gate.h"

#include "suite.h"

#include <limits.h>
#include <sched.h>
#include <stdatomic.h>

#define FIRST_MS   1000
#define CEILING_MS 8000

static void test_backoff_stays_in_its_bounds(void)
{
    static const struct {
        unsigned attempt;
        int64_t least, most;
    } rows[] = {
        {0, 500, 1000},  {1, 1000, 2000}, {2, 2000, 4000},
        {3, 4000, 8000}, {4, 4000, 8000}, {UINT_MAX, 4000, 8000},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        int64_t lowest = INT64_MAX;
        int64_t highest = 0;
        for (int again = 0; again < 500; again++) {
            int64_t delay = backoff_delay(rows[i].attempt, FIRST_MS, CEILING_MS);
            CU_ASSERT(delay >= rows[i].least && delay <= rows[i].most);
            lowest = delay < lowest ? delay : lowest;
            highest = delay > highest ? delay : highest;
        }
        CU_ASSERT(highest - lowest > (rows[i].most - rows[i].least) / 2); /* there is jitter */
    }
    CU_ASSERT(backoff_delay(5, 0, 0) >= 0);
}

static bool enter(struct gate *gate, int64_t now_ms, bool *probe)
{
    int64_t until = 0;
    return gate_enter(gate, now_ms, probe, &until);
}

static void test_open_gate_lets_all_pass(void)
{
    struct gate gate;
    bool probe = true;
    gate_init(&gate);
    for (int worker = 0; worker < 8; worker++) {
        CU_ASSERT_TRUE(enter(&gate, 1000, &probe));
        CU_ASSERT_FALSE(probe);
    }
    gate_destroy(&gate);
}

static void test_paused_gate_lets_one_probe_pass(void)
{
    struct gate gate;
    bool probe = false;
    bool other = false;
    gate_init(&gate);
    int64_t until = gate_pause(&gate, false, "it is away", 1000, FIRST_MS, CEILING_MS, -1);
    CU_ASSERT(until >= 1500 && until <= 2000);
    int64_t asked = 0;
    CU_ASSERT_FALSE(gate_enter(&gate, 1001, &probe, &asked));
    CU_ASSERT_EQUAL(asked, until);
    CU_ASSERT_TRUE(enter(&gate, until, &probe));
    CU_ASSERT_TRUE(probe);
    CU_ASSERT_FALSE(enter(&gate, until + 1, &other));
    gate_leave(&gate, false); /* one that was under way before ends: the probe is still out */
    CU_ASSERT_FALSE(enter(&gate, until + 1, &other));
    gate_leave(&gate, true);
    CU_ASSERT_TRUE(enter(&gate, until + 1, &other));
    gate_destroy(&gate);
}

static void test_pause_backs_off_by_probes_alone(void)
{
    struct gate gate;
    bool probe = false;
    bool other = false;
    gate_init(&gate);
    int64_t until = gate_pause(&gate, false, "it is away", 0, FIRST_MS, CEILING_MS, -1);
    for (int worker = 0; worker < 10; worker++) /* were under way when the pause began */
        CU_ASSERT_EQUAL(gate_pause(&gate, false, "it is away", 1, FIRST_MS, CEILING_MS, -1), until);
    CU_ASSERT_TRUE(enter(&gate, until, &probe));
    int64_t next = gate_pause(&gate, true, "it is away", until, FIRST_MS, CEILING_MS, -1);
    CU_ASSERT(next - until >= 1000 && next - until <= 2000);
    gate_leave(&gate, true);
    CU_ASSERT_TRUE(enter(&gate, next, &probe));
    /* One that was under way lengthens nothing, and lets no second probe in. */
    CU_ASSERT_EQUAL(gate_pause(&gate, false, "it is away", next, FIRST_MS, CEILING_MS, -1), next);
    CU_ASSERT_FALSE(enter(&gate, next, &other));
    CU_ASSERT_EQUAL(gate_pause(&gate, true, "wait", next, FIRST_MS, CEILING_MS, 60000),
                    next + 60000);
    gate_destroy(&gate);
}

static void test_clock_set_back_does_not_keep_it_closed(void)
{
    struct gate gate;
    bool probe = false;
    gate_init(&gate);
    int64_t until = gate_pause(&gate, false, "it is away", 2000000000, FIRST_MS, CEILING_MS, -1);
    CU_ASSERT(until > 2000000000);
    CU_ASSERT_TRUE(enter(&gate, 1000, &probe));
    CU_ASSERT_TRUE(probe);
    gate_destroy(&gate);
}

#define PROBERS 8

struct prober {
    struct gate *gate;
    atomic_uint *inside, *most, *entered;
};

static void *probe_often(void *context)
{
    struct prober *prober = context;
    for (int i = 0; i < 5000; i++) {
        bool probe = false;
        if (!enter(prober->gate, 5000, &probe))
            continue;
        unsigned inside = atomic_fetch_add(prober->inside, 1) + 1;
        if (inside > atomic_load(prober->most))
            atomic_store(prober->most, inside);
        atomic_fetch_add(prober->entered, 1);
        (void)sched_yield();
        atomic_fetch_sub(prober->inside, 1);
        gate_leave(prober->gate, probe);
    }
    return NULL;
}

static void test_one_probe_at_a_time_of_many_threads(void)
{
    struct gate gate;
    atomic_uint inside = 0;
    atomic_uint most = 0;
    atomic_uint entered = 0;
    pthread_t threads[PROBERS];
    gate_init(&gate);
    (void)gate_pause(&gate, false, "it is away", 1000, FIRST_MS, CEILING_MS, -1);
    struct prober prober = {&gate, &inside, &most, &entered};
    for (int i = 0; i < PROBERS; i++)
        CU_ASSERT_EQUAL(pthread_create(&threads[i], NULL, probe_often, &prober), 0);
    for (int i = 0; i < PROBERS; i++)
        CU_ASSERT_EQUAL(pthread_join(threads[i], NULL), 0);
    CU_ASSERT(atomic_load(&entered) > 0);
    CU_ASSERT_EQUAL(atomic_load(&most), 1);
    gate_destroy(&gate);
}

static void test_answer_opens_and_stays_fresh_for_a_while(void)
{
    struct gate gate;
    bool probe = false;
    gate_init(&gate);
    CU_ASSERT_FALSE(gate_is_fresh(&gate, 1000000));
    CU_ASSERT_FALSE(gate_opened(&gate, 1000000));
    CU_ASSERT_TRUE(gate_is_fresh(&gate, 1059999));
    CU_ASSERT_FALSE(gate_is_fresh(&gate, 1060000));
    CU_ASSERT_FALSE(gate_is_fresh(&gate, 999999)); /* the clock was set back */
    (void)gate_pause(&gate, false, "it is away", 1000001, FIRST_MS, CEILING_MS, -1);
    CU_ASSERT_STRING_EQUAL(gate.reason, "it is away");
    CU_ASSERT_FALSE(gate_is_fresh(&gate, 1000002));
    CU_ASSERT_TRUE(gate_opened(&gate, 1000003));
    CU_ASSERT_STRING_EQUAL(gate.reason, "");
    CU_ASSERT_TRUE(enter(&gate, 1000003, &probe));
    CU_ASSERT_FALSE(probe);
    gate_destroy(&gate);
}

static CU_TestInfo cases[] = {
    SUITE_CASE(test_backoff_stays_in_its_bounds),
    SUITE_CASE(test_open_gate_lets_all_pass),
    SUITE_CASE(test_paused_gate_lets_one_probe_pass),
    SUITE_CASE(test_pause_backs_off_by_probes_alone),
    SUITE_CASE(test_clock_set_back_does_not_keep_it_closed),
    SUITE_CASE(test_one_probe_at_a_time_of_many_threads),
    SUITE_CASE(test_answer_opens_and_stays_fresh_for_a_while),
    CU_TEST_INFO_NULL,
};
SUITE_MAIN("pipeline_gate", cases)
