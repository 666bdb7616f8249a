/* The table of coded character sets, and decoding of runs of bytes that lie in one set.
 *
 * ASCII, Latin-1, UTF-8 and JIS X 0201 are decoded here; the others through iconv, opened per run,
 * so that threads share no converter. What comes out is code points, and leaves through text_put.
 */
#include "coded_set.h"

#include <ctype.h>
#include <errno.h>
#include <iconv.h>
#include <stdatomic.h>
#include <string.h>
#include <wchar.h>

#define WINDOW 128 /* characters, or bytes of input, converted at a time */

static const struct coded_set sets[] = {
    {"6", "ASCII", "(B", NULL, NULL, CODED_SET_ASCII, true, true},
    {"100", "88591", "-A", NULL, NULL, CODED_SET_LATIN_1, true, true},
    {"101", "88592", "-B", "ISO-8859-2", NULL, CODED_SET_SINGLE, true, true},
    {"109", "88593", "-C", "ISO-8859-3", NULL, CODED_SET_SINGLE, true, true},
    {"110", "88594", "-D", "ISO-8859-4", NULL, CODED_SET_SINGLE, true, true},
    {"144", "88595", "-L", "ISO-8859-5", NULL, CODED_SET_SINGLE, true, true},
    {"127", "88596", "-G", "ISO-8859-6", NULL, CODED_SET_SINGLE, true, true},
    {"126", "88597", "-F", "ISO-8859-7", NULL, CODED_SET_SINGLE, true, true},
    {"138", "88598", "-H", "ISO-8859-8", NULL, CODED_SET_SINGLE, true, true},
    {"148", "88599", "-M", "ISO-8859-9", NULL, CODED_SET_SINGLE, true, true},
    {"203", "885915", "-b", "ISO-8859-15", NULL, CODED_SET_SINGLE, true, true},
    {"166", "TIS620", "-T", "TIS-620", "CP874", CODED_SET_SINGLE, true, true},
    {"13", "JISX0201", ")I", NULL, NULL, CODED_SET_KATAKANA, true, true},
    {"14", NULL, "(J", NULL, NULL, CODED_SET_KATAKANA, false, false}, /* romaji, by escape only */
    {"87", "2022JP", "$B", "EUC-JP", "EUC-JP-MS", CODED_SET_DOUBLE_G0, false, true},
    {"42", NULL, "$@", "EUC-JP", "EUC-JP-MS", CODED_SET_DOUBLE_G0, false, false}, /* of 1978 */
    {"159", "JISX0212", "$(D", "EUC-JP", "EUC-JP-MS", CODED_SET_DOUBLE_G0, false, true},
    {"149", "EUCKR", "$)C", "EUC-KR", "UHC", CODED_SET_DOUBLE_G1, false, true},
    {"58", "GB2312", "$)A", "GBK", "GB18030", CODED_SET_DOUBLE_G1, false, true},
    {"192", "UTF8", NULL, NULL, NULL, CODED_SET_UTF_8, true, false},
    {"GB18030", "18030", NULL, "GB18030", NULL, CODED_SET_GB, true, false},
    {"GBK", "CP936", NULL, "GBK", "GB18030", CODED_SET_GB, true, false},
};

#define SET_COUNT (sizeof sets / sizeof *sets)

static bool starts_with(const char *text, const char *prefix)
{
    return strncmp(text, prefix, strlen(prefix)) == 0;
}

const struct coded_set *coded_set_find(const char *term, size_t length)
{
    char key[32];
    size_t used = 0;
    for (size_t i = 0; i < length && used < sizeof key - 1; i++)
        if (isalnum((unsigned char)term[i]) && (unsigned char)term[i] < 0x80)
            key[used++] = (char)toupper((unsigned char)term[i]);
    key[used] = '\0';

    static const char *const prefixes[] = {"ISO2022IR", "ISOIR", "ISO2022", "ISO", ""};
    for (size_t p = 0; p < sizeof prefixes / sizeof *prefixes; p++) {
        if (!starts_with(key, prefixes[p]))
            continue;
        const char *rest = key + strlen(prefixes[p]);
        for (size_t i = 0; i < SET_COUNT; i++)
            if (strcmp(rest, sets[i].name) == 0 ||
                (sets[i].alias && strcmp(rest, sets[i].alias) == 0))
                return &sets[i];
    }
    return strcmp(key, "LATIN1") == 0 ? coded_set_find("100", 3) : NULL;
}

bool coded_set_is_defined_term(const char *term)
{
    for (size_t i = 0; i < SET_COUNT; i++) {
        const struct coded_set *set = &sets[i];
        if (set->form == CODED_SET_GB) {
            if (strcmp(term, set->name) == 0)
                return true;
        } else if (set->single && starts_with(term, "ISO_IR ") &&
                   strcmp(term + strlen("ISO_IR "), set->name) == 0) {
            return true;
        } else if (set->extension && starts_with(term, "ISO 2022 IR ") &&
                   strcmp(term + strlen("ISO 2022 IR "), set->name) == 0) {
            return true;
        }
    }
    return false;
}

const struct coded_set *coded_set_from_escape(const uint8_t *bytes, size_t available,
                                              size_t *length)
{
    /* ISO/IEC 2022: intermediate bytes 20–2F, then a final byte 30–7E. */
    size_t end = 0;
    while (end < available && end < 4 && bytes[end] >= 0x20 && bytes[end] <= 0x2F)
        end++;
    bool whole = end > 0 && end < available && bytes[end] >= 0x30 && bytes[end] <= 0x7E;
    *length = whole ? end + 1 : 0;
    for (size_t i = 0; whole && i < SET_COUNT; i++)
        if (sets[i].escape && strlen(sets[i].escape) == *length &&
            memcmp(sets[i].escape, bytes, *length) == 0)
            return &sets[i];
    return NULL;
}

static size_t encode_utf_8(uint8_t encoded[4], uint32_t code_point)
{
    if (code_point < 0x80) {
        encoded[0] = (uint8_t)code_point;
        return 1;
    }
    size_t length = code_point < 0x800 ? 2 : code_point < 0x10000 ? 3 : 4;
    for (size_t i = length - 1; i > 0; i--) {
        encoded[i] = (uint8_t)(0x80 | (code_point & 0x3F));
        code_point >>= 6;
    }
    static const uint8_t lead[] = {0, 0, 0xC0, 0xE0, 0xF0};
    encoded[0] = (uint8_t)(lead[length] | code_point);
    return length;
}

void text_put(struct text_out *out, uint32_t code_point)
{
    if (code_point == '\t' || code_point == '\n' || code_point == '\f')
        code_point = ' ';
    bool control = code_point < 0x20 || (code_point >= 0x7F && code_point <= 0x9F);
    bool valid = code_point <= 0x10FFFF && (code_point < 0xD800 || code_point > 0xDFFF);
    if (out->full || control || !valid)
        return;
    uint8_t encoded[4];
    size_t length = encode_utf_8(encoded, code_point);
    if (length >= out->size - out->length) {
        out->full = true;
        return;
    }
    memcpy(out->text + out->length, encoded, length);
    out->length += length;
}

/* Whether text that ends inside a character was merely cut, rather than being in another set: it
 * is credible once a whole character outside ASCII has been read. */
static bool is_cut(const uint8_t *bytes, size_t valid)
{
    for (size_t i = 0; i < valid; i++)
        if (bytes[i] >= 0x80)
            return true;
    return false;
}

/* The first converter of each encoding stays open, unused, until the process ends: glibc unloads a
 * conversion's module with its last converter, and loading it again takes a global lock and a
 * hundred times as long as the conversion. */
static _Atomic(iconv_t) kept_open[SET_COUNT][2];

static int close_converter(_Atomic(iconv_t) *kept, iconv_t converter)
{
    iconv_t none = NULL;
    if (atomic_load(kept) == NULL && atomic_compare_exchange_strong(kept, &none, converter))
        return 0;
    return iconv_close(converter);
}

static int decode_by_iconv(const struct coded_set *set, bool wider, const uint8_t *bytes,
                           size_t length, struct text_out *out)
{
    iconv_t converter = iconv_open("WCHAR_T", wider ? set->wider : set->conversion);
    if (converter == (iconv_t)-1)
        return -1;
    char *next = (char *)(uintptr_t)bytes; /* iconv does not write to it */
    size_t left = length;
    int result = 0;
    while (left > 0) {
        wchar_t window[WINDOW];
        char *end = (char *)window;
        size_t room = sizeof window;
        size_t status = iconv(converter, &next, &left, &end, &room);
        size_t count = (sizeof window - room) / sizeof *window;
        for (size_t i = 0; i < count; i++)
            text_put(out, (uint32_t)window[i]);
        if (status != (size_t)-1 || (errno == E2BIG && count > 0))
            continue;
        if (errno != EINVAL || !is_cut(bytes, length - left))
            result = -1;
        break;
    }
    if (close_converter(&kept_open[set - sets][wider], converter) != 0)
        result = -1;
    return result;
}

static int decode_wider(const struct coded_set *set, const uint8_t *bytes, size_t length,
                        struct text_out *out)
{
    struct text_out before = *out;
    if (decode_by_iconv(set, false, bytes, length, out) == 0)
        return 0;
    *out = before;
    return set->wider ? decode_by_iconv(set, true, bytes, length, out) : -1;
}

/* Bytes 21–7E in pairs; EUC has the same pairs with the high bit, JIS X 0212 behind 8F. */
static int decode_double_g0(const struct coded_set *set, const uint8_t *bytes, size_t length,
                            struct text_out *out)
{
    bool supplementary = strcmp(set->name, "159") == 0;
    while (length >= 2) {
        uint8_t window[WINDOW];
        size_t used = 0;
        while (length >= 2 && used + 3 <= sizeof window) {
            if (supplementary)
                window[used++] = 0x8F;
            window[used++] = bytes[0] | 0x80;
            window[used++] = bytes[1] | 0x80;
            bytes += 2;
            length -= 2;
        }
        if (decode_wider(set, window, used, out) != 0)
            return -1;
    }
    return 0;
}

static int decode_katakana(const uint8_t *bytes, size_t length, struct text_out *out)
{
    for (size_t i = 0; i < length; i++) {
        if (bytes[i] < 0x80)
            text_put(out, bytes[i] == '~' ? 0x203E : bytes[i]);
        else if (bytes[i] >= 0xA1 && bytes[i] <= 0xDF)
            text_put(out, 0xFF61U + (uint32_t)(bytes[i] - 0xA1));
        else
            return -1;
    }
    return 0;
}

/* Length of the character by its first byte, 0 when none begins so. */
static size_t utf_8_length(uint8_t first)
{
    if (first < 0x80)
        return 1;
    if (first >= 0xC2 && first <= 0xDF)
        return 2;
    if (first >= 0xE0 && first <= 0xEF)
        return 3;
    return first >= 0xF0 && first <= 0xF4 ? 4 : 0;
}

int coded_set_decode_utf_8(const uint8_t *bytes, size_t length, struct text_out *out)
{
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    for (size_t i = 0; i < length;) {
        size_t wanted = utf_8_length(bytes[i]);
        if (wanted == 0)
            return -1;
        uint32_t code_point = wanted == 1 ? bytes[i] : bytes[i] & (0x7FU >> wanted);
        for (size_t k = 1; k < wanted; k++) {
            if (i + k == length)
                return is_cut(bytes, i) ? 0 : -1;
            if ((bytes[i + k] & 0xC0) != 0x80)
                return -1;
            code_point = code_point << 6 | (bytes[i + k] & 0x3F);
        }
        if (code_point < least[wanted] || code_point > 0x10FFFF ||
            (code_point >= 0xD800 && code_point <= 0xDFFF))
            return -1;
        if (code_point != 0xFEFF) /* a byte order mark is no text */
            text_put(out, code_point);
        i += wanted;
    }
    return 0;
}

void coded_set_decode_latin_1(const uint8_t *bytes, size_t length, struct text_out *out)
{
    static const uint16_t windows_1252[32] = {
        0x20AC, 0,      0x201A, 0x0192, 0x201E, 0x2026, 0x2020, 0x2021, 0x02C6, 0x2030, 0x0160,
        0x2039, 0x0152, 0,      0x017D, 0,      0,      0x2018, 0x2019, 0x201C, 0x201D, 0x2022,
        0x2013, 0x2014, 0x02DC, 0x2122, 0x0161, 0x203A, 0x0153, 0,      0x017E, 0x0178};
    for (size_t i = 0; i < length; i++) {
        bool high_control = bytes[i] >= 0x80 && bytes[i] < 0xA0;
        text_put(out, high_control ? windows_1252[bytes[i] - 0x80] : bytes[i]);
    }
}

int coded_set_decode(const struct coded_set *set, const uint8_t *bytes, size_t length,
                     struct text_out *out)
{
    switch (set->form) {
    case CODED_SET_ASCII:
        for (size_t i = 0; i < length; i++) {
            if (bytes[i] >= 0x80)
                return -1;
            text_put(out, bytes[i]);
        }
        return 0;
    case CODED_SET_LATIN_1:
        coded_set_decode_latin_1(bytes, length, out);
        return 0;
    case CODED_SET_KATAKANA:
        return decode_katakana(bytes, length, out);
    case CODED_SET_DOUBLE_G0:
        return decode_double_g0(set, bytes, length, out);
    case CODED_SET_UTF_8:
        return coded_set_decode_utf_8(bytes, length, out);
    case CODED_SET_SINGLE:
    case CODED_SET_DOUBLE_G1:
    case CODED_SET_GB:
        break;
    }
    return decode_wider(set, bytes, length, out);
}
