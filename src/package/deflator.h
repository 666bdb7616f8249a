/* Deflates files in constant memory (about 0.5 MiB with zlib's own). One per thread. */
#ifndef AURABRIDGE_PACKAGE_DEFLATOR_H
#define AURABRIDGE_PACKAGE_DEFLATOR_H

#include "aurabridge/error.h"

#include <stdbool.h>
#include <stdint.h>

struct deflator;

#define DEFLATOR_NO_GAIN (-2) /* it would not get noticeably smaller */
#define DEFLATOR_DISK_FULL                                                                         \
    (-3) /* the output's disk refused a write, or may not be used further                          \
          */

struct deflator_job {
    int in;  /* read from its start */
    int out; /* written from `out_offset` on */
    uint64_t out_offset;
    uint64_t size;                    /* that `in` must have */
    uint32_t crc32;                   /* that `in` must have */
    bool (*cancelled)(void *context); /* may be null */
    void *context;
    /* Whether there is room for so many bytes more; asked as the output grows. May be null. */
    bool (*has_room)(void *context, uint64_t bytes);
    void *room_context;
    uint64_t packed;       /* result: bytes written */
    uint32_t packed_crc32; /* result: of them */
};

/* Returns 0, or -1 when memory is short. `*out` is the caller's. */
int deflator_new(struct deflator **out, struct error *err);
void deflator_free(struct deflator *deflator);

/* Returns 0, one of the codes above, or -1: cancelled, unreadable, or not the bytes that `size` and
 * `crc32` speak of. After any failure the bytes at `out_offset` mean nothing. */
int deflator_run(struct deflator *deflator, struct deflator_job *job, struct error *err);

#endif
