/* What the files of the net room share: the client, and one call on its way. */
#ifndef AURABRIDGE_NET_CLIENT_H
#define AURABRIDGE_NET_CLIENT_H

#include "aurabridge/http.h"

#include "trust.h"

#include <curl/curl.h>

#define HTTP_HOST_SIZE 300

struct http_client {
    CURL *handle; /* keeps its connections from call to call */
    struct trust *trust;
    long upload_buffer; /* bytes, as last set; 0: libcurl's own */
    char reason[CURL_ERROR_SIZE];
};

/* One call, from http_call's entry to its return. */
struct http_exchange {
    const struct http_request *request;
    struct http_reply *reply;
    struct http_upload memory; /* reads request->body */
    const struct http_upload *body;
    uint64_t body_offset;
    size_t header_bytes; /* of all responses of the call, informational ones included */
    struct error read_error;
    bool read_failed, too_large, cancelled, stalled;
    int64_t moved_bytes, moved_ms; /* the last progress, on the monotonic clock */
};

/* How libcurl says that a call failed. */
struct http_ending {
    CURLcode code;
    const char *reason; /* libcurl's words */
    bool connected;     /* all of the way was there: name, connection, proxy, TLS */
    bool cut_short;     /* the header of the answer has no end */
    long proxy_status;  /* of a proxy that was asked for a tunnel; 0: none */
    long verify_result; /* OpenSSL's, of the certificate */
};

/* libcurl's callbacks. */
size_t body_read(char *out, size_t size, size_t count, void *context);
int body_seek(void *context, curl_off_t offset, int origin);
void body_choose(struct http_exchange *exchange);
size_t reply_body(char *bytes, size_t size, size_t count, void *context);
size_t reply_header_line(char *bytes, size_t size, size_t count, void *context);

/* Which failure it is, and its text: what was attempted, why it failed, what a person can do.
 * Returns -1. */
enum http_failure failure_of(const struct http_exchange *exchange,
                             const struct http_ending *ending);
int failure_explain(const struct http_exchange *exchange, const struct http_ending *ending,
                    struct error *err);

/* Whether the header has come to its end. */
bool reply_header_is_whole(const struct http_reply *reply);
/* Reads Date and Retry-After out of the finished headers. */
void reply_read_times(struct http_reply *reply);

#endif
