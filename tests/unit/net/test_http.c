/* Calls against a scripted server: what goes over the wire, and each way in which a call fails. */
#include "aurabridge/clock.h"
#include "aurabridge/http.h"

#include "http_script.h"
#include "suite.h"

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

struct fixture {
    struct http_script *script;
    struct http_client *client;
    struct http_reply reply;
    struct error err;
    char url[128];
};

static void set_up(struct fixture *fixture, const struct http_script_step *steps)
{
    memset(fixture, 0, sizeof *fixture);
    fixture->script = http_script_start(steps, NULL);
    CU_ASSERT_PTR_NOT_NULL_FATAL(fixture->script);
    CU_ASSERT_EQUAL_FATAL(http_client_new(&fixture->client, "", &fixture->err), 0);
    http_reply_init(&fixture->reply);
    (void)snprintf(fixture->url, sizeof fixture->url, "http://127.0.0.1:%u/a/b?c=d",
                   http_script_port(fixture->script));
}

static void tear_down(struct fixture *fixture)
{
    http_reply_free(&fixture->reply);
    http_client_free(fixture->client);
    http_script_stop(fixture->script);
}

static struct http_request request_to(const struct fixture *fixture, const char *method)
{
    return (struct http_request){
        .method = method, .url = fixture->url, .timeout_ms = 10000, .max_reply = 1000};
}

static int call(struct fixture *fixture, const struct http_request *request)
{
    fixture->err.text[0] = '\0';
    return http_call(fixture->client, &fixture->reply, request, &fixture->err);
}

/* ---- what goes over the wire ---- */

static void test_methods(void)
{
    static const struct {
        const char *method, *body;
    } rows[] = {{"GET", NULL},    {"POST", "{}"},    {"POST", ""},
                {"HEAD", NULL},   {"PATCH", "xyz"},  {"OPTIONS", NULL},
                {"DELETE", NULL}, {"POST", "later"}, {"GET", NULL}};
    enum { ROWS = sizeof rows / sizeof rows[0] };
    struct http_script_step steps[ROWS + 1] = {{0}};
    struct fixture fixture;
    char value[128];
    for (size_t i = 0; i < ROWS; i++)
        steps[i] = (struct http_script_step){
            .status = 200, .body = strcmp(rows[i].method, "HEAD") == 0 ? NULL : "answer"};
    set_up(&fixture, steps);
    for (unsigned i = 0; i < ROWS; i++) {
        struct http_request request = request_to(&fixture, rows[i].method);
        request.body = rows[i].body;
        request.body_length = rows[i].body ? strlen(rows[i].body) : 0;
        request.headers[0] = (struct http_header){"X-Thing", "a value"};
        request.headers[1] = (struct http_header){"X-Empty", ""};
        CU_ASSERT_EQUAL(call(&fixture, &request), 0);
        CU_ASSERT_EQUAL(fixture.reply.status, 200);
        CU_ASSERT_STRING_EQUAL(fixture.reply.body.data, steps[i].body ? "answer" : "");
        const struct http_script_request *heard = http_script_request(fixture.script, i);
        CU_ASSERT_PTR_NOT_NULL_FATAL(heard);
        CU_ASSERT_STRING_EQUAL(heard->method, rows[i].method);
        CU_ASSERT_STRING_EQUAL(heard->target, "/a/b?c=d");
        CU_ASSERT_STRING_EQUAL(heard->body.data, rows[i].body ? rows[i].body : "");
        CU_ASSERT_STRING_EQUAL(http_script_header(heard, "X-Thing", value, sizeof value),
                               "a value");
        CU_ASSERT_STRING_EQUAL(http_script_header(heard, "Expect", value, sizeof value), "");
        CU_ASSERT_STRING_EQUAL(http_script_header(heard, "Content-Type", value, sizeof value), "");
        CU_ASSERT_PTR_NOT_NULL(strstr(heard->headers.data, "X-Empty:"));
        char length[24];
        (void)snprintf(length, sizeof length, "%zu", request.body_length);
        CU_ASSERT_STRING_EQUAL(http_script_header(heard, "Content-Length", value, sizeof value),
                               rows[i].body ? length : "");
        char host[64];
        CU_ASSERT_EQUAL(http_host_of(host, sizeof host, fixture.url), 0);
        CU_ASSERT_STRING_EQUAL(http_script_header(heard, "Host", value, sizeof value), host);
    }
    CU_ASSERT_EQUAL(http_script_connections(fixture.script), 1); /* kept all the while */
    tear_down(&fixture);
}

static struct http_request once_to(const struct fixture *fixture)
{
    struct http_request request = request_to(fixture, "POST");
    request.body = "{}";
    request.body_length = 2;
    request.once = true;
    return request;
}

/* The server heard it, and closed the kept connection without a word: nobody knows what it did. */
static void test_once_is_not_sent_again(void)
{
    const struct http_script_step steps[] = {
        {.status = 200}, {.raw = "", .ending = SCRIPT_CLOSE}, {.status = 200}, {.status = 0}};
    struct fixture fixture;
    set_up(&fixture, steps);
    struct http_request request = once_to(&fixture);
    CU_ASSERT_EQUAL(call(&fixture, &request), 0);
    CU_ASSERT_EQUAL(call(&fixture, &request), -1);
    CU_ASSERT_EQUAL(fixture.reply.failure, HTTP_UNREACHABLE);
    CU_ASSERT_TRUE(fixture.reply.sent);
    CU_ASSERT_PTR_NOT_NULL(strstr(fixture.err.text, "broke off"));
    CU_ASSERT_EQUAL(http_script_count(fixture.script), 2);
    CU_ASSERT_EQUAL(call(&fixture, &request), 0); /* when it is asked for */
    CU_ASSERT_EQUAL(http_script_count(fixture.script), 3);
    request.once = false;
    tear_down(&fixture);
}

/* Such calls share a connection, and one that was closed meanwhile is no obstacle. */
static void test_once_keeps_the_connection(void)
{
    const struct http_script_step steps[] = {{.status = 200},
                                             {.status = 404, .body = "no"},
                                             {.status = 200, .ending = SCRIPT_CLOSE},
                                             {.status = 200},
                                             {.status = 0}};
    struct fixture fixture;
    set_up(&fixture, steps);
    struct http_request request = once_to(&fixture);
    for (unsigned i = 0; i < 3; i++)
        CU_ASSERT_EQUAL(call(&fixture, &request), 0);
    CU_ASSERT_EQUAL(http_script_connections(fixture.script), 1);
    (void)usleep(50000); /* the end of the connection is on its way */
    CU_ASSERT_EQUAL(call(&fixture, &request), 0);
    CU_ASSERT_EQUAL(http_script_connections(fixture.script), 2);
    CU_ASSERT_EQUAL(http_script_count(fixture.script), 4);
    tear_down(&fixture);
}

static void test_headers_cannot_be_forged(void)
{
    const struct http_script_step steps[] = {{.status = 200}, {.status = 0}};
    struct fixture fixture;
    set_up(&fixture, steps);
    struct http_request request = request_to(&fixture, "GET");
    request.headers[0] = (struct http_header){"X-Thing", "a\r\nX-Other: b"};
    CU_ASSERT_EQUAL(call(&fixture, &request), -1);
    CU_ASSERT_EQUAL(fixture.reply.failure, HTTP_LOCAL);
    CU_ASSERT_FALSE(fixture.reply.sent);
    CU_ASSERT_EQUAL(http_script_count(fixture.script), 0);
    tear_down(&fixture);
}

/* Who knows an upload's URL may write to it: no word of it in a text. */
static void test_bad_url_is_not_told(void)
{
    static const char *const urls[] = {"http://127.0.0.1:99999/files/SECRET",
                                       "http://127.0.0.1:0/files/SECRET",
                                       "https://a,b/files/SECRET",
                                       "https:/SECRET",
                                       "https:///SECRET",
                                       "ftp://127.0.0.1/SECRET",
                                       "SECRET",
                                       "https://SECRET@/",
                                       "https://127.0.0.1/a b/SECRET"};
    const struct http_script_step steps[] = {{.status = 0}};
    struct fixture fixture;
    set_up(&fixture, steps);
    for (size_t i = 0; i < sizeof urls / sizeof *urls; i++) {
        struct http_request request = request_to(&fixture, "HEAD");
        request.url = urls[i];
        CU_ASSERT_EQUAL(call(&fixture, &request), -1);
        CU_ASSERT_EQUAL(fixture.reply.failure, HTTP_LOCAL);
        CU_ASSERT_FALSE(fixture.reply.sent);
        CU_ASSERT_PTR_NOT_NULL(strstr(fixture.err.text, "with a host and a port"));
        CU_ASSERT_PTR_NULL(strstr(fixture.err.text, "SECRET"));
    }
    tear_down(&fixture);
}

/* ---- uploads ---- */

struct source {
    uint64_t length, fails_at;
    uint64_t seen; /* by progress */
    unsigned backwards;
    uint64_t last;
};

static unsigned char byte_at(uint64_t offset)
{
    return (unsigned char)((offset * UINT64_C(2654435761)) >> 11);
}

static int read_source(void *context, uint64_t offset, void *bytes, size_t length, size_t *got,
                       struct error *err)
{
    struct source *source = context;
    if (source->fails_at && offset + length > source->fails_at)
        return error_set(err, "the disk is gone");
    if (offset < source->last)
        source->backwards++;
    source->last = offset;
    *got = length;
    for (size_t i = 0; i < length; i++)
        ((unsigned char *)bytes)[i] = byte_at(offset + i);
    return 0;
}

static void note_progress(void *context, uint64_t sent)
{
    ((struct source *)context)->seen = sent;
}

static void check_body(const struct http_script_request *heard, uint64_t length)
{
    CU_ASSERT_PTR_NOT_NULL_FATAL(heard);
    CU_ASSERT_EQUAL_FATAL(heard->body.length, length);
    size_t wrong = 0;
    for (size_t i = 0; i < length; i++)
        wrong += (unsigned char)heard->body.data[i] != byte_at(i);
    CU_ASSERT_EQUAL(wrong, 0);
}

static void test_upload(void)
{
    const struct http_script_step steps[] = {{.status = 204}, {.status = 0}};
    struct source source = {.length = 5000001};
    const struct http_upload upload = {.length = source.length,
                                       .context = &source,
                                       .read = read_source,
                                       .progress = note_progress};
    struct fixture fixture;
    set_up(&fixture, steps);
    struct http_request request = request_to(&fixture, "PATCH");
    request.upload = &upload;
    CU_ASSERT_EQUAL(call(&fixture, &request), 0);
    CU_ASSERT_EQUAL(fixture.reply.status, 204);
    check_body(http_script_request(fixture.script, 0), source.length);
    CU_ASSERT_EQUAL(source.seen, source.length);
    tear_down(&fixture);
}

/* A kept connection that died while the body was on its way: libcurl starts over, with a seek. */
static void test_upload_starts_over_on_a_dead_connection(void)
{
    const struct http_script_step steps[] = {{.status = 200, .ending = SCRIPT_KEEP},
                                             {.raw = "", .ending = SCRIPT_CLOSE},
                                             {.status = 204},
                                             {.status = 0}};
    struct source source = {.length = 3000000};
    const struct http_upload upload = {
        .length = source.length, .context = &source, .read = read_source};
    struct fixture fixture;
    set_up(&fixture, steps);
    struct http_request request = request_to(&fixture, "GET");
    CU_ASSERT_EQUAL(call(&fixture, &request), 0);
    request.method = "PATCH";
    request.upload = &upload;
    CU_ASSERT_EQUAL(call(&fixture, &request), 0);
    CU_ASSERT_EQUAL(fixture.reply.status, 204);
    CU_ASSERT(source.backwards > 0);
    check_body(http_script_request(fixture.script, 2), source.length);
    tear_down(&fixture);
}

static void test_upload_whose_source_fails(void)
{
    const struct http_script_step steps[] = {{.status = 204}, {.status = 0}};
    struct source source = {.length = 50000000, .fails_at = 3000000};
    const struct http_upload upload = {
        .length = source.length, .context = &source, .read = read_source};
    struct fixture fixture;
    set_up(&fixture, steps);
    struct http_request request = request_to(&fixture, "PATCH");
    request.upload = &upload;
    CU_ASSERT_EQUAL(call(&fixture, &request), -1);
    CU_ASSERT_EQUAL(fixture.reply.failure, HTTP_READ_FAILED);
    CU_ASSERT_PTR_NOT_NULL(strstr(fixture.err.text, "the disk is gone"));
    tear_down(&fixture);
}

static void test_upload_that_stalls(void)
{
    const struct http_script_step steps[] = {{.raw = "", .ending = SCRIPT_HANG, .body_taken = 1},
                                             {.status = 0}};
    struct source source = {.length = 1000};
    const struct http_upload upload = {
        .length = source.length, .context = &source, .read = read_source};
    struct fixture fixture;
    set_up(&fixture, steps);
    struct http_request request = request_to(&fixture, "PATCH");
    request.upload = &upload;
    request.timeout_ms = 300;
    CU_ASSERT_EQUAL(call(&fixture, &request), -1);
    CU_ASSERT_EQUAL(fixture.reply.failure, HTTP_TIMEOUT);
    CU_ASSERT_TRUE(fixture.reply.sent);
    CU_ASSERT_PTR_NOT_NULL(strstr(fixture.err.text, "no progress"));
    tear_down(&fixture);
}

/* All is sent; what comes back never ends, too slowly to break max_reply. */
static void test_upload_whose_answer_never_ends(void)
{
    static const struct http_script_step endings[] = {
        {.status = 200, .body = "x", .ending = SCRIPT_DRIP},
        {.raw = "HTTP/1.1 204 No Content\r\n", .body = "X-A: b\r\n", .ending = SCRIPT_DRIP},
        {.raw = "", .body = "HTTP/1.1 100 Continue\r\n\r\n", .ending = SCRIPT_DRIP},
    };
    for (size_t i = 0; i < sizeof endings / sizeof endings[0]; i++) {
        const struct http_script_step steps[] = {endings[i], {.status = 0}};
        struct source source = {.length = 100000};
        const struct http_upload upload = {
            .length = source.length, .context = &source, .read = read_source};
        struct fixture fixture;
        set_up(&fixture, steps);
        struct http_request request = request_to(&fixture, "PATCH");
        request.upload = &upload;
        request.timeout_ms = 1000;
        int64_t before_ms = clock_monotonic_ms(clock_system());
        CU_ASSERT_EQUAL(call(&fixture, &request), -1);
        int64_t took_ms = clock_monotonic_ms(clock_system()) - before_ms;
        CU_ASSERT(took_ms >= 1000 && took_ms < 10000);
        CU_ASSERT_EQUAL(fixture.reply.failure, HTTP_TIMEOUT);
        tear_down(&fixture);
    }
}

/* A slow line: what the kernel would take at once is many timeouts' worth of it. */
static void test_upload_over_a_slow_line(void)
{
    const struct http_script_step steps[] = {{.status = 204, .body_rate = 1500000}, {.status = 0}};
    struct source source = {.length = 6000000};
    const struct http_upload upload = {
        .length = source.length, .context = &source, .read = read_source};
    struct fixture fixture;
    set_up(&fixture, steps);
    struct http_request request = request_to(&fixture, "PATCH");
    request.upload = &upload;
    request.timeout_ms = 1000;
    CU_ASSERT_EQUAL(call(&fixture, &request), 0);
    CU_ASSERT_EQUAL(fixture.reply.status, 204);
    tear_down(&fixture);
}

/* ---- a body that is paced by the caller ---- */

struct pace {
    struct source source; /* first: what reads gets this */
    unsigned asked;
    int64_t waits_ms; /* each time */
    size_t most;      /* bytes at a time */
    unsigned ends_at; /* which question ends the call; 0: none */
};

static size_t admit_slowly(void *context, size_t wanted)
{
    struct pace *pace = context;
    if (++pace->asked == pace->ends_at)
        return 0;
    (void)usleep((useconds_t)pace->waits_ms * 1000);
    return wanted < pace->most ? wanted : pace->most;
}

static void send_paced(struct pace *pace, struct fixture *fixture, int64_t timeout_ms, int result)
{
    const struct http_upload upload = {
        .length = pace->source.length, .context = pace, .read = read_source, .admit = admit_slowly};
    struct http_request request = request_to(fixture, "PATCH");
    request.upload = &upload;
    request.timeout_ms = timeout_ms;
    CU_ASSERT_EQUAL(call(fixture, &request), result);
}

/* Each wait is longer than the call may stand still, and longer than its body takes to arrive. */
static void test_pace_is_no_standing_still(void)
{
    const struct http_script_step steps[] = {{.status = 204}, {.status = 0}};
    struct pace pace = {.source = {.length = 3000}, .waits_ms = 250, .most = 500};
    struct fixture fixture;
    set_up(&fixture, steps);
    send_paced(&pace, &fixture, 200, 0);
    CU_ASSERT_EQUAL(fixture.reply.status, 204);
    CU_ASSERT_EQUAL(pace.asked, 6);
    check_body(http_script_request(fixture.script, 0), 3000);
    tear_down(&fixture);
}

static void test_pace_ends_the_call(void)
{
    const struct http_script_step steps[] = {{.status = 204}, {.status = 0}};
    struct pace pace = {.source = {.length = 3000}, .most = 500, .ends_at = 3};
    struct fixture fixture;
    set_up(&fixture, steps);
    send_paced(&pace, &fixture, 10000, -1);
    CU_ASSERT_EQUAL(fixture.reply.failure, HTTP_CANCELLED);
    CU_ASSERT_EQUAL(pace.asked, 3);
    tear_down(&fixture);
}

/* Whatever is asked in between, and however large: one connection. No chunk waits for a 100
 * Continue. */
static void test_one_connection_for_all(void)
{
    enum { CALLS = 12 };
    static const char *const methods[] = {"OPTIONS", "POST", "PATCH", "HEAD", "PATCH", "POST"};
    struct http_script_step steps[CALLS + 1] = {{0}};
    struct source source = {.length = 700000};
    const struct http_upload upload = {
        .length = source.length, .context = &source, .read = read_source};
    struct fixture fixture;
    for (unsigned i = 0; i < CALLS; i++)
        steps[i] = (struct http_script_step){.status = i == 5 ? 404 : 204};
    set_up(&fixture, steps);
    for (unsigned i = 0; i < CALLS; i++) {
        struct http_request request = request_to(&fixture, methods[i % 6]);
        char value[16];
        if (strcmp(request.method, "PATCH") == 0)
            request.upload = &upload;
        else if (strcmp(request.method, "POST") == 0)
            request.body = "";
        CU_ASSERT_EQUAL(call(&fixture, &request), 0);
        const struct http_script_request *heard = http_script_request(fixture.script, i);
        CU_ASSERT_PTR_NOT_NULL_FATAL(heard);
        CU_ASSERT_EQUAL(heard->connection, 0);
        CU_ASSERT_STRING_EQUAL(http_script_header(heard, "Expect", value, sizeof value), "");
    }
    CU_ASSERT_EQUAL(http_script_connections(fixture.script), 1);
    tear_down(&fixture);
}

static void test_upload_that_is_refused_early(void)
{
    const struct http_script_step steps[] = {
        {.status = 413, .ending = SCRIPT_HANG, .body_taken = 1000}, {.status = 0}};
    struct source source = {.length = 50000000};
    const struct http_upload upload = {
        .length = source.length, .context = &source, .read = read_source};
    struct fixture fixture;
    set_up(&fixture, steps);
    struct http_request request = request_to(&fixture, "PATCH");
    request.upload = &upload;
    CU_ASSERT_EQUAL(call(&fixture, &request), 0);
    CU_ASSERT_EQUAL(fixture.reply.status, 413);
    tear_down(&fixture);
}

/* ---- bad days ---- */

struct failure_case {
    const char *name;
    struct http_script_step step;
    int64_t timeout_ms;
    enum http_failure failure;
    const char *words; /* in the text, beside the origin */
};

#define HUNDRED                                                                                    \
    "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx" \
    "xxxxxxxx"
#define HEADER_1K                                                                                  \
    "X-A: " HUNDRED HUNDRED HUNDRED HUNDRED HUNDRED HUNDRED HUNDRED HUNDRED HUNDRED HUNDRED "\r\n"

#define BROKE_OFF "broke off"
#define TOO_LONG  "longer than the 1000 bytes"
static const struct failure_case failure_cases[] = {
    {"no answer", {.raw = "", .ending = SCRIPT_HANG}, 300, HTTP_TIMEOUT, "took the call"},
    {"closed without a word",
     {.raw = "", .ending = SCRIPT_CLOSE},
     10000,
     HTTP_UNREACHABLE,
     BROKE_OFF},
    {"reset without a word",
     {.raw = "", .ending = SCRIPT_RESET},
     10000,
     HTTP_UNREACHABLE,
     BROKE_OFF},
    {"closed in the first line",
     {.raw = "HTTP/1.1 20", .ending = SCRIPT_CLOSE},
     10000,
     HTTP_UNREACHABLE,
     BROKE_OFF},
    {"closed after the first line",
     {.raw = "HTTP/1.1 200 OK\r\n", .ending = SCRIPT_CLOSE},
     10000,
     HTTP_UNREACHABLE,
     "broke off in its header"},
    {"closed in the header",
     {.raw = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nDate: Tue, 24", .ending = SCRIPT_CLOSE},
     10000,
     HTTP_UNREACHABLE,
     "broke off in its header"},
    {"stuck in the header",
     {.raw = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n", .ending = SCRIPT_HANG},
     300,
     HTTP_TIMEOUT,
     "no answer within 300 ms"},
    {"closed in the body",
     {.raw = "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nabc", .ending = SCRIPT_CLOSE},
     10000,
     HTTP_UNREACHABLE,
     BROKE_OFF},
    {"reset in the body",
     {.raw = "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nabc", .ending = SCRIPT_RESET},
     10000,
     HTTP_UNREACHABLE,
     BROKE_OFF},
    {"closed in a chunk",
     {.raw = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab",
      .ending = SCRIPT_CLOSE},
     10000,
     HTTP_UNREACHABLE,
     BROKE_OFF},
    {"stuck in the body",
     {.raw = "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nabc", .ending = SCRIPT_HANG},
     300,
     HTTP_TIMEOUT,
     "no answer within 300 ms"},
    {"a body in drops",
     {.status = 200, .body = "x", .ending = SCRIPT_DRIP},
     300,
     HTTP_TIMEOUT,
     "no answer within 300 ms"},
    {"endless body",
     {.status = 200, .body = HUNDRED, .ending = SCRIPT_ENDLESS},
     10000,
     HTTP_TOO_LARGE,
     TOO_LONG},
    {"endless header lines",
     {.raw = "HTTP/1.1 200 OK\r\n", .body = HEADER_1K, .ending = SCRIPT_ENDLESS},
     10000,
     HTTP_TOO_LARGE,
     TOO_LONG},
    {"endless interim responses",
     {.raw = "HTTP/1.1 100 Continue\r\n\r\n",
      .body = "HTTP/1.1 100 Continue\r\nX: " HUNDRED "\r\n\r\n",
      .ending = SCRIPT_ENDLESS},
     10000,
     HTTP_TOO_LARGE,
     TOO_LONG},
    {"announced too long",
     {.raw = "HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n",
      .body = HUNDRED,
      .ending = SCRIPT_ENDLESS},
     10000,
     HTTP_TOO_LARGE,
     TOO_LONG},
    {"no HTTP",
     {.raw = "220 mail.example.com ESMTP\r\n", .ending = SCRIPT_CLOSE},
     10000,
     HTTP_UNREACHABLE,
     "is no HTTP server"},
};

static void test_failures(void)
{
    for (size_t i = 0; i < sizeof failure_cases / sizeof failure_cases[0]; i++) {
        const struct failure_case *row = &failure_cases[i];
        const struct http_script_step steps[] = {row->step, {.status = 0}};
        struct fixture fixture;
        set_up(&fixture, steps);
        struct http_request request = request_to(&fixture, "GET");
        request.timeout_ms = row->timeout_ms;
        int result = call(&fixture, &request);
        bool good = result == -1 && fixture.reply.failure == row->failure && fixture.reply.sent &&
                    strstr(fixture.err.text, "http://127.0.0.1:") &&
                    strstr(fixture.err.text, row->words) && !strstr(fixture.err.text, "c=d");
        if (!good)
            printf("\n%s: %d, failure %d, %s\n", row->name, result, (int)fixture.reply.failure,
                   fixture.err.text);
        CU_ASSERT(good);
        tear_down(&fixture);
    }
}

static void test_refused_connection(void)
{
    const struct http_script_step steps[] = {{.status = 200}, {.status = 0}};
    struct fixture fixture;
    set_up(&fixture, steps);
    struct http_request request = request_to(&fixture, "GET");
    http_script_stop(fixture.script);
    fixture.script = NULL;
    CU_ASSERT_EQUAL(call(&fixture, &request), -1);
    CU_ASSERT_EQUAL(fixture.reply.failure, HTTP_UNREACHABLE);
    CU_ASSERT_FALSE(fixture.reply.sent);
    CU_ASSERT_EQUAL(fixture.reply.status, 0);
    CU_ASSERT_PTR_NOT_NULL(strstr(fixture.err.text, "connecting to http://127.0.0.1"));
    CU_ASSERT_PTR_NOT_NULL(strstr(fixture.err.text, "firewall"));
    tear_down(&fixture);
}

static void test_bad_urls(void)
{
    static const char *const urls[] = {"", "nothing", "ftp://127.0.0.1/", "file:///etc/passwd",
                                       "http://:80/"};
    const struct http_script_step steps[] = {{.status = 200}, {.status = 0}};
    struct fixture fixture;
    set_up(&fixture, steps);
    for (size_t i = 0; i < sizeof urls / sizeof urls[0]; i++) {
        struct http_request request = request_to(&fixture, "GET");
        request.url = urls[i];
        CU_ASSERT_EQUAL(call(&fixture, &request), -1);
        CU_ASSERT_EQUAL(fixture.reply.failure, HTTP_LOCAL);
        CU_ASSERT_FALSE(fixture.reply.sent);
    }
    tear_down(&fixture);
}

static void test_follows_no_redirect(void)
{
    const struct http_script_step steps[] = {{.status = 302, .headers = "Location: /elsewhere\r\n"},
                                             {.status = 0}};
    struct fixture fixture;
    set_up(&fixture, steps);
    struct http_request request = request_to(&fixture, "GET");
    CU_ASSERT_EQUAL(call(&fixture, &request), 0);
    CU_ASSERT_EQUAL(fixture.reply.status, 302);
    CU_ASSERT_EQUAL(http_script_count(fixture.script), 1);
    tear_down(&fixture);
}

static bool is_cancelled(void *context)
{
    return atomic_load((atomic_bool *)context);
}

static void cancel_now(void *context)
{
    atomic_store((atomic_bool *)context, true);
}

static void test_cancel(void)
{
    atomic_bool cancelled = false;
    const struct http_script_step steps[] = {
        {.raw = "", .ending = SCRIPT_HANG, .before = cancel_now, .context = &cancelled},
        {.status = 0}};
    struct fixture fixture;
    set_up(&fixture, steps);
    struct http_request request = request_to(&fixture, "GET");
    request.timeout_ms = 60000;
    request.cancelled = is_cancelled;
    request.cancel_context = &cancelled;
    int64_t before_ms = clock_monotonic_ms(clock_system());
    CU_ASSERT_EQUAL(call(&fixture, &request), -1);
    CU_ASSERT(clock_monotonic_ms(clock_system()) - before_ms < 5000);
    CU_ASSERT_EQUAL(fixture.reply.failure, HTTP_CANCELLED);
    CU_ASSERT_TRUE(fixture.reply.sent);
    tear_down(&fixture);
}

static void test_body_up_to_the_limit(void)
{
    const struct http_script_step steps[] = {
        {.status = 200, .body = HUNDRED}, {.status = 200, .body = HUNDRED "x"}, {.status = 0}};
    struct fixture fixture;
    set_up(&fixture, steps);
    struct http_request request = request_to(&fixture, "GET");
    request.max_reply = 100;
    CU_ASSERT_EQUAL(call(&fixture, &request), 0);
    CU_ASSERT_EQUAL(fixture.reply.body.length, 100);
    CU_ASSERT_EQUAL(call(&fixture, &request), -1);
    CU_ASSERT_EQUAL(fixture.reply.failure, HTTP_TOO_LARGE);
    tear_down(&fixture);
}

/* ---- headers of the reply ---- */

#define DATE "Date: Tue, 24 Nov 2026 10:00:00 GMT\r\n"
static const struct {
    const char *headers;
    int64_t date_ms, retry_after_ms;
} time_cases[] = {
    {"", 0, -1},
    {DATE, 1795514400000, -1},
    {"Date: yesterday\r\n", 0, -1},
    {"Retry-After: 7\r\n", 0, 7000},
    {"retry-after:   0  \r\n", 0, 0},
    {DATE "Retry-After: Tue, 24 Nov 2026 10:01:30 GMT\r\n", 1795514400000, 90000},
    {DATE "Retry-After: Tue, 24 Nov 2026 09:00:00 GMT\r\n", 1795514400000, 0},
    {"Retry-After: soon\r\n", 0, -1},
    {"Retry-After: -5\r\n", 0, -1},
    {"Retry-After:\r\n", 0, -1},
    {"Retry-After: 99999999999999999999999999\r\n", 0, 86400000LL * 365},
};

static void test_times(void)
{
    enum { ROWS = sizeof time_cases / sizeof time_cases[0] };
    struct http_script_step steps[ROWS + 1] = {{0}};
    struct fixture fixture;
    for (size_t i = 0; i < ROWS; i++)
        steps[i] = (struct http_script_step){.status = 429, .headers = time_cases[i].headers};
    set_up(&fixture, steps);
    for (size_t i = 0; i < ROWS; i++) {
        struct http_request request = request_to(&fixture, "GET");
        CU_ASSERT_EQUAL(call(&fixture, &request), 0);
        bool good = fixture.reply.date_ms == time_cases[i].date_ms &&
                    fixture.reply.retry_after_ms == time_cases[i].retry_after_ms;
        if (!good)
            printf("\n%s: %lld %lld\n", time_cases[i].headers, (long long)fixture.reply.date_ms,
                   (long long)fixture.reply.retry_after_ms);
        CU_ASSERT(good);
    }
    tear_down(&fixture);
}

static void test_reply_header(void)
{
    const struct http_script_step steps[] = {
        {.raw = "HTTP/1.1 100 Continue\r\nUpload-Offset: 1\r\n\r\nHTTP/1.1 200 OK\r\n"
                "upload-offset:\t 42 \r\nUpload-Offset-Other: 3\r\nEmpty:\r\n"
                "Content-Length: 0\r\n\r\n"},
        {.status = 0}};
    struct fixture fixture;
    char value[8];
    set_up(&fixture, steps);
    struct http_request request = request_to(&fixture, "GET");
    CU_ASSERT_EQUAL(call(&fixture, &request), 0);
    CU_ASSERT_EQUAL(http_reply_header(&fixture.reply, "Upload-Offset", value, sizeof value), 0);
    CU_ASSERT_STRING_EQUAL(value, "42");
    CU_ASSERT_EQUAL(http_reply_header(&fixture.reply, "Empty", value, sizeof value), 0);
    CU_ASSERT_STRING_EQUAL(value, "");
    CU_ASSERT_EQUAL(http_reply_header(&fixture.reply, "Upload", value, sizeof value), -1);
    CU_ASSERT_EQUAL(http_reply_header(&fixture.reply, "Upload-Offset", value, 2), -1);
    tear_down(&fixture);
}

/* ---- proxies ---- */

static void test_proxy_of_the_environment(void)
{
    const struct http_script_step steps[] = {{.status = 200, .body = "by proxy"}, {.status = 0}};
    struct fixture fixture;
    char proxy[64];
    set_up(&fixture, steps);
    (void)snprintf(proxy, sizeof proxy, "http://127.0.0.1:%u", http_script_port(fixture.script));
    CU_ASSERT_EQUAL(setenv("http_proxy", proxy, 1), 0);
    struct http_request request = request_to(&fixture, "GET");
    request.url = "http://aurabox.invalid/api/x";
    CU_ASSERT_EQUAL(call(&fixture, &request), 0);
    CU_ASSERT_STRING_EQUAL(fixture.reply.body.data, "by proxy");
    const struct http_script_request *heard = http_script_request(fixture.script, 0);
    CU_ASSERT_PTR_NOT_NULL_FATAL(heard);
    CU_ASSERT_STRING_EQUAL(heard->target, "http://aurabox.invalid/api/x");
    CU_ASSERT_EQUAL(setenv("no_proxy", "aurabox.invalid", 1), 0);
    CU_ASSERT_EQUAL(call(&fixture, &request), -1); /* nobody has that name */
    CU_ASSERT_EQUAL(http_script_count(fixture.script), 1);
    CU_ASSERT_EQUAL(unsetenv("no_proxy"), 0);
    CU_ASSERT_EQUAL(unsetenv("http_proxy"), 0);
    tear_down(&fixture);
}

/* What stands between us and the server may refuse: then nothing of the call has left. */
static void test_proxy_that_refuses_the_way(void)
{
    static const struct {
        struct http_script_step step;
        enum http_failure failure;
        const char *words;
    } rows[] = {
        {{.status = 407}, HTTP_UNREACHABLE, "it wants credentials; check HTTPS_PROXY"},
        {{.status = 403, .body = "no"}, HTTP_UNREACHABLE, "what the proxy lets through"},
        {{.status = 502}, HTTP_UNREACHABLE, "the proxy refuses the way to https://aurabox.invalid"},
        {{.raw = "", .ending = SCRIPT_CLOSE}, HTTP_UNREACHABLE, "the proxy (HTTPS_PROXY)"},
        {{.raw = "", .ending = SCRIPT_HANG}, HTTP_TIMEOUT, "the proxy (HTTPS_PROXY)"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const struct http_script_step steps[] = {rows[i].step, {.status = 0}};
        struct fixture fixture;
        char proxy[64];
        set_up(&fixture, steps);
        (void)snprintf(proxy, sizeof proxy, "http://127.0.0.1:%u",
                       http_script_port(fixture.script));
        CU_ASSERT_EQUAL(setenv("https_proxy", proxy, 1), 0);
        struct http_request request = request_to(&fixture, "GET");
        request.url = "https://aurabox.invalid/api/x";
        request.timeout_ms = 1000;
        CU_ASSERT_EQUAL(call(&fixture, &request), -1);
        CU_ASSERT_EQUAL(fixture.reply.failure, rows[i].failure);
        CU_ASSERT_FALSE(fixture.reply.sent);
        CU_ASSERT_PTR_NOT_NULL(strstr(fixture.err.text, rows[i].words));
        CU_ASSERT_EQUAL(unsetenv("https_proxy"), 0);
        tear_down(&fixture);
    }
}

static CU_TestInfo cases[] = {SUITE_CASE(test_methods),
                              SUITE_CASE(test_once_is_not_sent_again),
                              SUITE_CASE(test_once_keeps_the_connection),
                              SUITE_CASE(test_headers_cannot_be_forged),
                              SUITE_CASE(test_bad_url_is_not_told),
                              SUITE_CASE(test_upload),
                              SUITE_CASE(test_upload_starts_over_on_a_dead_connection),
                              SUITE_CASE(test_upload_whose_source_fails),
                              SUITE_CASE(test_upload_that_stalls),
                              SUITE_CASE(test_upload_whose_answer_never_ends),
                              SUITE_CASE(test_upload_over_a_slow_line),
                              SUITE_CASE(test_pace_is_no_standing_still),
                              SUITE_CASE(test_pace_ends_the_call),
                              SUITE_CASE(test_one_connection_for_all),
                              SUITE_CASE(test_upload_that_is_refused_early),
                              SUITE_CASE(test_failures),
                              SUITE_CASE(test_refused_connection),
                              SUITE_CASE(test_bad_urls),
                              SUITE_CASE(test_follows_no_redirect),
                              SUITE_CASE(test_cancel),
                              SUITE_CASE(test_body_up_to_the_limit),
                              SUITE_CASE(test_times),
                              SUITE_CASE(test_reply_header),
                              SUITE_CASE(test_proxy_of_the_environment),
                              SUITE_CASE(test_proxy_that_refuses_the_way),
                              CU_TEST_INFO_NULL};

int main(void)
{
    struct error err;
    if (http_global_init(&err) != 0)
        return EXIT_FAILURE;
    int status = suite_run("net", cases);
    http_global_cleanup();
    return status;
}
