/* The client: one libcurl handle that keeps its connections, with what is the same for all calls.
 * TLS is always verified; there is no switch to turn that off. */
#include "client.h"

#include "socket.h"

#include <signal.h>
#include <stdlib.h>

#define MAX_CONNECTIONS 4L

int http_global_init(struct error *err)
{
    /* A peer that closes while we write is an error code, not a signal. */
    if (signal(SIGPIPE, SIG_IGN) == SIG_ERR)
        return error_set(err, "cannot ignore SIGPIPE");
    socket_learn();
    CURLcode code = curl_global_init(CURL_GLOBAL_DEFAULT);
    if (code != CURLE_OK)
        return error_set(err, "cannot start libcurl: %s", curl_easy_strerror(code));
    return 0;
}

void http_global_cleanup(void)
{
    curl_global_cleanup();
}

static CURLcode add_trust(CURL *handle, void *ssl_context, void *context)
{
    (void)handle;
    return trust_add(context, ssl_context) == 0 ? CURLE_OK : CURLE_SSL_CACERT_BADFILE;
}

static int tune(void *context, curl_socket_t socket, curlsocktype purpose)
{
    (void)context;
    if (purpose == CURLSOCKTYPE_IPCXN)
        socket_tune(socket);
    return CURL_SOCKOPT_OK;
}

/* `bad` gathers what libcurl refuses, so that one check is enough. */
static void set_lasting(struct http_client *client, CURLcode *bad)
{
    CURL *handle = client->handle;
    const CURLcode codes[] = {
        curl_easy_setopt(handle, CURLOPT_NOSIGNAL, 1L),
        /* A name server that is silent must not make a call longer than its timeout. */
        curl_easy_setopt(handle, CURLOPT_QUICK_EXIT, 1L),
        curl_easy_setopt(handle, CURLOPT_ERRORBUFFER, client->reason),
        curl_easy_setopt(handle, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1),
        curl_easy_setopt(handle, CURLOPT_PROTOCOLS_STR, "http,https"),
        curl_easy_setopt(handle, CURLOPT_FOLLOWLOCATION, 0L),
        curl_easy_setopt(handle, CURLOPT_PATH_AS_IS, 1L),
        curl_easy_setopt(handle, CURLOPT_SSL_VERIFYPEER, 1L),
        curl_easy_setopt(handle, CURLOPT_SSL_VERIFYHOST, 2L),
        curl_easy_setopt(handle, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2),
        curl_easy_setopt(handle, CURLOPT_TCP_NODELAY, 1L),
        curl_easy_setopt(handle, CURLOPT_TCP_KEEPALIVE, 1L),
        curl_easy_setopt(handle, CURLOPT_MAXCONNECTS, MAX_CONNECTIONS),
        curl_easy_setopt(handle, CURLOPT_SOCKOPTFUNCTION, tune),
        curl_easy_setopt(handle, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L),
        curl_easy_setopt(handle, CURLOPT_USERAGENT, "AuraBridge/" AURABRIDGE_VERSION),
    };
    for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++) {
        if (codes[i] != CURLE_OK)
            *bad = codes[i];
    }
    if (client->trust) {
        CURLcode data = curl_easy_setopt(handle, CURLOPT_SSL_CTX_DATA, client->trust);
        CURLcode code = curl_easy_setopt(handle, CURLOPT_SSL_CTX_FUNCTION, add_trust);
        if (data != CURLE_OK || code != CURLE_OK)
            *bad = code != CURLE_OK ? code : data;
    }
}

int http_client_new(struct http_client **out, const char *ca_file, struct error *err)
{
    *out = NULL;
    struct http_client *client = calloc(1, sizeof *client);
    if (!client)
        return error_set(err, "no memory for an HTTP client");
    CURLcode bad = CURLE_OK;
    if (ca_file && ca_file[0] && trust_read(&client->trust, ca_file, err) != 0)
        goto failed;
    client->handle = curl_easy_init();
    if (!client->handle) {
        (void)error_set(err, "cannot make an HTTP client: libcurl does not start");
        goto failed;
    }
    set_lasting(client, &bad);
    if (bad != CURLE_OK) {
        (void)error_set(err, "cannot make an HTTP client: this libcurl (%s) lacks a setting: %s",
                        curl_version(), curl_easy_strerror(bad));
        goto failed;
    }
    *out = client;
    return 0;
failed:
    http_client_free(client);
    return -1;
}

void http_client_free(struct http_client *client)
{
    if (!client)
        return;
    curl_easy_cleanup(client->handle);
    trust_free(client->trust);
    free(client);
}
