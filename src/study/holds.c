/* Which open association holds which study. Guarantees fixed memory and that an association holds
 * at most one study. What is here may be lost: without it a study is complete after its quiet
 * period. Decides nothing about a study's rules. */
#include "aurabridge/study.h"

#include <pthread.h>
#include <stdlib.h>

#define MAX_HOLDS 1024 /* associations; those beyond hold nothing */

struct hold {
    uint64_t association_id;
    int64_t study_id;     /* 0: none yet */
    int64_t delivered_ms; /* when its last instance came */
};

struct study_holds {
    pthread_mutex_t mutex;
    size_t count;
    struct hold items[MAX_HOLDS]; /* the first `count`, in no order */
};

int study_holds_new(struct study_holds **out, struct error *err)
{
    *out = NULL;
    struct study_holds *holds = calloc(1, sizeof *holds);
    if (!holds || pthread_mutex_init(&holds->mutex, NULL) != 0) {
        free(holds);
        return error_set(err, "out of memory");
    }
    *out = holds;
    return 0;
}

void study_holds_free(struct study_holds *holds)
{
    if (!holds)
        return;
    (void)pthread_mutex_destroy(&holds->mutex);
    free(holds);
}

/* The place of the association's hold, or `count`. */
static size_t find(const struct study_holds *holds, uint64_t association_id)
{
    size_t at = 0;
    while (at < holds->count && holds->items[at].association_id != association_id)
        at++;
    return at;
}

void study_holds_opened(struct study_holds *holds, uint64_t association_id)
{
    (void)pthread_mutex_lock(&holds->mutex);
    size_t at = find(holds, association_id);
    if (at == holds->count && at < MAX_HOLDS)
        holds->items[holds->count++] = (struct hold){.association_id = association_id};
    (void)pthread_mutex_unlock(&holds->mutex);
}

int64_t study_holds_delivered(struct study_holds *holds, uint64_t association_id, int64_t study_id,
                              int64_t now_ms)
{
    int64_t left = 0;
    (void)pthread_mutex_lock(&holds->mutex);
    size_t at = find(holds, association_id);
    if (at < holds->count) {
        if (holds->items[at].study_id != study_id)
            left = holds->items[at].study_id;
        holds->items[at].study_id = study_id;
        holds->items[at].delivered_ms = now_ms;
    }
    (void)pthread_mutex_unlock(&holds->mutex);
    return left;
}

int64_t study_holds_ended(struct study_holds *holds, uint64_t association_id)
{
    int64_t study_id = 0;
    (void)pthread_mutex_lock(&holds->mutex);
    size_t at = find(holds, association_id);
    if (at < holds->count) {
        study_id = holds->items[at].study_id;
        holds->items[at] = holds->items[--holds->count];
    }
    (void)pthread_mutex_unlock(&holds->mutex);
    return study_id;
}

int64_t study_complete_at(struct study_holds *holds, int64_t study_id, int64_t now_ms,
                          int64_t association_hold_ms, int64_t max_wait_at_ms)
{
    int64_t complete_at = now_ms;
    (void)pthread_mutex_lock(&holds->mutex);
    for (size_t i = 0; i < holds->count; i++) {
        const struct hold *hold = &holds->items[i];
        if (hold->study_id == study_id && study_id != 0 &&
            hold->delivered_ms + association_hold_ms > complete_at)
            complete_at = hold->delivered_ms + association_hold_ms;
    }
    (void)pthread_mutex_unlock(&holds->mutex);
    if (complete_at > max_wait_at_ms)
        complete_at = max_wait_at_ms;
    return complete_at < now_ms ? now_ms : complete_at;
}
