/* One HTTP call: request out, reply in.
 *
 * Guarantees: replies are bounded, a call ends by its timeout or soon after the caller cancels it
 * (within about a second), and the Host header is exactly http_host_of(url). Follows no redirects
 * and repeats nothing, except that libcurl sends a request again when a kept connection turns out
 * to be dead; `once` rules that out.
 */
#include "client.h"

#include "aurabridge/clock.h"

#include <string.h>
#include <strings.h>

#define CONNECT_TIMEOUT_MS 15000
#define UPLOAD_BUFFER      (512L << 10) /* of a body that is streamed */
#define SMALL_BUFFER       (16L << 10)  /* libcurl's least */
#define MAX_HEADER_LINE    (32U << 10)
/* Bytes. Less than this in a timeout's time is standing still. */
#define LEAST_PROGRESS 4096

/* ---- headers of the request ---- */

static bool is_one_line(const char *text)
{
    for (; *text; text++) {
        if ((unsigned char)*text < 0x20 || *text == 0x7F)
            return false;
    }
    return true;
}

/* In libcurl's words: "Name: value" sends, "Name;" sends an empty one, "Name:" takes one back. */
static int add_raw(struct curl_slist **lines, const char *line)
{
    struct curl_slist *longer = curl_slist_append(*lines, line);
    if (!longer)
        return -1;
    *lines = longer;
    return 0;
}

static int add_line(struct curl_slist **lines, const char *name, const char *value)
{
    struct buffer line;
    if (!is_one_line(name) || !is_one_line(value))
        return -1;
    buffer_init(&line, MAX_HEADER_LINE);
    int failed = value[0] ? buffer_append_format(&line, "%s: %s", name, value)
                          : buffer_append_format(&line, "%s;", name);
    if (!failed)
        failed = add_raw(lines, line.data);
    if (line.length > 0)
        explicit_bzero(line.data, line.length);
    buffer_free(&line);
    return failed;
}

static bool has_header(const struct http_request *request, const char *name)
{
    for (size_t i = 0; i < HTTP_HEADERS_MAX && request->headers[i].name; i++) {
        if (strcasecmp(request->headers[i].name, name) == 0)
            return true;
    }
    return false;
}

static int make_headers(struct curl_slist **lines, const struct http_request *request,
                        struct error *err)
{
    char host[HTTP_HOST_SIZE];
    if (http_host_of(host, sizeof host, request->url) != 0)
        /* Nothing of it: all of it may be path, which can be a secret. */
        return error_set(err, "cannot call a URL that is no http or https URL with a host and a "
                              "port from 1 to 65535");
    int failed = add_raw(lines, "Expect:");
    if (!failed && !has_header(request, "Host"))
        failed = add_line(lines, "Host", host);
    if (!failed && !has_header(request, "Content-Type"))
        failed = add_raw(lines, "Content-Type:");
    for (size_t i = 0; !failed && i < HTTP_HEADERS_MAX && request->headers[i].name; i++)
        failed = add_line(lines, request->headers[i].name, request->headers[i].value);
    if (failed)
        return error_set(err, "cannot call %s: a header is longer than %u bytes or no single line",
                         host, MAX_HEADER_LINE);
    return 0;
}

static void free_headers(struct curl_slist *lines)
{
    for (struct curl_slist *line = lines; line; line = line->next)
        explicit_bzero(line->data, strlen(line->data)); /* tokens and keys */
    curl_slist_free_all(lines);
}

/* ---- while it runs ---- */

/* Only what is sent counts as progress: an answer that comes without end, however slowly, must not
 * hold the call. So once all is sent, the whole answer has one timeout's time. */
static int watch(void *context, curl_off_t to_receive, curl_off_t received, curl_off_t to_send,
                 curl_off_t sent)
{
    struct http_exchange *exchange = context;
    const struct http_request *request = exchange->request;
    (void)to_receive;
    (void)received;
    (void)to_send;
    if (request->cancelled && request->cancelled(request->cancel_context)) {
        exchange->cancelled = true;
        return 1;
    }
    if (!request->upload)
        return 0;
    int64_t now_ms = clock_monotonic_ms(clock_system());
    bool all = (uint64_t)sent == request->upload->length;
    if (sent - exchange->moved_bytes >= LEAST_PROGRESS || (all && sent != exchange->moved_bytes)) {
        exchange->moved_bytes = sent;
        exchange->moved_ms = now_ms;
        if (request->upload->progress)
            request->upload->progress(request->upload->context, (uint64_t)sent);
    } else if (sent < exchange->moved_bytes) { /* libcurl began again */
        exchange->moved_bytes = sent;
    } else if (now_ms - exchange->moved_ms > request->timeout_ms) {
        exchange->stalled = true;
        return 1;
    }
    return 0;
}

static CURLcode first_bad(const CURLcode *codes, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (codes[i] != CURLE_OK)
            return codes[i];
    }
    return CURLE_OK;
}

static CURLcode set_method(CURL *handle, struct http_exchange *exchange)
{
    const char *method = exchange->request->method;
    bool head = strcmp(method, "HEAD") == 0;
    const CURLcode codes[] = {
        /* HTTPGET first: it takes back what the call before had set. */
        curl_easy_setopt(handle, CURLOPT_HTTPGET, 1L),
        curl_easy_setopt(handle, CURLOPT_UPLOAD, exchange->body ? 1L : 0L),
        curl_easy_setopt(handle, CURLOPT_NOBODY, head ? 1L : 0L),
        curl_easy_setopt(handle, CURLOPT_CUSTOMREQUEST, head ? NULL : method),
        curl_easy_setopt(handle, CURLOPT_INFILESIZE_LARGE,
                         exchange->body ? (curl_off_t)exchange->body->length : (curl_off_t)-1),
        curl_easy_setopt(handle, CURLOPT_READFUNCTION, body_read),
        curl_easy_setopt(handle, CURLOPT_READDATA, exchange),
        curl_easy_setopt(handle, CURLOPT_SEEKFUNCTION, body_seek),
        curl_easy_setopt(handle, CURLOPT_SEEKDATA, exchange),
    };
    return first_bad(codes, sizeof codes / sizeof codes[0]);
}

/* libcurl makes it anew when it is set, and only then has it: a call of the API must not keep half
 * a megabyte for its body of some hundred bytes. */
static CURLcode set_upload_buffer(struct http_client *client, const struct http_exchange *exchange)
{
    long wanted = exchange->request->upload ? UPLOAD_BUFFER : SMALL_BUFFER;
    if (!exchange->body || client->upload_buffer == wanted)
        return CURLE_OK;
    client->upload_buffer = wanted;
    return curl_easy_setopt(client->handle, CURLOPT_UPLOAD_BUFFERSIZE, wanted);
}

static CURLcode set_call(CURL *handle, struct http_exchange *exchange, struct curl_slist *lines)
{
    const struct http_request *request = exchange->request;
    int64_t timeout_ms = request->timeout_ms;
    int64_t connect_ms = timeout_ms < CONNECT_TIMEOUT_MS ? timeout_ms : CONNECT_TIMEOUT_MS;
    const CURLcode codes[] = {
        set_method(handle, exchange),
        curl_easy_setopt(handle, CURLOPT_URL, request->url),
        curl_easy_setopt(handle, CURLOPT_HTTPHEADER, lines),
        curl_easy_setopt(handle, CURLOPT_CONNECTTIMEOUT_MS, (long)connect_ms),
        curl_easy_setopt(handle, CURLOPT_TIMEOUT_MS, request->upload ? 0L : (long)timeout_ms),
        curl_easy_setopt(handle, CURLOPT_WRITEFUNCTION, reply_body),
        curl_easy_setopt(handle, CURLOPT_WRITEDATA, exchange),
        curl_easy_setopt(handle, CURLOPT_HEADERFUNCTION, reply_header_line),
        curl_easy_setopt(handle, CURLOPT_HEADERDATA, exchange),
        curl_easy_setopt(handle, CURLOPT_NOPROGRESS, 0L),
        curl_easy_setopt(handle, CURLOPT_XFERINFOFUNCTION, watch),
        curl_easy_setopt(handle, CURLOPT_XFERINFODATA, exchange),
    };
    return first_bad(codes, sizeof codes / sizeof codes[0]);
}

/* ---- the call ---- */

static int conclude(struct http_client *client, struct http_exchange *exchange, CURLcode code,
                    struct error *err)
{
    struct http_reply *reply = exchange->reply;
    struct http_ending ending = {
        .code = code, .reason = client->reason[0] ? client->reason : curl_easy_strerror(code)};
    if (code == CURLE_SEND_FAIL_REWIND) /* body_seek refused to begin again */
        ending.reason = "it was kept from an earlier call, and closed when this one was sent";
    curl_off_t begun_us = 0;
    long status = 0;
    long request_bytes = 0;
    const CURLcode unknown[] = {
        curl_easy_getinfo(client->handle, CURLINFO_RESPONSE_CODE, &status),
        curl_easy_getinfo(client->handle, CURLINFO_HTTP_CONNECTCODE, &ending.proxy_status),
        curl_easy_getinfo(client->handle, CURLINFO_SSL_VERIFYRESULT, &ending.verify_result),
        /* Stays 0 until the request itself may go; a proxy's CONNECT counts among its bytes. */
        curl_easy_getinfo(client->handle, CURLINFO_PRETRANSFER_TIME_T, &begun_us),
        curl_easy_getinfo(client->handle, CURLINFO_REQUEST_SIZE, &request_bytes),
    };
    bool certain = first_bad(unknown, sizeof unknown / sizeof unknown[0]) == CURLE_OK;
    ending.connected = !certain || begun_us > 0;
    reply->status = (int)status;
    reply->sent = !certain || (begun_us > 0 && request_bytes > 0);
    reply_read_times(reply);
    ending.cut_short = code == CURLE_OK && !reply_header_is_whole(reply);
    if (code == CURLE_OK && status > 0 && !ending.cut_short) {
        reply->failure = HTTP_OK;
        return 0;
    }
    reply->failure = failure_of(exchange, &ending);
    return failure_explain(exchange, &ending, err);
}

static void start_reply(struct http_reply *reply, size_t max_reply)
{
    http_reply_free(reply);
    http_reply_init(reply);
    buffer_init(&reply->body, max_reply);
}

int http_call(struct http_client *client, struct http_reply *reply,
              const struct http_request *request, struct error *err)
{
    struct curl_slist *lines = NULL;
    struct http_exchange exchange = {
        .request = request, .reply = reply, .moved_ms = clock_monotonic_ms(clock_system())};
    start_reply(reply, request->max_reply);
    body_choose(&exchange);
    int result = make_headers(&lines, request, err);
    if (result == 0) {
        client->reason[0] = '\0';
        CURLcode bad = set_call(client->handle, &exchange, lines);
        if (bad == CURLE_OK)
            bad = set_upload_buffer(client, &exchange);
        if (bad != CURLE_OK)
            result = error_set(err, "cannot prepare the call: %s", curl_easy_strerror(bad));
        else
            result = conclude(client, &exchange, curl_easy_perform(client->handle), err);
        /* Nothing of this call may be looked at by the next. */
        (void)curl_easy_setopt(client->handle, CURLOPT_HTTPHEADER, NULL);
    }
    free_headers(lines);
    return result;
}
