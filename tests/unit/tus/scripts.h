/* The scripts of test_upload.c, and the words they are written in. */
#ifndef AURABRIDGE_TESTS_TUS_SCRIPTS_H
#define AURABRIDGE_TESTS_TUS_SCRIPTS_H

#include "aurabridge/tus.h"
#include "fake_http.h"

#include <stddef.h>

#define STEPS_MAX  16
#define MIB        (UINT64_C(1024) * 1024)
#define ENDPOINT   "http://tus.example/files/"
#define URL        "http://tus.example/files/one"
#define TUS        "Tus-Resumable: 1.0.0\r\n"
#define AT(offset) TUS "Upload-Offset: " #offset "\r\n"
#define OFFERS     TUS "Tus-Version: 1.0.0\r\nTus-Extension: creation,termination\r\n"
#define NO_BODY    FAKE_ANY, FAKE_ANY

#define OPTIONS                                                                                    \
    {                                                                                              \
        "OPTIONS", NO_BODY, HTTP_OK, 204, OFFERS, 0                                                \
    }
#define CREATE                                                                                     \
    {                                                                                              \
        "POST", NO_BODY, HTTP_OK, 201, TUS "Location: /files/one\r\n", 0                           \
    }
#define HEAD(status, headers)                                                                      \
    {                                                                                              \
        "HEAD", NO_BODY, HTTP_OK, status, headers, 0                                               \
    }
#define PATCH(offset, length, status, headers)                                                     \
    {                                                                                              \
        "PATCH", offset, length, HTTP_OK, status, headers, 0                                       \
    }
#define POST(status, headers)                                                                      \
    {                                                                                              \
        "POST", NO_BODY, HTTP_OK, status, headers, 0                                               \
    }
#define BREAK(method, taken)                                                                       \
    {                                                                                              \
        method, NO_BODY, HTTP_UNREACHABLE, 0, NULL, taken                                          \
    }

#define AWAY(method, failure)                                                                      \
    {                                                                                              \
        method, NO_BODY, failure, 0, NULL, FAKE_NO_WAY                                             \
    }

/* At the end of a call: bytes came to the server, it lost some, it refused to make the upload. */
enum script_news { NOTHING, PROGRESS, LOST, REFUSED };

struct script {
    const char *name;
    const char *url; /* at the start */
    uint64_t offset;
    uint64_t length, chunk; /* 0: 100 and 40 */
    bool renewed;
    struct fake_step steps[STEPS_MAX];
    enum tus_outcome outcome;
    const char *url_after;
    uint64_t offset_after;
    enum script_news news;
    int64_t retry_after_ms; /* -1: not said */
    uint64_t chunk_after;   /* 0: unchanged */
};

extern const struct script scripts[];
extern const size_t script_count;

#endif
