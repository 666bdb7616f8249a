/* What holds up each destination, for people and their monitoring. Reads only; no patient data. */
#include "delivery.h"

#include "aurabridge/ledger_due.h"

#include <string.h>

const char *bridge_brake_name(enum bridge_brake brake)
{
    static const char *const names[] = {[BRAKE_NONE] = "none",
                                        [BRAKE_AWAY] = "away",
                                        [BRAKE_CALLS] = "calls",
                                        [BRAKE_BYTES] = "bytes"};
    return names[brake];
}

/* While one worker waits for a call, others may be sending: with more calls it would go on, so the
 * calls are the brake. */
static enum bridge_brake brake_of(const struct delivery_activity *activity)
{
    if (activity->reason[0])
        return BRAKE_AWAY;
    if (activity->lacking_calls > 0)
        return BRAKE_CALLS;
    return activity->sending > 0 ? BRAKE_BYTES : BRAKE_NONE;
}

static int describe(struct bridge *bridge, const struct config_destination *settings,
                    struct bridge_destination *out, struct error *err)
{
    struct delivery_activity activity;
    struct aurabox_budget budget;
    pthread_mutex_lock(&bridge->deliveries_lock);
    deliveries_activity_of(bridge->deliveries, settings->name, &activity);
    pthread_mutex_unlock(&bridge->deliveries_lock);
    *out = (struct bridge_destination){.name = settings->name,
                                       .brake = brake_of(&activity),
                                       .until_ms = activity.until_ms,
                                       .lacking_calls = activity.lacking_calls,
                                       .busy = activity.busy,
                                       .sending = activity.sending,
                                       .bytes_per_second = activity.bytes_per_second,
                                       .bytes_sent = activity.bytes_sent,
                                       .bytes_limit = bandwidth_rate(&bridge->bandwidth)};
    memcpy(out->reason, activity.reason, sizeof out->reason);
    if (aurabox_budget(&budget, settings, spool_directory(bridge->spool), AURABOX_LIFECYCLE,
                       bridge->clock, err) != 0)
        return -1;
    out->calls_limit = budget.limit;
    out->calls_left = budget.left;
    out->next_call_ms = budget.next_ms;
    return ledger_waiting(bridge->ledger, &out->waiting, settings->name, err);
}

int bridge_destinations(struct bridge *bridge,
                        int (*visit)(void *context, const struct bridge_destination *destination),
                        void *context, struct error *err)
{
    struct config *config = bridge_config(bridge);
    int result = 0;
    for (size_t i = 0; result == 0 && i < config->destination_count; i++) {
        struct bridge_destination destination;
        result = describe(bridge, &config->destinations[i], &destination, err);
        if (result == 0)
            result = visit(context, &destination);
    }
    config_release(config);
    return result;
}

uint64_t bridge_sent(struct bridge *bridge, int64_t study_id)
{
    pthread_mutex_lock(&bridge->deliveries_lock);
    uint64_t sent = deliveries_sent_of(bridge->deliveries, study_id);
    pthread_mutex_unlock(&bridge->deliveries_lock);
    return sent;
}
