/* Follows the elements of a data set, iteratively and in fixed memory.
 *
 * What has a defined length is skipped as a whole, sequences and items too; only sequences of
 * undefined length are descended into, at one byte of state per level. Values of the top level are
 * offered to `values`; nothing within a sequence ever is.
 * Lenient as receivers have to be: the first element shows the encoding when the transfer syntax
 * lied; missing and surplus delimiters, wrong VR bytes and trailing zeros are tolerated. It does
 * not interpret values.
 */
#include "element.h"

#include "header.h"
#include "value.h"

#include <string.h>

#define UNDEFINED_LENGTH 0xFFFFFFFFU

#define TAG_ITEM               0xFFFEE000U
#define TAG_ITEM_DELIMITER     0xFFFEE00DU
#define TAG_SEQUENCE_DELIMITER 0xFFFEE0DDU
#define TAG_FLOAT_PIXEL_DATA   0x7FE00008U
#define TAG_PIXEL_DATA         0x7FE00010U
#define FIRST_PIXEL_TAG        0x7FE00000U

/* Bits of element_reader.levels beside the ENCODING_ ones. */
#define LEVEL_ENCODING  0x03U
#define LEVEL_IN_ITEM   0x04U /* inside an item of undefined length */
#define LEVEL_FRAGMENTS 0x08U /* encapsulated pixel data: items hold bytes */
#define LEVEL_UNPROVEN  0x10U /* content of a UN: its encoding is still to be seen */

static bool is_zero(const uint8_t *bytes, size_t length)
{
    return length == 0 || (bytes[0] == 0 && memcmp(bytes, bytes + 1, length - 1) == 0);
}

void element_reader_init(struct element_reader *reader, struct values *values, uint8_t encoding)
{
    memset(reader, 0, sizeof *reader);
    reader->values = values;
    reader->encoding = encoding;
    reader->first_element = true;
    reader->header_need = 8;
}

void element_reader_lose(struct element_reader *reader)
{
    if (reader->state == ELEMENT_LOST)
        return;
    reader->state = ELEMENT_LOST;
    reader->capturing = false;
    reader->header_done = true;
}

static void expect_header(struct element_reader *reader)
{
    reader->state = ELEMENT_HEADER;
    reader->header_have = 0;
    reader->header_need = 8;
}

static void end_value(struct element_reader *reader)
{
    if (reader->capturing)
        values_end(reader->values);
    reader->capturing = false;
    expect_header(reader);
}

static void begin_value(struct element_reader *reader, uint32_t length)
{
    reader->value_left = length;
    reader->state = ELEMENT_VALUE;
    if (length == 0)
        end_value(reader);
}

static void descend(struct element_reader *reader, unsigned encoding)
{
    unsigned level = encoding;
    bool pixels = reader->tag >= TAG_FLOAT_PIXEL_DATA && reader->tag <= TAG_PIXEL_DATA;
    if (reader->vr == VR('U', 'N'))
        level = ENCODING_IMPLICIT_VR | LEVEL_UNPROVEN; /* PS3.5 6.2.2, note 2 */
    else if (reader->vr == VR('O', 'B') || reader->vr == VR('O', 'W') ||
             (reader->vr == 0 && pixels))
        level |= LEVEL_FRAGMENTS;
    else if (reader->vr != 0 && reader->vr != VR('S', 'Q') && header_vr_is_long(reader->vr)) {
        element_reader_lose(reader);
        return;
    }
    if (reader->depth == DATASET_DEPTH_MAX) {
        element_reader_lose(reader);
        return;
    }
    reader->levels[reader->depth++] = (uint8_t)level;
    expect_header(reader);
}

/* The header of an element is whole. */
static void begin_element(struct element_reader *reader, uint32_t length, unsigned encoding)
{
    if (reader->depth == 0) {
        reader->top_tag = reader->tag;
        if (reader->tag >= FIRST_PIXEL_TAG)
            reader->header_done = true;
    }
    if (length == UNDEFINED_LENGTH) {
        descend(reader, encoding);
        return;
    }
    if (reader->depth == 0)
        reader->capturing = values_begin(reader->values, reader->tag, reader->vr);
    begin_value(reader, length);
}

static void item(struct element_reader *reader, uint32_t length)
{
    if (reader->depth == 0) {
        element_reader_lose(reader);
        return;
    }
    uint8_t *level = &reader->levels[reader->depth - 1];
    if (length != UNDEFINED_LENGTH) {
        *level &= (uint8_t)~LEVEL_IN_ITEM;
        begin_value(reader, length);
    } else if (*level & LEVEL_FRAGMENTS) {
        element_reader_lose(reader);
    } else {
        *level |= LEVEL_IN_ITEM;
        expect_header(reader);
    }
}

/* An element of group FFFE: it has no VR in any encoding (PS3.5 7.5). */
static void delimiter(struct element_reader *reader, uint32_t length)
{
    switch (reader->tag) {
    case TAG_ITEM:
        item(reader, length);
        break;
    case TAG_ITEM_DELIMITER:
        if (reader->depth > 0)
            reader->levels[reader->depth - 1] &= (uint8_t)~LEVEL_IN_ITEM;
        expect_header(reader);
        break;
    case TAG_SEQUENCE_DELIMITER:
        if (reader->depth > 0)
            reader->depth--;
        expect_header(reader);
        break;
    default:
        element_reader_lose(reader);
    }
}

/* The encoding of the header that stands in the reader. */
static unsigned current_encoding(struct element_reader *reader)
{
    if (reader->depth > 0)
        return reader->levels[reader->depth - 1] & LEVEL_ENCODING;
    if (header_is_file_meta(reader->header))
        return 0;
    if (reader->first_element) {
        reader->encoding = header_detect_encoding(reader->header, reader->encoding);
        reader->first_element = false;
    }
    return reader->encoding;
}

/* Some writers keep explicit VR inside a UN of undefined length. */
static unsigned prove_level(struct element_reader *reader, unsigned encoding)
{
    uint8_t *level = &reader->levels[reader->depth - 1];
    if (*level & LEVEL_UNPROVEN) {
        *level &= (uint8_t)~LEVEL_UNPROVEN;
        if (header_looks_explicit(reader->header))
            *level &= (uint8_t)~ENCODING_IMPLICIT_VR;
        encoding = *level & LEVEL_ENCODING;
    }
    return encoding;
}

static void read_length(struct element_reader *reader, unsigned encoding)
{
    enum header_form form =
        encoding & ENCODING_IMPLICIT_VR ? FORM_IMPLICIT : header_explicit_form(reader->header);
    reader->vr = form == FORM_IMPLICIT ? 0 : header_vr(reader->header);
    if (form == FORM_LONG)
        reader->header_need = 12;
    else if (form == FORM_SHORT)
        begin_element(reader, header_read_16(reader->header + 6, encoding), encoding);
    else
        begin_element(reader, header_read_32(reader->header + 4, encoding), encoding);
}

/* The first 8 bytes of a header are there. */
static void read_header(struct element_reader *reader)
{
    uint8_t *header = reader->header;
    if (reader->depth == 0 && is_zero(header, 8)) {
        reader->state = ELEMENT_PADDING;
        return;
    }
    if (reader->first_element && header_is_shifted_by_one(header)) {
        memmove(header, header + 1, 7);
        reader->header_have = 7;
        reader->element_offset++;
        return;
    }
    unsigned encoding = current_encoding(reader);
    reader->tag =
        (uint32_t)header_read_16(header, encoding) << 16 | header_read_16(header + 2, encoding);
    if (reader->tag >> 16 == 0xFFFE) {
        delimiter(reader, header_read_32(header + 4, encoding));
        return;
    }
    if (reader->depth > 0) {
        if (!(reader->levels[reader->depth - 1] & LEVEL_IN_ITEM)) {
            element_reader_lose(reader);
            return;
        }
        encoding = prove_level(reader, encoding);
    }
    read_length(reader, encoding);
}

static size_t take_header(struct element_reader *reader, const uint8_t *bytes, size_t length)
{
    if (reader->header_have == 0)
        reader->element_offset = reader->offset;
    size_t taken = (size_t)(reader->header_need - reader->header_have);
    if (taken > length)
        taken = length;
    memcpy(reader->header + reader->header_have, bytes, taken);
    reader->header_have = (uint8_t)(reader->header_have + taken);
    if (reader->header_have < reader->header_need)
        return taken;
    if (reader->header_need == 8) {
        read_header(reader);
    } else {
        unsigned encoding = reader->depth > 0
                                ? reader->levels[reader->depth - 1] & LEVEL_ENCODING
                                : (header_is_file_meta(reader->header) ? 0 : reader->encoding);
        begin_element(reader, header_read_32(reader->header + 8, encoding), encoding);
    }
    return taken;
}

static size_t take_value(struct element_reader *reader, const uint8_t *bytes, size_t length)
{
    size_t taken = reader->value_left < length ? (size_t)reader->value_left : length;
    if (reader->capturing)
        values_append(reader->values, bytes, taken);
    reader->value_left -= taken;
    if (reader->value_left == 0)
        end_value(reader);
    return taken;
}

void element_reader_feed(struct element_reader *reader, const uint8_t *bytes, size_t length)
{
    while (length > 0) {
        size_t taken = length;
        switch (reader->state) {
        case ELEMENT_HEADER:
            taken = take_header(reader, bytes, length);
            break;
        case ELEMENT_VALUE:
            taken = take_value(reader, bytes, length);
            break;
        case ELEMENT_PADDING:
            if (!is_zero(bytes, length))
                element_reader_lose(reader);
            break;
        case ELEMENT_LOST:
            return;
        }
        reader->offset += taken;
        bytes += taken;
        length -= taken;
    }
}

/* Ended inside a header: less than a header's worth of zeros is padding. */
static void header_result(const struct element_reader *reader, struct dataset_result *out)
{
    bool padding = reader->depth == 0 && is_zero(reader->header, reader->header_have);
    if (padding || (reader->header_have == 0 && reader->depth == 0))
        return;
    out->ending = DATASET_TRUNCATED;
    if (reader->depth > 0 || reader->header_have < 4)
        return; /* the tag stays that of the element around it, or before it */
    unsigned encoding = header_is_file_meta(reader->header) ? 0 : reader->encoding;
    out->tag = (uint32_t)header_read_16(reader->header, encoding) << 16 |
               header_read_16(reader->header + 2, encoding);
}

void element_reader_result(const struct element_reader *reader, struct dataset_result *out)
{
    *out = (struct dataset_result){
        .ending = DATASET_COMPLETE, .tag = reader->top_tag, .offset = reader->offset};
    switch (reader->state) {
    case ELEMENT_HEADER:
        header_result(reader, out);
        break;
    case ELEMENT_VALUE:
        out->ending = DATASET_TRUNCATED;
        out->missing = reader->depth == 0 ? reader->value_left : 0;
        break;
    case ELEMENT_PADDING:
        break;
    case ELEMENT_LOST:
        out->ending = DATASET_NOT_UNDERSTOOD;
        out->offset = reader->element_offset;
        break;
    }
}
