/* The bytes of a zip archive that are not members' contents (APPNOTE.TXT 4.3). Pure functions;
 * zip64 fields only where a figure needs them.
 */
#ifndef AURABRIDGE_PACKAGE_ZIP_H
#define AURABRIDGE_PACKAGE_ZIP_H

#include <stddef.h>
#include <stdint.h>

#define ZIP_NAME_MAX   160 /* "<UID>/<UID>.dcm" takes 133 */
#define ZIP_HEADER_MAX (46 + ZIP_NAME_MAX + 28)
#define ZIP_TAIL_MAX   (56 + 20 + 22)

#define ZIP_METHOD_STORED   0
#define ZIP_METHOD_DEFLATED 8

struct zip_entry {
    const char *name; /* at most ZIP_NAME_MAX bytes of ASCII */
    uint64_t size;    /* bytes of the content */
    uint64_t packed;  /* bytes in the archive */
    uint64_t offset;  /* of its local header */
    uint32_t crc32;   /* of the content */
    unsigned method;
};

/* Each writes to `out` and returns the length in bytes. */
size_t zip_local_header(uint8_t out[ZIP_HEADER_MAX], const struct zip_entry *entry);
size_t zip_central_header(uint8_t out[ZIP_HEADER_MAX], const struct zip_entry *entry);

/* The end of central directory, with the zip64 record and locator before it where needed. */
size_t zip_tail(uint8_t out[ZIP_TAIL_MAX], uint64_t count, uint64_t central_offset,
                uint64_t central_size);

#endif
