/* The header in front of a data set on disk: written from fixed parts, read leniently.
 *
 * Reading walks the elements of group 0002 and nothing else; it never looks past `length`, and
 * ignores the group length, which is wrong more often than the elements are.
 */
#include "aurabridge/part10.h"

#include "aurabridge/ae_title.h"
#include "aurabridge/uid.h"
#include "header.h"

#include <stdbool.h>
#include <string.h>

#define PREAMBLE_LENGTH 128
#define PREFIX_LENGTH   4
#define META_OFFSET     (PREAMBLE_LENGTH + PREFIX_LENGTH)
#define GROUP_LENGTH    12 /* the whole element (0002,0000) */
#define META_GROUP      0x0002

enum meta_element {
    META_VERSION = 0x0001,
    META_SOP_CLASS_UID = 0x0002,
    META_SOP_INSTANCE_UID = 0x0003,
    META_TRANSFER_SYNTAX_UID = 0x0010,
    META_IMPLEMENTATION_CLASS_UID = 0x0012,
    META_IMPLEMENTATION_VERSION_NAME = 0x0013,
    META_SOURCE_AE_TITLE = 0x0016,
    META_SENDING_AE_TITLE = 0x0017,
    META_RECEIVING_AE_TITLE = 0x0018
};

/* Everything that the header can hold fits: 5 UIDs or names and 3 titles. */
_Static_assert(META_OFFSET + GROUP_LENGTH + 14 + 5 * (8 + UID_MAX) + 3 * (8 + AE_TITLE_MAX) <=
                   PART10_HEADER_MAX,
               "PART10_HEADER_MAX is too small");

static size_t put_16(uint8_t *out, unsigned value)
{
    out[0] = (uint8_t)(value & 0xFF);
    out[1] = (uint8_t)(value >> 8 & 0xFF);
    return 2;
}

static size_t put_tag(uint8_t *out, enum meta_element element, const char vr[2])
{
    put_16(out, META_GROUP);
    put_16(out + 2, (unsigned)element);
    out[4] = (uint8_t)vr[0];
    out[5] = (uint8_t)vr[1];
    return 6;
}

/* An element of short form, padded to even length with NUL (UI) or a space. */
static size_t put_text(uint8_t *out, enum meta_element element, const char vr[2], const char *text,
                       size_t maximum)
{
    size_t length = strnlen(text, maximum);
    size_t padded = length + (length & 1);
    size_t used = put_tag(out, element, vr);
    used += put_16(out + used, (unsigned)padded);
    memcpy(out + used, text, length);
    if (padded > length)
        out[used + length] = vr[0] == 'U' ? '\0' : ' ';
    return used + padded;
}

static size_t put_title(uint8_t *out, enum meta_element element, const char *title)
{
    return title[0] == '\0' ? 0 : put_text(out, element, "AE", title, AE_TITLE_MAX);
}

/* OB: reserved bytes and a 32-bit length. */
static size_t put_version(uint8_t *out)
{
    size_t used = put_tag(out, META_VERSION, "OB");
    used += put_16(out + used, 0);
    used += put_16(out + used, 2);
    used += put_16(out + used, 0);
    out[used++] = 0x00;
    out[used++] = 0x01;
    return used;
}

static void put_group_length(uint8_t *out, size_t length)
{
    size_t used = put_tag(out, 0x0000, "UL");
    used += put_16(out + used, 4);
    used += put_16(out + used, (unsigned)length);
    put_16(out + used, 0);
}

size_t part10_write_header(uint8_t out[PART10_HEADER_MAX], const struct association *association,
                           const struct instance_request *request)
{
    memset(out, 0, PREAMBLE_LENGTH);
    memcpy(out + PREAMBLE_LENGTH, "DICM", PREFIX_LENGTH);
    size_t start = META_OFFSET + GROUP_LENGTH;
    size_t at = start;
    at += put_version(out + at);
    at += put_text(out + at, META_SOP_CLASS_UID, "UI", request->sop_class_uid, UID_MAX);
    at += put_text(out + at, META_SOP_INSTANCE_UID, "UI", request->sop_instance_uid, UID_MAX);
    at += put_text(out + at, META_TRANSFER_SYNTAX_UID, "UI", request->transfer_syntax_uid, UID_MAX);
    at += put_text(out + at, META_IMPLEMENTATION_CLASS_UID, "UI", PART10_IMPLEMENTATION_CLASS_UID,
                   UID_MAX);
    at += put_text(out + at, META_IMPLEMENTATION_VERSION_NAME, "SH",
                   PART10_IMPLEMENTATION_VERSION_NAME, 16);
    at += put_title(out + at, META_SOURCE_AE_TITLE, association->calling_ae_title);
    at += put_title(out + at, META_SENDING_AE_TITLE, association->calling_ae_title);
    at += put_title(out + at, META_RECEIVING_AE_TITLE, association->called_ae_title);
    put_group_length(out + META_OFFSET, at - start);
    return at;
}

struct meta_cursor {
    const uint8_t *bytes;
    size_t length;
    size_t at;
};

struct meta_value {
    unsigned element;
    const uint8_t *bytes;
    size_t length;
};

/* Takes the next element of group 0002. Returns 1, 0 when the group has ended, -1 when the bytes
 * end before it does. */
static int next_element(struct meta_cursor *cursor, struct meta_value *value)
{
    const uint8_t *header = cursor->bytes + cursor->at;
    size_t left = cursor->length - cursor->at;
    if (left < 2 || header_read_16(header, 0) != META_GROUP)
        return 0;
    if (left < 8)
        return -1;
    size_t header_length = header_vr_is_long(header_vr(header)) ? 12 : 8;
    if (left < header_length)
        return -1;
    size_t length = header_read_16(header + 6, 0);
    if (header_length == 12)
        length = (size_t)header_read_16(header + 8, 0) | (size_t)header_read_16(header + 10, 0)
                                                             << 16;
    if (length > left - header_length)
        return -1;
    value->element = header_read_16(header + 2, 0);
    value->bytes = header + header_length;
    value->length = length;
    cursor->at += header_length + length;
    return 1;
}

/* Values that are no UID or AE title are as good as absent. */
static void take_value(struct part10_header *out, const struct meta_value *value)
{
    struct instance_request *request = &out->request;
    char title[AE_TITLE_SIZE];
    switch (value->element) {
    case META_SOP_CLASS_UID:
        (void)uid_from_field(request->sop_class_uid, value->bytes, value->length);
        break;
    case META_SOP_INSTANCE_UID:
        (void)uid_from_field(request->sop_instance_uid, value->bytes, value->length);
        break;
    case META_TRANSFER_SYNTAX_UID:
        (void)uid_from_field(request->transfer_syntax_uid, value->bytes, value->length);
        break;
    case META_SOURCE_AE_TITLE:
        if (out->calling_ae_title[0] == '\0')
            (void)ae_title_from_field(out->calling_ae_title, value->bytes, value->length);
        break;
    case META_SENDING_AE_TITLE:
        if (ae_title_from_field(title, value->bytes, value->length) == 0)
            memcpy(out->calling_ae_title, title, sizeof title);
        break;
    case META_RECEIVING_AE_TITLE:
        (void)ae_title_from_field(out->called_ae_title, value->bytes, value->length);
        break;
    default:
        break;
    }
}

int part10_read_header(struct part10_header *out, const void *bytes, size_t length,
                       struct error *err)
{
    memset(out, 0, sizeof *out);
    struct meta_cursor cursor = {.bytes = bytes, .length = length, .at = META_OFFSET};
    if (length < META_OFFSET || memcmp(cursor.bytes + PREAMBLE_LENGTH, "DICM", PREFIX_LENGTH) != 0)
        return error_set(err, "not a DICOM file: no prefix DICM at byte 128");
    struct meta_value value;
    int status;
    while ((status = next_element(&cursor, &value)) > 0)
        take_value(out, &value);
    if (status < 0)
        return error_set(err,
                         "the file meta information does not end within %zu bytes: the file is "
                         "cut or damaged",
                         length);
    if (out->request.transfer_syntax_uid[0] == '\0')
        return error_set(err,
                         "the file meta information names no valid transfer syntax (0002,0010)");
    out->data_set_offset = cursor.at;
    return 0;
}
