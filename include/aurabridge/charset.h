/* Specific Character Set to UTF-8 (PS3.3 C.12.1.1.2, PS3.5 chapter 6 and annexes H–K): ISO_IR
 * single-byte sets, ISO 2022 code extensions, UTF-8, GB18030, GBK. Broken or mislabelled text still
 * gives valid UTF-8: the configured default, then UTF-8, then Latin-1 is tried. Thread-safe;
 * converters are per call or per thread.
 */
#ifndef AURABRIDGE_CHARSET_H
#define AURABRIDGE_CHARSET_H

#include <stdbool.h>
#include <stddef.h>

/* How the value is built, as code extensions are reset at its delimiters. */
enum charset_value {
    CHARSET_TEXT,       /* LO, SH, UC, …: reset at backslash */
    CHARSET_PERSON_NAME /* PN: reset at "^", "=" and backslash too */
};

/* Converts one attribute value (all of its values, backslashes kept) to valid UTF-8, trimmed of
 * padding, and of trailing "=" and "^" for names; controls are dropped, line ends and tabs become
 * spaces. `character_set` is the raw (0008,0005) value, ""
 * when absent; `fallback` a defined term or null. Always writes a terminated text of at most
 * `size` - 1 bytes, cut at a character. Returns its length. */
size_t charset_to_utf8(char *out, size_t size, const char *character_set, const char *fallback,
                       enum charset_value kind, const void *bytes, size_t length);

/* Whether the defined term is one that this module knows. */
bool charset_is_known(const char *defined_term);

#endif
