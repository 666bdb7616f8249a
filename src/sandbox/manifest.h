/* The init body, checked against section 4 of the protocol. Pure. */
#ifndef SANDBOX_MANIFEST_H
#define SANDBOX_MANIFEST_H

#include "aurabridge/json.h"
#include "uploads.h"

/* Checks everything and collects every complaint: `*errors` is an object {field: [text, …]}, empty
 * when the body is good; null when memory is short. `*studies` is then the caller's, to free().
 * Returns 0 when good, -1 otherwise. */
int manifest_check(const struct json *body, struct json **errors, struct announced_study **studies,
                   size_t *study_count);

#endif
