/* Sliding windows of 60 seconds, exact: each arrival is kept until it has left the window. Refused
 * calls count for the reported maximum and not against the limit. The memory is bounded: beyond
 * the ring's capacity the oldest arrival is forgotten, and the maximum stops growing there.
 */
#include "rate_limits.h"

#include <stdlib.h>

#define RING_SPARE 4096 /* room for calls beyond the limit */
#define LIMIT_MAX  1000000u

int limit_init(struct limit_window *window, unsigned limit)
{
    *window = (struct limit_window){.limit = limit > LIMIT_MAX ? LIMIT_MAX : limit};
    window->capacity = (size_t)window->limit + RING_SPARE;
    window->ring = calloc(window->capacity, sizeof *window->ring);
    return window->ring ? 0 : -1;
}

void limit_free(struct limit_window *window)
{
    free(window->ring);
    *window = (struct limit_window){0};
}

static void drop_oldest(struct limit_window *window)
{
    if (window->ring[window->first].accepted)
        window->accepted--;
    window->first = (window->first + 1) % window->capacity;
    window->count--;
}

/* When the oldest accepted call leaves the window. */
static int64_t free_at(const struct limit_window *window)
{
    for (size_t i = 0; i < window->count; i++) {
        const struct limit_arrival *arrival = &window->ring[(window->first + i) % window->capacity];
        if (arrival->accepted)
            return arrival->at_ms + LIMIT_WINDOW_MS;
    }
    return 0;
}

bool limit_arrive(struct limit_window *window, int64_t monotonic_ms, int64_t *retry_after_s)
{
    while (window->count > 0 && monotonic_ms - window->ring[window->first].at_ms >= LIMIT_WINDOW_MS)
        drop_oldest(window);
    if (window->count == window->capacity)
        drop_oldest(window);
    bool accepted = window->accepted < window->limit;
    if (accepted) {
        window->accepted++;
    } else {
        int64_t wait_ms = free_at(window) - monotonic_ms;
        *retry_after_s = wait_ms > 0 ? (wait_ms + 999) / 1000 : 1;
        window->refused++;
    }
    size_t last = (window->first + window->count) % window->capacity;
    window->ring[last] = (struct limit_arrival){.at_ms = monotonic_ms, .accepted = accepted};
    window->count++;
    if (window->count > window->maximum)
        window->maximum = window->count;
    return accepted;
}
