/* AURA-HMAC-SHA256 from the server's side (section 3 of the protocol). A nonce is remembered also
 * when the call fails, for as long as its timestamp could be accepted again; when there is no more
 * room the call is refused rather than a nonce forgotten. Secrets never appear in an answer.
 */
#include "signature.h"

#include "server.h"
#include "text.h"

#include "aurabridge/log.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#define ALGORITHM "AURA-HMAC-SHA256"

struct claim { /* of an Authorization header */
    char credential[256], signed_headers[256], signature[SHA256_HEX_SIZE];
};

/* Takes `label` and the text up to `end` off `*text`. */
static bool take_part(char *out, size_t size, const char **text, const char *label, char end)
{
    size_t skip = strlen(label);
    if (strncmp(*text, label, skip) != 0)
        return false;
    const char *value = *text + skip;
    const char *stop = strchr(value, end); /* the terminator, for the last part */
    if (!stop || stop == value || (size_t)(stop - value) >= size)
        return false;
    memcpy(out, value, (size_t)(stop - value));
    out[stop - value] = '\0';
    *text = end ? stop + 1 : stop;
    return true;
}

/* Section 3.12: one space after the algorithm, then commas without any. */
static bool parse_claim(struct claim *out, const char *text)
{
    return take_part(out->credential, sizeof out->credential, &text,
                     ALGORITHM " Credential=", ',') &&
           take_part(out->signed_headers, sizeof out->signed_headers, &text,
                     "SignedHeaders=", ',') &&
           take_part(out->signature, sizeof out->signature, &text, "Signature=", '\0');
}

static bool check_timestamp(struct call *call, uint64_t *timestamp_s)
{
    if (text_to_number(timestamp_s, call_header(call, "X-Aura-Timestamp")) != 0 ||
        *timestamp_s > INT64_MAX / 1000) {
        call_reply_error(call, 401, "X-Aura-Timestamp is missing or no Unix time in seconds.");
        return false;
    }
    int64_t off_ms = (int64_t)*timestamp_s * 1000 - sandbox_wall_ms(call->sandbox);
    if (off_ms > MAX_SKEW_MS || off_ms < -MAX_SKEW_MS) {
        call_reply_error(call, 401,
                         "The request timestamp is %lld s off; %d s are allowed. Check the clock.",
                         (long long)(off_ms / 1000), MAX_SKEW_MS / 1000);
        return false;
    }
    return true;
}

/* Under the lock. 0 when new (and noted), 401 when seen, 503 when there is no room. */
static unsigned note_nonce(struct sandbox *sandbox, const char *nonce)
{
    struct auth *auth = &sandbox->auth;
    int64_t now_ms = clock_monotonic_ms(sandbox->clock);
    for (size_t i = 0; i < MAX_NONCES; i++) {
        if (strcasecmp(auth->nonces[i].text, nonce) == 0)
            return 401;
    }
    struct auth_nonce *slot = &auth->nonces[auth->next_nonce]; /* the oldest */
    if (slot->text[0] && now_ms - slot->seen_ms < NONCE_LIFE_MS)
        return 503;
    (void)snprintf(slot->text, sizeof slot->text, "%s", nonce);
    slot->seen_ms = now_ms;
    auth->next_nonce = (auth->next_nonce + 1) % MAX_NONCES;
    return 0;
}

static bool check_nonce(struct call *call, const char *nonce)
{
    if (!text_is_uuid_v4(nonce)) {
        call_reply_error(call, 401, "X-Aura-Nonce is missing or no UUID v4.");
        return false;
    }
    sandbox_lock(call->sandbox);
    unsigned status = note_nonce(call->sandbox, nonce);
    sandbox_unlock(call->sandbox);
    if (status == 401)
        call_reply_error(call, 401, "The nonce was used before.");
    else if (status == 503)
        call_reply_error(call, 503, "Too many nonces are remembered; wait ten minutes.");
    return status == 0;
}

static bool compare(struct call *call, const struct claim *claim,
                    const struct aurabox_signature *expected)
{
    if (strcmp(claim->signed_headers, expected->signed_headers) != 0)
        call_reply_error(call, 401, "SignedHeaders must be %s.", expected->signed_headers);
    else if (!text_equals_secret(claim->signature, expected->signature))
        call_reply_error(call, 401,
                         "The signature does not match. The server's canonical request has the "
                         "SHA-256 %s, its payload %s.",
                         expected->canonical_hash, expected->payload_hash);
    else
        return true;
    return false;
}

static bool check_authorization(struct call *call, uint64_t timestamp_s, const char *nonce)
{
    struct sandbox *sandbox = call->sandbox;
    const char *authorization = call_header(call, "Authorization");
    const char *host = call_header(call, "Host");
    struct claim claim;
    if (!authorization || !parse_claim(&claim, authorization)) {
        call_reply_error(call, 401,
                         "Authorization must read \"" ALGORITHM
                         " Credential=…,SignedHeaders=…,Signature=…\".");
        return false;
    }
    char url[MAX_SANDBOX_TARGET + 512];
    int size = snprintf(url, sizeof url, "http://%s%s", host ? host : "", call->target);
    if (!host || !*host || size < 0 || (size_t)size >= sizeof url) {
        call_reply_error(call, 400, "The Host header is missing or too long.");
        return false;
    }
    struct aurabox_sign_request request = {.app_id = sandbox->app_id,
                                           .app_secret = sandbox->app_secret,
                                           .method = call->method,
                                           .url = url,
                                           .content_type = call_header(call, "Content-Type"),
                                           .body = call->body.data ? call->body.data : "",
                                           .body_length = call->body.length,
                                           .timestamp_s = (int64_t)timestamp_s,
                                           .nonce = nonce};
    struct aurabox_signature expected;
    struct error err = {""};
    if (aurabox_sign(&expected, &request, &err) != 0) {
        log_warning("sandbox", "checking a signature: %s", err.text);
        call_reply_error(call, 400, "The request cannot be signed.");
        return false;
    }
    bool good = strcmp(claim.credential, sandbox->app_id) == 0;
    if (!good)
        call_reply_error(call, 401, "The app id is unknown.");
    else
        good = compare(call, &claim, &expected);
    aurabox_signature_free(&expected);
    return good;
}

bool signature_check(struct call *call)
{
    uint64_t timestamp_s = 0;
    const char *nonce = call_header(call, "X-Aura-Nonce");
    if (!auth_api_key(call)) {
        call_reply_error(call, 401, "X-Api-Key is missing or unknown.");
        return false;
    }
    return check_timestamp(call, &timestamp_s) && check_nonce(call, nonce) &&
           check_authorization(call, timestamp_s, nonce);
}
