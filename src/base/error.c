/* Error texts. Guarantees one terminated line whatever the arguments, which may come from files and
 * peers; allocates nothing. */
#include "aurabridge/error.h"

#include <stdio.h>
#include <string.h>

static void append(char *text, const char *more)
{
    size_t used = strlen(text);
    (void)snprintf(text + used, ERROR_TEXT_MAX - used, "%s", more);
}

/* Into a text of its own first: the arguments may include err->text. */
static void format_text(char text[ERROR_TEXT_MAX], const char *format, va_list arguments)
{
    (void)vsnprintf(text, ERROR_TEXT_MAX, format, arguments);
    for (char *at = text; *at; at++)
        if ((unsigned char)*at < 0x20 || *at == 0x7F)
            *at = '?';
}

int error_set(struct error *err, const char *format, ...)
{
    char text[ERROR_TEXT_MAX];
    va_list arguments;
    va_start(arguments, format);
    format_text(text, format, arguments);
    va_end(arguments);
    if (err)
        memcpy(err->text, text, sizeof text);
    return -1;
}

int error_errno(struct error *err, int errnum, const char *format, ...)
{
    char text[ERROR_TEXT_MAX];
    char reason[128];
    va_list arguments;
    va_start(arguments, format);
    format_text(text, format, arguments);
    va_end(arguments);
    append(text, ": ");
    append(text, strerror_r(errnum, reason, sizeof reason));
    if (err)
        memcpy(err->text, text, sizeof text);
    return -1;
}

int error_wrap(struct error *err, const char *format, ...)
{
    char text[ERROR_TEXT_MAX];
    va_list arguments;
    va_start(arguments, format);
    format_text(text, format, arguments);
    va_end(arguments);
    append(text, ": ");
    if (!err)
        return -1;
    append(text, err->text);
    memcpy(err->text, text, sizeof text);
    return -1;
}
