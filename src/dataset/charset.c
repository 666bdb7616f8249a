/* Attribute text to UTF-8: one component at a time, with ISO 2022 code extensions.
 *
 * A value is cut at its delimiters; each component starts in the initial character set, follows its
 * escape sequences, and is decoded on its own, so that one broken component does not spoil the
 * others. What the declared set cannot read is tried in the configured default, as UTF-8 when it is
 * valid, and is Latin-1 at last. Sets that are declared wrongly or not at all are tolerated.
 */
#include "aurabridge/charset.h"

#include "coded_set.h"

#include <stdint.h>
#include <string.h>

#define ESC       0x1B
#define TERMS_MAX 16

/* The sets in force. G0 is ASCII, romaji or a two-byte set, G1 what the high half means. */
struct decoder {
    const struct coded_set *whole; /* UTF-8 or GB: no code extensions; else null */
    const struct coded_set *initial_g0;
    const struct coded_set *initial_g1; /* null: none */
    const struct coded_set *implied_g1; /* for writers that leave escapes out; null: none */
    const struct coded_set *g0;
    const struct coded_set *g1;
};

static bool is_g1(const struct coded_set *set)
{
    return set->form == CODED_SET_LATIN_1 || set->form == CODED_SET_SINGLE ||
           set->form == CODED_SET_KATAKANA || set->form == CODED_SET_DOUBLE_G1;
}

static void decoder_add(struct decoder *decoder, const struct coded_set *set, bool first)
{
    if (set->form == CODED_SET_UTF_8 || set->form == CODED_SET_GB) {
        if (!decoder->whole)
            decoder->whole = set;
    } else if (first && is_g1(set)) {
        decoder->initial_g1 = set;
        if (set->form == CODED_SET_KATAKANA)
            decoder->initial_g0 = set;
    } else if (!decoder->implied_g1 && is_g1(set)) {
        decoder->implied_g1 = set;
    }
}

/* Reads Specific Character Set, or a single defined term. */
static void decoder_init(struct decoder *decoder, const char *character_set)
{
    *decoder = (struct decoder){.initial_g0 = coded_set_find("6", 1)};
    for (int i = 0; i < TERMS_MAX; i++) {
        size_t length = strcspn(character_set, "\\");
        const struct coded_set *set = coded_set_find(character_set, length);
        if (set)
            decoder_add(decoder, set, i == 0);
        if (character_set[length] == '\0')
            break;
        character_set += length + 1;
    }
}

static void decoder_reset(struct decoder *decoder)
{
    decoder->g0 = decoder->initial_g0;
    decoder->g1 = decoder->initial_g1;
}

static void designate(struct decoder *decoder, const struct coded_set *set)
{
    if (set->form == CODED_SET_ASCII || set->form == CODED_SET_DOUBLE_G0 ||
        (set->form == CODED_SET_KATAKANA && set->escape[0] == '('))
        decoder->g0 = set;
    else
        decoder->g1 = set;
}

static bool in_two_bytes(const struct decoder *decoder, uint8_t byte)
{
    return decoder->g0->form == CODED_SET_DOUBLE_G0 && byte >= 0x21 && byte <= 0x7E;
}

/* Takes an escape sequence at `bytes`; unknown ones are left out, a lone ESC too. */
static size_t take_escape(struct decoder *decoder, const uint8_t *bytes, size_t length)
{
    size_t taken;
    const struct coded_set *set = coded_set_from_escape(bytes + 1, length - 1, &taken);
    if (set)
        designate(decoder, set);
    return 1 + taken;
}

static bool is_delimiter(enum charset_value kind, uint8_t byte)
{
    if (byte == '\\')
        return true;
    if (kind == CHARSET_PERSON_NAME)
        return byte == '^' || byte == '=';
    return byte == '\n' || byte == '\f' || byte == '\r' || byte == '\t';
}

/* Bytes up to the next delimiter. The second byte of a character may look like one. */
static size_t component_length(const struct decoder *decoder, enum charset_value kind,
                               const uint8_t *bytes, size_t length)
{
    struct decoder state = *decoder;
    decoder_reset(&state);
    size_t i = 0;
    while (i < length) {
        if (state.whole)
            i += state.whole->form == CODED_SET_GB && bytes[i] >= 0x81 ? 2 : 1;
        else if (bytes[i] == ESC)
            i += take_escape(&state, bytes + i, length - i);
        else
            i++;
        if (i < length && is_delimiter(kind, bytes[i]) &&
            (state.whole || !in_two_bytes(&state, bytes[i])))
            break;
    }
    return i < length ? i : length;
}

/* The run at `bytes` that lies in one half, as the current sets stand. */
static size_t run_length(const struct decoder *decoder, const uint8_t *bytes, size_t length)
{
    bool high = bytes[0] >= 0x80;
    bool two_bytes = in_two_bytes(decoder, bytes[0]);
    size_t i = 1;
    while (i < length && bytes[i] != ESC && (bytes[i] >= 0x80) == high &&
           (high || in_two_bytes(decoder, bytes[i]) == two_bytes))
        i++;
    return i;
}

static int decode_run(const struct decoder *decoder, const uint8_t *bytes, size_t length,
                      struct text_out *out)
{
    if (bytes[0] >= 0x80) {
        const struct coded_set *g1 = decoder->g1 ? decoder->g1 : decoder->implied_g1;
        return g1 ? coded_set_decode(g1, bytes, length, out) : -1;
    }
    if (decoder->g0->form == CODED_SET_DOUBLE_G0 && !in_two_bytes(decoder, bytes[0]))
        return coded_set_decode(decoder->initial_g0, bytes, length, out);
    return coded_set_decode(decoder->g0, bytes, length, out);
}

/* Returns 0, or -1 when the bytes are not valid in the declared sets. */
static int decode_component(struct decoder *decoder, const uint8_t *bytes, size_t length,
                            struct text_out *out)
{
    if (decoder->whole)
        return coded_set_decode(decoder->whole, bytes, length, out);
    decoder_reset(decoder);
    int result = 0;
    for (size_t i = 0; i < length && result == 0;) {
        if (bytes[i] == ESC) {
            i += take_escape(decoder, bytes + i, length - i);
            continue;
        }
        size_t run = run_length(decoder, bytes + i, length - i);
        result = decode_run(decoder, bytes + i, run, out);
        i += run;
    }
    if (decoder->g1 && decoder->g1 != decoder->initial_g1)
        decoder->implied_g1 = decoder->g1; /* many writers designate once in a value */
    return result;
}

static void decode_anyhow(struct decoder *declared, struct decoder *fallback, const uint8_t *bytes,
                          size_t length, struct text_out *out)
{
    struct text_out before = *out;
    if (decode_component(declared, bytes, length, out) == 0)
        return;
    *out = before;
    if (fallback && decode_component(fallback, bytes, length, out) == 0)
        return;
    *out = before;
    if (coded_set_decode_utf_8(bytes, length, out) == 0)
        return;
    *out = before;
    coded_set_decode_latin_1(bytes, length, out);
}

/* Takes padding off the value that began at `start`. */
static void trim_value(struct text_out *out, size_t start, enum charset_value kind)
{
    while (out->length > start &&
           (out->text[out->length - 1] == ' ' ||
            (kind == CHARSET_PERSON_NAME &&
             (out->text[out->length - 1] == '=' || out->text[out->length - 1] == '^'))))
        out->length--;
    size_t leading = start;
    while (leading < out->length && out->text[leading] == ' ')
        leading++;
    memmove(out->text + start, out->text + leading, out->length - leading);
    out->length -= leading - start;
}

size_t charset_to_utf8(char *out, size_t size, const char *character_set, const char *fallback,
                       enum charset_value kind, const void *bytes, size_t length)
{
    if (size == 0)
        return 0;
    struct decoder declared;
    struct decoder configured;
    decoder_init(&declared, character_set);
    if (fallback)
        decoder_init(&configured, fallback);

    struct text_out text = {.text = out, .size = size};
    const uint8_t *next = bytes;
    size_t value_start = 0;
    while (length > 0 && !text.full) {
        if (is_delimiter(kind, *next)) {
            if (*next == '\\')
                trim_value(&text, value_start, kind);
            text_put(&text, *next);
            if (*next == '\\')
                value_start = text.length;
            next++;
            length--;
            continue;
        }
        size_t component = component_length(&declared, kind, next, length);
        decode_anyhow(&declared, fallback ? &configured : NULL, next, component, &text);
        next += component;
        length -= component;
    }
    trim_value(&text, value_start, kind);
    out[text.length] = '\0';
    return text.length;
}

bool charset_is_known(const char *defined_term)
{
    return coded_set_is_defined_term(defined_term);
}
