/* The sandbox: an embedded Aurabox for demos, commissioning and tests. Checks HMAC, tokens, scopes,
 * limits and call order as strictly as the protocol asks, serves Tus 1.0.0, keeps the zips in a
 * folder and says on standard output what it received. Keeps its state in memory.
 */
#ifndef AURABRIDGE_SANDBOX_H
#define AURABRIDGE_SANDBOX_H

#include "aurabridge/clock.h"
#include "aurabridge/error.h"

#include <stdbool.h>
#include <stdint.h>

struct sandbox;

struct sandbox_options {
    const char *listen;    /* "127.0.0.1:8080"; port 0: any free one */
    const char *directory; /* for the zips and the JSON of what was announced */
    const char *app_id, *app_secret, *service_api_key;
    const char *tus_endpoint; /* another Tus server to hand out; null: its own */
    unsigned limit_exchange, limit_config, limit_lifecycle; /* a minute */
    const char *const *faults; /* "METHOD PATH:STATUS[:TIMES]" and others, see `sandbox --help` */
    size_t fault_count;
};

int sandbox_open(struct sandbox **out, const struct sandbox_options *options,
                 const struct clock *clock, struct error *err);
uint16_t sandbox_port(const struct sandbox *sandbox);
int sandbox_start(struct sandbox *sandbox, struct error *err);
void sandbox_stop(struct sandbox *sandbox);
void sandbox_free(struct sandbox *sandbox);

#endif
