/* When a study is complete, where it goes then, and what a reload or a clock changes. */
#include "bridge_bench.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const char nobody[] = "- {name: other, called: AURABRIDGE, calling: NOBODY, "
                             "destination: main}\n";
static const char ct_alone[] =
    "- {name: ct, called: AURABRIDGE, calling: CT1, destination: main, quiet_period: 5s}\n";

static void test_quiet_study_is_ready(void)
{
    struct bench bench;
    bench_open(&bench, NULL);
    bench_assemble(&bench);
    CU_ASSERT_EQUAL(SEND(&bench, .association = 1).status, DIMSE_SUCCESS);
    bench_hang_up(&bench, 1);
    bench_pass(&bench, BENCH_QUIET_MS - 1);
    CU_ASSERT_EQUAL(bench_study(&bench, 1).state, STUDY_RECEIVING);
    bench_pass(&bench, 1);
    CU_ASSERT_TRUE(bench_becomes(&bench, 1, STUDY_READY));
    bench_close(&bench);
}

static void test_open_association_holds_until_it_ends(void)
{
    struct bench bench;
    bench_open(&bench, NULL);
    bench_assemble(&bench);
    (void)SEND(&bench, .association = 1);
    bench_pass(&bench, BENCH_QUIET_MS);
    CU_ASSERT_TRUE(bench_reasons(&bench, 1, "held"));
    CU_ASSERT_EQUAL(bench_study(&bench, 1).state, STUDY_RECEIVING);
    bench_hang_up(&bench, 1);
    CU_ASSERT_TRUE(bench_becomes(&bench, 1, STUDY_READY));
    bench_close(&bench);
}

static void test_hold_ends_by_itself(void)
{
    struct bench bench;
    bench_open(&bench, NULL);
    bench_assemble(&bench);
    (void)SEND(&bench, .association = 1);
    bench_pass(&bench, BENCH_QUIET_MS);
    CU_ASSERT_TRUE(bench_reasons(&bench, 1, "held"));
    bench_pass(&bench, BENCH_HOLD_MS - BENCH_QUIET_MS);
    CU_ASSERT_TRUE(bench_becomes(&bench, 1, STUDY_READY));
    bench_close(&bench);
}

static void test_association_that_turned_away_holds_no_more(void)
{
    struct bench bench;
    bench_open(&bench, NULL);
    bench_assemble(&bench);
    (void)SEND(&bench, .association = 1);
    bench_pass(&bench, BENCH_QUIET_MS);
    CU_ASSERT_TRUE(bench_reasons(&bench, 1, "held"));
    (void)SEND(&bench, .association = 1, .study = "1.2.4", .sop = "1.2.4.1", .series = "1.2.4.9");
    CU_ASSERT_TRUE(bench_becomes(&bench, 1, STUDY_READY));
    CU_ASSERT_EQUAL(bench_study(&bench, 2).state, STUDY_RECEIVING);
    bench_close(&bench);
}

static void test_max_wait_ends_a_steady_stream(void)
{
    struct bench bench;
    bench_open(&bench, NULL);
    bench_assemble(&bench);
    int64_t step = BENCH_QUIET_MS - 1000;
    char sop[UID_SIZE];
    int sent = 0;
    for (int64_t passed = 0; passed + step < BENCH_WAIT_MS; passed += step) {
        (void)snprintf(sop, sizeof sop, "1.2.3.1.%d", ++sent);
        (void)SEND(&bench, .association = 1, .sop = sop);
        bench_pass(&bench, step);
    }
    CU_ASSERT_EQUAL(bench_study(&bench, 1).state, STUDY_RECEIVING);
    (void)SEND(&bench, .association = 1, .sop = "1.2.3.2");
    bench_pass(&bench, step);
    CU_ASSERT_TRUE(bench_becomes(&bench, 1, STUDY_READY));
    CU_ASSERT_EQUAL(bench_study(&bench, 1).instances, (uint64_t)sent + 1);
    bench_close(&bench);
}

static void test_late_instance_opens_a_supplement(void)
{
    struct bench bench;
    bench_open(&bench, NULL);
    bench_assemble(&bench);
    (void)SEND(&bench, .sop = "1.2.3.1");
    bench_hang_up(&bench, 0);
    bench_pass(&bench, BENCH_QUIET_MS);
    CU_ASSERT_TRUE(bench_becomes(&bench, 1, STUDY_READY));
    (void)SEND(&bench, .sop = "1.2.3.2");
    struct ledger_study late = bench_study(&bench, 2);
    CU_ASSERT_EQUAL(late.generation, 1);
    CU_ASSERT_EQUAL(late.first_id, 1);
    CU_ASSERT_EQUAL(late.instances, 1);
    CU_ASSERT_EQUAL(bench_study(&bench, 1).instances, 1);
    bench_close(&bench);
}

static void test_unrouted_is_held_until_a_map_has_it(void)
{
    struct bench bench;
    bench_open(&bench, nobody);
    bench_assemble(&bench);
    (void)SEND(&bench, .sop = "1.2.3.1");
    bench_hang_up(&bench, 0);
    bench_pass(&bench, BENCH_QUIET_MS);
    CU_ASSERT_TRUE(bench_becomes(&bench, 1, STUDY_UNROUTED));
    bench_reload(&bench, ct_alone);
    CU_ASSERT_TRUE(bench_becomes(&bench, 1, STUDY_READY));
    CU_ASSERT_STRING_EQUAL(bench_study(&bench, 1).entry_name, "ct");
    CU_ASSERT_STRING_EQUAL(bench_study(&bench, 1).destination, "main");
    bench_close(&bench);
}

static void test_map_that_comes_while_it_is_received_routes_it(void)
{
    struct bench bench;
    bench_open(&bench, nobody);
    bench_assemble(&bench);
    (void)SEND(&bench, .sop = "1.2.3.1");
    bench_hang_up(&bench, 0);
    bench_reload(&bench, ct_alone);
    bench_pass(&bench, BENCH_QUIET_MS);
    CU_ASSERT_TRUE(bench_becomes(&bench, 1, STUDY_READY));
    bench_close(&bench);
}

static void test_map_of_a_restart_routes_it(void)
{
    struct bench bench;
    bench_open(&bench, nobody);
    bench_assemble(&bench);
    (void)SEND(&bench, .sop = "1.2.3.1");
    bench_hang_up(&bench, 0);
    bench_pass(&bench, BENCH_QUIET_MS);
    CU_ASSERT_TRUE(bench_becomes(&bench, 1, STUDY_UNROUTED));
    bench_stop(&bench);
    bench_start(&bench, ct_alone);
    bench_assemble(&bench);
    CU_ASSERT_TRUE(bench_becomes(&bench, 1, STUDY_READY));
    bench_close(&bench);
}

static void test_two_patients_are_quarantined(void)
{
    struct bench bench;
    bench_open(&bench, NULL);
    bench_assemble(&bench);
    (void)SEND(&bench, .sop = "1.2.3.1", .patient = "PAT1");
    (void)SEND(&bench, .sop = "1.2.3.2", .patient = "PAT2");
    bench_hang_up(&bench, 0);
    bench_pass(&bench, BENCH_QUIET_MS);
    CU_ASSERT_TRUE(bench_becomes(&bench, 1, STUDY_QUARANTINED));
    CU_ASSERT_PTR_NULL(strstr(bench_study(&bench, 1).reason, "PAT"));
    bench_close(&bench);
}

/* The map was mended while the study was in quarantine. */
static void test_released_study_without_route_is_looked_at_again(void)
{
    struct bench bench;
    bench_open(&bench, nobody);
    bench_assemble(&bench);
    (void)SEND(&bench, .sop = "1.2.3.1", .patient = "PAT1");
    (void)SEND(&bench, .sop = "1.2.3.2", .patient = "PAT2");
    bench_hang_up(&bench, 0);
    bench_pass(&bench, BENCH_QUIET_MS);
    CU_ASSERT_TRUE(bench_becomes(&bench, 1, STUDY_QUARANTINED));
    bench_reload(&bench, ct_alone);
    CU_ASSERT_EQUAL(ledger_study_release(bench.bridge->ledger, 1, "PAT1", NULL, &bench.err), 0);
    bridge_wake(bench.bridge);
    CU_ASSERT_TRUE(bench_becomes(&bench, 1, STUDY_READY));
    CU_ASSERT_STRING_EQUAL(bench_study(&bench, 1).entry_name, "ct");
    bench_close(&bench);
}

/* Nothing may go up without the context that it was to have. */
static void test_lost_entry_is_told_and_waits(void)
{
    struct bench bench;
    char path[160];
    bench_open(&bench, ct_alone);
    (void)SEND(&bench, .sop = "1.2.3.1");
    bench_hang_up(&bench, 0);
    (void)snprintf(path, sizeof path, "%s/entries/%s.json", bench.spool,
                   bench_study(&bench, 1).route_key);
    bench_reload(&bench, nobody);
    CU_ASSERT_EQUAL(unlink(path), 0);
    bench_assemble(&bench);
    bench_pass(&bench, BENCH_QUIET_MS);
    CU_ASSERT_TRUE(bench_reasons(&bench, 1, "the map entry ct that it was matched to is neither"));
    CU_ASSERT_EQUAL(bench_study(&bench, 1).state, STUDY_VALIDATING);
    bench_reload(&bench, ct_alone);
    bench_pass(&bench, 300000);
    CU_ASSERT_TRUE(bench_becomes(&bench, 1, STUDY_READY));
    bench_close(&bench);
}

static void test_clock_that_ran_ahead_is_repaired(void)
{
    static const int64_t ten_years = 10LL * 365 * 24 * 3600 * 1000;
    struct bench bench;
    bench_open(&bench, NULL);
    atomic_fetch_add(&bench.wall_ms, ten_years);
    (void)SEND(&bench, .sop = "1.2.3.1");
    bench_hang_up(&bench, 0);
    bench_assemble(&bench);
    bench_pass(&bench, 1000); /* the assembler has seen the wrong time */
    (void)SEND(&bench, .study = "1.2.4", .series = "1.2.4.9", .sop = "1.2.4.1");
    bench_hang_up(&bench, 0);
    CU_ASSERT_TRUE(bench_study(&bench, 1).due_ms > ten_years);
    bench_pass(&bench, 1000);
    (void)usleep(100000); /* either order of the threads is right */
    atomic_fetch_sub(&bench.wall_ms, ten_years);
    bridge_wake(bench.bridge);
    CU_ASSERT_TRUE(bench_reasons(&bench, 1, "the clock was set"));
    bench_pass(&bench, BENCH_QUIET_MS);
    CU_ASSERT_TRUE(bench_becomes(&bench, 1, STUDY_READY));
    CU_ASSERT_TRUE(bench_becomes(&bench, 2, STUDY_READY));
    bench_close(&bench);
}

static CU_TestInfo cases[] = {
    SUITE_CASE(test_quiet_study_is_ready),
    SUITE_CASE(test_open_association_holds_until_it_ends),
    SUITE_CASE(test_hold_ends_by_itself),
    SUITE_CASE(test_association_that_turned_away_holds_no_more),
    SUITE_CASE(test_max_wait_ends_a_steady_stream),
    SUITE_CASE(test_late_instance_opens_a_supplement),
    SUITE_CASE(test_unrouted_is_held_until_a_map_has_it),
    SUITE_CASE(test_map_that_comes_while_it_is_received_routes_it),
    SUITE_CASE(test_map_of_a_restart_routes_it),
    SUITE_CASE(test_two_patients_are_quarantined),
    SUITE_CASE(test_released_study_without_route_is_looked_at_again),
    SUITE_CASE(test_lost_entry_is_told_and_waits),
    SUITE_CASE(test_clock_that_ran_ahead_is_repaired),
    CU_TEST_INFO_NULL,
};
SUITE_MAIN("pipeline_assembler", cases)
