/* Checks of text that comes from the wire. Pure; allocates nothing. */
#include "text.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

/* The number of bytes of the character at `p`, 0 when it is none. */
static size_t utf8_character(const unsigned char *p, size_t left)
{
    if (p[0] < 0x80)
        return 1;
    size_t size = p[0] >= 0xC2 && p[0] <= 0xDF   ? 2
                  : p[0] >= 0xE0 && p[0] <= 0xEF ? 3
                  : p[0] >= 0xF0 && p[0] <= 0xF4 ? 4
                                                 : 0;
    if (size == 0 || left < size)
        return 0;
    for (size_t i = 1; i < size; i++) {
        if ((p[i] & 0xC0) != 0x80)
            return 0;
    }
    if ((p[0] == 0xE0 && p[1] < 0xA0) || (p[0] == 0xED && p[1] > 0x9F) ||
        (p[0] == 0xF0 && p[1] < 0x90) || (p[0] == 0xF4 && p[1] > 0x8F))
        return 0;
    return size;
}

bool text_is_utf8(const char *bytes, size_t length)
{
    const unsigned char *p = (const unsigned char *)bytes;
    for (size_t at = 0; at < length;) {
        size_t size = utf8_character(p + at, length - at);
        if (size == 0)
            return false;
        at += size;
    }
    return true;
}

void text_repair_utf8(char *text)
{
    if (text_is_utf8(text, strlen(text)))
        return;
    for (char *p = text; *p; p++) {
        if ((unsigned char)*p >= 0x80)
            *p = '?';
    }
}

bool text_is_uuid_v4(const char *text)
{
    static const char shape[] = "xxxxxxxx-xxxx-4xxx-vxxx-xxxxxxxxxxxx";
    if (!text || strlen(text) != sizeof shape - 1)
        return false;
    for (size_t i = 0; shape[i]; i++) {
        char c = text[i];
        bool good = shape[i] == 'x'   ? isxdigit((unsigned char)c) != 0
                    : shape[i] == 'v' ? strchr("89abAB", c) != NULL
                                      : c == shape[i];
        if (!good)
            return false;
    }
    return true;
}

int text_to_number(uint64_t *out, const char *text)
{
    if (!text || !*text)
        return -1;
    uint64_t number = 0;
    for (; *text; text++) {
        if (*text < '0' || *text > '9' || number > (UINT64_MAX - 9) / 10)
            return -1;
        number = number * 10 + (uint64_t)(*text - '0');
    }
    *out = number;
    return 0;
}

bool text_equals_secret(const char *given, const char *expected)
{
    size_t given_length = strlen(given), length = strlen(expected);
    volatile unsigned char difference = given_length != length;
    for (size_t i = 0; i < length; i++) {
        unsigned char other = i < given_length ? (unsigned char)given[i] : 0;
        difference |= (unsigned char)(other ^ (unsigned char)expected[i]);
    }
    return difference == 0;
}

void text_http_date(char out[TEXT_HTTP_DATE_SIZE], int64_t wall_ms)
{
    static const char days[][4] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
    static const char months[][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                     "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    time_t seconds = (time_t)(wall_ms / 1000);
    struct tm parts;
    if (!gmtime_r(&seconds, &parts)) {
        out[0] = '\0';
        return;
    }
    (void)snprintf(out, TEXT_HTTP_DATE_SIZE, "%s, %02d %s %04d %02d:%02d:%02d GMT",
                   days[parts.tm_wday], parts.tm_mday, months[parts.tm_mon], parts.tm_year + 1900,
                   parts.tm_hour, parts.tm_min, parts.tm_sec);
}
