/* The Part 10 header: written, read back, and read from damaged bytes. */
#include "aurabridge/part10.h"
#include "suite.h"

#include <stdio.h>
#include <string.h>

static const struct association association = {.calling_ae_title = "CT1",
                                               .called_ae_title = "AURABRIDGE"};
static const struct instance_request request = {.sop_class_uid = "1.2.840.10008.5.1.4.1.1.2",
                                                .sop_instance_uid = "1.2.3.4.5.6.7.8",
                                                .transfer_syntax_uid = "1.2.840.10008.1.2.1"};

static void test_reads_what_it_writes(void)
{
    uint8_t bytes[PART10_HEADER_MAX];
    size_t length = part10_write_header(bytes, &association, &request);
    CU_ASSERT(length % 2 == 0);
    CU_ASSERT_EQUAL(memcmp(bytes + 128, "DICM\x02\0\0\0UL\x04\0", 12), 0);
    CU_ASSERT_EQUAL(bytes[140] + 256U * bytes[141], length - 144); /* group length */
    CU_ASSERT_EQUAL(memcmp(bytes + 144, "\x02\0\x01\0OB\0\0\x02\0\0\0\0\x01", 14), 0);

    struct part10_header header;
    CU_ASSERT_EQUAL(part10_read_header(&header, bytes, length, NULL), 0);
    CU_ASSERT_STRING_EQUAL(header.request.sop_class_uid, request.sop_class_uid);
    CU_ASSERT_STRING_EQUAL(header.request.sop_instance_uid, request.sop_instance_uid);
    CU_ASSERT_STRING_EQUAL(header.request.transfer_syntax_uid, request.transfer_syntax_uid);
    CU_ASSERT_STRING_EQUAL(header.calling_ae_title, "CT1");
    CU_ASSERT_STRING_EQUAL(header.called_ae_title, "AURABRIDGE");
    CU_ASSERT_EQUAL(header.data_set_offset, length);
}

static void test_longest_values_fit(void)
{
    struct association longest = {.calling_ae_title = "ABCDEFGHIJKLMNOP",
                                  .called_ae_title = "QRSTUVWXYZABCDEF"};
    struct instance_request uids;
    memset(&uids, 0, sizeof uids);
    memset(uids.sop_class_uid, '1', UID_MAX);
    memset(uids.sop_instance_uid, '2', UID_MAX);
    memset(uids.transfer_syntax_uid, '3', UID_MAX);
    uint8_t bytes[PART10_HEADER_MAX];
    size_t length = part10_write_header(bytes, &longest, &uids);
    struct part10_header header;
    CU_ASSERT_EQUAL(part10_read_header(&header, bytes, length, NULL), 0);
    CU_ASSERT_EQUAL(strlen(header.request.sop_instance_uid), UID_MAX);
    CU_ASSERT_STRING_EQUAL(header.called_ae_title, longest.called_ae_title);
}

static void test_absent_titles_are_left_out(void)
{
    struct association nobody = {.id = 1};
    uint8_t bytes[PART10_HEADER_MAX];
    size_t length = part10_write_header(bytes, &nobody, &request);
    struct part10_header header;
    CU_ASSERT_EQUAL(part10_read_header(&header, bytes, length, NULL), 0);
    CU_ASSERT_STRING_EQUAL(header.calling_ae_title, "");
    CU_ASSERT_STRING_EQUAL(header.called_ae_title, "");
}

/* Preamble, prefix, then the elements given. */
static size_t foreign(uint8_t *out, const char *elements, size_t length)
{
    memset(out, 0xAA, 128);
    memcpy(out + 128, "DICM", 4);
    memcpy(out + 132, elements, length);
    return 132 + length;
}

static void test_foreign_headers(void)
{
    struct part10_header header;
    uint8_t bytes[512];
    /* no group length; only a source title; then the data set */
    static const char meta[] = "\x02\0\x10\0UI\x12\0"
                               "1.2.840.10008.1.2\0"
                               "\x02\0\x16\0AE\x04\0CT1 "
                               "\x08\0\x05\0CS\x02\0xx";
    size_t length = foreign(bytes, meta, sizeof meta - 1);
    CU_ASSERT_EQUAL(part10_read_header(&header, bytes, length, NULL), 0);
    CU_ASSERT_STRING_EQUAL(header.request.transfer_syntax_uid, "1.2.840.10008.1.2");
    CU_ASSERT_STRING_EQUAL(header.request.sop_instance_uid, "");
    CU_ASSERT_STRING_EQUAL(header.calling_ae_title, "CT1");
    CU_ASSERT_EQUAL(header.data_set_offset, length - 10);

    /* the sending title stands above the source title, in either order */
    static const char titles[] = "\x02\0\x10\0UI\x12\0"
                                 "1.2.840.10008.1.2\0"
                                 "\x02\0\x17\0AE\x04\0SEND\x02\0\x16\0AE\x04\0CT1 ";
    length = foreign(bytes, titles, sizeof titles - 1);
    CU_ASSERT_EQUAL(part10_read_header(&header, bytes, length, NULL), 0);
    CU_ASSERT_STRING_EQUAL(header.calling_ae_title, "SEND");
}

static void test_refuses_with_a_reason(void)
{
    struct part10_header header;
    struct error err;
    uint8_t bytes[PART10_HEADER_MAX];
    CU_ASSERT_EQUAL(part10_read_header(&header, "", 0, &err), -1);
    CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "DICM"));
    size_t length = foreign(bytes, "\x02\0\x00\0UL\x04\0\0\0\0\0", 12);
    CU_ASSERT_EQUAL(part10_read_header(&header, bytes, length, &err), -1);
    CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "transfer syntax"));
    length = foreign(bytes, "\x02\0\x01\0OB\0\0\xff\xff\xff\xff", 12);
    CU_ASSERT_EQUAL(part10_read_header(&header, bytes, length, &err), -1);
    CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "does not end"));
}

/* Every cut, in memory of exactly that size, so that a sanitizer sees each byte read too far. */
static void test_survives_every_cut(void)
{
    uint8_t bytes[PART10_HEADER_MAX];
    size_t length = part10_write_header(bytes, &association, &request);
    for (size_t cut = 0; cut < length; cut++) {
        uint8_t *exact = malloc(cut + 1);
        CU_ASSERT_PTR_NOT_NULL_FATAL(exact);
        memcpy(exact + 1, bytes, cut);
        struct part10_header header;
        int status = part10_read_header(&header, exact + 1, cut, NULL);
        CU_ASSERT(status == -1 || header.data_set_offset <= cut);
        free(exact);
    }
}

static void test_survives_garbage(void)
{
    uint32_t state = 1;
    for (int round = 0; round < 20000; round++) {
        uint8_t bytes[PART10_HEADER_MAX];
        size_t length = part10_write_header(bytes, &association, &request);
        for (int i = 0; i < 4; i++) {
            state = state * 1664525U + 1013904223U;
            bytes[128 + (state >> 16) % (length - 128)] = (uint8_t)(state >> 8);
        }
        struct part10_header header;
        if (part10_read_header(&header, bytes, length, NULL) == 0) {
            CU_ASSERT(header.data_set_offset <= length);
            CU_ASSERT(uid_is_valid(header.request.transfer_syntax_uid));
        }
    }
}

static CU_TestInfo cases[] = {
    SUITE_CASE(test_reads_what_it_writes),       SUITE_CASE(test_longest_values_fit),
    SUITE_CASE(test_absent_titles_are_left_out), SUITE_CASE(test_foreign_headers),
    SUITE_CASE(test_refuses_with_a_reason),      SUITE_CASE(test_survives_every_cut),
    SUITE_CASE(test_survives_garbage),           CU_TEST_INFO_NULL};
SUITE_MAIN("part10", cases)
