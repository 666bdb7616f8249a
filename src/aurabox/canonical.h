/* The canonical forms of AURA-HMAC-SHA256 (section 3, rules 4 to 6). Pure. */
#ifndef AURABRIDGE_AURABOX_CANONICAL_H
#define AURABRIDGE_AURABOX_CANONICAL_H

#include "aurabridge/buffer.h"

/* Each appends to `out` and returns 0, or -1 when it does not fit. `url` is absolute. */
int canonical_path(struct buffer *out, const char *url);
int canonical_query(struct buffer *out, const char *url);
/* Trimmed, inner white space collapsed. */
int canonical_value(struct buffer *out, const char *value);

#endif
