/* The calls of the Aurabox API, in one table: nowhere else stands a path, a scope or a bucket. */
#ifndef AURABRIDGE_AURABOX_ENDPOINT_H
#define AURABRIDGE_AURABOX_ENDPOINT_H

#include "aurabridge/aurabox.h"

enum endpoint_id {
    ENDPOINT_EXCHANGE,
    ENDPOINT_INIT,
    ENDPOINT_START,
    ENDPOINT_COMPLETE,
    ENDPOINT_ERROR,
    ENDPOINT_CANCEL,
    ENDPOINT_CONFIG,
    ENDPOINT_COUNT
};

struct endpoint {
    const char *name; /* for texts */
    const char *method;
    const char *path;  /* below the base URL */
    const char *scope; /* that the upload token must carry; null: the call is signed instead */
    enum aurabox_bucket bucket;
    bool answers_json; /* the reply's body is used and must be JSON */
    bool of_study;     /* 400 and 422 are the study's fault */
    bool of_announced; /* it names an upload that `init` made known */
};

const struct endpoint *endpoint_of(enum endpoint_id id);

/* The scopes that the calls need, each once. Returns how many. */
size_t endpoint_scopes(const char *out[ENDPOINT_COUNT]);

#endif
