/* Checks of text that several calls need. Pure functions. */
#ifndef SANDBOX_TEXT_H
#define SANDBOX_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* RFC 3629: no overlong forms, no surrogates, nothing above U+10FFFF. */
bool text_is_utf8(const char *bytes, size_t length);

/* Puts "?" in place of each byte that is not ASCII, when the text is not valid UTF-8. */
void text_repair_utf8(char *text);

/* A UUID v4 in its 36 characters, either case (RFC 9562 5.4). */
bool text_is_uuid_v4(const char *text);

/* A decimal number without sign. Returns 0, or -1 when it is none or too large. */
int text_to_number(uint64_t *out, const char *text);

/* Compares without telling by its time where the texts differ. */
bool text_equals_secret(const char *given, const char *expected);

/* "Mon, 23 Nov 2026 09:05:07 GMT" (RFC 9110 5.6.7). */
#define TEXT_HTTP_DATE_SIZE 40
void text_http_date(char out[TEXT_HTTP_DATE_SIZE], int64_t wall_ms);

#endif
