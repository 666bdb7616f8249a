/* Prewritten segments: files whose blocks are allocated, written and on disk before anything is
 * measured, and that are written over, from the start again when their end is reached. A commit is
 * an fdatasync that is shared by all that were written before it began.
 */
#ifndef AURABRIDGE_BENCH_SEGMENT_H
#define AURABRIDGE_BENCH_SEGMENT_H

#include "aurabridge/error.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#define SEGMENT_BLOCK 4096u /* places begin and end on it */

struct segment {
    int fd;
    unsigned number;
    uint64_t size;
    pthread_mutex_t lock; /* of all below */
    uint64_t next;        /* where the next place begins */
    pthread_cond_t committed;
    uint64_t asked, done; /* commits: numbers of the last one asked for, and the last one done */
    bool is_syncing;
    int failed; /* errno of an fdatasync */
};

/* Makes and writes "<directory>/segment.<number>"; `direct` goes past the page cache. Returns 0 or
 * -1. */
int segment_open(struct segment *segment, const char *directory, unsigned number, uint64_t size,
                 bool direct, struct error *err);
void segment_close(struct segment *segment);

/* A place of that many bytes, rounded up to blocks. Thread-safe. Returns 0, or -1 when it is larger
 * than the segment. */
int segment_reserve(struct segment *segment, uint64_t length, uint64_t *offset, struct error *err);

/* Returns once all that this thread has written is on stable storage. Thread-safe. */
int segment_commit(struct segment *segment, struct error *err);

#endif
