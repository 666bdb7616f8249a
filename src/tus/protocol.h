/* The pure part of Tus 1.0.0: what was asked and what came back → what to do next. No I/O, no
 * memory, no clock; private to this room and its tests.
 */
#ifndef AURABRIDGE_TUS_PROTOCOL_H
#define AURABRIDGE_TUS_PROTOCOL_H

#include "aurabridge/http.h"
#include "aurabridge/tus.h"

#include <stdbool.h>
#include <stdint.h>

#define TUS_VERSION "1.0.0"

/* S3's smallest part, and the chunk of the reference client: a server that refuses this one as too
 * large takes no upload at all, unless smaller ones are configured. Bytes. */
#define TUS_SMALLEST_CHUNK (UINT64_C(5) * 1024 * 1024)

/* Failures in one call of tus_upload_run without a byte acknowledged between them. */
#define TUS_FRUITLESS_MAX 3

/* A chunk of which nothing arrived is tried smaller, down to this: a proxy may give large requests
 * too little time. Bytes. */
#define TUS_LEAST_CHUNK (UINT64_C(256) * 1024)

/* A Retry-After above this goes back to the caller, who can do other work. Milliseconds. */
#define TUS_PATIENCE_MS 1000

enum tus_question {
    TUS_QUESTION_CREATE,   /* POST endpoint */
    TUS_QUESTION_OFFSET,   /* HEAD url */
    TUS_QUESTION_SEND,     /* PATCH url */
    TUS_QUESTION_TERMINATE /* DELETE url */
};

struct tus_asked {
    enum tus_question question;
    uint64_t length;    /* of the upload */
    uint64_t offset;    /* SEND: where the PATCH began */
    uint64_t sent;      /* SEND: bytes of its body */
    uint64_t first;     /* SEND: bytes of the chunks that are configured; 0: none are */
    bool token_renewed; /* the lift token is fresh; refusing it means something else */
    bool overrides;     /* PATCH and DELETE already travel as POST */
    bool secure;        /* the endpoint is https */
};

/* What a response says, as far as the protocol cares. */
struct tus_answer {
    enum http_failure failure; /* HTTP_OK: the rest holds */
    bool reached;              /* with a failure: the request may have come to the server */
    int status;
    bool speaks_tus;        /* Tus-Resumable is there */
    bool is_html;           /* Content-Type says text/html */
    bool has_location;      /* and it could be resolved */
    bool location_insecure; /* it is not https */
    bool has_offset;
    uint64_t offset;
    bool has_length;
    uint64_t length;
    bool expired;           /* Upload-Expires lies before the server's Date */
    int64_t retry_after_ms; /* -1: not said */
};

enum tus_action {
    TUS_ACTION_END,     /* with `outcome` */
    TUS_ACTION_SEND,    /* PATCH from `offset`, which the server acknowledged */
    TUS_ACTION_ASK,     /* HEAD at once; counts as fruitless */
    TUS_ACTION_WAIT,    /* wait, then HEAD (or create again); counts as fruitless */
    TUS_ACTION_RESEND,  /* the same PATCH again; counts as fruitless */
    TUS_ACTION_HALVE,   /* HEAD, then smaller chunks */
    TUS_ACTION_OVERRIDE /* the same PATCH as POST with X-HTTP-Method-Override */
};

struct tus_decision {
    enum tus_action action;
    enum tus_outcome outcome; /* of TUS_ACTION_END */
    uint64_t offset;          /* of TUS_ACTION_SEND, and of TUS_ACTION_END with TUS_DONE */
    const char *reason;       /* static text; null when nothing is wrong */
};

struct tus_decision tus_next(const struct tus_asked *asked, const struct tus_answer *answer);

/* The chunk to try after a 413 for a body of `sent` bytes, less than `sent`; 0: none is worth it.
 * `first` as in tus_asked. */
uint64_t tus_smaller_chunk(uint64_t sent, uint64_t first);

/* Whether the status, to a creation, says that the request itself is at fault. */
bool tus_refuses_creation(int status);

/* Whether a comma-separated list such as Tus-Extension names `item`. */
bool tus_list_names(const char *list, const char *item);

/* Reads a decimal figure as Tus headers carry it. Returns 0, or -1 when it is none. */
int tus_parse_figure(uint64_t *out, const char *text);

#endif
