/* Writes DICOM encodings by hand, independently of the code under test. */
#include "sample.h"

#include <stdlib.h>
#include <string.h>

void sample_start(struct sample *sample, bool implicit, bool big_endian)
{
    sample->implicit = implicit;
    sample->big_endian = big_endian;
    sample->length = 0;
}

void sample_bytes(struct sample *sample, const void *bytes, size_t length)
{
    if (length > SAMPLE_MAX - sample->length)
        abort();
    memcpy(sample->bytes + sample->length, bytes, length);
    sample->length += length;
}

static void put(struct sample *sample, uint32_t value, size_t width)
{
    uint8_t bytes[4];
    for (size_t i = 0; i < width; i++) {
        size_t at = sample->big_endian ? width - 1 - i : i;
        bytes[at] = (uint8_t)(value >> (8 * i));
    }
    sample_bytes(sample, bytes, width);
}

void sample_header(struct sample *sample, uint32_t tag, const char *vr, uint32_t length)
{
    put(sample, tag >> 16, 2);
    put(sample, tag & 0xFFFF, 2);
    if (!vr || sample->implicit) {
        put(sample, length, 4);
        return;
    }
    sample_bytes(sample, vr, 2);
    if (strstr("OB OD OF OL OV OW SQ SV UC UN UR UT UV ZZ", vr)) {
        put(sample, 0, 2);
        put(sample, length, 4);
    } else {
        put(sample, length, 2);
    }
}

void sample_text(struct sample *sample, uint32_t tag, const char *vr, const char *text)
{
    size_t length = strlen(text);
    sample_header(sample, tag, vr, (uint32_t)(length + length % 2));
    sample_bytes(sample, text, length);
    if (length % 2 == 1)
        sample_bytes(sample, strcmp(vr, "UI") == 0 ? "" : " ", 1);
}

void sample_item(struct sample *sample, uint32_t length)
{
    sample_header(sample, 0xFFFEE000, NULL, length);
}

void sample_end_item(struct sample *sample)
{
    sample_header(sample, 0xFFFEE00D, NULL, 0);
}

void sample_end_sequence(struct sample *sample)
{
    sample_header(sample, 0xFFFEE0DD, NULL, 0);
}
