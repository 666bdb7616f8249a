/* The coded character sets that DICOM names (PS3.3 C.12.1.1.2) and how each is decoded. Private to
 * the room. Thread-safe.
 */
#ifndef AURABRIDGE_DATASET_CODED_SET_H
#define AURABRIDGE_DATASET_CODED_SET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum coded_set_form {
    CODED_SET_ASCII,     /* 7 bits, G0 */
    CODED_SET_LATIN_1,   /* 8 bits, the code point is the byte; G1 */
    CODED_SET_SINGLE,    /* 8 bits, one byte a character, through iconv; G1 */
    CODED_SET_KATAKANA,  /* JIS X 0201: romaji in G0, half-width katakana in G1 */
    CODED_SET_DOUBLE_G0, /* 94 × 94, 7 bits */
    CODED_SET_DOUBLE_G1, /* 94 × 94, 8 bits */
    CODED_SET_UTF_8,
    CODED_SET_GB /* GBK, GB18030: no code extensions; second bytes may look like delimiters */
};

struct coded_set {
    const char *name;       /* "100": registration number or name */
    const char *alias;      /* as it is wrongly written, letters and digits; or null */
    const char *escape;     /* what follows ESC to designate it; or null */
    const char *conversion; /* iconv's name; or null */
    const char *wider;      /* iconv's name of a superset that devices really write; or null */
    enum coded_set_form form;
    bool single;    /* "ISO_IR n" is a defined term */
    bool extension; /* "ISO 2022 IR n" is a defined term */
};

/* Finds the set of a term, however it is spelled. Returns null when there is none. */
const struct coded_set *coded_set_find(const char *term, size_t length);

/* Whether the term is spelled as the standard has it. */
bool coded_set_is_defined_term(const char *term);

/* Finds the set that an escape sequence designates; `bytes` begins behind ESC. `*length` is what
 * the sequence takes, also when it is well-formed but unknown, and 0 when it is none. */
const struct coded_set *coded_set_from_escape(const uint8_t *bytes, size_t available,
                                              size_t *length);

/* Text that grows by characters in a buffer of fixed size; never cut inside a character. */
struct text_out {
    char *text;
    size_t size; /* of `text`, with the NUL that is to come */
    size_t length;
    bool full; /* something did not fit, nothing more is taken */
};

/* Appends one character. Controls are dropped, white space among them becomes a space. */
void text_put(struct text_out *out, uint32_t code_point);

/* Append a run of bytes that are all in the set. Return 0, or -1 when they are not valid in it;
 * something may have been appended then. */
int coded_set_decode(const struct coded_set *set, const uint8_t *bytes, size_t length,
                     struct text_out *out);
int coded_set_decode_utf_8(const uint8_t *bytes, size_t length, struct text_out *out);

/* What remains when nothing else fits; never fails. The controls 80–9F are read as Windows does. */
void coded_set_decode_latin_1(const uint8_t *bytes, size_t length, struct text_out *out);

#endif
