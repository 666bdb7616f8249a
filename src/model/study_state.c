/* The states of a study: one name table, one transition table. */
#include "aurabridge/study_state.h"

#include <string.h>

static const char *const names[STUDY_STATE_COUNT] = {
    [STUDY_RECEIVING] = "receiving",
    [STUDY_VALIDATING] = "validating",
    [STUDY_QUARANTINED] = "quarantined",
    [STUDY_UNROUTED] = "unrouted",
    [STUDY_READY] = "ready",
    [STUDY_PACKAGING] = "packaging",
    [STUDY_UPLOADING] = "uploading",
    [STUDY_CONFIRMING] = "confirming",
    [STUDY_COMPLETED] = "completed",
    [STUDY_FAILED] = "failed",
    [STUDY_CANCELLED] = "cancelled",
    [STUDY_DISCARDED] = "discarded",
};

#define TO(state) (1U << (state))

/* To quarantined from a state past validation: a file that the ledger names is missing. */
static const unsigned allowed[STUDY_STATE_COUNT] = {
    [STUDY_RECEIVING] =
        TO(STUDY_VALIDATING) | TO(STUDY_QUARANTINED) | TO(STUDY_DISCARDED) | TO(STUDY_CANCELLED),
    [STUDY_VALIDATING] = TO(STUDY_READY) | TO(STUDY_QUARANTINED) | TO(STUDY_UNROUTED) |
                         TO(STUDY_DISCARDED) | TO(STUDY_CANCELLED),
    [STUDY_QUARANTINED] = TO(STUDY_VALIDATING) | TO(STUDY_DISCARDED) | TO(STUDY_CANCELLED),
    [STUDY_UNROUTED] =
        TO(STUDY_VALIDATING) | TO(STUDY_QUARANTINED) | TO(STUDY_DISCARDED) | TO(STUDY_CANCELLED),
    [STUDY_READY] = TO(STUDY_PACKAGING) | TO(STUDY_QUARANTINED) | TO(STUDY_FAILED) |
                    TO(STUDY_DISCARDED) | TO(STUDY_CANCELLED),
    [STUDY_PACKAGING] =
        TO(STUDY_UPLOADING) | TO(STUDY_QUARANTINED) | TO(STUDY_FAILED) | TO(STUDY_CANCELLED),
    [STUDY_UPLOADING] = TO(STUDY_CONFIRMING) | TO(STUDY_PACKAGING) | TO(STUDY_QUARANTINED) |
                        TO(STUDY_FAILED) | TO(STUDY_CANCELLED),
    [STUDY_CONFIRMING] = TO(STUDY_COMPLETED) | TO(STUDY_UPLOADING) | TO(STUDY_FAILED),
    [STUDY_FAILED] = TO(STUDY_READY) | TO(STUDY_DISCARDED),
    [STUDY_CANCELLED] = TO(STUDY_READY) | TO(STUDY_VALIDATING) | TO(STUDY_DISCARDED),
};

const char *study_state_name(enum study_state state)
{
    return state < STUDY_STATE_COUNT ? names[state] : "unknown";
}

int study_state_parse(enum study_state *out, const char *name)
{
    for (unsigned state = 0; state < STUDY_STATE_COUNT; state++) {
        if (strcmp(names[state], name) == 0) {
            *out = (enum study_state)state;
            return 0;
        }
    }
    return -1;
}

bool study_state_allows(enum study_state from, enum study_state to)
{
    return from < STUDY_STATE_COUNT && to < STUDY_STATE_COUNT && (allowed[from] & TO(to)) != 0;
}

bool study_state_is_final(enum study_state state)
{
    return state == STUDY_COMPLETED || state == STUDY_FAILED || state == STUDY_CANCELLED ||
           state == STUDY_DISCARDED;
}

bool study_state_is_in_flight(enum study_state state)
{
    return state == STUDY_VALIDATING || state == STUDY_READY || state == STUDY_PACKAGING ||
           state == STUDY_UPLOADING || state == STUDY_CONFIRMING;
}

static const char *const priorities[] = {
    [PRIORITY_NORMAL] = "normal", [PRIORITY_URGENT] = "urgent", [PRIORITY_LOW] = "low"};

const char *study_priority_name(enum study_priority priority)
{
    return priority <= PRIORITY_LOW ? priorities[priority] : "normal";
}

int study_priority_parse(enum study_priority *out, const char *name)
{
    for (unsigned i = 0; i < sizeof priorities / sizeof *priorities; i++) {
        if (strcmp(priorities[i], name) == 0) {
            *out = (enum study_priority)i;
            return 0;
        }
    }
    return -1;
}
