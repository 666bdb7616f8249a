/* The line's budget: how fast all uploads together may be, by a schedule in local time. One token
 * bucket for the bridge, from which every worker of every destination draws before it sends.
 * Thread-safe; never waits itself.
 */
#ifndef AURABRIDGE_PIPELINE_BANDWIDTH_H
#define AURABRIDGE_PIPELINE_BANDWIDTH_H

#include "aurabridge/clock.h"
#include "aurabridge/config.h"

#include <pthread.h>
#include <stddef.h>
#include <stdint.h>

struct bandwidth {
    const struct clock *clock;
    pthread_mutex_t lock; /* guards what follows */
    struct config_upload_limit *limits;
    size_t limit_count;
    uint64_t rate;     /* bytes a second, as last looked up; 0: no limit */
    int64_t rate_ms;   /* monotonic: when that was */
    int64_t tokens;    /* thousandths of a byte; negative: what was lent */
    int64_t filled_ms; /* monotonic: up to when tokens were given */
};

void bandwidth_init(struct bandwidth *bandwidth, const struct clock *clock);
void bandwidth_destroy(struct bandwidth *bandwidth);

/* Another schedule, from now on; copied. Returns 0, or -1 when memory is short and nothing has
 * changed. */
int bandwidth_follow(struct bandwidth *bandwidth, const struct config_upload_limit *limits,
                     size_t count, struct error *err);

/* How many of `wanted` bytes may go now: all of them where there is no limit, else as many as take
 * some hundredths of a second. 0: ask again after `*wait_ms`. */
size_t bandwidth_take(struct bandwidth *bandwidth, size_t wanted, int64_t *wait_ms);

/* Bytes a second, at this moment; 0: no limit. */
uint64_t bandwidth_rate(struct bandwidth *bandwidth);

/* Pure but for the machine's time zone: the rate of the first limit that holds, or 0. */
uint64_t bandwidth_limit_at(const struct config_upload_limit *limits, size_t count,
                            int64_t wall_ms);

#endif
