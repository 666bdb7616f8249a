/* One sliding window of 60 s: the calls that still count. Pure arithmetic over memory. */
#ifndef AURABRIDGE_AURABOX_WINDOW_H
#define AURABRIDGE_AURABOX_WINDOW_H

#include <stdbool.h>
#include <stdint.h>

#define WINDOW_MS 60000
#define WINDOW_CAPACITY                                                                            \
    4096 /* calls a minute that can be told apart; higher limits count as this */

/* A call that the server saw somewhere between `taken_ms` and `until_ms`. */
struct window_call {
    int64_t taken_ms;
    int64_t until_ms;
    uint32_t ticket;
    uint32_t in_flight;
};

struct window {
    int64_t closed_ms;       /* when the server said that it takes no calls … */
    int64_t closed_until_ms; /* … before this */
    uint32_t count;          /* ≤ WINDOW_CAPACITY */
    uint32_t next_ticket;
    struct window_call calls[WINDOW_CAPACITY];
};

/* Forgets the calls that are out of every window that includes `now_ms`. */
void window_settle(struct window *window, int64_t now_ms);
/* After window_settle: takes a place when fewer than `limit` count. Returns how long to wait, in
 * milliseconds, or 0 with the ticket. */
int64_t window_take(struct window *window, unsigned limit, int64_t now_ms, int64_t timeout_ms,
                    unsigned *ticket);
/* After window_settle: how many places are free, and how long until one is (0: now). */
unsigned window_free(const struct window *window, unsigned limit, int64_t now_ms, int64_t *wait_ms);
void window_done(struct window *window, unsigned ticket, int64_t now_ms);
/* No place is free for so long, however few calls count. Shortens nothing. */
void window_close(struct window *window, int64_t now_ms, int64_t for_ms);
/* Counts as full from now on, for one window. */
void window_fill(struct window *window, int64_t now_ms);
bool window_is_sane(const struct window *window);

#endif
