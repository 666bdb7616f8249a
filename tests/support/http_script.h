/* A small HTTP/1.1 server on 127.0.0.1 that answers from a script: the n-th request, over whatever
 * connection, gets the n-th step; every request is recorded. One thread a connection. */
#ifndef AURABRIDGE_TESTS_HTTP_SCRIPT_H
#define AURABRIDGE_TESTS_HTTP_SCRIPT_H

#include "aurabridge/buffer.h"

#include <stdint.h>

enum http_script_ending {
    SCRIPT_KEEP,    /* the connection stays open for the next request */
    SCRIPT_CLOSE,   /* closed after the response */
    SCRIPT_RESET,   /* reset (RST) after the response */
    SCRIPT_HANG,    /* nothing more comes, until the peer closes or the script is stopped */
    SCRIPT_ENDLESS, /* `body` again and again, until the peer closes */
    SCRIPT_DRIP,    /* the same, a byte every 20 ms */
};

/* The script ends with a step that has neither status nor raw. */
struct http_script_step {
    int status;          /* the response is made of status, headers and body, with its length … */
    const char *headers; /* each "Name: value\r\n"; null: none */
    const char *body;    /* null: none */
    const char *raw;     /* … or these bytes are sent as they are */
    enum http_script_ending ending;
    uint64_t body_taken;           /* of the request, before the step is played; 0: all */
    unsigned body_rate;            /* bytes a second at which it is read; 0: as they come */
    void (*before)(void *context); /* called before the response; null: nothing */
    void *context;
};

struct http_script_request {
    char method[16];
    char target[2048];
    struct buffer headers; /* raw lines */
    struct buffer body;
    unsigned connection; /* 0 for the first one accepted */
};

struct http_script;

/* Serves from now on; `steps` must stay. `ssl_context` is an SSL_CTX or null. Null when it fails.
 */
struct http_script *http_script_start(const struct http_script_step *steps, void *ssl_context);
uint16_t http_script_port(const struct http_script *script);

/* How many requests came, those beyond the script included (they are answered with 599). */
unsigned http_script_count(struct http_script *script);
unsigned http_script_connections(struct http_script *script);
/* The n-th request; it stays until the script is stopped. Null when there was none. */
const struct http_script_request *http_script_request(struct http_script *script, unsigned n);
/* The value of a header, trimmed; "" when absent. `out` is returned. */
const char *http_script_header(const struct http_script_request *request, const char *name,
                               char *out, size_t size);

/* Ends all connections, joins the threads and frees. */
void http_script_stop(struct http_script *script);

#endif
