/* One stage of a claimed study. Every file of a stage works on this; the outcome is recorded in
 * exactly one place (stages.c). */
#ifndef AURABRIDGE_PIPELINE_STAGE_H
#define AURABRIDGE_PIPELINE_STAGE_H

#include "delivery.h"

#include "aurabridge/aurabox.h"
#include "aurabridge/package.h"

enum stage_result {
    STAGE_DONE,   /* go on to `next` */
    STAGE_AGAIN,  /* the same state, at once: stopped, interrupted, or something was put right */
    STAGE_RETRY,  /* the same state, after backoff */
    STAGE_PAUSE,  /* the destination is at fault: same state, the gate closes */
    STAGE_REJECT, /* never possible: report by `error`, then failed */
    STAGE_LOCAL   /* this machine is at fault (disk, memory, ledger): same state, later */
};

struct stage {
    struct delivery_worker *worker;
    struct bridge *bridge;
    struct config *config; /* the current one: map, limits, compression */
    struct ledger_study study;
    /* The outcome */
    enum stage_result result;
    enum study_state next;
    int64_t delay_ms;      /* at least, for RETRY and PAUSE; -1: as the backoff says */
    bool progressed;       /* some byte arrived: the backoff starts anew */
    enum gate_place place; /* what is being asked: at fault, when the outcome is PAUSE */
    char reason[LEDGER_REASON_SIZE];
    struct aurabox_lift lift;
};

/* Each writes the outcome; returns it for `return stage_…;`. */
enum stage_result stage_done(struct stage *stage, enum study_state next, const char *reason);
enum stage_result stage_ends(struct stage *stage, enum stage_result result, int64_t delay_ms,
                             const char *reason);
enum stage_result stage_local(struct stage *stage, const struct error *why);

/* Records the upload as it stands in stage->study. Returns 0, or -1 with the outcome LOCAL. */
int stage_record(struct stage *stage);
int stage_record_step(struct stage *stage, enum ledger_step step);

/* Waits for a place in the rate limits, or until the worker stops (then false). */
bool stage_wait(struct stage *stage, int64_t ms);

/* The destination answered there as it should: ends a pause that it was the reason for. */
void stage_answered(struct stage *stage, enum gate_place place);

/* The outcome that a failed call has for the study; never DONE. */
enum stage_result stage_from_reply(struct stage *stage, const struct aurabox_reply *reply);

/* announce.c: the lift config; init and start where they are still due. What Aurabox has forgotten
 * is announced again, under the same upload_id. */
int announce_lift(struct stage *stage);
int announce_upload(struct stage *stage);

/* transfer.c: the bytes by Tus; and taking them back. */
enum stage_result transfer_run(struct stage *stage);
int transfer_is_complete(struct stage *stage, bool *complete);
void transfer_terminate(struct stage *stage);

/* conclude.c: complete, error, cancel. */
enum stage_result conclude_complete(struct stage *stage);
enum stage_result conclude_error(struct stage *stage, const char *reason);
enum stage_result conclude_cancel(struct stage *stage);

#endif
