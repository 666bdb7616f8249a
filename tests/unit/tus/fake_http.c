/* http.h played from a script. Checks that each request has what every Tus request must have, and
 * that the bytes of a PATCH are those that belong at its offset.
 */
#include "fake_http.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define BLOCK 65536

unsigned char fake_byte(uint64_t offset)
{
    return (unsigned char)((offset * UINT64_C(2654435761)) >> 13);
}

static void surprise(struct http_client *client, const char *what, const char *detail)
{
    if (client->surprises++ == 0)
        (void)snprintf(client->surprise, sizeof client->surprise, "request %u: %.100s: %.100s",
                       client->asked, what, detail);
}

static const char *find_header(const struct http_request *request, const char *name)
{
    for (size_t i = 0; i < HTTP_HEADERS_MAX && request->headers[i].name != NULL; i++)
        if (strcasecmp(request->headers[i].name, name) == 0)
            return request->headers[i].value;
    return NULL;
}

static void check_header(struct http_client *client, const struct http_request *request,
                         const char *name, const char *expected)
{
    const char *value = find_header(request, name);
    if (value == NULL || strcmp(value, expected) != 0)
        surprise(client, name, value != NULL ? value : "absent");
}

static void check_figure(struct http_client *client, const char *what, long long expected,
                         long long value)
{
    char text[64];
    (void)snprintf(text, sizeof text, "%lld instead of %lld", value, expected);
    if (expected != FAKE_ANY && expected != value)
        surprise(client, what, text);
}

static int read_body(struct http_client *client, const struct http_request *request, uint64_t start,
                     uint64_t length, struct error *err)
{
    static unsigned char block[BLOCK];
    for (uint64_t done = 0; done < length;) {
        size_t got = 0;
        size_t want = length - done < BLOCK ? (size_t)(length - done) : BLOCK;
        if (request->upload->read(request->upload->context, done, block, want, &got, err) != 0)
            return -1;
        for (size_t i = 0; i < got; i++)
            if (block[i] != fake_byte(start + done + i)) {
                surprise(client, "body", "a byte that belongs elsewhere");
                return 0;
            }
        done += got;
        client->served += got;
        if (request->upload->progress != NULL)
            request->upload->progress(request->upload->context, done);
    }
    return 0;
}

static int play_body(struct http_client *client, const struct fake_step *step,
                     const struct http_request *request, struct error *err)
{
    const char *offset = find_header(request, "Upload-Offset");
    check_header(client, request, "Content-Type", "application/offset+octet-stream");
    if (offset == NULL) {
        surprise(client, "Upload-Offset", "absent");
        return 0;
    }
    uint64_t start = strtoull(offset, NULL, 10);
    check_figure(client, "Upload-Offset", step->offset, (long long)start);
    check_figure(client, "length", step->length, (long long)request->upload->length);
    uint64_t length = step->failure == HTTP_OK ? request->upload->length : step->taken;
    return read_body(client, request, start, length, err);
}

static void note(struct http_client *client, const struct http_request *request)
{
    const char *metadata = find_header(request, "Upload-Metadata");
    const char *override_method = find_header(request, "X-HTTP-Method-Override");
    (void)snprintf(client->url, sizeof client->url, "%s", request->url);
    if (metadata != NULL)
        (void)snprintf(client->metadata, sizeof client->metadata, "%s", metadata);
    (void)snprintf(client->override_method, sizeof client->override_method, "%s",
                   override_method != NULL ? override_method : "");
}

static int fail(struct http_reply *reply, enum http_failure failure, bool sent, struct error *err)
{
    reply->failure = failure;
    reply->sent = sent;
    return error_set(err, "played failure %d", (int)failure);
}

int http_call(struct http_client *client, struct http_reply *reply,
              const struct http_request *request, struct error *err)
{
    unsigned count = 0;
    http_reply_free(reply);
    http_reply_init(reply);
    while (client->steps[count].method != NULL)
        count++;
    client->asked++;
    if (client->asked > count) {
        surprise(client, "beyond the script", request->method);
        return fail(reply, HTTP_LOCAL, false, err);
    }
    const struct fake_step *step = &client->steps[client->asked - 1];
    if (strcmp(step->method, request->method) != 0)
        surprise(client, "method", request->method);
    check_header(client, request, "Tus-Resumable", "1.0.0");
    check_header(client, request, "Authorization", "Bearer secret-lift-token");
    note(client, request);
    bool sent = step->taken != FAKE_NO_WAY;
    if (request->upload != NULL && sent && play_body(client, step, request, err) != 0)
        return fail(reply, HTTP_READ_FAILED, true, err);
    if (request->cancelled != NULL && request->cancelled(request->cancel_context))
        return fail(reply, HTTP_CANCELLED, sent, err);
    if (step->failure != HTTP_OK)
        return fail(reply, step->failure, sent, err);
    reply->status = step->status;
    if (step->headers != NULL && buffer_append_text(&reply->headers, step->headers) != 0)
        return fail(reply, HTTP_LOCAL, sent, err);
    char seconds[16];
    if (http_reply_header(reply, "Retry-After", seconds, sizeof seconds) == 0)
        reply->retry_after_ms = 1000 * strtoll(seconds, NULL, 10);
    return 0;
}

void http_reply_init(struct http_reply *reply)
{
    *reply = (struct http_reply){.retry_after_ms = -1};
    buffer_init(&reply->body, 1024);
    buffer_init(&reply->headers, 8192);
}

void http_reply_free(struct http_reply *reply)
{
    buffer_free(&reply->body);
    buffer_free(&reply->headers);
}

int http_reply_header(const struct http_reply *reply, const char *name, char *out, size_t size)
{
    const char *line = reply->headers.data;
    size_t length = strlen(name);
    while (*line != '\0') {
        const char *end = strstr(line, "\r\n");
        if (end == NULL)
            return -1;
        if (strncasecmp(line, name, length) == 0 && line[length] == ':') {
            const char *value = line + length + 1;
            value += strspn(value, " ");
            if ((size_t)(end - value) >= size)
                return -1;
            (void)snprintf(out, size, "%.*s", (int)(end - value), value);
            return 0;
        }
        line = end + 2;
    }
    return -1;
}
