/* One HTTP exchange in Tus's words.
 *
 * Guarantees: every request carries Tus-Resumable and the lift token, and every reply is bounded.
 * A chunk is read from the upload's source as it is sent, never held in memory. Does not decide
 * anything (protocol.c does) and does not repeat anything (upload.c does).
 */
#include "exchange.h"

#include "aurabridge/clock.h"
#include "aurabridge/digest.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define MAX_LIFT_TOKEN      16384 /* bytes of the Authorization header */
#define MAX_UPLOAD_METADATA 8192
#define MAX_TUS_REPLY       65536   /* bodies of errors; Tus itself sends none */
#define MAX_RETRY_AFTER_MS  3600000 /* a server may not silence us for longer than an hour */
#define FIGURE_SIZE         24
#define HEADER_VALUE_SIZE   512

/* ---- what all requests share ---- */

static bool is_https(const char *url)
{
    return strncasecmp(url, "https://", strlen("https://")) == 0;
}

static int add_metadata(struct buffer *out, const struct tus_metadata *item)
{
    size_t length = strlen(item->value);
    if (length > MAX_UPLOAD_METADATA)
        return -1;
    char *encoded = malloc(base64_size(length));
    if (encoded == NULL)
        return -1;
    base64_encode(encoded, item->value, length);
    int result = buffer_append_format(out, "%s%s%s%s", out->length > 0 ? "," : "", item->key,
                                      length > 0 ? " " : "", encoded);
    free(encoded);
    return result;
}

/* A token that could end the header line would be one that forges headers. */
static bool is_header_value(const char *text)
{
    for (; *text != '\0'; text++)
        if ((unsigned char)*text < 0x20 || *text == 0x7F)
            return false;
    return true;
}

static int prepare(struct exchange *exchange, const struct tus_upload *upload)
{
    struct error *err = &exchange->error;
    if (upload->endpoint == NULL ||
        http_host_of(exchange->host, sizeof exchange->host, upload->endpoint) != 0)
        return error_set(err, "the lift endpoint is no URL");
    if (upload->lift_token == NULL || !is_header_value(upload->lift_token))
        return error_set(err, "the lift token is no text for a header");
    if (buffer_append_format(&exchange->bearer, "Bearer %s", upload->lift_token) != 0)
        return error_set(err, "the lift token is longer than %d bytes", MAX_LIFT_TOKEN);
    for (const struct tus_metadata *item = upload->metadata; item != NULL && item->key != NULL;
         item++)
        if (add_metadata(&exchange->metadata, item) != 0)
            return error_set(err, "the upload's metadata is longer than %d bytes",
                             MAX_UPLOAD_METADATA);
    return 0;
}

int exchange_init(struct exchange *exchange, struct tus_upload *upload)
{
    memset(exchange, 0, sizeof *exchange);
    exchange->upload = upload;
    exchange->answer.failure = HTTP_LOCAL;
    buffer_init(&exchange->bearer, MAX_LIFT_TOKEN);
    buffer_init(&exchange->metadata, MAX_UPLOAD_METADATA);
    http_reply_init(&exchange->reply);
    upload->retry_after_ms = -1;
    upload->progressed = false;
    upload->lost = false;
    upload->refused = false;
    upload->text[0] = '\0';
    if (prepare(exchange, upload) == 0)
        return 0;
    (void)snprintf(upload->text, sizeof upload->text, "%.500s", exchange->error.text);
    return -1;
}

void exchange_free(struct exchange *exchange)
{
    http_reply_free(&exchange->reply);
    buffer_free(&exchange->metadata);
    buffer_free(&exchange->bearer);
}

/* ---- words ---- */

static const char *const methods[] = {[TUS_QUESTION_CREATE] = "POST",
                                      [TUS_QUESTION_OFFSET] = "HEAD",
                                      [TUS_QUESTION_SEND] = "PATCH",
                                      [TUS_QUESTION_TERMINATE] = "DELETE"};

void exchange_explain(struct exchange *exchange, enum tus_question question, const char *reason)
{
    struct tus_upload *upload = exchange->upload;
    if (exchange->answer.failure == HTTP_OK)
        (void)error_set(&exchange->error, "Tus server %s answered %s with %d: %s", exchange->host,
                        methods[question], exchange->answer.status, reason);
    else
        (void)error_wrap(&exchange->error, "Tus server %s, %s: %s", exchange->host,
                         methods[question], reason);
    (void)snprintf(upload->text, sizeof upload->text, "%.511s", exchange->error.text);
}

struct tus_asked exchange_asked(const struct exchange *exchange, enum tus_question question)
{
    const struct tus_upload *upload = exchange->upload;
    return (struct tus_asked){.question = question,
                              .length = upload->length,
                              .offset = upload->offset,
                              .token_renewed = upload->token_renewed,
                              .secure = is_https(upload->endpoint)};
}

/* ---- the answer ---- */

static bool read_header_figure(const struct http_reply *reply, const char *name, uint64_t *out)
{
    char value[FIGURE_SIZE];
    return http_reply_header(reply, name, value, sizeof value) == 0 &&
           tus_parse_figure(out, value) == 0;
}

static bool says_html(const struct http_reply *reply)
{
    char value[HEADER_VALUE_SIZE];
    return http_reply_header(reply, "Content-Type", value, sizeof value) == 0 &&
           strncasecmp(value, "text/html", strlen("text/html")) == 0;
}

/* By the server's own clock where it tells it. */
static bool says_expired(const struct http_reply *reply)
{
    char value[HEADER_VALUE_SIZE];
    int64_t expires_ms = 0;
    if (http_reply_header(reply, "Upload-Expires", value, sizeof value) != 0 ||
        clock_parse_http_date(&expires_ms, value) != 0)
        return false;
    int64_t now_ms = reply->date_ms != 0 ? reply->date_ms : clock_wall_ms(clock_system());
    return expires_ms < now_ms;
}

/* Only what can be called is a place to come back to: its host and port are looked at as well. */
static bool resolve_location(struct exchange *exchange)
{
    char value[LEDGER_URL_SIZE];
    char host[sizeof exchange->host];
    if (http_reply_header(&exchange->reply, "Location", value, sizeof value) != 0 ||
        value[0] == '\0')
        return false;
    if (http_resolve_url(exchange->location, sizeof exchange->location, exchange->upload->endpoint,
                         value) != 0 ||
        http_host_of(host, sizeof host, exchange->location) != 0)
        return false;
    return is_https(exchange->location) ||
           strncasecmp(exchange->location, "http://", strlen("http://")) == 0;
}

static void read_answer(struct exchange *exchange)
{
    const struct http_reply *reply = &exchange->reply;
    struct tus_answer *answer = &exchange->answer;
    char value[HEADER_VALUE_SIZE];

    answer->status = reply->status;
    answer->speaks_tus = http_reply_header(reply, "Tus-Resumable", value, sizeof value) == 0;
    answer->is_html = says_html(reply);
    answer->has_offset = read_header_figure(reply, "Upload-Offset", &answer->offset);
    answer->has_length = read_header_figure(reply, "Upload-Length", &answer->length);
    answer->expired = says_expired(reply);
    answer->retry_after_ms =
        reply->retry_after_ms < MAX_RETRY_AFTER_MS ? reply->retry_after_ms : MAX_RETRY_AFTER_MS;
    answer->has_location = resolve_location(exchange);
    answer->location_insecure = answer->has_location && !is_https(exchange->location);
}

/* ---- the question ---- */

static void add_header(struct http_request *request, const char *name, const char *value)
{
    for (size_t i = 0; i + 1 < HTTP_HEADERS_MAX; i++) {
        if (request->headers[i].name == NULL) {
            request->headers[i] = (struct http_header){name, value};
            return;
        }
    }
}

static void start_request(struct exchange *exchange, struct http_request *request,
                          const char *method, const char *url)
{
    const struct tus_upload *upload = exchange->upload;
    *request = (struct http_request){.method = method,
                                     .url = url,
                                     .timeout_ms = upload->timeout_ms,
                                     .max_reply = MAX_TUS_REPLY,
                                     .cancelled = upload->cancelled,
                                     .cancel_context = upload->cancel_context};
    add_header(request, "Tus-Resumable", TUS_VERSION);
    add_header(request, "Authorization", exchange->bearer.data);
}

static void ask(struct exchange *exchange, const struct http_request *request)
{
    exchange->answer = (struct tus_answer){.failure = HTTP_OK, .retry_after_ms = -1};
    exchange->error.text[0] = '\0';
    exchange->location[0] = '\0';
    if (http_call(exchange->upload->http, &exchange->reply, request, &exchange->error) != 0) {
        exchange->answer.failure =
            exchange->reply.failure == HTTP_OK ? HTTP_LOCAL : exchange->reply.failure;
        exchange->answer.reached = exchange->reply.sent;
        return;
    }
    read_answer(exchange);
}

static void read_extensions(const struct http_reply *reply, struct exchange_capabilities *out)
{
    char value[HEADER_VALUE_SIZE];
    if (http_reply_header(reply, "Tus-Extension", value, sizeof value) != 0 || value[0] == '\0')
        return;
    out->names_extensions = true;
    out->creation = tus_list_names(value, "creation");
    out->termination = tus_list_names(value, "termination");
}

void exchange_options(struct exchange *exchange, struct exchange_capabilities *out)
{
    struct http_request request;
    char value[HEADER_VALUE_SIZE];
    *out = (struct exchange_capabilities){0};
    start_request(exchange, &request, "OPTIONS", exchange->upload->endpoint);
    ask(exchange, &request);
    if (exchange->answer.failure != HTTP_OK)
        return;
    if (exchange->answer.status != 200 && exchange->answer.status != 204)
        return;
    if (http_reply_header(&exchange->reply, "Tus-Version", value, sizeof value) != 0)
        return;
    out->known = true;
    read_extensions(&exchange->reply, out);
    if (!read_header_figure(&exchange->reply, "Tus-Max-Size", &out->max_size))
        out->max_size = 0;
}

void exchange_create(struct exchange *exchange)
{
    struct http_request request;
    char length[FIGURE_SIZE];
    (void)snprintf(length, sizeof length, "%" PRIu64, exchange->upload->length);
    start_request(exchange, &request, "POST", exchange->upload->endpoint);
    add_header(&request, "Upload-Length", length);
    if (exchange->metadata.length > 0)
        add_header(&request, "Upload-Metadata", exchange->metadata.data);
    request.body = "";
    ask(exchange, &request);
}

void exchange_offset(struct exchange *exchange)
{
    struct http_request request;
    start_request(exchange, &request, "HEAD", exchange->upload->url);
    add_header(&request, "Cache-Control", "no-store");
    ask(exchange, &request);
}

void exchange_terminate(struct exchange *exchange)
{
    struct http_request request;
    start_request(exchange, &request, "DELETE", exchange->upload->url);
    ask(exchange, &request);
}

/* ---- a chunk of the whole upload, as a body of its own ---- */

struct chunk {
    const struct http_upload *whole;
    uint64_t start; /* of the chunk in the whole */
};

static int read_chunk(void *context, uint64_t offset, void *bytes, size_t length, size_t *got,
                      struct error *err)
{
    const struct chunk *chunk = context;
    return chunk->whole->read(chunk->whole->context, chunk->start + offset, bytes, length, got,
                              err);
}

static void report_chunk(void *context, uint64_t sent)
{
    const struct chunk *chunk = context;
    chunk->whole->progress(chunk->whole->context, chunk->start + sent);
}

static size_t admit_chunk(void *context, size_t wanted)
{
    const struct chunk *chunk = context;
    return chunk->whole->admit(chunk->whole->context, wanted);
}

void exchange_send(struct exchange *exchange, uint64_t offset, uint64_t length, bool overrides)
{
    struct tus_upload *upload = exchange->upload;
    struct chunk chunk = {.whole = &upload->body, .start = offset};
    struct http_upload body = {.length = length,
                               .context = &chunk,
                               .read = read_chunk,
                               .progress = upload->body.progress != NULL ? report_chunk : NULL,
                               .admit = upload->body.admit != NULL ? admit_chunk : NULL};
    struct http_request request;
    char figure[FIGURE_SIZE];
    (void)snprintf(figure, sizeof figure, "%" PRIu64, offset);
    start_request(exchange, &request, overrides ? "POST" : "PATCH", upload->url);
    if (overrides)
        add_header(&request, "X-HTTP-Method-Override", "PATCH");
    add_header(&request, "Content-Type", "application/offset+octet-stream");
    add_header(&request, "Upload-Offset", figure);
    request.upload = &body;
    ask(exchange, &request);
}
