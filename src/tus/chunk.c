/* The size of PATCHes. It starts small, doubles while the way proves good, ends as one PATCH for
 * all the rest where the way is known to stream, and falls where a request is too large or is lost.
 *
 * Guarantees that it never falls below what still makes sense to try, and that a size known not to
 * pass is not tried again before its time. Does not know why a PATCH failed: the protocol does.
 */
#include "chunk.h"

#include "protocol.h"

#include <stdlib.h>

#define LARGEST (UINT64_C(1) << 60) /* doubling ends somewhere */

uint64_t chunk_next(struct chunk_plan *plan, uint64_t first, uint64_t left, int64_t now_ms)
{
    if (plan->limit > 0 && now_ms >= plan->limit_until_ms)
        plan->limit = 0;
    if (plan->streams && now_ms >= plan->streams_until_ms)
        plan->streams = false;
    if (plan->size == 0)
        plan->size = first > 0 ? first : LARGEST;
    if (plan->streams && plan->limit == 0)
        return left;
    return left < plan->size ? left : plan->size;
}

void chunk_acknowledged(struct chunk_plan *plan, uint64_t sent, int64_t took_ms)
{
    plan->losses = 0;
    /* A rest says little about more than itself. */
    if (sent < plan->size || plan->size >= LARGEST)
        return;
    if (took_ms > 4 * (int64_t)CHUNK_IN_GOOD_TIME_MS && plan->size / 2 >= TUS_SMALLEST_CHUNK)
        plan->size = plan->size / 2; /* the line has become slower */
    else if (took_ms <= CHUNK_IN_GOOD_TIME_MS && (plan->limit == 0 || 2 * sent < plan->limit))
        plan->size = 2 * sent;
}

void chunk_kept(struct chunk_plan *plan, int64_t now_ms)
{
    plan->losses = 0;
    plan->streams = true;
    plan->streams_until_ms = now_ms + CHUNK_STREAMS_MS;
}

static void note_limit(struct chunk_plan *plan, uint64_t sent, int64_t until_ms)
{
    if (plan->limit == 0 || sent < plan->limit)
        plan->limit = sent;
    if (until_ms > plan->limit_until_ms)
        plan->limit_until_ms = until_ms;
}

static void shrink_to(struct chunk_plan *plan, uint64_t size)
{
    /* Another upload may have found out more already. */
    if (plan->size == 0 || size < plan->size)
        plan->size = size;
}

void chunk_refused(struct chunk_plan *plan, uint64_t sent, uint64_t first, int64_t now_ms)
{
    note_limit(plan, sent, now_ms + CHUNK_REFUSED_MS);
    shrink_to(plan, tus_smaller_chunk(sent, first));
}

void chunk_lost(struct chunk_plan *plan, uint64_t sent, int64_t now_ms)
{
    plan->streams = false;
    if (sent <= TUS_LEAST_CHUNK)
        return;
    /* One loss may have any reason; the second in a row is a word about the size. */
    if (++plan->losses > 1)
        note_limit(plan, sent, now_ms + CHUNK_LOST_MS);
    shrink_to(plan, sent / 4 > TUS_LEAST_CHUNK ? sent / 4 : TUS_LEAST_CHUNK);
}

int tus_way_new(struct tus_way **out, struct error *err)
{
    *out = calloc(1, sizeof **out);
    if (!*out)
        return error_set(err, "no memory to remember the way to a Tus server");
    pthread_mutex_init(&(*out)->lock, NULL);
    return 0;
}

void tus_way_free(struct tus_way *way)
{
    if (!way)
        return;
    pthread_mutex_destroy(&way->lock);
    free(way);
}
