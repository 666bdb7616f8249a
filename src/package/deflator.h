/* Deflates files into a scratch. A file of up to DEFLATOR_WHOLE_MAX bytes is compressed in one call
 * (libdeflate), in buffers as large as it needs; a larger one as a stream (zlib) in about 0.5 MiB.
 * Which of the two, and their settings, follow from the size alone, so that the same bytes always
 * give the same output. One per thread.
 */
#ifndef AURABRIDGE_PACKAGE_DEFLATOR_H
#define AURABRIDGE_PACKAGE_DEFLATOR_H

#include "scratch.h"

#include "aurabridge/error.h"

#include <stdbool.h>
#include <stdint.h>

struct deflator;

#define DEFLATOR_WHOLE_MAX ((uint64_t)8 * 1024 * 1024)

#define DEFLATOR_NO_GAIN   (-2) /* it would not get noticeably smaller */
#define DEFLATOR_DISK_FULL (-3) /* the disk refused a write, or may not be used further */

struct deflator_job {
    int in;         /* read from its start */
    uint64_t size;  /* that `in` must have */
    uint32_t crc32; /* that `in` must have */
    struct scratch *scratch;
    bool (*cancelled)(void *context); /* may be null */
    void *context;
    /* Whether there is room for so many bytes more; asked as the output grows. May be null. */
    bool (*has_room)(void *context, uint64_t bytes);
    void *room_context;
    struct scratch_record made; /* result */
};

/* Takes little memory before the first job. Returns 0, or -1 when even that is short. `*out` is the
 * caller's. */
int deflator_new(struct deflator **out, struct error *err);
void deflator_free(struct deflator *deflator);
/* Lets go of its memory until the next job. */
void deflator_rest(struct deflator *deflator);

/* Returns 0, one of the codes above, or -1: cancelled, unreadable, or not the bytes that `size` and
 * `crc32` speak of. After any failure what was written is given back. */
int deflator_run(struct deflator *deflator, struct deflator_job *job, struct error *err);

#endif
