/* The codec of DIMSE command sets: what is read, what is refused, what is written. */
#include "command_set.h"

#include "suite.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

struct bytes {
    uint8_t data[COMMAND_SET_MAX + 64];
    size_t length;
};

static void put(struct bytes *out, uint16_t group, uint16_t element, const void *value,
                uint32_t length)
{
    const uint8_t header[8] = {
        (uint8_t)group,  (uint8_t)(group >> 8),  (uint8_t)element,        (uint8_t)(element >> 8),
        (uint8_t)length, (uint8_t)(length >> 8), (uint8_t)(length >> 16), (uint8_t)(length >> 24)};
    memcpy(out->data + out->length, header, sizeof header);
    out->length += sizeof header;
    if (value) {
        memcpy(out->data + out->length, value, length);
        out->length += length;
    }
}

static void put_number(struct bytes *out, uint16_t element, uint16_t number)
{
    const uint8_t value[2] = {(uint8_t)number, (uint8_t)(number >> 8)};
    put(out, 0, element, value, 2);
}

static void put_store(struct bytes *out)
{
    memset(out, 0, sizeof *out);
    put(out, 0, 0x0002, "1.2.840.10008.5.1.4.1.1.2\0", 26);
    put_number(out, 0x0100, COMMAND_C_STORE);
    put_number(out, 0x0110, 7);
    put_number(out, 0x0700, 0);
    put_number(out, 0x0800, 1);
    put(out, 0, 0x1000, "1.2.3.4", 7);
}

static void test_store_request_is_read(void)
{
    struct bytes bytes;
    struct command_set command;
    struct error err = {""};
    put_store(&bytes);
    CU_ASSERT_EQUAL(command_set_decode(&command, bytes.data, bytes.length, &err), 0);
    CU_ASSERT_EQUAL(command.command_field, COMMAND_C_STORE);
    CU_ASSERT_TRUE(command.has_message_id);
    CU_ASSERT_EQUAL(command.message_id, 7);
    CU_ASSERT_TRUE(command.has_data_set);
    CU_ASSERT_STRING_EQUAL(command.sop_class_uid, "1.2.840.10008.5.1.4.1.1.2");
    CU_ASSERT_STRING_EQUAL(command.sop_instance_uid, "1.2.3.4");
}

static void test_uid_states(void)
{
    const struct {
        const char *value;
        enum command_uid_state state;
    } rows[] = {{"1.2.3", COMMAND_UID_VALID}, {"1.2.3 ", COMMAND_UID_VALID},
                {"../../x", COMMAND_UID_BAD}, {"", COMMAND_UID_BAD},
                {"1..2", COMMAND_UID_BAD},    {NULL, COMMAND_UID_ABSENT}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct bytes bytes = {.length = 0};
        struct command_set command;
        put_number(&bytes, 0x0100, COMMAND_C_STORE);
        put_number(&bytes, 0x0800, 1);
        if (rows[i].value)
            put(&bytes, 0, 0x1000, rows[i].value, (uint32_t)strlen(rows[i].value));
        CU_ASSERT_EQUAL(command_set_decode(&command, bytes.data, bytes.length, NULL), 0);
        CU_ASSERT_EQUAL(command.sop_instance_state, rows[i].state);
        CU_ASSERT_EQUAL(command.sop_instance_uid[0] != '\0', rows[i].state == COMMAND_UID_VALID);
    }
}

static void test_affected_uid_wins_over_requested(void)
{
    struct bytes bytes = {.length = 0};
    struct command_set command;
    put(&bytes, 0, 0x0003, "1.3", 3);
    put(&bytes, 0, 0x0002, "1.2", 3);
    put_number(&bytes, 0x0100, COMMAND_C_STORE);
    put_number(&bytes, 0x0800, 1);
    put(&bytes, 0, 0x1000, "1.4", 3);
    put(&bytes, 0, 0x1001, "1.5", 3);
    CU_ASSERT_EQUAL(command_set_decode(&command, bytes.data, bytes.length, NULL), 0);
    CU_ASSERT_STRING_EQUAL(command.sop_class_uid, "1.2");
    CU_ASSERT_STRING_EQUAL(command.sop_instance_uid, "1.4");
}

static void expect_refusal(const struct bytes *bytes, const char *reason)
{
    struct command_set command;
    struct error err = {""};
    CU_ASSERT_EQUAL(command_set_decode(&command, bytes->data, bytes->length, &err), -1);
    CU_ASSERT_PTR_NOT_NULL(strstr(err.text, reason));
    if (!strstr(err.text, reason))
        (void)printf("\n    got \"%s\", wanted \"%s\"\n", err.text, reason);
}

static void test_unsound_ones_are_refused(void)
{
    struct bytes bytes;
    put_store(&bytes);
    put(&bytes, 8, 0x0060, "CT", 2);
    expect_refusal(&bytes, "(0008,0060) of another group");

    put_store(&bytes);
    put(&bytes, 0, 0x1005, NULL, 0xFFFFFFFF);
    expect_refusal(&bytes, "undefined length");

    put_store(&bytes);
    put(&bytes, 0, 0x1005, NULL, 10);
    expect_refusal(&bytes, "longer than its command set");

    put_store(&bytes);
    bytes.length += 5;
    expect_refusal(&bytes, "ends inside an element");

    put_store(&bytes);
    put(&bytes, 0, 0x0110, "1234", 4);
    expect_refusal(&bytes, "4 bytes instead of 2");

    memset(&bytes, 0, sizeof bytes);
    expect_refusal(&bytes, "lacks a command field");
    put_number(&bytes, 0x0100, COMMAND_C_ECHO);
    expect_refusal(&bytes, "lacks a data set type");

    memset(&bytes, 0, sizeof bytes);
    bytes.length = COMMAND_SET_MAX + 1;
    expect_refusal(&bytes, "more than 16384 bytes");
}

static void test_nesting_is_refused_not_followed(void)
{
    struct bytes bytes = {.length = 0};
    while (bytes.length + 16 <= COMMAND_SET_MAX) {
        put(&bytes, 0, 0x0001, NULL, 0xFFFFFFFF);
        put(&bytes, 0xFFFE, 0xE000, NULL, 0xFFFFFFFF);
    }
    expect_refusal(&bytes, "undefined length");
}

static void test_any_prefix_is_safe(void)
{
    struct bytes bytes;
    struct command_set command;
    put_store(&bytes);
    for (size_t length = 0; length < bytes.length; length++) {
        uint8_t *exact = malloc(length ? length : 1); /* so that a sanitizer sees one byte more */
        CU_ASSERT_PTR_NOT_NULL_FATAL(exact);
        memcpy(exact, bytes.data, length);
        (void)command_set_decode(&command, exact, length, NULL);
        free(exact);
    }
    CU_ASSERT_EQUAL(command_set_decode(&command, bytes.data, bytes.length, NULL), 0);
}

static const uint8_t *find(const uint8_t *bytes, size_t length, uint16_t element, uint32_t *size)
{
    for (size_t at = 0; at + 8 <= length;) {
        uint32_t value = (uint32_t)(bytes[at + 4] | bytes[at + 5] << 8);
        if ((bytes[at + 2] | bytes[at + 3] << 8) == element) {
            *size = value;
            return bytes + at + 8;
        }
        at += 8 + value;
    }
    return NULL;
}

static void test_response_carries_status_ids_and_comment(void)
{
    struct command_set request = {.command_field = COMMAND_C_STORE,
                                  .message_id = 0x1234,
                                  .sop_class_uid = "1.2.840.10008.5.1.4.1.1.2",
                                  .sop_instance_uid = "1.2.3"};
    struct dimse_answer answer = {DIMSE_OUT_OF_RESOURCES, "disk\\full\nnow\xC3"};
    uint8_t out[COMMAND_RESPONSE_MAX];
    size_t length = command_set_encode_response(out, &request, &answer);
    uint32_t size = 0;
    const uint8_t *value = find(out, length, 0x0000, &size);
    CU_ASSERT_PTR_NOT_NULL_FATAL(value);
    CU_ASSERT_EQUAL((size_t)(value[0] | value[1] << 8), length - 12);
    value = find(out, length, 0x0100, &size);
    CU_ASSERT_TRUE(value && value[0] == 0x01 && value[1] == 0x80);
    value = find(out, length, 0x0120, &size);
    CU_ASSERT_TRUE(value && value[0] == 0x34 && value[1] == 0x12);
    value = find(out, length, 0x0800, &size);
    CU_ASSERT_TRUE(value && value[0] == 0x01 && value[1] == 0x01);
    value = find(out, length, 0x0900, &size);
    CU_ASSERT_TRUE(value && value[0] == 0x00 && value[1] == 0xA7);
    value = find(out, length, 0x0902, &size);
    CU_ASSERT_TRUE(value && size == 14 && memcmp(value, "disk?full?now?", 14) == 0);
    value = find(out, length, 0x1000, &size);
    CU_ASSERT_TRUE(value && size == 6 && memcmp(value, "1.2.3\0", 6) == 0);
}

static void test_response_is_even_and_within_its_limits(void)
{
    struct command_set request = {.command_field = COMMAND_C_STORE};
    struct dimse_answer answer = {DIMSE_CANNOT_UNDERSTAND, ""};
    uint8_t out[COMMAND_RESPONSE_MAX];
    uint32_t size = 0;
    memset(request.sop_class_uid, '1', UID_MAX);
    memset(request.sop_instance_uid, '1', UID_MAX);
    for (size_t used = 1; used <= ERROR_COMMENT_MAX; used++) {
        memset(answer.comment, 'x', used);
        size_t length = command_set_encode_response(out, &request, &answer);
        CU_ASSERT_TRUE(length % 2 == 0 && length <= sizeof out);
        CU_ASSERT_PTR_NOT_NULL(find(out, length, 0x0902, &size));
        CU_ASSERT_EQUAL(size, used + used % 2);
    }
    answer.status = DIMSE_SUCCESS;
    CU_ASSERT_PTR_NULL(
        find(out, command_set_encode_response(out, &request, &answer), 0x0902, &size));
}

static CU_TestInfo cases[] = {SUITE_CASE(test_store_request_is_read),
                              SUITE_CASE(test_uid_states),
                              SUITE_CASE(test_affected_uid_wins_over_requested),
                              SUITE_CASE(test_unsound_ones_are_refused),
                              SUITE_CASE(test_nesting_is_refused_not_followed),
                              SUITE_CASE(test_any_prefix_is_safe),
                              SUITE_CASE(test_response_carries_status_ids_and_comment),
                              SUITE_CASE(test_response_is_even_and_within_its_limits),
                              CU_TEST_INFO_NULL};
SUITE_MAIN("dicom_command_set", cases)
