/* The states of a study and the pure table of transitions between them. */
#ifndef AURABRIDGE_STUDY_STATE_H
#define AURABRIDGE_STUDY_STATE_H

#include <stdbool.h>

enum study_state {
    STUDY_RECEIVING,   /* takes instances */
    STUDY_VALIDATING,  /* complete; the rules are being asked */
    STUDY_QUARANTINED, /* a rule refused it; waits for a person */
    STUDY_UNROUTED,    /* no map entry matches; waits for a map reload */
    STUDY_READY,       /* waits for a worker of its destination */
    STUDY_PACKAGING,   /* the archive is being laid out */
    STUDY_UPLOADING,   /* announced; bytes are on their way */
    STUDY_CONFIRMING,  /* all bytes are there; `complete` is being asked for */
    STUDY_COMPLETED,   /* Aurabox confirmed */
    STUDY_FAILED,      /* permanent; `error` was reported */
    STUDY_CANCELLED,   /* an operator withdrew it; the instances are kept */
    STUDY_DISCARDED,   /* a person threw it away */
    STUDY_STATE_COUNT
};

/* What becomes of a new data set under a SOP Instance UID that the study knows already. */
enum changed_duplicate {
    CHANGED_DUPLICATE_SUPPLEMENT, /* it goes up in a following upload */
    CHANGED_DUPLICATE_KEEP_FIRST,
    CHANGED_DUPLICATE_REPLACE,
    CHANGED_DUPLICATE_QUARANTINE
};

/* Which study a worker takes first. The words are those of the configuration. */
enum study_priority {
    PRIORITY_NORMAL,
    PRIORITY_URGENT, /* before all others that came up to a week earlier, and has a worker apart */
    PRIORITY_LOW     /* after all others that come up to a day later */
};

const char *study_priority_name(enum study_priority priority);
/* Returns 0, or -1 when no priority has the name. */
int study_priority_parse(enum study_priority *out, const char *name);

/* The name as operators and the ledger know it ("receiving"). */
const char *study_state_name(enum study_state state);

/* Returns 0, or -1 when no state has the name. */
int study_state_parse(enum study_state *out, const char *name);

/* Whether the table has the transition. A state never follows itself. */
bool study_state_allows(enum study_state from, enum study_state to);

/* Completed, failed, cancelled or discarded: nothing happens by itself any more. */
bool study_state_is_final(enum study_state state);

/* Left reception, not final, and not waiting for a person or a map: a later upload of the same
 * study must not overtake it. */
bool study_state_is_in_flight(enum study_state state);

#endif
