/* Pieces and commits. Guarantees that a commit which answers 0 is on stable storage with everything
 * it names: a sync that began after the last of its bytes was written has covered all segments that
 * were written to. Whoever finds no sync under way makes one, for all who wait. After a failed sync
 * nothing is taken any more: the kernel may have dropped what it could not write. */
#include "segments.h"

#include "aurabridge/clock.h"

#include <errno.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

static uint64_t round_up(uint64_t length, uint64_t unit)
{
    return (length + unit - 1) / unit * unit;
}

int journal_failure_of(int errnum)
{
    return errnum == ENOSPC || errnum == EDQUOT || errnum == EFBIG ? JOURNAL_FULL : -1;
}

/* ---- pieces ---- */

/* Head, bytes, and zeros up to the page's end, so that no page is read before it is written. */
static int write_piece(const struct segment *segment, const void *head, size_t head_length,
                       const void *bytes, size_t length, uint64_t offset, struct error *err)
{
    static const uint8_t zeros[PAGE_SIZE];
    size_t total = head_length + length;
    size_t padded = (size_t)round_up(total, PAGE_SIZE);
    struct iovec pieces[] = {{(void *)(uintptr_t)head, head_length},
                             {(void *)(uintptr_t)bytes, length},
                             {(void *)(uintptr_t)zeros, padded - total}};
    ssize_t written;
    do
        written = pwritev(segment->fd, pieces, 3, (off_t)offset);
    while (written < 0 && errno == EINTR);
    if (written == (ssize_t)padded)
        return 0;
    if (written < 0)
        return error_errno(err, errno, "writing %zu bytes to segment %u of the journal", padded,
                           segment->id);
    /* Cut short, which a file that has all its blocks is only by a signal or a dying disk: again,
     * piece by piece, which says why. */
    return segment_write(segment, head, head_length, offset, err) != 0 ||
                   segment_write(segment, bytes, length, offset + head_length, err) != 0
               ? -1
               : 0;
}

/* With the lock held: the lane that an instance stays in, which is the one with the fewest. */
static struct lane *lane_of(struct journal *journal, struct journal_writer *writer)
{
    if (writer->lane > 0)
        return &journal->lanes[writer->lane - 1];
    struct lane *best = &journal->lanes[0];
    bool can_rotate = journal_can_rotate(journal);
    for (size_t i = 1; i < journal->lane_count; i++) {
        struct lane *lane = &journal->lanes[i];
        /* Where no segment is to be had, one with a segment is better than one that is idle. */
        bool has_room = can_rotate || lane->active || !best->active;
        bool is_better = lane->writers < best->writers || (!can_rotate && !best->active);
        if (has_room && is_better)
            best = lane;
    }
    writer->lane = (unsigned)(best - journal->lanes) + 1;
    best->writers++;
    return best;
}

int journal_append(struct journal *journal, struct journal_writer *writer, const void *head,
                   size_t head_length, const void *bytes, size_t length, struct error *err)
{
    struct reservation place;
    if (writer->count >= JOURNAL_EXTENTS_MAX - 1 ||
        head_length + length > journal->options.segment_size / 4)
        return JOURNAL_SPILL;
    (void)pthread_mutex_lock(&journal->lock);
    int code = journal_is_crowded(journal)
                   ? JOURNAL_SPILL
                   : journal_reserve(journal, lane_of(journal, writer),
                                     round_up(head_length + length, PAGE_SIZE), false, &place, err);
    (void)pthread_mutex_unlock(&journal->lock);
    if (code != 0)
        return code;
    writer->extents[writer->count++] =
        (struct journal_extent){.segment = place.segment->id,
                                .length = (uint32_t)(head_length + length),
                                .offset = place.offset};
    errno = 0;
    if (write_piece(place.segment, head, head_length, bytes, length, place.offset, err) != 0)
        return journal_failure_of(errno);
    (void)pthread_mutex_lock(&journal->lock);
    place.segment->dirty = true;
    (void)pthread_mutex_unlock(&journal->lock);
    return 0;
}

/* With the lock held. */
static void let_go(struct journal *journal, struct journal_writer *writer, uint64_t number)
{
    for (size_t i = 0; i < writer->count; i++) {
        struct segment *segment = journal_segment(journal, writer->extents[i].segment);
        segment->open--;
        if (number > segment->last_number)
            segment->last_number = number;
    }
    if (writer->lane > 0)
        journal->lanes[writer->lane - 1].writers--;
    writer->count = 0;
    writer->lane = 0;
}

void journal_abort(struct journal *journal, struct journal_writer *writer)
{
    if (writer->lane == 0)
        return;
    (void)pthread_mutex_lock(&journal->lock);
    let_go(journal, writer, 0);
    journal_retire(journal);
    (void)pthread_mutex_unlock(&journal->lock);
}

/* ---- commits ---- */

/* Called, and returns, with the lock held. */
static void sync_lane(struct journal *journal, struct lane *lane)
{
    int files[64];
    size_t count = 0;
    uint64_t target = lane->written;
    lane->syncing = true;
    for (size_t i = 0; i < journal->count; i++) {
        struct segment *segment = &journal->segments[i];
        if (!segment->dirty || segment->lane != lane || count == sizeof files / sizeof *files)
            continue;
        segment->dirty = false;
        files[count++] = segment->fd;
    }
    (void)pthread_mutex_unlock(&journal->lock);
    bool failed = false;
    for (size_t i = 0; i < count; i++)
        failed |= fdatasync(files[i]) != 0;
    (void)pthread_mutex_lock(&journal->lock);
    lane->syncing = false;
    journal->broken |= failed;
    if (!failed)
        lane->synced = target;
    (void)pthread_cond_broadcast(&lane->durable);
}

/* With the lock held. */
static int wait_until_durable(struct journal *journal, struct lane *lane, struct error *err)
{
    uint64_t mine = ++lane->written;
    while (lane->synced < mine && !journal->broken) {
        if (lane->syncing)
            (void)pthread_cond_wait(&lane->durable, &journal->lock);
        else
            sync_lane(journal, lane);
    }
    if (lane->synced >= mine)
        return 0;
    (void)error_set(err, "syncing the journal failed; check the disk and restart the bridge");
    return JOURNAL_BROKEN;
}

/* With the lock held. */
static void end_commit(struct journal *journal, uint64_t number, uint64_t blocks, int code)
{
    struct slot *slot = journal_slot(journal, number);
    if (journal->awaiting > 0)
        (void)pthread_cond_broadcast(&journal->changed);
    if (code != 0) {
        slot->state = SLOT_VOID;
        return;
    }
    int64_t now = clock_monotonic_ms(clock_system());
    uint64_t before = journal->backlog_blocks;
    if (before == 0)
        journal->oldest_ms = now;
    journal->newest_ms = now;
    slot->state = SLOT_DURABLE;
    slot->blocks = (uint32_t)blocks;
    journal->backlog_blocks += blocks;
    journal->backlog_instances++;
    /* Between these two, whoever settles waits for the time to pass: to wake it for each instance
     * would cost more than the write does. */
    if (before == 0 || (!journal_is_half_full(journal, before) &&
                        journal_is_half_full(journal, journal->backlog_blocks)))
        journal_want(journal);
}

struct commit {
    struct journal_writer *writer;
    uint8_t *buffer;
    size_t tail, record_at, length;
    const struct journal_entry *entry;
    struct reservation place;
    uint64_t number;
};

/* With the lock held: room, a number, and everything that the instance names under that number. */
static int begin_commit(struct journal *journal, struct commit *commit, struct error *err)
{
    int code = journal_reserve(journal, lane_of(journal, commit->writer), commit->length, true,
                               &commit->place, err);
    if (code != 0)
        return code;
    commit->number = journal->next_number++;
    *journal_slot(journal, commit->number) =
        (struct slot){.state = SLOT_WRITING,
                      .segment = commit->place.segment->id,
                      .block = (uint32_t)((commit->place.offset + commit->record_at) / BLOCK_SIZE)};
    return 0;
}

static int write_commit(const struct commit *commit, struct error *err)
{
    const struct segment *segment = commit->place.segment;
    struct journal_writer *writer = commit->writer;
    size_t count = writer->count;
    if (commit->tail > 0)
        writer->extents[count++] = (struct journal_extent){.segment = segment->id,
                                                           .length = (uint32_t)commit->tail,
                                                           .offset = commit->place.offset};
    uint8_t *record = commit->buffer + commit->record_at;
    memset(commit->buffer + commit->tail, 0, commit->length - commit->tail);
    record_encode(record, commit->entry, writer->extents, count, commit->number, segment->nonce);
    errno = 0;
    return segment_write(segment, commit->buffer, commit->length, commit->place.offset, err) == 0
               ? 0
               : journal_failure_of(errno);
}

static uint64_t blocks_of(const struct journal_writer *writer, uint64_t length)
{
    uint64_t bytes = length;
    for (size_t i = 0; i < writer->count; i++)
        bytes += writer->extents[i].length;
    return round_up(bytes, BLOCK_SIZE) / BLOCK_SIZE;
}

int journal_commit(struct journal *journal, struct journal_writer *writer, uint8_t *buffer,
                   size_t tail, const struct journal_entry *entry, struct error *err)
{
    size_t record = record_size(entry, writer->count + (tail > 0));
    size_t record_at = (size_t)round_up(tail, BLOCK_SIZE);
    struct commit commit = {.writer = writer,
                            .buffer = buffer,
                            .tail = tail,
                            .record_at = record_at,
                            .length = (size_t)round_up(record_at + record, PAGE_SIZE),
                            .entry = entry};
    int code = record <= JOURNAL_RECORD_MAX
                   ? 0
                   : error_set(err, "what is to be recorded of the instance is too long");
    (void)pthread_mutex_lock(&journal->lock);
    if (code == 0)
        code = begin_commit(journal, &commit, err);
    if (code == 0) {
        (void)pthread_mutex_unlock(&journal->lock);
        code = write_commit(&commit, err);
        (void)pthread_mutex_lock(&journal->lock);
        struct segment *segment = commit.place.segment;
        uint64_t blocks = blocks_of(writer, commit.length);
        segment->dirty = true;
        segment->open--;
        if (commit.number > segment->last_number)
            segment->last_number = commit.number;
        if (code == 0)
            code = wait_until_durable(journal, segment->lane, err);
        let_go(journal, writer, commit.number);
        end_commit(journal, commit.number, blocks, code);
    } else {
        let_go(journal, writer, 0);
    }
    if (code != 0)
        journal_retire(journal);
    (void)pthread_mutex_unlock(&journal->lock);
    return code;
}
