/* From what came over the wire to an outcome and a text for the operator. Pure. */
#ifndef AURABRIDGE_AURABOX_REPLY_H
#define AURABRIDGE_AURABOX_REPLY_H

#include "endpoint.h"
#include "redact.h"

struct reply_question {
    const struct endpoint *endpoint;
    const char *base_url;
    int64_t now_ms; /* wall clock */
    bool repeated;  /* the call may have had its effect before */
    struct redaction sent;
};

/* Fills `*out` and returns its outcome. `failure` is http_call's text where no answer came. With
 * AURABOX_OK `*body` is the parsed body, the caller's (null where the call does not use it). */
enum aurabox_outcome reply_read(struct aurabox_reply *out, struct json **body,
                                const struct reply_question *question,
                                const struct http_reply *reply, const char *failure);

/* An outcome of our own making, with the call named before the text. */
enum aurabox_outcome reply_set(struct aurabox_reply *out, const struct reply_question *question,
                               enum aurabox_outcome outcome, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

#endif
