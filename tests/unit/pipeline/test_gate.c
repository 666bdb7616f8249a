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

static bool enter(struct gate *gate, int64_t now_ms, uint64_t *probe)
{
    int64_t until = 0;
    return gate_enter(gate, now_ms, probe, &until);
}

static int64_t pause_gate(struct gate *gate, uint64_t probe, int64_t now_ms, int64_t at_least_ms)
{
    const struct gate_fault fault = {GATE_ACCESS, "it is away", at_least_ms, 0};
    return gate_pause(gate, probe, &fault, now_ms, FIRST_MS, CEILING_MS);
}

static void test_open_gate_lets_all_pass(void)
{
    struct gate gate;
    uint64_t probe = 1;
    gate_init(&gate);
    for (int worker = 0; worker < 8; worker++) {
        CU_ASSERT_TRUE(enter(&gate, 1000, &probe));
        CU_ASSERT_EQUAL(probe, 0);
    }
    gate_destroy(&gate);
}

static void test_paused_gate_lets_one_probe_pass(void)
{
    struct gate gate;
    uint64_t probe = 0;
    uint64_t other = 0;
    gate_init(&gate);
    int64_t until = pause_gate(&gate, 0, 1000, -1);
    CU_ASSERT(until >= 1500 && until <= 2000);
    int64_t asked = 0;
    CU_ASSERT_FALSE(gate_enter(&gate, 1001, &probe, &asked));
    CU_ASSERT_EQUAL(asked, until);
    CU_ASSERT_TRUE(enter(&gate, until, &probe));
    CU_ASSERT_NOT_EQUAL(probe, 0);
    CU_ASSERT_FALSE(enter(&gate, until + 1, &other));
    gate_leave(&gate, 0); /* one that was under way before ends: the probe is still out */
    CU_ASSERT_FALSE(enter(&gate, until + 1, &other));
    gate_leave(&gate, probe);
    CU_ASSERT_TRUE(enter(&gate, until + 1, &other));
    gate_destroy(&gate);
}

static void test_pause_backs_off_by_probes_alone(void)
{
    struct gate gate;
    uint64_t probe = 0;
    uint64_t other = 0;
    gate_init(&gate);
    int64_t until = pause_gate(&gate, 0, 0, -1);
    for (int worker = 0; worker < 10; worker++) /* were under way when the pause began */
        CU_ASSERT_EQUAL(pause_gate(&gate, 0, 1, -1), until);
    CU_ASSERT_TRUE(enter(&gate, until, &probe));
    int64_t next = pause_gate(&gate, probe, until, -1);
    CU_ASSERT(next - until >= 1000 && next - until <= 2000);
    gate_leave(&gate, probe);
    CU_ASSERT_TRUE(enter(&gate, next, &probe));
    /* One that was under way lengthens nothing, and lets no second probe in. */
    CU_ASSERT_EQUAL(pause_gate(&gate, 0, next, -1), next);
    CU_ASSERT_FALSE(enter(&gate, next, &other));
    CU_ASSERT_EQUAL(pause_gate(&gate, probe, next, 60000), next + 60000);
    gate_destroy(&gate);
}

static void test_clock_set_back_does_not_keep_it_closed(void)
{
    struct gate gate;
    uint64_t probe = 0;
    gate_init(&gate);
    int64_t until = pause_gate(&gate, 0, 2000000000, -1);
    CU_ASSERT(until > 2000000000);
    CU_ASSERT_TRUE(enter(&gate, 1000, &probe));
    CU_ASSERT_NOT_EQUAL(probe, 0);
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
        uint64_t probe = 0;
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
    (void)pause_gate(&gate, 0, 1000, -1);
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
    uint64_t probe = 0;
    gate_init(&gate);
    CU_ASSERT_FALSE(gate_is_fresh(&gate, 1000000));
    CU_ASSERT_FALSE(gate_answered(&gate, GATE_ACCESS, 1000000));
    CU_ASSERT_TRUE(gate_is_fresh(&gate, 1059999));
    CU_ASSERT_FALSE(gate_is_fresh(&gate, 1060000));
    CU_ASSERT_FALSE(gate_is_fresh(&gate, 999999)); /* the clock was set back */
    (void)pause_gate(&gate, 0, 1000001, -1);
    CU_ASSERT_STRING_EQUAL(gate.reason, "it is away");
    CU_ASSERT_FALSE(gate_is_fresh(&gate, 1000002));
    CU_ASSERT_TRUE(gate_answered(&gate, GATE_ACCESS, 1000003));
    CU_ASSERT_STRING_EQUAL(gate.reason, "");
    CU_ASSERT_TRUE(enter(&gate, 1000003, &probe));
    CU_ASSERT_EQUAL(probe, 0);
    gate_destroy(&gate);
}

/* The lift config is asked for before everything else: its answer says nothing about `init`. */
static void test_only_an_answer_at_the_place_at_fault_opens(void)
{
    static const enum gate_place places[] = {GATE_ACCESS, GATE_INIT, GATE_START, GATE_TUS,
                                             GATE_COMPLETE};
    struct gate_fault fault = {GATE_INIT, "refused", -1, 1};
    struct gate gate;
    gate_init(&gate);
    int64_t now = 1000;
    int64_t until = gate_pause(&gate, 0, &fault, now, FIRST_MS, CEILING_MS);
    for (int attempt = 1; attempt < 5; attempt++) {
        int64_t least = attempt < 3 ? (int64_t)FIRST_MS << (attempt - 1) : CEILING_MS / 2;
        uint64_t probe = 0;
        now = until;
        CU_ASSERT_TRUE(enter(&gate, now, &probe));
        for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
            if (places[i] != fault.place)
                CU_ASSERT_FALSE(gate_answered(&gate, places[i], now));
        }
        CU_ASSERT_FALSE(gate_is_fresh(&gate, now));
        fault.study_id++; /* another one says so */
        until = gate_pause(&gate, probe, &fault, now, FIRST_MS, CEILING_MS);
        CU_ASSERT(until - now >= least); /* it backs off all the same */
        gate_leave(&gate, probe);
    }
    CU_ASSERT_TRUE(gate_answered(&gate, GATE_INIT, until));
    CU_ASSERT_TRUE(gate_is_fresh(&gate, until));
    gate_destroy(&gate);
}

/* Probes until `end_ms`, each of which fails after `takes_ms`; studies take turns. Says how many
 * there were, and in `*until_ms` when the next one may go. */
static unsigned probe_in_vain(struct gate *gate, struct gate_fault fault, int64_t studies,
                              int64_t takes_ms, int64_t end_ms, int64_t *until_ms)
{
    unsigned probes = 0;
    uint64_t probe = 0;
    while (*until_ms < end_ms) {
        CU_ASSERT_TRUE_FATAL(enter(gate, *until_ms, &probe));
        probes++;
        if (studies > 0)
            fault.study_id = 1 + probes % studies;
        *until_ms = gate_pause(gate, probe, &fault, *until_ms + takes_ms, 1000, 600000);
        gate_leave(gate, probe);
    }
    return probes;
}

static void test_half_an_hour_without_an_answer(void)
{
    const struct gate_fault fault = {GATE_ACCESS, "no answer", -1, 0};
    static const int64_t hour_ms = 3600000;
    struct gate gate;
    gate_init(&gate);
    /* The first call, and then probes, each of which takes its timeout of 30 s. */
    int64_t until = gate_pause(&gate, 0, &fault, hour_ms, 1000, 600000);
    unsigned probes = probe_in_vain(&gate, fault, 0, 30000, hour_ms + hour_ms / 2, &until);
    CU_ASSERT(probes >= 8 && probes <= 13);
    CU_ASSERT(until <= hour_ms + hour_ms / 2 + 30000 + 600000); /* and then it is found again */
    gate_destroy(&gate);
}

/* What says the same again is no news: a study that comes is not held up by a few that are bad. */
static void test_a_bad_study_makes_others_wait_for_moments_alone(void)
{
    static const struct {
        int64_t studies, most_ms;
        unsigned least_probes;
    } rows[] = {{1, 2000, 1800}, {2, 4000, 900}, {GATE_WITNESSES, 256000, 14}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const struct gate_fault fault = {GATE_TUS, "refused", -1, 1};
        struct gate gate;
        gate_init(&gate);
        int64_t until = gate_pause(&gate, 0, &fault, 1000, 1000, 600000);
        unsigned probes = probe_in_vain(&gate, fault, rows[i].studies, 0, 3600000, &until);
        CU_ASSERT(probes >= rows[i].least_probes);
        CU_ASSERT(until - 3600000 <= rows[i].most_ms);
        CU_ASSERT_EQUAL(gate.attempt, rows[i].studies);
        gate_destroy(&gate);
    }
}

static void test_many_studies_that_say_so_are_believed(void)
{
    const struct gate_fault fault = {GATE_TUS, "refused", -1, 1};
    struct gate gate;
    gate_init(&gate);
    int64_t until = gate_pause(&gate, 0, &fault, 1000, 1000, 600000);
    CU_ASSERT(probe_in_vain(&gate, fault, GATE_WITNESSES + 2, 0, 3600000, &until) < 25);
    /* An answer ends what they said. */
    CU_ASSERT_TRUE(gate_answered(&gate, GATE_TUS, until));
    CU_ASSERT(gate_pause(&gate, 0, &fault, until, 1000, 600000) <= until + 1000);
    gate_destroy(&gate);
}

static void test_hurry(void)
{
    struct gate gate;
    uint64_t probe = 0;
    gate_init(&gate);
    gate_hurry(&gate, 1000);
    (void)pause_gate(&gate, 0, 1000, 60000);
    CU_ASSERT_FALSE(enter(&gate, 2000, &probe));
    gate_hurry(&gate, 2000);
    CU_ASSERT_TRUE(enter(&gate, 2000, &probe));
    CU_ASSERT_NOT_EQUAL(probe, 0); /* the gate is not open: it is tried */
    gate_destroy(&gate);
}

static void test_probe_that_opened_takes_no_other_probe_with_it(void)
{
    struct gate gate;
    uint64_t first = 0;
    uint64_t second = 0;
    uint64_t third = 0;
    gate_init(&gate);
    int64_t until = pause_gate(&gate, 0, 1000, -1);
    CU_ASSERT_TRUE(enter(&gate, until, &first));
    CU_ASSERT_TRUE(gate_answered(&gate, GATE_ACCESS, until));
    int64_t again = pause_gate(&gate, 0, until, -1);
    CU_ASSERT_TRUE(enter(&gate, again, &second));
    CU_ASSERT_EQUAL(pause_gate(&gate, first, again, 60000), again); /* it is the probe no more */
    gate_leave(&gate, first);
    CU_ASSERT_FALSE(enter(&gate, again, &third));
    gate_leave(&gate, second);
    CU_ASSERT_TRUE(enter(&gate, again, &third));
    gate_destroy(&gate);
}

static CU_TestInfo cases[] = {
    SUITE_CASE(test_backoff_stays_in_its_bounds),
    SUITE_CASE(test_open_gate_lets_all_pass),
    SUITE_CASE(test_paused_gate_lets_one_probe_pass),
    SUITE_CASE(test_pause_backs_off_by_probes_alone),
    SUITE_CASE(test_clock_set_back_does_not_keep_it_closed),
    SUITE_CASE(test_one_probe_at_a_time_of_many_threads),
    SUITE_CASE(test_only_an_answer_at_the_place_at_fault_opens),
    SUITE_CASE(test_probe_that_opened_takes_no_other_probe_with_it),
    SUITE_CASE(test_answer_opens_and_stays_fresh_for_a_while),
    SUITE_CASE(test_half_an_hour_without_an_answer),
    SUITE_CASE(test_a_bad_study_makes_others_wait_for_moments_alone),
    SUITE_CASE(test_many_studies_that_say_so_are_believed),
    SUITE_CASE(test_hurry),
    CU_TEST_INFO_NULL,
};
SUITE_MAIN("pipeline_gate", cases)
