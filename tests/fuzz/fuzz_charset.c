/* Character set conversion on any bytes: the output is always terminated, fits, and is valid UTF-8
 * without controls. Up to the first newline the input is Specific Character Set.
 */
#include "aurabridge/charset.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* An UTF-8 check of its own. */
static void check_text(const char *text)
{
    const uint8_t *at = (const uint8_t *)text;
    while (*at) {
        size_t more = *at < 0x80 ? 0 : *at >= 0xF0 ? 3 : *at >= 0xE0 ? 2 : 1;
        uint32_t code_point = more == 0 ? *at : *at & (0x3FU >> more);
        if ((*at >= 0x80 && *at < 0xC2) || *at > 0xF4)
            abort();
        for (at++; more > 0; more--, at++) {
            if ((*at & 0xC0) != 0x80)
                abort();
            code_point = code_point << 6 | (*at & 0x3F);
        }
        if (code_point < 0x20 || (code_point >= 0x7F && code_point < 0xA0) ||
            (code_point >= 0xD800 && code_point < 0xE000) || code_point > 0x10FFFF)
            abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2)
        return 0;
    char character_set[64] = "";
    size_t out_size = data[0] + 1U;
    const char *fallback = data[1] & 1 ? "ISO_IR 126" : NULL;
    enum charset_value kind = data[1] & 2 ? CHARSET_PERSON_NAME : CHARSET_TEXT;
    data += 2;
    size -= 2;
    const uint8_t *newline = size > 0 ? memchr(data, '\n', size) : NULL;
    if (newline && (size_t)(newline - data) < sizeof character_set) {
        size_t length = (size_t)(newline - data);
        memcpy(character_set, data, length);
        data += length + 1;
        size -= length + 1;
    }
    char *out = malloc(out_size);
    uint8_t *exact = malloc(size + 1);
    if (!out || !exact)
        abort();
    memcpy(exact + 1, data, size);
    size_t length = charset_to_utf8(out, out_size, character_set, fallback, kind, exact + 1, size);
    if (length >= out_size || strlen(out) != length)
        abort();
    check_text(out);
    free(exact);
    free(out);
    return 0;
}
