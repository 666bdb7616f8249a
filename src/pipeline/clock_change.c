/* When the wall clock is set. What is due is noted by it, so that it means the same after a
 * restart; a clock that ran ahead (a machine that came up in 2036 and then asked for the time)
 * leaves studies that are due in years. Those are brought back; nothing else is touched. A clock
 * that is set forward makes things due early, which is a supplement more. What has gone by its age
 * does not come back, so that housekeeping.c waits for a clock that is left alone. */
#include "bridge_state.h"

#include "aurabridge/ledger_due.h"
#include "aurabridge/log.h"

#include <inttypes.h>

#define NOTABLE_MS             30000
#define LONGEST_RETRY_AFTER_MS (3600LL * 1000) /* no server is heeded longer */

struct repair {
    struct bridge *bridge;
    const struct config *config;
    int64_t now;
    unsigned moved;
    struct error *err;
};

/* Nothing is put off for longer, by backoff or by a server, so that it is due by a clock that ran
 * ahead. What that put off less stays, and comes late by this at most. */
static int64_t longest_delay(const struct config *config)
{
    int64_t ceiling_ms = config->upload.retry_ceiling_ms;
    return (ceiling_ms > LONGEST_RETRY_AFTER_MS ? ceiling_ms : LONGEST_RETRY_AFTER_MS) + NOTABLE_MS;
}

static int repair_one(void *context, const struct ledger_study *study)
{
    struct repair *repair = context;
    struct ledger *ledger = repair->bridge->ledger;
    int failed = 0;
    if (study->state == STUDY_RECEIVING &&
        study->due_ms > repair->now + repair->config->study.max_wait_ms)
        failed = ledger_defer(ledger, study->id, study->state,
                              repair->now + assembler_quiet_period(study, repair->config),
                              "the clock was set", false, repair->err);
    else if (study_state_is_in_flight(study->state) &&
             study->retry_at_ms > repair->now + longest_delay(repair->config))
        failed = ledger_study_retry(ledger, study->id, repair->err);
    else
        return 0;
    repair->moved++;
    return failed == LEDGER_CONFLICT ? 0 : failed;
}

int clock_change_repair(struct bridge *bridge, struct error *err)
{
    struct config *config = bridge_config(bridge);
    struct repair repair = {
        .bridge = bridge, .config = config, .now = clock_wall_ms(bridge->clock), .err = err};
    bool is_any = false;
    int failed = ledger_waits_later(bridge->ledger, &is_any, repair.now + config->study.max_wait_ms,
                                    repair.now + longest_delay(config), err);
    if (is_any)
        failed = ledger_studies(bridge->ledger, -1, repair_one, &repair, err);
    config_release(config);
    if (repair.moved > 0)
        log_warning("clock", "%u studies were due by a clock that ran ahead; they are due now",
                    repair.moved);
    return failed;
}

int64_t clock_change_seen(struct time_watch *watch, int64_t wall_ms, int64_t monotonic_ms)
{
    int64_t difference = wall_ms - monotonic_ms;
    int64_t change = difference - watch->difference_ms;
    bool was_set = watch->begun && (change > NOTABLE_MS || change < -NOTABLE_MS);
    if (was_set || !watch->begun)
        watch->since_ms = monotonic_ms;
    watch->begun = true;
    watch->difference_ms = difference;
    return was_set ? change : 0;
}

void clock_change_watch(struct bridge *bridge, struct time_watch *watch)
{
    int64_t change =
        clock_change_seen(watch, clock_wall_ms(bridge->clock), clock_monotonic_ms(bridge->clock));
    if (change == 0)
        return;
    log_warning("clock", "the machine's clock was set by %" PRId64 " s", change / 1000);
    struct error err;
    if (change < 0 && clock_change_repair(bridge, &err) != 0)
        log_error("clock", "studies may be due late: %s", err.text);
    bridge_wake(bridge);
}
