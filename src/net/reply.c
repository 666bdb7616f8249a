/* The reply: bounded body, bounded headers, and the two headers that carry times. */
#include "client.h"

#include "aurabridge/clock.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#define MAX_REPLY_HEADERS (64U << 10)  /* of one response */
#define MAX_CALL_HEADERS  (256U << 10) /* of one call with all its 1xx responses */
/* Only against overflow; callers bound it tighter. */
#define MAX_RETRY_AFTER_MS (86400000LL * 365)

void http_reply_init(struct http_reply *reply)
{
    *reply = (struct http_reply){.failure = HTTP_LOCAL, .retry_after_ms = -1};
    buffer_init(&reply->body, 0);
    buffer_init(&reply->headers, MAX_REPLY_HEADERS);
}

void http_reply_free(struct http_reply *reply)
{
    buffer_free(&reply->body);
    buffer_free(&reply->headers);
}

size_t reply_body(char *bytes, size_t size, size_t count, void *context)
{
    struct http_exchange *exchange = context;
    if (buffer_append(&exchange->reply->body, bytes, size * count) != 0) {
        exchange->too_large = true;
        return 0;
    }
    return size * count;
}

size_t reply_header_line(char *bytes, size_t size, size_t count, void *context)
{
    struct http_exchange *exchange = context;
    struct buffer *headers = &exchange->reply->headers;
    size_t length = size * count;
    exchange->header_bytes += length;
    if (length >= 5 && memcmp(bytes, "HTTP/", 5) == 0)
        buffer_clear(headers); /* a further response: the one before was informational */
    if (exchange->header_bytes > MAX_CALL_HEADERS || buffer_append(headers, bytes, length) != 0) {
        exchange->too_large = true;
        return 0;
    }
    return length;
}

bool reply_header_is_whole(const struct http_reply *reply)
{
    /* libcurl hands out whole lines; the last one is empty. */
    const char *end = reply->headers.data + reply->headers.length;
    size_t length = reply->headers.length;
    return (length >= 2 && memcmp(end - 2, "\n\n", 2) == 0) ||
           (length >= 3 && memcmp(end - 3, "\n\r\n", 3) == 0);
}

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static int copy_value(char *out, size_t size, const char *value, const char *stop)
{
    while (value < stop && is_space(*value))
        value++;
    while (stop > value && is_space(stop[-1]))
        stop--;
    size_t length = (size_t)(stop - value);
    if (length >= size || memchr(value, '\0', length))
        return -1;
    memcpy(out, value, length);
    out[length] = '\0';
    return 0;
}

int http_reply_header(const struct http_reply *reply, const char *name, char *out, size_t size)
{
    size_t name_length = strlen(name);
    const char *end = reply->headers.data + reply->headers.length;
    for (const char *line = reply->headers.data; line < end;) {
        const char *next = memchr(line, '\n', (size_t)(end - line));
        const char *stop = next ? next : end;
        if ((size_t)(stop - line) > name_length && line[name_length] == ':' &&
            strncasecmp(line, name, name_length) == 0)
            return copy_value(out, size, line + name_length + 1, stop);
        line = next ? next + 1 : end;
    }
    return -1;
}

static int64_t read_retry_after(const struct http_reply *reply, const char *text)
{
    int64_t ms = 0;
    if (text[0] == '\0' || text[strspn(text, "0123456789")] != '\0') {
        int64_t until = 0;
        if (clock_parse_http_date(&until, text) != 0)
            return -1;
        /* By the server's own clock where it tells it. */
        ms = until - (reply->date_ms ? reply->date_ms : clock_wall_ms(clock_system()));
        if (ms < 0)
            ms = 0;
    } else {
        for (; *text && ms < MAX_RETRY_AFTER_MS; text++)
            ms = ms * 10 + (*text - '0') * 1000;
    }
    return ms < MAX_RETRY_AFTER_MS ? ms : MAX_RETRY_AFTER_MS;
}

void reply_read_times(struct http_reply *reply)
{
    char value[64];
    if (http_reply_header(reply, "Date", value, sizeof value) != 0 ||
        clock_parse_http_date(&reply->date_ms, value) != 0)
        reply->date_ms = 0;
    if (http_reply_header(reply, "Retry-After", value, sizeof value) == 0)
        reply->retry_after_ms = read_retry_after(reply, value);
}
