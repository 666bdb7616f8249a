/* Raw deflate over a file, in one call or as a stream. Guarantees that what was deflated had the
 * size and CRC-32 it was received with. The same bytes give the same output: level, window and
 * piece sizes are constant.
 */
#include "deflator.h"

#include "zip.h"

#include "aurabridge/digest.h"
#include "aurabridge/fs.h"

#include <libdeflate.h>
#include <stdlib.h>
#include <sys/mman.h>
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

#define MAP_STEP ((size_t)256 * 1024)
/* Buffers up to this size are kept between jobs. */
#define MAP_KEPT ((size_t)4 * 1024 * 1024)

struct stream {
    z_stream z;
    size_t room; /* that was granted and is not used yet */
    uint8_t in[PIECE_SIZE];
    uint8_t out[PIECE_SIZE];
};

struct deflator {
    struct libdeflate_compressor *whole; /* null until needed, as all of these */
    struct stream *stream;
    uint8_t *map; /* of pages of its own, so that they are gone when let go */
    size_t map_size;
};

int deflator_new(struct deflator **out, struct error *err)
{
    *out = calloc(1, sizeof **out);
    return *out ? 0 : error_set(err, "compressing: out of memory");
}

static void unmap(struct deflator *deflator)
{
    if (deflator->map)
        (void)munmap(deflator->map, deflator->map_size);
    deflator->map = NULL;
    deflator->map_size = 0;
}

static void free_stream(struct deflator *deflator)
{
    if (!deflator->stream)
        return;
    (void)deflateEnd(&deflator->stream->z); /* complains of unfinished streams only */
    free(deflator->stream);
    deflator->stream = NULL;
}

void deflator_rest(struct deflator *deflator)
{
    unmap(deflator);
    free_stream(deflator);
    libdeflate_free_compressor(deflator->whole);
    deflator->whole = NULL;
}

void deflator_free(struct deflator *deflator)
{
    if (!deflator)
        return;
    deflator_rest(deflator);
    free(deflator);
}

static int check_source(const struct deflator_job *job, uint64_t size, uint32_t crc32,
                        struct error *err)
{
    if (size != job->size)
        return error_set(err, "it has %s bytes on disk than the %llu it had when received",
                         size < job->size ? "fewer" : "more", (unsigned long long)job->size);
    if (crc32 != job->crc32)
        return error_set(err, "its bytes on disk are not those received (CRC-32 %08x, was %08x)",
                         crc32, job->crc32);
    return 0;
}

static bool is_cancelled(const struct deflator_job *job)
{
    return job->cancelled && job->cancelled(job->context);
}

static bool has_room(const struct deflator_job *job, size_t length)
{
    return !job->has_room || job->has_room(job->room_context, length);
}

/* What is worth having, in bytes. */
static uint64_t packed_max(const struct deflator_job *job)
{
    uint64_t limit = job->size - LEAST_GAIN(job->size);
    return limit > 0 ? limit - 1 : 0;
}

static int full_or_failed(int code)
{
    return code == SCRATCH_FULL ? DEFLATOR_DISK_FULL : code;
}

/* ---- in one call ---- */

static int map_buffers(struct deflator *deflator, size_t size, struct error *err)
{
    if (deflator->map_size >= size)
        return 0;
    unmap(deflator);
    size = (size + MAP_STEP - 1) / MAP_STEP * MAP_STEP;
    void *map = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (map == MAP_FAILED)
        return error_set(err, "compressing: out of memory");
    deflator->map = map;
    deflator->map_size = size;
    return 0;
}

static int keep_whole(struct deflator_job *job, const uint8_t *bytes, size_t length,
                      struct error *err)
{
    if (!has_room(job, length))
        return DEFLATOR_DISK_FULL;
    struct scratch_record *made = &job->made;
    int code = scratch_reserve(job->scratch, length, &made->offset, err);
    if (code != 0)
        return full_or_failed(code);
    code = scratch_write(job->scratch, bytes, length, made->offset, err);
    if (code != 0) {
        scratch_give_back(job->scratch, made->offset, length);
        return full_or_failed(code);
    }
    made->packed = length;
    made->packed_crc32 = crc32_update(0, bytes, length);
    return 0;
}

static int deflate_whole(struct deflator *deflator, struct deflator_job *job, struct error *err)
{
    size_t size = (size_t)job->size;
    size_t got;
    if (is_cancelled(job))
        return error_set(err, "cancelled");
    if (!deflator->whole)
        deflator->whole = libdeflate_alloc_compressor(DEFLATE_LEVEL);
    if (!deflator->whole)
        return error_set(err, "compressing: out of memory");
    /* One byte more than there should be: a file that has it has changed. */
    if (map_buffers(deflator, 2 * size + 1, err) != 0 ||
        fs_read_at(job->in, deflator->map, size + 1, 0, &got, err) != 0 ||
        check_source(job, got, crc32_update(0, deflator->map, got), err) != 0)
        return -1;
    uint8_t *out = deflator->map + size + 1;
    size_t packed = libdeflate_deflate_compress(deflator->whole, deflator->map, size, out,
                                                (size_t)packed_max(job));
    int code = packed > 0 ? keep_whole(job, out, packed, err) : DEFLATOR_NO_GAIN;
    if (deflator->map_size > MAP_KEPT)
        unmap(deflator);
    return code;
}

/* ---- as a stream ---- */

static int start_stream(struct deflator *deflator, struct error *err)
{
    if (deflator->stream)
        return deflateReset(&deflator->stream->z) == Z_OK ? 0 : error_set(err, "zlib failed");
    deflator->stream = calloc(1, sizeof *deflator->stream);
    if (deflator->stream &&
        deflateInit2(&deflator->stream->z, DEFLATE_LEVEL, Z_DEFLATED, DEFLATE_WINDOW,
                     DEFLATE_MEMORY, Z_DEFAULT_STRATEGY) != Z_OK) {
        free(deflator->stream);
        deflator->stream = NULL;
    }
    return deflator->stream ? 0 : error_set(err, "compressing: out of memory");
}

static int put_out(struct stream *stream, struct deflator_job *job, struct error *err)
{
    struct scratch_record *made = &job->made;
    size_t length = PIECE_SIZE - stream->z.avail_out;
    stream->z.next_out = stream->out;
    stream->z.avail_out = (uInt)PIECE_SIZE;
    if (length > packed_max(job) - made->packed)
        return DEFLATOR_NO_GAIN;
    if (stream->room < length) {
        if (!has_room(job, ROOM_STEP))
            return DEFLATOR_DISK_FULL;
        stream->room = ROOM_STEP;
    }
    stream->room -= length;
    int code = scratch_write(job->scratch, stream->out, length, made->offset + made->packed, err);
    if (code != 0)
        return full_or_failed(code);
    made->packed += length;
    made->packed_crc32 = crc32_update(made->packed_crc32, stream->out, length);
    return 0;
}

/* Feeds one piece; `flush` is Z_FINISH for the last. */
static int feed(struct stream *stream, struct deflator_job *job, size_t length, int flush,
                struct error *err)
{
    stream->z.next_in = stream->in;
    stream->z.avail_in = (uInt)length;
    int answer;
    bool full;
    do {
        answer = deflate(&stream->z, flush);
        if (answer != Z_OK && answer != Z_STREAM_END && answer != Z_BUF_ERROR)
            return error_set(err, "zlib failed with code %d", answer);
        full = stream->z.avail_out == 0;
        int code = full || answer == Z_STREAM_END ? put_out(stream, job, err) : 0;
        if (code != 0)
            return code;
    } while (flush == Z_FINISH ? answer != Z_STREAM_END : full);
    return 0;
}

static int feed_all(struct stream *stream, struct deflator_job *job, struct error *err)
{
    uint64_t offset = 0;
    uint32_t crc32 = 0;
    size_t got = PIECE_SIZE;
    stream->room = 0;
    stream->z.next_out = stream->out;
    stream->z.avail_out = (uInt)PIECE_SIZE;
    while (got == PIECE_SIZE) {
        if (is_cancelled(job))
            return error_set(err, "cancelled");
        if (fs_read_at(job->in, stream->in, PIECE_SIZE, offset, &got, err) != 0)
            return -1;
        offset += got;
        crc32 = crc32_update(crc32, stream->in, got);
        int code = feed(stream, job, got, got == PIECE_SIZE ? Z_NO_FLUSH : Z_FINISH, err);
        if (code != 0)
            return code;
    }
    return check_source(job, offset, crc32, err);
}

static int deflate_stream(struct deflator *deflator, struct deflator_job *job, struct error *err)
{
    struct scratch_record *made = &job->made;
    if (start_stream(deflator, err) != 0)
        return -1;
    /* How long it will be is not known: what is not used of this stays a hole. */
    int code = scratch_reserve(job->scratch, packed_max(job), &made->offset, err);
    if (code != 0)
        return full_or_failed(code);
    code = feed_all(deflator->stream, job, err);
    if (code != 0)
        scratch_give_back(job->scratch, made->offset, packed_max(job));
    return code;
}

int deflator_run(struct deflator *deflator, struct deflator_job *job, struct error *err)
{
    job->made = (struct scratch_record){.method = ZIP_METHOD_DEFLATED};
    return job->size <= DEFLATOR_WHOLE_MAX ? deflate_whole(deflator, job, err)
                                           : deflate_stream(deflator, job, err);
}
