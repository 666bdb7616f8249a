/* Bounded copies of text. Pure functions. */
#ifndef AURABRIDGE_TEXT_H
#define AURABRIDGE_TEXT_H

#include <stddef.h>

/* Copies at most size - 1 bytes of `from`, cut at a UTF-8 character, and terminates. `size` > 0. */
void text_copy(char *out, size_t size, const char *from);

#endif
