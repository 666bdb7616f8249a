/* The answer of one request, in the shapes of the protocol. Guarantees that an answer once given is
 * not replaced, and that a memory shortage becomes a plain 500. Sends nothing: server.c does.
 */
#include "call.h"

#include "text.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_MESSAGE 1024

const char *call_scheme(const struct call *call)
{
    const char *forwarded = call_header(call, "X-Forwarded-Proto");
    return forwarded && strcmp(forwarded, "https") == 0 ? "https" : "http";
}

void call_reply(struct call *call, unsigned status)
{
    if (call->status == 0)
        call->status = status;
}

void call_reply_text(struct call *call, unsigned status, const char *type, const char *text)
{
    if (call->status != 0)
        return;
    call->status = status;
    call->reply_type = type;
    if (buffer_append_text(&call->reply, text) != 0)
        call->status = 500;
}

void call_reply_json(struct call *call, unsigned status, struct json *body)
{
    char *text = body ? json_print(body) : NULL;
    if (text)
        call_reply_text(call, status, "application/json", text);
    else
        call_reply(call, 500);
    free(text);
    json_free(body);
}

static void reply_message(struct call *call, unsigned status, const char *envelope,
                          const char *format, va_list arguments)
{
    char text[MAX_MESSAGE];
    (void)vsnprintf(text, sizeof text, format, arguments);
    text_repair_utf8(text);
    struct json *root = json_new_object();
    struct json *holder = root;
    if (root && envelope) {
        holder = json_new_object();
        if (json_set(root, envelope, holder) != 0)
            holder = NULL;
    }
    if (!holder || json_set_string(holder, "message", text) != 0) {
        json_free(root);
        root = NULL;
    }
    call_reply_json(call, status, root);
}

void call_reply_message(struct call *call, unsigned status, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    reply_message(call, status, NULL, format, arguments);
    va_end(arguments);
}

void call_reply_error(struct call *call, unsigned status, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    reply_message(call, status, "error", format, arguments);
    va_end(arguments);
}

void call_reply_invalid(struct call *call, const char *field, const char *text)
{
    struct json *root = json_new_object();
    struct json *errors = json_new_object();
    struct json *texts = json_new_array();
    bool failed = !root || !errors || json_append_string(texts, text) != 0;
    failed = json_set(errors, field, texts) != 0 || failed;
    failed = json_set(root, "errors", errors) != 0 || failed;
    if (failed) {
        json_free(root);
        root = NULL;
    }
    call_reply_json(call, 422, root);
}

void call_add_header(struct call *call, const char *name, const char *format, ...)
{
    if (call->header_count == CALL_HEADERS_MAX)
        return;
    struct call_header *header = &call->headers[call->header_count++];
    va_list arguments;
    va_start(arguments, format);
    (void)snprintf(header->name, sizeof header->name, "%s", name);
    (void)vsnprintf(header->value, sizeof header->value, format, arguments);
    va_end(arguments);
}

struct json *call_json(struct call *call)
{
    if (!text_is_utf8(call->body.data ? call->body.data : "", call->body.length)) {
        call_reply_invalid(call, "body", "The body must be valid UTF-8.");
        return NULL;
    }
    struct json *body = NULL;
    if (call->body.length == 0 ||
        json_parse(&body, call->body.data, call->body.length, NULL) != 0) {
        call_reply_message(call, 400, "The body is no JSON.");
        return NULL;
    }
    if (!json_is_object(body)) {
        call_reply_message(call, 400, "The body must be a JSON object.");
        json_free(body);
        return NULL;
    }
    return body;
}
