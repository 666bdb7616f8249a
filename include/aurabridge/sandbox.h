/* The sandbox: an embedded Aurabox for demos, commissioning and tests. Checks HMAC, tokens, scopes,
 * limits and call order as strictly as the protocol asks, serves Tus 1.0.0, keeps the zips in a
 * folder and says on standard output what it received. Keeps its state in memory.
 *
 * The API stands below http://HOST:PORT/api, the Tus server at /files/. Under `directory`:
 * <upload_id>.json (the init body), <upload_id>.zip (once completed), requests.jsonl (a line for
 * every request) and tus/ (uploads under way). GET /sandbox/state answers with the counters.
 */
#ifndef AURABRIDGE_SANDBOX_H
#define AURABRIDGE_SANDBOX_H

#include "aurabridge/clock.h"
#include "aurabridge/error.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

struct sandbox;

struct sandbox_options {
    const char *listen;    /* "127.0.0.1:8080", "[::1]:0"; port 0: any free one */
    const char *directory; /* for the zips and the JSON of what was announced; made when absent */
    const char *app_id, *app_secret, *service_api_key;
    const char *tus_endpoint; /* another Tus server to hand out, and then `complete` does not look
                                 at the zip; null: its own */
    unsigned limit_exchange, limit_config, limit_lifecycle; /* a minute; 0: 10, 30, 60 */
    const char *const *faults;                              /* as sandbox_fault_help explains */
    size_t fault_count;
};

/* Reads the options (copied), makes the directory and listens; answers nothing yet. `*out` is the
 * caller's; `clock` must outlive it. Returns 0 or -1. */
int sandbox_open(struct sandbox **out, const struct sandbox_options *options,
                 const struct clock *clock, struct error *err);
/* The port it listens on, known once open. */
uint16_t sandbox_port(const struct sandbox *sandbox);
/* Answers from now on, in threads of its own. Prints nothing but the line for each study that
 * arrived: "received study UID: N instances, N bytes, upload ID, N s". Returns 0 or -1. */
int sandbox_start(struct sandbox *sandbox, struct error *err);
/* Closes every connection and waits for its threads. It cannot be started again. */
void sandbox_stop(struct sandbox *sandbox);
/* Stops it when need be. Null is fine. */
void sandbox_free(struct sandbox *sandbox);

/* Writes the grammar of faults, for `sandbox --help`. Returns 0, or -1 when writing fails. */
int sandbox_fault_help(FILE *out);

#endif
