/* A server that answers what the input says, in the place of http_call. Each reply is a section of
 * the input (fuzz_section):
 *
 *   204                      the status; "!3": no answer, http_failure 3
 *   Upload-Offset: 7         header lines
 *                            an empty line
 *   {"message": "…"}         the body
 *
 * When the input is used up, nobody answers any more. Every reply's headers are read a second time
 * by a reader of our own, which must agree with http_reply_header.
 */
#ifndef AURABRIDGE_FUZZ_HTTP_H
#define AURABRIDGE_FUZZ_HTTP_H

#include "fuzz.h"

#include "aurabridge/http.h"

struct fuzz_server {
    struct fuzz_input input;
    unsigned calls;
    unsigned beyond; /* calls after the input was used up */
    /* Looks at each request before it is answered. May be null. */
    void (*judge)(const struct http_request *request);
};

extern struct fuzz_server fuzz_server;

/* Begins a conversation. */
void fuzz_server_start(struct fuzz_input input, void (*judge)(const struct http_request *request));

/* The value of a request's header, or null. */
const char *fuzz_request_header(const struct http_request *request, const char *name);

#endif
