/* Bad days on demand. The grammar stands in sandbox_fault_help (sandbox.h). The caller locks. */
#ifndef SANDBOX_FAULTS_H
#define SANDBOX_FAULTS_H

#include "aurabridge/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "aurabridge/uid.h"

#define MAX_FAULTS       512
#define FAULT_TEXT_SIZE  128
#define FAULT_NO_MAXIMUM UINT64_MAX

enum fault_action {
    FAULT_NONE,
    FAULT_STATUS,        /* answer `number` without work */
    FAULT_HTML,          /* 200 with a page, without work */
    FAULT_DROP,          /* do the work, close unanswered */
    FAULT_CUT,           /* close after `number` bytes of the body */
    FAULT_SLOW,          /* answer after `number` milliseconds */
    FAULT_TRUNCATE,      /* do the work, close after `number` bytes of the answer's body */
    FAULT_ENDLESS,       /* 200 with a body without end, without work */
    FAULT_DRIP,          /* the same, a byte in `number` milliseconds */
    FAULT_HANG,          /* no work and no answer */
    FAULT_REVOKE,        /* the token of the call is not valid any more */
    FAULT_FORGET,        /* the upload of the call was never announced */
    FAULT_LOSE,          /* forget a Tus upload once its offset has reached `number` */
    FAULT_REWIND,        /* set its offset to 0 once it has reached `number` */
    FAULT_CONFIG_WITHOUT /* the config lacks the field `text` */
};

struct fault {
    enum fault_action action;
    char method[16];            /* "*": any */
    char path[FAULT_TEXT_SIZE]; /* "*": any */
    char study[UID_SIZE];       /* only calls of this one; "": of any, and of none */
    uint64_t number;
    char text[FAULT_TEXT_SIZE];
    uint64_t remaining; /* requests; UINT64_MAX: always */
};

struct faults {
    struct fault list[MAX_FAULTS];
    size_t count;
    /* Settings, not tied to a request. */
    int64_t skew_s, lift_ttl_s, tus_expires_s; /* the last: 0 for none */
    int64_t retry_after_s;                     /* what 429 and 503 of faults say; 0: nothing */
    uint64_t tus_max_size;
    bool absolute_location;
    char assembly_id[FAULT_TEXT_SIZE], token_prefix[FAULT_TEXT_SIZE];
};

void faults_init(struct faults *faults);
int faults_add(struct faults *faults, const char *text, struct error *err);
/* The same while calls are under way: no settings. */
int faults_add_running(struct faults *faults, const char *text, struct error *err);
/* Takes away the faults, not the settings. */
void faults_clear(struct faults *faults);

/* Takes one use of the first fault that matches the request and stands in its way (all but LOSE,
 * REWIND and CONFIG_WITHOUT). `path` is below the base path; a Tus request's is "/files". `study`
 * is the call's, "" while it is not known. */
struct fault faults_take(struct faults *faults, const char *method, const char *path,
                         const char *study);
/* Whether the file that got to this offset is lost, or rewound, now; takes one use. `action` is
 * LOSE or REWIND. */
bool faults_take_at(struct faults *faults, enum fault_action action, uint64_t offset);
/* Whether the config must be without this field now; takes one use. */
bool faults_take_without(struct faults *faults, const char *field);

#endif
