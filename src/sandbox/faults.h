/* Bad days on demand. The grammar stands in sandbox_fault_help (sandbox.h). The caller locks. */
#ifndef SANDBOX_FAULTS_H
#define SANDBOX_FAULTS_H

#include "aurabridge/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MAX_FAULTS       64
#define FAULT_TEXT_SIZE  128
#define FAULT_NO_MAXIMUM UINT64_MAX

enum fault_action {
    FAULT_NONE,
    FAULT_STATUS,        /* answer `number` without work */
    FAULT_HTML,          /* 200 with a page, without work */
    FAULT_DROP,          /* do the work, close unanswered */
    FAULT_CUT,           /* close after `number` bytes of the body */
    FAULT_SLOW,          /* answer after `number` milliseconds */
    FAULT_LOSE,          /* forget a Tus upload once its offset has reached `number` */
    FAULT_CONFIG_WITHOUT /* the config lacks the field `text` */
};

struct fault {
    enum fault_action action;
    char method[16];            /* "*": any */
    char path[FAULT_TEXT_SIZE]; /* "*": any */
    uint64_t number;
    char text[FAULT_TEXT_SIZE];
    uint64_t remaining; /* requests; UINT64_MAX: always */
};

struct faults {
    struct fault list[MAX_FAULTS];
    size_t count;
    /* Settings, not tied to a request. */
    int64_t skew_s, lift_ttl_s, tus_expires_s; /* the last: 0 for none */
    uint64_t tus_max_size;
    bool absolute_location;
    char assembly_id[FAULT_TEXT_SIZE], token_prefix[FAULT_TEXT_SIZE];
};

void faults_init(struct faults *faults);
int faults_add(struct faults *faults, const char *text, struct error *err);

/* Takes one use of the first fault that matches the request and stands in its way (STATUS, HTML,
 * DROP, CUT, SLOW). `path` is below the base path; a Tus request's is "/files". */
struct fault faults_take(struct faults *faults, const char *method, const char *path);
bool faults_take_lose(struct faults *faults, uint64_t offset);
/* Whether the config must be without this field now; takes one use. */
bool faults_take_without(struct faults *faults, const char *field);

#endif
