/* UIDs, AE titles, networks, states and attributes: cases are rows. */
#include "aurabridge/ae_title.h"
#include "aurabridge/attribute.h"
#include "aurabridge/network.h"
#include "aurabridge/study_state.h"
#include "aurabridge/uid.h"

#include "suite.h"

#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof *(array))

static void test_uid_is_valid(void)
{
    static const struct {
        const char *uid;
        bool valid;
    } rows[] = {
        {"1.2.840.10008.1.1", true},
        {"1", true},
        {"1.02.3", true},
        {"1234567890123456789012345678901234567890123456789012345678901234", true},
        {"12345678901234567890123456789012345678901234567890123456789012345", false},
        {"", false},
        {".1", false},
        {"1.", false},
        {"1..2", false},
        {"1.2/../3", false},
        {"1.2 ", false},
        {"1.a", false},
    };
    for (size_t i = 0; i < COUNT(rows); i++)
        CU_ASSERT_EQUAL(uid_is_valid(rows[i].uid), rows[i].valid);
}

static void test_uid_from_field(void)
{
    char uid[UID_SIZE];
    CU_ASSERT_EQUAL(uid_from_field(uid, "1.2.3\0", 6), 0);
    CU_ASSERT_STRING_EQUAL(uid, "1.2.3");
    CU_ASSERT_EQUAL(uid_from_field(uid, "1.2.3 \0 ", 8), 0);
    CU_ASSERT_STRING_EQUAL(uid, "1.2.3");
    CU_ASSERT_EQUAL(uid_from_field(uid, "1.2\0.3", 6), -1);
    CU_ASSERT_STRING_EQUAL(uid, "");
    CU_ASSERT_EQUAL(uid_from_field(uid, "\0\0", 2), -1);
}

static void test_ae_title_from_field(void)
{
    char title[AE_TITLE_SIZE];
    CU_ASSERT_EQUAL(ae_title_from_field(title, "  CT 1          ", 16), 0);
    CU_ASSERT_STRING_EQUAL(title, "CT 1");
    CU_ASSERT_EQUAL(ae_title_from_field(title, "CT1\0garbage", 11), 0);
    CU_ASSERT_STRING_EQUAL(title, "CT1");
    CU_ASSERT_EQUAL(ae_title_from_field(title, "                ", 16), -1);
    CU_ASSERT_EQUAL(ae_title_from_field(title, "A\\B", 3), -1);
    CU_ASSERT_EQUAL(ae_title_from_field(title, "12345678901234567", 17), -1);
    CU_ASSERT_EQUAL(ae_title_from_field(title, "A\nB", 3), -1);
}

static void test_ae_title_matches(void)
{
    static const struct {
        const char *pattern, *title;
        bool matches;
    } rows[] = {
        {"*", "ANY", true},     {"*", "", true},
        {"CT*", "CT1", true},   {"CT*", "MR1", false},
        {"CT?", "CT1", true},   {"CT?", "CT", false},
        {"CT?", "CT12", false}, {"*_A*1", "X_A_A1", true},
        {"ct1", "CT1", false},  {"*A*B*C", "AXBXBC", true},
        {"", "", true},         {"", "A", false},
    };
    for (size_t i = 0; i < COUNT(rows); i++)
        CU_ASSERT_EQUAL(ae_title_matches(rows[i].pattern, rows[i].title), rows[i].matches);
    CU_ASSERT_TRUE(ae_title_pattern_covers("*", "CT*"));
    CU_ASSERT_TRUE(ae_title_pattern_covers("CT*", "CT1*"));
    CU_ASSERT_TRUE(ae_title_pattern_covers("CT?", "CT1"));
    CU_ASSERT_TRUE(ae_title_pattern_covers("CT*", "CT??"));
    CU_ASSERT_FALSE(ae_title_pattern_covers("CT?", "CT*"));
    CU_ASSERT_FALSE(ae_title_pattern_covers("CT1*", "CT*"));
}

static void test_ae_title_patterns_meet(void)
{
    static const struct {
        const char *a, *b;
        bool meet;
    } rows[] = {
        {"CT1", "CT1", true},    {"CT1", "CT2", false},   {"CT*", "*1", true},
        {"CT*", "MR*", false},   {"*A*", "*B*", true},    {"CT?", "CT*X", true},
        {"CT?", "CT", false},    {"*", "A", true},        {"*", "**", true},
        {"A*B*C", "AXC", false}, {"A*B*C", "A?C*", true}, {"*_MR", "CT_*", true},
        {"CT*1", "CT*2", false}, {"???", "AB", false},    {"a", "A", false},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        CU_ASSERT_EQUAL(ae_title_patterns_meet(rows[i].a, rows[i].b), rows[i].meet);
        CU_ASSERT_EQUAL(ae_title_patterns_meet(rows[i].b, rows[i].a), rows[i].meet);
    }
}

static void test_network(void)
{
    static const struct {
        const char *network, *address;
        bool contains;
    } rows[] = {
        {"10.1.2.0/24", "10.1.2.255", true},
        {"10.1.2.0/24", "10.1.3.0", false},
        {"10.1.2.0/24", "::ffff:10.1.2.7", true},
        {"192.168.1.7", "192.168.1.7", true},
        {"192.168.1.7", "192.168.1.8", false},
        {"0.0.0.0/0", "8.8.8.8", true},
        {"0.0.0.0/0", "::1", false},
        {"fd00::/8", "fd12::1", true},
        {"::/0", "10.0.0.1", true},
        {"10.0.0.0/9", "10.127.0.1", true},
        {"10.0.0.0/9", "10.128.0.1", false},
        {"10.0.0.0/8", "no address", false},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct network network;
        CU_ASSERT_EQUAL_FATAL(network_parse(&network, rows[i].network), 0);
        CU_ASSERT_EQUAL(network_contains(&network, rows[i].address), rows[i].contains);
    }
    static const char *const bad[] = {"10.1.2.3/24", "10.1.2.0/33", "10.1.2/24", "",
                                      "10.0.0.0/-1", "10.0.0.0/8x", "fd00::/129"};
    for (size_t i = 0; i < COUNT(bad); i++) {
        struct network network;
        CU_ASSERT_EQUAL(network_parse(&network, bad[i]), -1);
    }
    struct network wide, narrow;
    CU_ASSERT_EQUAL(network_parse(&wide, "10.0.0.0/8"), 0);
    CU_ASSERT_EQUAL(network_parse(&narrow, "10.2.0.0/16"), 0);
    CU_ASSERT_TRUE(network_covers(&wide, &narrow));
    CU_ASSERT_FALSE(network_covers(&narrow, &wide));
}

static void test_study_state(void)
{
    for (unsigned state = 0; state < STUDY_STATE_COUNT; state++) {
        enum study_state parsed;
        CU_ASSERT_EQUAL(study_state_parse(&parsed, study_state_name((enum study_state)state)), 0);
        CU_ASSERT_EQUAL(parsed, state);
        CU_ASSERT_FALSE(study_state_allows((enum study_state)state, (enum study_state)state));
        CU_ASSERT_FALSE(study_state_allows((enum study_state)state, STUDY_RECEIVING));
        CU_ASSERT_FALSE(study_state_allows(STUDY_COMPLETED, (enum study_state)state));
        CU_ASSERT_FALSE(study_state_allows(STUDY_DISCARDED, (enum study_state)state));
    }
    CU_ASSERT_TRUE(study_state_allows(STUDY_CONFIRMING, STUDY_COMPLETED));
    CU_ASSERT_FALSE(study_state_allows(STUDY_UPLOADING, STUDY_COMPLETED));
    CU_ASSERT_FALSE(study_state_allows(STUDY_CONFIRMING, STUDY_CANCELLED));
    CU_ASSERT_FALSE(study_state_is_in_flight(STUDY_QUARANTINED));
    CU_ASSERT_TRUE(study_state_is_in_flight(STUDY_CONFIRMING));
    CU_ASSERT_TRUE(study_state_is_final(STUDY_CANCELLED));
}

static void test_attributes(void)
{
    struct attributes attributes = {0};
    attributes_set(&attributes, ATTRIBUTE_PATIENT_ID, "P1", 2);
    attributes_set(&attributes, ATTRIBUTE_PATIENT_ID, "P2", 2);
    CU_ASSERT_STRING_EQUAL(attributes_get(&attributes, ATTRIBUTE_PATIENT_ID), "P1");
    CU_ASSERT_STRING_EQUAL(attributes_get(&attributes, ATTRIBUTE_MODALITY), "");
    char value[2000];
    memset(value, 'a', sizeof value);
    value[ATTRIBUTE_VALUE_MAX - 1] = (char)0xC3; /* a character across the cut */
    value[ATTRIBUTE_VALUE_MAX] = (char)0xA9;
    attributes_set(&attributes, ATTRIBUTE_STUDY_DESCRIPTION, value, sizeof value);
    CU_ASSERT_EQUAL(strlen(attributes_get(&attributes, ATTRIBUTE_STUDY_DESCRIPTION)),
                    ATTRIBUTE_VALUE_MAX - 1);
    for (unsigned i = 0; i < ATTRIBUTE_COUNT; i++)
        attributes_set(&attributes, (enum attribute)i, value, sizeof value);
    CU_ASSERT(attributes.used <= ATTRIBUTES_TEXT_MAX);
    uint32_t tag = 0;
    CU_ASSERT_EQUAL(attribute_tag_from_keyword(&tag, "RequestedProcedureID"), 0);
    CU_ASSERT_EQUAL(tag, 0x00401001);
    CU_ASSERT_EQUAL(attribute_tag_from_keyword(&tag, "PatientId"), -1);
    for (unsigned i = 1; i < ATTRIBUTE_COUNT; i++)
        CU_ASSERT(attribute_tag((enum attribute)(i - 1)) < attribute_tag((enum attribute)i));
}

static CU_TestInfo cases[] = {
    SUITE_CASE(test_uid_is_valid),
    SUITE_CASE(test_uid_from_field),
    SUITE_CASE(test_ae_title_from_field),
    SUITE_CASE(test_ae_title_matches),
    SUITE_CASE(test_ae_title_patterns_meet),
    SUITE_CASE(test_network),
    SUITE_CASE(test_study_state),
    SUITE_CASE(test_attributes),
    CU_TEST_INFO_NULL,
};
SUITE_MAIN("model", cases)
