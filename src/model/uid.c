/* UIDs: the check that stands between the wire and every path and query. */
#include "aurabridge/uid.h"

#include <string.h>

bool uid_is_valid(const char *uid)
{
    size_t length = 0;
    char before = '.';
    for (; uid[length]; length++) {
        char c = uid[length];
        if (length == UID_MAX || (c != '.' && (c < '0' || c > '9')) || (c == '.' && before == '.'))
            return false;
        before = c;
    }
    return length > 0 && before != '.';
}

int uid_from_field(char out[UID_SIZE], const void *field, size_t length)
{
    const char *at = field;
    out[0] = '\0';
    while (length > 0 && *at == ' ') {
        at++;
        length--;
    }
    while (length > 0 && (at[length - 1] == ' ' || at[length - 1] == '\0'))
        length--;
    if (length == 0 || length > UID_MAX || memchr(at, '\0', length))
        return -1;
    memcpy(out, at, length);
    out[length] = '\0';
    if (uid_is_valid(out))
        return 0;
    out[0] = '\0';
    return -1;
}
