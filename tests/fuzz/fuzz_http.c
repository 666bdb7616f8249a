/* See the header. */
#include "fuzz_http.h"

#include "aurabridge/clock.h"
#include "client.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#define MAX_RETRY_AFTER_MS (365LL * 86400 * 1000) /* what the contract of reply.c allows */

struct fuzz_server fuzz_server;

void fuzz_server_start(struct fuzz_input input, void (*judge)(const struct http_request *request))
{
    fuzz_server = (struct fuzz_server){.input = input, .judge = judge};
}

const char *fuzz_request_header(const struct http_request *request, const char *name)
{
    for (size_t i = 0; i < HTTP_HEADERS_MAX && request->headers[i].name; i++) {
        if (strcasecmp(request->headers[i].name, name) == 0)
            return request->headers[i].value;
    }
    return NULL;
}

/* ---- headers, read a second time ---- */

static bool is_space(char c)
{
    return c && strchr(" \t\r\n", c);
}

/* The first line of that name, its value trimmed, copied out of `raw`; null when there is none. */
static char *value_of(const char *raw, size_t length, const char *name, size_t *value_length)
{
    for (size_t start = 0; start < length;) {
        size_t end = start;
        while (end < length && raw[end] != '\n')
            end++;
        size_t colon = start + strlen(name);
        if (colon < end && raw[colon] == ':' && strncasecmp(raw + start, name, strlen(name)) == 0) {
            size_t from = colon + 1;
            while (from < end && is_space(raw[from]))
                from++;
            while (end > from && is_space(raw[end - 1]))
                end--;
            char *value = calloc(1, end - from + 1);
            if (!value)
                abort();
            memcpy(value, raw + from, end - from);
            *value_length = end - from;
            return value;
        }
        start = end + 1;
    }
    return NULL;
}

static void check_header(const struct http_reply *reply, const char *name, size_t room)
{
    size_t length = 0;
    char *expected = value_of(reply->headers.data, reply->headers.length, name, &length);
    char *out = malloc(room);
    if (!out)
        abort();
    int result = http_reply_header(reply, name, out, room);
    bool fits = expected && length < room && strlen(expected) == length;
    FUZZ_CHECK_TEXT((result == 0) == fits, name);
    if (result == 0)
        FUZZ_CHECK_TEXT(strcmp(out, expected) == 0, name);
    free(out);
    free(expected);
}

static void check_headers(const struct http_reply *reply)
{
    static const char *const names[] = {"Date",
                                        "Retry-After",
                                        "Location",
                                        "Upload-Offset",
                                        "Upload-Length",
                                        "Upload-Expires",
                                        "Tus-Resumable",
                                        "Content-Type",
                                        "Tus-Extension",
                                        "Tus-Max-Size",
                                        "X"};
    FUZZ_CHECK(reply->headers.length <= (64U << 10));
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        check_header(reply, names[i], 12);
        check_header(reply, names[i], 2048);
    }
}

/* A time that was read is written and read again. */
static void check_times(const struct http_reply *reply)
{
    static const char *const days[] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
    static const char *const months[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                         "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    FUZZ_CHECK(reply->retry_after_ms >= -1 && reply->retry_after_ms <= MAX_RETRY_AFTER_MS);
    time_t seconds = (time_t)(reply->date_ms / 1000);
    struct tm utc;
    char text[64];
    int64_t again = -1;
    FUZZ_CHECK(gmtime_r(&seconds, &utc) != NULL);
    if (utc.tm_year < -1900 || utc.tm_year > 9999 - 1900)
        return;
    (void)snprintf(text, sizeof text, "%s, %02d %s %04d %02d:%02d:%02d GMT", days[utc.tm_wday],
                   utc.tm_mday, months[utc.tm_mon], utc.tm_year + 1900, utc.tm_hour, utc.tm_min,
                   utc.tm_sec);
    FUZZ_CHECK_TEXT(clock_parse_http_date(&again, text) == 0 && again == reply->date_ms, text);
}

/* ---- answering ---- */

/* As libcurl hands them over: line by line. Returns what is behind the empty line. */
static const char *feed_headers(struct http_exchange *exchange, char *text, const char *end)
{
    while (text < end) {
        char *newline = memchr(text, '\n', (size_t)(end - text));
        size_t length = newline ? (size_t)(newline - text) + 1 : (size_t)(end - text);
        if (length == 1 && newline)
            return text + 1;
        if (reply_header_line(text, 1, length, exchange) != length)
            return end;
        text += length;
    }
    return end;
}

static void feed_body(struct http_exchange *exchange, const char *at, const char *end)
{
    for (size_t piece = 1; at < end; piece = piece * 2 + 1) {
        size_t left = (size_t)(end - at);
        size_t length = piece < left ? piece : left;
        if (reply_body((char *)(uintptr_t)at, length, 1, exchange) != length)
            return;
        at += length;
    }
}

static void answer(struct http_exchange *exchange, char *text, size_t length)
{
    struct http_reply *reply = exchange->reply;
    char *end = text + length;
    char *newline = memchr(text, '\n', length);
    char *rest = newline ? newline + 1 : end;
    reply->failure = HTTP_OK;
    if (text[0] == '!')
        reply->failure =
            (enum http_failure)((unsigned)strtoul(text + 1, NULL, 10) % (HTTP_LOCAL + 1U));
    /* libcurl refuses lines that are no status line, so that a status has three digits. */
    reply->status = (int)(strtoul(text, NULL, 10) % 900 + 100);
    const char *body = feed_headers(exchange, rest, end);
    feed_body(exchange, body, end);
    reply_read_times(reply);
    reply->sent = true;
    if (exchange->too_large)
        reply->failure = HTTP_TOO_LARGE;
    check_headers(reply);
    check_times(reply);
}

int __wrap_http_call(struct http_client *client, struct http_reply *reply,
                     const struct http_request *request, struct error *err);

int __wrap_http_call(struct http_client *client, struct http_reply *reply,
                     const struct http_request *request, struct error *err)
{
    struct http_exchange exchange = {.request = request, .reply = reply};
    (void)client;
    http_reply_free(reply);
    http_reply_init(reply);
    buffer_init(&reply->body, request->max_reply);
    fuzz_server.calls++;
    if (fuzz_server.judge)
        fuzz_server.judge(request);
    if (fuzz_server.input.left == 0) {
        fuzz_server.beyond++;
        reply->failure = HTTP_UNREACHABLE;
    } else {
        size_t length = 0;
        char *text = fuzz_section(&fuzz_server.input, &length);
        answer(&exchange, text, length);
        free(text);
    }
    FUZZ_CHECK(reply->body.length <= request->max_reply);
    return reply->failure == HTTP_OK ? 0 : error_set(err, "the input has no answer");
}

/* No connection is needed, so none is prepared. */

int __wrap_http_client_new(struct http_client **out, const char *ca_file, struct error *err);
void __wrap_http_client_free(struct http_client *client);

int __wrap_http_client_new(struct http_client **out, const char *ca_file, struct error *err)
{
    (void)ca_file;
    (void)err;
    *out = NULL;
    return 0;
}

void __wrap_http_client_free(struct http_client *client)
{
    (void)client;
}
