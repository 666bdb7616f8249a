/* zlib's raw deflate over a file. Guarantees that what was deflated had the size and CRC-32 it was
 * received with. The same bytes give the same output: level, window and piece sizes are constant.
 */
#include "deflator.h"

#include "aurabridge/digest.h"
#include "aurabridge/fs.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>
#include <zlib.h>

/* Level 1: on native CT, MR, RGB and RT dose, level 6 takes two to three times as long to save 2 to
 * 10 % more. */
#define DEFLATE_LEVEL  1
#define DEFLATE_WINDOW (-15) /* raw, as zip wants it */
#define DEFLATE_MEMORY 8
#define PIECE_SIZE     ((size_t)128 * 1024)

/* Less than 1/64 saved is not worth a second copy on disk. */
#define LEAST_GAIN(size) ((size) / 64)

/* Room is asked for in steps, not for each piece. */
#define ROOM_STEP ((size_t)1024 * 1024)

struct deflator {
    z_stream stream;
    size_t room; /* that was granted and is not used yet */
    uint8_t in[PIECE_SIZE];
    uint8_t out[PIECE_SIZE];
};

int deflator_new(struct deflator **out, struct error *err)
{
    struct deflator *deflator = calloc(1, sizeof *deflator);
    if (deflator && deflateInit2(&deflator->stream, DEFLATE_LEVEL, Z_DEFLATED, DEFLATE_WINDOW,
                                 DEFLATE_MEMORY, Z_DEFAULT_STRATEGY) != Z_OK) {
        free(deflator);
        deflator = NULL;
    }
    *out = deflator;
    return deflator ? 0 : error_set(err, "compressing: out of memory");
}

void deflator_free(struct deflator *deflator)
{
    if (!deflator)
        return;
    (void)deflateEnd(&deflator->stream); /* complains of unfinished streams only */
    free(deflator);
}

static int put_out(struct deflator *deflator, struct deflator_job *job, struct error *err)
{
    size_t length = PIECE_SIZE - deflator->stream.avail_out;
    deflator->stream.next_out = deflator->out;
    deflator->stream.avail_out = (uInt)PIECE_SIZE;
    job->packed += length;
    if (job->packed >= job->size - LEAST_GAIN(job->size))
        return DEFLATOR_NO_GAIN;
    if (deflator->room < length) {
        if (job->has_room && !job->has_room(job->room_context, ROOM_STEP))
            return DEFLATOR_DISK_FULL;
        deflator->room = ROOM_STEP;
    }
    deflator->room -= length;
    job->packed_crc32 = crc32_update(job->packed_crc32, deflator->out, length);
    if (fs_write_all(job->out, deflator->out, length, err) == 0)
        return 0;
    return errno == ENOSPC || errno == EDQUOT || errno == EFBIG ? DEFLATOR_DISK_FULL : -1;
}

/* Feeds one piece; `flush` is Z_FINISH for the last. */
static int feed(struct deflator *deflator, struct deflator_job *job, size_t length, int flush,
                struct error *err)
{
    z_stream *stream = &deflator->stream;
    stream->next_in = deflator->in;
    stream->avail_in = (uInt)length;
    int answer;
    bool full;
    do {
        answer = deflate(stream, flush);
        if (answer != Z_OK && answer != Z_STREAM_END && answer != Z_BUF_ERROR)
            return error_set(err, "zlib failed with code %d", answer);
        full = stream->avail_out == 0;
        int code = full || answer == Z_STREAM_END ? put_out(deflator, job, err) : 0;
        if (code != 0)
            return code;
    } while (flush == Z_FINISH ? answer != Z_STREAM_END : full);
    return 0;
}

static int check_source(const struct deflator_job *job, uint64_t size, uint32_t crc32,
                        struct error *err)
{
    if (size != job->size)
        return error_set(err, "it has %llu bytes on disk and had %llu when received",
                         (unsigned long long)size, (unsigned long long)job->size);
    if (crc32 != job->crc32)
        return error_set(err, "its bytes on disk are not those received (CRC-32 %08x, was %08x)",
                         crc32, job->crc32);
    return 0;
}

int deflator_run(struct deflator *deflator, struct deflator_job *job, struct error *err)
{
    uint64_t offset = 0;
    uint32_t crc32 = 0;
    size_t got = PIECE_SIZE;
    job->packed = 0;
    job->packed_crc32 = 0;
    deflator->room = 0;
    if (deflateReset(&deflator->stream) != Z_OK)
        return error_set(err, "zlib failed");
    if (lseek(job->out, (off_t)job->out_offset, SEEK_SET) < 0)
        return error_errno(err, errno, "moving in the scratch file");
    deflator->stream.next_out = deflator->out;
    deflator->stream.avail_out = (uInt)PIECE_SIZE;
    while (got == PIECE_SIZE) {
        if (job->cancelled && job->cancelled(job->context))
            return error_set(err, "cancelled");
        if (fs_read_at(job->in, deflator->in, PIECE_SIZE, offset, &got, err) != 0)
            return -1;
        offset += got;
        crc32 = crc32_update(crc32, deflator->in, got);
        int code = feed(deflator, job, got, got == PIECE_SIZE ? Z_NO_FLUSH : Z_FINISH, err);
        if (code != 0)
            return code;
    }
    return check_source(job, offset, crc32, err);
}
