/* The gate of a destination: open, or paused with one probe that backs off. Thread-safe. */
#ifndef AURABRIDGE_PIPELINE_GATE_H
#define AURABRIDGE_PIPELINE_GATE_H

#include "aurabridge/config.h"
#include "aurabridge/ledger.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

struct gate {
    pthread_mutex_t lock;
    bool paused;
    bool probing; /* one worker is through, to try */
    unsigned attempt;
    int64_t answered_ms; /* wall clock; when it last answered as it should */
    int64_t until_ms;    /* wall clock; when the next probe may go */
    int64_t paused_ms;   /* wall clock; when that was said. Earlier than this: the clock was set */
    char reason[LEDGER_REASON_SIZE];
};

void gate_init(struct gate *gate);
void gate_destroy(struct gate *gate);

/* Whether a worker may claim now, and whether it does so as the probe. When not, `*until_ms` says
 * when to ask again. Who entered leaves. */
bool gate_enter(struct gate *gate, int64_t now_ms, bool *probe, int64_t *until_ms);
void gate_leave(struct gate *gate, bool probe);

/* The destination answered as it should. Says whether it had been paused. */
bool gate_opened(struct gate *gate, int64_t now_ms);

/* Whether it is open and answered not long ago, so that it need not be asked just to see. */
bool gate_is_fresh(struct gate *gate, int64_t now_ms);

/* The destination as a whole is at fault: pause until the next probe. Says when that is. Only the
 * first word of it and those of probes count: who was under way meanwhile lengthens nothing. */
int64_t gate_pause(struct gate *gate, bool probe, const char *reason, int64_t now_ms,
                   int64_t first_ms, int64_t ceiling_ms, int64_t at_least_ms);

/* Exponential from `first_ms` to `ceiling_ms`, with jitter over its upper half. */
int64_t backoff_delay(unsigned attempt, int64_t first_ms, int64_t ceiling_ms);

#endif
