/* Upload tokens and lift tokens (sections 1 and 2 of the protocol): made here, kept in memory, and
 * checked. No answer repeats a token or a key.
 */
#include "server.h"
#include "signature.h"

#include "text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define TOKEN_BYTES  24
#define TTL_DEFAULT  3600
#define TTL_MAX      86400
#define MAX_USES_MAX 1000000000

int auth_init(struct auth *auth)
{
    *auth = (struct auth){0};
    auth->nonces = calloc(MAX_NONCES, sizeof *auth->nonces);
    auth->upload_tokens = calloc(MAX_TOKENS, sizeof *auth->upload_tokens);
    auth->lift_tokens = calloc(MAX_TOKENS, sizeof *auth->lift_tokens);
    return auth->nonces && auth->upload_tokens && auth->lift_tokens ? 0 : -1;
}

void auth_free(struct auth *auth)
{
    free(auth->nonces);
    free(auth->upload_tokens);
    free(auth->lift_tokens);
    *auth = (struct auth){0};
}

bool auth_json_headers(struct call *call, bool body)
{
    const char *accept = call_header(call, "Accept");
    const char *type = call_header(call, "Content-Type");
    if (!accept || !strstr(accept, "application/json"))
        call_reply_message(call, 406, "Send Accept: application/json.");
    else if (body && (!type || strncasecmp(type, "application/json", 16) != 0))
        call_reply_message(call, 415, "Send Content-Type: application/json.");
    else
        return true;
    return false;
}

bool auth_api_key(const struct call *call)
{
    const char *key = call_header(call, "X-Api-Key");
    return key && text_equals_secret(key, call->sandbox->service_api_key);
}

/* ---- tokens ---- */

static const struct {
    const char *name;
    enum auth_scope scope;
} scope_names[] = {{"upload:init", SCOPE_UPLOAD_INIT},
                   {"upload:manage", SCOPE_UPLOAD_MANAGE},
                   {"integration:read", SCOPE_INTEGRATION_READ}};
#define SCOPE_COUNT (sizeof scope_names / sizeof scope_names[0])

/* Fills the token's terms from the body; false: the answer is given. */
static bool read_terms(struct call *call, const struct json *body, struct auth_token *token)
{
    int64_t ttl_s = TTL_DEFAULT;
    token->max_uses = -1;
    const struct json *ttl = json_get(body, "ttl"), *max_uses = json_get(body, "max_uses");
    const struct json *scopes = json_get(body, "scopes");
    if (ttl && (json_int(ttl, &ttl_s) != 0 || ttl_s < 1 || ttl_s > TTL_MAX)) {
        call_reply_invalid(call, "ttl", "The ttl must be between 1 and 86400 seconds.");
        return false;
    }
    if (max_uses && (json_int(max_uses, &token->max_uses) != 0 || token->max_uses < 1 ||
                     token->max_uses > MAX_USES_MAX)) {
        call_reply_invalid(call, "max_uses", "The max_uses must be a positive integer.");
        return false;
    }
    for (const struct json *item = json_first(scopes); item; item = json_next(item)) {
        unsigned found = 0;
        for (size_t i = 0; i < SCOPE_COUNT; i++) {
            if (json_text(item) && strcmp(json_text(item), scope_names[i].name) == 0)
                found = scope_names[i].scope;
        }
        if (!found) {
            call_reply_invalid(call, "scopes", "A scope is unknown.");
            return false;
        }
        token->scopes |= found;
    }
    if (!json_is_array(scopes) || token->scopes == 0) {
        call_reply_invalid(call, "scopes", "The scopes must be an array that is not empty.");
        return false;
    }
    token->expires_ms = sandbox_wall_ms(call->sandbox) + ttl_s * 1000;
    return true;
}

static struct json *token_reply(const struct auth_token *token)
{
    char expires[CLOCK_RFC3339_SIZE];
    clock_format_rfc3339(expires, token->expires_ms);
    char *fraction = strchr(expires, '.');
    if (fraction)
        memcpy(fraction, "Z", 2);
    struct json *reply = json_new_object(), *scopes = json_new_array();
    bool failed = !reply || !scopes;
    for (size_t i = 0; i < SCOPE_COUNT && !failed; i++) {
        if (token->scopes & scope_names[i].scope)
            failed = json_append_string(scopes, scope_names[i].name) != 0;
    }
    failed = json_set(reply, "scopes", scopes) != 0 || failed;
    failed = failed || json_set_string(reply, "token", token->text) != 0 ||
             json_set_string(reply, "expires_at", expires) != 0 ||
             (token->max_uses > 0 && json_set_int(reply, "max_uses", token->max_uses) != 0);
    if (failed) {
        json_free(reply);
        return NULL;
    }
    return reply;
}

static int make_token(char out[AUTH_TOKEN_SIZE], const char *prefix)
{
    char digits[2 * TOKEN_BYTES + 1];
    if (random_hex(digits, TOKEN_BYTES) != 0)
        return -1;
    (void)snprintf(out, AUTH_TOKEN_SIZE, "%s%s", prefix, digits);
    return 0;
}

void auth_exchange(struct call *call)
{
    struct sandbox *sandbox = call->sandbox;
    if (!auth_json_headers(call, true) || !signature_check(call))
        return;
    struct json *body = call_json(call);
    struct auth_token token = {0};
    if (body && read_terms(call, body, &token)) {
        if (make_token(token.text, sandbox->faults.token_prefix) != 0) {
            call_reply(call, 500);
        } else {
            sandbox_lock(sandbox);
            sandbox->auth.upload_tokens[sandbox->auth.next_upload_token++ % MAX_TOKENS] = token;
            sandbox_unlock(sandbox);
            call_reply_json(call, 200, token_reply(&token));
        }
    }
    json_free(body);
}

/* Every token is compared, so that the time does not tell which one is near. */
static struct auth_token *find_token(struct auth_token *tokens, const char *text)
{
    struct auth_token *found = NULL;
    for (size_t i = 0; i < MAX_TOKENS; i++) {
        if (tokens[i].text[0] && text_equals_secret(text, tokens[i].text))
            found = &tokens[i];
    }
    return found;
}

static const char *bearer_text(const struct call *call)
{
    const char *text = call_header(call, "Authorization");
    return text && strncmp(text, "Bearer ", 7) == 0 ? text + 7 : NULL;
}

void auth_revoke(struct call *call)
{
    struct auth *auth = &call->sandbox->auth;
    const char *text = bearer_text(call);
    struct auth_token *token = text ? find_token(auth->upload_tokens, text) : NULL;
    if (text && !token)
        token = find_token(auth->lift_tokens, text);
    if (token)
        token->expires_ms = 0;
}

bool auth_bearer(struct call *call, enum auth_scope scope)
{
    struct sandbox *sandbox = call->sandbox;
    const char *text = bearer_text(call);
    unsigned status = 401;
    const char *reason = NULL;
    if (!auth_api_key(call))
        reason = "X-Api-Key is missing or unknown.";
    sandbox_lock(sandbox);
    struct auth_token *token = text ? find_token(sandbox->auth.upload_tokens, text) : NULL;
    if (!reason && !token) {
        reason = "The upload token is missing or unknown.";
    } else if (!reason && sandbox_wall_ms(sandbox) >= token->expires_ms) {
        reason = "The upload token has expired.";
    } else if (!reason && token->max_uses >= 0 && token->uses >= token->max_uses) {
        reason = "The upload token has no uses left.";
    } else if (!reason) {
        token->uses++;
        if (!(token->scopes & scope)) {
            status = 403;
            reason = "The upload token lacks the scope of this call.";
        }
    }
    sandbox_unlock(sandbox);
    if (reason)
        call_reply_message(call, status, "%s", reason);
    return !reason;
}

int auth_issue_lift(struct sandbox *sandbox, char out[AUTH_TOKEN_SIZE])
{
    struct auth_token token = {0};
    if (make_token(token.text, "lift_") != 0)
        return -1;
    token.expires_ms = sandbox_wall_ms(sandbox) + sandbox->faults.lift_ttl_s * 1000;
    memcpy(out, token.text, AUTH_TOKEN_SIZE);
    sandbox_lock(sandbox);
    sandbox->auth.lift_tokens[sandbox->auth.next_lift_token++ % MAX_TOKENS] = token;
    sandbox_unlock(sandbox);
    return 0;
}

bool auth_lift(struct call *call)
{
    struct sandbox *sandbox = call->sandbox;
    const char *text = bearer_text(call);
    sandbox_lock(sandbox);
    struct auth_token *token = text ? find_token(sandbox->auth.lift_tokens, text) : NULL;
    bool expired = token && sandbox_wall_ms(sandbox) >= token->expires_ms;
    sandbox_unlock(sandbox);
    if (!text)
        call_reply_message(call, 401, "The lift token is missing.");
    else if (!token)
        call_reply_message(call, 403, "The lift token is unknown.");
    else if (expired)
        call_reply_message(call, 401, "The lift token has expired.");
    return text && token && !expired;
}
