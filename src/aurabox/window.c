/* The sliding window. A call is counted from when it is taken until 60 s after the last moment at
 * which the server can have seen it: its timeout while it is under way, its end once it is done.
 * So the limit holds for any 60 s of the server's, whatever the latency.
 *
 * Wall-clock time, since it is shared by processes and outlives them. When the clock goes back,
 * calls of the future are moved to now, so that nobody waits longer than for a full window. When it
 * jumps forward, places are free too early, and the server's 429 has the last word. */
#include "window.h"

#include <stdlib.h>

#define MIN_WAIT_MS 100

static void correct_clock(struct window_call *call, int64_t now_ms)
{
    int64_t ahead = call->taken_ms - now_ms;
    if (ahead > 0) {
        call->taken_ms = now_ms;
        call->until_ms -= ahead;
    }
    if (!call->in_flight && call->until_ms > now_ms)
        call->until_ms = now_ms;
}

void window_settle(struct window *window, int64_t now_ms)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < window->count; i++) {
        struct window_call call = window->calls[i];
        correct_clock(&call, now_ms);
        if (call.until_ms + WINDOW_MS >= now_ms)
            window->calls[kept++] = call;
    }
    window->count = kept;
    int64_t ahead = window->closed_ms - now_ms;
    if (ahead > 0) {
        window->closed_ms = now_ms;
        window->closed_until_ms -= ahead;
    }
}

/* When the call stops to count, at the earliest: one under way may be done at any moment. */
static int64_t free_at(const struct window_call *call, int64_t now_ms)
{
    int64_t end = call->until_ms;
    if (call->in_flight && end > now_ms)
        end = now_ms;
    return end + WINDOW_MS + 1;
}

static int compare_times(const void *left, const void *right)
{
    int64_t a = *(const int64_t *)left;
    int64_t b = *(const int64_t *)right;
    return a < b ? -1 : a > b;
}

static int64_t wait_for(const struct window *window, unsigned limit, int64_t now_ms)
{
    int64_t times[WINDOW_CAPACITY];
    for (uint32_t i = 0; i < window->count; i++)
        times[i] = free_at(&window->calls[i], now_ms);
    qsort(times, window->count, sizeof times[0], compare_times);
    int64_t wait_ms = times[window->count - limit] - now_ms;
    return wait_ms > MIN_WAIT_MS ? wait_ms : MIN_WAIT_MS;
}

static unsigned usable(unsigned limit)
{
    if (limit > WINDOW_CAPACITY)
        return WINDOW_CAPACITY;
    return limit > 0 ? limit : 1; /* none at all would be a destination that waits for ever */
}

unsigned window_free(const struct window *window, unsigned limit, int64_t now_ms, int64_t *wait_ms)
{
    limit = usable(limit);
    *wait_ms = 0;
    if (window->closed_until_ms > now_ms)
        *wait_ms = window->closed_until_ms - now_ms;
    else if (window->count >= limit)
        *wait_ms = wait_for(window, limit, now_ms);
    else
        return limit - window->count;
    return 0;
}

int64_t window_take(struct window *window, unsigned limit, int64_t now_ms, int64_t timeout_ms,
                    unsigned *ticket)
{
    int64_t wait_ms = 0;
    if (window_free(window, limit, now_ms, &wait_ms) == 0)
        return wait_ms;
    *ticket = window->next_ticket++;
    window->calls[window->count++] = (struct window_call){
        .taken_ms = now_ms, .until_ms = now_ms + timeout_ms, .ticket = *ticket, .in_flight = 1};
    return 0;
}

void window_done(struct window *window, unsigned ticket, int64_t now_ms)
{
    for (uint32_t i = 0; i < window->count; i++) {
        struct window_call *call = &window->calls[i];
        if (call->ticket != ticket || !call->in_flight)
            continue;
        call->in_flight = 0;
        call->until_ms = now_ms;
        if (call->taken_ms > now_ms)
            call->taken_ms = now_ms;
    }
}

void window_close(struct window *window, int64_t now_ms, int64_t for_ms)
{
    if (now_ms + for_ms <= window->closed_until_ms)
        return;
    window->closed_ms = now_ms;
    window->closed_until_ms = now_ms + for_ms;
}

void window_fill(struct window *window, int64_t now_ms)
{
    window->count = WINDOW_CAPACITY;
    for (uint32_t i = 0; i < WINDOW_CAPACITY; i++)
        window->calls[i] = (struct window_call){
            .taken_ms = now_ms, .until_ms = now_ms, .ticket = window->next_ticket++};
}

bool window_is_sane(const struct window *window)
{
    if (window->count > WINDOW_CAPACITY || window->closed_ms < 0 ||
        window->closed_until_ms < window->closed_ms ||
        window->closed_until_ms - window->closed_ms > INT32_MAX ||
        window->closed_ms > INT64_MAX / 4)
        return false;
    for (uint32_t i = 0; i < window->count; i++) {
        const struct window_call *call = &window->calls[i];
        if (call->taken_ms < 0 || call->until_ms < call->taken_ms ||
            call->until_ms - call->taken_ms > INT32_MAX || call->taken_ms > INT64_MAX / 4)
            return false;
    }
    return true;
}
