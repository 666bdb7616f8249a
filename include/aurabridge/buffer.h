/* A growing byte buffer that is born with its maximum. `data` is always terminated by a NUL that
 * `length` does not count. Not thread-safe.
 */
#ifndef AURABRIDGE_BUFFER_H
#define AURABRIDGE_BUFFER_H

#include <stddef.h>

struct buffer {
    char *data; /* owned; never null after buffer_init */
    size_t length;
    size_t capacity;
    size_t maximum; /* bytes that `length` never exceeds */
};

/* Makes an empty buffer; allocates nothing. */
void buffer_init(struct buffer *buffer, size_t maximum);

/* Appends. Returns 0, or -1 with the buffer unchanged when the maximum would be exceeded or memory
 * is short. */
int buffer_append(struct buffer *buffer, const void *bytes, size_t length);
int buffer_append_text(struct buffer *buffer, const char *text);
int buffer_append_format(struct buffer *buffer, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Empties it, keeping its memory. */
void buffer_clear(struct buffer *buffer);

/* Frees the memory; the buffer may be used again. */
void buffer_free(struct buffer *buffer);

#endif
