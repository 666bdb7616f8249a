/* Durations and sizes. */
#include "aurabridge/units.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct unit {
    const char *name;
    uint64_t factor;
};

static const struct unit durations[] = {
    {"ms", 1}, {"s", 1000}, {"m", 60000}, {"h", 3600000}, {"d", 86400000},
};

static const struct unit sizes[] = {
    {"", 1},
    {"B", 1},
    {"KiB", 1ULL << 10},
    {"MiB", 1ULL << 20},
    {"GiB", 1ULL << 30},
    {"TiB", 1ULL << 40},
    {"kB", 1000ULL},
    {"KB", 1000ULL},
    {"MB", 1000000ULL},
    {"GB", 1000000000ULL},
    {"TB", 1000000000000ULL},
};

static const struct unit rates[] = {
    {"kbit/s", 1000ULL / 8}, {"Mbit/s", 1000000ULL / 8}, {"Gbit/s", 1000000000ULL / 8}};

static int parse(uint64_t *out, const char *text, const struct unit *units, size_t count)
{
    if (*text < '0' || *text > '9')
        return -1;
    char *end = NULL;
    errno = 0;
    uint64_t number = strtoull(text, &end, 10);
    if (errno != 0)
        return -1;
    while (*end == ' ')
        end++;
    for (size_t i = 0; i < count; i++) {
        if (strcmp(end, units[i].name) != 0)
            continue;
        if (number > (uint64_t)INT64_MAX / units[i].factor)
            return -1;
        *out = number * units[i].factor;
        return 0;
    }
    return -1;
}

int units_parse_duration(int64_t *milliseconds, const char *text)
{
    uint64_t value = 0;
    if (strcmp(text, "0") != 0 &&
        parse(&value, text, durations, sizeof durations / sizeof *durations) != 0)
        return -1;
    *milliseconds = (int64_t)value;
    return 0;
}

int units_parse_size(uint64_t *bytes, const char *text)
{
    return parse(bytes, text, sizes, sizeof sizes / sizeof *sizes);
}

int units_parse_rate(uint64_t *bytes_per_second, const char *text)
{
    return parse(bytes_per_second, text, rates, sizeof rates / sizeof *rates);
}

void units_format_rate(char out[UNITS_TEXT_SIZE], uint64_t bytes_per_second)
{
    double bits = (double)bytes_per_second * 8;
    const char *unit = bits < 1e6 ? "kbit/s" : bits < 1e9 ? "Mbit/s" : "Gbit/s";
    double scale = bits < 1e6 ? 1e3 : bits < 1e9 ? 1e6 : 1e9;
    (void)snprintf(out, UNITS_TEXT_SIZE, "%.3g %s", bits / scale, unit);
}

void units_format_size(char out[UNITS_TEXT_SIZE], uint64_t bytes)
{
    static const char *const names[] = {"bytes", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
    if (bytes < 1024) {
        (void)snprintf(out, UNITS_TEXT_SIZE, "%" PRIu64 " bytes", bytes);
        return;
    }
    double value = (double)bytes;
    size_t unit = 0;
    while (value >= 1024 && unit + 1 < sizeof names / sizeof *names) {
        value /= 1024;
        unit++;
    }
    (void)snprintf(out, UNITS_TEXT_SIZE, "%.1f %s", value, names[unit]);
}

void units_format_duration(char out[UNITS_TEXT_SIZE], int64_t milliseconds)
{
    int64_t seconds = milliseconds / 1000;
    if (milliseconds < 60000)
        (void)snprintf(out, UNITS_TEXT_SIZE, "%.1f s", (double)milliseconds / 1000);
    else if (seconds < 3600)
        (void)snprintf(out, UNITS_TEXT_SIZE, "%" PRId64 " min", seconds / 60);
    else if (seconds < 172800)
        (void)snprintf(out, UNITS_TEXT_SIZE, "%" PRId64 " h %" PRId64 " min", seconds / 3600,
                       seconds % 3600 / 60);
    else
        (void)snprintf(out, UNITS_TEXT_SIZE, "%" PRId64 " days", seconds / 86400);
}
