/* The two phases. */
#include "receptions.h"

#include "aurabridge/clock.h"

#include <time.h>

#define LOOK_EVERY_MS 100 /* whether the wait is to stop */

void receptions_init(struct receptions *receptions)
{
    pthread_condattr_t attributes;
    *receptions = (struct receptions){.phase = 0};
    pthread_mutex_init(&receptions->lock, NULL);
    pthread_condattr_init(&attributes);
    (void)pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&receptions->ended, &attributes);
    pthread_condattr_destroy(&attributes);
}

void receptions_destroy(struct receptions *receptions)
{
    pthread_cond_destroy(&receptions->ended);
    pthread_mutex_destroy(&receptions->lock);
}

unsigned receptions_enter(struct receptions *receptions)
{
    pthread_mutex_lock(&receptions->lock);
    unsigned phase = receptions->phase;
    receptions->under_way[phase]++;
    pthread_mutex_unlock(&receptions->lock);
    return phase;
}

void receptions_leave(struct receptions *receptions, unsigned phase)
{
    pthread_mutex_lock(&receptions->lock);
    if (--receptions->under_way[phase] == 0)
        pthread_cond_broadcast(&receptions->ended);
    pthread_mutex_unlock(&receptions->lock);
}

/* With the lock held. */
static bool wait_for(struct receptions *receptions, unsigned phase, int64_t deadline_ms,
                     bool (*stops)(void *context), void *context)
{
    while (receptions->under_way[phase] > 0) {
        int64_t now = clock_monotonic_ms(clock_system());
        if (now >= deadline_ms || stops(context))
            return false;
        int64_t until = deadline_ms - now < LOOK_EVERY_MS ? deadline_ms : now + LOOK_EVERY_MS;
        const struct timespec at = {.tv_sec = (time_t)(until / 1000),
                                    .tv_nsec = (long)(until % 1000) * 1000000};
        (void)pthread_cond_timedwait(&receptions->ended, &receptions->lock, &at);
    }
    return true;
}

bool receptions_settle(struct receptions *receptions, int64_t timeout_ms,
                       bool (*stops)(void *context), void *context)
{
    int64_t deadline = clock_monotonic_ms(clock_system()) + timeout_ms;
    pthread_mutex_lock(&receptions->lock);
    unsigned mine = receptions->phase;
    /* The other phase is empty, unless an earlier wait was given up. */
    bool settled = wait_for(receptions, 1 - mine, deadline, stops, context);
    if (settled) {
        receptions->phase = 1 - mine;
        settled = wait_for(receptions, mine, deadline, stops, context);
    }
    pthread_mutex_unlock(&receptions->lock);
    return settled;
}
