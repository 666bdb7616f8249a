/* The sandbox's rules without a network: rate limits, init bodies, Tus metadata, faults, text. */
#include "faults.h"
#include "manifest.h"
#include "rate_limits.h"
#include "text.h"
#include "tus_metadata.h"

#include "aurabridge/clock.h"

#include "suite.h"

#include <stdio.h>
#include <string.h>

#define UPLOAD_ID "550e8400-e29b-41d4-a716-446655440000"

/* ---- rate limits ---- */

static void test_limit__is_a_sliding_window(void)
{
    static const struct {
        int64_t at_ms;
        bool accepted;
        int64_t retry_after_s;
    } rows[] = {{1000, true, 0},   {2000, true, 0},   {3000, false, 58}, {60999, false, 1},
                {61000, true, 0},  {61500, false, 1}, {62000, true, 0},  {119000, false, 2},
                {121000, true, 0}, {500000, true, 0}};
    struct limit_window window;
    CU_ASSERT_EQUAL_FATAL(limit_init(&window, 2), 0);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        int64_t retry_after_s = 0;
        bool accepted = limit_arrive(&window, rows[i].at_ms, &retry_after_s);
        if (accepted != rows[i].accepted || retry_after_s != rows[i].retry_after_s)
            printf("row %zu: %d, %lld\n", i, accepted, (long long)retry_after_s);
        CU_ASSERT_EQUAL(accepted, rows[i].accepted);
        CU_ASSERT_EQUAL(retry_after_s, rows[i].retry_after_s);
    }
    CU_ASSERT_EQUAL(window.refused, 4);
    CU_ASSERT_EQUAL(window.maximum, 5); /* at 62000: 3000, 60999, 61000, 61500, 62000 */
    limit_free(&window);
}

static void test_limit__stays_bounded(void)
{
    struct limit_window window;
    int64_t retry_after_s;
    CU_ASSERT_EQUAL_FATAL(limit_init(&window, 1), 0);
    for (int i = 0; i < 100000; i++)
        (void)limit_arrive(&window, 5000, &retry_after_s);
    CU_ASSERT_EQUAL(window.count, window.capacity);
    CU_ASSERT(window.maximum <= window.capacity);
    CU_ASSERT_TRUE(limit_arrive(&window, 65000, &retry_after_s));
    limit_free(&window);
}

/* ---- init ---- */

static const char good_init[] =
    "{\"upload_id\":\"" UPLOAD_ID "\",\"mode\":\"bulk\",\"type\":\"uploader\",\"source\":\"s\","
    "\"patient_id\":null,\"context\":{\"patient\":{\"sex\":\"m\",\"date_of_birth\":\"1977-06-03\"}}"
    ","
    "\"studies\":{\"1.2\":{\"study_uid\":\"1.2\",\"study_description\":\"\","
    "\"institution_name\":\"\",\"patient_id\":\"\",\"patient_name\":\"A^B\",\"study_date\":\"\","
    "\"study_time\":\"\",\"modalities\":[\"CT\"],\"images\":3,\"series_count\":1,"
    "\"series\":{\"1.2.1\":{\"study_instance_uid\":\"1.2\",\"series_instance_uid\":\"1.2.1\","
    "\"modality\":null}}}}}";

/* Replaces the first `from` of the good body by `to`. */
static struct json *changed_init(const char *from, const char *to)
{
    char text[2 * sizeof good_init];
    const char *at = strstr(good_init, from);
    struct json *body = NULL;
    CU_ASSERT_PTR_NOT_NULL_FATAL(at);
    (void)snprintf(text, sizeof text, "%.*s%s%s", (int)(at - good_init), good_init, to,
                   at + strlen(from));
    CU_ASSERT_EQUAL_FATAL(json_parse(&body, text, strlen(text), NULL), 0);
    return body;
}

static void test_manifest__good(void)
{
    struct json *body = changed_init("A^B", "Yamada^Tarou=山田^太郎"), *errors = NULL;
    struct announced_study *studies = NULL;
    size_t count = 0;
    CU_ASSERT_EQUAL_FATAL(manifest_check(body, &errors, &studies, &count), 0);
    CU_ASSERT_EQUAL_FATAL(count, 1);
    CU_ASSERT_STRING_EQUAL(studies[0].uid, "1.2");
    CU_ASSERT_EQUAL(studies[0].images, 3);
    free(studies);
    json_free(errors);
    json_free(body);
}

static void test_manifest__complaints(void)
{
    static const struct {
        const char *from, *to, *field;
    } rows[] = {
        {UPLOAD_ID, "x", "upload_id"},
        {UPLOAD_ID, "550e8400-e29b-11d4-a716-446655440000", "upload_id"},
        {"bulk", "single", "mode"},
        {"\"uploader\"", "\"other\"", "type"},
        {"\"source\":\"s\"", "\"source\":\"\"", "source"},
        {"\"source\":\"s\",", "", "source"},
        {"\"patient_id\":null,", "", "patient_id"},
        {"\"patient_id\":null", "\"patient_id\":\"\"", "patient_id"},
        {"\"patient_id\":null", "\"patient_id\":7", "patient_id"},
        {"{\"patient\":{\"sex\":\"m\",\"date_of_birth\":\"1977-06-03\"}}", "[]", "context"},
        {"\"sex\":\"m\"", "\"sex\":\"\"", "context.patient.sex"},
        {"\"sex\":\"m\"", "\"a\":[{\"b\":\"\"}]", "context.patient.a.*.b"},
        {"\"sex\":\"m\"", "\"sex\":\"M\"", "context.patient.sex"},
        {"1977-06-03", "19770603", "context.patient.date_of_birth"},
        {"\"type\"", "\"more\":1,\"type\"", "more"},
        {"\"1.2\":{", "\"1.2.x\":{", "studies.1.2.x"},
        {"\"study_uid\":\"1.2\"", "\"study_uid\":\"1.3\"", "studies.1.2"},
        {"\"study_date\":\"\"", "\"study_date\":null", "studies.1.2.study_date"},
        {"\"study_date\":\"\"", "\"study_date\":\"20260101 \"", "studies.1.2.study_date"},
        {"A^B", "A^B^^", "studies.1.2"},
        {"A^B", "A^B=", "studies.1.2"},
        {"[\"CT\"]", "\"CT\"", "studies.1.2.modalities"},
        {"[\"CT\"]", "[\"\"]", "studies.1.2.modalities"},
        {"\"images\":3", "\"images\":0", "studies.1.2.images"},
        {"\"images\":3", "\"images\":\"3\"", "studies.1.2.images"},
        {"\"images\":3", "\"images\":3,\"extra\":1", "studies.1.2.extra"},
        {"\"series_count\":1", "\"series_count\":2", "studies.1.2.series"},
        {"\"1.2.1\":{", "\"1.2.9\":{", "studies.1.2.1.2.9"},
        {"\"study_instance_uid\":\"1.2\"", "\"study_instance_uid\":\"1.9\"", "studies.1.2.1.2.1"},
        {"\"modality\":null", "\"modality\":1", "studies.1.2.1.2.1.modality"},
        {"\"modality\":null", "\"modality\":\"CT\",\"colour\":\"\"", "studies.1.2.1.2.1.colour"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct json *body = changed_init(rows[i].from, rows[i].to), *errors = NULL;
        struct announced_study *studies = NULL;
        size_t count = 0;
        CU_ASSERT_EQUAL(manifest_check(body, &errors, &studies, &count), -1);
        CU_ASSERT_PTR_NULL(studies);
        if (!json_is_array(json_get(errors, rows[i].field)))
            printf("row %zu: no complaint about %s\n", i, rows[i].field);
        CU_ASSERT(json_size(json_get(errors, rows[i].field)) > 0);
        json_free(errors);
        json_free(body);
    }
}

/* ---- Tus metadata ---- */

/* Base64 of UPLOAD_ID, and of it with ".zip"; of "b", "bulk", "application/zip". */
#define ID64   "NTUwZTg0MDAtZTI5Yi00MWQ0LWE3MTYtNDQ2NjU1NDQwMDAw"
#define FILE64 "NTUwZTg0MDAtZTI5Yi00MWQ0LWE3MTYtNDQ2NjU1NDQwMDAwLnppcA=="
#define ZIP64  "YXBwbGljYXRpb24vemlw"
#define REST64 ",mode YnVsaw==,name " FILE64 ",filename " FILE64 ",type " ZIP64 ",filetype " ZIP64

static void test_metadata(void)
{
    static const struct {
        const char *header;
        bool good;
    } rows[] = {
        {"upload_id " ID64 ",bucket Yg==" REST64, true},
        {"bucket Yg==, upload_id " ID64 REST64, true},
        {"upload_id " ID64 REST64, false},                                /* no bucket */
        {"upload_id " ID64 ",bucket Yg==,bucket Yg==" REST64, false},     /* twice */
        {"upload_id " ID64 ",bucket YQ==" REST64, false},                 /* another */
        {"upload_id " ID64 ",bucket Yg" REST64, false},                   /* no padding */
        {"upload_id " ID64 ",bucket Yg==,is_confidential" REST64, false}, /* unknown */
        {"upload_id Yg==,bucket Yg==" REST64, false},
        {"", false},
        {NULL, false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char upload_id[UUID_SIZE] = "";
        struct error err = {""};
        int result = tus_metadata_check(upload_id, rows[i].header, "b", "bulk", &err);
        CU_ASSERT_EQUAL(result, rows[i].good ? 0 : -1);
        CU_ASSERT_STRING_EQUAL(upload_id, rows[i].good ? UPLOAD_ID : "");
        CU_ASSERT_EQUAL(err.text[0] == '\0', rows[i].good);
    }
}

/* ---- faults ---- */

static void test_faults__first_match_first(void)
{
    static const char *const texts[] = {"POST /a:503:2",   "POST:500",      "PATCH:cut:65536",
                                        "/b:drop:*",       "skew:-30",      "tus-lose:100",
                                        "GET /c:slow:20",  "tus-rewind:50", "retry-after:0",
                                        "HEAD@1.2:hang:*", "GET /e@1.2:404"};
    static const struct {
        const char *method, *path, *study;
        enum fault_action action;
        uint64_t number;
    } rows[] = {
        {"POST", "/a", "", FAULT_STATUS, 503},     {"POST", "/a", "1.2", FAULT_STATUS, 503},
        {"POST", "/a", "", FAULT_STATUS, 500},     {"POST", "/a", "", FAULT_NONE, 0},
        {"PATCH", "/files", "", FAULT_CUT, 65536}, {"PATCH", "/files", "", FAULT_NONE, 0},
        {"GET", "/b", "", FAULT_DROP, 0},          {"HEAD", "/b", "", FAULT_DROP, 0},
        {"GET", "/c", "", FAULT_SLOW, 20},         {"GET", "/d", "", FAULT_NONE, 0},
        {"HEAD", "/files", "", FAULT_NONE, 0},     {"HEAD", "/files", "1.2.3", FAULT_NONE, 0},
        {"HEAD", "/files", "1.2", FAULT_HANG, 0},  {"HEAD", "/x", "1.2", FAULT_HANG, 0},
        {"GET", "/e", "1.3", FAULT_NONE, 0},       {"GET", "/e", "1.2", FAULT_STATUS, 404},
        {"GET", "/e", "1.2", FAULT_NONE, 0},
    };
    struct faults faults;
    struct error err = {""};
    faults_init(&faults);
    CU_ASSERT_EQUAL(faults.retry_after_s, 1);
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        CU_ASSERT_EQUAL(faults_add(&faults, texts[i], &err), 0);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct fault fault = faults_take(&faults, rows[i].method, rows[i].path, rows[i].study);
        CU_ASSERT_EQUAL(fault.action, rows[i].action);
        CU_ASSERT_EQUAL(fault.number, rows[i].number);
    }
    CU_ASSERT_EQUAL(faults.skew_s, -30);
    CU_ASSERT_EQUAL(faults.retry_after_s, 0);
    CU_ASSERT_FALSE(faults_take_at(&faults, FAULT_LOSE, 99));
    CU_ASSERT_TRUE(faults_take_at(&faults, FAULT_LOSE, 100));
    CU_ASSERT_FALSE(faults_take_at(&faults, FAULT_LOSE, 100));
    CU_ASSERT_FALSE(faults_take_at(&faults, FAULT_REWIND, 49));
    CU_ASSERT_TRUE(faults_take_at(&faults, FAULT_REWIND, 50));
    faults_clear(&faults);
    CU_ASSERT_EQUAL(faults_take(&faults, "HEAD", "/files", "1.2").action, FAULT_NONE);
    CU_ASSERT_EQUAL(faults.skew_s, -30); /* a setting */
}

static void test_faults__actions(void)
{
    static const struct {
        const char *text;
        enum fault_action action;
        uint64_t number;
    } rows[] = {{":html", FAULT_HTML, 0},           {":drop", FAULT_DROP, 0},
                {":cut:7", FAULT_CUT, 7},           {":slow:8", FAULT_SLOW, 8},
                {":truncate:9", FAULT_TRUNCATE, 9}, {":endless", FAULT_ENDLESS, 0},
                {":drip:5", FAULT_DRIP, 5},         {":hang", FAULT_HANG, 0},
                {":revoke", FAULT_REVOKE, 0},       {":forget", FAULT_FORGET, 0},
                {":460", FAULT_STATUS, 460}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct faults faults;
        struct error err = {""};
        faults_init(&faults);
        CU_ASSERT_EQUAL(faults_add(&faults, rows[i].text, &err), 0);
        struct fault fault = faults_take(&faults, "GET", "/any", "");
        CU_ASSERT_EQUAL(fault.action, rows[i].action);
        CU_ASSERT_EQUAL(fault.number, rows[i].number);
    }
}

static void test_faults__bad_ones(void)
{
    static const char *const texts[] = {
        "",
        "POST",
        ":",
        "GET:truncate",
        "GET:drip:x",
        "GET@:404",
        "GET:hang:0",
        "tus-rewind",
        "tus-rewind:x",
        "GET:frob",
        "GET:99",
        "retry-after:x",
        "skew:1:2",
        "GET:slow:1:2:3",
        "GET@1.2.3.4.5.6.7.8.9.10.11.12.13.14.15.16.17.18.19.20.21.22.23.24.25.26.27.28:404"};
    struct faults faults;
    struct error err = {""};
    faults_init(&faults);
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        CU_ASSERT_EQUAL(faults_add(&faults, texts[i], &err), -1);
    CU_ASSERT_EQUAL(faults_add_running(&faults, "skew:1", &err), -1);
    CU_ASSERT_EQUAL(faults.skew_s, 0);
    CU_ASSERT_EQUAL(faults_add_running(&faults, "GET:404", &err), 0);
}

static void test_faults__too_many(void)
{
    struct faults faults;
    struct error err = {""};
    faults_init(&faults);
    for (int i = 0; i < MAX_FAULTS; i++)
        CU_ASSERT_EQUAL(faults_add(&faults, "GET:503", &err), 0);
    CU_ASSERT_EQUAL(faults_add(&faults, "GET:503", &err), -1);
}

/* ---- text ---- */

static void test_text__utf8(void)
{
    static const struct {
        const char *text;
        bool good;
    } rows[] = {{"", true},
                {"plain", true},
                {"ö山😀", true},
                {"\xff", false},
                {"\xc0\xaf", false},         /* overlong */
                {"\xe0\x9f\xbf", false},     /* overlong */
                {"\xed\xa0\x80", false},     /* surrogate */
                {"\xf4\x90\x80\x80", false}, /* above U+10FFFF */
                {"\xe5\xb1", false},         /* ends early */
                {"\x80", false}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        CU_ASSERT_EQUAL(text_is_utf8(rows[i].text, strlen(rows[i].text)), rows[i].good);
}

static void test_text__small_things(void)
{
    char date[TEXT_HTTP_DATE_SIZE];
    int64_t back = 0;
    uint64_t number = 0;
    text_http_date(date, INT64_C(784111777000));
    CU_ASSERT_STRING_EQUAL(date, "Sun, 06 Nov 1994 08:49:37 GMT");
    CU_ASSERT_EQUAL(clock_parse_http_date(&back, date), 0);
    CU_ASSERT_EQUAL(back, INT64_C(784111777000));
    CU_ASSERT_EQUAL(text_to_number(&number, "18446744073709551"), 0);
    CU_ASSERT_EQUAL(number, UINT64_C(18446744073709551));
    CU_ASSERT_EQUAL(text_to_number(&number, "99999999999999999999"), -1);
    CU_ASSERT_EQUAL(text_to_number(&number, "-1"), -1);
    CU_ASSERT_EQUAL(text_to_number(&number, ""), -1);
    CU_ASSERT_TRUE(text_equals_secret("abc", "abc"));
    CU_ASSERT_FALSE(text_equals_secret("abcd", "abc"));
    CU_ASSERT_FALSE(text_equals_secret("ab", "abc"));
    CU_ASSERT_FALSE(text_equals_secret("", "abc"));
    CU_ASSERT_TRUE(text_is_uuid_v4(UPLOAD_ID));
    CU_ASSERT_FALSE(text_is_uuid_v4(NULL));
}

static CU_TestInfo cases[] = {
    SUITE_CASE(test_limit__is_a_sliding_window),
    SUITE_CASE(test_limit__stays_bounded),
    SUITE_CASE(test_manifest__good),
    SUITE_CASE(test_manifest__complaints),
    SUITE_CASE(test_metadata),
    SUITE_CASE(test_faults__first_match_first),
    SUITE_CASE(test_faults__actions),
    SUITE_CASE(test_faults__bad_ones),
    SUITE_CASE(test_faults__too_many),
    SUITE_CASE(test_text__utf8),
    SUITE_CASE(test_text__small_things),
    CU_TEST_INFO_NULL,
};

SUITE_MAIN("sandbox rules", cases)
