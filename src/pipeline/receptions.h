/* Receptions that have, or are about to have, a published file whose row is not there yet. An audit
 * waits for those that it may have seen half of; nobody waits for an audit. Thread-safe.
 */
#ifndef AURABRIDGE_PIPELINE_RECEPTIONS_H
#define AURABRIDGE_PIPELINE_RECEPTIONS_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

/* Two phases: a reception counts in the one that it began in. */
struct receptions {
    pthread_mutex_t lock;
    pthread_cond_t ended;
    unsigned phase;
    unsigned under_way[2];
};

void receptions_init(struct receptions *receptions);
void receptions_destroy(struct receptions *receptions);

/* Around publication, row, and what follows from it. `enter` answers what `leave` is given. */
unsigned receptions_enter(struct receptions *receptions);
void receptions_leave(struct receptions *receptions, unsigned phase);

/* Waits until all receptions that are under way at the call have ended; later ones do not matter.
 * False when they have not within `timeout_ms`, or `stops` says so. One caller at a time. */
bool receptions_settle(struct receptions *receptions, int64_t timeout_ms,
                       bool (*stops)(void *context), void *context);

#endif
