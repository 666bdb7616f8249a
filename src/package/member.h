/* The archive's members: their local headers and contents, one at a time. */
#ifndef AURABRIDGE_PACKAGE_MEMBER_H
#define AURABRIDGE_PACKAGE_MEMBER_H

#include "layout.h"

#include "aurabridge/package.h"

#define NO_MEMBER UINT64_MAX

struct package {
    struct spool *spool;
    struct layout layout;
    int scratch; /* -1: no member is deflated */
    char digest[SHA256_HEX_SIZE];

    /* The member at hand. */
    uint64_t index; /* NO_MEMBER: none */
    struct layout_record record;
    size_t header_length; /* of its local header */
    uint8_t header[ZIP_HEADER_MAX];
    int fd;           /* its file in the spool, -1 when not open or deflated */
    uint64_t checked; /* bytes from its start that `running_crc32` covers */
    uint32_t running_crc32;
};

/* Reads some bytes, at least one, at `offset` of the archive, which must lie before the central
 * directory. Returns as package_read. */
int member_read(struct package *package, uint64_t offset, void *bytes, size_t length, size_t *got,
                struct error *err);

/* Lets go of the member at hand. */
void member_close(struct package *package);

#endif
