/* The text of a failure. What a server sends is foreign: it is cut, made one line, and repaired
 * where it is no UTF-8, before it gets near a log or a database. */
#include "failure_text.h"

#include "aurabridge/buffer.h"

#include <string.h>

#define MAX_FAILURE_TEXT 4096

/* Bytes of the UTF-8 character at `text` (RFC 3629), 0 when it is none. */
static size_t character_length(const unsigned char *text, size_t left)
{
    unsigned char first = text[0];
    size_t length = first < 0x80 ? 1 : first < 0xC2 ? 0 : first < 0xE0 ? 2 : first < 0xF0 ? 3 : 4;
    if (length == 0 || first > 0xF4 || length > left)
        return 0;
    for (size_t i = 1; i < length; i++) {
        if ((text[i] & 0xC0) != 0x80)
            return 0;
    }
    if ((first == 0xE0 && text[1] < 0xA0) || (first == 0xED && text[1] > 0x9F) ||
        (first == 0xF0 && text[1] < 0x90) || (first == 0xF4 && text[1] > 0x8F))
        return 0;
    return length;
}

static void copy_clean(char *out, size_t size, const char *text, size_t length)
{
    size_t used = 0;
    for (size_t i = 0; i < length;) {
        const unsigned char *at = (const unsigned char *)text + i;
        size_t step = character_length(at, length - i);
        if (used + (step ? step : 1) >= size)
            break;
        if (step == 0)
            out[used++] = '?';
        else if (*at < 0x20 || *at == 0x7F)
            out[used++] = ' ';
        else
            for (size_t k = 0; k < step; k++)
                out[used++] = (char)at[k];
        i += step ? step : 1;
    }
    out[used] = '\0';
}

static int join(struct buffer *out, const char *text)
{
    size_t room = out->maximum - out->length;
    if (!text || !*text)
        return 0;
    if (out->length > 0 && (room < 1 || buffer_append_text(out, " ") != 0))
        return -1;
    room = out->maximum - out->length;
    size_t length = strlen(text);
    return buffer_append(out, text, length < room ? length : room);
}

/* {"field": ["text", …]}: all texts, in order. A plain text in the place of the list is taken. */
static void join_errors(struct buffer *out, const struct json *errors)
{
    for (const struct json *field = json_first(errors); field; field = json_next(field)) {
        if (json_is_string(field)) {
            (void)join(out, json_text(field));
            continue;
        }
        for (const struct json *text = json_first(field); text; text = json_next(text))
            (void)join(out, json_text(text));
    }
}

void failure_text_read(char *out, size_t size, const struct json *body,
                       const struct redaction *sent)
{
    struct buffer text;
    buffer_init(&text, MAX_FAILURE_TEXT);
    join_errors(&text, json_get(body, "errors"));
    if (text.length == 0)
        (void)join(&text, json_text(json_get(json_get(body, "error"), "message")));
    if (text.length == 0)
        (void)join(&text, json_text(json_get(body, "message")));
    if (text.length > 0)
        redact(text.data, sent);
    copy_clean(out, size, text.data, text.length);
    buffer_free(&text);
}
