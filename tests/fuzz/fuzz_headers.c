/* HTTP and Tus headers: one upload against a server that answers anything (fuzz_http.h). Whatever
 * it says, the driver ends, sends no byte that the server did not ask for, says DONE only when the
 * server holds every byte, and tells neither token nor upload URL. Up to the first newline the
 * input says what is uploaded; the rest are the replies.
 */
#include "fuzz_http.h"

#include "aurabridge/clock.h"
#include "protocol.h"
#include "upload.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define LIFT_TOKEN "lift-SECRET-token"

static struct tus_upload upload;
static char recorded_url[LEDGER_URL_SIZE];
static uint64_t recorded_offset;
static bool patched; /* a PATCH was sent in this conversation */

static int read_body(void *context, uint64_t offset, void *bytes, size_t length, size_t *got,
                     struct error *err)
{
    (void)context;
    (void)err;
    FUZZ_CHECK(offset < upload.length && length <= upload.length - offset);
    memset(bytes, (int)(offset & 0x7F), length);
    *got = length;
    return 0;
}

static int record(void *context, const char *url, uint64_t offset)
{
    (void)context;
    FUZZ_CHECK(url[0] && strlen(url) < sizeof recorded_url && offset <= upload.length);
    (void)snprintf(recorded_url, sizeof recorded_url, "%s", url);
    recorded_offset = offset;
    return 0;
}

static bool is_https(const char *url)
{
    return strncasecmp(url, "https://", 8) == 0;
}

/* What a PATCH may send: from where the server last said it stands, at most a chunk. */
static void judge_patch(const struct http_request *request)
{
    uint64_t offset = 0;
    const char *figure = fuzz_request_header(request, "Upload-Offset");
    uint8_t byte;
    size_t got = 0;
    struct error err;
    patched = true;
    FUZZ_CHECK(figure && tus_parse_figure(&offset, figure) == 0);
    FUZZ_CHECK(offset == upload.offset && offset == recorded_offset);
    FUZZ_CHECK(strcmp(request->url, recorded_url) == 0);
    FUZZ_CHECK(request->upload->length > 0 && request->upload->length <= upload.length - offset);
    FUZZ_CHECK(upload.chunk_size == 0 || request->upload->length <= upload.chunk_size);
    /* The chunk's last byte is within the whole. */
    FUZZ_CHECK(request->upload->read(request->upload->context, request->upload->length - 1, &byte,
                                     1, &got, &err) == 0 &&
               got == 1);
}

static void judge(const struct http_request *request)
{
    const char *authorization = fuzz_request_header(request, "Authorization");
    FUZZ_CHECK(authorization && strcmp(authorization, "Bearer " LIFT_TOKEN) == 0);
    FUZZ_CHECK(fuzz_request_header(request, "Tus-Resumable") != NULL);
    char host[300];
    FUZZ_CHECK_TEXT(http_host_of(host, sizeof host, request->url) == 0, request->url);
    if (is_https(upload.endpoint))
        FUZZ_CHECK_TEXT(is_https(request->url), request->url);
    if (request->upload)
        judge_patch(request);
}

/* The last word of the server on where the upload stands. */
static void judge_end(enum tus_outcome outcome, bool had_url)
{
    FUZZ_CHECK(outcome <= TUS_STOPPED);
    FUZZ_CHECK(upload.offset <= upload.length);
    FUZZ_CHECK(upload.retry_after_ms >= -1 && upload.retry_after_ms <= 3600000);
    FUZZ_CHECK(fuzz_server.beyond <= 2 * TUS_FRUITLESS_MAX);
    if (outcome == TUS_DONE) {
        FUZZ_CHECK(upload.url[0] && upload.offset == upload.length && upload.text[0] == '\0');
        FUZZ_CHECK(had_url || strcmp(recorded_url, upload.url) == 0);
    } else {
        FUZZ_CHECK_TEXT(fuzz_is_line(upload.text, sizeof upload.text), upload.text);
        FUZZ_CHECK_TEXT(!strstr(upload.text, LIFT_TOKEN), upload.text);
    }
    if (outcome == TUS_GONE)
        FUZZ_CHECK(upload.url[0] == '\0' && upload.offset == 0);
    if (strlen(recorded_url) > strlen("https://host.example/"))
        FUZZ_CHECK_TEXT(!strstr(upload.text, recorded_url), upload.text);
}

static uint64_t figure_in(const char *text, const char *name, uint64_t fallback)
{
    const char *found = strstr(text, name);
    return found ? strtoull(found + strlen(name), NULL, 10) % 100000 : fallback;
}

/* "length=1000 chunk=100 offset=0 url renewed http" */
static void start_upload(const char *settings, const struct tus_metadata *metadata)
{
    bool has_url = strstr(settings, "url") != NULL;
    upload =
        (struct tus_upload){.endpoint = strstr(settings, "http") ? "http://host.example/files"
                                                                 : "https://host.example/files",
                            .lift_token = LIFT_TOKEN,
                            .metadata = metadata,
                            .length = figure_in(settings, "length=", 1000),
                            .chunk_size = figure_in(settings, "chunk=", 0),
                            .timeout_ms = 1000,
                            .body = {.read = read_body},
                            .recorded = record,
                            .token_renewed = strstr(settings, "renewed") != NULL};
    recorded_url[0] = '\0';
    recorded_offset = 0;
    if (!has_url)
        return;
    (void)snprintf(upload.url, sizeof upload.url, "%s/1", upload.endpoint);
    (void)snprintf(recorded_url, sizeof recorded_url, "%s", upload.url);
    upload.offset = figure_in(settings, "offset=", 0) % (upload.length + 1);
    recorded_offset = upload.offset;
}

/* Only the header of the conversation's own words is looked at; times beside HTTP's are read too.
 */
static void check_rfc3339(const char *text)
{
    int64_t time_ms = 0;
    int64_t again_ms = 0;
    char written[CLOCK_RFC3339_SIZE];
    if (clock_parse_rfc3339(&time_ms, text) != 0 || time_ms < -62135596800000 ||
        time_ms > 253402300799999)
        return;
    clock_format_rfc3339(written, time_ms);
    FUZZ_CHECK_TEXT(clock_parse_rfc3339(&again_ms, written) == 0 && again_ms == time_ms, written);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct tus_metadata metadata[] = {{"upload_id", "1"}, {"empty", ""}, {NULL, NULL}};
    struct fuzz_input input = {data, size};
    char settings[128];
    const uint8_t *line;
    const uint8_t *newline = size > 0 ? memchr(data, '\n', size) : NULL;
    size_t length = fuzz_take(&input, &line, newline ? (size_t)(newline - data) + 1 : size);
    (void)snprintf(settings, sizeof settings, "%.*s", (int)(length < 127 ? length : 127),
                   size > 0 ? (const char *)line : "");
    check_rfc3339(settings);
    start_upload(settings, metadata);
    bool had_url = upload.url[0] != '\0';
    fuzz_log_must_not_hold(LIFT_TOKEN);
    fuzz_server_start(input, judge);
    patched = false;
    bool complete = false;
    if (strstr(settings, "ask") && had_url) {
        enum tus_outcome outcome = tus_upload_is_complete(&upload, &complete);
        FUZZ_CHECK(!complete || outcome == TUS_DONE);
        FUZZ_CHECK(!patched);
    } else if (strstr(settings, "end") && had_url) {
        FUZZ_CHECK(tus_upload_terminate(&upload) <= TUS_STOPPED && !patched);
    } else {
        judge_end(tus_upload_drive(&upload, 0), had_url);
    }
    return 0;
}
