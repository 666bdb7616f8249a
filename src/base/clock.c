/* The machine's clocks, and the three written forms of time that the bridge reads or writes. */
#include "aurabridge/clock.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

static int64_t read_clock(clockid_t id)
{
    struct timespec now;
    (void)clock_gettime(id, &now); /* cannot fail for the two clocks used here */
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static int64_t system_wall(void *context)
{
    (void)context;
    return read_clock(CLOCK_REALTIME);
}

static int64_t system_monotonic(void *context)
{
    (void)context;
    return read_clock(CLOCK_MONOTONIC);
}

const struct clock *clock_system(void)
{
    static const struct clock machine = {NULL, system_wall, system_monotonic};
    return &machine;
}

int64_t clock_wall_ms(const struct clock *clock)
{
    return clock->wall_ms(clock->context);
}

int64_t clock_monotonic_ms(const struct clock *clock)
{
    return clock->monotonic_ms(clock->context);
}

void clock_format_rfc3339(char out[CLOCK_RFC3339_SIZE], int64_t wall_ms)
{
    int64_t seconds = wall_ms / 1000;
    int64_t millis = wall_ms % 1000;
    if (millis < 0) {
        millis += 1000;
        seconds--;
    }
    time_t whole = (time_t)seconds;
    struct tm utc;
    if (!gmtime_r(&whole, &utc)) {
        (void)snprintf(out, CLOCK_RFC3339_SIZE, "?");
        return;
    }
    char date[24];
    (void)strftime(date, sizeof date, "%Y-%m-%dT%H:%M:%S", &utc);
    (void)snprintf(out, CLOCK_RFC3339_SIZE, "%s.%03dZ", date, (int)millis);
}

static int64_t from_utc(struct tm *utc, int millis)
{
    return (int64_t)timegm(utc) * 1000 + millis;
}

static const char *read_fraction(const char *at, int *millis)
{
    *millis = 0;
    if (*at != '.')
        return at;
    int scale = 100;
    for (at++; *at >= '0' && *at <= '9'; at++) {
        *millis += (*at - '0') * scale;
        scale /= 10;
    }
    return at;
}

int clock_parse_rfc3339(int64_t *wall_ms, const char *text)
{
    struct tm utc = {0};
    const char *at = strptime(text, "%Y-%m-%d", &utc);
    if (!at || (*at != 'T' && *at != 't' && *at != ' '))
        return -1;
    at = strptime(at + 1, "%H:%M:%S", &utc);
    if (!at)
        return -1;
    int millis = 0;
    at = read_fraction(at, &millis);
    int64_t offset_minutes = 0;
    if (*at == '+' || *at == '-') {
        int hours = 0;
        int minutes = 0;
        int used = 0;
        if (sscanf(at + 1, "%2d:%2d%n", &hours, &minutes, &used) != 2 || at[1 + used] != '\0')
            return -1;
        offset_minutes = (*at == '-' ? -1 : 1) * (hours * 60 + minutes);
    } else if ((*at != 'Z' && *at != 'z') || at[1] != '\0') {
        return -1;
    }
    *wall_ms = from_utc(&utc, millis) - offset_minutes * 60000;
    return 0;
}

int clock_parse_http_date(int64_t *wall_ms, const char *text)
{
    struct tm utc = {0};
    const char *end = strptime(text, "%a, %d %b %Y %H:%M:%S", &utc);
    if (!end || strcmp(end, " GMT") != 0)
        return -1;
    *wall_ms = from_utc(&utc, 0);
    return 0;
}
