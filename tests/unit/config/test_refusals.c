/* What is refused, and that the error says where and what to do. */
#include "workspace.h"

#include <stdio.h>
#include <stdlib.h>

struct refusal {
    const char *text; /* put before DESTINATION MAP */
    const char *wanted;
};

static void expect_all(const struct refusal *rows, size_t count)
{
    char text[4096];
    workspace_open();
    for (size_t i = 0; i < count; i++) {
        (void)snprintf(text, sizeof text, "%s" DESTINATION MAP, rows[i].text);
        workspace_expect_error(text, NULL, rows[i].wanted);
    }
    workspace_close();
}

static void test_keys(void)
{
    static const struct refusal rows[] = {
        {"dicom: {max_pduu: 1}\n", "@:1: dicom.max_pduu: unknown key; did you mean max_pdu?"},
        {"dicom:\n  quiet_period: 1s\n",
         "@:2: dicom.quiet_period: unknown key; did you mean study.quiet_period?"},
        {"spool: {zzzzzzzzzz: 1}\n", "unknown key; known here: directory, reserve, journal"},
        {"Dicom: {}\n", "@:1: Dicom: unknown key; did you mean dicom?"},
        {"study: {drop: [{sop_class_uid: 1.2, protocol: x}]}\n",
         "@:1: study.drop[1].protocol: unknown key"},
        {"dicom:\n  max_pdu: 8192\n  listen: 0.0.0.0:1\n  max_pdu: 8192\n",
         "@:4: dicom.max_pdu: the key stands twice, first in line 2"},
        {"dicom: {}\nspool: {}\ndicom: {}\n", "@:3: dicom: the key stands twice, first in line 1"},
        {"<<: {a: b}\n", "@:1: <<: unknown key"},
        {"\"a\\nb\": 1\n", "@:1: a?b: unknown key"},
    };
    expect_all(rows, COUNT(rows));
}

static void test_types_and_ranges(void)
{
    static const struct refusal rows[] = {
        {"dicom: [a]\n", "@:1: dicom: must be a mapping"},
        {"dicom: text\n", "@:1: dicom: must be a mapping"},
        {"spool:\n  reserve:1MiB\n", "@:1: spool: must be a mapping: keys with values, indented; a "
                                     "colon needs a space behind it"},
        {"dicom: {max_pdu: 4095}\n",
         "@:1: dicom.max_pdu: 4095 is out of range; use 4096 to 131072"},
        {"dicom: {max_pdu: 131073}\n", "use 4096 to 131072"},
        {"dicom: {max_pdu: 99999999999999999999}\n", "is not a size"},
        {"dicom: {max_pdu: -1}\n", "\"-1\" is not a size"},
        {"dicom: {max_pdu: {a: b}}\n", "dicom.max_pdu: must be a size, not a mapping"},
        {"dicom: {max_associations: 1KiB}\n", "\"1KiB\" is not a whole number"},
        {"dicom: {max_associations: 0}\n", "out of range; use 1 to 1024"},
        {"dicom: {idle_timeout: 30}\n", "\"30\" is not a duration"},
        {"dicom: {idle_timeout: 25h}\n", "out of range; use 100ms to 24h"},
        {"dicom: {idle_timeout: [1s]}\n", "must be a duration, not a list"},
        {"dicom: {unknown_sop_classes: maybe}\n", "\"maybe\" is neither true nor false"},
        {"dicom: {default_character_set: latin9}\n", "\"latin9\" is no character set known here"},
        {"dicom: {listen: 11112}\n", "dicom.listen: \"11112\" is no listen address"},
        {"dicom: {listen: \"0.0.0.0:65536\"}\n", "is no listen address"},
        {"dicom: {listen: \"host:104\"}\n", "is no listen address"},
        {"dicom: {listen: \"::1:104\"}\n", "is no listen address"},
        {"dicom: {listen: \"[]:104\"}\n", "is no listen address"},
        {"dicom: {listen: \"a\\x01b\"}\n", "dicom.listen: holds a control character"},
        {"study: {on_changed_duplicate: keep}\n",
         "\"keep\" is not one of supplement, keep_first, replace, quarantine"},
        {"upload: {compression: zip}\n", "\"zip\" is not one of auto, store, deflate"},
        {"upload: {chunk_size: 1}\n", "use 64KiB to 1GiB"},
        {"study: {drop: none}\n", "study.drop: must be a list"},
        {"study: {drop: [{}]}\n", "study.drop[1].sop_class_uid: is missing"},
        {"study: {drop: [{sop_class_uid: CT}]}\n", "\"CT\" is no UID"},
        {"study:\n  quiet_period: 2m\n  max_wait: 1m\n",
         "@:3: study.max_wait: must be at least study.quiet_period"},
        {"study: {quiet_period: 2h}\n", "@:1: study.max_wait: must be at least study.quiet_period"},
        {"upload: {retry: {first: 1h}}\n", "upload.retry.ceiling: must be at least"},
        {"retention: {receipts: 1h}\n", "retention.receipts: must be at least"},
    };
    expect_all(rows, COUNT(rows));
}

static void test_upload_limits(void)
{
    static const struct refusal rows[] = {
        {"upload: {limit: 20Mbit/s}\n",
         "@:1: upload.limit: must be a list of {from, to, days, rate}"},
        {"upload: {limit: [20Mbit/s]}\n", "@:1: upload.limit[1]: must be a mapping"},
        {"upload: {limit: [{from: \"08:00\", to: \"18:00\"}]}\n",
         "@:1: upload.limit[1].rate: is missing; for example rate: 20Mbit/s"},
        {"upload:\n  limit:\n    - {rate: 1Mbit/s}\n    - {rate: 20MB}\n",
         "@:4: upload.limit[2].rate: \"20MB\" is not a rate; write a whole number and kbit/s, "
         "Mbit/s "
         "or Gbit/s, e.g. 20Mbit/s"},
        {"upload: {limit: [{rate: 20mbit/s}]}\n", "\"20mbit/s\" is not a rate"},
        {"upload: {limit: [{rate: 2.5Mbit/s}]}\n", "\"2.5Mbit/s\" is not a rate"},
        {"upload: {limit: [{rate: 20}]}\n", "\"20\" is not a rate"},
        {"upload: {limit: [{rate: 63kbit/s}]}\n", "out of range; use 64kbit/s to 100Gbit/s"},
        {"upload: {limit: [{rate: 0Mbit/s}]}\n", "out of range"},
        {"upload: {limit: [{rate: 1Mbit/s, from: \"08:00\"}]}\n",
         "upload.limit[1].to: is missing: a limit has both times, or none and holds always"},
        {"upload: {limit: [{rate: 1Mbit/s, to: \"08:00\"}]}\n", "upload.limit[1].from: is missing"},
        {"upload: {limit: [{rate: 1Mbit/s, from: 8, to: \"18:00\"}]}\n",
         "upload.limit[1].from: \"8\" is no time of day; write \"HH:MM\", \"00:00\" to \"24:00\""},
        {"upload: {limit: [{rate: 1Mbit/s, from: \"08:60\", to: \"18:00\"}]}\n", "no time of day"},
        {"upload: {limit: [{rate: 1Mbit/s, from: \"08:00\", to: \"24:01\"}]}\n", "no time of day"},
        {"upload: {limit: [{rate: 1Mbit/s, from: [a], to: \"24:00\"}]}\n", "must be a time of day"},
        {"upload: {limit: [{rate: 1Mbit/s, from: \"24:00\", to: \"08:00\"}]}\n",
         "upload.limit[1].from: a day begins at \"00:00\""},
        {"upload: {limit: [{rate: 1Mbit/s, from: \"08:00\", to: \"08:00\"}]}\n",
         "upload.limit[1].to: is the same as from; leave out both for the whole day"},
        {"upload: {limit: [{rate: 1Mbit/s, days: [mon, Tue]}]}\n",
         "upload.limit[1].days[2]: \"Tue\" is no day; use mon, tue, wed, thu, fri, sat, sun"},
        {"upload: {limit: [{rate: 1Mbit/s, days: []}]}\n", "days: must be a list of days"},
        {"upload: {limit: [{rate: 1Mbit/s, day: mon}]}\n",
         "upload.limit[1].day: unknown key; did you mean days?"},
    };
    expect_all(rows, COUNT(rows));
}

static void test_ae_titles(void)
{
    static const struct refusal rows[] = {
        {"dicom: {ae_titles: []}\n", "must be a list with at least one AE title"},
        {"dicom: {ae_titles: ABCDEFGHIJKLMNOPQ}\n",
         "@:1: dicom.ae_titles: \"ABCDEFGHIJKLMNOPQ\" is no AE title"},
        {"dicom:\n  ae_titles:\n    - ABCDEFGHIJKLMNOPQ\n",
         "@:3: dicom.ae_titles[1]: \"ABCDEFGHIJKLMNOPQ\" is no AE title"},
        {"dicom: {ae_titles: [A, {calling: B}]}\n", "dicom.ae_titles[2].name: is missing"},
        {"dicom:\n  ae_titles:\n    - A\n    - {name: A}\n",
         "@:4: dicom.ae_titles[2]: the AE title A stands twice, also as number 1"},
        {"dicom: {ae_titles: [{name: A, calling: []}]}\n",
         "calling: is an empty list; leave the key out"},
        {"dicom: {ae_titles: [{name: A, from: []}]}\n", "from: is an empty list"},
        {"dicom: {ae_titles: [{name: A, calling: [\"12345678901234567\"]}]}\n",
         "dicom.ae_titles[1].calling[1]: \"12345678901234567\" is no AE title pattern"},
        {"dicom: {ae_titles: [{name: A, from: [10.1.2.3/24]}]}\n",
         "from[1]: \"10.1.2.3/24\" is no address or network"},
        {"dicom: {ae_titles: [{name: A, from: {a: b}}]}\n", "not a mapping"},
        {"dicom: {ae_titles: [~]}\n", "dicom.ae_titles[1]: is empty"},
    };
    expect_all(rows, COUNT(rows));
}

static void test_yaml(void)
{
    static const struct refusal rows[] = {
        {"dicom: {listen: [}\n", "@:1: not valid YAML"},
        {"dicom:\n\tlisten: a\n",
         "@:2: not valid YAML: found character that cannot start any token; "
         "the line starts with a tab: indent with spaces only"},
        {"spool:\n  directory: /x\n  reserve:1MiB\ndicom: {}\n",
         "@:3: not valid YAML: could not find expected ':'"},
        {"dicom:\n  listen: \"0.0.0.0:1\nspool: {}\n", "@:2: not valid YAML"},
        {"dicom:\n  ae_titles: [A, B\nspool: {}\n",
         "for the bracket opened in line 2; look at indentation, colons and quotes there"},
        {"# a\n# R\366ntgen\n", "@:2: holds a character that is not UTF-8; save the file as UTF-8"},
        {"\377\376d", "@:1: holds a character that is not UTF-8"},
        {"spool: {}\n# a\001\n", "@:2: holds a control character"},
        {"\357\273\277dicom:\n  lisen: a\nspool: {}\n", "@:2: dicom.lisen: unknown key"},
        {"dicom: &anchor {}\n", "@:1: anchors"},
        {"dicom: {listen: *there}\n", "@:1: aliases"},
        {"dicom: {listen: !!str a}\n", "@:1: tags"},
        {"? [a, b]\n: c\n", "@:1: a key must be a text"},
        {"dicom: {listen: \"a\\0b\"}\n", "NUL character"},
        {"dicom: {}\n---\n", "a second document"},
        {"a: [[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]\n",
         "@:1: nested too deep"},
    };
    expect_all(rows, COUNT(rows));
}

static void test_whole_documents(void)
{
    static const struct refusal rows[] = {
        {"", "@:1: destinations: is missing; for example"},
        {"[a, b]\n", "@:1: must be a mapping"},
        {DESTINATION, "@:1: ae_title_map: is missing; for example ae_title_map: ae-titles.yaml"},
        {"destinations: {}\n" MAP, "@:1: destinations: must be a mapping with at least one"},
        {"destinations: {main: }\n" MAP, "@:1: destinations.main: must be a mapping with"},
        {"destinations: {\"a b\": {}}\n" MAP, "destinations.a b: is no name"},
        {"destinations:\n  main:\n    app_id: env:TEST_APP_ID\n" MAP,
         "@:2: destinations.main.api_base_url: is missing; for example"},
        {"destinations:\n  main:\n    api_base_url: https://h\n    app_id: "
         "file:/nowhere/app_id\n" MAP,
         "@:4: destinations.main.app_id: cannot read /nowhere/app_id: No such file or directory; "
         "put the value into that file"},
        {DESTINATION "    token_ttl: 25h\n" MAP,
         "destinations.main.token_ttl: 25h is out of range"},
        {DESTINATION "    limits: {exchange: 0}\n" MAP, "destinations.main.limits.exchange: 0 is"},
        {DESTINATION "    ca_file: nothing.pem\n" MAP, "@:7: destinations.main.ca_file: /"},
        {DESTINATION "ae_title_map: {called: A}\n", "@:7: ae_title_map: must be a list of entries"},
        {DESTINATION "ae_title_map: [A]\n", "@:7: ae_title_map[1]: must be a mapping"},
        {DESTINATION "ae_title_map: absent.yaml\n", "@:7: ae_title_map: opening /"},
        {DESTINATION "ae_title_map:\n  - {called: AURABRIDGE}\n",
         "@:8: ae_title_map[1].destination: is missing"},
        {DESTINATION "ae_title_map:\n  - {called: AURABRIDGE, destination: mian}\n",
         "@:8: ae_title_map[1].destination: there is no destination \"mian\"; configured: main"},
        {DESTINATION "ae_title_map: [{destination: main, context: text}]\n",
         "ae_title_map[1].context: must be a mapping"},
        {DESTINATION "ae_title_map: [{destination: main, patient_id: \"\"}]\n",
         "ae_title_map[1].patient_id: \"\" is empty"},
        {DESTINATION "ae_title_map:\n  - destination: main\n    patient_id: {PatientID}\n",
         "@:9: ae_title_map[1].patient_id: must be a text, not a mapping; a text that starts with "
         "{ "
         "needs quotes"},
        {DESTINATION "ae_title_map:\n  - destination: main\n    context:\n      a: b\n"
                     "      patient_id: {PatientID}\n",
         "@:11: ae_title_map[1].context.patient_id: {PatientID} needs quotes: write "
         "\"{PatientID}\""},
        {DESTINATION "ae_title_map: [{destination: main, context: {a: [x, {0010,0021}]}}]\n",
         "ae_title_map[1].context.a[2]: {0010,0021} needs quotes"},
        {DESTINATION "ae_title_map: [{destination: main, context: {a: {PatientSex:sex}}}]\n",
         "{PatientSex:sex} needs quotes"},
        {DESTINATION "ae_title_map: [{destination: main, dest: x}]\n",
         "ae_title_map[1].dest: unknown key"},
        {DESTINATION "ae_title_map: [{destination: main, context: {a: 1, a: 2}}]\n",
         "ae_title_map[1].context.a: the key stands twice"},
    };
    workspace_open();
    for (size_t i = 0; i < COUNT(rows); i++)
        workspace_expect_error(rows[i].text, NULL, rows[i].wanted);
    workspace_close();
}

static void test_urls(void)
{
    static const struct refusal rows[] = {
        {"au.aurabox.app", "is no http or https URL"},
        {"ftp://a/b", "is no http or https URL"},
        {"https://", "is no URL with a host"},
        {"https:///api", "is no URL with a host"},
        {"https://user:secret@host/api", "is no base URL"},
        {"https://host/api?x=1", "is no base URL"},
        {"\"https://host/a b\"", "percent-encoded"},
    };
    char text[1024];
    workspace_open();
    for (size_t i = 0; i < COUNT(rows); i++) {
        (void)snprintf(text, sizeof text, "destinations: {main: {api_base_url: %s}}\n" MAP,
                       rows[i].text);
        workspace_expect_error(text, NULL, rows[i].wanted);
    }
    workspace_close();
}

static void test_mistakes_in_the_map_file_name_it(void)
{
    static const struct refusal rows[] = {
        {"- {called: AURABRIDGE, destination: main}\n- {caled: X, destination: main}\n",
         "/map.yaml:2: ae_title_map[2].caled: unknown key; did you mean called?"},
        {"- called: AURABRIDGE\n  called: B\n", "/map.yaml:2: "},
        {"- {called: \"AURABRIDGE\n", "/map.yaml:"},
        {"called: A\n", "/map.yaml:1: ae_title_map: must be a list"},
        {"- called: AURABRIDGE\n  destination: main\n  context:\n    a: \"{PatientNamee}\"\n",
         "/map.yaml:4: ae_title_map[1].context.a: {PatientNamee}: PatientNamee is no attribute"},
    };
    workspace_open();
    for (size_t i = 0; i < COUNT(rows); i++) {
        workspace_write("map.yaml", rows[i].text, 0600);
        workspace_expect_error(DESTINATION "ae_title_map: map.yaml\n", NULL, rows[i].wanted);
    }
    workspace_close();
}

static void test_set(void)
{
    static const struct {
        const char *override;
        const char *wanted;
    } rows[] = {
        {"dicom.max_pdu", "--set dicom.max_pdu: the value is missing"},
        {"dicom.max_pdu=1", "--set dicom.max_pdu: 1 is out of range"},
        {"dicom.maxpdu=8192", "--set dicom.maxpdu: unknown key; did you mean max_pdu?"},
        {"destinations.main.timeout=never", "--set destinations.main.timeout: \"never\" is not a"},
        {"destinations.other.timeout=1s", "--set destinations.other.api_base_url: is missing"},
        {"=1", "is no key"},
        {"a..b=1", "--set a..b: is no key"},
        {".a=1", "is no key"},
        {"a b=1", "is no key"},
        {"ae_title_map.called=A", "--set ae_title_map.called: ae_title_map is a list"},
        {"dicom.listen.port=1", "--set dicom.listen.port: "},
        {"ae_title_map=[{called: NOBODY, destination: main}]",
         "--set ae_title_map[1].called: unreachable"},
        {"dicom.listen={a: [1}", "--set dicom.listen: \"{a: [1}\" is no listen address"},
    };
    workspace_open();
    for (size_t i = 0; i < COUNT(rows); i++)
        workspace_expect_error("dicom: {listen: \"0.0.0.0:1\"}\n" DESTINATION MAP, rows[i].override,
                               rows[i].wanted);
    workspace_close();
}

static void test_too_large_and_not_there(void)
{
    workspace_open();
    size_t size = 1024 * 1024 + 2;
    char *text = malloc(size);
    CU_ASSERT_PTR_NOT_NULL_FATAL(text);
    memset(text, '#', size - 1);
    text[size - 1] = '\0';
    workspace_expect_error(text, NULL, "is larger than 1048576 bytes");
    free(text);
    struct config *config = NULL;
    struct error err = {""};
    CU_ASSERT_EQUAL(config_load(&config, "/nowhere/x.yaml", NULL, 0, NULL, &err), -1);
    CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "/nowhere/x.yaml"));
    CU_ASSERT_EQUAL(config_load(&config, "/nowhere/x.yaml", NULL, 0, NULL, NULL), -1);
    workspace_close();
}

CU_TestInfo refusal_cases[] = {
    SUITE_CASE(test_keys),
    SUITE_CASE(test_types_and_ranges),
    SUITE_CASE(test_upload_limits),
    SUITE_CASE(test_ae_titles),
    SUITE_CASE(test_yaml),
    SUITE_CASE(test_whole_documents),
    SUITE_CASE(test_urls),
    SUITE_CASE(test_mistakes_in_the_map_file_name_it),
    SUITE_CASE(test_set),
    SUITE_CASE(test_too_large_and_not_there),
    CU_TEST_INFO_NULL,
};
