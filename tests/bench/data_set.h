/* Writes elements in explicit VR little endian into a buffer that is known to be large enough. */
#ifndef AURABRIDGE_BENCH_DATA_SET_H
#define AURABRIDGE_BENCH_DATA_SET_H

#include <stddef.h>
#include <stdint.h>

struct data_set {
    uint8_t *bytes; /* the caller's */
    size_t size, length;
};

/* Tags are written 0xGGGGEEEE. The program ends when the buffer is too small. */
void data_set_put_text(struct data_set *set, uint32_t tag, const char *vr, const char *value);
void data_set_put_number(struct data_set *set, uint32_t tag, unsigned value); /* an IS */
void data_set_put_u16(struct data_set *set, uint32_t tag, uint16_t value);
/* The head of an element with a 32-bit length; its value is the caller's to write. */
void data_set_put_long(struct data_set *set, uint32_t tag, const char *vr, uint32_t length);

#endif
