/* The Aurabox API: signing (AURA-HMAC-SHA256), upload tokens, and the calls of an upload. One
 * aurabox_client per thread; the token cache and the rate limits of a destination are shared and
 * thread-safe.
 */
#ifndef AURABRIDGE_AURABOX_H
#define AURABRIDGE_AURABOX_H

#include "aurabridge/buffer.h"
#include "aurabridge/clock.h"
#include "aurabridge/config.h"
#include "aurabridge/error.h"
#include "aurabridge/http.h"
#include "aurabridge/json.h"
#include "aurabridge/ledger.h"

#include <stdbool.h>
#include <stdint.h>

/* ---- signing: pure ---- */

struct aurabox_sign_request {
    const char *app_id, *app_secret;
    const char *method;
    const char *url;          /* absolute */
    const char *content_type; /* null or "": none (a body then gets application/json) */
    const void *body;
    size_t body_length;
    int64_t timestamp_s;
    const char *nonce;
};

struct aurabox_signature {
    char timestamp[24], nonce[64];
    char content_type[128]; /* "" when none is sent */
    char host[300];
    char payload_hash[65], canonical_hash[65], signature[65];
    char signed_headers[128];
    struct buffer canonical_request, string_to_sign, authorization;
};

/* Makes everything that the call needs and that helps an integrator. Returns 0 or -1. Free it. */
int aurabox_sign(struct aurabox_signature *out, const struct aurabox_sign_request *request,
                 struct error *err);
void aurabox_signature_free(struct aurabox_signature *signature);

/* ---- rate limits: kept on disk, shared by processes ---- */

enum aurabox_bucket { AURABOX_EXCHANGE, AURABOX_CONFIG, AURABOX_LIFECYCLE, AURABOX_BUCKET_COUNT };

struct aurabox_limiter;

/* `directory` holds the windows (made when absent); one file per base URL and service API key,
 * named by a digest. */
int aurabox_limiter_open(struct aurabox_limiter **out, const char *directory,
                         const char *api_base_url, const char *service_api_key,
                         const struct config_limits *limits, const struct clock *clock,
                         struct error *err);
void aurabox_limiter_close(struct aurabox_limiter *limiter);

/* Takes a place in the bucket. `*wait_ms` is 0 when taken (with `*ticket` for _done), else how long
 * until one is free. Returns 0 or -1. */
int aurabox_limiter_take(struct aurabox_limiter *limiter, enum aurabox_bucket bucket,
                         int64_t timeout_ms, int64_t *wait_ms, unsigned *ticket, struct error *err);
/* The call ended: the place counts from now on. */
int aurabox_limiter_done(struct aurabox_limiter *limiter, enum aurabox_bucket bucket,
                         unsigned ticket, struct error *err);
/* The same for a call that the server answered with 429. Nobody gets a place for as long as its
 * Retry-After said; where that says nothing (not above 0), for a second, and twice as long at each
 * further 429, up to a window's time. */
int aurabox_limiter_refused(struct aurabox_limiter *limiter, enum aurabox_bucket bucket,
                            unsigned ticket, int64_t retry_after_ms, struct error *err);

/* How much of a bucket is left at this moment. Takes nothing. */
struct aurabox_budget {
    unsigned limit, left;
    int64_t next_ms; /* until a place is free; 0: one is */
};
int aurabox_limiter_look(struct aurabox_limiter *limiter, enum aurabox_bucket bucket,
                         struct aurabox_budget *out, struct error *err);
/* The same without a limiter at hand. */
int aurabox_budget(struct aurabox_budget *out, const struct config_destination *settings,
                   const char *state_directory, enum aurabox_bucket bucket,
                   const struct clock *clock, struct error *err);

/* ---- a destination: what its workers share ---- */

struct aurabox_destination;

/* Keeps a reference to the config. `state_directory` is for the limits. */
int aurabox_destination_new(struct aurabox_destination **out, struct config *config,
                            const char *name, const char *state_directory,
                            const struct clock *clock, struct error *err);
void aurabox_destination_free(struct aurabox_destination *destination);

/* ---- calls ---- */

enum aurabox_outcome {
    AURABOX_OK,
    AURABOX_RETRY,       /* transient: network, 5xx, 408, 429, 423; `retry_after_ms` */
    AURABOX_LIMITED,     /* our own rate limit: nothing was sent; wait `retry_after_ms` */
    AURABOX_DESTINATION, /* pause the destination: 401, 403, 404, HTML, TLS, clock skew, missing
                            fields, a token of the wrong form */
    AURABOX_REJECTED,    /* the study's fault: 400 or 422 */
    AURABOX_CONFLICT,  /* a repeated call is refused as one that was made before: 409, or 422 about
                          the upload_id, to `init`; 409 or 422 to `start`; 404, 409, 410 or 422 to
                          `complete` */
    AURABOX_FORGOTTEN, /* it does not know the upload: 404, 410, or 422 about the upload_id, to
                          `start`, `complete`, `error` or `cancel` */
    AURABOX_STOPPED    /* cancelled by `cancelled` */
};

struct aurabox_reply {
    enum aurabox_outcome outcome;
    int status;             /* HTTP status, 0 when none came */
    int64_t retry_after_ms; /* -1: as the caller's backoff says */
    bool answered;          /* false: the call may or may not have had its effect (no answer, 408,
                               5xx, a proxy's page); true also when it was never sent */
    char text[512];         /* for the operator; no patient data, no secret */
};

struct aurabox_lift { /* from config */
    char endpoint[LEDGER_URL_SIZE];
    char token[4096];
    char bucket[256];
    char assembly_id[128]; /* "" when none */
    char mode[64];
};

struct aurabox_client;

int aurabox_client_new(struct aurabox_client **out, struct aurabox_destination *destination,
                       bool (*cancelled)(void *context), void *context, struct error *err);
void aurabox_client_free(struct aurabox_client *client);

/* Each returns the outcome, also in `reply->outcome`. The token is exchanged when it is missing,
 * expiring (a tenth of its life, at least 60 s, but no more than half of it, before its end) or
 * spent, and renewed once on a 401. `body` is the init body of section 4; `study_id` gets the first
 * id of the reply. `repeated`: the call may have had its effect before. */
enum aurabox_outcome aurabox_config(struct aurabox_client *client, struct aurabox_lift *out,
                                    struct aurabox_reply *reply);
enum aurabox_outcome aurabox_init(struct aurabox_client *client, const struct json *body,
                                  bool repeated, char study_id[128], struct aurabox_reply *reply);
enum aurabox_outcome aurabox_start(struct aurabox_client *client, const char *upload_id,
                                   const char *assembly_id, bool repeated,
                                   struct aurabox_reply *reply);
enum aurabox_outcome aurabox_complete(struct aurabox_client *client, const char *upload_id,
                                      const char *assembly_id, bool repeated,
                                      struct aurabox_reply *reply);
enum aurabox_outcome aurabox_error(struct aurabox_client *client, const char *upload_id,
                                   const char *message, struct aurabox_reply *reply);
enum aurabox_outcome aurabox_cancel(struct aurabox_client *client, const char *upload_id,
                                    struct aurabox_reply *reply);
/* For `check`: exchange alone; tells clock skew from a wrong secret by the Date header. */
enum aurabox_outcome aurabox_exchange(struct aurabox_client *client, struct aurabox_reply *reply);

/* ---- the init body (section 4) ---- */

/* Builds it by streaming over the study's stored instances. `context` is owned by the result.
 * `*out` is the caller's. */
int aurabox_manifest(struct json **out, struct ledger *ledger, const struct ledger_study *study,
                     const char *source, const char *patient_id, struct json *context,
                     struct error *err);

#endif
