/* Ending an upload: `complete`, `error`, `cancel`. Once `complete` may have been sent, `error` and
 * `cancel` never are; its lost answer is asked for again and never guessed. */
#include "stage.h"

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

static enum stage_result after_conflict(struct stage *stage, const struct aurabox_reply *reply)
{
    bool complete = false;
    if (transfer_is_complete(stage, &complete) != 0)
        return stage->result;
    if (complete) {
        stage_answered(stage, GATE_COMPLETE);
        if (stage_record_step(stage, STEP_COMPLETE_DONE) != 0)
            return stage->result;
        return stage_done(stage, STUDY_COMPLETED, "Aurabox knows it as ended and has every byte");
    }
    if (stage_record_step(stage, STEP_START_DONE) != 0)
        return stage->result;
    return stage_done(stage, STUDY_UPLOADING, reply->text);
}

enum stage_result conclude_complete(struct stage *stage)
{
    struct ledger_upload *upload = &stage->study.upload;
    if (upload->step == STEP_COMPLETE_DONE)
        return stage_done(stage, STUDY_COMPLETED, "Aurabox confirmed");
    /* A life of the process that ended with the call under way did not hear the answer. */
    if (upload->step == STEP_COMPLETE_SENT)
        upload->complete_unanswered = true;
    if (stage_record_step(stage, STEP_COMPLETE_SENT) != 0)
        return stage->result;
    struct aurabox_reply reply;
    do
        (void)aurabox_complete(stage->worker->client, upload->upload_id, upload->assembly_id,
                               upload->complete_unanswered, &reply);
    while (reply.outcome == AURABOX_LIMITED && stage_wait(stage, reply.retry_after_ms));
    if (reply.outcome == AURABOX_OK) {
        stage_answered(stage, GATE_COMPLETE);
        if (stage_record_step(stage, STEP_COMPLETE_DONE) != 0)
            return stage->result;
        return stage_done(stage, STUDY_COMPLETED, "Aurabox confirmed");
    }
    if (reply.outcome == AURABOX_CONFLICT)
        return after_conflict(stage, &reply);
    /* What was refused, or never went out, was surely not done. */
    if (!reply.answered)
        upload->complete_unanswered = true;
    if (stage_record_step(stage, STEP_UPLOAD_DONE) != 0)
        return stage->result;
    stage->place = GATE_COMPLETE;
    return stage_from_reply(stage, &reply);
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
