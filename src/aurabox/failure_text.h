/* What a failed call says in the server's own words. Pure. */
#ifndef AURABRIDGE_AURABOX_FAILURE_TEXT_H
#define AURABRIDGE_AURABOX_FAILURE_TEXT_H

#include "redact.h"

#include "aurabridge/json.h"

#include <stddef.h>

/* Reads the three failure shapes of section 2 in their order. `out` becomes one line of valid
 * UTF-8 without control characters, without what was `sent`, cut to `size`; "" when none of the
 * shapes is there. */
void failure_text_read(char *out, size_t size, const struct json *body,
                       const struct redaction *sent);

#endif
