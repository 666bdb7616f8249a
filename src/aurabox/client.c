/* How a call is made: rate limit, token, request, answer. Guarantees that nothing is sent beyond
 * the limits and that a call which may have an effect reaches the server at most once. */
#include "client.h"

#include "aurabridge/log.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BEARER "Bearer "

int aurabox_client_new(struct aurabox_client **out, struct aurabox_destination *destination,
                       bool (*cancelled)(void *context), void *context, struct error *err)
{
    *out = NULL;
    struct aurabox_client *client = calloc(1, sizeof *client);
    if (!client)
        return error_set(err, "no memory for a client of destination %s",
                         destination->settings->name);
    client->destination = destination;
    client->cancelled = cancelled;
    client->context = context;
    http_reply_init(&client->answer);
    if (http_client_new(&client->http, destination->settings->ca_file, err) != 0) {
        aurabox_client_free(client);
        return error_wrap(err, "destination %s", destination->settings->name);
    }
    *out = client;
    return 0;
}

void aurabox_client_free(struct aurabox_client *client)
{
    if (!client)
        return;
    http_reply_free(&client->answer);
    http_client_free(client->http);
    free(client);
}

struct reply_question client_question(const struct aurabox_client *client,
                                      const struct client_call *call)
{
    const struct config_destination *settings = client->destination->settings;
    return (struct reply_question){
        .endpoint = call->endpoint,
        .base_url = settings->api_base_url,
        .now_ms = clock_wall_ms(client->destination->clock),
        .repeated = call->repeated,
        .sent = {.body = call->sent,
                 .secrets = {settings->service_api_key, settings->app_secret, call->token}}};
}

int client_url(char out[CALL_URL_SIZE], const struct aurabox_client *client,
               const struct endpoint *endpoint)
{
    int length = snprintf(out, CALL_URL_SIZE, "%s%s", client->destination->settings->api_base_url,
                          endpoint->path);
    return length < 0 || length >= CALL_URL_SIZE ? -1 : 0;
}

/* ---- one request ---- */

static void add_header(struct http_request *request, const char *name, const char *value)
{
    for (size_t i = 0; i + 1 < HTTP_HEADERS_MAX; i++) {
        if (!request->headers[i].name) {
            request->headers[i] = (struct http_header){name, value};
            return;
        }
    }
}

/* Over the wire and back, with the place within the limits already taken. */
static enum aurabox_outcome ask(struct aurabox_client *client, const struct client_call *call,
                                const char *url, struct json **body, struct aurabox_reply *reply)
{
    const struct config_destination *settings = client->destination->settings;
    struct error err = {""};
    struct http_request request = {.method = call->endpoint->method,
                                   .url = url,
                                   .body = call->body,
                                   .body_length = call->body_length,
                                   .timeout_ms = settings->timeout_ms,
                                   .max_reply = MAX_API_REPLY,
                                   .cancelled = client->cancelled,
                                   .cancel_context = client->context,
                                   .once = call->body != NULL};
    add_header(&request, "Accept", "application/json");
    add_header(&request, "X-Api-Key", settings->service_api_key);
    if (call->body)
        add_header(&request, "Content-Type", "application/json");
    for (size_t i = 0; call->headers[i].name; i++)
        add_header(&request, call->headers[i].name, call->headers[i].value);
    (void)http_call(client->http, &client->answer, &request, &err);
    struct reply_question question = client_question(client, call);
    enum aurabox_outcome outcome = reply_read(reply, body, &question, &client->answer, err.text);
    /* It may hold a token. */
    if (client->answer.body.length > 0)
        explicit_bzero(client->answer.body.data, client->answer.body.length);
    return outcome;
}

enum aurabox_outcome client_send(struct aurabox_client *client, const struct client_call *call,
                                 struct json **body, struct aurabox_reply *reply)
{
    struct aurabox_limiter *limiter = client->destination->limiter;
    enum aurabox_bucket bucket = call->endpoint->bucket;
    struct reply_question question = client_question(client, call);
    int64_t wait_ms = 0;
    unsigned ticket = 0;
    char url[CALL_URL_SIZE];
    struct error err = {""};
    *body = NULL;
    *reply = (struct aurabox_reply){.retry_after_ms = -1, .answered = true};
    if (client->cancelled && client->cancelled(client->context))
        return reply_set(reply, &question, AURABOX_STOPPED, "stopped before it was sent");
    if (client_url(url, client, call->endpoint) != 0)
        return reply_set(reply, &question, AURABOX_DESTINATION, "api_base_url is too long");
    if (aurabox_limiter_take(limiter, bucket, client->destination->settings->timeout_ms, &wait_ms,
                             &ticket, &err) != 0)
        return reply_set(reply, &question, AURABOX_RETRY, "%s", err.text);
    if (wait_ms > 0) {
        reply->retry_after_ms = wait_ms;
        return reply_set(reply, &question, AURABOX_LIMITED,
                         "waits %lld ms, to make no more calls than Aurabox allows",
                         (long long)wait_ms);
    }
    enum aurabox_outcome outcome = ask(client, call, url, body, reply);
    /* When this fails, the place counts for longer than it had to. */
    int failed = reply->status == 429
                     ? aurabox_limiter_refused(limiter, bucket, ticket, reply->retry_after_ms, &err)
                     : aurabox_limiter_done(limiter, bucket, ticket, &err);
    if (failed)
        log_warning("aurabox", "%s", err.text);
    return outcome;
}

/* ---- with the upload token ---- */

enum aurabox_outcome client_token(struct aurabox_client *client, struct token_grant *grant,
                                  struct aurabox_reply *reply)
{
    const struct token_asker asker = {.context = client,
                                      .exchange = client_exchange,
                                      .cancelled = client->cancelled,
                                      .cancel_context = client->context};
    return token_take(client->destination->tokens, grant, &asker, reply);
}

/* One attempt. `*refused` says whether the server refused the token. */
static enum aurabox_outcome attempt(struct aurabox_client *client, struct client_call *call,
                                    bool *refused, struct json **body, struct aurabox_reply *reply)
{
    struct token_grant grant;
    char authorization[sizeof grant.text + sizeof BEARER];
    *refused = false;
    enum aurabox_outcome outcome = client_token(client, &grant, reply);
    if (outcome != AURABOX_OK) {
        reply->answered = true; /* this call itself was surely not made */
        return outcome;
    }
    (void)snprintf(authorization, sizeof authorization, BEARER "%s", grant.text);
    call->headers[0] = (struct http_header){"Authorization", authorization};
    call->token = grant.text;
    outcome = client_send(client, call, body, reply);
    call->token = NULL;
    if (outcome == AURABOX_LIMITED)
        token_return(client->destination->tokens, &grant);
    if (reply->status == 401) {
        *refused = true;
        token_reject(client->destination->tokens, &grant);
    }
    explicit_bzero(authorization, sizeof authorization);
    explicit_bzero(&grant, sizeof grant);
    return outcome;
}

enum aurabox_outcome client_call(struct aurabox_client *client, enum endpoint_id id,
                                 const struct json *request, bool repeated, struct json **body,
                                 struct aurabox_reply *reply)
{
    struct client_call call = {.endpoint = endpoint_of(id), .repeated = repeated, .sent = request};
    char *text = NULL;
    bool refused = false;
    *body = NULL;
    if (request) {
        text = json_print(request);
        if (!text) {
            struct reply_question question = client_question(client, &call);
            *reply = (struct aurabox_reply){.retry_after_ms = -1, .answered = true};
            return reply_set(reply, &question, AURABOX_RETRY, "no memory for its body");
        }
        call.body = text;
        call.body_length = strlen(text);
    }
    enum aurabox_outcome outcome = attempt(client, &call, &refused, body, reply);
    if (refused)
        outcome = attempt(client, &call, &refused, body, reply);
    free(text);
    return outcome;
}
