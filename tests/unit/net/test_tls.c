/* TLS against a server with a self-signed certificate that the test makes: refused without ca_file,
 * accepted with it, and what a bad ca_file says. */
#include "aurabridge/fs.h"
#include "aurabridge/http.h"

#include "http_script.h"
#include "suite.h"
#include "tls_server.h"

#include <openssl/ssl.h>

#include <stdio.h>
#include <string.h>
#include <unistd.h>

static char directory[] = "/tmp/aurabridge-tls-XXXXXX";
static char ca_file[128], empty_file[128], damaged_file[128];

static enum http_failure get(struct http_script *script, const char *ca, struct error *err)
{
    struct http_client *client = NULL;
    struct http_reply reply;
    char url[64];
    (void)snprintf(url, sizeof url, "https://127.0.0.1:%u/", http_script_port(script));
    const struct http_request request = {
        .method = "GET", .url = url, .timeout_ms = 10000, .max_reply = 100};
    http_reply_init(&reply);
    CU_ASSERT_EQUAL_FATAL(http_client_new(&client, ca, err), 0);
    (void)http_call(client, &reply, &request, err);
    enum http_failure failure = reply.failure;
    if (failure == HTTP_OK) {
        CU_ASSERT_STRING_EQUAL(reply.body.data, "hello");
    } else {
        CU_ASSERT_FALSE(reply.sent);
    }
    http_reply_free(&reply);
    http_client_free(client);
    return failure;
}

static const struct http_script_step hello[] = {{.status = 200, .body = "hello"}, {.status = 0}};

static void test_trusts_ca_file_alone(void)
{
    SSL_CTX *context = tls_server_context("IP:127.0.0.1", ca_file);
    struct http_script *script = http_script_start(hello, context);
    struct error err = {""};
    CU_ASSERT_PTR_NOT_NULL_FATAL(script);
    CU_ASSERT_EQUAL(get(script, "", &err), HTTP_TLS);
    CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "TLS with https://127.0.0.1"));
    CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "ca_file"));
    CU_ASSERT_EQUAL(get(script, ca_file, &err), HTTP_OK);
    http_script_stop(script);
    SSL_CTX_free(context);
}

static void test_name_must_match(void)
{
    SSL_CTX *context = tls_server_context("DNS:other.example", ca_file);
    struct http_script *script = http_script_start(hello, context);
    struct error err = {""};
    CU_ASSERT_PTR_NOT_NULL_FATAL(script);
    CU_ASSERT_EQUAL(get(script, ca_file, &err), HTTP_TLS);
    CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "another name"));
    http_script_stop(script);
    SSL_CTX_free(context);
}

static void test_old_tls_is_refused(void)
{
    SSL_CTX *context = tls_server_context("IP:127.0.0.1", ca_file);
    (void)SSL_CTX_set_min_proto_version(context, TLS1_VERSION);
    (void)SSL_CTX_set_max_proto_version(context, TLS1_1_VERSION);
    SSL_CTX_set_security_level(context, 0);
    struct http_script *script = http_script_start(hello, context);
    struct error err = {""};
    CU_ASSERT_PTR_NOT_NULL_FATAL(script);
    CU_ASSERT_EQUAL(get(script, ca_file, &err), HTTP_TLS);
    http_script_stop(script);
    SSL_CTX_free(context);
}

static void test_bad_ca_files(void)
{
    const char *const paths[] = {empty_file, damaged_file, "/nonexistent/ca.pem"};
    static const char damaged[] = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    struct error err;
    CU_ASSERT_EQUAL_FATAL(fs_write_atomic(empty_file, "no PEM\n", 7, &err), 0);
    CU_ASSERT_EQUAL_FATAL(fs_write_atomic(damaged_file, damaged, sizeof damaged - 1, &err), 0);
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
        struct http_client *client = NULL;
        CU_ASSERT_EQUAL(http_client_new(&client, paths[i], &err), -1);
        CU_ASSERT_PTR_NULL(client);
        CU_ASSERT_PTR_NOT_NULL(strstr(err.text, paths[i]));
    }
}

static CU_TestInfo cases[] = {SUITE_CASE(test_trusts_ca_file_alone),
                              SUITE_CASE(test_name_must_match), SUITE_CASE(test_old_tls_is_refused),
                              SUITE_CASE(test_bad_ca_files), CU_TEST_INFO_NULL};

int main(void)
{
    struct error err;
    if (!mkdtemp(directory) || http_global_init(&err) != 0)
        return EXIT_FAILURE;
    (void)snprintf(ca_file, sizeof ca_file, "%s/ca.pem", directory);
    (void)snprintf(empty_file, sizeof empty_file, "%s/empty.pem", directory);
    (void)snprintf(damaged_file, sizeof damaged_file, "%s/damaged.pem", directory);
    int status = suite_run("net_tls", cases);
    (void)unlink(ca_file);
    (void)unlink(empty_file);
    (void)unlink(damaged_file);
    (void)rmdir(directory);
    http_global_cleanup();
    return status;
}
