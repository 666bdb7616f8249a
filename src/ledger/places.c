/* The places of law 2: where an acknowledged instance may be. Pure functions. */
#include "aurabridge/ledger_audit.h"

static const char *const names[LEDGER_PLACE_COUNT] = {
    [PLACE_RECEIVING] = "receiving",     [PLACE_WAITING] = "waiting",
    [PLACE_UPLOADING] = "uploading",     [PLACE_QUARANTINED] = "quarantined",
    [PLACE_COMPLETED] = "completed",     [PLACE_SUPERSEDED] = "superseded",
    [PLACE_RESENDS] = "resends",         [PLACE_SWALLOWED_RESENDS] = "swallowed_resends",
    [PLACE_DROPPED] = "dropped_by_rule", [PLACE_DISCARDED] = "discarded",
};

/* Of what is stored. */
static const enum ledger_place place_of[STUDY_STATE_COUNT] = {
    [STUDY_RECEIVING] = PLACE_RECEIVING,     [STUDY_VALIDATING] = PLACE_WAITING,
    [STUDY_QUARANTINED] = PLACE_QUARANTINED, [STUDY_UNROUTED] = PLACE_WAITING,
    [STUDY_READY] = PLACE_WAITING,           [STUDY_PACKAGING] = PLACE_WAITING,
    [STUDY_UPLOADING] = PLACE_UPLOADING,     [STUDY_CONFIRMING] = PLACE_UPLOADING,
    [STUDY_COMPLETED] = PLACE_COMPLETED,     [STUDY_FAILED] = PLACE_WAITING,
    [STUDY_CANCELLED] = PLACE_WAITING,       [STUDY_DISCARDED] = PLACE_DISCARDED,
};

const char *ledger_place_name(enum ledger_place place)
{
    return names[place];
}

static uint64_t not_stored(const struct ledger_audit *audit, enum ledger_place place)
{
    switch (place) {
    case PLACE_SUPERSEDED:
        return audit->superseded;
    case PLACE_RESENDS:
        return audit->resends;
    case PLACE_SWALLOWED_RESENDS:
        return audit->swallowed_resends;
    case PLACE_DROPPED:
        return audit->dropped;
    case PLACE_DISCARDED:
        return audit->discarded;
    default:
        return 0;
    }
}

uint64_t ledger_audit_at(const struct ledger_audit *audit, enum ledger_place place)
{
    uint64_t count = not_stored(audit, place);
    for (unsigned state = 0; state < STUDY_STATE_COUNT; state++)
        count += place_of[state] == place ? audit->stored[state] : 0;
    return count;
}

uint64_t ledger_audit_sum(const struct ledger_audit *audit)
{
    uint64_t sum = 0;
    for (int place = 0; place < LEDGER_PLACE_COUNT; place++)
        sum += ledger_audit_at(audit, (enum ledger_place)place);
    return sum;
}
