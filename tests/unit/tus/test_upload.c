/* The driver against a scripted server: each case is a script and what must be the outcome. */
#include "aurabridge/clock.h"
#include "scripts.h"
#include "upload.h"

#include "suite.h"

#include <stdio.h>
#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof *(array))
/* ---- the caller's side ---- */

struct journal {
    unsigned records;
    bool url_before_bytes; /* the first record came before any byte was read */
    char url[LEDGER_URL_SIZE];
    uint64_t offset;
    unsigned fails_at;       /* which record fails; 0: none */
    unsigned cancel_at;      /* cancelled once that many requests were made; 0: never */
    unsigned cancel_at_poll; /* cancelled from that question on; 0: never */
    unsigned polls;
    struct http_client *client;
    uint64_t progress;
    bool unreadable;
};

static int record(void *context, const char *url, uint64_t offset)
{
    struct journal *journal = context;
    if (++journal->records == 1)
        journal->url_before_bytes = journal->client->served == 0;
    (void)snprintf(journal->url, sizeof journal->url, "%s", url);
    journal->offset = offset;
    return journal->records == journal->fails_at ? -1 : 0;
}

static bool is_cancelled(void *context)
{
    struct journal *journal = context;
    journal->polls++;
    return (journal->cancel_at != 0 && journal->client->asked >= journal->cancel_at) ||
           (journal->cancel_at_poll != 0 && journal->polls >= journal->cancel_at_poll);
}

static int read_pattern(void *context, uint64_t offset, void *bytes, size_t length, size_t *got,
                        struct error *err)
{
    const struct journal *journal = context;
    unsigned char *out = bytes;
    if (journal->unreadable)
        return error_set(err, "cannot read 1.2.3.dcm");
    for (size_t i = 0; i < length; i++)
        out[i] = fake_byte(offset + i);
    *got = length;
    return 0;
}

static void note_progress(void *context, uint64_t sent)
{
    struct journal *journal = context;
    journal->progress = sent;
}

static const struct tus_metadata metadata[] = {
    {"upload_id", "u-1"}, {"bucket", "b"}, {"empty", ""}, {NULL, NULL}};

static void set_up(struct tus_upload *upload, struct http_client *client, struct journal *journal,
                   const struct fake_step *steps)
{
    *client = (struct http_client){.steps = steps};
    *journal = (struct journal){.client = client};
    *upload = (struct tus_upload){
        .http = client,
        .endpoint = ENDPOINT,
        .lift_token = "secret-lift-token",
        .metadata = metadata,
        .length = 100,
        .chunk_size = 40,
        .timeout_ms = 1000,
        .body = {.context = journal, .read = read_pattern, .progress = note_progress},
        .recorded = record,
        .record_context = journal,
        .cancelled = is_cancelled,
        .cancel_context = journal};
}

static void check_script(const char *name, const struct http_client *client, unsigned expected)
{
    if (client->surprises != 0 || client->asked != expected)
        (void)printf("\n%s: %u requests instead of %u; %s\n", name, client->asked, expected,
                     client->surprise);
    CU_ASSERT_EQUAL(client->surprises, 0);
    CU_ASSERT_EQUAL(client->asked, expected);
}

/* ---- scripts ---- */

static void run_script(const struct script *script)
{
    struct tus_upload upload;
    struct http_client client;
    struct journal journal;
    unsigned steps = 0;
    while (steps < STEPS_MAX && script->steps[steps].method != NULL)
        steps++;
    set_up(&upload, &client, &journal, script->steps);
    (void)snprintf(upload.url, sizeof upload.url, "%s", script->url);
    upload.offset = script->offset;
    upload.token_renewed = script->renewed;
    if (script->length != 0)
        upload.length = script->length;
    if (script->chunk != 0)
        upload.chunk_size = script->chunk;
    uint64_t chunk = script->chunk_after != 0 ? script->chunk_after : upload.chunk_size;

    enum tus_outcome outcome = tus_upload_drive(&upload, 0);

    if (outcome != script->outcome)
        (void)printf("\n%s: outcome %d: %s\n", script->name, (int)outcome, upload.text);
    CU_ASSERT_EQUAL(outcome, script->outcome);
    check_script(script->name, &client, steps);
    CU_ASSERT_STRING_EQUAL(upload.url, script->url_after);
    CU_ASSERT_EQUAL(upload.offset, script->offset_after);
    CU_ASSERT_EQUAL(upload.progressed, script->news == PROGRESS);
    CU_ASSERT_EQUAL(upload.lost, script->news == LOST);
    CU_ASSERT_EQUAL(upload.refused, script->news == REFUSED);
    CU_ASSERT_EQUAL(upload.retry_after_ms, script->retry_after_ms);
    CU_ASSERT_EQUAL(upload.chunk_size, chunk);
    CU_ASSERT((outcome == TUS_DONE) == (upload.text[0] == '\0'));
    CU_ASSERT_PTR_NULL(strstr(upload.text, "secret"));
    if (outcome == TUS_DONE && journal.records > 0) {
        CU_ASSERT_EQUAL(journal.offset, upload.length);
        CU_ASSERT_STRING_EQUAL(journal.url, URL);
    }
    if (script->url[0] == '\0' && upload.url[0] != '\0')
        CU_ASSERT(journal.url_before_bytes);
}

static void test_scripts(void)
{
    for (size_t i = 0; i < script_count; i++)
        run_script(&scripts[i]);
}

/* ---- what does not fit in a row ---- */

static void test_metadata(void)
{
    static const struct fake_step steps[] = {OPTIONS, CREATE, PATCH(0, 40, 401, TUS), {0}};
    struct tus_upload upload;
    struct http_client client;
    struct journal journal;
    set_up(&upload, &client, &journal, steps);
    CU_ASSERT_EQUAL(tus_upload_drive(&upload, 0), TUS_RENEW_TOKEN);
    CU_ASSERT_STRING_EQUAL(client.metadata, "upload_id dS0x,bucket Yg==,empty");
    CU_ASSERT_STRING_EQUAL(client.url, URL);
    CU_ASSERT_EQUAL(journal.records, 1);
    CU_ASSERT_EQUAL(journal.offset, 0);
}

static void test_override_header(void)
{
    static const struct fake_step steps[] = {
        HEAD(200, AT(60)), PATCH(60, 40, 405, ""), {"POST", 60, 40, HTTP_OK, 204, AT(100), 0}, {0}};
    struct tus_upload upload;
    struct http_client client;
    struct journal journal;
    set_up(&upload, &client, &journal, steps);
    (void)snprintf(upload.url, sizeof upload.url, "%s", URL);
    CU_ASSERT_EQUAL(tus_upload_drive(&upload, 0), TUS_DONE);
    CU_ASSERT_STRING_EQUAL(client.override_method, "PATCH");
    CU_ASSERT_EQUAL(journal.progress, 100);
}

static void test_empty_upload(void)
{
    static const struct fake_step steps[] = {OPTIONS, CREATE, {0}};
    struct tus_upload upload;
    struct http_client client;
    struct journal journal;
    set_up(&upload, &client, &journal, steps);
    upload.length = 0;
    CU_ASSERT_EQUAL(tus_upload_drive(&upload, 0), TUS_DONE);
    check_script("empty", &client, 2);
    CU_ASSERT_EQUAL(journal.records, 1);
}

/* Without a record of the URL not one byte may leave. */
static void test_unrecorded_url(void)
{
    static const struct fake_step steps[] = {OPTIONS, CREATE, {0}};
    struct tus_upload upload;
    struct http_client client;
    struct journal journal;
    set_up(&upload, &client, &journal, steps);
    journal.fails_at = 1;
    CU_ASSERT_EQUAL(tus_upload_drive(&upload, 0), TUS_RETRY);
    check_script("unrecorded", &client, 2);
    CU_ASSERT_EQUAL(client.served, 0);
}

static void test_unrecorded_offset(void)
{
    static const struct fake_step steps[] = {HEAD(200, AT(0)), PATCH(0, 40, 204, AT(40)), {0}};
    struct tus_upload upload;
    struct http_client client;
    struct journal journal;
    set_up(&upload, &client, &journal, steps);
    (void)snprintf(upload.url, sizeof upload.url, "%s", URL);
    journal.fails_at = 1;
    CU_ASSERT_EQUAL(tus_upload_drive(&upload, 0), TUS_RETRY);
    check_script("unrecorded offset", &client, 2);
}

static void test_unreadable_archive(void)
{
    static const struct fake_step steps[] = {HEAD(200, AT(0)), PATCH(0, 40, 204, AT(40)), {0}};
    struct tus_upload upload;
    struct http_client client;
    struct journal journal;
    set_up(&upload, &client, &journal, steps);
    (void)snprintf(upload.url, sizeof upload.url, "%s", URL);
    journal.unreadable = true;
    CU_ASSERT_EQUAL(tus_upload_drive(&upload, 0), TUS_RETRY);
    check_script("unreadable", &client, 2);
    CU_ASSERT_PTR_NOT_NULL(strstr(upload.text, "archive could not be read"));
}

static const struct fake_step failing_steps[] = {OPTIONS, CREATE, PATCH(0, 40, 503, ""), {0}};

static void test_cancelled_in_a_request(void)
{
    for (unsigned at = 1; at <= 3; at++) {
        struct tus_upload upload;
        struct http_client client;
        struct journal journal;
        set_up(&upload, &client, &journal, failing_steps);
        journal.cancel_at = at;
        CU_ASSERT_EQUAL(tus_upload_drive(&upload, 0), TUS_STOPPED);
        check_script("cancelled", &client, at);
    }
}

/* The driver asks before the first request and between requests, each request asks once, and the
 * pause after the 503 asks for the seventh time and on. */
static void test_cancelled_between_requests(void)
{
    static const struct {
        unsigned poll, asked;
    } rows[] = {{1, 0}, {3, 1}, {5, 2}, {7, 3}, {9, 3}};
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct tus_upload upload;
        struct http_client client;
        struct journal journal;
        int64_t started_ms = clock_monotonic_ms(clock_system());
        set_up(&upload, &client, &journal, failing_steps);
        journal.cancel_at_poll = rows[i].poll;
        CU_ASSERT_EQUAL(tus_upload_drive(&upload, 60000), TUS_STOPPED);
        CU_ASSERT(clock_monotonic_ms(clock_system()) - started_ms < 30000);
        check_script("cancelled between", &client, rows[i].asked);
    }
}

static void test_bad_settings(void)
{
    static const struct {
        const char *endpoint, *token;
    } rows[] = {{"", "secret-lift-token"},
                {NULL, "secret-lift-token"},
                {"nonsense", "secret-lift-token"},
                {ENDPOINT, NULL},
                {ENDPOINT, "secret\r\nX-Evil: 1"}};
    static const struct fake_step steps[] = {{0}};
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct tus_upload upload;
        struct http_client client;
        struct journal journal;
        set_up(&upload, &client, &journal, steps);
        upload.endpoint = rows[i].endpoint;
        upload.lift_token = rows[i].token;
        CU_ASSERT_EQUAL(tus_upload_drive(&upload, 0), TUS_DESTINATION);
        CU_ASSERT_EQUAL(client.asked, 0);
        CU_ASSERT(upload.text[0] != '\0');
        CU_ASSERT_PTR_NULL(strstr(upload.text, "secret"));
    }
}

/* ---- a way that is remembered from upload to upload ---- */

static void send_by(struct tus_way *way, uint64_t length, const struct fake_step *steps,
                    enum tus_outcome outcome)
{
    struct tus_upload upload;
    struct http_client client;
    struct journal journal;
    unsigned count = 0;
    while (steps[count].method != NULL)
        count++;
    set_up(&upload, &client, &journal, steps);
    (void)snprintf(upload.url, sizeof upload.url, "%s", URL);
    upload.way = way;
    upload.length = length;
    upload.chunk_size = 8 * MIB;
    CU_ASSERT_EQUAL(tus_upload_drive(&upload, 0), outcome);
    check_script("by a way", &client, count);
    CU_ASSERT_EQUAL(upload.chunk_size, 8 * MIB); /* the configured one stays the caller's */
}

static void test_chunks_grow_and_are_remembered(void)
{
    static const struct fake_step first[] = {HEAD(200, AT(0)),
                                             PATCH(0, 8388608, 204, AT(8388608)),
                                             PATCH(8388608, 16777216, 204, AT(25165824)),
                                             PATCH(25165824, 1048576, 204, AT(26214400)),
                                             {0}};
    static const struct fake_step second[] = {
        HEAD(200, AT(0)), PATCH(0, 26214400, 204, AT(26214400)), {0}};
    struct tus_way *way = NULL;
    struct error err;
    CU_ASSERT_EQUAL_FATAL(tus_way_new(&way, &err), 0);
    send_by(way, 25 * MIB, first, TUS_DONE);
    send_by(way, 25 * MIB, second, TUS_DONE); /* 32 MiB pass by now */
    tus_way_free(way);
}

static void test_what_was_kept_says_that_it_streams(void)
{
    static const struct fake_step steps[] = {HEAD(200, AT(0)),
                                             BREAK("PATCH", 4 * MIB),
                                             HEAD(200, AT(1048576)),
                                             PATCH(1048576, 103809024, 204, AT(104857600)),
                                             {0}};
    static const struct fake_step next[] = {
        HEAD(200, AT(0)), PATCH(0, 104857600, 204, AT(104857600)), {0}};
    struct tus_way *way = NULL;
    struct error err;
    CU_ASSERT_EQUAL_FATAL(tus_way_new(&way, &err), 0);
    send_by(way, 100 * MIB, steps, TUS_DONE);
    send_by(way, 100 * MIB, next, TUS_DONE);
    tus_way_free(way);
}

/* As libcurl makes of a kept connection that breaks. */
static void test_what_a_409_finds_was_kept_too(void)
{
    static const struct fake_step steps[] = {HEAD(200, AT(0)),
                                             PATCH(0, 8388608, 409, TUS),
                                             HEAD(200, AT(1048576)),
                                             PATCH(1048576, 103809024, 204, AT(104857600)),
                                             {0}};
    static const struct fake_step nothing[] = {HEAD(200, AT(0)),
                                               PATCH(0, 8388608, 409, TUS),
                                               HEAD(200, AT(0)),
                                               PATCH(0, 8388608, 204, AT(8388608)),
                                               {0}};
    struct tus_way *way = NULL;
    struct error err;
    CU_ASSERT_EQUAL_FATAL(tus_way_new(&way, &err), 0);
    send_by(way, 8 * MIB, nothing, TUS_DONE);
    tus_way_free(way);
    CU_ASSERT_EQUAL_FATAL(tus_way_new(&way, &err), 0);
    send_by(way, 100 * MIB, steps, TUS_DONE);
    tus_way_free(way);
}

static void test_a_refused_size_is_not_tried_by_the_next_upload(void)
{
    static const struct fake_step first[] = {HEAD(200, AT(0)),
                                             PATCH(0, 8388608, 204, AT(8388608)),
                                             PATCH(8388608, 16777216, 413, ""),
                                             HEAD(200, AT(8388608)),
                                             PATCH(8388608, 8388608, 204, AT(16777216)),
                                             PATCH(16777216, 8388608, 204, AT(25165824)),
                                             {0}};
    static const struct fake_step second[] = {HEAD(200, AT(0)),
                                              PATCH(0, 8388608, 204, AT(8388608)),
                                              PATCH(8388608, 8388608, 204, AT(16777216)),
                                              {0}};
    struct tus_way *way = NULL;
    struct error err;
    CU_ASSERT_EQUAL_FATAL(tus_way_new(&way, &err), 0);
    send_by(way, 24 * MIB, first, TUS_DONE);
    send_by(way, 16 * MIB, second, TUS_DONE);
    tus_way_free(way);
}

/* Turned away at the door, or not there at all: no word about the size. */
static void test_only_what_was_sent_is_lost(void)
{
    static const struct fake_step doors[][5] = {
        {HEAD(200, AT(0)), PATCH(0, 8388608, 423, TUS), HEAD(200, AT(0)),
         PATCH(0, 8388608, 204, AT(8388608))},
        {HEAD(200, AT(0)), PATCH(0, 8388608, 429, TUS), HEAD(200, AT(0)),
         PATCH(0, 8388608, 204, AT(8388608))},
        {HEAD(200, AT(0)), AWAY("PATCH", HTTP_UNREACHABLE), HEAD(200, AT(0)),
         PATCH(0, 8388608, 204, AT(8388608))},
        {HEAD(200, AT(0)), PATCH(0, 8388608, 504, ""), HEAD(200, AT(0)),
         PATCH(0, 2097152, 204, AT(2097152))},
    };
    for (size_t i = 0; i < COUNT(doors); i++) {
        struct tus_way *way = NULL;
        struct error err;
        bool lost = i == 3;
        static const struct fake_step rest[] = {PATCH(2097152, 4194304, 204, AT(6291456)),
                                                PATCH(6291456, 2097152, 204, AT(8388608)),
                                                {0}};
        struct fake_step steps[8] = {{0}};
        memcpy(steps, doors[i], 4 * sizeof *steps);
        if (lost)
            memcpy(steps + 4, rest, sizeof rest);
        CU_ASSERT_EQUAL_FATAL(tus_way_new(&way, &err), 0);
        send_by(way, 8 * MIB, steps, TUS_DONE);
        tus_way_free(way);
    }
}

/* ---- the calls that stand alone ---- */

static void test_is_complete(void)
{
    static const struct {
        struct fake_step steps[2];
        enum tus_outcome outcome;
        bool complete;
        const char *url_after;
    } rows[] = {
        {{HEAD(200, AT(100))}, TUS_DONE, true, URL},
        {{HEAD(200, AT(99))}, TUS_DONE, false, URL},
        {{HEAD(404, TUS)}, TUS_GONE, false, ""},
        {{HEAD(401, TUS)}, TUS_RENEW_TOKEN, false, URL},
        {{HEAD(503, "")}, TUS_RETRY, false, URL},
        {{HEAD(200, "Content-Type: text/html\r\n")}, TUS_DESTINATION, false, URL},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct tus_upload upload;
        struct http_client client;
        struct journal journal;
        bool complete = !rows[i].complete;
        set_up(&upload, &client, &journal, rows[i].steps);
        (void)snprintf(upload.url, sizeof upload.url, "%s", URL);
        CU_ASSERT_EQUAL(tus_upload_is_complete(&upload, &complete), rows[i].outcome);
        CU_ASSERT_EQUAL(complete, rows[i].complete);
        CU_ASSERT_STRING_EQUAL(upload.url, rows[i].url_after);
        check_script("is complete", &client, 1);
    }
}

static void test_terminate(void)
{
#define DELETE_ANSWER(status)                                                                      \
    {                                                                                              \
        "DELETE", NO_BODY, HTTP_OK, status, TUS, 0                                                 \
    }
    static const struct {
        struct fake_step steps[3];
        unsigned asked;
        enum tus_outcome outcome;
        const char *url_after;
    } rows[] = {
        {{OPTIONS, DELETE_ANSWER(204)}, 2, TUS_DONE, ""},
        {{OPTIONS, DELETE_ANSWER(404)}, 2, TUS_DONE, ""},
        {{OPTIONS, DELETE_ANSWER(401)}, 2, TUS_RENEW_TOKEN, URL},
        {{OPTIONS, DELETE_ANSWER(423)}, 2, TUS_RETRY, URL},
        {{{"OPTIONS", NO_BODY, HTTP_OK, 204, TUS "Tus-Version: 1.0.0\r\n", 0}}, 1, TUS_DONE, URL},
        {{{"OPTIONS", NO_BODY, HTTP_OK, 204, "Allow: POST\r\n", 0}}, 1, TUS_DONE, URL},
        {{BREAK("OPTIONS", 0)}, 1, TUS_RETRY, URL},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct tus_upload upload;
        struct http_client client;
        struct journal journal;
        set_up(&upload, &client, &journal, rows[i].steps);
        (void)snprintf(upload.url, sizeof upload.url, "%s", URL);
        CU_ASSERT_EQUAL(tus_upload_terminate(&upload), rows[i].outcome);
        CU_ASSERT_STRING_EQUAL(upload.url, rows[i].url_after);
        check_script("terminate", &client, rows[i].asked);
    }
}

static CU_TestInfo cases[] = {SUITE_CASE(test_scripts),
                              SUITE_CASE(test_metadata),
                              SUITE_CASE(test_override_header),
                              SUITE_CASE(test_empty_upload),
                              SUITE_CASE(test_unrecorded_url),
                              SUITE_CASE(test_unrecorded_offset),
                              SUITE_CASE(test_unreadable_archive),
                              SUITE_CASE(test_cancelled_in_a_request),
                              SUITE_CASE(test_cancelled_between_requests),
                              SUITE_CASE(test_bad_settings),
                              SUITE_CASE(test_chunks_grow_and_are_remembered),
                              SUITE_CASE(test_what_was_kept_says_that_it_streams),
                              SUITE_CASE(test_what_a_409_finds_was_kept_too),
                              SUITE_CASE(test_a_refused_size_is_not_tried_by_the_next_upload),
                              SUITE_CASE(test_only_what_was_sent_is_lost),
                              SUITE_CASE(test_is_complete),
                              SUITE_CASE(test_terminate),
                              CU_TEST_INFO_NULL};

SUITE_MAIN("tus_upload", cases)
