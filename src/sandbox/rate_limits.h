/* Rate limits: at most so many calls in any 60 seconds. One window per bucket; the caller locks. */
#ifndef SANDBOX_RATE_LIMITS_H
#define SANDBOX_RATE_LIMITS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LIMIT_WINDOW_MS 60000

struct limit_arrival {
    int64_t at_ms;
    bool accepted;
};

/* Invariant: `ring` holds the arrivals of the last 60 s, oldest at `first`. */
struct limit_window {
    unsigned limit;
    struct limit_arrival *ring; /* owned */
    size_t capacity, first, count;
    size_t accepted; /* of those in the ring */
    size_t maximum;  /* arrivals, accepted or not, in the fullest window ever seen */
    uint64_t refused;
};

/* Returns 0, or -1 when memory is short. */
int limit_init(struct limit_window *window, unsigned limit);
void limit_free(struct limit_window *window);

/* Counts an arrival. False when it is one too many; `*retry_after_s` then says when one is free. */
bool limit_arrive(struct limit_window *window, int64_t monotonic_ms, int64_t *retry_after_s);

#endif
