/* How many bytes one PATCH carries: the pure part, and the shared memory of it (tus_way). Private
 * to this room and its tests. Times are monotonic milliseconds, given by the caller.
 */
#ifndef AURABRIDGE_TUS_CHUNK_H
#define AURABRIDGE_TUS_CHUNK_H

#include "aurabridge/tus.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

/* A PATCH that was taken within this doubles the next: so where something in between may gather a
 * request before it passes it on, a broken line loses some twenty seconds of work, not hours. */
#define CHUNK_IN_GOOD_TIME_MS 10000

/* How long it is remembered that so much does not pass; then it is tried again. */
#define CHUNK_REFUSED_MS 3600000 /* by a 413: somebody's setting */
#define CHUNK_LOST_MS    600000
/* And that what a broken PATCH brought was kept. */
#define CHUNK_STREAMS_MS 3600000

struct chunk_plan {
    uint64_t size;  /* of the next PATCH; 0: nothing is known */
    uint64_t limit; /* that many bytes do not pass; 0: none is known */
    int64_t limit_until_ms;
    unsigned losses;          /* in a row */
    bool streams;             /* nothing in between gathers: one PATCH for all that is left … */
    int64_t streams_until_ms; /* … until then */
};

/* Bytes of the next PATCH, of `left`. `first` is what to begin with; 0: all. */
uint64_t chunk_next(struct chunk_plan *plan, uint64_t first, uint64_t left, int64_t now_ms);

/* What became of a PATCH of `sent` bytes. Acknowledged whole: */
void chunk_acknowledged(struct chunk_plan *plan, uint64_t sent, int64_t took_ms);
/* Broken, and some of it was kept. */
void chunk_kept(struct chunk_plan *plan, int64_t now_ms);
/* Refused with 413, and not too small for another try (tus_smaller_chunk). */
void chunk_refused(struct chunk_plan *plan, uint64_t sent, uint64_t first, int64_t now_ms);
/* Broken, and nothing of it arrived. */
void chunk_lost(struct chunk_plan *plan, uint64_t sent, int64_t now_ms);

struct tus_way {
    pthread_mutex_t lock;
    struct chunk_plan plan;
};

#endif
