/* How a call ended: libcurl's many codes as the few failures that callers tell apart, and the text
 * for people. A text shows scheme and host of a URL only, since paths and queries can be secrets.
 */
#include "client.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#define ORIGIN_SIZE (HTTP_HOST_SIZE + 16)

static const struct {
    CURLcode code;
    enum http_failure failure;
} failures[] = {
    {CURLE_OPERATION_TIMEDOUT, HTTP_TIMEOUT},
    {CURLE_SSL_CONNECT_ERROR, HTTP_TLS},
    {CURLE_PEER_FAILED_VERIFICATION, HTTP_TLS},
    {CURLE_SSL_CERTPROBLEM, HTTP_TLS},
    {CURLE_SSL_CIPHER, HTTP_TLS},
    {CURLE_USE_SSL_FAILED, HTTP_TLS},
    {CURLE_SSL_CACERT_BADFILE, HTTP_TLS},
    {CURLE_SSL_CRL_BADFILE, HTTP_TLS},
    {CURLE_SSL_ISSUER_ERROR, HTTP_TLS},
    {CURLE_SSL_PINNEDPUBKEYNOTMATCH, HTTP_TLS},
    {CURLE_SSL_INVALIDCERTSTATUS, HTTP_TLS},
    {CURLE_SSL_ENGINE_NOTFOUND, HTTP_TLS},
    {CURLE_SSL_ENGINE_SETFAILED, HTTP_TLS},
    {CURLE_SSL_ENGINE_INITFAILED, HTTP_TLS},
    {CURLE_OUT_OF_MEMORY, HTTP_LOCAL},
    {CURLE_URL_MALFORMAT, HTTP_LOCAL},
    {CURLE_FAILED_INIT, HTTP_LOCAL},
    {CURLE_BAD_FUNCTION_ARGUMENT, HTTP_LOCAL},
};

enum http_failure failure_of(const struct http_exchange *exchange, CURLcode code)
{
    if (exchange->cancelled)
        return HTTP_CANCELLED;
    if (exchange->stalled)
        return HTTP_TIMEOUT;
    if (exchange->too_large)
        return HTTP_TOO_LARGE;
    if (exchange->read_failed)
        return HTTP_READ_FAILED;
    for (size_t i = 0; i < sizeof failures / sizeof failures[0]; i++) {
        if (failures[i].code == code)
            return failures[i].failure;
    }
    return HTTP_UNREACHABLE;
}

static void origin_of(char out[ORIGIN_SIZE], const char *url)
{
    char host[HTTP_HOST_SIZE];
    if (http_host_of(host, sizeof host, url) != 0)
        (void)snprintf(host, sizeof host, "a URL without a host");
    (void)snprintf(out, ORIGIN_SIZE, "%s://%s",
                   strncasecmp(url, "https:", 6) == 0 ? "https" : "http", host);
}

int failure_explain(const struct http_exchange *exchange, const char *reason, struct error *err)
{
    char origin[ORIGIN_SIZE];
    const struct http_request *request = exchange->request;
    long long timeout_ms = (long long)request->timeout_ms;
    origin_of(origin, request->url);
    switch (exchange->reply->failure) {
    case HTTP_CANCELLED:
        return error_set(err, "the call to %s was stopped", origin);
    case HTTP_TIMEOUT:
        if (exchange->stalled)
            return error_set(err, "sending to %s: no progress for %lld ms", origin, timeout_ms);
        return error_set(err, "connecting to %s failed: no answer within %lld ms: %s", origin,
                         timeout_ms, reason);
    case HTTP_TOO_LARGE:
        return error_set(err, "the answer of %s is longer than the %zu bytes that are allowed",
                         origin, request->max_reply);
    case HTTP_READ_FAILED:
        return error_set(err, "reading what is to be sent to %s: %s", origin,
                         exchange->read_error.text);
    case HTTP_TLS:
        return error_set(err,
                         "TLS with %s failed: %s; if a proxy opens TLS, name its certificate "
                         "authority in ca_file",
                         origin, reason);
    case HTTP_OK:
    case HTTP_UNREACHABLE:
    case HTTP_LOCAL:
        break;
    }
    return error_set(err, "connecting to %s failed: %s", origin, reason);
}
