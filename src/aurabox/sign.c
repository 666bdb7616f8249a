/* AURA-HMAC-SHA256 (section 3 of the protocol). Pure: time and nonce come from the caller.
 *
 * Guarantees that the derived keys leave no trace in memory and that nothing it returns holds the
 * secret. The rules below carry their numbers in the protocol document. */
#include "aurabridge/aurabox.h"

#include "canonical.h"

#include "aurabridge/digest.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#define ALGORITHM             "AURA-HMAC-SHA256"
#define SERVICE               "aura_request"
#define METHOD_SIZE           16
#define DATE_SIZE             16
#define MAX_SECRET            4096
#define MAX_CANONICAL_REQUEST (64U << 10)
#define MAX_AUTHORIZATION     2048

struct signing {
    const struct aurabox_sign_request *request;
    struct aurabox_signature *out;
    char method[METHOD_SIZE];
    char date[DATE_SIZE];
};

static bool is_token(const char *text)
{
    for (const char *at = text; *at; at++) {
        if (*at <= 0x20 || *at >= 0x7F || *at == ',')
            return false;
    }
    return *text != '\0';
}

static int copy_canonical(char *out, size_t size, const char *value)
{
    struct buffer text;
    buffer_init(&text, size - 1);
    int failed = canonical_value(&text, value);
    if (!failed)
        (void)snprintf(out, size, "%s", text.data);
    buffer_free(&text);
    return failed;
}

/* ---- what is signed ---- */

static int take_method(struct signing *signing, struct error *err)
{
    const char *method = signing->request->method;
    size_t length = strlen(method);
    if (length == 0 || length >= sizeof signing->method)
        return error_set(err, "cannot sign: the method must be a word such as POST");
    for (size_t i = 0; i < length; i++) {
        char c = method[i];
        if (c >= 'a' && c <= 'z')
            c = (char)(c - 'a' + 'A');
        if (c < 'A' || c > 'Z')
            return error_set(err, "cannot sign: the method must be a word such as POST");
        signing->method[i] = c;
    }
    return 0;
}

/* Rule 1. */
static int take_time(struct signing *signing, struct error *err)
{
    time_t seconds = (time_t)signing->request->timestamp_s;
    struct tm utc;
    if (signing->request->timestamp_s < 0 || !gmtime_r(&seconds, &utc) ||
        strftime(signing->date, sizeof signing->date, "%Y%m%d", &utc) != 8)
        return error_set(err, "cannot sign: the timestamp %lld is no Unix time of this age",
                         (long long)signing->request->timestamp_s);
    (void)snprintf(signing->out->timestamp, sizeof signing->out->timestamp, "%lld",
                   (long long)signing->request->timestamp_s);
    return 0;
}

/* Rule 2. */
static int take_content_type(struct signing *signing, struct error *err)
{
    const struct aurabox_sign_request *request = signing->request;
    struct aurabox_signature *out = signing->out;
    if (request->content_type &&
        copy_canonical(out->content_type, sizeof out->content_type, request->content_type) != 0)
        return error_set(err, "cannot sign: the content type is longer than %zu bytes",
                         sizeof out->content_type - 1);
    bool sends = strcmp(signing->method, "POST") == 0 || strcmp(signing->method, "PUT") == 0 ||
                 strcmp(signing->method, "PATCH") == 0;
    if (!out->content_type[0] && sends && request->body && request->body_length > 0)
        (void)snprintf(out->content_type, sizeof out->content_type, "application/json");
    return 0;
}

static int take_rest(struct signing *signing, struct error *err)
{
    const struct aurabox_sign_request *request = signing->request;
    struct aurabox_signature *out = signing->out;
    if (!request->app_id || !is_token(request->app_id) || strlen(request->app_id) > 512)
        return error_set(err, "cannot sign: the app id is empty, too long, or has characters that "
                              "no header takes");
    if (!request->app_secret || !request->app_secret[0] || strlen(request->app_secret) > MAX_SECRET)
        return error_set(err, "cannot sign: the app secret is empty or longer than %d bytes",
                         MAX_SECRET);
    if (!request->nonce || copy_canonical(out->nonce, sizeof out->nonce, request->nonce) != 0 ||
        !out->nonce[0])
        return error_set(err, "cannot sign: the nonce is empty or longer than %zu bytes",
                         sizeof out->nonce - 1);
    if (http_host_of(out->host, sizeof out->host, request->url) != 0)
        return error_set(err, "cannot sign: %.200s is no absolute http or https URL", request->url);
    if (sha256_hex_of(out->payload_hash, request->body ? request->body : "",
                      request->body ? request->body_length : 0) != 0)
        return error_set(err, "cannot sign: SHA-256 of the body failed");
    return 0;
}

/* ---- canonical request (rules 3 to 8) ---- */

struct signed_header {
    const char *name, *value;
};

/* In the order of their names; those without a value are left out. */
static size_t list_headers(struct signed_header out[4], const struct aurabox_signature *signature)
{
    const struct signed_header all[] = {
        {"content-type", signature->content_type},
        {"host", signature->host},
        {"x-aura-nonce", signature->nonce},
        {"x-aura-timestamp", signature->timestamp},
    };
    size_t count = 0;
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        if (all[i].value[0])
            out[count++] = all[i];
    }
    return count;
}

static int build_canonical_request(struct signing *signing, struct error *err)
{
    struct aurabox_signature *out = signing->out;
    struct buffer *text = &out->canonical_request;
    struct signed_header headers[4];
    size_t count = list_headers(headers, out);
    out->signed_headers[0] = '\0';
    int failed =
        buffer_append_format(text, "%s\n", signing->method) != 0 ||
        canonical_path(text, signing->request->url) != 0 || buffer_append_text(text, "\n") != 0 ||
        canonical_query(text, signing->request->url) != 0 || buffer_append_text(text, "\n") != 0;
    for (size_t i = 0; !failed && i < count; i++) {
        size_t used = strlen(out->signed_headers);
        (void)snprintf(out->signed_headers + used, sizeof out->signed_headers - used, "%s%s",
                       i > 0 ? ";" : "", headers[i].name);
        failed = buffer_append_format(text, "%s:", headers[i].name) != 0 ||
                 canonical_value(text, headers[i].value) != 0 ||
                 buffer_append_text(text, "\n") != 0;
    }
    if (!failed)
        failed = buffer_append_format(text, "\n%s\n%s", out->signed_headers, out->payload_hash);
    if (failed)
        return error_set(err, "cannot sign: the URL is too long");
    if (sha256_hex_of(out->canonical_hash, text->data, text->length) != 0)
        return error_set(err, "cannot sign: SHA-256 of the canonical request failed");
    return 0;
}

/* ---- signature (rules 9 to 12) ---- */

static int derive_key(uint8_t key[SHA256_SIZE], const char *secret, const char *date)
{
    static const char prefix[] = "AURA";
    size_t length = sizeof prefix - 1 + strlen(secret);
    uint8_t date_key[SHA256_SIZE];
    char *long_term = malloc(length + 1);
    if (!long_term)
        return -1;
    (void)snprintf(long_term, length + 1, "%s%s", prefix, secret);
    int failed = hmac_sha256(date_key, long_term, length, date, strlen(date));
    if (!failed)
        failed = hmac_sha256(key, date_key, sizeof date_key, SERVICE, strlen(SERVICE));
    explicit_bzero(long_term, length);
    explicit_bzero(date_key, sizeof date_key);
    free(long_term);
    return failed;
}

static int build_signature(struct signing *signing, struct error *err)
{
    struct aurabox_signature *out = signing->out;
    const struct aurabox_sign_request *request = signing->request;
    uint8_t key[SHA256_SIZE];
    uint8_t mac[SHA256_SIZE];
    int failed = buffer_append_format(&out->string_to_sign, ALGORITHM "\n%s\n%s/%s/" SERVICE "\n%s",
                                      out->timestamp, request->app_id, signing->date,
                                      out->canonical_hash) != 0 ||
                 derive_key(key, request->app_secret, signing->date) != 0 ||
                 hmac_sha256(mac, key, sizeof key, out->string_to_sign.data,
                             out->string_to_sign.length) != 0;
    explicit_bzero(key, sizeof key);
    if (failed)
        return error_set(err, "cannot sign: HMAC-SHA-256 failed");
    hex_encode(out->signature, mac, sizeof mac);
    if (buffer_append_format(&out->authorization,
                             ALGORITHM " Credential=%s,SignedHeaders=%s,Signature=%s",
                             request->app_id, out->signed_headers, out->signature) != 0)
        return error_set(err, "cannot sign: memory is short");
    return 0;
}

int aurabox_sign(struct aurabox_signature *out, const struct aurabox_sign_request *request,
                 struct error *err)
{
    struct signing signing = {.request = request, .out = out};
    memset(out, 0, sizeof *out);
    buffer_init(&out->canonical_request, MAX_CANONICAL_REQUEST);
    buffer_init(&out->string_to_sign, MAX_AUTHORIZATION);
    buffer_init(&out->authorization, MAX_AUTHORIZATION);
    if (take_method(&signing, err) == 0 && take_time(&signing, err) == 0 &&
        take_content_type(&signing, err) == 0 && take_rest(&signing, err) == 0 &&
        build_canonical_request(&signing, err) == 0 && build_signature(&signing, err) == 0)
        return 0;
    aurabox_signature_free(out);
    return -1;
}

void aurabox_signature_free(struct aurabox_signature *signature)
{
    buffer_free(&signature->canonical_request);
    buffer_free(&signature->string_to_sign);
    buffer_free(&signature->authorization);
}
