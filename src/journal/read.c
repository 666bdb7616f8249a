/* Records and bytes read back, while the bridge runs and at its start. Guarantees that a record is
 * only shown when it is whole and of its segment's present life. */
#include "segments.h"

#include "aurabridge/log.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define PIECE_SIZE ((size_t)128 * 1024)
#define SCAN_SIZE  ((size_t)1024 * 1024)

static int read_record(const struct segment *segment, struct journal_record *out, uint64_t offset,
                       struct error *err)
{
    size_t got;
    /* What lies behind it, on a page that cannot be read, is another's. */
    if (fs_read_at(segment->fd, out->bytes, sizeof out->bytes, offset, &got, err) != 0 &&
        errno != EIO)
        return -1;
    size_t length = got >= RECORD_HEAD_SIZE ? record_length(out->bytes, segment->nonce) : 0;
    if (length == 0 || length > got || record_decode(out, length) != 0)
        return error_set(err, "segment %u of the journal has no whole record at offset %llu",
                         segment->id, (unsigned long long)offset);
    return 0;
}

static int find_segment(struct journal *journal, struct segment *out, uint32_t id,
                        struct error *err)
{
    (void)pthread_mutex_lock(&journal->lock);
    const struct segment *found = journal_segment(journal, id);
    *out = found ? *found : (struct segment){.fd = -1};
    (void)pthread_mutex_unlock(&journal->lock);
    return found ? 0 : error_set(err, "the journal has no segment %u", id);
}

int journal_read(struct journal *journal, struct journal_record *out,
                 const struct journal_place *place, struct error *err)
{
    struct segment segment;
    return find_segment(journal, &segment, place->segment, err) != 0
               ? -1
               : read_record(&segment, out, (uint64_t)place->block * BLOCK_SIZE, err);
}

/* `fd` -1: only reads. */
static int copy_extent(const struct segment *segment, const struct journal_extent *extent, int fd,
                       uint32_t *crc32, uint8_t *piece, struct error *err)
{
    uint64_t offset = extent->offset;
    size_t left = extent->length;
    while (left > 0) {
        size_t got;
        if (fs_read_at(segment->fd, piece, left < PIECE_SIZE ? left : PIECE_SIZE, offset, &got,
                       err) != 0)
            return errno == EIO ? JOURNAL_UNREADABLE : -1;
        if (got == 0) {
            (void)error_set(err, "segment %u of the journal ends too early", segment->id);
            return JOURNAL_UNREADABLE;
        }
        *crc32 = crc32_update(*crc32, piece, got);
        if (fd >= 0 && fs_write_all(fd, piece, got, err) != 0)
            return -1;
        offset += got;
        left -= got;
    }
    return 0;
}

int journal_copy(struct journal *journal, const struct journal_extent *extents, size_t count,
                 int fd, uint32_t *crc32, struct error *err)
{
    uint8_t *piece = malloc(PIECE_SIZE);
    int result = piece ? 0 : error_set(err, "no memory to copy an instance out of the journal");
    *crc32 = 0;
    errno = 0;
    for (size_t i = 0; result == 0 && i < count; i++) {
        struct segment segment;
        result = find_segment(journal, &segment, extents[i].segment, err);
        if (result == 0)
            result = copy_extent(&segment, &extents[i], fd, crc32, piece, err);
    }
    int kept = errno;
    free(piece);
    errno = kept;
    return result;
}

int journal_check(struct journal *journal, const struct journal_record *record, bool *is_whole,
                  struct error *err)
{
    uint32_t crc32;
    *is_whole = false;
    int code = journal_copy(journal, record->extents, record->extent_count, -1, &crc32, err);
    if (code != 0)
        return code;
    /* One in a file of its own was synced before its record was written. */
    *is_whole = record->entry.part_name[0] || crc32 == record->stored.file_crc32;
    return 0;
}

/* ---- at start ---- */

struct scan {
    struct journal_place *places; /* owned */
    size_t count, capacity;
    uint64_t settled, newest;
    struct journal_record *record; /* owned */
    uint8_t *block;                /* owned; SCAN_SIZE */
};

static int note_place(struct scan *scan, const struct segment *segment, uint64_t offset,
                      struct error *err)
{
    if (read_record(segment, scan->record, offset, NULL) != 0)
        return 0; /* torn: its sender has heard nothing */
    uint64_t number = scan->record->number;
    if (number > scan->newest)
        scan->newest = number;
    if (number <= scan->settled)
        return 0;
    if (scan->count == scan->capacity) {
        size_t capacity = scan->capacity ? 2 * scan->capacity : 1024;
        struct journal_place *more = realloc(scan->places, capacity * sizeof *more);
        if (!more)
            return error_set(err, "no memory to replay the journal");
        scan->places = more;
        scan->capacity = capacity;
    }
    scan->places[scan->count++] =
        (struct journal_place){number, segment->id, (uint32_t)(offset / BLOCK_SIZE)};
    return 0;
}

/* A page that the disk does not give back reads as zeros, so that the others are found. */
static int read_pages(const struct segment *segment, uint8_t *block, uint64_t offset, size_t *got,
                      unsigned *unreadable, struct error *err)
{
    if (fs_read_at(segment->fd, block, SCAN_SIZE, offset, got, err) == 0)
        return 0;
    memset(block, 0, SCAN_SIZE);
    size_t read = PAGE_SIZE;
    for (*got = 0; *got < SCAN_SIZE && read == PAGE_SIZE; *got += read) {
        if (fs_read_at(segment->fd, block + *got, PAGE_SIZE, offset + *got, &read, err) == 0)
            continue;
        if (errno != EIO)
            return -1;
        read = PAGE_SIZE;
        ++*unreadable;
    }
    return 0;
}

static void tell_unreadable(const struct segment *segment, unsigned unreadable)
{
    if (unreadable > 0)
        log_error("journal",
                  "%u pages of segment %u of the journal cannot be read, the disk is damaged: what "
                  "was acknowledged shortly before the last stop may be lost, compare it with the "
                  "senders' lists; and replace the disk",
                  unreadable, segment->id);
}

static int scan_segment(struct scan *scan, struct segment *segment, struct error *err)
{
    uint64_t offset = PAGE_SIZE;
    unsigned unreadable = 0;
    size_t got;
    for (;;) {
        if (read_pages(segment, scan->block, offset, &got, &unreadable, err) != 0)
            return error_wrap(err, "replaying segment %u of the journal", segment->id);
        for (size_t at = 0; at + RECORD_HEAD_SIZE <= got; at += BLOCK_SIZE) {
            if (record_length(scan->block + at, segment->nonce) > 0 &&
                note_place(scan, segment, offset + at, err) != 0)
                return -1;
        }
        if (got < SCAN_SIZE) {
            tell_unreadable(segment, unreadable);
            segment->has_unreadable = unreadable > 0;
            return 0;
        }
        offset += got;
    }
}

static int by_number(const void *left, const void *right)
{
    const struct journal_place *a = left, *b = right;
    return a->number < b->number ? -1 : a->number > b->number;
}

int journal_replay(struct journal *journal, uint64_t settled,
                   int (*visit)(void *context, const struct journal_place *place), void *context,
                   struct error *err)
{
    struct scan scan = {
        .settled = settled, .record = malloc(sizeof *scan.record), .block = malloc(SCAN_SIZE)};
    int result = scan.record && scan.block ? 0 : error_set(err, "no memory to replay the journal");
    for (size_t i = 0; result == 0 && i < journal->count; i++)
        if (journal->segments[i].state == SEGMENT_FULL)
            result = scan_segment(&scan, &journal->segments[i], err);
    free(scan.record);
    free(scan.block);
    if (result == 0 && scan.count > 1)
        qsort(scan.places, scan.count, sizeof *scan.places, by_number);
    for (size_t i = 0; result == 0 && i < scan.count; i++)
        result = visit(context, &scan.places[i]);
    free(scan.places);
    journal->replayed = scan.newest;
    return result;
}
