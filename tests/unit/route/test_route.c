/* Matching, keys, and what is refused in a map. Maps are read by the config room, as in life. */
#include "aurabridge/route.h"

#include "suite.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define COUNT(array) (sizeof(array) / sizeof *(array))

extern CU_TestInfo context_cases[];

static int load_map(struct config **out, const char *map, struct error *err)
{
    static const char before[] =
        "dicom: {ae_titles: [AURABRIDGE, CLINIC_A, CLINIC_B, {name: SHUT, calling: [CT1, \"MR*\"], "
        "from: [10.2.0.0/16, 10.3.0.7]}]}\n"
        "destinations: {main: {api_base_url: https://h, app_id: env:TEST_ROUTE, app_secret: "
        "env:TEST_ROUTE, service_api_key: env:TEST_ROUTE}}\n"
        "ae_title_map:\n";
    char path[] = "/tmp/aurabridge-route-XXXXXX";
    *out = NULL;
    int fd = mkstemp(path);
    CU_ASSERT_FATAL(fd >= 0);
    FILE *file = fdopen(fd, "w");
    CU_ASSERT_PTR_NOT_NULL_FATAL(file);
    CU_ASSERT_FATAL(fputs(before, file) >= 0 && fputs(map, file) >= 0);
    CU_ASSERT_EQUAL_FATAL(fclose(file), 0);
    CU_ASSERT_EQUAL_FATAL(setenv("TEST_ROUTE", "x", 1), 0);
    int result = config_load(out, path, NULL, 0, route_check_entries, err);
    CU_ASSERT_EQUAL(unlink(path), 0);
    return result;
}

static struct config *map_of(const char *map)
{
    struct config *config = NULL;
    struct error err = {""};
    if (load_map(&config, map, &err) != 0)
        (void)fprintf(stderr, "\n  %s\n", err.text);
    CU_ASSERT_PTR_NOT_NULL_FATAL(config);
    return config;
}

static struct association association_of(const char *calling, const char *called, const char *from)
{
    struct association association = {.id = 1};
    (void)snprintf(association.calling_ae_title, AE_TITLE_SIZE, "%s", calling);
    (void)snprintf(association.called_ae_title, AE_TITLE_SIZE, "%s", called);
    (void)snprintf(association.peer_address, NETWORK_ADDRESS_SIZE, "%s", from);
    return association;
}

static void test_first_match_wins(void)
{
    static const char map[] =
        "  - {name: network, called: AURABRIDGE, calling: \"CT*\", from: [10.1.2.0/24, fd00::/8], "
        "destination: main}\n"
        "  - {name: ct, called: AURABRIDGE, calling: \"CT?\", destination: main}\n"
        "  - {name: clinics, called: \"CLINIC_*\", destination: main}\n"
        "  - {name: rest, calling: \"MR*\", destination: main}\n";
    static const struct {
        const char *calling, *called, *from;
        const char *name; /* null: unrouted */
    } rows[] = {
        {"CT1", "AURABRIDGE", "10.1.2.3", "network"},
        {"CT1", "AURABRIDGE", "::ffff:10.1.2.3", "network"},
        {"CT1", "AURABRIDGE", "fd00::7", "network"},
        {"CT1", "AURABRIDGE", "10.1.3.3", "ct"},
        {"CT1", "AURABRIDGE", "", "ct"},
        {"CT10", "AURABRIDGE", "10.1.3.3", NULL},
        {"ct1", "AURABRIDGE", "10.1.2.3", NULL},
        {"US1", "CLINIC_A", "1.2.3.4", "clinics"},
        {"MR1", "CLINIC_B", "1.2.3.4", "clinics"},
        {"MR1", "AURABRIDGE", "1.2.3.4", "rest"},
        {"US1", "AURABRIDGE", "1.2.3.4", NULL},
    };
    struct config *config = map_of(map);
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct association association =
            association_of(rows[i].calling, rows[i].called, rows[i].from);
        const struct config_map_entry *entry = route_match(config, &association);
        CU_ASSERT_EQUAL(entry != NULL, rows[i].name != NULL);
        if (entry && rows[i].name)
            CU_ASSERT_STRING_EQUAL(entry->name, rows[i].name);
    }
    config_release(config);
}

static void test_what_is_refused(void)
{
    static const struct {
        const char *map;
        const char *wanted; /* null: accepted */
    } rows[] = {
        {"  - {called: AURABRIDGE, destination: main}\n"
         "  - {called: AURABRIDGE, destination: main}\n",
         ":5: ae_title_map[2].called: duplicate: entry 1 in line 4 has the same"},
        {"  - {called: \"*\", destination: main}\n"
         "  - {called: AURABRIDGE, destination: main}\n",
         ":5: ae_title_map[2].called: unreachable: entry 1 in line 4 takes all"},
        {"  - {calling: \"CT*\", destination: main}\n  - {calling: CT1, destination: main}\n",
         "unreachable: entry 1"},
        {"  - {calling: CT1, destination: main}\n  - {calling: \"CT*\", destination: main}\n",
         NULL},
        {"  - {from: [10.0.0.0/8, 192.168.0.0/16], destination: main}\n"
         "  - {from: [192.168.1.7, 10.1.0.0/16], destination: main}\n",
         "unreachable: entry 1"},
        {"  - {from: 10.0.0.0/8, destination: main}\n"
         "  - {from: [192.168.1.7, 10.1.0.0/16], destination: main}\n",
         NULL},
        {"  - {from: 10.0.0.0/8, destination: main}\n  - {destination: main}\n", NULL},
        {"  - {destination: main}\n  - {from: 10.0.0.0/8, destination: main}\n",
         "unreachable: entry 1"},
        {"  - {from: 10.0.0.0/8, destination: main}\n  - {from: [10.0.0.0/8], destination: main}\n",
         "duplicate: entry 1"},
        {"  - {name: a, calling: X, destination: main}\n"
         "  - {name: a, calling: Y, destination: main}\n",
         "ae_title_map[2].name: the name a is also that of entry 1 in line 4"},
        {"  - {called: ELSEWHERE, destination: main}\n",
         ":4: ae_title_map[1].called: unreachable: ELSEWHERE is none of this bridge's AE titles "
         "(dicom.ae_titles: AURABRIDGE, CLINIC_A, CLINIC_B, SHUT)"},
        {"  - {called: AURABRIDGE, destination: main}\n  - {called: CLINIC_A, destination: main}\n"
         "  - {called: CLINIC_B, destination: main}\n  - {destination: main}\n",
         NULL},
        {"  - {called: AURABRIDGE, destination: main}\n  - {called: \"CLINIC_?\", destination: "
         "main}\n"
         "  - {called: SHUT, destination: main}\n  - {destination: main}\n",
         ":7: ae_title_map[4].called: unreachable: the entries before it take all"},
        {"  - {called: \"AURA*\", destination: main}\n  - {called: \"*BRIDGE\", destination: "
         "main}\n",
         ":5: ae_title_map[2].called: unreachable: the entries before it"},
        {"  - {from: 10.0.0.0/9, destination: main}\n  - {from: 10.128.0.0/9, destination: main}\n"
         "  - {from: [10.1.0.0/16, 10.200.0.0/16], destination: main}\n",
         "ae_title_map[3].called: unreachable: the entries before it"},
        {"  - {called: SHUT, calling: CT2, destination: main}\n",
         ":4: ae_title_map[1].called: unreachable: `calling` and `from` of dicom.ae_titles let "
         "nobody "
         "call SHUT who fits"},
        {"  - {called: SHUT, calling: \"*1\", destination: main}\n", NULL},
        {"  - {called: SHUT, from: 10.4.0.0/16, destination: main}\n", "let nobody call SHUT"},
        {"  - {called: SHUT, from: [10.4.0.0/16, 10.0.0.0/8], destination: main}\n", NULL},
        {"  - {called: SHUT, calling: CT1, destination: main}\n"
         "  - {called: SHUT, calling: \"M*\", destination: main}\n"
         "  - {called: SHUT, destination: main}\n",
         ":6: ae_title_map[3].called: unreachable: the entries before it"},
        {"  - {called: SHUT, from: 10.2.0.0/15, destination: main}\n"
         "  - {called: SHUT, destination: main}\n",
         "ae_title_map[2].called: unreachable: the entries before it"},
        {"  - {called: SHUT, calling: CT1, from: 10.3.0.7, destination: main}\n"
         "  - {called: SHUT, calling: CT1, destination: main}\n",
         NULL},
        {"  - {require: [PatientID, \"0010,0021\", \"(0010,0020)\"], destination: main}\n", NULL},
        {"  - {require: [PatientID, PatientNumber], destination: main}\n",
         "ae_title_map[1].require: \"PatientNumber\" is no attribute known here"},
        {"  - destination: main\n    require: [PatientID,\n      Patient]\n",
         ":5: ae_title_map[1].require: \"Patient\" is no attribute"},
        {"  - destination: main\n    patient_id: \"{X}\"\n", ":5: ae_title_map[1].patient_id: {X}"},
        {"  - destination: main\n    context:\n      a: x\n      b:\n        c: \"{X}\"\n",
         ":8: ae_title_map[1].context.b.c: {X}"},
        {"  - {destination: main, context: {a: {b: [x, \"{PatientId}\"]}}}\n",
         "ae_title_map[1].context.a.b[2]: {PatientId}: PatientId is no attribute"},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct config *config = NULL;
        struct error err = {""};
        int result = load_map(&config, rows[i].map, &err);
        CU_ASSERT_EQUAL(result, rows[i].wanted ? -1 : 0);
        if (rows[i].wanted && !strstr(err.text, rows[i].wanted)) {
            (void)fprintf(stderr, "\n  wanted: %s\n  got:    %s\n", rows[i].wanted, err.text);
            CU_FAIL("another error text");
        }
        config_release(config);
    }
}

static void key_of(char out[ROUTE_KEY_SIZE], const char *entry)
{
    char map[512];
    (void)snprintf(map, sizeof map, "  - {%s, destination: main}\n", entry);
    struct config *config = map_of(map);
    CU_ASSERT_EQUAL(route_key(out, &config->entries[0], NULL), 0);
    CU_ASSERT_EQUAL(strlen(out), ROUTE_KEY_SIZE - 1);
    config_release(config);
}

static void test_key_follows_the_name_or_the_content(void)
{
    static const struct {
        const char *a, *b;
        bool same;
    } rows[] = {
        {"name: x, calling: A", "name: x, calling: B, patient_id: 7", true},
        {"name: x", "name: y", false},
        {"calling: A", "calling: A", true},
        {"calling: A", "calling: B", false},
        {"called: AURABRIDGE", "calling: AURABRIDGE", false},
        {"name: A", "calling: A", false},
        {"from: 10.0.0.0/8", "from: 10.0.0.0/9", false},
        {"patient_id: a", "patient_id: b", false},
        {"quiet_period: 1s", "quiet_period: 2s", false},
        {"require: [PatientID]", "require: [StudyID]", false},
        {"require: [PatientID]", "require: [PatientID, PatientID]", false},
        {"context: {a: b}", "context: {a: c}", false},
        {"context: {a: b}", "context: {a: b}", true},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        char a[ROUTE_KEY_SIZE];
        char b[ROUTE_KEY_SIZE];
        key_of(a, rows[i].a);
        key_of(b, rows[i].b);
        CU_ASSERT_EQUAL(strcmp(a, b) == 0, rows[i].same);
        CU_ASSERT_EQUAL(strspn(a, "0123456789abcdef"), ROUTE_KEY_SIZE - 1);
    }
}

/* Keys stand in ledgers and file names: they must never change between versions. */
static void test_keys_are_stable(void)
{
    char key[ROUTE_KEY_SIZE];
    key_of(key, "name: ct-rooms");
    CU_ASSERT_STRING_EQUAL(key, "5211fa4bcdf2842c");
    struct association association = association_of("CT1", "AURABRIDGE", "10.1.2.3");
    CU_ASSERT_EQUAL(route_key(key, NULL, &association), 0);
    CU_ASSERT_STRING_EQUAL(key, "1f606243829ebd53");
}

static void test_key_of_unrouted_senders(void)
{
    static const char *const rows[][3] = {
        {"CT1", "AURABRIDGE", "10.1.2.3"}, {"CT2", "AURABRIDGE", "10.1.2.3"},
        {"CT1", "CLINIC_A", "10.1.2.3"},   {"CT1", "AURABRIDGE", "10.1.2.4"},
        {"AURABRIDGE", "CT1", "10.1.2.3"},
    };
    char keys[COUNT(rows)][ROUTE_KEY_SIZE];
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct association association = association_of(rows[i][0], rows[i][1], rows[i][2]);
        CU_ASSERT_EQUAL(route_key(keys[i], NULL, &association), 0);
        association.id = 2;
        char again[ROUTE_KEY_SIZE];
        CU_ASSERT_EQUAL(route_key(again, NULL, &association), 0);
        CU_ASSERT_STRING_EQUAL(again, keys[i]);
        for (size_t j = 0; j < i; j++)
            CU_ASSERT_STRING_NOT_EQUAL(keys[i], keys[j]);
    }
}

static void test_entry_of_key_survives_a_reload(void)
{
    struct config *before = map_of("  - {name: x, calling: A, destination: main}\n"
                                   "  - {calling: B, destination: main}\n");
    struct config *after = map_of("  - {calling: B, destination: main}\n"
                                  "  - {name: x, calling: C, destination: main}\n");
    struct config *gone = map_of("  - {calling: D, destination: main}\n");
    char key[ROUTE_KEY_SIZE];
    CU_ASSERT_EQUAL(route_key(key, &before->entries[0], NULL), 0);
    CU_ASSERT_PTR_EQUAL(route_entry_of_key(after, key), &after->entries[1]);
    CU_ASSERT_PTR_NULL(route_entry_of_key(gone, key));
    CU_ASSERT_EQUAL(route_key(key, &before->entries[1], NULL), 0);
    CU_ASSERT_PTR_EQUAL(route_entry_of_key(after, key), &after->entries[0]);
    CU_ASSERT_PTR_NULL(route_entry_of_key(after, ""));
    config_release(before);
    config_release(after);
    config_release(gone);
}

static void test_attribute_tag(void)
{
    static const struct {
        const char *name;
        int result;
        uint32_t tag;
    } rows[] = {
        {"PatientID", 0, 0x00100020},
        {"0010,0020", 0, 0x00100020},
        {"(0010,0020)", 0, 0x00100020},
        {"0008,103e", 0, 0x0008103E},
        {"7FE0,0010", 0, 0x7FE00010},
        {"RequestedProcedureID", 0, 0x00401001},
        {"patientid", -1, 0},
        {"", -1, 0},
        {"0010,002", -1, 0},
        {"0010-0020", -1, 0},
        {"(0010,0020", -1, 0},
        {"0010,002g", -1, 0},
        {"00100020", -1, 0},
        {"(0010,0020))", -1, 0},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        uint32_t tag = 0;
        CU_ASSERT_EQUAL(route_attribute_tag(&tag, rows[i].name), rows[i].result);
        if (rows[i].result == 0)
            CU_ASSERT_EQUAL(tag, rows[i].tag);
    }
}

static CU_TestInfo route_cases[] = {
    SUITE_CASE(test_first_match_wins),
    SUITE_CASE(test_what_is_refused),
    SUITE_CASE(test_key_follows_the_name_or_the_content),
    SUITE_CASE(test_keys_are_stable),
    SUITE_CASE(test_key_of_unrouted_senders),
    SUITE_CASE(test_entry_of_key_survives_a_reload),
    SUITE_CASE(test_attribute_tag),
    CU_TEST_INFO_NULL,
};

int main(void)
{
    CU_TestInfo *const groups[] = {route_cases, context_cases};
    CU_TestInfo all[32];
    size_t count = 0;
    for (size_t i = 0; i < COUNT(groups); i++) {
        for (CU_TestInfo *at = groups[i]; at->pName && count + 1 < COUNT(all); at++)
            all[count++] = *at;
    }
    all[count] = (CU_TestInfo)CU_TEST_INFO_NULL;
    return suite_run("route", all);
}
