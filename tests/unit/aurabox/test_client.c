/* The calls against a scripted server: every endpoint's success, every error shape, tokens, limits,
 * and that no text holds a secret or patient data. */
#include "aurabridge/aurabox.h"

#include "failure_text.h"
#include "http_script.h"
#include "suite.h"
#include "tls_server.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define NOW_MS   1795514400000 /* Tue, 24 Nov 2026 10:00:00 GMT */
#define DATE     "Date: Tue, 24 Nov 2026 10:00:00 GMT\r\n"
#define JSON     DATE "Content-Type: application/json\r\n"
#define HTML     DATE "Content-Type: text/html\r\n"
#define UPLOAD   "550e8400-e29b-41d4-a716-446655440000"
#define ASSEMBLY "assembly-1"
#define TOKEN(name)                                                                                \
    "{\"token\":\"aubt_" name "\",\"expires_at\":\"2026-11-24T11:00:00Z\",\"scopes\":[]}"
#define EXCHANGED                                                                                  \
    {                                                                                              \
        .status = 200, .headers = JSON, .body = TOKEN("one")                                       \
    }
#define LIFT                                                                                       \
    "{\"lift\":{\"endpoint\":\"https://tus.example.com/files/\",\"token\":\"lift-token\","         \
    "\"bucket\":\"b\",\"assembly_id\":\"a7\"},\"mode\":\"bulk\"}"
#define END                                                                                        \
    {                                                                                              \
        .status = 0                                                                                \
    }

static char directory[] = "/tmp/aurabridge-client-XXXXXX";
static int64_t now_ms;

static int64_t read_now(void *context)
{
    (void)context;
    return now_ms;
}

static const struct clock fake_clock = {NULL, read_now, read_now};

/* ---- a config without the config room's file formats ---- */

static char base_url[64];
static struct config_destination settings;
static struct config config;

struct config *config_retain(struct config *given)
{
    return given;
}

void config_release(struct config *given)
{
    (void)given;
}

const struct config_destination *config_destination(const struct config *given, const char *name)
{
    (void)given;
    return strcmp(name, "main") == 0 ? &settings : NULL;
}

/* ---- fixture ---- */

struct fixture {
    struct http_script *script;
    struct aurabox_destination *destination;
    struct aurabox_client *client;
    struct aurabox_reply reply;
};

static void remove_limits(void)
{
    char path[300];
    (void)snprintf(path, sizeof path, "%s/limits", directory);
    DIR *folder = opendir(path);
    for (struct dirent *entry; folder && (entry = readdir(folder));) {
        char file[600];
        (void)snprintf(file, sizeof file, "%s/%s", path, entry->d_name);
        if (entry->d_name[0] != '.')
            (void)unlink(file);
    }
    if (folder)
        (void)closedir(folder);
    (void)rmdir(path);
}

/* `tls` with the file that its certificate is in, or both null. */
static void set_up_over(struct fixture *fixture, const struct http_script_step *steps, SSL_CTX *tls,
                        char *ca_file)
{
    struct error err = {""};
    now_ms = NOW_MS;
    remove_limits();
    memset(fixture, 0, sizeof *fixture);
    fixture->script = http_script_start(steps, tls);
    CU_ASSERT_PTR_NOT_NULL_FATAL(fixture->script);
    (void)snprintf(base_url, sizeof base_url, "%s://127.0.0.1:%u/api", tls ? "https" : "http",
                   http_script_port(fixture->script));
    settings = (struct config_destination){.name = "main",
                                           .api_base_url = base_url,
                                           .app_id = "app-id",
                                           .app_secret = "app-secret",
                                           .service_api_key = "service-key",
                                           .ca_file = ca_file,
                                           .source = "standalone-uploader",
                                           .token_ttl_ms = 3600000,
                                           .timeout_ms = 5000,
                                           .limits = {10, 30, 60}};
    CU_ASSERT_EQUAL_FATAL(aurabox_destination_new(&fixture->destination, &config, "main", directory,
                                                  &fake_clock, &err),
                          0);
    CU_ASSERT_EQUAL_FATAL(
        aurabox_client_new(&fixture->client, fixture->destination, NULL, NULL, &err), 0);
}

static void set_up(struct fixture *fixture, const struct http_script_step *steps)
{
    static char no_file[] = "";
    set_up_over(fixture, steps, NULL, no_file);
}

static void tear_down(struct fixture *fixture)
{
    aurabox_client_free(fixture->client);
    aurabox_destination_free(fixture->destination);
    http_script_stop(fixture->script);
    remove_limits();
}

static void check_text(const struct aurabox_reply *reply)
{
    static const char *const secrets[] = {"aubt_", "app-secret", "service-key", "lift-token"};
    for (size_t i = 0; i < sizeof secrets / sizeof secrets[0]; i++)
        CU_ASSERT_PTR_NULL(strstr(reply->text, secrets[i]));
}

/* ---- success ---- */

static void check_request(struct http_script *script, unsigned n, const char *method,
                          const char *target, const char *authorization, const char *body)
{
    const struct http_script_request *heard = http_script_request(script, n);
    char value[512];
    CU_ASSERT_PTR_NOT_NULL_FATAL(heard);
    CU_ASSERT_STRING_EQUAL(heard->method, method);
    CU_ASSERT_STRING_EQUAL(heard->target, target);
    CU_ASSERT_STRING_EQUAL(heard->body.data, body);
    CU_ASSERT_STRING_EQUAL(http_script_header(heard, "X-Api-Key", value, sizeof value),
                           "service-key");
    CU_ASSERT_STRING_EQUAL(http_script_header(heard, "Accept", value, sizeof value),
                           "application/json");
    CU_ASSERT_STRING_EQUAL(http_script_header(heard, "Content-Type", value, sizeof value),
                           body[0] ? "application/json" : "");
    (void)http_script_header(heard, "Authorization", value, sizeof value);
    CU_ASSERT_EQUAL(strncmp(value, authorization, strlen(authorization)), 0);
}

/* The signature is made anew from what went over the wire. */
static void check_signature(const struct http_script_request *heard)
{
    char host[64];
    char nonce[64];
    char timestamp[32];
    char sent[512];
    char url[2200];
    (void)http_script_header(heard, "Host", host, sizeof host);
    (void)http_script_header(heard, "X-Aura-Nonce", nonce, sizeof nonce);
    (void)http_script_header(heard, "X-Aura-Timestamp", timestamp, sizeof timestamp);
    (void)http_script_header(heard, "Authorization", sent, sizeof sent);
    (void)snprintf(url, sizeof url, "http://%s%s", host, heard->target);
    const struct aurabox_sign_request request = {.app_id = "app-id",
                                                 .app_secret = "app-secret",
                                                 .method = "POST",
                                                 .url = url,
                                                 .content_type = "application/json",
                                                 .body = heard->body.data,
                                                 .body_length = heard->body.length,
                                                 .timestamp_s = NOW_MS / 1000,
                                                 .nonce = nonce};
    struct aurabox_signature expected;
    CU_ASSERT_EQUAL_FATAL(aurabox_sign(&expected, &request, NULL), 0);
    CU_ASSERT_STRING_EQUAL(sent, expected.authorization.data);
    CU_ASSERT_STRING_EQUAL(timestamp, "1795514400");
    CU_ASSERT_EQUAL(strlen(nonce), 36);
    aurabox_signature_free(&expected);
}

static void test_every_call(void)
{
    static const struct http_script_step steps[] = {
        EXCHANGED,
        {.status = 200, .headers = JSON, .body = LIFT},
        {.status = 201, .headers = JSON, .body = "{\"studies\":[{\"id\":\"internal-7\"}]}"},
        {.status = 200, .headers = JSON, .body = "{}"},
        {.status = 204},
        {.status = 200, .body = "ok"},
        {.status = 202},
        END};
    struct fixture fixture;
    struct aurabox_lift lift;
    char study_id[128];
    struct json *body = json_new_object();
    set_up(&fixture, steps);
    CU_ASSERT_EQUAL(aurabox_config(fixture.client, &lift, &fixture.reply), AURABOX_OK);
    CU_ASSERT_STRING_EQUAL(lift.endpoint, "https://tus.example.com/files/");
    CU_ASSERT_STRING_EQUAL(lift.token, "lift-token");
    CU_ASSERT_STRING_EQUAL(lift.bucket, "b");
    CU_ASSERT_STRING_EQUAL(lift.assembly_id, "a7");
    CU_ASSERT_STRING_EQUAL(lift.mode, "bulk");
    CU_ASSERT_EQUAL(json_set_string(body, "upload_id", UPLOAD), 0);
    CU_ASSERT_EQUAL(aurabox_init(fixture.client, body, false, study_id, &fixture.reply),
                    AURABOX_OK);
    CU_ASSERT_STRING_EQUAL(study_id, "internal-7");
    CU_ASSERT_EQUAL(aurabox_start(fixture.client, UPLOAD, ASSEMBLY, false, &fixture.reply),
                    AURABOX_OK);
    CU_ASSERT_EQUAL(aurabox_complete(fixture.client, UPLOAD, ASSEMBLY, false, &fixture.reply),
                    AURABOX_OK);
    CU_ASSERT_EQUAL(aurabox_error(fixture.client, UPLOAD, "why", &fixture.reply), AURABOX_OK);
    CU_ASSERT_EQUAL(aurabox_cancel(fixture.client, UPLOAD, &fixture.reply), AURABOX_OK);
    CU_ASSERT_EQUAL(fixture.reply.status, 202);
    CU_ASSERT_TRUE(fixture.reply.answered);

    struct http_script *script = fixture.script;
    check_request(script, 0, "POST", "/api/auth/exchange",
                  "AURA-HMAC-SHA256 Credential=app-id,SignedHeaders=",
                  "{\"ttl\":3600,\"scopes\":[\"upload:init\",\"upload:manage\","
                  "\"integration:read\"]}");
    check_signature(http_script_request(script, 0));
    check_request(script, 1, "GET", "/api/uploader/config", "Bearer aubt_one", "");
    check_request(script, 2, "POST", "/api/uploader/upload/init", "Bearer aubt_one",
                  "{\"upload_id\":\"" UPLOAD "\"}");
    check_request(script, 3, "POST", "/api/uploader/upload/start", "Bearer aubt_one",
                  "{\"upload_id\":\"" UPLOAD "\",\"assembly_id\":\"" ASSEMBLY
                  "\",\"mode\":\"uploader\"}");
    check_request(script, 4, "POST", "/api/uploader/upload/complete", "Bearer aubt_one",
                  "{\"upload_id\":\"" UPLOAD "\",\"assembly_id\":\"" ASSEMBLY
                  "\",\"mode\":\"uploader\"}");
    check_request(script, 5, "POST", "/api/uploader/upload/error", "Bearer aubt_one",
                  "{\"upload_id\":\"" UPLOAD "\",\"message\":\"why\",\"mode\":\"uploader\"}");
    check_request(script, 6, "POST", "/api/uploader/upload/cancel", "Bearer aubt_one",
                  "{\"upload_id\":\"" UPLOAD "\",\"mode\":\"uploader\"}");
    json_free(body);
    tear_down(&fixture);
}

/* ---- what goes wrong with a lifecycle call ---- */

struct outcome_case {
    struct http_script_step step;
    bool repeated;
    enum aurabox_outcome outcome;
    bool answered;
    int64_t retry_after_ms;
    const char *text; /* that stands in the reply's */
};

#define MESSAGE "{\"message\":\"the text\"}"
static const struct outcome_case complete_cases[] = {
    {{.status = 422,
      .headers = JSON,
      .body = "{\"message\":\"m\",\"error\":{\"message\":\"e\"},"
              "\"errors\":{\"a\":[\"one\",\"two\"],\"b\":[\"three\"]}}"},
     false,
     AURABOX_REJECTED,
     true,
     -1,
     "422: one two three"},
    {{.status = 400, .headers = JSON, .body = "{\"error\":{\"message\":\"e\"},\"message\":\"m\"}"},
     false,
     AURABOX_REJECTED,
     true,
     -1,
     "400: e"},
    {{.status = 422, .headers = JSON, .body = MESSAGE},
     false,
     AURABOX_REJECTED,
     true,
     -1,
     "422: the text"},
    {{.status = 422, .headers = JSON, .body = "{}"}, false, AURABOX_REJECTED, true, -1, "422"},
    {{.status = 400, .headers = HTML, .body = "<html>"},
     false,
     AURABOX_DESTINATION,
     true,
     -1,
     "captive portal or proxy"},
    {{.status = 403, .headers = JSON, .body = MESSAGE},
     false,
     AURABOX_DESTINATION,
     true,
     -1,
     "403: the text; check that service_api_key"},
    {{.status = 404, .headers = JSON, .body = MESSAGE},
     false,
     AURABOX_FORGOTTEN,
     true,
     -1,
     "404: the text; it does not know the upload"},
    {{.status = 404, .headers = HTML, .body = "<html>"},
     false,
     AURABOX_DESTINATION,
     true,
     -1,
     "check api_base_url"},
    {{.status = 409, .headers = JSON, .body = MESSAGE}, false, AURABOX_RETRY, true, -1, "409"},
    {{.status = 404, .headers = JSON, .body = MESSAGE}, true, AURABOX_CONFLICT, true, -1, "404"},
    {{.status = 409, .headers = JSON, .body = MESSAGE}, true, AURABOX_CONFLICT, true, -1, "409"},
    {{.status = 422, .headers = JSON, .body = MESSAGE},
     true,
     AURABOX_CONFLICT,
     true,
     -1,
     "422 to a repeated call: the text"},
    {{.status = 404, .headers = HTML, .body = "<html>"},
     true,
     AURABOX_DESTINATION,
     true,
     -1,
     "404"},
    {{.status = 408}, false, AURABOX_RETRY, false, -1, "408"},
    {{.status = 423}, false, AURABOX_RETRY, true, -1, "423"},
    {{.status = 429, .headers = "Retry-After: 17\r\n"}, false, AURABOX_RETRY, true, 17000, "429"},
    {{.status = 429}, false, AURABOX_RETRY, true, -1, "429"},
    {{.status = 429, .headers = "Retry-After: 999999\r\n"},
     false,
     AURABOX_RETRY,
     true,
     3600000,
     "429"},
    {{.status = 500, .headers = JSON, .body = MESSAGE},
     false,
     AURABOX_RETRY,
     false,
     -1,
     "500: the text"},
    {{.status = 502, .headers = HTML, .body = "<html>"}, false, AURABOX_RETRY, false, -1, "502"},
    {{.status = 503, .headers = "Retry-After: 5\r\n"}, false, AURABOX_RETRY, false, 5000, "503"},
    {{.status = 302, .headers = "Location: /login\r\n"},
     false,
     AURABOX_DESTINATION,
     true,
     -1,
     "redirects"},
    {{.status = 200, .headers = HTML, .body = "<html>"},
     false,
     AURABOX_DESTINATION,
     false,
     -1,
     "captive portal or proxy"},
    {{.status = 200, .body = " <!doctype html>"},
     false,
     AURABOX_DESTINATION,
     false,
     -1,
     "captive portal or proxy"},
    {{.raw = "", .ending = SCRIPT_CLOSE}, false, AURABOX_RETRY, false, -1, "broke off"},
    {{.raw = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n", .ending = SCRIPT_CLOSE},
     false,
     AURABOX_RETRY,
     false,
     -1,
     "broke off in its header"},
    {{.status = 511, .headers = HTML, .body = "<html>"},
     false,
     AURABOX_DESTINATION,
     true,
     -1,
     "captive portal"},
    {{.status = 413, .headers = HTML, .body = "<html>"},
     false,
     AURABOX_RETRY,
     true,
     -1,
     "raise the request size limit"},
    {{.status = 200, .body = "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx", .ending = SCRIPT_ENDLESS},
     false,
     AURABOX_DESTINATION,
     false,
     -1,
     "not Aurabox"},
    {{.status = 500, .headers = JSON, .body = "{\"message\":\"line\\nbreak \\u001b[1m\"}"},
     false,
     AURABOX_RETRY,
     false,
     -1,
     "line break  [1m"},
};

/* ---- what a refusal means, by call ---- */

#define ABOUT_ID "{\"errors\":{\"upload_id\":[\"the text\"]}}"
#define OTHER    "{\"errors\":{\"studies\":[\"the text\"]}}"
enum lifecycle_call { INIT, START, COMPLETE, FAIL, WITHDRAW };

static const struct {
    enum lifecycle_call call;
    int status;
    const char *body;
    enum aurabox_outcome first, repeated;
} refusals[] = {
    {INIT, 404, MESSAGE, AURABOX_DESTINATION, AURABOX_DESTINATION},
    {INIT, 409, MESSAGE, AURABOX_RETRY, AURABOX_CONFLICT},
    {INIT, 409, "<html>", AURABOX_RETRY, AURABOX_RETRY},
    {INIT, 410, MESSAGE, AURABOX_DESTINATION, AURABOX_DESTINATION},
    {INIT, 422, ABOUT_ID, AURABOX_REJECTED, AURABOX_CONFLICT},
    {INIT, 422, OTHER, AURABOX_REJECTED, AURABOX_REJECTED},
    {INIT, 422, MESSAGE, AURABOX_REJECTED, AURABOX_REJECTED},
    {INIT, 400, ABOUT_ID, AURABOX_REJECTED, AURABOX_REJECTED},
    {START, 400, MESSAGE, AURABOX_REJECTED, AURABOX_REJECTED},
    {START, 404, MESSAGE, AURABOX_FORGOTTEN, AURABOX_FORGOTTEN},
    {START, 404, "<html>", AURABOX_DESTINATION, AURABOX_DESTINATION},
    {START, 409, MESSAGE, AURABOX_RETRY, AURABOX_CONFLICT},
    {START, 410, MESSAGE, AURABOX_FORGOTTEN, AURABOX_FORGOTTEN},
    {START, 422, ABOUT_ID, AURABOX_FORGOTTEN, AURABOX_FORGOTTEN},
    {START, 422, OTHER, AURABOX_REJECTED, AURABOX_CONFLICT},
    {COMPLETE, 404, MESSAGE, AURABOX_FORGOTTEN, AURABOX_CONFLICT},
    {COMPLETE, 404, "<html>", AURABOX_DESTINATION, AURABOX_DESTINATION},
    {COMPLETE, 409, MESSAGE, AURABOX_RETRY, AURABOX_CONFLICT},
    {COMPLETE, 410, MESSAGE, AURABOX_FORGOTTEN, AURABOX_CONFLICT},
    {COMPLETE, 422, ABOUT_ID, AURABOX_FORGOTTEN, AURABOX_CONFLICT},
    {COMPLETE, 422, OTHER, AURABOX_REJECTED, AURABOX_CONFLICT},
    {FAIL, 404, MESSAGE, AURABOX_FORGOTTEN, AURABOX_FORGOTTEN},
    {WITHDRAW, 404, MESSAGE, AURABOX_FORGOTTEN, AURABOX_FORGOTTEN},
};

static enum aurabox_outcome make_call(struct fixture *fixture, enum lifecycle_call call,
                                      bool repeated)
{
    struct aurabox_client *client = fixture->client;
    struct aurabox_reply *reply = &fixture->reply;
    char study_id[128];
    struct json *body = json_new_object();
    enum aurabox_outcome outcome = AURABOX_STOPPED;
    switch (call) {
    case INIT:
        outcome = aurabox_init(client, body, repeated, study_id, reply);
        break;
    case START:
        outcome = aurabox_start(client, UPLOAD, ASSEMBLY, repeated, reply);
        break;
    case COMPLETE:
        outcome = aurabox_complete(client, UPLOAD, ASSEMBLY, repeated, reply);
        break;
    case FAIL:
        outcome = aurabox_error(client, UPLOAD, "why", reply);
        break;
    case WITHDRAW:
        outcome = aurabox_cancel(client, UPLOAD, reply);
        break;
    }
    json_free(body);
    return outcome;
}

static void test_refusals_by_call(void)
{
    for (size_t i = 0; i < 2 * sizeof refusals / sizeof refusals[0]; i++) {
        const struct http_script_step steps[] = {
            EXCHANGED,
            {.status = refusals[i / 2].status, .headers = JSON, .body = refusals[i / 2].body},
            END};
        bool repeated = i % 2;
        struct fixture fixture;
        set_up(&fixture, steps);
        enum aurabox_outcome outcome = make_call(&fixture, refusals[i / 2].call, repeated);
        enum aurabox_outcome expected = repeated ? refusals[i / 2].repeated : refusals[i / 2].first;
        if (outcome != expected)
            printf("\nrow %zu, %s: %d %s\n", i / 2, repeated ? "repeated" : "first", (int)outcome,
                   fixture.reply.text);
        CU_ASSERT_EQUAL(outcome, expected);
        CU_ASSERT_TRUE(fixture.reply.answered); /* it had no effect */
        tear_down(&fixture);
    }
}

static void test_outcomes(void)
{
    for (size_t i = 0; i < sizeof complete_cases / sizeof complete_cases[0]; i++) {
        const struct outcome_case *row = &complete_cases[i];
        const struct http_script_step steps[] = {EXCHANGED, row->step, END};
        struct fixture fixture;
        set_up(&fixture, steps);
        enum aurabox_outcome outcome =
            aurabox_complete(fixture.client, UPLOAD, ASSEMBLY, row->repeated, &fixture.reply);
        bool good = outcome == row->outcome && fixture.reply.outcome == outcome &&
                    fixture.reply.answered == row->answered &&
                    fixture.reply.retry_after_ms == row->retry_after_ms &&
                    strstr(fixture.reply.text, row->text);
        if (!good)
            printf("\nrow %zu: %d answered %d retry %lld: %s\n", i, (int)outcome,
                   fixture.reply.answered, (long long)fixture.reply.retry_after_ms,
                   fixture.reply.text);
        CU_ASSERT(good);
        check_text(&fixture.reply);
        tear_down(&fixture);
    }
}

/* ---- config ---- */

static void test_config_fields(void)
{
    static const struct {
        const char *body, *text; /* null: accepted */
    } rows[] = {
        {"{\"lift\":{\"endpoint\":\"https://t/\",\"token\":\"t\",\"bucket\":\"b\"},\"mode\":\"m\"}",
         NULL},
        {"{\"lift\":{\"token\":\"t\",\"bucket\":\"b\"},\"mode\":\"m\"}", "lift.endpoint"},
        {"{\"lift\":{\"endpoint\":\"\",\"token\":\"t\",\"bucket\":\"b\"},\"mode\":\"m\"}",
         "lift.endpoint"},
        {"{\"lift\":{\"endpoint\":\"x\",\"token\":\"t\",\"bucket\":\"b\"},\"mode\":\"m\"}",
         "no http or https URL"},
        {"{\"lift\":{\"endpoint\":\"https://t/\",\"bucket\":\"b\"},\"mode\":\"m\"}", "lift.token"},
        {"{\"lift\":{\"endpoint\":\"https://t/\",\"token\":\"t\"},\"mode\":\"m\"}", "lift.bucket"},
        {"{\"lift\":{\"endpoint\":\"https://t/\",\"token\":\"t\",\"bucket\":\"b\"}}", "mode"},
        {"{\"lift\":null}", "lift.endpoint"},
        {"{}", "lift.endpoint"},
        {"[]", "captive portal"},
        {"", "captive portal"},
        {"not JSON", "captive portal"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const struct http_script_step steps[] = {
            EXCHANGED, {.status = 200, .headers = JSON, .body = rows[i].body}, END};
        struct fixture fixture;
        struct aurabox_lift lift;
        set_up(&fixture, steps);
        enum aurabox_outcome outcome = aurabox_config(fixture.client, &lift, &fixture.reply);
        CU_ASSERT_EQUAL(outcome, rows[i].text ? AURABOX_DESTINATION : AURABOX_OK);
        CU_ASSERT_EQUAL(outcome, fixture.reply.outcome);
        CU_ASSERT(!rows[i].text || strstr(fixture.reply.text, rows[i].text));
        check_text(&fixture.reply);
        tear_down(&fixture);
    }
}

/* The API is asked by TLS: where the images go must have it, too. */
static void test_config_with_a_lift_endpoint_in_the_clear(void)
{
    static const struct {
        const char *body;
        enum aurabox_outcome outcome;
    } rows[] = {
        {"{\"lift\":{\"endpoint\":\"http://t/\",\"token\":\"t\",\"bucket\":\"b\"},\"mode\":\"m\"}",
         AURABOX_DESTINATION},
        {"{\"lift\":{\"endpoint\":\"https://t/\",\"token\":\"t\",\"bucket\":\"b\"},\"mode\":\"m\"}",
         AURABOX_OK},
    };
    char ca_file[64];
    (void)snprintf(ca_file, sizeof ca_file, "%s/ca.pem", directory);
    SSL_CTX *tls = tls_server_context("IP:127.0.0.1", ca_file);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const struct http_script_step steps[] = {
            EXCHANGED, {.status = 200, .headers = JSON, .body = rows[i].body}, END};
        struct fixture fixture;
        struct aurabox_lift lift;
        set_up_over(&fixture, steps, tls, ca_file);
        CU_ASSERT_EQUAL(aurabox_config(fixture.client, &lift, &fixture.reply), rows[i].outcome);
        CU_ASSERT(rows[i].outcome == AURABOX_OK || strstr(fixture.reply.text, "not https"));
        tear_down(&fixture);
    }
    SSL_CTX_free(tls);
    CU_ASSERT_EQUAL(unlink(ca_file), 0);
}

/* ---- exchange ---- */

static const struct {
    struct http_script_step step;
    enum aurabox_outcome outcome;
    const char *text;
} exchange_cases[] = {
    {EXCHANGED, AURABOX_OK, ""},
    {{.status = 200, .headers = JSON, .body = "{\"token\":\"abc\"}"},
     AURABOX_DESTINATION,
     "does not begin with"},
    {{.status = 200, .headers = JSON, .body = "{}"}, AURABOX_DESTINATION, "holds no token"},
    {{.status = 200,
      .headers = JSON,
      .body = "{\"token\":\"aubt_x\",\"expires_at\":\"2026-11-24T09:00:00Z\"}"},
     AURABOX_DESTINATION,
     "expired"},
    {{.status = 200, .headers = HTML, .body = "<html>"}, AURABOX_DESTINATION, "captive portal"},
    {{.status = 401, .headers = JSON, .body = "{\"error\":{\"message\":\"bad signature\"}}"},
     AURABOX_DESTINATION,
     "401: bad signature; check app_id, app_secret"},
    {{.status = 401,
      .headers = "Date: Tue, 24 Nov 2026 10:02:01 GMT\r\n",
      .body = "{\"error\":{\"message\":\"expired\"}}"},
     AURABOX_DESTINATION,
     "here it is 2026-11-24T10:00:00.000Z, at the server 2026-11-24T10:02:01.000Z"},
    {{.status = 403, .headers = "Date: Tue, 24 Nov 2026 09:00:00 GMT\r\n"},
     AURABOX_DESTINATION,
     "clocks differ"},
    {{.status = 401, .headers = "Date: Tue, 24 Nov 2026 10:01:59 GMT\r\n"},
     AURABOX_DESTINATION,
     "check app_id"},
    {{.status = 400, .headers = "Date: Tue, 24 Nov 2026 10:10:00 GMT\r\n"},
     AURABOX_DESTINATION,
     "clocks differ"},
    {{.status = 404, .headers = "Date: Tue, 24 Nov 2026 10:10:00 GMT\r\n"},
     AURABOX_DESTINATION,
     "check api_base_url"},
    {{.status = 422, .headers = JSON, .body = MESSAGE}, AURABOX_DESTINATION, "the text"},
    {{.status = 429, .headers = "Retry-After: 3\r\n"}, AURABOX_RETRY, "429"},
    {{.status = 500}, AURABOX_RETRY, "500"},
};

static void test_exchange(void)
{
    for (size_t i = 0; i < sizeof exchange_cases / sizeof exchange_cases[0]; i++) {
        const struct http_script_step steps[] = {exchange_cases[i].step, END};
        struct fixture fixture;
        set_up(&fixture, steps);
        enum aurabox_outcome outcome = aurabox_exchange(fixture.client, &fixture.reply);
        bool good = outcome == exchange_cases[i].outcome &&
                    strstr(fixture.reply.text, exchange_cases[i].text);
        if (!good)
            printf("\nrow %zu: %d %s\n", i, (int)outcome, fixture.reply.text);
        CU_ASSERT(good);
        CU_ASSERT_EQUAL(http_script_count(fixture.script), 1);
        CU_ASSERT_PTR_NULL(strstr(fixture.reply.text, "app-secret"));
        tear_down(&fixture);
    }
}

static void test_token_is_renewed_once_on_401(void)
{
    static const struct http_script_step good[] = {
        EXCHANGED,
        {.status = 401, .headers = JSON, .body = MESSAGE},
        {.status = 200, .headers = JSON, .body = TOKEN("two")},
        {.status = 204},
        {.status = 204},
        END};
    static const struct http_script_step bad[] = {EXCHANGED,
                                                  {.status = 401, .headers = JSON, .body = MESSAGE},
                                                  EXCHANGED,
                                                  {.status = 401, .headers = JSON, .body = MESSAGE},
                                                  END};
    struct fixture fixture;
    char value[64];
    set_up(&fixture, good);
    CU_ASSERT_EQUAL(aurabox_start(fixture.client, UPLOAD, ASSEMBLY, false, &fixture.reply),
                    AURABOX_OK);
    CU_ASSERT_EQUAL(aurabox_cancel(fixture.client, UPLOAD, &fixture.reply), AURABOX_OK);
    CU_ASSERT_EQUAL(http_script_count(fixture.script), 5);
    CU_ASSERT_STRING_EQUAL(http_script_header(http_script_request(fixture.script, 4),
                                              "Authorization", value, sizeof value),
                           "Bearer aubt_two");
    tear_down(&fixture);
    set_up(&fixture, bad);
    CU_ASSERT_EQUAL(aurabox_start(fixture.client, UPLOAD, ASSEMBLY, false, &fixture.reply),
                    AURABOX_DESTINATION);
    CU_ASSERT_EQUAL(http_script_count(fixture.script), 4);
    tear_down(&fixture);
}

static void test_spent_token_is_exchanged(void)
{
    static const struct http_script_step steps[] = {
        {.status = 200,
         .headers = JSON,
         .body = "{\"token\":\"aubt_a\",\"expires_at\":\"2026-11-24T11:00:00Z\",\"max_uses\":1}"},
        {.status = 204},
        EXCHANGED,
        {.status = 204},
        END};
    struct fixture fixture;
    set_up(&fixture, steps);
    CU_ASSERT_EQUAL(aurabox_cancel(fixture.client, UPLOAD, &fixture.reply), AURABOX_OK);
    CU_ASSERT_EQUAL(aurabox_cancel(fixture.client, UPLOAD, &fixture.reply), AURABOX_OK);
    CU_ASSERT_EQUAL(http_script_count(fixture.script), 4);
    tear_down(&fixture);
}

/* ---- limits, stopping, what a text may hold ---- */

static void test_limited_calls_are_not_sent(void)
{
    static const struct http_script_step steps[] = {
        EXCHANGED, {.status = 204}, {.status = 204}, {.status = 204}, END};
    struct fixture fixture;
    set_up(&fixture, steps);
    aurabox_client_free(fixture.client);
    aurabox_destination_free(fixture.destination);
    settings.limits.lifecycle = 2;
    CU_ASSERT_EQUAL_FATAL(aurabox_destination_new(&fixture.destination, &config, "main", directory,
                                                  &fake_clock, NULL),
                          0);
    CU_ASSERT_EQUAL_FATAL(
        aurabox_client_new(&fixture.client, fixture.destination, NULL, NULL, NULL), 0);
    CU_ASSERT_EQUAL(aurabox_cancel(fixture.client, UPLOAD, &fixture.reply), AURABOX_OK);
    CU_ASSERT_EQUAL(aurabox_cancel(fixture.client, UPLOAD, &fixture.reply), AURABOX_OK);
    CU_ASSERT_EQUAL(aurabox_cancel(fixture.client, UPLOAD, &fixture.reply), AURABOX_LIMITED);
    CU_ASSERT_EQUAL(fixture.reply.retry_after_ms, 60001);
    CU_ASSERT_EQUAL(http_script_count(fixture.script), 3);
    now_ms += 60001;
    CU_ASSERT_EQUAL(aurabox_cancel(fixture.client, UPLOAD, &fixture.reply), AURABOX_OK);
    tear_down(&fixture);
}

static bool always(void *context)
{
    (void)context;
    return true;
}

static void test_stopped(void)
{
    static const struct http_script_step steps[] = {EXCHANGED, END};
    struct fixture fixture;
    set_up(&fixture, steps);
    aurabox_client_free(fixture.client);
    CU_ASSERT_EQUAL_FATAL(
        aurabox_client_new(&fixture.client, fixture.destination, always, NULL, NULL), 0);
    CU_ASSERT_EQUAL(aurabox_cancel(fixture.client, UPLOAD, &fixture.reply), AURABOX_STOPPED);
    CU_ASSERT_EQUAL(http_script_count(fixture.script), 0);
    tear_down(&fixture);
}

static void test_unreachable_is_known_not_to_be_done(void)
{
    static const struct http_script_step steps[] = {EXCHANGED, END};
    struct fixture fixture;
    set_up(&fixture, steps);
    http_script_stop(fixture.script);
    fixture.script = NULL;
    CU_ASSERT_EQUAL(aurabox_complete(fixture.client, UPLOAD, ASSEMBLY, false, &fixture.reply),
                    AURABOX_RETRY);
    CU_ASSERT_TRUE(fixture.reply.answered);
    CU_ASSERT_EQUAL(fixture.reply.status, 0);
    tear_down(&fixture);
}

static void test_patient_data_is_taken_out(void)
{
    static const struct http_script_step steps[] = {
        EXCHANGED,
        {.status = 422,
         .headers = JSON,
         .body = "{\"errors\":{\"a\":[\"The name DOE^JOHN is odd, as are doe and P-77; "
                 "Doer is fine.\"]}}"},
        END};
    static const char text[] =
        "{\"context\":{\"patient\":{\"family_name\":\"doe\"},\"patient_id\":\"P-77\"},"
        "\"studies\":{\"1.2\":{\"patient_name\":\"DOE^JOHN\"}}}";
    struct fixture fixture;
    char study_id[128];
    struct json *body = NULL;
    CU_ASSERT_EQUAL_FATAL(json_parse(&body, text, sizeof text - 1, NULL), 0);
    set_up(&fixture, steps);
    CU_ASSERT_EQUAL(aurabox_init(fixture.client, body, false, study_id, &fixture.reply),
                    AURABOX_REJECTED);
    CU_ASSERT_PTR_NOT_NULL(
        strstr(fixture.reply.text, "is odd, as are *** and ****; Doer is fine."));
    CU_ASSERT_PTR_NULL(strstr(fixture.reply.text, "JOHN"));
    json_free(body);
    tear_down(&fixture);
}

/* Also where the call itself was not made, since its token was refused. */
static void test_patient_data_is_taken_out_of_an_exchange(void)
{
    static const struct http_script_step steps[] = {
        {.status = 500, .headers = JSON, .body = "{\"message\":\"busy with DOE^JOHN now\"}"}, END};
    static const char text[] = "{\"context\":{\"name\":\"DOE^JOHN\"}}";
    struct fixture fixture;
    char study_id[128];
    struct json *body = NULL;
    CU_ASSERT_EQUAL_FATAL(json_parse(&body, text, sizeof text - 1, NULL), 0);
    set_up(&fixture, steps);
    CU_ASSERT_EQUAL(aurabox_init(fixture.client, body, false, study_id, &fixture.reply),
                    AURABOX_RETRY);
    CU_ASSERT_PTR_NOT_NULL(strstr(fixture.reply.text, "busy with ******** now"));
    json_free(body);
    tear_down(&fixture);
}

/* Quotation marks of any language, or letters, stand beside it. Within an ASCII word it is none. */
static void test_patient_data_is_taken_out_of_quotation_marks(void)
{
    static const struct {
        const char *said, *told;
    } rows[] = {
        {"\u201CDOE^JOHN\u201D is invalid", "\u201C********\u201D is invalid"},
        {"\u00BBDOE^JOHN\u00AB is invalid", "\u00BB********\u00AB is invalid"},
        {"\u300CDOE^JOHN\u300D", "\u300C********\u300D"},
        {"\u00A0Doe\u00A0is invalid", "\u00A0***\u00A0is invalid"},
        {"\u028ADOE^JOHN\u028A", "\u028A********\u028A"},
        {"'DOE^JOHN'", "'********'"},
        {"\u201EM\u00DCLLER\u201C", "\u201E*******\u201C"},
        {"the doer of it", "the doer of it"},
    };
    static const char text[] = "{\"context\":{\"name\":\"DOE^JOHN\",\"other\":\"M\u00DCLLER\"}}";
    struct json *body = NULL;
    CU_ASSERT_EQUAL_FATAL(json_parse(&body, text, sizeof text - 1, NULL), 0);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char out[128];
        (void)snprintf(out, sizeof out, "%s", rows[i].said);
        redact_patient_data(out, body);
        CU_ASSERT_STRING_EQUAL(out, rows[i].told);
    }
    json_free(body);
}

/* The text is cut at some place; a name or credential that stands across it must not be left in
 * half. */
static void test_nothing_is_left_at_the_cut(void)
{
    static const char *const said[] = {"Featherstonehaugh^Zoe", "test-service-key-0123456789",
                                       "test-secret-0123456789", "aubt_test-token-0123456789"};
    static const char *const parts[] = {"Feather", "test-ser", "test-sec", "aubt_test"};
    static const char text[] = "{\"context\":{\"name\":\"Featherstonehaugh^Zoe\"}}";
    struct json *body = NULL;
    CU_ASSERT_EQUAL_FATAL(json_parse(&body, text, sizeof text - 1, NULL), 0);
    struct json *answer = json_new_object();
    for (size_t i = 0; i < sizeof said / sizeof *said; i++) {
        for (unsigned before = 270; before < 298; before++) {
            char message[512];
            char out[300];
            const struct redaction sent = {.body = body, .secrets = {said[1], said[2], said[3]}};
            (void)snprintf(message, sizeof message, "%*s%s is not known", (int)before, " ",
                           said[i]);
            CU_ASSERT_EQUAL(json_set_string(answer, "message", message), 0);
            failure_text_read(out, sizeof out, answer, &sent);
            CU_ASSERT_EQUAL(strlen(out), sizeof out - 1);
            CU_ASSERT_PTR_NULL(strstr(out, parts[i]));
            CU_ASSERT_PTR_NOT_NULL(strchr(out, '*'));
        }
    }
    json_free(answer);
    json_free(body);
}

static void test_secrets_are_taken_out(void)
{
    static const struct http_script_step steps[] = {
        EXCHANGED,
        {.status = 500,
         .headers = JSON,
         .body = "{\"message\":\"key=service-key, secret=(app-secret), bearer:aubt_one!\"}"},
        END};
    struct fixture fixture;
    set_up(&fixture, steps);
    CU_ASSERT_EQUAL(aurabox_start(fixture.client, UPLOAD, ASSEMBLY, false, &fixture.reply),
                    AURABOX_RETRY);
    CU_ASSERT_PTR_NULL(strstr(fixture.reply.text, "service-key"));
    CU_ASSERT_PTR_NULL(strstr(fixture.reply.text, "app-secret"));
    CU_ASSERT_PTR_NULL(strstr(fixture.reply.text, "aubt_"));
    CU_ASSERT_PTR_NOT_NULL(strstr(fixture.reply.text, "key=*"));
    tear_down(&fixture);
}

static CU_TestInfo cases[] = {SUITE_CASE(test_every_call),
                              SUITE_CASE(test_refusals_by_call),
                              SUITE_CASE(test_outcomes),
                              SUITE_CASE(test_config_fields),
                              SUITE_CASE(test_config_with_a_lift_endpoint_in_the_clear),
                              SUITE_CASE(test_exchange),
                              SUITE_CASE(test_token_is_renewed_once_on_401),
                              SUITE_CASE(test_spent_token_is_exchanged),
                              SUITE_CASE(test_limited_calls_are_not_sent),
                              SUITE_CASE(test_stopped),
                              SUITE_CASE(test_unreachable_is_known_not_to_be_done),
                              SUITE_CASE(test_patient_data_is_taken_out),
                              SUITE_CASE(test_patient_data_is_taken_out_of_an_exchange),
                              SUITE_CASE(test_patient_data_is_taken_out_of_quotation_marks),
                              SUITE_CASE(test_nothing_is_left_at_the_cut),
                              SUITE_CASE(test_secrets_are_taken_out),
                              CU_TEST_INFO_NULL};

int main(void)
{
    struct error err;
    if (!mkdtemp(directory) || http_global_init(&err) != 0)
        return EXIT_FAILURE;
    int status = suite_run("aurabox_client", cases);
    remove_limits();
    (void)rmdir(directory);
    http_global_cleanup();
    return status;
}
