/* Canonical path, query and header values. What the signer makes must be what any server makes of
 * the same bytes on the wire, so nothing here depends on locale or configuration. */
#include "canonical.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define URL_MAX            8192
#define QUERY_PAIRS_MAX    1024
#define SEGMENT_LENGTH_MAX URL_MAX

static const char *path_of(const char *url, size_t *length)
{
    const char *authority = strstr(url, "://");
    const char *path = authority ? authority + 3 : url;
    path += strcspn(path, "/?#");
    *length = strcspn(path, "?#");
    return path;
}

/* ---- path ---- */

static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* A "%" that begins no escape stands for itself. Returns the decoded length. */
static size_t decode(unsigned char *out, const char *text, size_t length)
{
    size_t used = 0;
    for (size_t i = 0; i < length; i++) {
        int high = text[i] == '%' && i + 2 < length ? hex_value(text[i + 1]) : -1;
        int low = high >= 0 ? hex_value(text[i + 2]) : -1;
        if (low >= 0) {
            out[used++] = (unsigned char)(high * 16 + low);
            i += 2;
        } else {
            out[used++] = (unsigned char)text[i];
        }
    }
    return used;
}

static bool stays(unsigned char c)
{
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
           (c != '\0' && strchr("-_.!~*'()", c));
}

static int encode(struct buffer *out, const unsigned char *bytes, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        int failed = stays(bytes[i]) ? buffer_append(out, &bytes[i], 1)
                                     : buffer_append_format(out, "%%%02X", bytes[i]);
        if (failed)
            return -1;
    }
    return 0;
}

/* Takes the last segment back; `start` is where the path begins in `out`. */
static void climb(struct buffer *out, size_t start)
{
    while (out->length > start && out->data[out->length - 1] != '/')
        out->length--;
    if (out->length > start)
        out->length--;
    if (out->capacity)
        out->data[out->length] = '\0';
}

int canonical_path(struct buffer *out, const char *url)
{
    size_t left = 0;
    const char *at = path_of(url, &left);
    const size_t start = out->length;
    bool trailing = false;
    unsigned char decoded[SEGMENT_LENGTH_MAX];
    if (left > URL_MAX)
        return -1;
    while (left > 0) {
        at++; /* the slash */
        left--;
        const char *slash = memchr(at, '/', left);
        size_t length = slash ? (size_t)(slash - at) : left;
        size_t size = decode(decoded, at, length);
        bool one = size == 1 && decoded[0] == '.';
        bool two = size == 2 && decoded[0] == '.' && decoded[1] == '.';
        trailing = length == 0 || one || two;
        if (two)
            climb(out, start);
        else if (!trailing &&
                 (buffer_append_text(out, "/") != 0 || encode(out, decoded, size) != 0))
            return -1;
        at += length;
        left -= length;
    }
    return trailing || out->length == start ? buffer_append_text(out, "/") : 0;
}

/* ---- query ---- */

struct pair {
    const char *start;
    size_t length;
};

static int compare_pairs(const void *left, const void *right)
{
    const struct pair *a = left;
    const struct pair *b = right;
    size_t common = a->length < b->length ? a->length : b->length;
    int order = memcmp(a->start, b->start, common);
    if (order != 0)
        return order;
    return a->length < b->length ? -1 : a->length > b->length;
}

int canonical_query(struct buffer *out, const char *url)
{
    size_t path_length = 0;
    const char *at = path_of(url, &path_length) + path_length;
    struct pair pairs[QUERY_PAIRS_MAX];
    size_t count = 0;
    if (*at != '?' || at[1] == '\0' || at[1] == '#')
        return 0;
    do {
        at++; /* "?" or "&" */
        if (count == QUERY_PAIRS_MAX)
            return -1;
        pairs[count] = (struct pair){at, strcspn(at, "&#")};
        at += pairs[count++].length;
    } while (*at == '&');
    qsort(pairs, count, sizeof pairs[0], compare_pairs);
    for (size_t i = 0; i < count; i++) {
        if ((i > 0 && buffer_append_text(out, "&") != 0) ||
            buffer_append(out, pairs[i].start, pairs[i].length) != 0)
            return -1;
    }
    return 0;
}

/* ---- header values ---- */

int canonical_value(struct buffer *out, const char *value)
{
    static const char space[] = " \t\r\n\v\f";
    value += strspn(value, space);
    while (*value) {
        size_t length = strcspn(value, space);
        if (buffer_append(out, value, length) != 0)
            return -1;
        value += length;
        value += strspn(value, space);
        if (*value && buffer_append_text(out, " ") != 0)
            return -1;
    }
    return 0;
}
