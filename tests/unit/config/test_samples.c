/* The samples in etc/ load and say what the defaults are; docs/CONFIGURATION.md is up to date. */
#include "workspace.h"

#include "aurabridge/fs.h"
#include "aurabridge/route.h"

#include <stdlib.h>

static const char *const credentials[] = {
    "destinations.main.app_id=env:TEST_APP_ID",
    "destinations.main.app_secret=env:TEST_APP_SECRET",
    "destinations.main.service_api_key=env:TEST_API_KEY",
};

static struct config *load_sample(void)
{
    struct config *config = NULL;
    struct error err = {""};
    if (config_load(&config, SOURCE_DIRECTORY "/etc/aurabridge.yaml", credentials,
                    COUNT(credentials), route_check_entries, &err) != 0)
        (void)fprintf(stderr, "\n  %s\n", err.text);
    CU_ASSERT_PTR_NOT_NULL_FATAL(config);
    return config;
}

static void test_samples_load(void)
{
    workspace_open();
    struct config *config = load_sample();
    CU_ASSERT_EQUAL(config->dicom.ae_title_count, 2);
    CU_ASSERT_EQUAL_FATAL(config->entry_count, 3);
    CU_ASSERT_STRING_EQUAL(config->entries[0].name, "ct-rooms");
    char *context = json_print(config->entries[0].context);
    CU_ASSERT_STRING_EQUAL(
        context, "{\"patient_id\":\"{PatientID}\",\"referral_id\":\"{AccessionNumber}\","
                 "\"patient\":{\"given_names\":\"{PatientName.given}\","
                 "\"family_name\":\"{PatientName.family}\","
                 "\"date_of_birth\":\"{PatientBirthDate:date}\",\"sex\":\"{PatientSex:sex}\"}}");
    free(context);
    config_release(config);
    workspace_close();
}

static void test_samples_show_the_defaults(void)
{
    workspace_open();
    struct config *sample = load_sample();
    struct config *plain = NULL;
    struct error err = {""};
    CU_ASSERT_EQUAL_FATAL(workspace_load(&plain, DESTINATION MAP, &err), 0);
    CU_ASSERT_STRING_EQUAL(sample->dicom.listen, plain->dicom.listen);
    CU_ASSERT_EQUAL(sample->dicom.max_associations, plain->dicom.max_associations);
    CU_ASSERT_EQUAL(sample->dicom.max_associations_per_peer,
                    plain->dicom.max_associations_per_peer);
    CU_ASSERT_EQUAL(sample->dicom.max_pdu, plain->dicom.max_pdu);
    CU_ASSERT_EQUAL(sample->dicom.association_timeout_ms, plain->dicom.association_timeout_ms);
    CU_ASSERT_EQUAL(sample->dicom.idle_timeout_ms, plain->dicom.idle_timeout_ms);
    CU_ASSERT_STRING_EQUAL(sample->spool.directory, plain->spool.directory);
    CU_ASSERT_EQUAL(sample->spool.reserve, plain->spool.reserve);
    CU_ASSERT_EQUAL(sample->study.quiet_period_ms, plain->study.quiet_period_ms);
    CU_ASSERT_EQUAL(sample->study.association_hold_ms, plain->study.association_hold_ms);
    CU_ASSERT_EQUAL(sample->study.max_wait_ms, plain->study.max_wait_ms);
    CU_ASSERT_EQUAL(sample->study.on_changed_duplicate, plain->study.on_changed_duplicate);
    CU_ASSERT_EQUAL(sample->upload.workers, plain->upload.workers);
    CU_ASSERT_EQUAL(sample->upload.chunk_size, plain->upload.chunk_size);
    CU_ASSERT_EQUAL(sample->upload.compression, plain->upload.compression);
    CU_ASSERT_EQUAL(sample->upload.retry_first_ms, plain->upload.retry_first_ms);
    CU_ASSERT_EQUAL(sample->upload.retry_ceiling_ms, plain->upload.retry_ceiling_ms);
    CU_ASSERT_EQUAL(sample->destinations[0].token_ttl_ms, plain->destinations[0].token_ttl_ms);
    CU_ASSERT_EQUAL(sample->destinations[0].timeout_ms, plain->destinations[0].timeout_ms);
    config_release(plain);
    config_release(sample);
    workspace_close();
}

static void test_documentation_is_up_to_date(void)
{
    char *text = NULL;
    size_t length = 0;
    struct buffer committed;
    struct error err = {""};
    buffer_init(&committed, 1024 * 1024);
    FILE *file = open_memstream(&text, &length);
    CU_ASSERT_PTR_NOT_NULL_FATAL(file);
    CU_ASSERT_EQUAL(config_write_documentation(file), 0);
    CU_ASSERT_EQUAL(fclose(file), 0);
    CU_ASSERT_EQUAL(fs_read_file(&committed, SOURCE_DIRECTORY "/docs/CONFIGURATION.md", &err), 0);
    if (strcmp(text, committed.data) != 0)
        CU_FAIL("docs/CONFIGURATION.md lags behind: build the target configuration_documentation");
    buffer_free(&committed);
    free(text);
}

static void test_documentation_reports_a_full_disk(void)
{
    FILE *full = fopen("/dev/full", "we");
    CU_ASSERT_PTR_NOT_NULL_FATAL(full);
    CU_ASSERT_EQUAL(config_write_documentation(full), -1);
    (void)fclose(full);
}

CU_TestInfo sample_cases[] = {
    SUITE_CASE(test_samples_load),
    SUITE_CASE(test_samples_show_the_defaults),
    SUITE_CASE(test_documentation_is_up_to_date),
    SUITE_CASE(test_documentation_reports_a_full_disk),
    CU_TEST_INFO_NULL,
};
