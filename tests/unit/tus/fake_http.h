/* http.h played from a script: each step says which request is expected and what comes back. One
 * thread; a struct http_client here is the script. URLs are read by the room's own words.
 */
#ifndef AURABRIDGE_TESTS_FAKE_HTTP_H
#define AURABRIDGE_TESTS_FAKE_HTTP_H

#include "aurabridge/http.h"

#include <stdbool.h>
#include <stdint.h>

#define FAKE_ANY    (-1)
#define FAKE_NO_WAY UINT64_MAX

struct fake_step {
    const char *method;
    long long offset; /* of Upload-Offset; FAKE_ANY: not looked at */
    long long length; /* of the streamed body; FAKE_ANY: not looked at */
    enum http_failure failure;
    int status;
    const char *headers; /* each "Name: value\r\n" */
    uint64_t taken;      /* with a failure: bytes that were read before it; FAKE_NO_WAY: the request
                            did not come to the server */
};

#define FAKE_TEXT_SIZE 512

struct http_client {
    const struct fake_step *steps; /* to the first null method */
    unsigned asked;                /* requests so far, more than there are steps included */
    unsigned surprises;            /* requests that were not as the script says */
    char surprise[FAKE_TEXT_SIZE]; /* the first of them */
    char metadata[FAKE_TEXT_SIZE]; /* Upload-Metadata of the last POST */
    char url[FAKE_TEXT_SIZE];      /* of the last request */
    char override_method[16];      /* X-HTTP-Method-Override of the last request */
    uint64_t served;               /* bytes read from bodies */
};

/* The byte at `offset` of every body these tests send. */
unsigned char fake_byte(uint64_t offset);

#endif
