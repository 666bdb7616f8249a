/* Durations and sizes as people write them: "30s", "2m", "24h", "90d", "500ms"; "5GiB", "8MiB",
 * "128KiB", "1000" (bytes) and the decimal "5GB"; rates: "20Mbit/s". Pure functions.
 */
#ifndef AURABRIDGE_UNITS_H
#define AURABRIDGE_UNITS_H

#include <stddef.h>
#include <stdint.h>

/* Return 0, or -1 when the text is no duration or size, or is out of range. A duration needs a
 * unit (only "0" needs none). */
int units_parse_duration(int64_t *milliseconds, const char *text);
int units_parse_size(uint64_t *bytes, const char *text);

/* A rate as networks are sold: "20Mbit/s", "512kbit/s", "1Gbit/s", into bytes a second. */
int units_parse_rate(uint64_t *bytes_per_second, const char *text);
#define UNITS_TEXT_SIZE 32
/* "20 Mbit/s". */
void units_format_rate(char out[UNITS_TEXT_SIZE], uint64_t bytes_per_second);
/* "1.2 GiB", "512 bytes". */
void units_format_size(char out[UNITS_TEXT_SIZE], uint64_t bytes);
/* "1.5 s", "2 min", "3 h 5 min". */
void units_format_duration(char out[UNITS_TEXT_SIZE], int64_t milliseconds);

#endif
