/* POST /auth/exchange: the one signed call. A nonce is used once, whatever becomes of the call.
 * When it is refused, the canonical request goes to the log: it is what helps, and it holds no
 * secret. */
#include "client.h"

#include "aurabridge/identifier.h"
#include "aurabridge/log.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TOKEN_PREFIX    "aubt_"
#define MAX_TOKEN_LIFE  86400000
#define SIGNED_ENDPOINT endpoint_of(ENDPOINT_EXCHANGE)

static struct json *make_request(int64_t ttl_ms)
{
    const char *scopes[ENDPOINT_COUNT];
    size_t count = endpoint_scopes(scopes);
    struct json *request = json_new_object();
    struct json *list = json_new_array();
    bool failed = !request || !list || json_set_int(request, "ttl", ttl_ms / 1000) != 0;
    for (size_t i = 0; !failed && i < count; i++)
        failed = json_append_string(list, scopes[i]) != 0;
    if (!failed) {
        failed = json_set(request, "scopes", list) != 0;
        list = NULL;
    }
    json_free(list);
    if (failed) {
        json_free(request);
        request = NULL;
    }
    return request;
}

static char *make_body(int64_t ttl_ms)
{
    struct json *request = make_request(ttl_ms);
    char *body = request ? json_print(request) : NULL;
    json_free(request);
    return body;
}

static int sign(const struct aurabox_client *client, struct aurabox_signature *out,
                const char *body, struct error *err)
{
    const struct config_destination *settings = client->destination->settings;
    char nonce[UUID_SIZE];
    char url[CALL_URL_SIZE];
    if (uuid_v4(nonce) != 0)
        return error_set(err, "the system gives no random numbers");
    if (client_url(url, client, SIGNED_ENDPOINT) != 0)
        return error_set(err, "api_base_url is too long");
    struct aurabox_sign_request request = {.app_id = settings->app_id,
                                           .app_secret = settings->app_secret,
                                           .method = SIGNED_ENDPOINT->method,
                                           .url = url,
                                           .content_type = "application/json",
                                           .body = body,
                                           .body_length = strlen(body),
                                           .timestamp_s =
                                               clock_wall_ms(client->destination->clock) / 1000,
                                           .nonce = nonce};
    return aurabox_sign(out, &request, err);
}

/* By the server's clock where it tells the time, so that a clock of ours that is off does not
 * shorten or lengthen the token's life. */
static int64_t life_of(const struct aurabox_client *client, const struct json *answer)
{
    int64_t now_ms = client->answer.date_ms;
    int64_t expires_ms = 0;
    const char *text = json_text(json_get(answer, "expires_at"));
    if (now_ms == 0)
        now_ms = clock_wall_ms(client->destination->clock);
    if (!text || clock_parse_rfc3339(&expires_ms, text) != 0)
        return client->destination->settings->token_ttl_ms;
    int64_t life_ms = expires_ms - now_ms;
    return life_ms < MAX_TOKEN_LIFE ? life_ms : MAX_TOKEN_LIFE;
}

static enum aurabox_outcome read_token(const struct aurabox_client *client, struct token *out,
                                       const struct json *answer,
                                       const struct reply_question *question,
                                       struct aurabox_reply *reply)
{
    const char *text = json_text(json_get(answer, "token"));
    int64_t max_uses = 0;
    if (!text || !text[0])
        return reply_set(reply, question, AURABOX_DESTINATION, "the answer holds no token");
    if (strncmp(text, TOKEN_PREFIX, strlen(TOKEN_PREFIX)) != 0)
        return reply_set(reply, question, AURABOX_DESTINATION,
                         "the token is no upload token: it does not begin with " TOKEN_PREFIX
                         "; check that the app is one for uploads");
    if (strlen(text) >= sizeof out->text)
        return reply_set(reply, question, AURABOX_DESTINATION, "the token is longer than %zu bytes",
                         sizeof out->text - 1);
    out->life_ms = life_of(client, answer);
    if (out->life_ms <= 0)
        return reply_set(reply, question, AURABOX_DESTINATION,
                         "the token had expired before it came; check the clocks");
    out->max_uses =
        json_int(json_get(answer, "max_uses"), &max_uses) == 0 && max_uses > 0 ? max_uses : -1;
    (void)snprintf(out->text, sizeof out->text, "%s", text);
    return AURABOX_OK;
}

/* The tree is cJSON's; the one string in it that matters is overwritten before it goes. */
static void free_answer(struct json *answer)
{
    const char *text = json_text(json_get(answer, "token"));
    if (text)
        explicit_bzero((char *)(uintptr_t)text, strlen(text));
    json_free(answer);
}

static enum aurabox_outcome send(struct aurabox_client *client, struct client_call *call,
                                 struct token *out, struct aurabox_reply *reply)
{
    struct reply_question question = client_question(client, call);
    struct aurabox_signature signature;
    struct json *answer = NULL;
    struct error err;
    if (sign(client, &signature, call->body, &err) != 0)
        return reply_set(reply, &question, AURABOX_DESTINATION, "%s", err.text);
    call->headers[0] = (struct http_header){"X-Aura-Timestamp", signature.timestamp};
    call->headers[1] = (struct http_header){"X-Aura-Nonce", signature.nonce};
    call->headers[2] = (struct http_header){"Authorization", signature.authorization.data};
    enum aurabox_outcome outcome = client_send(client, call, &answer, reply);
    if (outcome == AURABOX_OK)
        outcome = read_token(client, out, answer, &question, reply);
    free_answer(answer);
    if (reply->status == 401 || reply->status == 403)
        log_warning("aurabox",
                    "destination %s refused the signature with %d; canonical request (SHA-256 %s): "
                    "%s",
                    client->destination->settings->name, reply->status, signature.canonical_hash,
                    signature.canonical_request.data);
    aurabox_signature_free(&signature);
    return outcome;
}

enum aurabox_outcome client_exchange(void *context, struct token *out, struct aurabox_reply *reply)
{
    struct aurabox_client *client = context;
    struct client_call call = {.endpoint = SIGNED_ENDPOINT};
    *reply = (struct aurabox_reply){.retry_after_ms = -1, .answered = true};
    char *body = make_body(client->destination->settings->token_ttl_ms);
    if (!body) {
        struct reply_question question = client_question(client, &call);
        return reply_set(reply, &question, AURABOX_RETRY, "no memory for its body");
    }
    call.body = body;
    call.body_length = strlen(body);
    enum aurabox_outcome outcome = send(client, &call, out, reply);
    free(body);
    return outcome;
}

enum aurabox_outcome aurabox_exchange(struct aurabox_client *client, struct aurabox_reply *reply)
{
    struct token_grant grant;
    *reply = (struct aurabox_reply){.retry_after_ms = -1, .answered = true};
    token_forget(client->destination->tokens);
    enum aurabox_outcome outcome = client_token(client, &grant, reply);
    if (outcome == AURABOX_OK)
        token_return(client->destination->tokens, &grant);
    explicit_bzero(&grant, sizeof grant);
    reply->outcome = outcome;
    return outcome;
}
