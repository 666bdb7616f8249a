/* The policy of association negotiation, and what the dictionary says of SOP classes. */
#include "dul.h"
#include "message.h"
#include "negotiate.h"
#include "slots.h"

#include "suite.h"

#include <stdio.h>
#include <string.h>

static void test_context_results(void)
{
    const struct {
        enum sop_class_kind kind;
        const char *abstract_syntax, *transfer_syntax_uid;
        bool unknown_allowed;
        enum context_result result;
    } rows[] = {
        {SOP_CLASS_STORAGE, "1.2", "1.2.840.10008.1.2.2", true, CONTEXT_ACCEPTED},
        {SOP_CLASS_STORAGE, "1.2", "1.2.3.99.7", false, CONTEXT_ACCEPTED},
        {SOP_CLASS_VERIFICATION, "1.2", "1.2.840.10008.1.2", false, CONTEXT_ACCEPTED},
        {SOP_CLASS_UNKNOWN, "1.2", "1.2.840.10008.1.2", true, CONTEXT_ACCEPTED},
        {SOP_CLASS_UNKNOWN, "1.2", "1.2.840.10008.1.2", false, CONTEXT_ABSTRACT_SYNTAX_REFUSED},
        {SOP_CLASS_OTHER, "1.2", "1.2.840.10008.1.2", true, CONTEXT_ABSTRACT_SYNTAX_REFUSED},
        {SOP_CLASS_UNKNOWN, "", "1.2.840.10008.1.2", true, CONTEXT_ABSTRACT_SYNTAX_REFUSED},
        {SOP_CLASS_STORAGE, "1.2", "", true, CONTEXT_TRANSFER_SYNTAXES_REFUSED},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct presentation_context context = {.id = 1, .kind = rows[i].kind};
        (void)snprintf(context.abstract_syntax, UID_SIZE, "%s", rows[i].abstract_syntax);
        (void)snprintf(context.transfer_syntax_uid, UID_SIZE, "%s", rows[i].transfer_syntax_uid);
        size_t accepted = negotiate_contexts(&context, 1, rows[i].unknown_allowed);
        CU_ASSERT_EQUAL(context.result, rows[i].result);
        CU_ASSERT_EQUAL(accepted, rows[i].result == CONTEXT_ACCEPTED);
    }
}

static void test_sop_class_kinds(void)
{
    const struct {
        const char *uid;
        enum sop_class_kind kind;
    } rows[] = {
        {"1.2.840.10008.1.1", SOP_CLASS_VERIFICATION},
        {"1.2.840.10008.5.1.4.1.1.2", SOP_CLASS_STORAGE},     /* CT */
        {"1.2.840.10008.5.1.4.1.1.88.11", SOP_CLASS_STORAGE}, /* Basic Text SR */
        {"1.2.840.10008.5.1.4.1.1.481.5", SOP_CLASS_STORAGE}, /* RT Plan */
        {"1.2.840.10008.5.1.4.38.1", SOP_CLASS_STORAGE},      /* Hanging Protocol */
        {"1.2.840.10008.5.1.4.1.1.3", SOP_CLASS_STORAGE},     /* retired US multi-frame */
        {"1.2.840.10008.5.1.4.1.2.2.1", SOP_CLASS_OTHER},     /* Study Root FIND */
        {"1.2.840.10008.1.20.1", SOP_CLASS_OTHER},            /* Storage Commitment */
        {"1.2.840.10008.5.1.4.31", SOP_CLASS_OTHER},          /* Modality Worklist */
        {"1.3.46.670589.11.0.0.12.1", SOP_CLASS_UNKNOWN},     /* private */
        {"1.2.3.4", SOP_CLASS_UNKNOWN},
        {"", SOP_CLASS_UNKNOWN},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        enum sop_class_kind kind = dul_sop_class_kind(rows[i].uid);
        CU_ASSERT_EQUAL(kind, rows[i].kind);
        if (kind != rows[i].kind)
            (void)printf("\n    %s is %d\n", rows[i].uid, kind);
    }
}

static void test_titles(void)
{
    char *calling[] = {(char[]){"CT1"}, (char[]){"MR*"}};
    struct network near[1];
    CU_ASSERT_EQUAL_FATAL(network_parse(&near[0], "10.2.0.0/16"), 0);
    struct config_ae_title titles[2];
    memset(titles, 0, sizeof titles);
    (void)snprintf(titles[0].name, AE_TITLE_SIZE, "AURABRIDGE");
    (void)snprintf(titles[1].name, AE_TITLE_SIZE, "CLINIC_A");
    titles[1].calling = (struct config_strings){calling, 2};
    titles[1].from = (struct config_networks){near, 1};
    struct config config;
    memset(&config, 0, sizeof config);
    config.dicom.ae_titles = titles;
    config.dicom.ae_title_count = 2;

    const struct {
        const char *called, *calling, *address, *application;
        uint8_t reason; /* 0: accepted */
        const char *remedy;
    } rows[] = {
        {"AURABRIDGE", "ANY", "203.0.113.9", "1.2.840.10008.3.1.1.1", 0, ""},
        {"CLINIC_A", "MR7", "10.2.3.4", "1.2.840.10008.3.1.1.1", 0, ""},
        {"CLINIC_A", "US1", "10.2.3.4", "1.2.840.10008.3.1.1.1", 3, "US1 may not call CLINIC_A"},
        {"CLINIC_A", "mr7", "10.2.3.4", "1.2.840.10008.3.1.1.1", 3, "mr7 may not call CLINIC_A"},
        {"CLINIC_A", "CT1", "10.3.0.1", "1.2.840.10008.3.1.1.1", 3, "address 10.3.0.1 may not"},
        {"AURABRIDGE", "", "10.3.0.1", "1.2.840.10008.3.1.1.1", 3, "calling AE title is empty"},
        {"AURA_BRIDGE", "CT1", "10.3.0.1", "1.2.840.10008.3.1.1.1", 7,
         "called AE title AURA_BRIDGE is unknown here; configured: AURABRIDGE, CLINIC_A"},
        {"", "CT1", "10.3.0.1", "1.2.840.10008.3.1.1.1", 7, "called AE title \"\" is unknown"},
        {"AURABRIDGE", "CT1", "10.3.0.1", "1.2.3", 2, "application context \"1.2.3\""},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct associate_request request = {.protocol_version = 1};
        struct rejection rejection = {0, 0, 0};
        struct error remedy = {""};
        (void)snprintf(request.called_ae_title, AE_TITLE_SIZE, "%s", rows[i].called);
        (void)snprintf(request.calling_ae_title, AE_TITLE_SIZE, "%s", rows[i].calling);
        (void)snprintf(request.application_context, UID_SIZE, "%s", rows[i].application);
        int result = negotiate_titles(&config, &request, rows[i].address, &rejection, &remedy);
        CU_ASSERT_EQUAL(result, rows[i].reason ? -1 : 0);
        CU_ASSERT_EQUAL(rejection.reason, rows[i].reason);
        CU_ASSERT_EQUAL(rejection.result, rows[i].reason ? 1 : 0);
        CU_ASSERT_PTR_NOT_NULL(strstr(remedy.text, rows[i].remedy));
    }
}

static void test_protocol_versions(void)
{
    const struct {
        uint16_t version;
        bool accepted;
    } rows[] = {{1, true}, {3, true}, {0xFFFF, true}, {0, false}, {2, false}, {0x100, false}};
    struct config_ae_title title = {.name = "AURABRIDGE"};
    struct config config;
    memset(&config, 0, sizeof config);
    config.dicom.ae_titles = &title;
    config.dicom.ae_title_count = 1;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct associate_request request = {.protocol_version = rows[i].version,
                                            .called_ae_title = "AURABRIDGE",
                                            .calling_ae_title = "CT1",
                                            .application_context = "1.2.840.10008.3.1.1.1"};
        struct rejection rejection = {0, 0, 0};
        struct error remedy = {""};
        int result = negotiate_titles(&config, &request, "10.0.0.1", &rejection, &remedy);
        CU_ASSERT_EQUAL(result, rows[i].accepted ? 0 : -1);
        CU_ASSERT_EQUAL(rejection.source, rows[i].accepted ? 0 : 2);
        CU_ASSERT_EQUAL(rejection.reason, rows[i].accepted ? 0 : 2);
    }
}

static void test_slots_count_in_all_and_for_each_peer(void)
{
    struct slots slots;
    struct slot slot[4];
    memset(slot, 0, sizeof slot);
    slots_init(&slots);
    CU_ASSERT_EQUAL(slots_take(&slots, &slot[0], "10.0.0.1", 3, 2), SLOTS_TAKEN);
    CU_ASSERT_EQUAL(slots_take(&slots, &slot[1], "10.0.0.1", 3, 2), SLOTS_TAKEN);
    CU_ASSERT_EQUAL(slots_take(&slots, &slot[2], "10.0.0.1", 3, 2), SLOTS_FULL_FOR_PEER);
    CU_ASSERT_EQUAL(slots_take(&slots, &slot[2], "10.0.0.2", 3, 2), SLOTS_TAKEN);
    CU_ASSERT_EQUAL(slots_take(&slots, &slot[3], "10.0.0.3", 3, 2), SLOTS_FULL);
    CU_ASSERT_EQUAL(slots_count(&slots), 3);
    slots_release(&slots, &slot[3]); /* never taken */
    slots_release(&slots, &slot[1]);
    slots_release(&slots, &slot[1]); /* twice */
    CU_ASSERT_EQUAL(slots_count(&slots), 2);
    CU_ASSERT_EQUAL(slots_take(&slots, &slot[3], "10.0.0.1", 3, 2), SLOTS_TAKEN);
    for (int i = 0; i < 4; i++)
        slots_release(&slots, &slot[i]);
    CU_ASSERT_EQUAL(slots_count(&slots), 0);
    CU_ASSERT_PTR_NULL(slots.first);
    slots_destroy(&slots);
}

static void test_idle_limit_while_slots_are_short(void)
{
    const struct {
        int64_t idle_timeout_ms;
        unsigned open, max_associations;
        int64_t limit_ms;
    } rows[] = {
        {300000, 1, 64, 300000}, {300000, 48, 64, 300000}, {300000, 49, 64, 60000},
        {300000, 64, 64, 60000}, {60001, 64, 64, 60000},   {1000, 64, 64, 1000},
        {300000, 1, 1, 60000},   {300000, 3, 4, 300000},   {300000, 4, 4, 60000},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        CU_ASSERT_EQUAL(
            message_idle_limit(rows[i].idle_timeout_ms, rows[i].open, rows[i].max_associations),
            rows[i].limit_ms);
}

static CU_TestInfo cases[] = {SUITE_CASE(test_context_results),
                              SUITE_CASE(test_sop_class_kinds),
                              SUITE_CASE(test_titles),
                              SUITE_CASE(test_protocol_versions),
                              SUITE_CASE(test_slots_count_in_all_and_for_each_peer),
                              SUITE_CASE(test_idle_limit_while_slots_are_short),
                              CU_TEST_INFO_NULL};
SUITE_MAIN("dicom_negotiate", cases)
