/* How many bytes a second, over the last seconds. Thread-safe. */
#ifndef AURABRIDGE_PIPELINE_METER_H
#define AURABRIDGE_PIPELINE_METER_H

#include <pthread.h>
#include <stdint.h>

#define METER_SECONDS 5 /* that the rate is the mean of */

struct meter {
    pthread_mutex_t lock;
    uint64_t total; /* since it began */
    struct {
        int64_t second;
        uint64_t bytes;
    } slots[METER_SECONDS + 1]; /* a ring, by the second */
};

void meter_init(struct meter *meter);
void meter_destroy(struct meter *meter);
/* Times are monotonic. */
void meter_add(struct meter *meter, uint64_t bytes, int64_t now_ms);
/* Of the last whole seconds; `*total` (may be null): since the start. */
uint64_t meter_rate(struct meter *meter, uint64_t *total, int64_t now_ms);

#endif
