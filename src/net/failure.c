/* How a call ended: libcurl's many codes as the few failures that callers tell apart, and the text
 * for people: what was attempted, why it failed, what to do. A text shows scheme and host of a URL
 * only, since paths and queries can be secrets.
 */
#include "client.h"

#include <openssl/x509_vfy.h>

#include <stdio.h>
#include <string.h>
#include <strings.h>

#define ORIGIN_SIZE (HTTP_HOST_SIZE + 16)

#define CHECK_WAY "check the network, the firewall and the proxy (HTTPS_PROXY)"

/* In words: "<before> <origin> <after>: <reason>; <remedy>". Codes that are not here are the
 * network's, too. */
static const struct failure_row {
    CURLcode code;
    enum http_failure failure;
    const char *before, *after, *remedy;
} rows[] = {
    {CURLE_COULDNT_RESOLVE_HOST, HTTP_UNREACHABLE, "the name in", "cannot be found",
     "check the URL and this machine's DNS"},
    {CURLE_COULDNT_RESOLVE_PROXY, HTTP_UNREACHABLE, "the proxy for", "cannot be found",
     "check HTTPS_PROXY and this machine's DNS"},
    {CURLE_COULDNT_CONNECT, HTTP_UNREACHABLE, "connecting to", "failed", CHECK_WAY},
    {CURLE_UNSUPPORTED_PROTOCOL, HTTP_UNREACHABLE, "what answers at", "is no HTTP server",
     "check the URL, and look for a proxy or captive portal in between"},
    {CURLE_WEIRD_SERVER_REPLY, HTTP_UNREACHABLE, "what answers at", "is no HTTP server",
     "check the URL, and look for a proxy or captive portal in between"},
    {CURLE_OPERATION_TIMEDOUT, HTTP_TIMEOUT, "connecting to", "failed", CHECK_WAY},
    {CURLE_SSL_CONNECT_ERROR, HTTP_TLS, "TLS with", "failed",
     "check that the URL's port speaks TLS, and look for a firewall or proxy that breaks it"},
    {CURLE_PEER_FAILED_VERIFICATION, HTTP_TLS, "TLS with", "failed",
     "if a proxy opens TLS, name its certificate authority in ca_file"},
    {CURLE_SSL_CERTPROBLEM, HTTP_TLS, "TLS with", "failed", NULL},
    {CURLE_SSL_CIPHER, HTTP_TLS, "TLS with", "failed", NULL},
    {CURLE_USE_SSL_FAILED, HTTP_TLS, "TLS with", "failed", NULL},
    {CURLE_SSL_CACERT_BADFILE, HTTP_TLS, "TLS with", "failed", "check ca_file"},
    {CURLE_SSL_CRL_BADFILE, HTTP_TLS, "TLS with", "failed", NULL},
    {CURLE_SSL_ISSUER_ERROR, HTTP_TLS, "TLS with", "failed", "check ca_file"},
    {CURLE_SSL_PINNEDPUBKEYNOTMATCH, HTTP_TLS, "TLS with", "failed", NULL},
    {CURLE_SSL_INVALIDCERTSTATUS, HTTP_TLS, "TLS with", "failed", NULL},
    {CURLE_SSL_ENGINE_NOTFOUND, HTTP_TLS, "TLS with", "failed", NULL},
    {CURLE_SSL_ENGINE_SETFAILED, HTTP_TLS, "TLS with", "failed", NULL},
    {CURLE_SSL_ENGINE_INITFAILED, HTTP_TLS, "TLS with", "failed", NULL},
    {CURLE_OUT_OF_MEMORY, HTTP_LOCAL, "calling", "failed", NULL},
    {CURLE_URL_MALFORMAT, HTTP_LOCAL, "calling", "failed", NULL},
    {CURLE_FAILED_INIT, HTTP_LOCAL, "calling", "failed", NULL},
    {CURLE_BAD_FUNCTION_ARGUMENT, HTTP_LOCAL, "calling", "failed", NULL},
};

static const struct failure_row lost_connection = {0, HTTP_UNREACHABLE, "the connection to",
                                                   "broke off", NULL};

static const struct failure_row *row_of(CURLcode code)
{
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (rows[i].code == code)
            return &rows[i];
    }
    return &lost_connection;
}

enum http_failure failure_of(const struct http_exchange *exchange, const struct http_ending *ending)
{
    if (exchange->cancelled)
        return HTTP_CANCELLED;
    if (exchange->stalled)
        return HTTP_TIMEOUT;
    if (exchange->too_large)
        return HTTP_TOO_LARGE;
    if (exchange->read_failed)
        return HTTP_READ_FAILED;
    return row_of(ending->code)->failure;
}

/* ---- words ---- */

static void origin_of(char out[ORIGIN_SIZE], const char *url)
{
    char host[HTTP_HOST_SIZE];
    if (http_host_of(host, sizeof host, url) != 0)
        (void)snprintf(host, sizeof host, "a URL without a host");
    (void)snprintf(out, ORIGIN_SIZE, "%s://%s",
                   strncasecmp(url, "https:", 6) == 0 ? "https" : "http", host);
}

/* What to do about a certificate that is not accepted. */
static const char *certificate_remedy(long verify_result, const char *otherwise)
{
    switch (verify_result) {
    case X509_V_OK:              /* the chain is good, so it is the name … */
    case X509_V_ERR_UNSPECIFIED: /* … and libcurl left this when it compared the names */
        return "it is for another name: check the URL, and look for a proxy that opens TLS";
    case X509_V_ERR_CERT_NOT_YET_VALID:
    case X509_V_ERR_CERT_HAS_EXPIRED:
        return "check this machine's clock (NTP); when it is right, the server needs a new "
               "certificate";
    default:
        return otherwise;
    }
}

static int explain_timeout(const struct http_exchange *exchange, const struct http_ending *ending,
                           const char *origin, struct error *err)
{
    long long timeout_ms = (long long)exchange->request->timeout_ms;
    if (exchange->stalled)
        return error_set(err, "sending to %s: no progress for %lld ms; " CHECK_WAY, origin,
                         timeout_ms);
    if (ending->connected)
        return error_set(err, "%s took the call, but there was no answer within %lld ms: %s",
                         origin, timeout_ms, ending->reason);
    return error_set(err, "connecting to %s failed: no answer within %lld ms: %s; " CHECK_WAY,
                     origin, timeout_ms, ending->reason);
}

static int explain_ending(const struct http_ending *ending, const char *origin, struct error *err)
{
    const struct failure_row *row = row_of(ending->code);
    const char *remedy = row->remedy;
    if (ending->cut_short)
        return error_set(err, "the answer of %s broke off in its header", origin);
    if (ending->proxy_status >= 300)
        return error_set(
            err, "the proxy refuses the way to %s with %ld%s", origin, ending->proxy_status,
            ending->proxy_status == 407 ? ": it wants credentials; check HTTPS_PROXY"
                                        : "; check HTTPS_PROXY and what the proxy lets through");
    if (ending->code == CURLE_PEER_FAILED_VERIFICATION)
        remedy = certificate_remedy(ending->verify_result, remedy);
    else if (row == &lost_connection && !ending->connected)
        remedy = CHECK_WAY;
    return error_set(err, "%s %s %s: %s%s%s", row->before, origin, row->after, ending->reason,
                     remedy ? "; " : "", remedy ? remedy : "");
}

int failure_explain(const struct http_exchange *exchange, const struct http_ending *ending,
                    struct error *err)
{
    char origin[ORIGIN_SIZE];
    const struct http_request *request = exchange->request;
    origin_of(origin, request->url);
    switch (exchange->reply->failure) {
    case HTTP_CANCELLED:
        return error_set(err, "the call to %s was stopped", origin);
    case HTTP_TIMEOUT:
        return explain_timeout(exchange, ending, origin, err);
    case HTTP_TOO_LARGE:
        return error_set(err, "the answer of %s is longer than the %zu bytes that are allowed",
                         origin, request->max_reply);
    case HTTP_READ_FAILED:
        return error_set(err, "reading what is to be sent to %s: %s", origin,
                         exchange->read_error.text);
    case HTTP_TLS:
    case HTTP_OK:
    case HTTP_UNREACHABLE:
    case HTTP_LOCAL:
        break;
    }
    return explain_ending(ending, origin, err);
}
