/* The Part 10 file header: preamble, prefix and file meta information (PS3.10 section 7.1).
 * Thread-safe.
 */
#ifndef AURABRIDGE_PART10_H
#define AURABRIDGE_PART10_H

#include "aurabridge/error.h"
#include "aurabridge/instance.h"

#include <stddef.h>
#include <stdint.h>

#define PART10_HEADER_MAX 1024

/* Writes the header for an instance: our implementation class UID and version name, calling and
 * called AE title as source, sending and receiving AE title. Returns its length in bytes. */
size_t part10_write_header(uint8_t out[PART10_HEADER_MAX], const struct association *association,
                           const struct instance_request *request);

/* What a Part 10 file says of itself; absent or invalid titles, SOP class and instance UIDs are "".
 */
struct part10_header {
    struct instance_request request;
    char calling_ae_title[AE_TITLE_SIZE]; /* from (0002,0017), else (0002,0016) */
    char called_ae_title[AE_TITLE_SIZE];  /* from (0002,0018) */
    size_t data_set_offset;               /* bytes before the data set */
};

/* Reads the header from the first bytes of a file (PART10_HEADER_MAX suffice for our own files; 64
 * KiB for foreign ones). Returns 0, or -1 with the reason. */
int part10_read_header(struct part10_header *out, const void *bytes, size_t length,
                       struct error *err);

#define PART10_IMPLEMENTATION_CLASS_UID    "2.25.137512606420173518294711528640951023847"
#define PART10_IMPLEMENTATION_VERSION_NAME "AURABRIDGE_1"

#endif
