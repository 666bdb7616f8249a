/* Ending an upload: `complete`, `error`, `cancel`. Once `complete` may have been heard, `error` and
 * `cancel` never are sent; its lost answer is asked for again and never guessed. What it refuses is
 * looked into: bytes that are not there are sent again, an upload that it forgot is announced
 * again.
 */
#include "stage.h"

#include "aurabridge/log.h"

#include <inttypes.h>
#include <stdio.h>

#define PARTS_OF_AGE 4

/* ---- complete ---- */

static enum stage_result completed(struct stage *stage, const char *reason)
{
    stage_answered(stage, GATE_COMPLETE);
    if (stage_record_step(stage, STEP_COMPLETE_DONE) != 0)
        return stage->result;
    return stage_done(stage, STUDY_COMPLETED, reason);
}

/* Makes the call. Returns 0 with its reply, or -1 with the outcome. */
static int call_complete(struct stage *stage, struct aurabox_reply *reply)
{
    struct ledger_upload *upload = &stage->study.upload;
    if (stage_record_step(stage, STEP_COMPLETE_SENT) != 0)
        return -1;
    do
        (void)aurabox_complete(stage->worker->client, upload->upload_id, upload->assembly_id,
                               upload->complete_unanswered, reply);
    while (reply->outcome == AURABOX_LIMITED && stage_wait(stage, reply->retry_after_ms));
    if (reply->outcome == AURABOX_OK)
        return 0;
    /* What was refused, or never went out, was surely not done. */
    if (!reply->answered)
        upload->complete_unanswered = true;
    return stage_record_step(stage, STEP_UPLOAD_DONE);
}

/* Aurabox itself judged the upload, so that looking at the bytes may help. */
static bool is_judged(const struct aurabox_reply *reply)
{
    return reply->outcome == AURABOX_CONFLICT || reply->outcome == AURABOX_FORGOTTEN ||
           reply->outcome == AURABOX_REJECTED || (reply->answered && reply->status == 409);
}

/* A server that loses the bytes each time gets them ever more rarely. The attempts do not tell how
 * often that was, since the states in between begin them anew; the age of the study does. */
static int64_t part_of_age(const struct stage *stage)
{
    int64_t ceiling_ms = stage->config->upload.retry_ceiling_ms;
    int64_t age_ms = clock_wall_ms(stage->bridge->clock) - stage->study.last_received_ms;
    return age_ms / PARTS_OF_AGE < ceiling_ms ? age_ms / PARTS_OF_AGE : ceiling_ms;
}

static enum stage_result send_again(struct stage *stage, const struct aurabox_reply *reply)
{
    char reason[LEDGER_REASON_SIZE];
    bool unknown = reply->status == 404 || reply->outcome == AURABOX_FORGOTTEN;
    (void)snprintf(reason, sizeof reason, "%.400s; not all of it is there, so it is sent again",
                   reply->text);
    if (stage_record_step(stage, unknown ? STEP_INIT_SENT : STEP_START_DONE) != 0)
        return stage->result;
    return stage_ends(stage, STAGE_RETRY, part_of_age(stage), reason);
}

/* Every byte is there, so that it is a matter of announcing them. */
static int announce_again(struct stage *stage, const struct aurabox_reply *reply)
{
    log_warning("delivery", "study S%" PRId64 ": %s; announcing it again", stage->study.id,
                reply->text);
    if (stage_record_step(stage, STEP_INIT_SENT) != 0 || announce_upload(stage) != 0)
        return -1;
    return stage_record_step(stage, STEP_UPLOAD_DONE);
}

/* What nobody here can put right. */
static enum stage_result refused(struct stage *stage, const struct aurabox_reply *reply)
{
    char reason[LEDGER_REASON_SIZE];
    stage->place = GATE_COMPLETE;
    if (stage_from_reply(stage, reply) != STAGE_RETRY || !is_judged(reply))
        return stage->result;
    (void)snprintf(reason, sizeof reason,
                   "%.300s; it has every byte and does not take them: ask Aurabox why, or cancel "
                   "the study and retry it as a new upload",
                   reply->text);
    return stage_ends(stage, STAGE_RETRY, stage->delay_ms, reason);
}

enum stage_result conclude_complete(struct stage *stage)
{
    struct ledger_upload *upload = &stage->study.upload;
    if (upload->step == STEP_COMPLETE_DONE)
        return stage_done(stage, STUDY_COMPLETED, "Aurabox confirmed");
    if (upload->step < STEP_UPLOAD_DONE)
        return stage_done(stage, STUDY_UPLOADING, stage->study.reason);
    /* A life of the process that ended with the call under way did not hear the answer. */
    if (upload->step == STEP_COMPLETE_SENT)
        upload->complete_unanswered = true;
    if (stage->study.cancel_requested && !upload->complete_unanswered)
        return stage_done(stage, STUDY_UPLOADING, "Aurabox did not take it, and a person cancels");
    for (bool again = false;; again = true) {
        struct aurabox_reply reply;
        bool complete = false;
        if (call_complete(stage, &reply) != 0)
            return stage->result;
        if (reply.outcome == AURABOX_OK)
            return completed(stage, "Aurabox confirmed");
        if (!is_judged(&reply))
            return refused(stage, &reply);
        if (transfer_is_complete(stage, &complete) != 0)
            return stage->result;
        if (!complete)
            return send_again(stage, &reply);
        if (reply.outcome == AURABOX_CONFLICT)
            return completed(stage, "Aurabox knows it as ended and has every byte");
        if (reply.outcome != AURABOX_FORGOTTEN || again)
            return refused(stage, &reply);
        if (announce_again(stage, &reply) != 0)
            return stage->result;
    }
}

/* ---- error and cancel ---- */

/* The server took the report, or judged the upload itself: unknown to it, or ended. What it says of
 * credentials, of the way or of itself leaves the report to be made. */
static bool is_settled(const struct aurabox_reply *reply)
{
    return reply->outcome == AURABOX_OK ||
           (reply->answered &&
            (reply->status == 400 || reply->status == 404 || reply->status == 409 ||
             reply->status == 410 || reply->status == 422));
}

/* Only this study waits: others need not, for a report that is refused. */
static enum stage_result report_later(struct stage *stage, const struct aurabox_reply *reply)
{
    if (stage_from_reply(stage, reply) == STAGE_PAUSE)
        stage->result = STAGE_RETRY;
    return stage->result;
}

enum stage_result conclude_error(struct stage *stage, const char *reason)
{
    struct ledger_upload *upload = &stage->study.upload;
    if (upload->complete_unanswered)
        return stage_done(stage, STUDY_FAILED, reason);
    if (stage_record_step(stage, STEP_ERROR_SENT) != 0) {
        /* What was to be reported stays the reason. */
        return stage_ends(stage, stage->result, stage->delay_ms, reason);
    }
    struct aurabox_reply reply;
    do
        (void)aurabox_error(stage->worker->client, upload->upload_id, reason, &reply);
    while (reply.outcome == AURABOX_LIMITED && stage_wait(stage, reply.retry_after_ms));
    if (!is_settled(&reply)) {
        enum stage_result result = report_later(stage, &reply);
        /* The reason is what is still to be reported, not why the report is late. */
        return stage_ends(stage, result, stage->delay_ms, reason);
    }
    if (stage_record_step(stage, STEP_ERROR_DONE) != 0)
        return stage->result;
    return stage_done(stage, STUDY_FAILED, reason);
}

enum stage_result conclude_cancel(struct stage *stage)
{
    struct ledger_upload *upload = &stage->study.upload;
    if (upload->step == STEP_NONE || upload->step == STEP_ERROR_DONE)
        return stage_done(stage, STUDY_CANCELLED, "cancelled by a person before it was announced");
    if (upload->complete_unanswered)
        return stage_done(stage, STUDY_CANCELLED,
                          "cancelled by a person; Aurabox may have taken it as complete before");
    if (upload->upload_url[0] && announce_lift(stage) == 0)
        transfer_terminate(stage);
    if (stage_record_step(stage, STEP_ERROR_SENT) != 0)
        return stage->result;
    struct aurabox_reply reply;
    do
        (void)aurabox_cancel(stage->worker->client, upload->upload_id, &reply);
    while (reply.outcome == AURABOX_LIMITED && stage_wait(stage, reply.retry_after_ms));
    if (!is_settled(&reply))
        return report_later(stage, &reply);
    if (stage_record_step(stage, STEP_ERROR_DONE) != 0)
        return stage->result;
    return stage_done(stage, STUDY_CANCELLED, "cancelled by a person");
}
