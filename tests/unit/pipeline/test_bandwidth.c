/* The line's budget on a clock of the test's own, and the meter beside it. */
#include "bandwidth.h"
#include "meter.h"

#include "suite.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define COUNT(array) (sizeof(array) / sizeof *(array))
#define HOUR_MS      3600000LL
#define MINUTE_MS    60000LL
/* 2026-11-23T00:00:00Z, a Monday */
#define MONDAY_MS 1795392000000LL

static atomic_llong wall_ms, monotonic_ms;

static int64_t read_wall(void *context)
{
    (void)context;
    return atomic_load(&wall_ms);
}

static int64_t read_monotonic(void *context)
{
    (void)context;
    return atomic_load(&monotonic_ms);
}

static const struct clock fake_clock = {NULL, read_wall, read_monotonic};

static void pass(int64_t ms)
{
    (void)atomic_fetch_add(&wall_ms, ms);
    (void)atomic_fetch_add(&monotonic_ms, ms);
}

static void use_zone(const char *zone)
{
    CU_ASSERT_EQUAL(setenv("TZ", zone, 1), 0);
    tzset();
}

static void start(struct bandwidth *bandwidth, const struct config_upload_limit *limits,
                  size_t count, int64_t at_ms)
{
    struct error err;
    use_zone("UTC0");
    atomic_store(&wall_ms, at_ms);
    atomic_store(&monotonic_ms, 77777);
    bandwidth_init(bandwidth, &fake_clock);
    CU_ASSERT_EQUAL_FATAL(bandwidth_follow(bandwidth, limits, count, &err), 0);
}

/* ---- the schedule ---- */

static void test_which_limit_holds(void)
{
    static const struct config_upload_limit limits[] = {
        {480, 1080, 0x1F, 1},    /* working hours, Monday to Friday */
        {1320, 360, 0x41, 2},    /* 22:00 to 6:00, begun on Sunday or Monday */
        {0, 1440, 0x20, 3},      /* all of Saturday */
        {1080, 1440, 0x7F, 4},   /* every evening */
        {1200, 1210, 0x7F, 999}, /* never: an earlier one holds */
    };
    static const struct {
        int day, hour, minute;
        uint64_t rate;
    } rows[] = {
        {0, 7, 59, 0}, {0, 8, 0, 1},  {0, 17, 59, 1}, {0, 18, 0, 4}, {0, 20, 5, 4},
        {0, 22, 0, 2}, {1, 0, 0, 2},  {1, 5, 59, 2},  {1, 6, 0, 0},  {1, 23, 0, 4},
        {2, 3, 0, 0},  {4, 12, 0, 1}, {5, 0, 0, 3},   {5, 12, 0, 3}, {5, 23, 59, 3},
        {6, 0, 0, 0},  {6, 12, 0, 0}, {6, 22, 30, 2}, {7, 3, 0, 2},  {7, 7, 0, 0},
    };
    use_zone("UTC0");
    for (size_t i = 0; i < COUNT(rows); i++) {
        int64_t at = MONDAY_MS + (rows[i].day * 24 + rows[i].hour) * HOUR_MS +
                     rows[i].minute * MINUTE_MS + 59999;
        CU_ASSERT_EQUAL(bandwidth_limit_at(limits, COUNT(limits), at), rows[i].rate);
    }
    CU_ASSERT_EQUAL(bandwidth_limit_at(NULL, 0, MONDAY_MS), 0);
}

/* Local time, and as the machine's zone has it: also on the day on which summer time ends. */
static void test_local_time(void)
{
    static const struct config_upload_limit limits[] = {{480, 1080, 0x7F, 5}};
    static const struct {
        const char *zone;
        int64_t at_ms;
        uint64_t rate;
    } rows[] = {
        {"XXX-10", MONDAY_MS - 2 * HOUR_MS - 1, 0}, /* 10 hours east: 7:59 */
        {"XXX-10", MONDAY_MS - 2 * HOUR_MS, 5},
        {"XXX-10", MONDAY_MS + 8 * HOUR_MS, 0},
        /* 2026-10-25, the clock goes from 3:00 to 2:00 */
        {"CET-1CEST,M3.5.0,M10.5.0/3", 1792908000000 - 1, 0}, /* 6:59:59Z is 7:59:59 */
        {"CET-1CEST,M3.5.0,M10.5.0/3", 1792911600000, 5},
        {"CET-1CEST,M3.5.0,M10.5.0/3", 1792908000000 - 24 * HOUR_MS, 5}, /* a day before: 9:00 */
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        use_zone(rows[i].zone);
        CU_ASSERT_EQUAL(bandwidth_limit_at(limits, 1, rows[i].at_ms), rows[i].rate);
    }
    use_zone("UTC0");
}

/* ---- the bucket ---- */

/* Takes as a worker does for so long; returns the bytes. */
static uint64_t take_for(struct bandwidth *bandwidth, int64_t ms, size_t wanted)
{
    uint64_t taken = 0;
    int64_t until = atomic_load(&monotonic_ms) + ms;
    while (atomic_load(&monotonic_ms) < until) {
        int64_t wait_ms = 0;
        size_t granted = bandwidth_take(bandwidth, wanted, &wait_ms);
        CU_ASSERT(granted <= wanted);
        CU_ASSERT((granted == 0) == (wait_ms > 0));
        taken += granted;
        if (wait_ms > 50)
            wait_ms = 50; /* as transfer.c looks again */
        pass(wait_ms);
        if (granted > 0 && bandwidth_rate(bandwidth) == 0)
            pass(1);
    }
    return taken;
}

static void test_the_rate_is_kept(void)
{
    static const struct {
        uint64_t rate;
        size_t wanted;
    } rows[] = {
        {8000, 524288}, {8000, 100}, {2500000, 524288}, {2500000, 16384}, {125000000, 524288}};
    for (size_t i = 0; i < COUNT(rows); i++) {
        const struct config_upload_limit limit = {0, 1440, 0x7F, rows[i].rate};
        struct bandwidth bandwidth;
        start(&bandwidth, &limit, 1, MONDAY_MS);
        double wanted = (double)rows[i].rate * 20;
        double taken = (double)take_for(&bandwidth, 20000, rows[i].wanted);
        CU_ASSERT(taken >= wanted * 0.97 && taken <= wanted * 1.01 + 3 * 1024 + wanted / 200);
        bandwidth_destroy(&bandwidth);
    }
}

/* What nobody took is not saved up for a burst that fills the line. */
static void test_idle_time_is_not_saved(void)
{
    const struct config_upload_limit limit = {0, 1440, 0x7F, 2500000};
    struct bandwidth bandwidth;
    start(&bandwidth, &limit, 1, MONDAY_MS);
    (void)take_for(&bandwidth, 1000, 524288);
    pass(3 * HOUR_MS);
    uint64_t taken = 0;
    int64_t wait_ms = 0;
    while (wait_ms == 0)
        taken += bandwidth_take(&bandwidth, 524288, &wait_ms);
    CU_ASSERT(taken > 0 && taken <= 2500000 / 20 * 3);
    bandwidth_destroy(&bandwidth);
}

static void test_no_limit_grants_all(void)
{
    struct bandwidth bandwidth;
    int64_t wait_ms = 0;
    start(&bandwidth, NULL, 0, MONDAY_MS);
    for (int i = 0; i < 1000; i++)
        CU_ASSERT_EQUAL(bandwidth_take(&bandwidth, 524288, &wait_ms), 524288);
    CU_ASSERT_EQUAL(bandwidth_rate(&bandwidth), 0);
    bandwidth_destroy(&bandwidth);
}

/* Both ways within a second, for one who is in the middle. */
static void test_borders_hold_within_a_second(void)
{
    static const struct config_upload_limit limits[] = {{480, 1080, 0x7F, 8000}};
    struct bandwidth bandwidth;
    int64_t wait_ms = 0;
    start(&bandwidth, limits, 1, MONDAY_MS + 8 * HOUR_MS - 1000);
    CU_ASSERT_EQUAL(bandwidth_take(&bandwidth, 524288, &wait_ms), 524288);
    pass(999);
    CU_ASSERT_EQUAL(bandwidth_take(&bandwidth, 524288, &wait_ms), 524288);
    pass(251);
    uint64_t taken = take_for(&bandwidth, 1000, 524288);
    CU_ASSERT(taken >= 7000 && taken <= 12000);
    /* Out of the limit: whoever waits asks again within the time it was told, 50 ms at most. */
    atomic_store(&wall_ms, MONDAY_MS + 18 * HOUR_MS);
    pass(250);
    CU_ASSERT_EQUAL(bandwidth_take(&bandwidth, 524288, &wait_ms), 524288);
    bandwidth_destroy(&bandwidth);
}

/* From a fast rate to a slow one: what was lent at the fast one need not be paid back at the slow.
 */
static void test_another_schedule_holds_at_once(void)
{
    const struct config_upload_limit fast = {0, 1440, 0x7F, 125000000};
    const struct config_upload_limit slow = {0, 1440, 0x7F, 8000};
    struct bandwidth bandwidth;
    struct error err;
    int64_t wait_ms = 0;
    start(&bandwidth, &fast, 1, MONDAY_MS);
    for (wait_ms = 0; wait_ms == 0;)
        (void)bandwidth_take(&bandwidth, 524288, &wait_ms);
    CU_ASSERT_EQUAL(bandwidth_follow(&bandwidth, &slow, 1, &err), 0);
    CU_ASSERT_EQUAL(bandwidth_rate(&bandwidth), 8000);
    CU_ASSERT_EQUAL(bandwidth_take(&bandwidth, 524288, &wait_ms), 1024);
    uint64_t taken = take_for(&bandwidth, 5000, 524288);
    CU_ASSERT(taken >= 39000 && taken <= 42000);
    CU_ASSERT_EQUAL(bandwidth_follow(&bandwidth, NULL, 0, &err), 0);
    CU_ASSERT_EQUAL(bandwidth_take(&bandwidth, 524288, &wait_ms), 524288);
    bandwidth_destroy(&bandwidth);
}

enum { TAKERS = 8 };

struct taker {
    struct bandwidth *bandwidth;
    atomic_bool *over;
    atomic_ullong taken;
};

static void *take_all(void *context)
{
    struct taker *taker = context;
    while (!atomic_load(taker->over)) {
        int64_t wait_ms = 0;
        size_t granted = bandwidth_take(taker->bandwidth, 65536, &wait_ms);
        (void)atomic_fetch_add(&taker->taken, granted);
        if (granted == 0)
            (void)nanosleep(&(struct timespec){.tv_nsec = 100000}, NULL);
    }
    return NULL;
}

/* Eight workers share it: together they get what one would, each some of it. */
static void test_it_is_shared(void)
{
    const struct config_upload_limit limit = {0, 1440, 0x7F, 2500000};
    struct bandwidth bandwidth;
    struct taker takers[TAKERS];
    pthread_t threads[TAKERS];
    atomic_bool over = false;
    start(&bandwidth, &limit, 1, MONDAY_MS);
    for (size_t i = 0; i < TAKERS; i++) {
        takers[i] = (struct taker){.bandwidth = &bandwidth, .over = &over};
        CU_ASSERT_EQUAL_FATAL(pthread_create(&threads[i], NULL, take_all, &takers[i]), 0);
    }
    uint64_t total = 0;
    for (int round = 0; round < 4000; round++) { /* 20 s by the clock that counts here */
        pass(5);
        (void)nanosleep(&(struct timespec){.tv_nsec = 100000}, NULL);
    }
    atomic_store(&over, true);
    for (size_t i = 0; i < TAKERS; i++) {
        CU_ASSERT_EQUAL(pthread_join(threads[i], NULL), 0);
        CU_ASSERT(atomic_load(&takers[i].taken) > 0);
        total += atomic_load(&takers[i].taken);
    }
    CU_ASSERT(total <= 2500000 * 20 + 3 * 125000);
    CU_ASSERT(total >= 2500000 * 10); /* what a busy machine's threads were late for is lost */
    bandwidth_destroy(&bandwidth);
}

/* ---- the meter ---- */

static void test_meter(void)
{
    struct meter meter;
    uint64_t total = 0;
    meter_init(&meter);
    CU_ASSERT_EQUAL(meter_rate(&meter, &total, 500000), 0);
    for (int64_t at = 500000; at < 510000; at += 100)
        meter_add(&meter, 1000, at);
    CU_ASSERT_EQUAL(meter_rate(&meter, &total, 510000), 10000);
    CU_ASSERT_EQUAL(total, 100000);
    meter_add(&meter, 5000000, 510001);
    CU_ASSERT_EQUAL(meter_rate(&meter, NULL, 510999), 10000); /* the second that runs */
    CU_ASSERT_EQUAL(meter_rate(&meter, NULL, 511000), (4 * 10000 + 5000000) / 5);
    CU_ASSERT_EQUAL(meter_rate(&meter, NULL, 515999), 1000000);
    CU_ASSERT_EQUAL(meter_rate(&meter, &total, 516000), 0);
    CU_ASSERT_EQUAL(total, 5100000);
    meter_destroy(&meter);
}

static CU_TestInfo cases[] = {SUITE_CASE(test_which_limit_holds),
                              SUITE_CASE(test_local_time),
                              SUITE_CASE(test_the_rate_is_kept),
                              SUITE_CASE(test_idle_time_is_not_saved),
                              SUITE_CASE(test_no_limit_grants_all),
                              SUITE_CASE(test_borders_hold_within_a_second),
                              SUITE_CASE(test_another_schedule_holds_at_once),
                              SUITE_CASE(test_it_is_shared),
                              SUITE_CASE(test_meter),
                              CU_TEST_INFO_NULL};
SUITE_MAIN("pipeline: bandwidth", cases)
