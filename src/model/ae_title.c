/* AE titles and the patterns that people write for them. */
#include "aurabridge/ae_title.h"

#include <string.h>

int ae_title_from_field(char out[AE_TITLE_SIZE], const void *field, size_t length)
{
    const char *at = field;
    out[0] = '\0';
    const char *end = memchr(at, '\0', length);
    if (end)
        length = (size_t)(end - at);
    while (length > 0 && *at == ' ') {
        at++;
        length--;
    }
    while (length > 0 && at[length - 1] == ' ')
        length--;
    if (length == 0 || length > AE_TITLE_MAX)
        return -1;
    for (size_t i = 0; i < length; i++) {
        if (at[i] < 0x20 || at[i] > 0x7E || at[i] == '\\')
            return -1;
    }
    memcpy(out, at, length);
    out[length] = '\0';
    return 0;
}

/* Greedy match with one point to come back to: linear in memory, at most quadratic in time over 16
 * characters. */
bool ae_title_matches(const char *pattern, const char *title)
{
    const char *star = NULL;
    const char *resume = NULL;
    while (*title) {
        if (*pattern == '*') {
            star = pattern++;
            resume = title;
        } else if (*pattern == '?' || *pattern == *title) {
            pattern++;
            title++;
        } else if (star) {
            pattern = star + 1;
            title = ++resume;
        } else {
            return false;
        }
    }
    while (*pattern == '*')
        pattern++;
    return *pattern == '\0';
}

bool ae_title_pattern_covers(const char *wide, const char *narrow)
{
    if (strcmp(wide, narrow) == 0)
        return true;
    /* A title cannot hold these two as wildcards, so reading `narrow` as text is exact as long as
     * `wide` has no "?" that would swallow a "*". */
    if (strchr(narrow, '*') && strchr(wide, '?'))
        return false;
    return ae_title_matches(wide, narrow);
}

#define PATTERN_MAX (2 * AE_TITLE_MAX)

/* meets[i][j]: the rests a + i and b + j have a text in common. From the ends to the starts. */
bool ae_title_patterns_meet(const char *a, const char *b)
{
    bool meets[PATTERN_MAX + 1][PATTERN_MAX + 1] = {{false}};
    size_t a_length = strlen(a);
    size_t b_length = strlen(b);
    if (a_length > PATTERN_MAX || b_length > PATTERN_MAX)
        return true;
    for (size_t i = a_length + 1; i-- > 0;) {
        for (size_t j = b_length + 1; j-- > 0;) {
            bool a_ends = i == a_length;
            bool b_ends = j == b_length;
            if (a_ends && b_ends)
                meets[i][j] = true;
            else if (a[i] == '*')
                meets[i][j] = meets[i + 1][j] || (!b_ends && meets[i][j + 1]);
            else if (b[j] == '*')
                meets[i][j] = meets[i][j + 1] || (!a_ends && meets[i + 1][j]);
            else if (!a_ends && !b_ends && (a[i] == b[j] || a[i] == '?' || b[j] == '?'))
                meets[i][j] = meets[i + 1][j + 1];
        }
    }
    return meets[0][0];
}
