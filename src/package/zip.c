/* Zip headers. Guarantees that the same entry gives the same bytes: time and attributes are fixed,
 * since an archive is compared by its digest and resumed at any byte.
 */
#include "zip.h"

#include <string.h>

#define LOCAL_SIGNATURE         0x04034b50u
#define CENTRAL_SIGNATURE       0x02014b50u
#define END_SIGNATURE           0x06054b50u
#define ZIP64_END_SIGNATURE     0x06064b50u
#define ZIP64_LOCATOR_SIGNATURE 0x07064b50u
#define ZIP64_EXTRA             0x0001
#define VERSION_DEFAULT         20
#define VERSION_ZIP64           45
#define MADE_BY_UNIX            (3 << 8)
#define UNIX_REGULAR_FILE_0644  0100644u
#define DOS_TIME                0x0000
#define DOS_DATE                0x0021 /* 1980-01-01, the earliest there is */
#define MAX_16                  0xffffu
#define MAX_32                  0xffffffffu

struct cursor {
    uint8_t *at;
};

static void put(struct cursor *cursor, uint64_t value, unsigned bytes)
{
    for (unsigned i = 0; i < bytes; i++)
        *cursor->at++ = (uint8_t)(value >> 8 * i);
}

static void put_32_capped(struct cursor *cursor, uint64_t value)
{
    put(cursor, value < MAX_32 ? value : MAX_32, 4);
}

static void put_name(struct cursor *cursor, const char *name, size_t length)
{
    memcpy(cursor->at, name, length);
    cursor->at += length;
}

static size_t name_length(const struct zip_entry *entry)
{
    return strnlen(entry->name, ZIP_NAME_MAX);
}

/* Both sizes go to the extra field together: 4.5.3 asks for that in local headers. */
static int has_large_size(const struct zip_entry *entry)
{
    return entry->size >= MAX_32 || entry->packed >= MAX_32;
}

static void put_sizes(struct cursor *cursor, const struct zip_entry *entry)
{
    int large = has_large_size(entry);
    put(cursor, large ? MAX_32 : entry->packed, 4);
    put(cursor, large ? MAX_32 : entry->size, 4);
}

static void put_common(struct cursor *cursor, const struct zip_entry *entry, int large)
{
    put(cursor, large ? VERSION_ZIP64 : VERSION_DEFAULT, 2);
    put(cursor, 0, 2); /* flags: sizes are here, names are ASCII */
    put(cursor, entry->method, 2);
    put(cursor, DOS_TIME, 2);
    put(cursor, DOS_DATE, 2);
    put(cursor, entry->crc32, 4);
    put_sizes(cursor, entry);
    put(cursor, name_length(entry), 2);
}

size_t zip_local_header(uint8_t out[ZIP_HEADER_MAX], const struct zip_entry *entry)
{
    struct cursor cursor = {out};
    int large = has_large_size(entry);
    put(&cursor, LOCAL_SIGNATURE, 4);
    put_common(&cursor, entry, large);
    put(&cursor, large ? 20 : 0, 2);
    put_name(&cursor, entry->name, name_length(entry));
    if (large) {
        put(&cursor, ZIP64_EXTRA, 2);
        put(&cursor, 16, 2);
        put(&cursor, entry->size, 8);
        put(&cursor, entry->packed, 8);
    }
    return (size_t)(cursor.at - out);
}

size_t zip_central_header(uint8_t out[ZIP_HEADER_MAX], const struct zip_entry *entry)
{
    struct cursor cursor = {out};
    int large = has_large_size(entry);
    int far = entry->offset >= MAX_32;
    unsigned extra = (large ? 16u : 0u) + (far ? 8u : 0u);
    put(&cursor, CENTRAL_SIGNATURE, 4);
    put(&cursor, MADE_BY_UNIX | VERSION_ZIP64, 2);
    put_common(&cursor, entry, large || far);
    put(&cursor, extra ? extra + 4 : 0, 2);
    put(&cursor, 0, 2); /* comment */
    put(&cursor, 0, 2); /* disk */
    put(&cursor, 0, 2); /* internal attributes */
    put(&cursor, (uint64_t)UNIX_REGULAR_FILE_0644 << 16, 4);
    put_32_capped(&cursor, entry->offset);
    put_name(&cursor, entry->name, name_length(entry));
    if (extra) {
        put(&cursor, ZIP64_EXTRA, 2);
        put(&cursor, extra, 2);
    }
    if (large) {
        put(&cursor, entry->size, 8);
        put(&cursor, entry->packed, 8);
    }
    if (far)
        put(&cursor, entry->offset, 8);
    return (size_t)(cursor.at - out);
}

static void put_zip64_tail(struct cursor *cursor, uint64_t count, uint64_t central_offset,
                           uint64_t central_size)
{
    put(cursor, ZIP64_END_SIGNATURE, 4);
    put(cursor, 44, 8); /* bytes that follow in this record */
    put(cursor, MADE_BY_UNIX | VERSION_ZIP64, 2);
    put(cursor, VERSION_ZIP64, 2);
    put(cursor, 0, 4); /* this disk */
    put(cursor, 0, 4); /* disk of the central directory */
    put(cursor, count, 8);
    put(cursor, count, 8);
    put(cursor, central_size, 8);
    put(cursor, central_offset, 8);
    put(cursor, ZIP64_LOCATOR_SIGNATURE, 4);
    put(cursor, 0, 4);
    put(cursor, central_offset + central_size, 8);
    put(cursor, 1, 4);
}

size_t zip_tail(uint8_t out[ZIP_TAIL_MAX], uint64_t count, uint64_t central_offset,
                uint64_t central_size)
{
    struct cursor cursor = {out};
    if (count >= MAX_16 || central_offset >= MAX_32 || central_size >= MAX_32)
        put_zip64_tail(&cursor, count, central_offset, central_size);
    uint64_t count_16 = count < MAX_16 ? count : MAX_16;
    put(&cursor, END_SIGNATURE, 4);
    put(&cursor, 0, 2);
    put(&cursor, 0, 2);
    put(&cursor, count_16, 2);
    put(&cursor, count_16, 2);
    put_32_capped(&cursor, central_size);
    put_32_capped(&cursor, central_offset);
    put(&cursor, 0, 2); /* comment */
    return (size_t)(cursor.at - out);
}
