/* Unique identifiers (PS3.5 chapter 9). Pure functions. */
#ifndef AURABRIDGE_UID_H
#define AURABRIDGE_UID_H

#include <stdbool.h>
#include <stddef.h>

#define UID_MAX  64
#define UID_SIZE 65 /* with the NUL */

/* Digits and dots only, 1 to 64 of them, no empty component. Leading zeros are let through: real
 * devices write them, and they are harmless in a path. */
bool uid_is_valid(const char *uid);

/* Copies a UID field as it stands on the wire, less trailing NULs and spaces (and leading spaces).
 * Returns 0, or -1 when the rest is no valid UID; `out` is then "". */
int uid_from_field(char out[UID_SIZE], const void *field, size_t length);

#endif
