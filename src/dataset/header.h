/* The bytes of an element's header (PS3.5 section 7.1): which encoding they show, and what they
 * say. Private to the room; pure functions.
 */
#ifndef AURABRIDGE_DATASET_HEADER_H
#define AURABRIDGE_DATASET_HEADER_H

#include <stdbool.h>
#include <stdint.h>

#define ENCODING_IMPLICIT_VR 0x01U
#define ENCODING_BIG_ENDIAN  0x02U

#define VR(a, b) ((uint16_t)((a) << 8 | (b)))

enum header_form {
    FORM_SHORT,   /* VR, 16-bit length */
    FORM_LONG,    /* VR, reserved, 32-bit length */
    FORM_IMPLICIT /* 32-bit length */
};

uint16_t header_read_16(const uint8_t *bytes, unsigned encoding);
uint32_t header_read_32(const uint8_t *bytes, unsigned encoding);

/* The two letters of the VR, whatever stands there. */
uint16_t header_vr(const uint8_t header[8]);

bool header_vr_is_long(uint16_t vr);

/* Whether the header has a VR that exists, and the reserved bytes that go with it. */
bool header_looks_explicit(const uint8_t header[8]);

/* How a header reads in a data set of explicit VR. Letters that are no VR of today are one of
 * tomorrow, which has the long form (PS3.5 7.1.2); "??", blanks and NULs stand in for a short one;
 * anything else is an element that was copied in from implicit VR. */
enum header_form header_explicit_form(const uint8_t header[8]);

/* Whether it is file meta information that strayed into the data set: always explicit little
 * endian. */
bool header_is_file_meta(const uint8_t header[8]);

/* Whether one padding byte stands in front of the first element. */
bool header_is_shifted_by_one(const uint8_t header[8]);

/* The encoding that the first header shows, when it contradicts `declared`. Data sets begin in a
 * low group, so that the byte order shows. */
uint8_t header_detect_encoding(const uint8_t header[8], uint8_t declared);

#endif
