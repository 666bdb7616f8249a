/* The gate of a destination: open, or paused with one probe that backs off. Thread-safe. */
#ifndef AURABRIDGE_PIPELINE_GATE_H
#define AURABRIDGE_PIPELINE_GATE_H

#include "aurabridge/config.h"
#include "aurabridge/ledger.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

/* What of a destination can be at fault. That one answers says nothing about the others. */
enum gate_place {
    GATE_ACCESS, /* token and lift config: nothing of a study is in them */
    GATE_INIT,
    GATE_START,
    GATE_TUS,
    GATE_COMPLETE
};

struct gate_fault {
    enum gate_place place;
    const char *reason;
    int64_t at_least_ms; /* until the next probe; -1: as the backoff says */
    int64_t study_id;    /* that may be at fault alone; 0: nothing of a study was asked */
};

/* Studies whose word is remembered. As many bad ones may be alone at a destination without making
 * a good one that comes wait for long. */
#define GATE_WITNESSES 8

struct gate {
    pthread_mutex_t lock;
    bool paused;
    enum gate_place place; /* that was at fault; what answers there opens */
    uint64_t probe;        /* of the worker that is through, to try; 0: none */
    uint64_t probes;       /* that there were, to tell them apart */
    unsigned attempt;
    int64_t witnesses[GATE_WITNESSES]; /* studies that said so last, in the order of a ring */
    unsigned next_witness;
    int64_t answered_ms; /* wall clock; when it last answered as it should */
    int64_t until_ms;    /* wall clock; when the next probe may go */
    int64_t paused_ms;   /* wall clock; when that was said. Earlier than this: the clock was set */
    char reason[LEDGER_REASON_SIZE];
};

void gate_init(struct gate *gate);
void gate_destroy(struct gate *gate);

/* Whether a worker may claim now, and whether it does so as the probe (then `*probe` is not 0).
 * When not, `*until_ms` says when to ask again. Who entered leaves. */
bool gate_enter(struct gate *gate, int64_t now_ms, uint64_t *probe, int64_t *until_ms);
void gate_leave(struct gate *gate, uint64_t probe);

/* The destination answered there as it should. Says whether that ended a pause. */
bool gate_answered(struct gate *gate, enum gate_place place, int64_t now_ms);

/* Whether it is open and answered not long ago, so that it need not be asked just to see. */
bool gate_is_fresh(struct gate *gate, int64_t now_ms);

/* The destination as a whole is at fault: pause until the next probe. Says when that is. Only the
 * first word of it and those of probes count: who was under way meanwhile lengthens nothing. Nor
 * does a study that said so before: its own retry time grows, and it may be at fault alone. */
int64_t gate_pause(struct gate *gate, uint64_t probe, const struct gate_fault *fault,
                   int64_t now_ms, int64_t first_ms, int64_t ceiling_ms);

/* Somebody put something right: the next probe may go now. */
void gate_hurry(struct gate *gate, int64_t now_ms);

/* Exponential from `first_ms` to `ceiling_ms`, with jitter over its upper half. */
int64_t backoff_delay(unsigned attempt, int64_t first_ms, int64_t ceiling_ms);

#endif
