/* URLs: reference resolution (RFC 3986 5) and the Host header. Pure; knows http and https only,
 * since nothing else is ever called. Percent-escapes stay as they are. */
#include "aurabridge/http.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#define URL_MAX 8192

/* Pieces point into the text; a null `start` means that the part is not there at all. */
struct piece {
    const char *start;
    size_t length;
};

struct url {
    struct piece scheme, authority, path, query;
};

static bool is_clean(const char *text)
{
    size_t length = strnlen(text, URL_MAX + 1);
    for (size_t i = 0; i < length; i++) {
        unsigned char c = (unsigned char)text[i];
        if (c <= 0x20 || c >= 0x7F || c == '\\' || c == '"' || c == '<' || c == '>')
            return false;
    }
    return length <= URL_MAX;
}

static bool is_scheme(const char *text, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        char c = (char)(text[i] | 0x20);
        bool letter = c >= 'a' && c <= 'z';
        if (!letter && (i == 0 || !strchr("0123456789+-.", text[i])))
            return false;
    }
    return length > 0;
}

/* Splits by the expression of RFC 3986 appendix B; the fragment is dropped. */
static int split(struct url *out, const char *text)
{
    *out = (struct url){.path = {text, 0}};
    if (!is_clean(text))
        return -1;
    size_t colon = strcspn(text, ":/?#");
    if (text[colon] == ':' && is_scheme(text, colon)) {
        out->scheme = (struct piece){text, colon};
        text += colon + 1;
    }
    if (strncmp(text, "//", 2) == 0) {
        out->authority = (struct piece){text + 2, strcspn(text + 2, "/?#")};
        text += 2 + out->authority.length;
    }
    out->path = (struct piece){text, strcspn(text, "?#")};
    text += out->path.length;
    if (*text == '?')
        out->query = (struct piece){text + 1, strcspn(text + 1, "#")};
    return 0;
}

static bool piece_is(const struct piece *piece, const char *text)
{
    return piece->start && piece->length == strlen(text) &&
           strncasecmp(piece->start, text, piece->length) == 0;
}

static bool is_http(const struct url *url)
{
    return (piece_is(&url->scheme, "http") || piece_is(&url->scheme, "https")) &&
           url->authority.start && url->authority.length > 0;
}

static int append(struct buffer *out, const struct piece *piece)
{
    return buffer_append(out, piece->start, piece->length);
}

/* RFC 3986 5.2.3: the reference's path in the place of the base's last segment. */
static int merge(struct buffer *out, const struct url *base, const struct url *reference)
{
    struct piece folder = base->path;
    while (folder.length > 0 && folder.start[folder.length - 1] != '/')
        folder.length--;
    if (folder.length == 0 && buffer_append_text(out, "/") != 0)
        return -1;
    return append(out, &folder) != 0 || append(out, &reference->path) != 0 ? -1 : 0;
}

/* RFC 3986 5.2.4, in place: `path` begins with "/", and what is kept never overtakes what is read.
 */
static void remove_dot_segments(char *path)
{
    char *end = path; /* of what is kept */
    for (const char *at = path; *at == '/';) {
        const char *segment = at + 1;
        size_t length = strcspn(segment, "/");
        bool last = segment[length] == '\0';
        bool one = length == 1 && segment[0] == '.';
        bool two = length == 2 && segment[0] == '.' && segment[1] == '.';
        if (two) {
            while (end > path && *--end != '/')
                continue;
        }
        if (!one && !two) {
            memmove(end, at, length + 1);
            end += length + 1;
        } else if (last) {
            *end++ = '/';
        }
        at = segment + length;
    }
    *end = '\0';
}

static int target_path(struct buffer *path, const struct url *base, const struct url *reference)
{
    int failed = 0;
    if (reference->authority.start || (reference->path.length > 0 && *reference->path.start == '/'))
        failed = append(path, &reference->path);
    else if (reference->path.length == 0)
        failed = append(path, &base->path);
    else
        failed = merge(path, base, reference);
    if (failed)
        return -1;
    if (path->length == 0)
        return buffer_append_text(path, "/");
    if (path->data[0] != '/')
        return -1;
    remove_dot_segments(path->data);
    path->length = strlen(path->data);
    return 0;
}

static int print(char *out, size_t size, const struct url *base, const struct url *reference,
                 const struct buffer *path)
{
    const struct piece *scheme = reference->scheme.start ? &reference->scheme : &base->scheme;
    const struct piece *authority =
        reference->authority.start ? &reference->authority : &base->authority;
    struct piece query = reference->query;
    if (!reference->authority.start && reference->path.length == 0 && !query.start)
        query = base->query;
    int length =
        snprintf(out, size, "%.*s://%.*s%s%s%.*s", (int)scheme->length, scheme->start,
                 (int)authority->length, authority->start, path->data, query.start ? "?" : "",
                 (int)query.length, query.start ? query.start : "");
    return length < 0 || (size_t)length >= size ? -1 : 0;
}

int http_resolve_url(char *out, size_t size, const char *base, const char *location)
{
    struct url from;
    struct url reference;
    if (split(&from, base) != 0 || !is_http(&from) || split(&reference, location) != 0)
        return -1;
    if (reference.scheme.start && !is_http(&reference))
        return -1;
    if (reference.authority.start && reference.authority.length == 0)
        return -1;
    struct buffer path;
    buffer_init(&path, URL_MAX * 2);
    int result = target_path(&path, &from, &reference);
    if (result == 0)
        result = print(out, size, &from, &reference, &path);
    buffer_free(&path);
    return result;
}

/* ---- the Host header ---- */

static bool is_host(const struct piece *host)
{
    static const char name[] = "-._~abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
    static const char address[] = ":.abcdefABCDEF0123456789";
    if (host->length == 0)
        return false;
    if (host->start[0] == '[')
        return host->length > 2 && host->start[host->length - 1] == ']' &&
               strspn(host->start + 1, address) == host->length - 2;
    return strspn(host->start, name) >= host->length;
}

/* The port after the colon; `fallback` when there is none, -1 when it is no port. */
static long read_port(const char *text, size_t length, long fallback)
{
    long port = 0;
    if (length == 0)
        return fallback;
    for (size_t i = 0; i < length; i++) {
        if (text[i] < '0' || text[i] > '9' || port > 65535)
            return -1;
        port = port * 10 + (text[i] - '0');
    }
    return port > 0 && port <= 65535 ? port : -1;
}

/* Splits what stands after the user information, which is no part of Host. */
static int split_authority(const struct piece *authority, struct piece *host, struct piece *port)
{
    const char *end = authority->start + authority->length;
    const char *start = authority->start;
    for (const char *at = start; at < end; at++) {
        if (*at == '@')
            start = at + 1;
    }
    const char *stop = start;
    if (start < end && *start == '[') {
        while (stop < end && *stop != ']')
            stop++;
        stop += stop < end;
    } else {
        while (stop < end && *stop != ':')
            stop++;
    }
    if (stop < end && *stop != ':')
        return -1;
    *host = (struct piece){start, (size_t)(stop - start)};
    *port =
        stop < end ? (struct piece){stop + 1, (size_t)(end - stop - 1)} : (struct piece){end, 0};
    return 0;
}

int http_host_of(char *out, size_t size, const char *url)
{
    struct url parts;
    struct piece host;
    struct piece port_text;
    if (split(&parts, url) != 0 || !is_http(&parts) ||
        split_authority(&parts.authority, &host, &port_text) != 0 || !is_host(&host))
        return -1;
    long fallback = piece_is(&parts.scheme, "https") ? 443 : 80;
    long port = read_port(port_text.start, port_text.length, fallback);
    if (port < 0)
        return -1;
    int length = port == fallback
                     ? snprintf(out, size, "%.*s", (int)host.length, host.start)
                     : snprintf(out, size, "%.*s:%ld", (int)host.length, host.start, port);
    return length < 0 || (size_t)length >= size ? -1 : 0;
}
