/* Random identifiers from the system's generator. Thread-safe. Return 0, or -1 when it fails. */
#ifndef AURABRIDGE_IDENTIFIER_H
#define AURABRIDGE_IDENTIFIER_H

#include <stddef.h>

#define UUID_SIZE 37 /* with the NUL */

/* A UUID v4, lower case (RFC 9562 5.4). */
int uuid_v4(char out[UUID_SIZE]);

int random_bytes(void *bytes, size_t length);

/* 2 × `bytes` hex digits and a NUL. */
int random_hex(char *out, size_t bytes);

/* An unsigned number below `bound` (> 0), for jitter. */
unsigned random_below(unsigned bound);

#endif
