/* Bounded copies of text. */
#include "aurabridge/text.h"

#include <string.h>

void text_copy(char *out, size_t size, const char *from)
{
    size_t length = strnlen(from, size);
    if (length == size) {
        length = size - 1;
        while (length > 0 && ((unsigned char)from[length] & 0xC0) == 0x80)
            length--;
    }
    memmove(out, from, length);
    out[length] = '\0';
}
