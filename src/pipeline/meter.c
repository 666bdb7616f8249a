/* Bytes a second: a ring of seconds, of which the one that runs does not count yet. */
#include "meter.h"

#include <string.h>

#define SLOTS (METER_SECONDS + 1)

void meter_init(struct meter *meter)
{
    memset(meter, 0, sizeof *meter);
    pthread_mutex_init(&meter->lock, NULL);
}

void meter_destroy(struct meter *meter)
{
    pthread_mutex_destroy(&meter->lock);
}

void meter_add(struct meter *meter, uint64_t bytes, int64_t now_ms)
{
    int64_t second = now_ms / 1000;
    pthread_mutex_lock(&meter->lock);
    unsigned at = (unsigned)(second % SLOTS);
    if (meter->slots[at].second != second) {
        meter->slots[at].second = second;
        meter->slots[at].bytes = 0;
    }
    meter->slots[at].bytes += bytes;
    meter->total += bytes;
    pthread_mutex_unlock(&meter->lock);
}

uint64_t meter_rate(struct meter *meter, uint64_t *total, int64_t now_ms)
{
    int64_t second = now_ms / 1000;
    uint64_t sum = 0;
    pthread_mutex_lock(&meter->lock);
    for (unsigned i = 0; i < SLOTS; i++) {
        if (meter->slots[i].second < second && meter->slots[i].second >= second - METER_SECONDS)
            sum += meter->slots[i].bytes;
    }
    if (total)
        *total = meter->total;
    pthread_mutex_unlock(&meter->lock);
    return sum / METER_SECONDS;
}
