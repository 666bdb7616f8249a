/* The uploads that were announced, and their states. The caller locks. */
#ifndef SANDBOX_UPLOADS_H
#define SANDBOX_UPLOADS_H

#include "aurabridge/digest.h"
#include "aurabridge/identifier.h"
#include "aurabridge/uid.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MAX_SANDBOX_UPLOADS     65536
#define MAX_ANNOUNCED           1000 /* studies in one upload */
#define ASSEMBLY_ID_SIZE        128
#define ANNOUNCED_NAME_SIZE     256
#define ANNOUNCED_INSTANCES_MAX 10000000

enum upload_state {
    UPLOAD_ANNOUNCED, /* init */
    UPLOAD_STARTED,
    UPLOAD_COMPLETED,
    UPLOAD_FAILED, /* error */
    UPLOAD_CANCELLED
};

const char *upload_state_name(enum upload_state state);

struct announced_study {
    char uid[UID_SIZE];
    int64_t images;
    char patient_name[ANNOUNCED_NAME_SIZE]; /* so that `error` can be checked for it */
};

/* Stays at its address until uploads_free; `studies` and `id` never change. */
struct upload {
    char id[UUID_SIZE];
    enum upload_state state;
    bool completing; /* a `complete` is checking the zip */
    bool forgotten;  /* a fault: uploads_find does not find it */
    uint8_t init_digest[SHA256_SIZE];
    char assembly_id[ASSEMBLY_ID_SIZE]; /* "" before start */
    struct announced_study *studies;    /* owned */
    size_t study_count;
    int64_t announced_ms; /* monotonic */
    unsigned tus_creates;
    uint64_t instances, bytes; /* once completed */
};

struct uploads {
    struct upload **list; /* owned */
    size_t count, capacity;
};

void uploads_free(struct uploads *uploads);
struct upload *uploads_find(const struct uploads *uploads, const char *id);
/* Makes one, owning `studies` when it succeeds. Null when memory is short or there are too many. */
struct upload *uploads_add(struct uploads *uploads, const char *id, struct announced_study *studies,
                           size_t study_count);

#endif
