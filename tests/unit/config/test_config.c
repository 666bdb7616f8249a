/* What a configuration gives: defaults, values of every type, --set, sharing. */
#include "workspace.h"

#include "aurabridge/route.h"

#include <pthread.h>

static struct config *load(const char *text, const char *override)
{
    struct config *config = NULL;
    struct error err = {""};
    if (workspace_load_with(&config, text, override, &err) != 0)
        (void)fprintf(stderr, "\n  %s\n", err.text);
    CU_ASSERT_PTR_NOT_NULL_FATAL(config);
    return config;
}

static void test_defaults_are_the_documented_ones(void)
{
    workspace_open();
    struct config *config = load(DESTINATION MAP, NULL);
    CU_ASSERT_STRING_EQUAL(config->dicom.listen, "0.0.0.0:11112");
    CU_ASSERT_EQUAL(config->dicom.ae_title_count, 1);
    CU_ASSERT_STRING_EQUAL(config->dicom.ae_titles[0].name, "AURABRIDGE");
    CU_ASSERT_EQUAL(config->dicom.ae_titles[0].calling.count, 0);
    CU_ASSERT_EQUAL(config->dicom.max_associations, 64);
    CU_ASSERT_EQUAL(config->dicom.max_associations_per_peer, 16);
    CU_ASSERT_EQUAL(config->dicom.max_pdu, 131072);
    CU_ASSERT_EQUAL(config->dicom.association_timeout_ms, 10000);
    CU_ASSERT_EQUAL(config->dicom.idle_timeout_ms, 300000);
    CU_ASSERT_EQUAL(config->dicom.pdu_timeout_ms, 30000);
    CU_ASSERT_EQUAL(config->dicom.shutdown_timeout_ms, 10000);
    CU_ASSERT_TRUE(config->dicom.unknown_sop_classes);
    CU_ASSERT_STRING_EQUAL(config->dicom.default_character_set, "");
    CU_ASSERT_STRING_EQUAL(config->spool.directory, "/var/lib/aurabridge");
    CU_ASSERT_EQUAL(config->spool.reserve, 5ULL << 30);
    CU_ASSERT_EQUAL(config->study.quiet_period_ms, 30000);
    CU_ASSERT_EQUAL(config->study.association_hold_ms, 120000);
    CU_ASSERT_EQUAL(config->study.max_wait_ms, 1800000);
    CU_ASSERT_EQUAL(config->study.on_changed_duplicate, CHANGED_DUPLICATE_SUPPLEMENT);
    CU_ASSERT_EQUAL_FATAL(config->study.drop_count, 1);
    CU_ASSERT_STRING_EQUAL(config->study.drop[0].sop_class_uid, "1.2.840.10008.5.1.4.1.1.66");
    CU_ASSERT_STRING_EQUAL(config->study.drop[0].protocol_name, "ExamCard");
    CU_ASSERT_EQUAL(config->upload.workers, 4);
    CU_ASSERT_EQUAL(config->upload.chunk_size, 8ULL << 20);
    CU_ASSERT_EQUAL(config->upload.compression, COMPRESSION_AUTO);
    CU_ASSERT_EQUAL(config->upload.retry_first_ms, 1000);
    CU_ASSERT_EQUAL(config->upload.retry_ceiling_ms, 600000);
    CU_ASSERT_EQUAL(config->retention.completed_ms, 86400000);
    CU_ASSERT_EQUAL(config->retention.receipts_ms, 90LL * 86400000);
    config_release(config);
    workspace_close();
}

static void test_destination_and_entry_defaults(void)
{
    workspace_open();
    struct config *config = load(DESTINATION MAP, NULL);
    const struct config_destination *main = config_destination(config, "main");
    CU_ASSERT_PTR_NOT_NULL_FATAL(main);
    CU_ASSERT_PTR_NULL(config_destination(config, "other"));
    CU_ASSERT_STRING_EQUAL(main->api_base_url, "https://au.aurabox.app/api");
    CU_ASSERT_STRING_EQUAL(main->app_id, "app-1");
    CU_ASSERT_STRING_EQUAL(main->app_secret, "hush-hush");
    CU_ASSERT_STRING_EQUAL(main->service_api_key, "key-1");
    CU_ASSERT_STRING_EQUAL(main->ca_file, "");
    CU_ASSERT_STRING_EQUAL(main->source, "standalone-uploader");
    CU_ASSERT_EQUAL(main->token_ttl_ms, 3600000);
    CU_ASSERT_EQUAL(main->timeout_ms, 30000);
    CU_ASSERT_EQUAL(main->limits.exchange, 10);
    CU_ASSERT_EQUAL(main->limits.config, 30);
    CU_ASSERT_EQUAL(main->limits.lifecycle, 60);
    const struct config_map_entry *entry = &config->entries[0];
    CU_ASSERT_EQUAL_FATAL(config->entry_count, 1);
    CU_ASSERT_STRING_EQUAL(entry->name, "");
    CU_ASSERT_STRING_EQUAL(entry->calling, "*");
    CU_ASSERT_EQUAL(entry->from.count, 0);
    CU_ASSERT_PTR_NULL(entry->patient_id);
    CU_ASSERT_PTR_NULL(entry->context);
    CU_ASSERT_EQUAL(entry->require.count, 0);
    CU_ASSERT_EQUAL(entry->quiet_period_ms, -1);
    CU_ASSERT_EQUAL(entry->line, 7);
    CU_ASSERT_STRING_EQUAL(entry->file, config->path);
    CU_ASSERT_STRING_EQUAL(config->ae_title_map_path, "");
    config_release(config);
    workspace_close();
}

static void test_every_value_is_taken(void)
{
    static const char text[] =
        "dicom:\n"
        "  listen: \"[::1]:104\"\n"
        "  ae_titles: [ONE, {name: TWO, calling: \"MR*\", from: [10.2.0.0/16, \"fd00::/8\"]}]\n"
        "  max_pdu: 16KiB\n"
        "  unknown_sop_classes: no\n"
        "  default_character_set: ISO_IR 100\n"
        "spool: {directory: data, reserve: 1GB}\n"
        "study:\n"
        "  on_changed_duplicate: quarantine\n"
        "  drop: [{sop_class_uid: 1.2.3}]\n"
        "upload: {workers: 2, compression: deflate, retry: {first: 500ms, ceiling: 1m}}\n"
        "retention: {completed: 0, receipts: 1d}\n" DESTINATION "    limits: {exchange: 5}\n"
        "    token_ttl: 24h\n"
        "ae_title_map: map.yaml\n";
    static const char map[] = "- name: rooms\n"
                              "  called: O?E\n"
                              "  calling: \"CT*\"\n"
                              "  from: 10.1.2.0/24\n"
                              "  destination: main\n"
                              "  patient_id: 0042\n"
                              "  quiet_period: 1m\n"
                              "  require: [PatientID, \"0010,0021\"]\n"
                              "  context: {a: {b: 007, c: true, d: ~}, l: [x]}\n";
    workspace_open();
    workspace_write("map.yaml", map, 0600);
    struct config *config = load(text, NULL);
    CU_ASSERT_STRING_EQUAL(config->dicom.listen, "[::1]:104");
    CU_ASSERT_EQUAL_FATAL(config->dicom.ae_title_count, 2);
    CU_ASSERT_STRING_EQUAL(config->dicom.ae_titles[1].name, "TWO");
    CU_ASSERT_EQUAL_FATAL(config->dicom.ae_titles[1].calling.count, 1);
    CU_ASSERT_STRING_EQUAL(config->dicom.ae_titles[1].calling.items[0], "MR*");
    CU_ASSERT_EQUAL_FATAL(config->dicom.ae_titles[1].from.count, 2);
    CU_ASSERT_TRUE(network_contains(&config->dicom.ae_titles[1].from.items[0], "10.2.9.9"));
    CU_ASSERT_EQUAL(config->dicom.max_pdu, 16384);
    CU_ASSERT_FALSE(config->dicom.unknown_sop_classes);
    CU_ASSERT_STRING_EQUAL(config->dicom.default_character_set, "ISO_IR 100");
    CU_ASSERT_STRING_EQUAL(config->spool.directory, workspace_path("data"));
    CU_ASSERT_EQUAL(config->spool.reserve, 1000000000);
    CU_ASSERT_EQUAL(config->study.on_changed_duplicate, CHANGED_DUPLICATE_QUARANTINE);
    CU_ASSERT_STRING_EQUAL(config->study.drop[0].protocol_name, "");
    CU_ASSERT_EQUAL(config->upload.workers, 2);
    CU_ASSERT_EQUAL(config->upload.compression, COMPRESSION_DEFLATE);
    CU_ASSERT_EQUAL(config->upload.retry_first_ms, 500);
    CU_ASSERT_EQUAL(config->upload.retry_ceiling_ms, 60000);
    CU_ASSERT_EQUAL(config->retention.completed_ms, 0);
    CU_ASSERT_EQUAL(config->destinations[0].limits.exchange, 5);
    CU_ASSERT_EQUAL(config->destinations[0].limits.config, 30);
    CU_ASSERT_EQUAL(config->destinations[0].token_ttl_ms, 86400000);
    const struct config_map_entry *entry = &config->entries[0];
    CU_ASSERT_STRING_EQUAL(config->ae_title_map_path, workspace_path("map.yaml"));
    CU_ASSERT_STRING_EQUAL(entry->file, workspace_path("map.yaml"));
    CU_ASSERT_EQUAL(entry->line, 1);
    CU_ASSERT_STRING_EQUAL(entry->name, "rooms");
    CU_ASSERT_EQUAL(entry->from.count, 1);
    CU_ASSERT_STRING_EQUAL(entry->patient_id, "0042");
    CU_ASSERT_EQUAL(entry->quiet_period_ms, 60000);
    CU_ASSERT_EQUAL_FATAL(entry->require.count, 2);
    CU_ASSERT_STRING_EQUAL(entry->require.items[1], "0010,0021");
    char *context = json_print(entry->context);
    CU_ASSERT_STRING_EQUAL(context, "{\"a\":{\"b\":\"007\",\"c\":true,\"d\":null},\"l\":[\"x\"]}");
    free(context);
    config_release(config);
    workspace_close();
}

static void test_set_overrides_the_file(void)
{
    static const char text[] = "dicom: {listen: \"0.0.0.0:1\", max_pdu: 4096}\n" DESTINATION MAP;
    static const char *const overrides[] = {
        "dicom.listen=[::1]:0",
        "dicom.max_pdu=8192",
        "dicom.max_pdu=",
        "upload.retry.first=20ms",
        "dicom.ae_titles=[AURABRIDGE, {name: B}]",
        "destinations.main.source=x=y",
        "destinations.trial={api_base_url: http://localhost:8080/api/, app_id: env:TEST_APP_ID, "
        "app_secret: env:TEST_APP_SECRET, service_api_key: env:TEST_API_KEY}",
        "destinations.trial.timeout=2s",
        "spool.directory=here"};
    workspace_open();
    workspace_write("bridge.yaml", text, 0600);
    struct config *config = NULL;
    struct error err = {""};
    int result = config_load(&config, workspace_path("bridge.yaml"), overrides, COUNT(overrides),
                             route_check_entries, &err);
    CU_ASSERT_EQUAL(result, 0);
    CU_ASSERT_STRING_EQUAL(err.text, "");
    CU_ASSERT_PTR_NOT_NULL_FATAL(config);
    CU_ASSERT_STRING_EQUAL(config->dicom.listen, "[::1]:0");
    CU_ASSERT_EQUAL(config->dicom.max_pdu, 131072); /* the empty value is the default again */
    CU_ASSERT_EQUAL(config->upload.retry_first_ms, 20);
    CU_ASSERT_EQUAL(config->dicom.ae_title_count, 2);
    CU_ASSERT_STRING_EQUAL(config_destination(config, "main")->source, "x=y");
    const struct config_destination *trial = config_destination(config, "trial");
    CU_ASSERT_PTR_NOT_NULL_FATAL(trial);
    CU_ASSERT_STRING_EQUAL(trial->api_base_url, "http://localhost:8080/api");
    CU_ASSERT_EQUAL(trial->timeout_ms, 2000);
    CU_ASSERT_STRING_EQUAL(config->spool.directory, "here");
    config_release(config);
    workspace_close();
}

static void *retain_and_release(void *argument)
{
    for (int i = 0; i < 10000; i++)
        config_release(config_retain(argument));
    return NULL;
}

static void test_references_are_counted_across_threads(void)
{
    workspace_open();
    struct config *config = load(DESTINATION MAP, NULL);
    pthread_t threads[4];
    for (size_t i = 0; i < COUNT(threads); i++)
        CU_ASSERT_EQUAL_FATAL(pthread_create(&threads[i], NULL, retain_and_release, config), 0);
    for (size_t i = 0; i < COUNT(threads); i++)
        CU_ASSERT_EQUAL(pthread_join(threads[i], NULL), 0);
    CU_ASSERT_STRING_EQUAL(config->dicom.listen, "0.0.0.0:11112");
    config_release(config);
    config_release(NULL);
    workspace_close();
}

static void test_restart_keys(void)
{
    static const struct {
        const char *override;
        const char *keys;
    } rows[] = {
        {"dicom.max_pdu=8192", ""},
        {"dicom.listen=127.0.0.1:1", "dicom.listen"},
        {"spool.directory=/elsewhere", "spool.directory"},
        {"spool.journal=32MiB", "spool.journal"},
    };
    workspace_open();
    struct config *before = load(DESTINATION MAP, NULL);
    char keys[64];
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct config *after = load(DESTINATION MAP, rows[i].override);
        config_restart_keys(before, after, keys, sizeof keys);
        CU_ASSERT_STRING_EQUAL(keys, rows[i].keys);
        config_release(after);
    }
    struct config *both =
        load("spool: {directory: /x}\n" DESTINATION MAP, "dicom.listen=0.0.0.0:0");
    config_restart_keys(before, both, keys, sizeof keys);
    CU_ASSERT_STRING_EQUAL(keys, "dicom.listen, spool.directory");
    config_release(both);
    config_release(before);
    workspace_close();
}

static void test_one_ae_title_needs_no_list(void)
{
    static const char *const texts[] = {
        "dicom: {ae_titles: ONE}\n",
        "dicom: {ae_titles: {name: ONE, calling: CT1}}\n",
        "\357\273\277dicom:\r\n  ae_titles: ONE\r\nspool:\r\n  reserve: 1MiB\r\n",
    };
    char text[2048];
    workspace_open();
    for (size_t i = 0; i < COUNT(texts); i++) {
        struct config *config = NULL;
        struct error err = {""};
        (void)snprintf(text, sizeof text, "%s" DESTINATION "ae_title_map: [{destination: main}]\n",
                       texts[i]);
        CU_ASSERT_EQUAL(workspace_load(&config, text, &err), 0);
        CU_ASSERT_STRING_EQUAL(err.text, "");
        CU_ASSERT_PTR_NOT_NULL_FATAL(config);
        CU_ASSERT_EQUAL_FATAL(config->dicom.ae_title_count, 1);
        CU_ASSERT_STRING_EQUAL(config->dicom.ae_titles[0].name, "ONE");
        config_release(config);
    }
    workspace_close();
}

static void test_a_map_without_entries_is_allowed(void)
{
    workspace_open();
    struct config *config = load(DESTINATION "ae_title_map: []\n", NULL);
    CU_ASSERT_EQUAL(config->entry_count, 0);
    config_release(config);
    workspace_close();
}

static void test_upload_limits_and_priorities(void)
{
    static const struct config_upload_limit wanted[] = {
        {480, 1110, 0x11, 2500000}, {1320, 360, 0x40, 125000000}, {0, 1440, 0x7F, 25000000}};
    workspace_open();
    struct config *config =
        load("upload:\n  limit:\n"
             "    - {from: \"08:00\", to: \"18:30\", days: [mon, fri], rate: 20Mbit/s}\n"
             "    - {from: \"22:00\", to: \"06:00\", days: sun, rate: 1Gbit/s}\n"
             "    - {rate: 200Mbit/s}\n" DESTINATION
             "ae_title_map: [{destination: main, called: AURABRIDGE, priority: urgent}]\n",
             NULL);
    CU_ASSERT_EQUAL_FATAL(config->upload.limit_count, COUNT(wanted));
    for (size_t i = 0; i < COUNT(wanted); i++) {
        CU_ASSERT_EQUAL(config->upload.limits[i].from, wanted[i].from);
        CU_ASSERT_EQUAL(config->upload.limits[i].to, wanted[i].to);
        CU_ASSERT_EQUAL(config->upload.limits[i].days, wanted[i].days);
        CU_ASSERT_EQUAL(config->upload.limits[i].rate, wanted[i].rate);
    }
    CU_ASSERT_EQUAL(config->entries[0].priority, PRIORITY_URGENT);
    config_release(config);
    config = load(DESTINATION MAP, NULL);
    CU_ASSERT_EQUAL(config->upload.limit_count, 0);
    CU_ASSERT_EQUAL(config->entries[0].priority, PRIORITY_NORMAL);
    config_release(config);
    workspace_close();
}

static CU_TestInfo config_cases[] = {
    SUITE_CASE(test_upload_limits_and_priorities),
    SUITE_CASE(test_defaults_are_the_documented_ones),
    SUITE_CASE(test_destination_and_entry_defaults),
    SUITE_CASE(test_every_value_is_taken),
    SUITE_CASE(test_set_overrides_the_file),
    SUITE_CASE(test_references_are_counted_across_threads),
    SUITE_CASE(test_restart_keys),
    SUITE_CASE(test_one_ae_title_needs_no_list),
    SUITE_CASE(test_a_map_without_entries_is_allowed),
    CU_TEST_INFO_NULL,
};

int main(void)
{
    CU_TestInfo *const groups[] = {config_cases, refusal_cases, secret_cases, sample_cases};
    CU_TestInfo all[64];
    size_t count = 0;
    for (size_t i = 0; i < COUNT(groups); i++) {
        for (CU_TestInfo *at = groups[i]; at->pName && count + 1 < COUNT(all); at++)
            all[count++] = *at;
    }
    all[count] = (CU_TestInfo)CU_TEST_INFO_NULL;
    return suite_run("config", all);
}
