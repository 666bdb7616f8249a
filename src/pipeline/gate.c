/* Pausing a destination. While it is paused one worker at a time gets through as the probe, so that
 * a thousand waiting studies ask a broken server no more often than one would. */
#include "gate.h"

#include "aurabridge/identifier.h"
#include "aurabridge/text.h"

#include <limits.h>

#define FRESH_MS 60000

void gate_init(struct gate *gate)
{
    *gate = (struct gate){.paused = false};
    pthread_mutex_init(&gate->lock, NULL);
}

void gate_destroy(struct gate *gate)
{
    pthread_mutex_destroy(&gate->lock);
}

bool gate_enter(struct gate *gate, int64_t now_ms, bool *probe, int64_t *until_ms)
{
    pthread_mutex_lock(&gate->lock);
    if (now_ms < gate->paused_ms) /* the clock was set back: its times mean nothing any more */
        gate->until_ms = gate->paused_ms = now_ms;
    bool may = !gate->paused || (!gate->probing && now_ms >= gate->until_ms);
    *probe = gate->paused && may;
    if (*probe)
        gate->probing = true;
    /* While a probe is out, its end wakes those who wait. */
    *until_ms = gate->until_ms > now_ms ? gate->until_ms : INT64_MAX;
    pthread_mutex_unlock(&gate->lock);
    return may;
}

void gate_leave(struct gate *gate, bool probe)
{
    if (!probe)
        return;
    pthread_mutex_lock(&gate->lock);
    gate->probing = false;
    pthread_mutex_unlock(&gate->lock);
}

bool gate_opened(struct gate *gate, int64_t now_ms)
{
    pthread_mutex_lock(&gate->lock);
    bool was_paused = gate->paused;
    gate->paused = false;
    gate->probing = false;
    gate->attempt = 0;
    gate->answered_ms = now_ms;
    gate->reason[0] = '\0';
    pthread_mutex_unlock(&gate->lock);
    return was_paused;
}

bool gate_is_fresh(struct gate *gate, int64_t now_ms)
{
    pthread_mutex_lock(&gate->lock);
    int64_t age = now_ms - gate->answered_ms;
    bool fresh = !gate->paused && age >= 0 && age < FRESH_MS;
    pthread_mutex_unlock(&gate->lock);
    return fresh;
}

int64_t gate_pause(struct gate *gate, bool probe, const char *reason, int64_t now_ms,
                   int64_t first_ms, int64_t ceiling_ms, int64_t at_least_ms)
{
    pthread_mutex_lock(&gate->lock);
    if (!gate->paused || probe) {
        gate->paused_ms = now_ms;
        int64_t delay = backoff_delay(gate->attempt, first_ms, ceiling_ms);
        gate->until_ms = now_ms + (delay > at_least_ms ? delay : at_least_ms);
        if (gate->attempt < UINT_MAX)
            gate->attempt++;
    }
    gate->paused = true;
    text_copy(gate->reason, sizeof gate->reason, reason);
    int64_t until = gate->until_ms;
    pthread_mutex_unlock(&gate->lock);
    return until;
}

int64_t backoff_delay(unsigned attempt, int64_t first_ms, int64_t ceiling_ms)
{
    int64_t delay = first_ms > 0 ? first_ms : 1;
    for (unsigned i = 0; i < attempt && delay < ceiling_ms; i++)
        delay *= 2;
    if (delay > ceiling_ms)
        delay = ceiling_ms;
    int64_t half = delay / 2;
    unsigned bound = half >= UINT_MAX ? UINT_MAX : (unsigned)half + 1;
    return delay - half + (int64_t)random_below(bound);
}
