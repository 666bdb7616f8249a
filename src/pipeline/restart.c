/* See the header. Thousands of studies may be due at a start, while all senders come back. */
#include "restart.h"

#include "bridge_state.h"

#include "aurabridge/ledger_due.h"

struct restart {
    const struct config *config;
    int64_t now_ms;
    int64_t up_since_ms; /* wall clock, as it is set now */
};

/* When it is complete as far as the restart goes; what came since the start was heard. */
static int64_t heard_at(void *context, const struct ledger_study *study)
{
    const struct restart *restart = context;
    if (study->last_received_ms >= restart->up_since_ms)
        return restart->now_ms;
    int64_t heard = restart->up_since_ms + assembler_quiet_period(study, restart->config);
    int64_t latest = study->first_received_ms + restart->config->study.max_wait_ms;
    return heard < latest ? heard : latest;
}

int restart_put_off(struct bridge *bridge, int64_t id, int64_t now_ms, bool *was_put_off,
                    struct error *err)
{
    struct ledger_study study;
    int failed = ledger_study(bridge->ledger, &study, id, err);
    *was_put_off = false;
    if (failed || study.state != STUDY_RECEIVING)
        return failed == LEDGER_NOT_FOUND ? 0 : failed;
    struct config *config = bridge_config(bridge);
    struct restart restart = {
        .config = config,
        .now_ms = now_ms,
        .up_since_ms = now_ms - (clock_monotonic_ms(bridge->clock) - bridge->up_since_ms)};
    unsigned moved = 0;
    if (heard_at(&restart, &study) > now_ms)
        failed = ledger_put_off(bridge->ledger, &moved, now_ms, heard_at, &restart,
                                "the bridge was restarted", err);
    config_release(config);
    *was_put_off = moved > 0;
    return failed;
}
