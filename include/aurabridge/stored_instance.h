/* What one pass over an instance's bytes found, and the sizes of the names it is kept under. Plain
 * data.
 */
#ifndef AURABRIDGE_STORED_INSTANCE_H
#define AURABRIDGE_STORED_INSTANCE_H

#include "aurabridge/attribute.h"
#include "aurabridge/dataset.h"
#include "aurabridge/digest.h"

#include <stdint.h>

#define STORED_NAME_SIZE 320 /* a file's name below the spool's studies/ */
#define ROUTE_KEY_SIZE   17  /* 16 hex digits and a NUL */

/* What the one pass found. */
struct stored_instance {
    uint8_t data_set_sha256[SHA256_SIZE]; /* of the data set as received */
    uint32_t file_crc32;                  /* of the whole file */
    uint64_t file_size;                   /* bytes */
    uint64_t data_set_offset;             /* bytes before the data set */
    struct dataset_result ending;
    const struct attributes *attributes; /* belongs to whoever filled this */
};

#endif
