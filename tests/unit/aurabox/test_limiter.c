/* The rate limits: no 60 s of the server's ever hold more than the limit, whatever the latency,
 * across reopening and with two limiters on one file; and what damage and wild clocks do. */
#include "aurabridge/aurabox.h"
#include "aurabridge/fs.h"

#include "suite.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define START_MS  1700000000000
#define WINDOW_MS 60000
#define TIMEOUT   30000

static char directory[] = "/tmp/aurabridge-limits-XXXXXX";
static int64_t now_ms;

static int64_t read_now(void *context)
{
    (void)context;
    return now_ms;
}

static const struct clock fake_clock = {NULL, read_now, read_now};
static const struct config_limits limits = {.exchange = 10, .config = 30, .lifecycle = 60};

static void file_path(char out[512])
{
    DIR *open_directory = opendir(directory);
    out[0] = '\0';
    for (struct dirent *entry; open_directory && (entry = readdir(open_directory));) {
        if (entry->d_name[0] != '.')
            (void)snprintf(out, 512, "%s/%s", directory, entry->d_name);
    }
    if (open_directory)
        (void)closedir(open_directory);
}

static void remove_files(void)
{
    char path[512];
    for (file_path(path); path[0]; file_path(path))
        CU_ASSERT_EQUAL_FATAL(unlink(path), 0);
}

static struct aurabox_limiter *open_limiter(void)
{
    struct aurabox_limiter *limiter = NULL;
    struct error err;
    CU_ASSERT_EQUAL_FATAL(aurabox_limiter_open(&limiter, directory, "https://a/api", "key", &limits,
                                               &fake_clock, &err),
                          0);
    return limiter;
}

/* 0 with the ticket, or the wait. */
static int64_t take(struct aurabox_limiter *limiter, enum aurabox_bucket bucket, unsigned *ticket)
{
    int64_t wait_ms = -1;
    struct error err;
    CU_ASSERT_EQUAL_FATAL(aurabox_limiter_take(limiter, bucket, TIMEOUT, &wait_ms, ticket, &err),
                          0);
    return wait_ms;
}

static void done(struct aurabox_limiter *limiter, enum aurabox_bucket bucket, unsigned ticket)
{
    struct error err;
    CU_ASSERT_EQUAL_FATAL(aurabox_limiter_done(limiter, bucket, ticket, &err), 0);
}

/* Takes and ends as many as go at this moment. */
static unsigned drain(struct aurabox_limiter *limiter, enum aurabox_bucket bucket)
{
    unsigned count = 0;
    unsigned ticket = 0;
    while (count < 200 && take(limiter, bucket, &ticket) == 0) {
        done(limiter, bucket, ticket);
        count++;
    }
    return count;
}

static void test_limits_per_bucket(void)
{
    unsigned ticket = 0;
    now_ms = START_MS;
    remove_files();
    struct aurabox_limiter *limiter = open_limiter();
    CU_ASSERT_EQUAL(drain(limiter, AURABOX_EXCHANGE), 10);
    CU_ASSERT_EQUAL(drain(limiter, AURABOX_CONFIG), 30);
    CU_ASSERT_EQUAL(drain(limiter, AURABOX_LIFECYCLE), 60);
    CU_ASSERT_EQUAL(take(limiter, AURABOX_EXCHANGE, &ticket), WINDOW_MS + 1);
    now_ms += WINDOW_MS;
    CU_ASSERT_EQUAL(drain(limiter, AURABOX_EXCHANGE), 0);
    now_ms += 1;
    CU_ASSERT_EQUAL(drain(limiter, AURABOX_EXCHANGE), 10);
    aurabox_limiter_close(limiter);
}

static struct aurabox_budget look(struct aurabox_limiter *limiter)
{
    struct aurabox_budget budget = {0};
    struct error err;
    CU_ASSERT_EQUAL(aurabox_limiter_look(limiter, AURABOX_LIFECYCLE, &budget, &err), 0);
    return budget;
}

static void test_a_look_takes_nothing(void)
{
    unsigned ticket = 0;
    now_ms = START_MS;
    remove_files();
    struct aurabox_limiter *limiter = open_limiter();
    for (int i = 0; i < 100; i++)
        CU_ASSERT_EQUAL(look(limiter).left, 60);
    CU_ASSERT_EQUAL(look(limiter).limit, 60);
    CU_ASSERT_EQUAL(take(limiter, AURABOX_LIFECYCLE, &ticket), 0);
    done(limiter, AURABOX_LIFECYCLE, ticket);
    now_ms += 20000;
    CU_ASSERT_EQUAL(drain(limiter, AURABOX_LIFECYCLE), 59);
    CU_ASSERT_EQUAL(look(limiter).left, 0);
    CU_ASSERT_EQUAL(look(limiter).next_ms, WINDOW_MS - 20000 + 1);
    now_ms += WINDOW_MS - 20000 + 1;
    CU_ASSERT_EQUAL(look(limiter).left, 1);
    CU_ASSERT_EQUAL(look(limiter).next_ms, 0);
    /* And where the server said that it takes none. */
    struct error err;
    CU_ASSERT_EQUAL(take(limiter, AURABOX_LIFECYCLE, &ticket), 0);
    CU_ASSERT_EQUAL(aurabox_limiter_refused(limiter, AURABOX_LIFECYCLE, ticket, 120000, &err), 0);
    now_ms += WINDOW_MS;
    CU_ASSERT_EQUAL(look(limiter).left, 0);
    CU_ASSERT_EQUAL(look(limiter).next_ms, 120000 - WINDOW_MS);
    aurabox_limiter_close(limiter);
}

static void test_survives_reopen_and_other_keys_are_apart(void)
{
    struct error err;
    now_ms = START_MS;
    remove_files();
    struct aurabox_limiter *limiter = open_limiter();
    CU_ASSERT_EQUAL(drain(limiter, AURABOX_EXCHANGE), 10);
    aurabox_limiter_close(limiter);
    limiter = open_limiter();
    CU_ASSERT_EQUAL(drain(limiter, AURABOX_EXCHANGE), 0);
    aurabox_limiter_close(limiter);
    CU_ASSERT_EQUAL_FATAL(aurabox_limiter_open(&limiter, directory, "https://a/api", "other",
                                               &limits, &fake_clock, &err),
                          0);
    CU_ASSERT_EQUAL(drain(limiter, AURABOX_EXCHANGE), 10);
    aurabox_limiter_close(limiter);
    remove_files();
}

/* A call that nobody ended (a killed process) counts until its timeout, and then a window. */
static void test_orphans_count_for_their_timeout(void)
{
    unsigned ticket = 0;
    now_ms = START_MS;
    remove_files();
    struct aurabox_limiter *limiter = open_limiter();
    for (int i = 0; i < 10; i++)
        CU_ASSERT_EQUAL(take(limiter, AURABOX_EXCHANGE, &ticket), 0);
    now_ms = START_MS + WINDOW_MS + TIMEOUT;
    CU_ASSERT(take(limiter, AURABOX_EXCHANGE, &ticket) > 0);
    now_ms++;
    CU_ASSERT_EQUAL(take(limiter, AURABOX_EXCHANGE, &ticket), 0);
    aurabox_limiter_close(limiter);
}

static void test_clock_that_goes_back(void)
{
    unsigned ticket = 0;
    now_ms = START_MS;
    remove_files();
    struct aurabox_limiter *limiter = open_limiter();
    CU_ASSERT_EQUAL(drain(limiter, AURABOX_EXCHANGE), 10);
    now_ms = START_MS - 86400000;
    int64_t wait_ms = take(limiter, AURABOX_EXCHANGE, &ticket);
    CU_ASSERT(wait_ms > 0 && wait_ms <= WINDOW_MS + 1);
    now_ms += wait_ms;
    CU_ASSERT_EQUAL(drain(limiter, AURABOX_EXCHANGE), 10);
    aurabox_limiter_close(limiter);
}

static void damage(int kind)
{
    char path[512];
    file_path(path);
    int fd = open(path, O_RDWR);
    CU_ASSERT_FATAL(fd >= 0);
    static const char garbage[] = "garbage garbage garbage garbage garbage";
    int failed = 0;
    if (kind == 0)
        failed = pwrite(fd, garbage, sizeof garbage, 0) < 0;
    else if (kind == 1)
        failed = pwrite(fd, garbage, 4, 40) < 0; /* within the first call */
    else
        failed = ftruncate(fd, 20);
    CU_ASSERT_EQUAL(failed, 0);
    (void)close(fd);
}

/* 429 with Retry-After: nobody calls before that, after a restart and in other processes neither.
 */
static void test_server_that_says_wait_closes_the_bucket(void)
{
    struct aurabox_limiter *limiter = open_limiter();
    struct error err;
    unsigned ticket = 0;
    now_ms = START_MS;
    CU_ASSERT_EQUAL(take(limiter, AURABOX_LIFECYCLE, &ticket), 0);
    CU_ASSERT_EQUAL(aurabox_limiter_refused(limiter, AURABOX_LIFECYCLE, ticket, 90000, &err), 0);
    aurabox_limiter_close(limiter);
    limiter = open_limiter();
    CU_ASSERT_EQUAL(take(limiter, AURABOX_LIFECYCLE, &ticket), 90000);
    CU_ASSERT_EQUAL(take(limiter, AURABOX_CONFIG, &ticket), 0); /* the others are apart */
    now_ms = START_MS + 89000;
    CU_ASSERT_EQUAL(take(limiter, AURABOX_LIFECYCLE, &ticket), 1000);
    now_ms = START_MS - 3600000; /* the clock goes back: no longer than it was told */
    CU_ASSERT_EQUAL(take(limiter, AURABOX_LIFECYCLE, &ticket), 90000);
    now_ms += 90000;
    CU_ASSERT_EQUAL(take(limiter, AURABOX_LIFECYCLE, &ticket), 0);
    aurabox_limiter_close(limiter);
    remove_files();
}

/* 429 without Retry-After: nobody calls for a while that doubles, but is no longer than a window.
 */
static void test_server_that_only_refuses_closes_the_bucket_ever_longer(void)
{
    static const int64_t closed_ms[] = {1000, 2000, 4000, 8000, 16000, 32000, 60000, 60000};
    struct aurabox_limiter *limiter = open_limiter();
    struct error err;
    unsigned ticket = 0;
    now_ms = START_MS;
    for (size_t i = 0; i < sizeof closed_ms / sizeof closed_ms[0]; i++) {
        CU_ASSERT_EQUAL(take(limiter, AURABOX_LIFECYCLE, &ticket), 0);
        /* A Retry-After of nothing says nothing. */
        CU_ASSERT_EQUAL(
            aurabox_limiter_refused(limiter, AURABOX_LIFECYCLE, ticket, i % 2 ? -1 : 0, &err), 0);
        CU_ASSERT_EQUAL(take(limiter, AURABOX_LIFECYCLE, &ticket), closed_ms[i]);
        CU_ASSERT_EQUAL(take(limiter, AURABOX_CONFIG, &ticket), 0); /* the others are apart */
        CU_ASSERT_EQUAL(aurabox_limiter_done(limiter, AURABOX_CONFIG, ticket, &err), 0);
        now_ms += closed_ms[i];
    }
    /* An answer of another kind, and it begins anew. */
    CU_ASSERT_EQUAL(take(limiter, AURABOX_LIFECYCLE, &ticket), 0);
    CU_ASSERT_EQUAL(aurabox_limiter_done(limiter, AURABOX_LIFECYCLE, ticket, &err), 0);
    CU_ASSERT_EQUAL(take(limiter, AURABOX_LIFECYCLE, &ticket), 0);
    CU_ASSERT_EQUAL(aurabox_limiter_refused(limiter, AURABOX_LIFECYCLE, ticket, -1, &err), 0);
    CU_ASSERT_EQUAL(take(limiter, AURABOX_LIFECYCLE, &ticket), 1000);
    aurabox_limiter_close(limiter);
    remove_files();
}

static void test_damage_counts_as_full_for_a_window(void)
{
    for (int kind = 0; kind < 3; kind++) {
        now_ms = START_MS;
        remove_files();
        struct aurabox_limiter *limiter = open_limiter();
        unsigned ticket = 0;
        CU_ASSERT_EQUAL(take(limiter, AURABOX_EXCHANGE, &ticket), 0);
        damage(kind);
        int64_t wait_ms = take(limiter, AURABOX_EXCHANGE, &ticket);
        CU_ASSERT(wait_ms > WINDOW_MS - 1000 && wait_ms <= WINDOW_MS + 1);
        now_ms += wait_ms;
        CU_ASSERT_EQUAL(drain(limiter, AURABOX_EXCHANGE), 10);
        aurabox_limiter_close(limiter);
    }
}

/* A study needs all three, one after the other. Whole ones are not touched. */
static void test_what_is_damaged_together_is_full_together(void)
{
    remove_files();
    struct aurabox_limiter *limiter = open_limiter();
    unsigned ticket = 0;
    now_ms = START_MS;
    CU_ASSERT_EQUAL(take(limiter, AURABOX_EXCHANGE, &ticket), 0);
    damage(2); /* cut off in the first record */
    int64_t wait_ms = take(limiter, AURABOX_EXCHANGE, &ticket);
    CU_ASSERT(wait_ms > WINDOW_MS - 1000 && wait_ms <= WINDOW_MS + 1);
    now_ms += wait_ms;
    CU_ASSERT_EQUAL(take(limiter, AURABOX_EXCHANGE, &ticket), 0);
    CU_ASSERT_EQUAL(take(limiter, AURABOX_CONFIG, &ticket), 0);
    CU_ASSERT_EQUAL(take(limiter, AURABOX_LIFECYCLE, &ticket), 0);
    damage(0); /* in the first record alone */
    CU_ASSERT(take(limiter, AURABOX_EXCHANGE, &ticket) > 0);
    CU_ASSERT_EQUAL(take(limiter, AURABOX_CONFIG, &ticket), 0);
    CU_ASSERT_EQUAL(take(limiter, AURABOX_LIFECYCLE, &ticket), 0);
    aurabox_limiter_close(limiter);
    remove_files();
}

/* ---- the property ---- */

#define CALLS_MAX 4000
struct flight {
    int64_t seen_ms; /* when the server counted it: anywhere between taken and ended */
    int64_t ends_ms;
    unsigned ticket;
    int limiter; /* which of the two took it; -1: ended */
};

static struct flight flights[CALLS_MAX];
static size_t flight_count;

static int compare_seen(const void *left, const void *right)
{
    int64_t a = ((const struct flight *)left)->seen_ms;
    int64_t b = ((const struct flight *)right)->seen_ms;
    return a < b ? -1 : a > b;
}

static unsigned worst_window(void)
{
    unsigned worst = 0;
    qsort(flights, flight_count, sizeof flights[0], compare_seen);
    for (size_t first = 0, last = 0; last < flight_count; last++) {
        while (flights[last].seen_ms - flights[first].seen_ms > WINDOW_MS)
            first++;
        if (last - first + 1 > worst)
            worst = (unsigned)(last - first + 1);
    }
    return worst;
}

static int64_t pick(int64_t bound)
{
    return (int64_t)(random() % bound);
}

static void end_flights(struct aurabox_limiter *const pair[2])
{
    for (size_t i = 0; i < flight_count; i++) {
        struct flight *flight = &flights[i];
        if (flight->limiter >= 0 && flight->ends_ms <= now_ms) {
            done(pair[flight->limiter], AURABOX_EXCHANGE, flight->ticket);
            flight->limiter = -1;
        }
    }
}

static void try_call(struct aurabox_limiter *const pair[2])
{
    int which = (int)pick(2);
    unsigned ticket = 0;
    if (flight_count == CALLS_MAX || take(pair[which], AURABOX_EXCHANGE, &ticket) != 0)
        return;
    int64_t latency = pick(4) == 0 ? pick(TIMEOUT) : pick(200);
    flights[flight_count++] = (struct flight){.seen_ms = now_ms + pick(latency + 1),
                                              .ends_ms = now_ms + latency,
                                              .ticket = ticket,
                                              .limiter = which};
}

static void test_no_window_holds_more(void)
{
    for (unsigned seed = 1; seed <= 5; seed++) {
        srandom(seed);
        now_ms = START_MS;
        flight_count = 0;
        remove_files();
        struct aurabox_limiter *pair[2] = {open_limiter(), open_limiter()};
        for (int step = 0; step < 3000; step++) {
            now_ms += pick(10) == 0 ? pick(20000) : pick(300);
            end_flights(pair);
            try_call(pair);
            if (pick(200) == 0) {
                int which = (int)pick(2);
                aurabox_limiter_close(pair[which]);
                pair[which] = open_limiter();
            }
        }
        CU_ASSERT(flight_count > 200); /* it does let calls through */
        unsigned worst = worst_window();
        if (worst > limits.exchange)
            printf("\nseed %u: %u calls in a window\n", seed, worst);
        CU_ASSERT(worst <= limits.exchange);
        aurabox_limiter_close(pair[0]);
        aurabox_limiter_close(pair[1]);
    }
}

static CU_TestInfo cases[] = {
    SUITE_CASE(test_limits_per_bucket),
    SUITE_CASE(test_a_look_takes_nothing),
    SUITE_CASE(test_survives_reopen_and_other_keys_are_apart),
    SUITE_CASE(test_orphans_count_for_their_timeout),
    SUITE_CASE(test_clock_that_goes_back),
    SUITE_CASE(test_server_that_says_wait_closes_the_bucket),
    SUITE_CASE(test_server_that_only_refuses_closes_the_bucket_ever_longer),
    SUITE_CASE(test_damage_counts_as_full_for_a_window),
    SUITE_CASE(test_what_is_damaged_together_is_full_together),
    SUITE_CASE(test_no_window_holds_more),
    CU_TEST_INFO_NULL};

int main(void)
{
    if (!mkdtemp(directory))
        return EXIT_FAILURE;
    int status = suite_run("aurabox_limiter", cases);
    char path[512];
    for (file_path(path); path[0] && unlink(path) == 0; file_path(path))
        continue;
    (void)rmdir(directory);
    return status;
}
