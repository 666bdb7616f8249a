/* Which segment takes what comes. Guarantees that one is written over only when nothing in it is
 * needed: no piece of an instance that is on its way, no instance that is not settled. All with the
 * lock held. */
#include "segments.h"

#include "aurabridge/clock.h"

#include <errno.h>

#define GROW_AGAIN_MS 1000

static bool is_needed(const struct journal *journal, const struct segment *segment)
{
    return segment->open > 0 || segment->last_number > journal->settled;
}

/* Full ones that wait for instances on their way. */
static unsigned count_open(const struct journal *journal)
{
    unsigned count = 0;
    for (size_t i = 0; i < journal->count; i++)
        count += journal->segments[i].state == SEGMENT_FULL && journal->segments[i].open > 0;
    return count;
}

static struct segment *warmest_free(const struct journal *journal)
{
    struct segment *best = NULL;
    for (size_t i = 0; i < journal->count; i++) {
        struct segment *segment = &journal->segments[i];
        if (segment->state == SEGMENT_FREE && (!best || segment->freed > best->freed))
            best = segment;
    }
    return best;
}

static bool may_grow(const struct journal *journal)
{
    return journal->count < journal->options.segments &&
           clock_monotonic_ms(clock_system()) >= journal->grow_at_ms;
}

bool journal_can_rotate(const struct journal *journal)
{
    return may_grow(journal) || warmest_free(journal);
}

/* Lets go of the lock meanwhile. */
static int grow(struct journal *journal, struct error *err)
{
    struct segment made;
    (void)pthread_mutex_unlock(&journal->lock);
    int code = segment_make(journal, &made, err);
    (void)pthread_mutex_lock(&journal->lock);
    if (code == 0)
        journal->segments[journal->count++] = made;
    else if (code == JOURNAL_FULL)
        journal->grow_at_ms = clock_monotonic_ms(clock_system()) + GROW_AGAIN_MS;
    return code;
}

/* Puts another segment in the place of the lane's active one; `*took` says whether there was one.
 */
static int rotate(struct journal *journal, struct lane *lane, bool *took, struct error *err)
{
    struct segment *next = warmest_free(journal);
    int code = 0;
    *took = false;
    journal->rotating = true;
    if (!next && may_grow(journal)) {
        code = grow(journal, err);
        next = warmest_free(journal);
        if (code == JOURNAL_FULL && journal->count > 0)
            code = 0;
    }
    if (code == 0 && next) {
        next->state = SEGMENT_RETIRING; /* nobody else's meanwhile */
        (void)pthread_mutex_unlock(&journal->lock);
        errno = 0;
        code = segment_begin(journal, next, err) == 0 ? 0 : journal_failure_of(errno);
        (void)pthread_mutex_lock(&journal->lock);
        next->state = code == 0 ? SEGMENT_ACTIVE : SEGMENT_FREE;
    }
    if (code == 0 && next) {
        next->cursor = PAGE_SIZE;
        next->last_number = 0;
        next->dirty = true;
        next->lane = lane;
        if (lane->active)
            lane->active->state = SEGMENT_FULL;
        lane->active = next;
        *took = true;
    }
    journal->rotating = false;
    (void)pthread_cond_broadcast(&journal->changed);
    return code;
}

/* Nothing behind it is due before it has ended. */
static bool is_oldest_written(struct journal *journal)
{
    return journal_slot(journal, journal->settled + 1)->state == SLOT_WRITING;
}

/* One more segment would do, if the disk took it. */
static int no_room(const struct journal *journal)
{
    return journal->count < journal->options.segments ? JOURNAL_FULL : JOURNAL_CROWDED;
}

/* Has some settled, without the lock. */
static int make_room(struct journal *journal, struct error *err)
{
    uint64_t before = journal->frees + journal->settled;
    journal_skip_void(journal);
    journal_retire(journal);
    if (before != journal->frees + journal->settled)
        return 0;
    (void)pthread_mutex_unlock(&journal->lock);
    int failed = journal->options.make_room
                     ? journal->options.make_room(journal->options.context, err)
                     : error_set(err, "the journal is full");
    (void)pthread_mutex_lock(&journal->lock);
    if (failed || before != journal->frees + journal->settled || warmest_free(journal))
        return failed ? no_room(journal) : 0;
    if (journal->settled + 1 == journal->next_number) {
        (void)error_set(err, "the journal is full of instances on their way");
        return no_room(journal);
    }
    if (is_oldest_written(journal))
        journal_await_any(journal);
    return 0;
}

int journal_reserve(struct journal *journal, struct lane *lane, uint64_t length, bool numbered,
                    struct reservation *out, struct error *err)
{
    int code = 0;
    bool took;
    for (;;) {
        struct segment *active = lane->active;
        if (journal->broken) {
            (void)error_set(err, BROKEN_TEXT);
            return JOURNAL_BROKEN;
        }
        if (!journal->resumed)
            return error_set(err, "the journal takes nothing before it was replayed");
        bool has_number = !numbered || journal->next_number - journal->settled < SLOTS;
        if (has_number && active && active->cursor + length <= journal->options.segment_size) {
            *out = (struct reservation){.segment = active, .offset = active->cursor};
            active->cursor += length;
            active->open++;
            return 0;
        }
        if (journal->rotating) {
            (void)pthread_cond_wait(&journal->changed, &journal->lock);
            continue;
        }
        took = false;
        if (has_number)
            code = rotate(journal, lane, &took, err);
        if (code == 0 && !took)
            code = make_room(journal, err);
        if (code != 0)
            return code;
    }
}

bool journal_is_crowded(const struct journal *journal)
{
    size_t most = may_grow(journal) ? journal->options.segments : journal->count;
    return count_open(journal) >= (most > 1 ? most / 2 : 1);
}

/* ---- giving back ---- */

/* Takes one that nothing needs any more, null when there is none. What was not replayed may be
 * needed, whatever it looks like. */
static struct segment *take_unneeded(struct journal *journal)
{
    if (!journal->resumed)
        return NULL;
    for (size_t i = 0; i < journal->count; i++) {
        struct segment *segment = &journal->segments[i];
        bool is_used = segment->state == SEGMENT_FULL ||
                       (segment->state == SEGMENT_ACTIVE && segment->cursor > PAGE_SIZE);
        if (!is_used || is_needed(journal, segment))
            continue;
        if (segment->state == SEGMENT_ACTIVE)
            segment->lane->active = NULL;
        segment->state = SEGMENT_RETIRING;
        return segment;
    }
    return NULL;
}

void journal_retire(struct journal *journal)
{
    struct segment *segment;
    while ((segment = take_unneeded(journal)) != NULL) {
        (void)pthread_mutex_unlock(&journal->lock);
        segment_retire(segment);
        (void)pthread_mutex_lock(&journal->lock);
        segment->state = SEGMENT_FREE;
        segment->freed = ++journal->frees;
        journal->grow_at_ms = 0;
        (void)pthread_cond_broadcast(&journal->changed);
    }
}
