/* The log. A line is built whole and written in one call, so that lines of threads never mix. */
#include "aurabridge/log.h"

#include "aurabridge/clock.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static _Atomic enum log_level log_threshold = LOG_LEVEL_INFO;

void log_set_level(enum log_level level)
{
    atomic_store(&log_threshold, level);
}

static const char *level_name(enum log_level level)
{
    static const char *const names[] = {"error", "warning", "info", "debug"};
    return names[level];
}

static size_t escape(char *out, size_t size, const char *text)
{
    size_t used = 0;
    for (const unsigned char *at = (const unsigned char *)text; *at && used + 5 < size; at++) {
        if (*at >= 0x20 && *at != 0x7F)
            out[used++] = (char)*at;
        else
            used += (size_t)snprintf(out + used, size - used, "\\x%02x", *at);
    }
    return used;
}

void log_write(enum log_level level, const char *room, const char *format, ...)
{
    if (level > atomic_load(&log_threshold))
        return;
    char text[LOG_LINE_MAX];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);

    char now[CLOCK_RFC3339_SIZE];
    clock_format_rfc3339(now, clock_wall_ms(clock_system()));
    char line[LOG_LINE_MAX + 96];
    int head = snprintf(line, sizeof line, "%s %-7s %s: ", now, level_name(level), room);
    size_t length = (size_t)head;
    length += escape(line + length, sizeof line - length - 1, text);
    line[length++] = '\n';
    /* A log that cannot be written has nowhere to say so. */
    ssize_t written = write(STDERR_FILENO, line, length);
    (void)written;
}
