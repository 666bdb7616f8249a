/* The assembler: one thread that notices when a study is complete, has it validated, and finds out
 * whether it has a route. What it decides is in the ledger before it goes on. */
#include "bridge_state.h"

#include "gate.h"
#include "kept_entry.h"
#include "restart.h"
#include "study_values.h"

#include "aurabridge/ledger_due.h"
#include "aurabridge/log.h"
#include "aurabridge/package.h"
#include "aurabridge/route.h"
#include "aurabridge/validate.h"

#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

/* After a failure of the machine's own (disk, memory): not at once, not never. */
#define LOCAL_FAULT_DELAY_MS   5000
#define LOCAL_FAULT_CEILING_MS 300000
#define SHORTEST_LOOK_MS       1000

int64_t assembler_quiet_period(const struct ledger_study *study, const struct config *config)
{
    const struct config_map_entry *entry = route_entry_of_key(config, study->route_key);
    return entry && entry->quiet_period_ms >= 0 ? entry->quiet_period_ms
                                                : config->study.quiet_period_ms;
}

/* A hold may end before its time: by the association's next study, or while this is written. So a
 * held study is looked at again after each quiet period. */
static int64_t look_again_at(const struct ledger_study *study, const struct config *config,
                             int64_t now, int64_t complete_at)
{
    int64_t quiet = assembler_quiet_period(study, config);
    int64_t look_at = now + (quiet > SHORTEST_LOOK_MS ? quiet : SHORTEST_LOOK_MS);
    return look_at < complete_at ? look_at : complete_at;
}

/* Why a study that is complete is so. One whose instances do not stop coming has someone to speak
 * to. */
static int completion_reason(char out[LEDGER_REASON_SIZE], struct bridge *bridge,
                             const struct ledger_study *study, const struct config *config,
                             int64_t now, struct error *err)
{
    bool is_late = now >= study->first_received_ms + config->study.max_wait_ms;
    bool is_quiet = study->last_received_ms + assembler_quiet_period(study, config) <= now;
    struct association sender;
    if (!is_late || is_quiet) {
        (void)snprintf(out, LEDGER_REASON_SIZE, "%s",
                       is_late ? "max_wait has passed" : "nothing came for a while");
        return 0;
    }
    if (study_sender(bridge->ledger, study->id, &sender, err) != 0)
        return -1;
    (void)snprintf(
        out, LEDGER_REASON_SIZE,
        "max_wait has passed and %s (%s) did not stop sending; what comes from now on is "
        "a supplement; raise study.max_wait if it belongs into one upload",
        sender.calling_ae_title, sender.peer_address);
    return 0;
}

static int close_study(struct bridge *bridge, const struct ledger_study *study,
                       const struct config *config, struct error *err)
{
    int64_t now = clock_wall_ms(bridge->clock);
    int64_t monotonic = clock_monotonic_ms(bridge->clock);
    int64_t max_wait_at = study->first_received_ms + config->study.max_wait_ms;
    /* Holds live on the monotonic clock: carry the difference over to what people see. */
    int64_t complete_at =
        study_complete_at(bridge->holds, study->id, monotonic, config->study.association_hold_ms,
                          monotonic + (max_wait_at - now)) -
        monotonic + now;
    if (complete_at > now)
        return ledger_defer(bridge->ledger, study->id, STUDY_RECEIVING,
                            look_again_at(study, config, now, complete_at),
                            "held: the association that delivers it is still open", false, err);
    char reason[LEDGER_REASON_SIZE];
    if (completion_reason(reason, bridge, study, config, now, err) != 0)
        return -1;
    return ledger_advance(bridge->ledger, study->id, STUDY_RECEIVING, STUDY_VALIDATING, reason,
                          err);
}

/* An entry of the map as it is now, for a study whose sender matched none when it came. */
static int find_route(struct bridge *bridge, struct ledger_study *study,
                      const struct config *config, struct error *err)
{
    struct association sender;
    if (study_sender(bridge->ledger, study->id, &sender, err) != 0)
        return -1;
    const struct config_map_entry *entry = route_match(config, &sender);
    if (!entry)
        return 0;
    char key[ROUTE_KEY_SIZE];
    if (route_key(key, entry, &sender) != 0)
        return error_set(err, "no memory for a route key");
    int failed = ledger_set_route(bridge->ledger, study->id, key, entry->name, entry->destination,
                                  entry->priority, err);
    return failed ? failed : ledger_study(bridge->ledger, study, study->id, err);
}

/* What waits for a person, or for a map, keeps no second copy of its instances meanwhile. */
static int set_aside(struct bridge *bridge, const struct ledger_study *study, enum study_state to,
                     const char *reason, struct error *err)
{
    struct error why;
    int failed = ledger_advance(bridge->ledger, study->id, STUDY_VALIDATING, to, reason, err);
    if (!failed && package_remove(bridge->spool, study->id, &why) != 0)
        log_warning("assembler", "what was compressed of S%" PRId64 " stays: %s", study->id,
                    why.text);
    return failed;
}

static int decide(struct bridge *bridge, const struct ledger_study *study,
                  const struct validate_result *result, struct error *err)
{
    if (result->warning[0] &&
        ledger_set_warning(bridge->ledger, study->id, result->warning, err) != 0)
        return -1;
    if (result->verdict != VALIDATE_PASS)
        return set_aside(bridge, study, STUDY_QUARANTINED, result->reason, err);
    if (!study->destination[0])
        return set_aside(bridge, study, STUDY_UNROUTED,
                         "no entry of the AE-title map matches its sender", err);
    return ledger_advance(bridge->ledger, study->id, STUDY_VALIDATING, STUDY_READY, "valid", err);
}

static int judge_study(struct bridge *bridge, struct ledger_study *study,
                       const struct config *config, struct error *err)
{
    int failed = study->destination[0] ? 0 : find_route(bridge, study, config, err);
    if (failed)
        return failed;
    struct kept_entry kept;
    if (kept_entry_of_study(&kept, bridge->spool, config, study, err) != 0)
        return -1;
    struct study_values values;
    study_values_init(&values, bridge->ledger, bridge->spool, study->id,
                      config->dicom.default_character_set);
    struct attribute_source source = study_values_source(&values);
    struct validate_result result;
    failed = validate_study(&result, bridge->ledger, study, config, kept.entry, &source, err);
    kept_entry_free(&kept);
    return failed ? failed : decide(bridge, study, &result, err);
}

/* Returns -1 when not even the failure could be recorded: the study is still due at once. */
static int assemble(struct bridge *bridge, int64_t id)
{
    struct config *config = bridge_config(bridge);
    struct ledger_study study = {.id = id};
    struct error err;
    int failed = ledger_study(bridge->ledger, &study, id, &err);
    bool is_known = !failed;
    if (!failed && study.state == STUDY_RECEIVING)
        failed = close_study(bridge, &study, config, &err);
    else if (!failed && study.state == STUDY_VALIDATING &&
             (failed = judge_study(bridge, &study, config, &err)) == 0)
        bridge_wake(bridge); /* it may be ready for a worker */
    config_release(config);
    if (!failed || failed == LEDGER_CONFLICT)
        return 0;
    if (!bridge_met_full_ledger(bridge, failed))
        log_error("assembler", "study S%" PRId64 " waits: %s", id, err.text);
    /* A full disk is not the study's fault: it waits no longer for having met it often. */
    bool counts = !spool_is_full(bridge->spool);
    int64_t later =
        clock_wall_ms(bridge->clock) +
        backoff_delay(counts ? study.attempt : 0, LOCAL_FAULT_DELAY_MS, LOCAL_FAULT_CEILING_MS);
    if (is_known)
        failed = ledger_defer(bridge->ledger, id, study.state, later, err.text, counts, &err);
    return failed && failed != LEDGER_CONFLICT ? -1 : 0;
}

void assembler_unhold(struct bridge *bridge, int64_t study_id)
{
    struct config *config = bridge_config(bridge);
    struct ledger_study study;
    struct error err;
    int failed = ledger_study(bridge->ledger, &study, study_id, &err);
    if (!failed && study.state == STUDY_RECEIVING) {
        int64_t quiet_at = study.last_received_ms + assembler_quiet_period(&study, config);
        if (study.due_ms > quiet_at)
            failed =
                ledger_defer(bridge->ledger, study_id, STUDY_RECEIVING, quiet_at, "", false, &err);
    }
    if (failed && failed != LEDGER_NOT_FOUND && failed != LEDGER_CONFLICT)
        log_warning("assembler", "study S%" PRId64 " stays held until association_hold ends: %s",
                    study_id, err.text);
    config_release(config);
    bridge_wake(bridge);
}

struct reroute {
    struct bridge *bridge;
    struct config *config;
    struct error *err;
};

static int reroute_one(void *context, const struct ledger_study *study)
{
    struct reroute *reroute = context;
    struct ledger *ledger = reroute->bridge->ledger;
    struct association sender;
    if (study_sender(ledger, study->id, &sender, reroute->err) != 0)
        return -1;
    if (!route_match(reroute->config, &sender))
        return 0;
    int failed = ledger_advance(ledger, study->id, STUDY_UNROUTED, STUDY_VALIDATING,
                                "the AE-title map has an entry for it now", reroute->err);
    return failed == LEDGER_CONFLICT ? 0 : failed;
}

/* A new map: unrouted studies that it has an entry for are validated again, which routes them. */
static int64_t reroute_when_due(struct bridge *bridge, int64_t now)
{
    if (!atomic_exchange(&bridge->reroute_due, false))
        return INT64_MAX;
    struct error err;
    struct reroute reroute = {.bridge = bridge, .config = bridge_config(bridge), .err = &err};
    int failed = ledger_studies(bridge->ledger, STUDY_UNROUTED, reroute_one, &reroute, &err);
    config_release(reroute.config);
    if (!failed)
        return INT64_MAX;
    atomic_store(&bridge->reroute_due, true);
    log_error("assembler", "unrouted studies are looked at again in %d s: %s",
              LOCAL_FAULT_DELAY_MS / 1000, err.text);
    return now + LOCAL_FAULT_DELAY_MS;
}

/* The next study that is due, but for those that a restart kept from hearing of more. */
static int next_heard(struct bridge *bridge, int64_t *id, int64_t now, int64_t *next,
                      struct error *err)
{
    for (;;) {
        *next = INT64_MAX;
        bool was_put_off = false;
        int found = ledger_study_due(bridge->ledger, id, now, next, err);
        if (found != 0)
            return found;
        int failed = restart_put_off(bridge, *id, now, &was_put_off, err);
        if (failed || !was_put_off)
            return failed;
    }
}

/* What came in time and stands in the journal still keeps its study open. */
static int next_due(struct bridge *bridge, int64_t *id, int64_t now, int64_t *next,
                    struct error *err)
{
    int found = next_heard(bridge, id, now, next, err);
    if (found != 0)
        return found;
    struct error why;
    if (bridge_settle(bridge, &why) != 0) {
        *next = now + LOCAL_FAULT_DELAY_MS; /* who settles says why */
        return LEDGER_NOT_FOUND;
    }
    *next = INT64_MAX;
    return ledger_study_due(bridge->ledger, id, now, next, err);
}

void *assembler_run(void *context)
{
    struct bridge *bridge = context;
    uint64_t seen = 0;
    struct time_watch watch = {0};
    while (!atomic_load(&bridge->stopping)) {
        clock_change_watch(bridge, &watch);
        int64_t now = clock_wall_ms(bridge->clock);
        int64_t reroute_at = reroute_when_due(bridge, now);
        int64_t next = INT64_MAX;
        int64_t id = 0;
        struct error err;
        int found = next_due(bridge, &id, now, &next, &err);
        if (found == 0 && assemble(bridge, id) == 0)
            continue;
        if (found == 0) {
            next = now + LOCAL_FAULT_DELAY_MS;
        } else if (found != LEDGER_NOT_FOUND) {
            if (!bridge_met_full_ledger(bridge, found))
                log_error("assembler", "the ledger does not answer: %s", err.text);
            next = now + LOCAL_FAULT_DELAY_MS;
        }
        bridge_wait(bridge, &seen, next < reroute_at ? next : reroute_at);
    }
    return NULL;
}
