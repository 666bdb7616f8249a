/* An error is one line for a person: what was attempted, on what, why it failed, what to do.
 *
 * Functions that can fail return 0, or a negative code and fill a caller-owned struct error. The
 * struct is plain data: no ownership, safe to copy, one thread at a time. A null `err` is allowed
 * everywhere and drops the text.
 */
#ifndef AURABRIDGE_ERROR_H
#define AURABRIDGE_ERROR_H

#include <stdarg.h>

#define ERROR_TEXT_MAX 1024

struct error {
    char text[ERROR_TEXT_MAX];
};

/* Writes the text and returns -1, so that `return error_set(err, …)` is one statement. The
 * arguments may include err->text itself. Control characters in them become "?", so that the text
 * stays one line. */
int error_set(struct error *err, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* As error_set, followed by ": " and the words for `errnum`. */
int error_errno(struct error *err, int errnum, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Puts the context, and ": ", before the text that stands there. Returns -1. */
int error_wrap(struct error *err, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
