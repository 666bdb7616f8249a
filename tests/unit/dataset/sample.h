/* Builds data sets element by element, in any encoding; right and wrong ones alike. */
#ifndef AURABRIDGE_TESTS_SAMPLE_H
#define AURABRIDGE_TESTS_SAMPLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SAMPLE_MAX       (1 << 18)
#define SAMPLE_UNDEFINED 0xFFFFFFFFU

struct sample {
    bool implicit;
    bool big_endian;
    size_t length;
    uint8_t bytes[SAMPLE_MAX];
};

void sample_start(struct sample *sample, bool implicit, bool big_endian);
void sample_bytes(struct sample *sample, const void *bytes, size_t length);
/* Tag, VR and length only. */
void sample_header(struct sample *sample, uint32_t tag, const char *vr, uint32_t length);
/* A text element, padded to even length. */
void sample_text(struct sample *sample, uint32_t tag, const char *vr, const char *text);
void sample_item(struct sample *sample, uint32_t length);
void sample_end_item(struct sample *sample);
void sample_end_sequence(struct sample *sample);

#endif
