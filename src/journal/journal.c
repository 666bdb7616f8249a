/* The journal as a whole: opening, and which segment takes what comes. Guarantees that a segment is
 * written over only when nothing in it is needed: no piece of an instance that is on its way, no
 * instance that is not settled. */
#include "segments.h"

#include "aurabridge/clock.h"
#include "aurabridge/log.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define GROW_AGAIN_MS 1000

#define BROKEN_TEXT                                                                                \
    "the journal takes nothing more since a sync of its disk failed; check the disk and restart "  \
    "the bridge"

struct slot *journal_slot(struct journal *journal, uint64_t number)
{
    return &journal->slots[number % SLOTS];
}

struct segment *journal_segment(struct journal *journal, uint32_t id)
{
    for (size_t i = 0; i < journal->count; i++)
        if (journal->segments[i].id == id)
            return &journal->segments[i];
    return NULL;
}

/* ---- opening and closing ---- */

static int open_one(struct journal *journal, const char *name, struct error *err)
{
    unsigned id = 0;
    char ending[16] = "";
    if (sscanf(name, "%8u.%15s", &id, ending) != 2 || strcmp(ending, "segment") != 0 || id == 0)
        return 0; /* nothing of the journal's */
    if (journal->count == journal->capacity) {
        size_t capacity = journal->capacity + 16;
        struct segment *more = realloc(journal->segments, capacity * sizeof *more);
        if (!more)
            return error_set(err, "no memory for the journal's segments");
        journal->segments = more;
        journal->capacity = capacity;
    }
    if (segment_open(journal, &journal->segments[journal->count], id, err) != 0)
        return -1;
    journal->count++;
    return 0;
}

static int open_segments(struct journal *journal, struct error *err)
{
    DIR *directory = opendir(journal->directory);
    if (!directory)
        return error_errno(err, errno, "opening directory %s", journal->directory);
    int failed = 0;
    const struct dirent *entry;
    errno = 0;
    while (!failed && (entry = readdir(directory)) != NULL) {
        failed = open_one(journal, entry->d_name, err);
        errno = 0;
    }
    if (!failed && errno != 0)
        failed = error_errno(err, errno, "reading directory %s", journal->directory);
    (void)closedir(directory); /* only read from */
    return failed;
}

static void init_waiting(struct journal *journal)
{
    pthread_condattr_t attributes;
    (void)pthread_mutex_init(&journal->lock, NULL);
    (void)pthread_cond_init(&journal->changed, NULL);
    for (size_t i = 0; i < LANES_MAX; i++)
        (void)pthread_cond_init(&journal->lanes[i].durable, NULL);
    (void)pthread_condattr_init(&attributes);
    (void)pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&journal->work, &attributes);
    (void)pthread_condattr_destroy(&attributes);
}

/* A lane keeps a segment for itself. */
static size_t lanes_of(unsigned segments)
{
    return segments < 2 * LANES_MAX ? 1 : LANES_MAX;
}

int journal_open(struct journal **out, const struct journal_options *options, struct error *err)
{
    *out = NULL;
    struct journal *journal = calloc(1, sizeof *journal);
    if (!journal)
        return error_set(err, "no memory for the journal");
    journal->options = *options;
    journal->lane_count = lanes_of(options->segments);
    journal->capacity = options->segments;
    init_waiting(journal);
    journal->segments = calloc(journal->capacity, sizeof *journal->segments);
    int length = snprintf(journal->directory, sizeof journal->directory, "%s", options->directory);
    int failed = journal->segments && length < FS_PATH_MAX
                     ? 0
                     : error_set(err, "no memory for the journal, or its path is too long");
    if (!failed)
        failed = fs_make_directory(journal->directory, err);
    if (!failed)
        failed = open_segments(journal, err);
    if (failed) {
        journal_close(journal);
        return -1;
    }
    *out = journal;
    return 0;
}

void journal_close(struct journal *journal)
{
    if (!journal)
        return;
    for (size_t i = 0; i < journal->count; i++)
        (void)close(journal->segments[i].fd); /* what counts was synced */
    free(journal->segments);
    for (size_t i = 0; i < LANES_MAX; i++)
        (void)pthread_cond_destroy(&journal->lanes[i].durable);
    (void)pthread_cond_destroy(&journal->work);
    (void)pthread_cond_destroy(&journal->changed);
    (void)pthread_mutex_destroy(&journal->lock);
    free(journal);
}

/* ---- room: all with the lock held ---- */

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

/* Numbers that came to nothing. */
static void skip_void(struct journal *journal)
{
    while (journal->settled + 1 < journal->next_number &&
           journal_slot(journal, journal->settled + 1)->state == SLOT_VOID)
        journal->settled++;
}

/* Nothing behind it is due before it has ended. */
static bool is_oldest_written(const struct journal *journal)
{
    return journal->slots[(journal->settled + 1) % SLOTS].state == SLOT_WRITING;
}

static void wait_for_a_commit(struct journal *journal)
{
    journal->awaiting++;
    (void)pthread_cond_wait(&journal->changed, &journal->lock);
    journal->awaiting--;
}

/* Has some settled, without the lock. */
static int make_room(struct journal *journal, struct error *err)
{
    uint64_t before = journal->frees + journal->settled;
    skip_void(journal);
    journal_retire(journal);
    if (before != journal->frees + journal->settled)
        return 0;
    (void)pthread_mutex_unlock(&journal->lock);
    int failed = journal->options.make_room
                     ? journal->options.make_room(journal->options.context, err)
                     : error_set(err, "the journal is full");
    (void)pthread_mutex_lock(&journal->lock);
    if (failed || before != journal->frees + journal->settled || warmest_free(journal))
        return failed ? JOURNAL_FULL : 0;
    if (journal->settled + 1 == journal->next_number) {
        (void)error_set(err, "the journal is full of instances on their way");
        return JOURNAL_FULL;
    }
    if (is_oldest_written(journal))
        wait_for_a_commit(journal);
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

int journal_is_sound(struct journal *journal, struct error *err)
{
    (void)pthread_mutex_lock(&journal->lock);
    bool broken = journal->broken;
    (void)pthread_mutex_unlock(&journal->lock);
    return broken ? error_set(err, BROKEN_TEXT) : 0;
}

/* ---- settling ---- */

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

static void forget_backlog(struct journal *journal, uint64_t number)
{
    const struct slot *slot = journal_slot(journal, number);
    if (slot->state != SLOT_DURABLE)
        return;
    journal->backlog_blocks -= slot->blocks;
    journal->backlog_instances--;
}

void journal_settle(struct journal *journal, uint64_t through)
{
    (void)pthread_mutex_lock(&journal->lock);
    while (journal->settled < through)
        forget_backlog(journal, ++journal->settled);
    journal->oldest_ms = clock_monotonic_ms(clock_system());
    journal_retire(journal);
    (void)pthread_cond_broadcast(&journal->changed);
    (void)pthread_mutex_unlock(&journal->lock);
}

uint64_t journal_due(struct journal *journal, struct journal_place *places, size_t size,
                     size_t *count, uint64_t *through)
{
    uint64_t blocks = 0;
    *count = 0;
    (void)pthread_mutex_lock(&journal->lock);
    skip_void(journal);
    journal_retire(journal);
    *through = journal->settled;
    for (uint64_t number = journal->settled + 1; number < journal->next_number; number++) {
        const struct slot *slot = journal_slot(journal, number);
        if (slot->state == SLOT_WRITING || (slot->state == SLOT_DURABLE && *count == size))
            break;
        *through = number;
        if (slot->state == SLOT_VOID)
            continue;
        places[(*count)++] = (struct journal_place){number, slot->segment, slot->block};
        blocks += slot->blocks;
    }
    (void)pthread_mutex_unlock(&journal->lock);
    return blocks * BLOCK_SIZE;
}

static uint64_t capacity_of(const struct journal *journal)
{
    return journal->options.segment_size * journal->options.segments;
}

bool journal_is_half_full(const struct journal *journal, uint64_t blocks)
{
    return blocks >= capacity_of(journal) / 2 / BLOCK_SIZE;
}

void journal_backlog(struct journal *journal, struct journal_backlog *out)
{
    (void)pthread_mutex_lock(&journal->lock);
    *out = (struct journal_backlog){
        .instances = journal->backlog_instances,
        .bytes = journal->backlog_blocks * BLOCK_SIZE,
        .capacity = capacity_of(journal),
        .last = journal->next_number - 1,
        .settled = journal->settled,
        .oldest_ms = journal->oldest_ms,
        .newest_ms = journal->newest_ms,
    };
    (void)pthread_mutex_unlock(&journal->lock);
}

void journal_wait(struct journal *journal, int64_t at_most_ms)
{
    struct timespec until;
    (void)clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += (time_t)(at_most_ms / 1000);
    until.tv_nsec += (long)(at_most_ms % 1000) * 1000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000;
    }
    (void)pthread_mutex_lock(&journal->lock);
    if (!journal->wanted)
        (void)pthread_cond_timedwait(&journal->work, &journal->lock, &until);
    journal->wanted = false;
    (void)pthread_mutex_unlock(&journal->lock);
}

void journal_await(struct journal *journal, uint64_t through)
{
    (void)pthread_mutex_lock(&journal->lock);
    journal->awaiting++;
    uint64_t number = 0;
    while (number < through) {
        uint64_t next = (number > journal->settled ? number : journal->settled) + 1;
        if (next > through)
            break;
        if (journal_slot(journal, next)->state == SLOT_WRITING)
            (void)pthread_cond_wait(&journal->changed, &journal->lock);
        else
            number = next;
    }
    journal->awaiting--;
    (void)pthread_mutex_unlock(&journal->lock);
}

void journal_want(struct journal *journal)
{
    journal->wanted = true;
    (void)pthread_cond_broadcast(&journal->work);
}

void journal_wake(struct journal *journal)
{
    (void)pthread_mutex_lock(&journal->lock);
    journal_want(journal);
    (void)pthread_mutex_unlock(&journal->lock);
}

/* ---- resuming ---- */

/* Too many, or of another size than configured now. */
static bool is_spare(const struct journal *journal, const struct segment *segment, size_t kept)
{
    struct stat status;
    return kept >= journal->options.segments || fstat(segment->fd, &status) != 0 ||
           (uint64_t)status.st_size != journal->options.segment_size;
}

void journal_resume(struct journal *journal, uint64_t settled)
{
    size_t kept = 0;
    for (size_t i = 0; i < journal->count; i++) {
        struct segment *segment = &journal->segments[i];
        if (segment->state == SEGMENT_FULL)
            segment_retire(segment);
        segment->state = SEGMENT_FREE;
        if (is_spare(journal, segment, kept))
            segment_remove(journal, segment);
        else
            journal->segments[kept++] = *segment;
    }
    (void)pthread_mutex_lock(&journal->lock);
    journal->count = kept;
    journal->settled = settled > journal->replayed ? settled : journal->replayed;
    journal->next_number = journal->settled + 1;
    journal->resumed = true;
    (void)pthread_mutex_unlock(&journal->lock);
}
