/* One HTTP request as the rooms of the sandbox see it: what came, and the answer in the making. */
#ifndef SANDBOX_CALL_H
#define SANDBOX_CALL_H

#include "aurabridge/buffer.h"
#include "aurabridge/identifier.h"
#include "aurabridge/json.h"
#include "aurabridge/uid.h"

#include <stdbool.h>
#include <stdint.h>

#define MAX_SANDBOX_BODY    (16u * 1024 * 1024) /* of a JSON call */
#define MAX_SANDBOX_REPLY   (16u * 1024 * 1024)
#define MAX_SANDBOX_TARGET  2048
#define CALL_HEADERS_MAX    10
#define CALL_METHOD_SIZE    16
#define CALL_HEADER_NAME    32
#define CALL_HEADER_VALUE   512
#define CALL_NO_CUT         UINT64_MAX
#define SANDBOX_TUS_PATH    "/files"
#define SANDBOX_BASE_PATH   "/api"
#define SANDBOX_UPLOAD_MODE "bulk"

struct sandbox;
struct route;
struct tus_file;

struct call_header {
    char name[CALL_HEADER_NAME], value[CALL_HEADER_VALUE];
};

struct call {
    struct sandbox *sandbox;
    void *connection; /* belongs to the HTTP library */
    /* What came. */
    char target[MAX_SANDBOX_TARGET]; /* as on the wire, with the query */
    char path[MAX_SANDBOX_TARGET];   /* without it */
    char method[CALL_METHOD_SIZE];   /* X-HTTP-Method-Override applied */
    bool target_too_long;
    const struct route *route; /* null: none such */
    struct buffer body;
    bool body_too_large;
    /* How it goes on. */
    bool begun;
    uint64_t received, cut_after; /* bytes of the body; the connection is cut there */
    bool close_unanswered;        /* a fault: do the work, then close */
    bool met_fault, hung;         /* hung: the peer gave up, there is nothing to answer */
    bool forget;                  /* a fault: what it names was never announced */
    unsigned delay_ms;
    uint64_t truncate_at;   /* bytes of the answer's body, then the end; CALL_NO_CUT: whole */
    bool endless;           /* the answer's body has no end … */
    unsigned drip_ms;       /* … and takes so long for each byte; 0: as fast as it goes */
    struct tus_file *patch; /* being written by this call */
    int patch_fd;
    /* The answer. */
    unsigned status; /* 0: not yet known */
    bool faulted;    /* the answer is a fault's, no work was done */
    bool transcribed;
    struct buffer reply;
    const char *reply_type;
    struct call_header headers[CALL_HEADERS_MAX];
    unsigned header_count;
    char upload_id[UUID_SIZE]; /* for the transcript; "" while unknown */
    char study[UID_SIZE];      /* the first of its upload; "" while unknown */
};

/* A request header's value, null when absent. Belongs to the call. */
const char *call_header(const struct call *call, const char *name);

/* "http", or "https" where a proxy before the sandbox says that it was asked so. */
const char *call_scheme(const struct call *call);

/* Waits. False: the peer has gone, or the sandbox stops. */
bool call_wait(const struct call *call, unsigned ms);

/* The answers. Each sets the status; the first answer stays. `body` becomes the call's. */
void call_reply(struct call *call, unsigned status);
void call_reply_json(struct call *call, unsigned status, struct json *body);
void call_reply_text(struct call *call, unsigned status, const char *type, const char *text);
/* {"message": …} */
void call_reply_message(struct call *call, unsigned status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* {"error": {"message": …}}, the shape of a refused signature */
void call_reply_error(struct call *call, unsigned status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* 422 {"errors": {field: [text]}} */
void call_reply_invalid(struct call *call, const char *field, const char *text);

void call_add_header(struct call *call, const char *name, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Parses the body as a JSON object. Null when it is none; the answer is then set. The caller's. */
struct json *call_json(struct call *call);

#endif
