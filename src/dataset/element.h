/* The elements of a data set as its bytes come by (PS3.5 section 7.1): headers, values, sequences,
 * items and fragments. Private to the room; one thread at a time.
 */
#ifndef AURABRIDGE_DATASET_ELEMENT_H
#define AURABRIDGE_DATASET_ELEMENT_H

#include "aurabridge/dataset.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct values;

#define ELEMENT_HEADER_MAX 12

enum element_state {
    ELEMENT_HEADER,  /* collecting header bytes */
    ELEMENT_VALUE,   /* `value_left` bytes to go */
    ELEMENT_PADDING, /* zeros behind the last element */
    ELEMENT_LOST     /* nothing more is read */
};

struct element_reader {
    struct values *values;   /* takes the top-level values; the scanner's */
    uint64_t offset;         /* bytes taken so far */
    uint64_t element_offset; /* where the current header began */
    uint64_t value_left;
    uint32_t tag;       /* of the current element */
    uint32_t top_tag;   /* of the top-level element it is in */
    uint16_t vr;        /* two letters, 0 when implicit */
    uint16_t depth;     /* sequences of undefined length around the current element */
    uint8_t encoding;   /* ENCODING_ bits of the top level */
    bool first_element; /* the encoding has not been seen to hold yet */
    bool capturing;     /* the value goes to `values` */
    bool header_done;
    enum element_state state;
    uint8_t header_have;
    uint8_t header_need;
    uint8_t header[ELEMENT_HEADER_MAX];
    uint8_t levels[DATASET_DEPTH_MAX]; /* one per sequence: encoding and LEVEL_ bits */
};

void element_reader_init(struct element_reader *reader, struct values *values, uint8_t encoding);

/* Takes the next bytes; constant time for each value that spans them. */
void element_reader_feed(struct element_reader *reader, const uint8_t *bytes, size_t length);

/* Gives up at the current element: the rest cannot be read. */
void element_reader_lose(struct element_reader *reader);

/* Where the reading stands, as if the data set ended here. */
void element_reader_result(const struct element_reader *reader, struct dataset_result *out);

#endif
