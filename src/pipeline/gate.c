/* Pausing a destination. While it is paused one worker at a time gets through as the probe, so that
 * a thousand waiting studies ask a broken server no more often than one would. */
#include "gate.h"

#include "aurabridge/identifier.h"
#include "aurabridge/text.h"

#include <limits.h>
#include <string.h>

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

bool gate_enter(struct gate *gate, int64_t now_ms, uint64_t *probe, int64_t *until_ms)
{
    pthread_mutex_lock(&gate->lock);
    if (now_ms < gate->paused_ms) /* the clock was set back: its times mean nothing any more */
        gate->until_ms = gate->paused_ms = now_ms;
    bool may = !gate->paused || (gate->probe == 0 && now_ms >= gate->until_ms);
    *probe = 0;
    if (gate->paused && may)
        *probe = gate->probe = ++gate->probes;
    /* While a probe is out, its end wakes those who wait. */
    *until_ms = gate->until_ms > now_ms ? gate->until_ms : INT64_MAX;
    pthread_mutex_unlock(&gate->lock);
    return may;
}

void gate_leave(struct gate *gate, uint64_t probe)
{
    pthread_mutex_lock(&gate->lock);
    /* It may have opened the gate, and another have become the probe of the next pause. */
    if (probe != 0 && gate->probe == probe)
        gate->probe = 0;
    pthread_mutex_unlock(&gate->lock);
}

bool gate_answered(struct gate *gate, enum gate_place place, int64_t now_ms)
{
    pthread_mutex_lock(&gate->lock);
    gate->answered_ms = now_ms;
    bool opens = gate->paused && gate->place == place;
    if (opens) {
        gate->paused = false;
        gate->probe = 0;
        gate->attempt = 0;
        memset(gate->witnesses, 0, sizeof gate->witnesses);
        gate->reason[0] = '\0';
    }
    pthread_mutex_unlock(&gate->lock);
    return opens;
}

bool gate_is_fresh(struct gate *gate, int64_t now_ms)
{
    pthread_mutex_lock(&gate->lock);
    int64_t age = now_ms - gate->answered_ms;
    bool fresh = !gate->paused && age >= 0 && age < FRESH_MS;
    pthread_mutex_unlock(&gate->lock);
    return fresh;
}

/* With the lock held. Whether the word of this study is news. */
static bool is_news(struct gate *gate, int64_t study_id)
{
    if (study_id == 0)
        return true;
    for (unsigned i = 0; i < GATE_WITNESSES; i++) {
        if (gate->witnesses[i] == study_id)
            return false;
    }
    gate->witnesses[gate->next_witness++ % GATE_WITNESSES] = study_id;
    return true;
}

void gate_hurry(struct gate *gate, int64_t now_ms)
{
    pthread_mutex_lock(&gate->lock);
    if (gate->until_ms > now_ms)
        gate->until_ms = now_ms;
    pthread_mutex_unlock(&gate->lock);
}

int64_t gate_pause(struct gate *gate, uint64_t probe, const struct gate_fault *fault,
                   int64_t now_ms, int64_t first_ms, int64_t ceiling_ms)
{
    pthread_mutex_lock(&gate->lock);
    if (!gate->paused || (probe != 0 && probe == gate->probe)) {
        gate->place = fault->place;
        gate->paused_ms = now_ms;
        int64_t delay = backoff_delay(gate->attempt, first_ms, ceiling_ms);
        gate->until_ms = now_ms + (delay > fault->at_least_ms ? delay : fault->at_least_ms);
        if (is_news(gate, fault->study_id) && gate->attempt < UINT_MAX)
            gate->attempt++;
        text_copy(gate->reason, sizeof gate->reason, fault->reason);
    }
    gate->paused = true;
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
