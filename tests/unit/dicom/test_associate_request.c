/* The A-ASSOCIATE-RQ at the border: sound ones pass, whatever lies does not. */
#include "associate_request.h"

#include "suite.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#define FIXED 74

struct pdu {
    uint8_t data[65536];
    size_t length;
};

static void put(struct pdu *pdu, const void *bytes, size_t length)
{
    memcpy(pdu->data + pdu->length, bytes, length);
    pdu->length += length;
}

static void put_header(struct pdu *pdu, uint8_t type, size_t length)
{
    const uint8_t header[4] = {type, 0, (uint8_t)(length >> 8), (uint8_t)length};
    put(pdu, header, sizeof header);
}

static void put_text(struct pdu *pdu, uint8_t type, const char *text)
{
    put_header(pdu, type, strlen(text));
    put(pdu, text, strlen(text));
}

static void start(struct pdu *pdu)
{
    memset(pdu, 0, sizeof *pdu);
    pdu->data[0] = 1;
    pdu->data[7] = 1;
    memcpy(pdu->data + 10, "AURABRIDGE      CT1             ", 32);
    pdu->length = FIXED;
}

static void put_context(struct pdu *pdu, uint8_t id, const char *abstract, const char *transfer)
{
    put_header(pdu, 0x20, 4 + 4 + strlen(abstract) + 4 + strlen(transfer));
    put(pdu, (const uint8_t[]){id, 0, 0, 0}, 4);
    put_text(pdu, 0x30, abstract);
    put_text(pdu, 0x40, transfer);
}

static void put_application(struct pdu *pdu)
{
    put_text(pdu, 0x10, "1.2.840.10008.3.1.1.1");
}

static void put_user(struct pdu *pdu, const void *items, size_t length)
{
    put_header(pdu, 0x50, length);
    put(pdu, items, length);
}

static const uint8_t max_length_item[] = {0x51, 0, 0, 4, 0, 0, 0x40, 0};

static int examine(const struct pdu *pdu, struct associate_request *out, struct error *err)
{
    memset(out, 0, sizeof *out);
    err->text[0] = '\0';
    out->length = pdu->length;
    out->bytes = malloc(pdu->length ? pdu->length : 1);
    CU_ASSERT_PTR_NOT_NULL_FATAL(out->bytes);
    memcpy(out->bytes, pdu->data, pdu->length);
    return associate_request_examine(out, err);
}

static void expect(const struct pdu *pdu, int result, const char *reason)
{
    struct associate_request request;
    struct error err;
    CU_ASSERT_EQUAL(examine(pdu, &request, &err), result);
    CU_ASSERT_PTR_NOT_NULL(strstr(err.text, reason));
    if (!strstr(err.text, reason))
        (void)printf("\n    got \"%s\", wanted \"%s\"\n", err.text, reason);
    associate_request_drop(&request);
}

static void put_sound(struct pdu *pdu)
{
    start(pdu);
    put_application(pdu);
    put_context(pdu, 1, "1.2.840.10008.1.1", "1.2.840.10008.1.2");
    put_user(pdu, max_length_item, sizeof max_length_item);
}

static void test_a_sound_request_passes(void)
{
    struct pdu pdu;
    struct associate_request request;
    struct error err;
    put_sound(&pdu);
    CU_ASSERT_EQUAL(examine(&pdu, &request, &err), 0);
    CU_ASSERT_STRING_EQUAL(request.called_ae_title, "AURABRIDGE");
    CU_ASSERT_STRING_EQUAL(request.calling_ae_title, "CT1");
    CU_ASSERT_STRING_EQUAL(request.application_context, "1.2.840.10008.3.1.1.1");
    associate_request_drop(&request);
    put_header(&pdu, 0x99, 3); /* an item of a later standard */
    put(&pdu, "new", 3);
    expect(&pdu, 0, "");
}

static void test_contexts_are_limited(void)
{
    struct pdu pdu;
    start(&pdu);
    put_application(&pdu);
    put_user(&pdu, max_length_item, sizeof max_length_item);
    for (unsigned i = 0; i < 128; i++)
        put_context(&pdu, (uint8_t)(2 * i + 1), "1.2", "1.3");
    expect(&pdu, 0, "");
    put_context(&pdu, 1, "1.2", "1.3");
    expect(&pdu, -1, "more than 128 times");
}

static void test_any_prefix_is_refused(void)
{
    struct pdu pdu;
    put_sound(&pdu);
    for (size_t length = pdu.length - 1; length > 0; length--) {
        struct pdu shorter = pdu;
        shorter.length = length;
        expect(&shorter, -1, "A-ASSOCIATE-RQ");
    }
}

static void test_lying_items_are_refused(void)
{
    struct pdu pdu;
    put_sound(&pdu);
    pdu.data[FIXED + 2] = 0xFF;
    expect(&pdu, -1, "longer than its PDU");

    start(&pdu);
    put_application(&pdu);
    put_header(&pdu, 0x20, 10);
    put(&pdu, (const uint8_t[]){1, 0, 0, 0, 0x30, 0, 0, 9, '1', '2'}, 10);
    expect(&pdu, -1, "inner lengths");

    start(&pdu);
    put_header(&pdu, 0x20, 2);
    put(&pdu, "ab", 2);
    expect(&pdu, -1, "too short");

    start(&pdu);
    char long_uid[66];
    memset(long_uid, '1', sizeof long_uid);
    long_uid[65] = '\0';
    put_context(&pdu, 1, long_uid, "1.2");
    expect(&pdu, -1, "more than 64 characters");
}

static void test_user_items(void)
{
    const struct {
        const char *bytes;
        size_t length;
        int result;
    } rows[] = {
        {"\x51\0\0\4\0\0\x40\0", 8, 0},
        {"\x51\0\0\2\0\0", 6, -1},
        {"\x51\0\0\4\0\0\x40\0\x51\0\0\4\0\0\x40\0", 16, -1}, /* twice */
        {"\x54\0\0\7\0\3"
         "1.2\1\0",
         11, 0},
        {"\x54\0\0\7\0\4"
         "1.2\1\0",
         11, -1}, /* its UID reaches into the roles */
        {"\x58\0\0\12\1\1\0\4user\0\0", 14, 0},
        {"\x58\0\0\12\1\1\0\5user\0\0", 14, -1},
        {"\x58\0\0\12\1\1\xFF\xFFuser\0\0", 14, -1},
        {"\x56\0\0\2\xFF\xFF", 6, -1},
        {"\x55\0\0\x11"
         "12345678901234567",
         21, -1},
        {"\x51\0\0", 3, -1},
        {"\x53\0\0\4\0\1\0\1\x53\0\0\4\0\1\0\1", 16, -1},
        /* What the standard of today does not know is skipped, repeated or not. */
        {"\x59\0\0\1a\x59\0\0\1b", 10, 0},
        {"\xFF\0\0\0\x51\0\0\4\0\0\x40\0\xFF\0\0\0", 16, 0},
        {"\x50\0\0\0\x50\0\0\0", 8, 0},
        {"\xFF\0\0\1", 4, -1},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct pdu pdu;
        start(&pdu);
        put_application(&pdu);
        put_context(&pdu, 1, "1.2", "1.3");
        put_user(&pdu, rows[i].bytes, rows[i].length);
        expect(&pdu, rows[i].result, "");
    }
}

static void test_items_are_counted_that_are_known(void)
{
    static uint8_t unknown[4 * 2048];
    static uint8_t known[8 * 1025];
    struct pdu pdu;
    for (size_t i = 0; i < sizeof unknown; i += 4)
        unknown[i] = 0x7F;
    for (size_t i = 0; i < sizeof known; i += 8) {
        known[i] = 0x57;
        known[i + 3] = 4; /* two empty UIDs */
    }
    start(&pdu);
    put_application(&pdu);
    put_context(&pdu, 1, "1.2", "1.3");
    size_t length = pdu.length;
    put_user(&pdu, unknown, sizeof unknown);
    expect(&pdu, 0, "");
    pdu.length = length;
    put_user(&pdu, known, sizeof known - 8);
    expect(&pdu, 0, "");
    pdu.length = length;
    put_user(&pdu, known, sizeof known);
    expect(&pdu, -1, "too many items inside");
}

static void test_unknown_items_of_a_context_are_skipped(void)
{
    struct pdu pdu;
    char long_text[2 * 65];
    memset(long_text, '1', sizeof long_text);
    start(&pdu);
    put_application(&pdu);
    put_header(&pdu, 0x20, 4 + 7 + 2 * 4 + sizeof long_text + 7);
    put(&pdu, (const uint8_t[]){1, 0, 0, 0}, 4);
    put_text(&pdu, 0x30, "1.2");
    put_header(&pdu, 0x41, sizeof long_text);
    put(&pdu, long_text, sizeof long_text);
    put_header(&pdu, 0x41, 0);
    put_text(&pdu, 0x40, "1.3");
    put_user(&pdu, max_length_item, sizeof max_length_item);
    expect(&pdu, 0, "");
}

static void test_identity_is_noted(void)
{
    const struct {
        const char *item;
        bool asks;
    } rows[] = {
        {"\x58\0\0\12\1\1\0\4user\0\0", true},  {"\x58\0\0\12\2\1\0\4user\0\0", true},
        {"\x58\0\0\12\1\0\0\4user\0\0", false}, {"\x58\0\0\12\3\1\0\4user\0\0", false},
        {"\x58\0\0\12\0\1\0\4user\0\0", false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct pdu pdu;
        struct associate_request request;
        struct error err;
        start(&pdu);
        put_application(&pdu);
        put_context(&pdu, 1, "1.2", "1.3");
        put_user(&pdu, rows[i].item, 14);
        CU_ASSERT_EQUAL(examine(&pdu, &request, &err), 0);
        CU_ASSERT_EQUAL(request.asks_for_identity_answer, rows[i].asks);
        associate_request_drop(&request);
    }
}

/* A request with all that is not used becomes one without. */
static void test_condensed_to_what_is_used(void)
{
    struct pdu full, wanted;
    struct associate_request request;
    struct error err;
    static const char user[] = "\x54\0\0\7\0\3"
                               "1.2\1\0"
                               "\x51\0\0\4\0\0\x40\0"
                               "\x58\0\0\12\1\1\0\4user\0\0"
                               "\x55\0\0\2AB";
    static const char used[] = "\x51\0\0\4\0\0\x40\0\x55\0\0\2AB";
    start(&full);
    put_header(&full, 0x99, 3);
    put(&full, "new", 3);
    put_application(&full);
    put_header(&full, 0x20, 4 + 7 + 4 + 7 + 7 + 7);
    put(&full, (const uint8_t[]){5, 0, 0, 0}, 4);
    put_text(&full, 0x40, "1.4");
    put_header(&full, 0x40, 0);
    put_text(&full, 0x30, "1.2");
    put_text(&full, 0x40, "1.5");
    put_text(&full, 0x40, "1.6");
    put_context(&full, 7, "1.2", "1.3");
    put_user(&full, user, sizeof user - 1);
    CU_ASSERT_EQUAL_FATAL(examine(&full, &request, &err), 0);
    associate_request_condense(&request);

    start(&wanted);
    put_application(&wanted);
    put_header(&wanted, 0x20, 4 + 7 + 7);
    put(&wanted, (const uint8_t[]){5, 0, 0, 0}, 4);
    put_text(&wanted, 0x40, "1.4");
    put_text(&wanted, 0x30, "1.2");
    put_context(&wanted, 7, "1.2", "1.3");
    put_user(&wanted, used, sizeof used - 1);
    wanted.data[4] = (uint8_t)((wanted.length - 6) >> 8);
    wanted.data[5] = (uint8_t)(wanted.length - 6);
    CU_ASSERT_EQUAL(request.length, wanted.length);
    CU_ASSERT_EQUAL(memcmp(request.bytes, wanted.data, wanted.length), 0);
    associate_request_drop(&request);
    CU_ASSERT_PTR_NULL(request.bytes);
    associate_request_drop(&request);
}

/* Types that mean something inside a presentation context alone. */
static void test_user_information_keeps_its_own_items_alone(void)
{
    struct pdu full, wanted;
    struct associate_request request;
    struct error err;
    static const char user[] = "\x30\0\0\3"
                               "1.2"
                               "\x40\0\0\3"
                               "1.3"
                               "\x51\0\0\4\0\0\x40\0"
                               "\x10\0\0\0\x20\0\0\0\x50\0\0\0";
    start(&full);
    put_application(&full);
    put_context(&full, 1, "1.2", "1.3");
    put_user(&full, user, sizeof user - 1);
    CU_ASSERT_EQUAL_FATAL(examine(&full, &request, &err), 0);
    associate_request_condense(&request);

    start(&wanted);
    put_application(&wanted);
    put_context(&wanted, 1, "1.2", "1.3");
    put_user(&wanted, max_length_item, sizeof max_length_item);
    wanted.data[4] = (uint8_t)((wanted.length - 6) >> 8);
    wanted.data[5] = (uint8_t)(wanted.length - 6);
    CU_ASSERT_EQUAL_FATAL(request.length, wanted.length);
    CU_ASSERT_EQUAL(memcmp(request.bytes, wanted.data, wanted.length), 0);
    associate_request_drop(&request);
}

/* dcmtk loses the memory of a request that it gives up. */
static void test_a_context_without_transfer_syntax_is_refused(void)
{
    struct pdu pdu;
    start(&pdu);
    put_application(&pdu);
    put_header(&pdu, 0x20, 4 + 7);
    put(&pdu, (const uint8_t[]){1, 0, 0, 0}, 4);
    put_text(&pdu, 0x30, "1.2");
    put_user(&pdu, max_length_item, sizeof max_length_item);
    expect(&pdu, -1, "without a transfer syntax");
}

static void test_singular_items(void)
{
    struct pdu pdu;
    put_sound(&pdu);
    put_application(&pdu);
    expect(&pdu, -1, "item 10 more than once");
    put_sound(&pdu);
    put_user(&pdu, max_length_item, sizeof max_length_item);
    expect(&pdu, -1, "item 50 more than once");
    start(&pdu);
    expect(&pdu, -1, "lacks its application context");
    put_application(&pdu);
    expect(&pdu, -1, "lacks its presentation contexts");
    put_context(&pdu, 1, "1.2", "1.3");
    expect(&pdu, -1, "lacks its user information");
}

static CU_TestInfo cases[] = {SUITE_CASE(test_a_sound_request_passes),
                              SUITE_CASE(test_contexts_are_limited),
                              SUITE_CASE(test_any_prefix_is_refused),
                              SUITE_CASE(test_lying_items_are_refused),
                              SUITE_CASE(test_user_items),
                              SUITE_CASE(test_items_are_counted_that_are_known),
                              SUITE_CASE(test_unknown_items_of_a_context_are_skipped),
                              SUITE_CASE(test_identity_is_noted),
                              SUITE_CASE(test_condensed_to_what_is_used),
                              SUITE_CASE(test_user_information_keeps_its_own_items_alone),
                              SUITE_CASE(test_a_context_without_transfer_syntax_is_refused),
                              SUITE_CASE(test_singular_items),
                              CU_TEST_INFO_NULL};
SUITE_MAIN("dicom_associate_request", cases)
