/* The values that a scanner keeps: raw as they stand in the data set, converted when asked for.
 * Private to the room; one thread at a time.
 */
#ifndef AURABRIDGE_DATASET_VALUE_H
#define AURABRIDGE_DATASET_VALUE_H

#include "aurabridge/attribute.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define VALUES_WANTED_MAX 16
/* The recorded attributes, Specific Character Set, and the wanted ones. */
#define VALUES_SLOTS_MAX (ATTRIBUTE_COUNT + 1 + VALUES_WANTED_MAX)
#define VALUE_RAW_MAX    ATTRIBUTE_VALUE_MAX

struct value_slot {
    uint32_t tag;
    uint16_t vr;     /* as the data set has it, 0 when implicit */
    uint16_t offset; /* into raw */
    uint16_t length;
    bool seen;  /* the first occurrence wins */
    bool whole; /* its last byte has come */
};

struct wanted_text {
    char text[ATTRIBUTE_VALUE_SIZE];
};

struct values {
    struct value_slot slots[VALUES_SLOTS_MAX];
    size_t count;
    struct value_slot *open;    /* the value that is coming in */
    struct wanted_text *wanted; /* owned; one per slot behind the fixed ones, null without any */
    size_t used;                /* bytes of raw; never above its size, as slots fill once */
    uint8_t raw[VALUES_SLOTS_MAX * VALUE_RAW_MAX];
};

_Static_assert(sizeof((struct values *)0)->raw <= UINT16_MAX, "value_slot.offset is 16 bits");

void values_init(struct values *values);
void values_free(struct values *values);

/* Adds a tag. Returns 0, or -1 when there are too many or memory is short. */
int values_want(struct values *values, uint32_t tag);

/* An element of the top level begins: whether its value is to be given to values_append. */
bool values_begin(struct values *values, uint32_t tag, uint16_t vr);
void values_append(struct values *values, const uint8_t *bytes, size_t length);
void values_end(struct values *values);

/* Converts what is whole to UTF-8; `fallback` as in charset.h. */
void values_convert(struct values *values, struct attributes *out, const char *fallback);

/* The converted text of a wanted tag that is no recorded attribute, "" when absent. */
const char *values_wanted_text(const struct values *values, uint32_t tag);

#endif
