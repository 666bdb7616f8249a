/* The sandbox over a plain socket, with a clock of the test's own. What an upload looks like from
 * outside is tested by tests/integration/test_sandbox.py; here is what needs time in one's hand. */
#include "sandbox_peer.h"

#include "aurabridge/aurabox.h"
#include "aurabridge/identifier.h"
#include "aurabridge/sandbox.h"

#include "suite.h"

#include <ftw.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#define START_MS INT64_C(1770000000000)

struct box {
    char directory[64];
    struct sandbox *sandbox;
    struct clock clock;
    _Atomic int64_t now_ms;
    uint16_t port;
    struct peer_answer answer;
};

static int64_t box_now(void *context)
{
    return atomic_load(&((struct box *)context)->now_ms);
}

static void box_open(struct box *box, const char *const *faults, size_t fault_count)
{
    struct error err = {""};
    (void)snprintf(box->directory, sizeof box->directory, "/tmp/sandbox-XXXXXX");
    CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(box->directory));
    atomic_store(&box->now_ms, START_MS);
    box->clock = (struct clock){.context = box, .wall_ms = box_now, .monotonic_ms = box_now};
    struct sandbox_options options = {.listen = "127.0.0.1:0",
                                      .directory = box->directory,
                                      .app_id = "app",
                                      .app_secret = "secret",
                                      .service_api_key = "key",
                                      .faults = faults,
                                      .fault_count = fault_count};
    CU_ASSERT_EQUAL_FATAL(sandbox_open(&box->sandbox, &options, &box->clock, &err), 0);
    box->port = sandbox_port(box->sandbox);
    CU_ASSERT_FATAL(box->port != 0);
    CU_ASSERT_EQUAL_FATAL(sandbox_start(box->sandbox, &err), 0);
}

static int remove_entry(const char *path, const struct stat *status, int type, struct FTW *where)
{
    (void)status;
    (void)type;
    (void)where;
    return remove(path);
}

static void box_close(struct box *box)
{
    sandbox_free(box->sandbox);
    CU_ASSERT_EQUAL(nftw(box->directory, remove_entry, 8, FTW_DEPTH | FTW_PHYS), 0);
}

/* Signs with the bridge's own signer, `off_s` seconds from the sandbox's clock. */
static int exchange(struct box *box, int64_t off_s, const char *nonce, const char *body)
{
    char url[128], head[2048];
    struct aurabox_signature signature;
    struct error err = {""};
    (void)snprintf(url, sizeof url, "http://127.0.0.1:%u/api/auth/exchange", box->port);
    struct aurabox_sign_request request = {.app_id = "app",
                                           .app_secret = "secret",
                                           .method = "POST",
                                           .url = url,
                                           .content_type = "application/json",
                                           .body = body,
                                           .body_length = strlen(body),
                                           .timestamp_s = box_now(box) / 1000 + off_s,
                                           .nonce = nonce};
    CU_ASSERT_EQUAL_FATAL(aurabox_sign(&signature, &request, &err), 0);
    (void)snprintf(head, sizeof head,
                   "POST /api/auth/exchange HTTP/1.1\r\nAccept: application/json\r\n"
                   "Content-Type: application/json\r\nX-Api-Key: key\r\n"
                   "X-Aura-Timestamp: %lld\r\nX-Aura-Nonce: %s\r\nAuthorization: %s\r\n",
                   (long long)request.timestamp_s, nonce, signature.authorization.data);
    aurabox_signature_free(&signature);
    peer_ask(&box->answer, box->port, head, body);
    return box->answer.status;
}

static int exchange_fresh(struct box *box, int64_t off_s, const char *body)
{
    char nonce[UUID_SIZE];
    CU_ASSERT_EQUAL_FATAL(uuid_v4(nonce), 0);
    return exchange(box, off_s, nonce, body);
}

static int config(struct box *box, const char *token)
{
    char head[512];
    (void)snprintf(head, sizeof head,
                   "GET /api/uploader/config HTTP/1.1\r\nAccept: application/json\r\n"
                   "X-Api-Key: key\r\nAuthorization: Bearer %s\r\n",
                   token);
    peer_ask(&box->answer, box->port, head, NULL);
    return box->answer.status;
}

#define TERMS "{\"ttl\":600,\"scopes\":[\"integration:read\"]}"

static void test_exchange__five_minutes_either_way(void)
{
    static const struct {
        int64_t off_s;
        int status;
    } rows[] = {{0, 200}, {-300, 200}, {300, 200}, {-301, 401}, {301, 401}, {86400, 401}};
    static struct box box;
    box_open(&box, NULL, 0);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        CU_ASSERT_EQUAL(exchange_fresh(&box, rows[i].off_s, TERMS), rows[i].status);
    box_close(&box);
}

static void test_exchange__nonce_is_remembered(void)
{
    static struct box box;
    char nonce[UUID_SIZE];
    box_open(&box, NULL, 0);
    CU_ASSERT_EQUAL_FATAL(uuid_v4(nonce), 0);
    CU_ASSERT_EQUAL(exchange(&box, 0, nonce, TERMS), 200);
    CU_ASSERT_EQUAL(exchange(&box, 0, nonce, TERMS), 401);
    atomic_fetch_add(&box.now_ms, 3600 * 1000);
    CU_ASSERT_EQUAL(exchange(&box, 0, nonce, TERMS), 401);
    box_close(&box);
}

static void test_exchange__expiry_as_told(void)
{
    static struct box box;
    char token[256], expires[64];
    int64_t expires_ms = 0;
    box_open(&box, NULL, 0);
    CU_ASSERT_EQUAL_FATAL(exchange_fresh(&box, 0, TERMS), 200);
    peer_member(token, sizeof token, &box.answer, "token");
    peer_member(expires, sizeof expires, &box.answer, "expires_at");
    CU_ASSERT_EQUAL(clock_parse_rfc3339(&expires_ms, expires), 0);
    CU_ASSERT_EQUAL(expires_ms, START_MS + 600 * 1000);
    CU_ASSERT_EQUAL(config(&box, token), 200);
    atomic_store(&box.now_ms, expires_ms - 1);
    CU_ASSERT_EQUAL(config(&box, token), 200);
    atomic_store(&box.now_ms, expires_ms);
    CU_ASSERT_EQUAL(config(&box, token), 401);
    box_close(&box);
}

static void test_limits__the_documented_ones(void)
{
    static struct box box;
    char token[256], retry_after[32];
    box_open(&box, NULL, 0);
    for (int i = 0; i < 10; i++)
        CU_ASSERT_EQUAL(exchange_fresh(&box, 0, TERMS), 200);
    peer_member(token, sizeof token, &box.answer, "token");
    atomic_fetch_add(&box.now_ms, 15000);
    CU_ASSERT_EQUAL(exchange_fresh(&box, 0, TERMS), 429);
    peer_header(retry_after, sizeof retry_after, &box.answer, "Retry-After");
    CU_ASSERT_STRING_EQUAL(retry_after, "45");
    for (int i = 0; i < 30; i++)
        CU_ASSERT_EQUAL(config(&box, token), 200);
    CU_ASSERT_EQUAL(config(&box, token), 429);
    atomic_store(&box.now_ms, START_MS + 60000);
    CU_ASSERT_EQUAL(exchange_fresh(&box, 0, TERMS), 200);
    CU_ASSERT_EQUAL(config(&box, token), 429);
    box_close(&box);
}

static void test_clock__skew_and_date(void)
{
    static const char *const faults[] = {"skew:+600"};
    static struct box box;
    char date[64];
    int64_t date_ms = 0;
    box_open(&box, faults, 1);
    CU_ASSERT_EQUAL(exchange_fresh(&box, 0, TERMS), 401);
    peer_header(date, sizeof date, &box.answer, "Date");
    CU_ASSERT_EQUAL(clock_parse_http_date(&date_ms, date), 0);
    CU_ASSERT_EQUAL(date_ms, START_MS + 600 * 1000);
    CU_ASSERT_EQUAL(exchange_fresh(&box, 600, TERMS), 200);
    box_close(&box);
}

static void test_open__refuses_what_it_cannot_do(void)
{
    static const struct {
        const char *listen, *directory, *fault, *word;
    } rows[] = {{"127.0.0.1", "/tmp", NULL, "ADDRESS:PORT"},
                {"nowhere:0", "/tmp", NULL, "nowhere:0"},
                {"127.0.0.1:0", "/proc/nothing", NULL, "/proc"},
                {"127.0.0.1:0", "/tmp", "GET:1000", "GET:1000"}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct sandbox *sandbox = NULL;
        struct error err = {""};
        struct sandbox_options options = {.listen = rows[i].listen,
                                          .directory = rows[i].directory,
                                          .app_id = "app",
                                          .app_secret = "secret",
                                          .service_api_key = "key",
                                          .faults = &rows[i].fault,
                                          .fault_count = rows[i].fault ? 1 : 0};
        CU_ASSERT_EQUAL(sandbox_open(&sandbox, &options, clock_system(), &err), -1);
        CU_ASSERT_PTR_NULL(sandbox);
        CU_ASSERT_PTR_NOT_NULL(strstr(err.text, rows[i].word));
    }
    sandbox_free(NULL);
}

static void test_stop__is_final(void)
{
    static struct box box;
    struct error err = {""};
    box_open(&box, NULL, 0);
    CU_ASSERT_EQUAL(config(&box, "none"), 401);
    CU_ASSERT_EQUAL(sandbox_start(box.sandbox, &err), -1);
    sandbox_stop(box.sandbox);
    sandbox_stop(box.sandbox);
    CU_ASSERT_EQUAL(sandbox_start(box.sandbox, &err), -1);
    box_close(&box);
}

static CU_TestInfo cases[] = {
    SUITE_CASE(test_exchange__five_minutes_either_way),
    SUITE_CASE(test_exchange__nonce_is_remembered),
    SUITE_CASE(test_exchange__expiry_as_told),
    SUITE_CASE(test_limits__the_documented_ones),
    SUITE_CASE(test_clock__skew_and_date),
    SUITE_CASE(test_open__refuses_what_it_cannot_do),
    SUITE_CASE(test_stop__is_final),
    CU_TEST_INFO_NULL,
};

SUITE_MAIN("sandbox", cases)
