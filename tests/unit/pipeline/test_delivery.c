/* A worker's own time. */
#include "bridge_bench.h"
#include "delivery.h"

#include <time.h>

#define REST_MS 5000
#define HOUR_MS 3600000LL

struct rest {
    struct bench bench;
    struct clock clock; /* the bench's, counted */
    struct delivery delivery;
    struct delivery_worker worker;
    pthread_t thread;
    atomic_uint looks; /* at either clock */
    atomic_bool over;
};

static int64_t wall(void *context)
{
    struct rest *rest = context;
    atomic_fetch_add(&rest->looks, 1);
    return clock_wall_ms(&rest->bench.clock);
}

static int64_t monotonic(void *context)
{
    struct rest *rest = context;
    atomic_fetch_add(&rest->looks, 1);
    return clock_monotonic_ms(&rest->bench.clock);
}

static void *have_rest(void *context)
{
    struct rest *rest = context;
    delivery_worker_rests(&rest->worker);
    atomic_store(&rest->over, true);
    return NULL;
}

static bool is_over(struct rest *rest)
{
    for (int i = 0; i < 2000 && !atomic_load(&rest->over); i++)
        (void)nanosleep(&(struct timespec){.tv_nsec = 5000000}, NULL);
    return atomic_load(&rest->over);
}

/* It knows until when it rests, and has seen that this is not now. */
static bool looks_again(struct rest *rest, unsigned times)
{
    unsigned wanted = atomic_load(&rest->looks) + times;
    for (int i = 0; i < 2000 && atomic_load(&rest->looks) < wanted; i++) {
        bridge_wake(rest->bench.bridge);
        (void)nanosleep(&(struct timespec){.tv_nsec = 5000000}, NULL);
    }
    return atomic_load(&rest->looks) >= wanted;
}

static struct rest *rest_begin(void)
{
    struct rest *rest = calloc(1, sizeof *rest);
    CU_ASSERT_PTR_NOT_NULL_FATAL(rest);
    bench_open(&rest->bench, NULL);
    rest->clock = (struct clock){rest, wall, monotonic};
    rest->bench.bridge->clock = &rest->clock;
    rest->delivery.bridge = rest->bench.bridge;
    rest->worker.delivery = &rest->delivery;
    CU_ASSERT_EQUAL_FATAL(pthread_create(&rest->thread, NULL, have_rest, rest), 0);
    CU_ASSERT_TRUE(looks_again(rest, 4));
    CU_ASSERT_FALSE(atomic_load(&rest->over));
    return rest;
}

static void rest_end(struct rest *rest)
{
    atomic_store(&rest->delivery.stopping, true);
    bridge_wake(rest->bench.bridge);
    CU_ASSERT_TRUE(is_over(rest));
    CU_ASSERT_EQUAL(pthread_join(rest->thread, NULL), 0);
    bench_close(&rest->bench);
    free(rest);
}

static void test_rest_takes_its_time_however_the_clock_is_set(void)
{
    static const int64_t by_ms[] = {-HOUR_MS, HOUR_MS};
    for (size_t i = 0; i < sizeof by_ms / sizeof *by_ms; i++) {
        struct rest *rest = rest_begin();
        (void)atomic_fetch_add(&rest->bench.wall_ms, by_ms[i]);
        bench_pass(&rest->bench, REST_MS - 1);
        CU_ASSERT_TRUE(looks_again(rest, 4));
        CU_ASSERT_FALSE(atomic_load(&rest->over));
        bench_pass(&rest->bench, 1);
        CU_ASSERT_TRUE(is_over(rest));
        rest_end(rest);
    }
}

static void test_rest_ends_with_the_destination(void)
{
    rest_end(rest_begin());
}

static CU_TestInfo cases[] = {SUITE_CASE(test_rest_takes_its_time_however_the_clock_is_set),
                              SUITE_CASE(test_rest_ends_with_the_destination), CU_TEST_INFO_NULL};
SUITE_MAIN("pipeline: delivery", cases)
