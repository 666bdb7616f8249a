/* AURA-HMAC-SHA256: the vectors of the protocol document, and the edges of its rules. */
#include "aurabridge/aurabox.h"

#include "suite.h"

#include <stdio.h>
#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof *(array))
#define EXCHANGE     "https://aura.example.com/api/auth/exchange"
#define BODY_V1      "{\"ttl\":3600,\"scopes\":[\"upload:init\",\"upload:manage\"]}"
#define BODY_V4      "{\"ttl\":3600,\"scopes\":[\"upload:init\",\"upload:manage\",\"integration:read\"]}"

static struct aurabox_sign_request request_of(const char *method, const char *url,
                                              const char *content_type, const char *body,
                                              const char *nonce)
{
    return (struct aurabox_sign_request){.app_id = "test-app-id",
                                         .app_secret = "test-secret-key",
                                         .method = method,
                                         .url = url,
                                         .content_type = content_type,
                                         .body = body,
                                         .body_length = body ? strlen(body) : 0,
                                         .timestamp_s = 1706140800,
                                         .nonce = nonce};
}

static struct aurabox_sign_request vector(int number)
{
    if (number == 1)
        return request_of("POST", EXCHANGE, "application/json", BODY_V1,
                          "550e8400-e29b-41d4-a716-446655440000");
    if (number == 2)
        return request_of("GET", "https://aura.example.com/api/uploader/config", NULL, NULL,
                          "a1b2c3d4-e5f6-4a5b-8c7d-9e0f1a2b3c4d");
    struct aurabox_sign_request request = request_of("POST", EXCHANGE, "application/json", BODY_V4,
                                                     "f47ac10b-58cc-4372-a567-0e02b2c3d479");
    request.app_id = "aura_pk_testapp123";
    request.app_secret = "aura_sk_supersecretkey456";
    request.timestamp_s = 1706184000;
    return request;
}

static const struct {
    int number;
    const char *payload_hash, *canonical_hash, *signed_headers, *signature, *authorization;
} vectors[] = {
    {1, "5335037164580247d5b44ecd0bafecaed26775a65e61c2fb867f39f97cbdd303",
     "6cd44500176c5adf24ea7cbdd13d9a8233c99ff1560a94328d6fbbeed8671abd",
     "content-type;host;x-aura-nonce;x-aura-timestamp",
     "4e865169c280c238e93ea51681fdf9e5977ecbf0dc60fbbf0b6b7ccba2005093",
     "AURA-HMAC-SHA256 Credential=test-app-id,SignedHeaders=content-type;host;x-aura-nonce;x-aura-"
     "timestamp,Signature=4e865169c280c238e93ea51681fdf9e5977ecbf0dc60fbbf0b6b7ccba2005093"},
    {2, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855", NULL,
     "host;x-aura-nonce;x-aura-timestamp",
     "cb5f7babcb41cd89292f211ccf88e31cd40057a21dd0dacfbbc543f6a9916723", NULL},
    {4, "3aff517eea808aa374890ccf5a9345750a1e5d3abe35d61a27bde24168014b26", NULL,
     "content-type;host;x-aura-nonce;x-aura-timestamp",
     "a1ce57d8b3c240fbfdfdd704cdba0ce38563f76f3d291cca6580089b8a7462c5", NULL},
};

static void test_vectors(void)
{
    for (size_t i = 0; i < COUNT(vectors); i++) {
        struct aurabox_sign_request request = vector(vectors[i].number);
        struct aurabox_signature out;
        struct error err;
        CU_ASSERT_EQUAL_FATAL(aurabox_sign(&out, &request, &err), 0);
        CU_ASSERT_STRING_EQUAL(out.payload_hash, vectors[i].payload_hash);
        CU_ASSERT_STRING_EQUAL(out.signed_headers, vectors[i].signed_headers);
        CU_ASSERT_STRING_EQUAL(out.signature, vectors[i].signature);
        if (vectors[i].canonical_hash) {
            CU_ASSERT_STRING_EQUAL(out.canonical_hash, vectors[i].canonical_hash);
        }
        if (vectors[i].authorization) {
            CU_ASSERT_STRING_EQUAL(out.authorization.data, vectors[i].authorization);
        }
        CU_ASSERT_PTR_NULL(strstr(out.canonical_request.data, request.app_secret));
        CU_ASSERT_PTR_NULL(strstr(out.string_to_sign.data, request.app_secret));
        aurabox_signature_free(&out);
    }
}

/* Published copies of the guide print these; they do not follow from their own inputs. Whoever
 * "repairs" the signer towards them breaks it for every real server. */
static void test_misprints_are_not_reproduced(void)
{
    static const char *const misprints[] = {"887ab157", "e8462b1f", "463e4d07", "e675cc3c"};
    for (size_t i = 0; i < COUNT(vectors); i++) {
        struct aurabox_sign_request request = vector(vectors[i].number);
        struct aurabox_signature out;
        CU_ASSERT_EQUAL_FATAL(aurabox_sign(&out, &request, NULL), 0);
        for (size_t k = 0; k < COUNT(misprints); k++) {
            CU_ASSERT_NOT_EQUAL(strncmp(out.canonical_hash, misprints[k], 8), 0);
            CU_ASSERT_NOT_EQUAL(strncmp(out.signature, misprints[k], 8), 0);
        }
        aurabox_signature_free(&out);
    }
}

static void test_canonical_request_and_string(void)
{
    struct aurabox_sign_request request = vector(1);
    struct aurabox_signature out;
    CU_ASSERT_EQUAL_FATAL(aurabox_sign(&out, &request, NULL), 0);
    CU_ASSERT_STRING_EQUAL(
        out.canonical_request.data,
        "POST\n/api/auth/exchange\n\ncontent-type:application/json\nhost:aura.example.com\n"
        "x-aura-nonce:550e8400-e29b-41d4-a716-446655440000\nx-aura-timestamp:1706140800\n\n"
        "content-type;host;x-aura-nonce;x-aura-timestamp\n"
        "5335037164580247d5b44ecd0bafecaed26775a65e61c2fb867f39f97cbdd303");
    CU_ASSERT_STRING_EQUAL(out.string_to_sign.data,
                           "AURA-HMAC-SHA256\n1706140800\ntest-app-id/20240125/aura_request\n"
                           "6cd44500176c5adf24ea7cbdd13d9a8233c99ff1560a94328d6fbbeed8671abd");
    aurabox_signature_free(&out);
}

static const struct {
    const char *url, *path, *query;
} url_cases[] = {
    /* V3 */
    {"https://h/api/uploader/upload/init?source=test&mode=bulk", "/api/uploader/upload/init",
     "mode=bulk&source=test"},
    {"https://h", "/", ""},
    {"https://h?a=1", "/", "a=1"},
    {"https://h/", "/", ""},
    {"https://h/a/", "/a/", ""},
    {"https://h//a///b//", "/a/b/", ""},
    {"https://h/a/./b", "/a/b", ""},
    {"https://h/a/../b", "/b", ""},
    {"https://h/../../b", "/b", ""},
    {"https://h/a/..", "/", ""},
    {"https://h/a/b/..", "/a/", ""},
    {"https://h/a/b/.", "/a/b/", ""},
    {"https://h/a%2Fb", "/a%2Fb", ""},
    {"https://h/a%2fb", "/a%2Fb", ""},
    {"https://h/%41b", "/Ab", ""},
    {"https://h/a+b", "/a%2Bb", ""},
    {"https://h/a:b@c", "/a%3Ab%40c", ""},
    {"https://h/-_.!~*'()", "/-_.!~*'()", ""},
    {"https://h/%C3%A9", "/%C3%A9", ""},
    {"https://h/%c3%a9", "/%C3%A9", ""},
    {"https://h/a%zz%2", "/a%25zz%252", ""},
    {"https://h/a%00b", "/a%00b", ""},
    {"https://h/a?", "/a", ""},
    {"https://h/a?b=2&a=1&a=0", "/a", "a=0&a=1&b=2"},
    {"https://h/a?b&a&", "/a", "&a&b"},
    {"https://h/a?B=1&a=1", "/a", "B=1&a=1"},
    {"https://h/a?x=%2f&x=/", "/a", "x=%2f&x=/"},
    {"https://h/a?a=1&a=10&a", "/a", "a&a=1&a=10"},
    {"https://h/a?q=1#fragment", "/a", "q=1"},
    {"https://h/a#f?x", "/a", ""},
};

static void test_canonical_url(void)
{
    for (size_t i = 0; i < COUNT(url_cases); i++) {
        struct aurabox_sign_request request = request_of("get", url_cases[i].url, NULL, NULL, "n");
        struct aurabox_signature out;
        char expected[256];
        CU_ASSERT_EQUAL_FATAL(aurabox_sign(&out, &request, NULL), 0);
        int length = snprintf(expected, sizeof expected, "GET\n%s\n%s\nhost:h\n", url_cases[i].path,
                              url_cases[i].query);
        bool good = strncmp(out.canonical_request.data, expected, (size_t)length) == 0;
        if (!good)
            printf("\n%s gave\n%s\n", url_cases[i].url, out.canonical_request.data);
        CU_ASSERT(good);
        aurabox_signature_free(&out);
    }
}

static const struct {
    const char *method, *content_type, *body, *expected;
} type_cases[] = {
    {"POST", NULL, "{}", "application/json"},
    {"PUT", "", "{}", "application/json"},
    {"patch", "  ", "{}", "application/json"},
    {"GET", NULL, "{}", ""},
    {"POST", NULL, NULL, ""},
    {"POST", NULL, "", ""},
    {"POST", " text/plain;\t charset=utf-8 ", "x", "text/plain; charset=utf-8"},
    {"GET", "text/plain", NULL, "text/plain"},
};

static void test_content_type(void)
{
    for (size_t i = 0; i < COUNT(type_cases); i++) {
        struct aurabox_sign_request request = request_of(
            type_cases[i].method, EXCHANGE, type_cases[i].content_type, type_cases[i].body, "n");
        struct aurabox_signature out;
        CU_ASSERT_EQUAL_FATAL(aurabox_sign(&out, &request, NULL), 0);
        CU_ASSERT_STRING_EQUAL(out.content_type, type_cases[i].expected);
        CU_ASSERT_EQUAL(strstr(out.signed_headers, "content-type") != NULL,
                        type_cases[i].expected[0] != '\0');
        aurabox_signature_free(&out);
    }
}

static void test_host_has_its_port(void)
{
    struct aurabox_sign_request request = request_of("GET", "http://h:8080/x", NULL, NULL, "n");
    struct aurabox_signature out;
    CU_ASSERT_EQUAL_FATAL(aurabox_sign(&out, &request, NULL), 0);
    CU_ASSERT_STRING_EQUAL(out.host, "h:8080");
    CU_ASSERT_PTR_NOT_NULL(strstr(out.canonical_request.data, "\nhost:h:8080\n"));
    aurabox_signature_free(&out);
}

static void test_refusals(void)
{
    struct aurabox_sign_request rows[7];
    for (size_t i = 0; i < COUNT(rows); i++)
        rows[i] = vector(1);
    rows[0].method = "PO ST";
    rows[1].url = "/relative";
    rows[2].app_id = "with space";
    rows[3].app_id = "with\nline";
    rows[4].app_secret = "";
    rows[5].nonce = " ";
    rows[6].timestamp_s = -1;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct aurabox_signature out;
        struct error err = {""};
        CU_ASSERT_EQUAL(aurabox_sign(&out, &rows[i], &err), -1);
        CU_ASSERT(strncmp(err.text, "cannot sign", 11) == 0);
        CU_ASSERT_PTR_NULL(strstr(err.text, "test-secret-key"));
    }
}

static CU_TestInfo cases[] = {SUITE_CASE(test_vectors),
                              SUITE_CASE(test_misprints_are_not_reproduced),
                              SUITE_CASE(test_canonical_request_and_string),
                              SUITE_CASE(test_canonical_url),
                              SUITE_CASE(test_content_type),
                              SUITE_CASE(test_host_has_its_port),
                              SUITE_CASE(test_refusals),
                              CU_TEST_INFO_NULL};

SUITE_MAIN("aurabox_sign", cases)
