/* Growing buffer: doubles up to its maximum, never beyond. */
#include "aurabridge/buffer.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What an empty buffer points to; never written. */
static char empty_text[1];

void buffer_init(struct buffer *buffer, size_t maximum)
{
    *buffer = (struct buffer){.data = empty_text, .maximum = maximum};
}

static int reserve(struct buffer *buffer, size_t more)
{
    if (more > buffer->maximum - buffer->length)
        return -1;
    size_t needed = buffer->length + more;
    if (needed <= buffer->capacity && buffer->capacity > 0)
        return 0;
    size_t capacity = buffer->capacity ? buffer->capacity : 64;
    while (capacity < needed)
        capacity = capacity > buffer->maximum / 2 ? buffer->maximum : capacity * 2;
    char *data = realloc(buffer->capacity ? buffer->data : NULL, capacity + 1);
    if (!data)
        return -1;
    buffer->data = data;
    buffer->capacity = capacity;
    buffer->data[buffer->length] = '\0';
    return 0;
}

int buffer_append(struct buffer *buffer, const void *bytes, size_t length)
{
    if (length == 0)
        return 0;
    if (reserve(buffer, length) != 0)
        return -1;
    memcpy(buffer->data + buffer->length, bytes, length);
    buffer->length += length;
    buffer->data[buffer->length] = '\0';
    return 0;
}

int buffer_append_text(struct buffer *buffer, const char *text)
{
    return buffer_append(buffer, text, strlen(text));
}

int buffer_append_format(struct buffer *buffer, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(NULL, 0, format, arguments);
    va_end(arguments);
    if (length < 0)
        return -1;
    if (length == 0)
        return 0;
    if (reserve(buffer, (size_t)length) != 0)
        return -1;
    va_start(arguments, format);
    (void)vsnprintf(buffer->data + buffer->length, (size_t)length + 1, format, arguments);
    va_end(arguments);
    buffer->length += (size_t)length;
    return 0;
}

void buffer_clear(struct buffer *buffer)
{
    buffer->length = 0;
    if (buffer->capacity)
        buffer->data[0] = '\0';
}

void buffer_free(struct buffer *buffer)
{
    if (buffer->capacity)
        free(buffer->data);
    buffer_init(buffer, buffer->maximum);
}
