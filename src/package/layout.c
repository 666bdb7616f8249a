/* Reading a layout. Guarantees that a layout that opens is whole and consistent with its checksum,
 * and that memory is one window of records. Knows nothing of the ledger.
 */
#include "layout.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define MAGIC       "AURAZIP\x01" /* the last byte is the version */
#define MAGIC_SIZE  8
#define SEAL_OFFSET (LAYOUT_HEADER_SIZE - SHA256_SIZE)

static void put(uint8_t **at, uint64_t value, unsigned bytes)
{
    for (unsigned i = 0; i < bytes; i++)
        *(*at)++ = (uint8_t)(value >> 8 * i);
}

static uint64_t get(const uint8_t **at, unsigned bytes)
{
    uint64_t value = 0;
    for (unsigned i = 0; i < bytes; i++)
        value |= (uint64_t) * (*at)++ << 8 * i;
    return value;
}

static void put_bytes(uint8_t **at, const void *bytes, size_t length)
{
    memcpy(*at, bytes, length);
    *at += length;
}

/* Zero-pads, so that what follows the NUL in the caller's array does not get into the file. */
static void put_text(uint8_t **at, const char *text, size_t size)
{
    size_t length = strnlen(text, size - 1);
    memset(*at, 0, size);
    memcpy(*at, text, length);
    *at += size;
}

static void get_text(const uint8_t **at, char *text, size_t size)
{
    memcpy(text, *at, size);
    text[size - 1] = '\0';
    *at += size;
}

void layout_encode_header(uint8_t out[LAYOUT_HEADER_SIZE], const struct layout_header *header)
{
    uint8_t *at = out;
    memset(out, 0, LAYOUT_HEADER_SIZE);
    put_bytes(&at, MAGIC, MAGIC_SIZE);
    put_text(&at, header->study_instance_uid, UID_SIZE);
    put(&at, header->count, 8);
    put(&at, header->source_bytes, 8);
    put(&at, header->central_offset, 8);
    put(&at, header->central_size, 8);
    put(&at, header->archive_length, 8);
    put(&at, header->scratch_size, 8);
    put_bytes(&at, header->digest, SHA256_SIZE);
    put_bytes(&at, header->checksum, SHA256_SIZE);
}

static void decode_header(struct layout_header *header, const uint8_t *bytes)
{
    const uint8_t *at = bytes + MAGIC_SIZE;
    get_text(&at, header->study_instance_uid, UID_SIZE);
    header->count = get(&at, 8);
    header->source_bytes = get(&at, 8);
    header->central_offset = get(&at, 8);
    header->central_size = get(&at, 8);
    header->archive_length = get(&at, 8);
    header->scratch_size = get(&at, 8);
    memcpy(header->digest, at, SHA256_SIZE);
    memcpy(header->checksum, at + SHA256_SIZE, SHA256_SIZE);
}

void layout_encode_record(uint8_t out[LAYOUT_RECORD_SIZE], const struct layout_record *record)
{
    uint8_t *at = out;
    memset(out, 0, LAYOUT_RECORD_SIZE);
    put_text(&at, record->sop_instance_uid, UID_SIZE);
    put_text(&at, record->file_name, STORED_NAME_SIZE);
    put(&at, record->size, 8);
    put(&at, record->packed, 8);
    put(&at, record->header_offset, 8);
    put(&at, record->central_offset, 8);
    put(&at, record->scratch_offset, 8);
    put(&at, record->crc32, 4);
    put(&at, record->packed_crc32, 4);
    put(&at, record->method, 2);
}

static void decode_record(struct layout_record *record, const uint8_t *bytes)
{
    const uint8_t *at = bytes;
    get_text(&at, record->sop_instance_uid, UID_SIZE);
    get_text(&at, record->file_name, STORED_NAME_SIZE);
    record->size = get(&at, 8);
    record->packed = get(&at, 8);
    record->header_offset = get(&at, 8);
    record->central_offset = get(&at, 8);
    record->scratch_offset = get(&at, 8);
    record->crc32 = (uint32_t)get(&at, 4);
    record->packed_crc32 = (uint32_t)get(&at, 4);
    record->method = (unsigned)get(&at, 2);
}

struct zip_entry layout_entry(const struct layout_record *record, const char *study_instance_uid,
                              char name[ZIP_NAME_MAX])
{
    (void)snprintf(name, ZIP_NAME_MAX, "%s/%s.dcm", study_instance_uid, record->sop_instance_uid);
    return (struct zip_entry){.name = name,
                              .size = record->size,
                              .packed = record->packed,
                              .offset = record->header_offset,
                              .crc32 = record->crc32,
                              .method = record->method};
}

static int read_window(struct layout *layout, uint64_t index, struct error *err)
{
    uint64_t first = index - index % LAYOUT_WINDOW;
    uint64_t count = layout->header.count - first;
    if (count > LAYOUT_WINDOW)
        count = LAYOUT_WINDOW;
    size_t got;
    size_t wanted = (size_t)count * LAYOUT_RECORD_SIZE;
    layout->window_count = 0;
    if (fs_read_at(layout->fd, layout->window, wanted,
                   LAYOUT_HEADER_SIZE + first * LAYOUT_RECORD_SIZE, &got, err) != 0)
        return error_wrap(err, "reading the archive's layout");
    if (got != wanted)
        return error_set(err, "the archive's layout on disk is too short");
    layout->window_first = first;
    layout->window_count = (size_t)count;
    return 0;
}

int layout_record(struct layout *layout, struct layout_record *out, uint64_t index,
                  struct error *err)
{
    if (index >= layout->header.count)
        return error_set(err, "the archive has no member %llu", (unsigned long long)index);
    if (index < layout->window_first || index - layout->window_first >= layout->window_count) {
        if (read_window(layout, index, err) != 0)
            return -1;
    }
    decode_record(out, layout->window + (index - layout->window_first) * LAYOUT_RECORD_SIZE);
    return 0;
}

int layout_find(struct layout *layout, uint64_t *index, uint64_t offset, bool central,
                struct error *err)
{
    uint64_t low = 0;
    uint64_t high = layout->header.count;
    while (high - low > 1) {
        uint64_t middle = low + (high - low) / 2;
        struct layout_record record;
        if (layout_record(layout, &record, middle, err) != 0)
            return -1;
        if ((central ? record.central_offset : record.header_offset) <= offset)
            low = middle;
        else
            high = middle;
    }
    *index = low;
    return 0;
}

/* Digests all records anew and compares. */
static int check_records(struct layout *layout, struct error *err)
{
    uint8_t found[SHA256_SIZE];
    int result = -1;
    struct sha256 *checksum = sha256_new();
    if (!checksum)
        return error_set(err, "no SHA-256 to be had");
    for (uint64_t index = 0; index < layout->header.count; index += LAYOUT_WINDOW) {
        if (read_window(layout, index, err) != 0)
            goto cleanup;
        if (sha256_update(checksum, layout->window, layout->window_count * LAYOUT_RECORD_SIZE) !=
            0) {
            (void)error_set(err, "SHA-256 failed");
            goto cleanup;
        }
    }
    if (sha256_finish(checksum, found) != 0 ||
        memcmp(found, layout->header.checksum, SHA256_SIZE) != 0)
        (void)error_set(err, "its records do not match their checksum");
    else
        result = 0;
cleanup:
    sha256_free(checksum);
    return result;
}

/* The parts of the archive follow each other without a gap. */
static bool is_coherent(const struct layout_header *header)
{
    uint8_t tail[ZIP_TAIL_MAX];
    size_t tail_size = zip_tail(tail, header->count, header->central_offset, header->central_size);
    return header->count > 0 && header->central_size > 0 &&
           header->central_offset <= header->archive_length &&
           header->central_size <= header->archive_length - header->central_offset &&
           tail_size == header->archive_length - header->central_offset - header->central_size;
}

static int check(struct layout *layout, const char *path, struct error *err)
{
    uint8_t bytes[LAYOUT_HEADER_SIZE];
    uint8_t seal[SHA256_SIZE];
    size_t got;
    if (fs_read_at(layout->fd, bytes, sizeof bytes, 0, &got, err) != 0)
        return error_wrap(err, "reading %s", path);
    if (got != sizeof bytes || memcmp(bytes, MAGIC, MAGIC_SIZE) != 0)
        return error_set(err, "%s is no archive layout of this version", path);
    decode_header(&layout->header, bytes);
    if (sha256_of(seal, bytes, SEAL_OFFSET) != 0 ||
        memcmp(seal, bytes + SEAL_OFFSET, SHA256_SIZE) != 0 || !is_coherent(&layout->header))
        return error_set(err, "%s has a damaged header", path);
    return check_records(layout, err) == 0 ? 0 : error_wrap(err, "%s is damaged", path);
}

int layout_open(struct layout *layout, const char *path, struct error *err)
{
    layout->window_count = 0;
    layout->fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (layout->fd < 0) {
        (void)error_errno(err, errno, "opening %s", path);
        return LAYOUT_UNUSABLE;
    }
    if (check(layout, path, err) == 0)
        return 0;
    layout_close(layout);
    return LAYOUT_UNUSABLE;
}

void layout_close(struct layout *layout)
{
    if (layout->fd >= 0)
        (void)close(layout->fd); /* only read from */
    layout->fd = -1;
}
