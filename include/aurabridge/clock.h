/* Time: monotonic for deadlines, wall clock for what people and servers see. Both only from here,
 * so that tests own time. All figures are milliseconds. Thread-safe.
 */
#ifndef AURABRIDGE_CLOCK_H
#define AURABRIDGE_CLOCK_H

#include <stdint.h>

struct clock {
    void *context;
    int64_t (*wall_ms)(void *context);      /* since 1970-01-01T00:00:00Z */
    int64_t (*monotonic_ms)(void *context); /* since an arbitrary start, never backwards */
};

/* The machine's clocks; lives as long as the process. */
const struct clock *clock_system(void);

int64_t clock_wall_ms(const struct clock *clock);
int64_t clock_monotonic_ms(const struct clock *clock);

/* Writes `wall_ms` as "2026-11-23T09:05:07.123Z" (RFC 3339). */
#define CLOCK_RFC3339_SIZE 32
void clock_format_rfc3339(char out[CLOCK_RFC3339_SIZE], int64_t wall_ms);

/* Reads an RFC 3339 time with "Z" or a numeric offset. Returns 0, or -1 when it is none. */
int clock_parse_rfc3339(int64_t *wall_ms, const char *text);

/* Reads an HTTP date (RFC 9110 5.6.7, the IMF-fixdate form). Returns 0, or -1 when it is none. */
int clock_parse_http_date(int64_t *wall_ms, const char *text);

#endif
