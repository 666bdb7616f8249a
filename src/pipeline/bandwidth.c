/* The token bucket. Guarantees that over any time uploads send what the rate gives and at most a
 * tenth of a second's worth more, and that a border of the schedule is noticed within a quarter of
 * a second. Counts what is handed to the connection: headers, TLS and TCP come on top, some
 * hundredths. */
#include "bandwidth.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#define LOOK_UP_MS   250  /* how long a rate is believed */
#define SLICES       20   /* of a second: what one taker gets at a time */
#define LEAST_SLICE  1024 /* bytes */
#define BURST_SLICES 2    /* what may be saved up */
#define TOKEN        1000 /* a byte; so that a millisecond of any rate is a whole number */
#define DAYS         7

static bool holds(const struct config_upload_limit *limit, unsigned day, int minute)
{
    unsigned today = 1U << day;
    unsigned yesterday = 1U << ((day + DAYS - 1) % DAYS);
    if (limit->from < limit->to)
        return (limit->days & today) && minute >= limit->from && minute < limit->to;
    return ((limit->days & today) && minute >= limit->from) ||
           ((limit->days & yesterday) && minute < limit->to);
}

uint64_t bandwidth_limit_at(const struct config_upload_limit *limits, size_t count, int64_t wall_ms)
{
    time_t seconds = (time_t)(wall_ms / 1000);
    struct tm local;
    if (count == 0 || !localtime_r(&seconds, &local))
        return 0;
    unsigned day = ((unsigned)local.tm_wday + DAYS - 1) % DAYS; /* 0 is Monday */
    int minute = local.tm_hour * 60 + local.tm_min;
    for (size_t i = 0; i < count; i++) {
        if (holds(&limits[i], day, minute))
            return limits[i].rate;
    }
    return 0;
}

void bandwidth_init(struct bandwidth *bandwidth, const struct clock *clock)
{
    tzset(); /* localtime_r need not */
    *bandwidth = (struct bandwidth){.clock = clock, .rate_ms = INT64_MIN};
    pthread_mutex_init(&bandwidth->lock, NULL);
}

void bandwidth_destroy(struct bandwidth *bandwidth)
{
    free(bandwidth->limits);
    pthread_mutex_destroy(&bandwidth->lock);
}

int bandwidth_follow(struct bandwidth *bandwidth, const struct config_upload_limit *limits,
                     size_t count, struct error *err)
{
    struct config_upload_limit *copy = NULL;
    if (count > 0) {
        copy = malloc(count * sizeof *copy);
        if (!copy)
            return error_set(err, "no memory for the upload limits");
        memcpy(copy, limits, count * sizeof *copy);
    }
    pthread_mutex_lock(&bandwidth->lock);
    struct config_upload_limit *before = bandwidth->limits;
    bandwidth->limits = copy;
    bandwidth->limit_count = count;
    bandwidth->rate_ms = INT64_MIN;
    pthread_mutex_unlock(&bandwidth->lock);
    free(before);
    return 0;
}

static int64_t slice_of(uint64_t rate)
{
    int64_t slice = (int64_t)(rate / SLICES);
    return slice > LEAST_SLICE ? slice : LEAST_SLICE;
}

/* With the lock held. */
static void look_up(struct bandwidth *bandwidth, int64_t now_ms)
{
    if (bandwidth->rate_ms != INT64_MIN && now_ms - bandwidth->rate_ms < LOOK_UP_MS)
        return;
    uint64_t rate = bandwidth_limit_at(bandwidth->limits, bandwidth->limit_count,
                                       clock_wall_ms(bandwidth->clock));
    if (rate != bandwidth->rate) { /* nothing saved, and no debt of the rate before */
        bandwidth->tokens = 0;
        bandwidth->filled_ms = now_ms;
    }
    bandwidth->rate = rate;
    bandwidth->rate_ms = now_ms;
}

/* With the lock held, and a limit. */
static void fill(struct bandwidth *bandwidth, int64_t now_ms)
{
    int64_t most = BURST_SLICES * slice_of(bandwidth->rate) * TOKEN;
    int64_t passed = now_ms - bandwidth->filled_ms;
    bandwidth->filled_ms = now_ms;
    if (passed > 1000) /* more than ever fits; and no overflow */
        passed = 1000;
    bandwidth->tokens += passed * (int64_t)bandwidth->rate;
    if (bandwidth->tokens > most)
        bandwidth->tokens = most;
}

size_t bandwidth_take(struct bandwidth *bandwidth, size_t wanted, int64_t *wait_ms)
{
    *wait_ms = 0;
    pthread_mutex_lock(&bandwidth->lock);
    int64_t now_ms = clock_monotonic_ms(bandwidth->clock);
    size_t granted = wanted;
    look_up(bandwidth, now_ms);
    if (bandwidth->rate > 0) {
        int64_t slice = slice_of(bandwidth->rate);
        fill(bandwidth, now_ms);
        if (bandwidth->tokens >= 0) {
            granted = wanted < (size_t)slice ? wanted : (size_t)slice;
            bandwidth->tokens -= (int64_t)granted * TOKEN;
        } else {
            granted = 0;
            *wait_ms = -bandwidth->tokens / (int64_t)bandwidth->rate + 1;
        }
    }
    pthread_mutex_unlock(&bandwidth->lock);
    return granted;
}

uint64_t bandwidth_rate(struct bandwidth *bandwidth)
{
    pthread_mutex_lock(&bandwidth->lock);
    look_up(bandwidth, clock_monotonic_ms(bandwidth->clock));
    uint64_t rate = bandwidth->rate;
    pthread_mutex_unlock(&bandwidth->lock);
    return rate;
}
