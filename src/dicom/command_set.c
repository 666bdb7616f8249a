/* The codec of DIMSE command sets. Reads one level of elements with defined lengths and nothing
 * else: command sets have no sequences, so whatever nests is refused, not followed.
 */
#include "command_set.h"

#include <string.h>

#define TAG_GROUP_LENGTH            0x0000
#define TAG_AFFECTED_SOP_CLASS      0x0002
#define TAG_REQUESTED_SOP_CLASS     0x0003
#define TAG_COMMAND_FIELD           0x0100
#define TAG_MESSAGE_ID              0x0110
#define TAG_RESPONDED_MESSAGE_ID    0x0120
#define TAG_DATA_SET_TYPE           0x0800
#define TAG_STATUS                  0x0900
#define TAG_ERROR_COMMENT           0x0902
#define TAG_AFFECTED_SOP_INSTANCE   0x1000
#define TAG_REQUESTED_SOP_INSTANCE  0x1001
#define DATA_SET_TYPE_NONE          0x0101
#define UNDEFINED_LENGTH            0xFFFFFFFFu
#define ELEMENT_HEADER_LENGTH       8
#define GROUP_LENGTH_ELEMENT_LENGTH 12

static uint16_t read_u16(const uint8_t *at)
{
    return (uint16_t)(at[0] | at[1] << 8);
}

static uint32_t read_u32(const uint8_t *at)
{
    return (uint32_t)read_u16(at) | (uint32_t)read_u16(at + 2) << 16;
}

struct seen {
    bool command_field, data_set_type;
};

static int decode_number(uint16_t *out, bool *seen, uint16_t element, const uint8_t *value,
                         uint32_t length, struct error *err)
{
    if (length != 2)
        return error_set(err, "element (0000,%04x) has %u bytes instead of 2", element, length);
    *out = read_u16(value);
    *seen = true;
    return 0;
}

/* The affected UID wins over the requested one, wherever they stand. */
static void decode_uid(char out[UID_SIZE], enum command_uid_state *state, bool affected,
                       const uint8_t *value, uint32_t length)
{
    if (!affected && *state != COMMAND_UID_ABSENT)
        return;
    *state = uid_from_field(out, value, length) == 0 ? COMMAND_UID_VALID : COMMAND_UID_BAD;
}

static int decode_element(struct command_set *out, struct seen *seen, uint16_t element,
                          const uint8_t *value, uint32_t length, struct error *err)
{
    uint16_t data_set_type = 0;
    switch (element) {
    case TAG_COMMAND_FIELD:
        return decode_number(&out->command_field, &seen->command_field, element, value, length,
                             err);
    case TAG_MESSAGE_ID:
        return decode_number(&out->message_id, &out->has_message_id, element, value, length, err);
    case TAG_DATA_SET_TYPE:
        if (decode_number(&data_set_type, &seen->data_set_type, element, value, length, err) != 0)
            return -1;
        out->has_data_set = data_set_type != DATA_SET_TYPE_NONE;
        return 0;
    case TAG_AFFECTED_SOP_CLASS:
    case TAG_REQUESTED_SOP_CLASS:
        decode_uid(out->sop_class_uid, &out->sop_class_state, element == TAG_AFFECTED_SOP_CLASS,
                   value, length);
        return 0;
    case TAG_AFFECTED_SOP_INSTANCE:
    case TAG_REQUESTED_SOP_INSTANCE:
        decode_uid(out->sop_instance_uid, &out->sop_instance_state,
                   element == TAG_AFFECTED_SOP_INSTANCE, value, length);
        return 0;
    default:
        return 0;
    }
}

int command_set_decode(struct command_set *out, const void *bytes, size_t length, struct error *err)
{
    const uint8_t *at = bytes;
    struct seen seen = {false, false};
    memset(out, 0, sizeof *out);
    if (length > COMMAND_SET_MAX)
        return error_set(err, "command set has more than %d bytes", COMMAND_SET_MAX);
    while (length > 0) {
        if (length < ELEMENT_HEADER_LENGTH)
            return error_set(err, "command set ends inside an element");
        uint16_t group = read_u16(at), element = read_u16(at + 2);
        uint32_t value_length = read_u32(at + 4);
        at += ELEMENT_HEADER_LENGTH;
        length -= ELEMENT_HEADER_LENGTH;
        if (group != 0)
            return error_set(err, "command set has an element (%04x,%04x) of another group", group,
                             element);
        if (value_length == UNDEFINED_LENGTH)
            return error_set(err, "element (0000,%04x) has an undefined length", element);
        if (value_length > length)
            return error_set(err, "element (0000,%04x) is longer than its command set", element);
        if (decode_element(out, &seen, element, at, value_length, err) != 0)
            return -1;
        at += value_length;
        length -= value_length;
    }
    if (!seen.command_field || !seen.data_set_type)
        return error_set(err, "command set lacks %s",
                         seen.command_field ? "a data set type" : "a command field");
    return 0;
}

static uint8_t *write_u16(uint8_t *at, uint16_t value)
{
    at[0] = (uint8_t)value;
    at[1] = (uint8_t)(value >> 8);
    return at + 2;
}

static uint8_t *write_header(uint8_t *at, uint16_t element, uint32_t length)
{
    at = write_u16(at, 0);
    at = write_u16(at, element);
    at = write_u16(at, (uint16_t)length);
    return write_u16(at, (uint16_t)(length >> 16));
}

static uint8_t *write_number(uint8_t *at, uint16_t element, uint16_t value)
{
    return write_u16(write_header(at, element, 2), value);
}

static uint8_t *write_text(uint8_t *at, uint16_t element, const char *text, size_t length,
                           uint8_t padding)
{
    size_t padded = length + (length & 1);
    at = write_header(at, element, (uint32_t)padded);
    memcpy(at, text, length);
    if (padded > length)
        at[length] = padding;
    return at + padded;
}

/* LO allows no control characters and no backslash; without a character set, ASCII only. */
static uint8_t *write_comment(uint8_t *at, const char *comment)
{
    char text[ERROR_COMMENT_MAX];
    size_t length = 0;
    for (; length < sizeof text && comment[length]; length++) {
        char c = comment[length];
        text[length] = c >= 0x20 && c < 0x7F && c != '\\' ? c : '?';
    }
    return write_text(at, TAG_ERROR_COMMENT, text, length, ' ');
}

size_t command_set_encode_response(uint8_t out[COMMAND_RESPONSE_MAX],
                                   const struct command_set *request,
                                   const struct dimse_answer *answer)
{
    uint8_t *at = out + GROUP_LENGTH_ELEMENT_LENGTH;
    if (request->sop_class_uid[0])
        at = write_text(at, TAG_AFFECTED_SOP_CLASS, request->sop_class_uid,
                        strlen(request->sop_class_uid), 0);
    at = write_number(at, TAG_COMMAND_FIELD,
                      (uint16_t)(request->command_field | COMMAND_RESPONSE_BIT));
    at = write_number(at, TAG_RESPONDED_MESSAGE_ID, request->message_id);
    at = write_number(at, TAG_DATA_SET_TYPE, DATA_SET_TYPE_NONE);
    at = write_number(at, TAG_STATUS, answer->status);
    if (answer->status != DIMSE_SUCCESS && answer->comment[0])
        at = write_comment(at, answer->comment);
    if (request->sop_instance_uid[0])
        at = write_text(at, TAG_AFFECTED_SOP_INSTANCE, request->sop_instance_uid,
                        strlen(request->sop_instance_uid), 0);
    size_t length = (size_t)(at - out);
    uint32_t group_length = (uint32_t)(length - GROUP_LENGTH_ELEMENT_LENGTH);
    uint8_t *value = write_header(out, TAG_GROUP_LENGTH, 4);
    (void)write_u16(write_u16(value, (uint16_t)group_length), (uint16_t)(group_length >> 16));
    return length;
}
