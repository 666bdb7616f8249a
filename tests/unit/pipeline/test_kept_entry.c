/* Map entries that outlive the map they came from. */
#include "kept_entry.h"

#include "aurabridge/fs.h"
#include "aurabridge/route.h"

#include "suite.h"

#include <stdio.h>
#include <string.h>

struct bench {
    char directory[64];
    struct spool *spool;
    struct config config, empty;
    struct config_map_entry entry;
    char key[ROUTE_KEY_SIZE];
};

static char required[] = "PatientID";
static char *required_items[] = {required};
static char file[] = "map.yaml", name[] = "ct-rooms", any[] = "*", destination[] = "main",
            patient[] = "A-1";

static void bench_open(struct bench *bench)
{
    struct error err = {""};
    static const char context[] = "{\"patient\":{\"family_name\":\"{PatientName.family}\"}}";
    *bench = (struct bench){.directory = "/tmp/aurabridge-kept-XXXXXX"};
    CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(bench->directory));
    CU_ASSERT_EQUAL_FATAL(spool_open(&bench->spool, bench->directory, 0, &err), 0);
    bench->entry = (struct config_map_entry){.file = file,
                                             .name = name,
                                             .called = any,
                                             .calling = any,
                                             .destination = destination,
                                             .patient_id = patient,
                                             .require = {required_items, 1},
                                             .quiet_period_ms = -1};
    CU_ASSERT_EQUAL_FATAL(json_parse(&bench->entry.context, context, sizeof context - 1, &err), 0);
    bench->config = (struct config){.entries = &bench->entry, .entry_count = 1};
    CU_ASSERT_EQUAL_FATAL(route_key(bench->key, &bench->entry, NULL), 0);
    CU_ASSERT_EQUAL_FATAL(kept_entries_save(bench->spool, &bench->config, &err), 0);
}

static void bench_close(struct bench *bench)
{
    json_free(bench->entry.context);
    spool_close(bench->spool);
}

static void test_entry_of_the_map_comes_first(void)
{
    struct bench bench;
    struct kept_entry kept;
    struct error err = {""};
    bench_open(&bench);
    CU_ASSERT_EQUAL(kept_entry_find(&kept, bench.spool, &bench.config, bench.key, &err), 0);
    CU_ASSERT_PTR_EQUAL(kept.entry, &bench.entry);
    kept_entry_free(&kept);
    bench_close(&bench);
}

static void test_entry_is_found_when_the_map_lost_it(void)
{
    struct bench bench;
    struct kept_entry kept;
    struct error err = {""};
    bench_open(&bench);
    CU_ASSERT_EQUAL(kept_entry_find(&kept, bench.spool, &bench.empty, bench.key, &err), 0);
    CU_ASSERT_PTR_NOT_NULL_FATAL(kept.entry);
    CU_ASSERT_STRING_EQUAL(kept.entry->name, name);
    CU_ASSERT_STRING_EQUAL(kept.entry->destination, destination);
    CU_ASSERT_STRING_EQUAL(kept.entry->patient_id, patient);
    CU_ASSERT_EQUAL_FATAL(kept.entry->require.count, 1);
    CU_ASSERT_STRING_EQUAL(kept.entry->require.items[0], required);
    const struct json *inner = json_get(kept.entry->context, "patient");
    CU_ASSERT_STRING_EQUAL(json_text(json_get(inner, "family_name")), "{PatientName.family}");
    kept_entry_free(&kept);
    CU_ASSERT_PTR_NULL(kept.entry);
    bench_close(&bench);
}

static void test_unknown_key_is_no_entry_and_no_error(void)
{
    struct bench bench;
    struct kept_entry kept;
    struct error err = {""};
    bench_open(&bench);
    CU_ASSERT_EQUAL(kept_entry_find(&kept, bench.spool, &bench.config, "0123456789abcdef", &err),
                    0);
    CU_ASSERT_PTR_NULL(kept.entry);
    kept_entry_free(&kept);
    bench_close(&bench);
}

static void test_damaged_file_is_an_error_that_names_it(void)
{
    struct bench bench;
    struct kept_entry kept;
    struct error err = {""};
    bench_open(&bench);
    char path[FS_PATH_MAX];
    (void)snprintf(path, sizeof path, "%s/entries/%s.json", bench.directory, bench.key);
    /* No JSON, and JSON that the bridge never wrote: it must not go up as a patient's context. */
    static const char *const damages[] = {
        "",
        "{",
        "[]x",
        "\xff",
        "{}",
        "[]",
        "{\"name\":1,\"destination\":\"main\",\"require\":[]}",
        "{\"name\":\"a\",\"require\":[]}",
        "{\"name\":\"a\",\"destination\":\"main\",\"require\":{\"a\":\"b\"}}",
        "{\"name\":\"a\",\"destination\":\"main\",\"require\":[7]}",
        "{\"name\":\"a\",\"destination\":\"main\",\"require\":[],\"context\":\"text\"}",
        "{\"name\":\"a\",\"destination\":\"main\",\"require\":[],\"context\":[\"{PatientID}\"]}"};
    for (size_t i = 0; i < sizeof damages / sizeof *damages; i++) {
        CU_ASSERT_EQUAL(fs_write_atomic(path, damages[i], strlen(damages[i]), &err), 0);
        CU_ASSERT_EQUAL(kept_entry_find(&kept, bench.spool, &bench.empty, bench.key, &err), -1);
        CU_ASSERT_PTR_NOT_NULL(strstr(err.text, path));
        kept_entry_free(&kept);
    }
    /* Taking the configuration over again mends it. */
    CU_ASSERT_EQUAL(kept_entries_save(bench.spool, &bench.config, &err), 0);
    CU_ASSERT_EQUAL(kept_entry_find(&kept, bench.spool, &bench.empty, bench.key, &err), 0);
    CU_ASSERT_PTR_NOT_NULL(kept.entry);
    kept_entry_free(&kept);
    bench_close(&bench);
}

/* A template that no map would have let through is told with the file it stands in. */
static void test_damaged_template_names_the_file(void)
{
    static const char text[] = "{\"name\":\"a\",\"destination\":\"main\",\"require\":[],"
                               "\"context\":{\"a\":\"{Wrong\"}}";
    struct bench bench;
    struct kept_entry kept;
    struct error err = {""};
    struct json *context = NULL;
    char path[FS_PATH_MAX];
    bench_open(&bench);
    (void)snprintf(path, sizeof path, "%s/entries/%s.json", bench.directory, bench.key);
    CU_ASSERT_EQUAL(fs_write_atomic(path, text, strlen(text), &err), 0);
    CU_ASSERT_EQUAL_FATAL(kept_entry_find(&kept, bench.spool, &bench.empty, bench.key, &err), 0);
    CU_ASSERT_EQUAL(route_context(&context, kept.entry, NULL, NULL, NULL, &err), -1);
    CU_ASSERT_PTR_NOT_NULL(strstr(err.text, path));
    kept_entry_free(&kept);
    bench_close(&bench);
}

static CU_TestInfo cases[] = {
    SUITE_CASE(test_entry_of_the_map_comes_first),
    SUITE_CASE(test_entry_is_found_when_the_map_lost_it),
    SUITE_CASE(test_unknown_key_is_no_entry_and_no_error),
    SUITE_CASE(test_damaged_file_is_an_error_that_names_it),
    SUITE_CASE(test_damaged_template_names_the_file),
    CU_TEST_INFO_NULL,
};
SUITE_MAIN("pipeline_kept_entry", cases)
