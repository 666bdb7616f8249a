/* The table of calls, and what stands between a request and its row: the rate limits first, for a
 * real server counts every call; then the faults; then the work.
 */
#include "routes.h"

#include "misbehave.h"
#include "server.h"
#include "tus_server.h"

#include <stdlib.h>
#include <string.h>

static const struct route table[] = {
    {"POST", "/api/auth/exchange", AURABOX_EXCHANGE, auth_exchange, 0},
    {"GET", "/api/uploader/config", AURABOX_CONFIG, lifecycle_config, 0},
    {"POST", "/api/uploader/upload/init", AURABOX_LIFECYCLE, lifecycle_init, 0},
    {"POST", "/api/uploader/upload/start", AURABOX_LIFECYCLE, lifecycle_start, 0},
    {"POST", "/api/uploader/upload/complete", AURABOX_LIFECYCLE, lifecycle_complete, 0},
    {"POST", "/api/uploader/upload/error", AURABOX_LIFECYCLE, lifecycle_error, 0},
    {"POST", "/api/uploader/upload/cancel", AURABOX_LIFECYCLE, lifecycle_cancel, 0},
    {"GET", "/sandbox/state", -1, state_show, 0},
    {"POST", "/sandbox/faults", -1, misbehave_add, 0},
    {"DELETE", "/sandbox/faults", -1, misbehave_end, 0}};
#define TABLE_COUNT (sizeof table / sizeof table[0])

struct route *routes_new(size_t *count)
{
    struct route *routes = malloc(sizeof table);
    if (!routes)
        return NULL;
    memcpy(routes, table, sizeof table);
    *count = TABLE_COUNT;
    return routes;
}

static bool is_tus(const struct call *call)
{
    size_t length = strlen(SANDBOX_TUS_PATH);
    return strncmp(call->path, SANDBOX_TUS_PATH, length) == 0 &&
           (call->path[length] == '\0' || call->path[length] == '/');
}

/* Under the lock. */
static void find_route(struct call *call)
{
    struct sandbox *sandbox = call->sandbox;
    bool known = false;
    for (size_t i = 0; i < sandbox->route_count; i++) {
        struct route *route = &sandbox->routes[i];
        if (strcmp(route->path, call->path) != 0)
            continue;
        known = true;
        if (strcmp(route->method, call->method) == 0) {
            call->route = route;
            route->calls++;
        }
    }
    if (!call->route)
        call_reply_message(call, known ? 405 : 404,
                           known ? "Another method is asked for here." : "There is no such call.");
}

/* Under the lock. */
static void count_arrival(struct call *call)
{
    struct sandbox *sandbox = call->sandbox;
    int64_t retry_after_s = 0;
    if (!call->route || call->route->bucket < 0)
        return;
    if (limit_arrive(&sandbox->limits[call->route->bucket], clock_monotonic_ms(sandbox->clock),
                     &retry_after_s))
        return;
    call_add_header(call, "Retry-After", "%lld", (long long)retry_after_s);
    call_reply_message(call, 429, "Too many calls; wait %lld s.", (long long)retry_after_s);
}

void routes_begin(struct call *call)
{
    struct sandbox *sandbox = call->sandbox;
    bool tus = is_tus(call);
    sandbox_lock(sandbox);
    if (tus)
        sandbox->tus_calls++;
    else
        find_route(call);
    count_arrival(call);
    sandbox_unlock(sandbox);
    if (call->status == 0)
        misbehave_begin(call, tus);
    if (tus && call->status == 0 && !call->hung)
        tus_server_begin(call);
}

void routes_finish(struct call *call)
{
    if (call->status == 0 && call->route && call->route->bucket == AURABOX_LIFECYCLE)
        misbehave_finish(call);
    if (call->hung)
        return;
    if (is_tus(call) && !call->faulted && !call->target_too_long)
        tus_server_finish(call);
    else if (call->status == 0 && call->route)
        call->route->handle(call);
    sandbox_lock(call->sandbox);
    if (call->status >= 400 && call->status < 500 && !call->faulted)
        call->sandbox->refused++;
    sandbox_unlock(call->sandbox);
}
