/* Error texts. Guarantees a terminated text whatever the arguments; allocates nothing. */
#include "aurabridge/error.h"

#include <stdio.h>
#include <string.h>

static void append(char *text, const char *more)
{
    size_t used = strlen(text);
    (void)snprintf(text + used, ERROR_TEXT_MAX - used, "%s", more);
}

int error_set(struct error *err, const char *format, ...)
{
    if (!err)
        return -1;
    char text[ERROR_TEXT_MAX];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    memcpy(err->text, text, sizeof text);
    return -1;
}

int error_errno(struct error *err, int errnum, const char *format, ...)
{
    if (!err)
        return -1;
    char text[ERROR_TEXT_MAX];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    char reason[128];
    append(text, ": ");
    append(text, strerror_r(errnum, reason, sizeof reason));
    memcpy(err->text, text, sizeof text);
    return -1;
}

int error_wrap(struct error *err, const char *format, ...)
{
    if (!err)
        return -1;
    char text[ERROR_TEXT_MAX];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    append(text, ": ");
    append(text, err->text);
    memcpy(err->text, text, sizeof text);
    return -1;
}
