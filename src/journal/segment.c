/* A segment's file: a header of one page, then pieces and records. Guarantees that a record of the
 * segment's earlier lives is none of this one: each life has a nonce of its own, which stands in
 * the header. */
#include "segments.h"

#include "aurabridge/digest.h"
#include "aurabridge/identifier.h"
#include "aurabridge/log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAGIC    "AuraBridge journal 1\n"
#define NONCE_AT 32
#define CRC32_AT 48

static int path_of(char out[FS_PATH_MAX], const struct journal *journal, uint32_t id,
                   struct error *err)
{
    char name[32];
    (void)snprintf(name, sizeof name, "%08u.segment", id);
    return fs_join(out, journal->directory, name, err);
}

int segment_write(const struct segment *segment, const void *bytes, size_t length, uint64_t offset,
                  struct error *err)
{
    const uint8_t *at = bytes;
    while (length > 0) {
        ssize_t written = pwrite(segment->fd, at, length, (off_t)offset);
        if (written < 0 && errno == EINTR)
            continue;
        if (written <= 0) {
            int failed = written < 0 ? errno : ENOSPC;
            (void)error_errno(err, failed, "writing %zu bytes to segment %u of the journal", length,
                              segment->id);
            errno = failed;
            return -1;
        }
        at += written;
        offset += (uint64_t)written;
        length -= (size_t)written;
    }
    return 0;
}

static void encode_header(uint8_t page[PAGE_SIZE], const uint8_t nonce[RECORD_NONCE_SIZE])
{
    memset(page, 0, PAGE_SIZE);
    memcpy(page, MAGIC, strlen(MAGIC));
    memcpy(page + NONCE_AT, nonce, RECORD_NONCE_SIZE);
    uint32_t crc32 = crc32_update(0, page, CRC32_AT);
    memcpy(page + CRC32_AT, &crc32, sizeof crc32); /* read by this machine alone */
}

static bool is_header(const uint8_t page[PAGE_SIZE])
{
    uint32_t crc32 = crc32_update(0, page, CRC32_AT);
    return memcmp(page, MAGIC, strlen(MAGIC)) == 0 &&
           memcmp(page + CRC32_AT, &crc32, sizeof crc32) == 0;
}

int segment_begin(const struct journal *journal, struct segment *segment, struct error *err)
{
    (void)journal;
    uint8_t page[PAGE_SIZE];
    if (random_bytes(segment->nonce, RECORD_NONCE_SIZE) != 0)
        return error_set(err, "the system gave no random bytes for the journal");
    encode_header(page, segment->nonce);
    return segment_write(segment, page, sizeof page, 0, err);
}

void segment_retire(struct segment *segment)
{
    /* What fails here, or is lost with the power, only makes the next start look at records that
     * the ledger knows as settled. */
    static const uint8_t nothing[PAGE_SIZE];
    (void)segment_write(segment, nothing, sizeof nothing, 0, NULL);
}

static int allocate(struct segment *segment, uint64_t size, struct error *err)
{
    int refused = posix_fallocate(segment->fd, 0, (off_t)size);
    if (refused == 0)
        return 0;
    (void)error_errno(err, refused, "taking %llu bytes for a segment of the journal",
                      (unsigned long long)size);
    errno = refused;
    return -1;
}

int segment_make(struct journal *journal, struct segment *out, struct error *err)
{
    char path[FS_PATH_MAX];
    uint32_t id = 1;
    while (journal_segment(journal, id))
        id++;
    *out = (struct segment){.id = id, .fd = -1, .state = SEGMENT_FREE};
    if (path_of(path, journal, id, err) != 0 || fs_create(&out->fd, path, err) != 0)
        return errno == ENOSPC || errno == EDQUOT ? JOURNAL_FULL : -1;
    /* The file has to be found again after a loss of power. */
    if (allocate(out, journal->options.segment_size, err) == 0 &&
        fs_sync_directory(journal->directory, err) == 0)
        return 0;
    int code = errno == ENOSPC || errno == EDQUOT || errno == EFBIG ? JOURNAL_FULL : -1;
    (void)close(out->fd); /* nothing in it counts */
    out->fd = -1;
    (void)unlink(path);
    return code;
}

int segment_open(struct journal *journal, struct segment *out, uint32_t id, struct error *err)
{
    char path[FS_PATH_MAX];
    uint8_t page[PAGE_SIZE];
    size_t got;
    *out = (struct segment){.id = id, .fd = -1, .state = SEGMENT_FREE};
    if (path_of(path, journal, id, err) != 0)
        return -1;
    out->fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
    if (out->fd < 0)
        return error_errno(err, errno, "opening %s", path);
    if (fs_read_at(out->fd, page, sizeof page, 0, &got, err) != 0) {
        (void)close(out->fd); /* nothing was written */
        out->fd = -1;
        return error_wrap(err,
                          "reading %s (move it away to start without what was acknowledged in it "
                          "and is in no study folder yet)",
                          path);
    }
    if (got == sizeof page && is_header(page)) {
        memcpy(out->nonce, page + NONCE_AT, RECORD_NONCE_SIZE);
        out->state = SEGMENT_FULL;
    }
    return 0;
}

int segment_set_aside(struct journal *journal, struct segment *segment, struct error *err)
{
    char path[FS_PATH_MAX], aside[FS_PATH_MAX + 2 * RECORD_NONCE_SIZE + 16];
    char nonce[2 * RECORD_NONCE_SIZE + 1];
    hex_encode(nonce, segment->nonce, RECORD_NONCE_SIZE);
    if (path_of(path, journal, segment->id, err) != 0)
        return -1;
    (void)snprintf(aside, sizeof aside, "%s.%s.unreadable", path, nonce);
    if (rename(path, aside) != 0)
        return error_errno(err, errno, "renaming %s", path);
    (void)close(segment->fd); /* nothing was written */
    segment->fd = -1;
    log_error("journal", "it stays as %s until you remove it", aside);
    return 0;
}

void segment_remove(struct journal *journal, struct segment *segment)
{
    char path[FS_PATH_MAX];
    (void)close(segment->fd); /* nothing in it counts */
    segment->fd = -1;
    if (path_of(path, journal, segment->id, NULL) == 0)
        (void)unlink(path); /* else it is there at the next start, and may go then */
}
