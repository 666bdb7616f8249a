/* Synthetic instances for the benchmark: valid CT and MR data sets (explicit VR little endian)
 * whose pixels deflate like real ones, all made from a seed. The same seed, association and index
 * give the same bytes, in whatever program asks. Nobody's images: a phantom of ellipses and noise.
 */
#ifndef AURABRIDGE_BENCH_SYNTHETIC_H
#define AURABRIDGE_BENCH_SYNTHETIC_H

#include "aurabridge/uid.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum synthetic_kind { SYNTHETIC_CT, SYNTHETIC_MR };

struct synthetic_plan {
    enum synthetic_kind kind;
    size_t pixel_bytes; /* of each instance; rounded up to whole rows */
    uint64_t seed;
    bool one_study; /* for all associations; else one for each */
};

#define SYNTHETIC_CT_BYTES (512u * 512 * 2)
#define SYNTHETIC_MR_BYTES (128u * 80 * 2)

/* The kind of that name ("CT", "MR") and its usual size. Returns 0 or -1. */
int synthetic_kind_named(enum synthetic_kind *kind, size_t *pixel_bytes, const char *name);

struct synthetic_instance {
    char sop_instance_uid[UID_SIZE];
    uint8_t *bytes; /* the data set; the caller frees it */
    size_t size;
};

const char *synthetic_sop_class(enum synthetic_kind kind);
#define SYNTHETIC_TRANSFER_SYNTAX "1.2.840.10008.1.2.1"

/* The instances of one association, in order. Not thread-safe; one for each thread. Null when
 * memory is short. */
struct synthetic;
struct synthetic *synthetic_new(const struct synthetic_plan *plan, unsigned association);
/* Returns 0, or -1 when memory is short. */
int synthetic_next(struct synthetic *series, struct synthetic_instance *out);
void synthetic_free(struct synthetic *series);

/* One instance that never lies in memory as a whole: half of its bytes in a private element (a
 * length field holds less than 4 GiB), half in multi-frame pixel data. */
struct synthetic_stream {
    char sop_instance_uid[UID_SIZE];
    uint64_t size;          /* of the data set */
    uint64_t at;            /* read so far */
    uint64_t private_bytes; /* of the private element's value */
    uint8_t head[1024];     /* up to that value */
    uint8_t middle[64];     /* between the two values */
    size_t head_size, middle_size;
    uint8_t *noise; /* repeated; its length divides nothing, so that no two frames are the same */
};

/* About `bytes` of values, at least 1 MiB and below 8 GiB. Returns 0, or -1. */
int synthetic_stream_open(struct synthetic_stream *stream, uint64_t bytes, uint64_t seed);
void synthetic_stream_close(struct synthetic_stream *stream);
/* The next bytes; 0 at the end. */
size_t synthetic_stream_read(struct synthetic_stream *stream, uint8_t *out, size_t size);

#endif
