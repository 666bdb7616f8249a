/* Application entity titles (PS3.5 6.2, VR AE): at most 16 characters, padding not significant.
 * Pure functions.
 */
#ifndef AURABRIDGE_AE_TITLE_H
#define AURABRIDGE_AE_TITLE_H

#include <stdbool.h>
#include <stddef.h>

#define AE_TITLE_MAX  16
#define AE_TITLE_SIZE 17 /* with the NUL */

/* Copies without leading and trailing spaces. Returns 0, or -1 when nothing is left, it is too
 * long, or it has control characters or a backslash; `out` is then "". */
int ae_title_from_field(char out[AE_TITLE_SIZE], const void *field, size_t length);

/* Whether `title` matches `pattern`, in which "*" stands for any run and "?" for any one
 * character. Case counts, as the standard has it. */
bool ae_title_matches(const char *pattern, const char *title);

/* Whether every title that matches `narrow` also matches `wide`; may say false for exotic
 * patterns, never true wrongly. */
bool ae_title_pattern_covers(const char *wide, const char *narrow);

/* Whether some text matches both patterns, of at most 2 * AE_TITLE_MAX characters. The length of a
 * title does not count, so it may say true for exotic patterns, never false wrongly. */
bool ae_title_patterns_meet(const char *a, const char *b);

#endif
