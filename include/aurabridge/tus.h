/* Tus 1.0.0: one upload, created, sent in streamed PATCHes, resumed by HEAD. `tus_next` is the pure
 * protocol (a response → the next action); tus_upload drives it over HTTP. One thread at a time.
 */
#ifndef AURABRIDGE_TUS_H
#define AURABRIDGE_TUS_H

#include "aurabridge/error.h"
#include "aurabridge/http.h"
#include "aurabridge/ledger.h"

#include <stdbool.h>
#include <stdint.h>

enum tus_outcome {
    TUS_DONE,        /* the server acknowledged every byte */
    TUS_RETRY,       /* transient; come back later, with HEAD */
    TUS_AWAY,        /* transient, and no upload's own: it cannot be reached, or wants no calls */
    TUS_RENEW_TOKEN, /* 401, or 403: fetch a new lift token and call again with the same URL */
    TUS_GONE,        /* the upload is lost on the server: upload_url was cleared; create anew */
    TUS_TOO_LARGE,   /* permanent: longer than Tus-Max-Size, or 413 at the smallest chunk */
    TUS_DESTINATION, /* the endpoint is wrong: HTML, TLS, 404 on create, no Tus */
    TUS_STOPPED
};

/* What the uploads to one destination found out about the way there: how many bytes one PATCH may
 * carry. In memory only, and it forgets what is old. Thread-safe. */
struct tus_way;

int tus_way_new(struct tus_way **out, struct error *err);
void tus_way_free(struct tus_way *way);

struct tus_metadata {
    const char *key, *value;
};

struct tus_upload {
    struct http_client *http;
    const char *endpoint, *lift_token;
    const struct tus_metadata *metadata; /* to the first null key */
    uint64_t length;
    uint64_t chunk_size; /* bytes of a PATCH; 0: all that is left. With a way: of the first one */
    /* Chunks grow while the way proves good and shrink where it does not, also for the uploads
     * that follow. Null: they only shrink, and chunk_size says to what. */
    struct tus_way *way;
    int64_t timeout_ms;
    struct http_upload body; /* read(offset) is of the whole upload; length ignored */
    /* In and out: "" when it must be created; the offset the server acknowledged. */
    char url[LEDGER_URL_SIZE];
    uint64_t offset;
    bool token_renewed; /* the lift token was renewed since the last 403; a second 403 is GONE */
    /* Called when the URL is known, before the first byte, and after each acknowledged PATCH. A
     * non-zero answer stops with TUS_RETRY. */
    int (*recorded)(void *context, const char *url, uint64_t offset);
    void *record_context;
    bool (*cancelled)(void *context);
    void *cancel_context;
    /* Out */
    int64_t retry_after_ms; /* -1: as the caller's backoff says */
    bool progressed;        /* some byte was acknowledged in this call: reset the backoff */
    bool lost;              /* bytes that it had acknowledged are not there any more; then there
                               was no progress, however many came after */
    bool refused;           /* it made no upload, and says that the request is at fault: it may not
                               know what was announced */
    char text[512];         /* for the operator */
};

/* Goes on until the upload is done or something stands in the way. */
enum tus_outcome tus_upload_run(struct tus_upload *upload);

/* Asks the server's figure: TUS_DONE with `*complete` whether offset equals length. */
enum tus_outcome tus_upload_is_complete(struct tus_upload *upload, bool *complete);

/* Terminates the upload where the server offers it (Tus termination extension); best effort. */
enum tus_outcome tus_upload_terminate(struct tus_upload *upload);

#endif
