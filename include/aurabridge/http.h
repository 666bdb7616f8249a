/* HTTP over libcurl, its only user. One http_client per thread; it keeps its connections. TLS is
 * always verified (TLS ≥ 1.2); proxies are taken from the environment as curl does.
 */
#ifndef AURABRIDGE_HTTP_H
#define AURABRIDGE_HTTP_H

#include "aurabridge/buffer.h"
#include "aurabridge/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct http_client;

/* Once per process, before threads start, and at its end. */
int http_global_init(struct error *err);
void http_global_cleanup(void);

/* `ca_file` is trusted beside the system's store ("" or null: none). */
int http_client_new(struct http_client **out, const char *ca_file, struct error *err);
void http_client_free(struct http_client *client);

#define HTTP_HEADERS_MAX 24

struct http_header {
    const char *name;
    const char *value;
};

/* A body that is read as it is sent; `offset` counts from the body's start. */
struct http_upload {
    uint64_t length;
    void *context;
    int (*read)(void *context, uint64_t offset, void *bytes, size_t length, size_t *got,
                struct error *err);
    void (*progress)(void *context, uint64_t sent); /* may be null */
    /* How many of `wanted` bytes may be sent now; waits until there are some. 0: the call is to
     * end, as by `cancelled`. The time in it does not count as standing still. May be null. */
    size_t (*admit)(void *context, size_t wanted);
};

struct http_request {
    const char *method; /* "GET", "POST", "PATCH", "HEAD", "OPTIONS", "DELETE" */
    const char *url;
    struct http_header headers[HTTP_HEADERS_MAX]; /* to the first null name */
    const void *body;                             /* null: none */
    size_t body_length;
    const struct http_upload *upload; /* instead of body */
    int64_t timeout_ms;               /* whole call; for uploads: without progress */
    size_t max_reply; /* bytes of the reply's body that are kept; more is an error */
    bool (*cancelled)(void *context); /* may be null; a true answer ends the call */
    void *cancel_context;
    /* libcurl sends a request again when a kept connection turns out to be dead. A request with a
     * body that must never reach the server twice says so: then the call fails instead, with
     * `sent`, unless not a byte of the body had left. */
    bool once;
};

/* Why there is no usable answer. */
enum http_failure {
    HTTP_OK,          /* an answer came, whatever its status */
    HTTP_UNREACHABLE, /* DNS, refused, reset, proxy: the network */
    HTTP_TIMEOUT,
    HTTP_TLS,         /* certificate or handshake */
    HTTP_TOO_LARGE,   /* the reply broke max_reply */
    HTTP_READ_FAILED, /* our own body could not be read */
    HTTP_CANCELLED,
    HTTP_LOCAL /* memory, bad URL */
};

struct http_reply {
    enum http_failure failure;
    int status; /* HTTP status, 0 when none came */
    struct buffer body;
    struct buffer headers;  /* raw lines of the last response */
    int64_t date_ms;        /* the Date header; 0 when absent */
    int64_t retry_after_ms; /* from Retry-After, seconds or date; -1 when absent */
    bool sent;              /* whether the request may have reached the server */
};

void http_reply_init(struct http_reply *reply);
void http_reply_free(struct http_reply *reply);

/* The value of a response header, trimmed, into `out`; returns 0, or -1 when absent or too long. */
int http_reply_header(const struct http_reply *reply, const char *name, char *out, size_t size);

/* Does one call; follows no redirects. Returns 0 when an answer came, -1 with `reply->failure` and
 * a text for people otherwise. `reply` must be initialised; its old content is dropped. */
int http_call(struct http_client *client, struct http_reply *reply,
              const struct http_request *request, struct error *err);

/* Resolves `location` against `base` (RFC 3986 5). Returns 0 or -1. */
int http_resolve_url(char *out, size_t size, const char *base, const char *location);

/* The Host header for a URL: with the port unless it is the scheme's default. */
int http_host_of(char *out, size_t size, const char *url);

#endif
