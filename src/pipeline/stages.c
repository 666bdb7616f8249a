/* The stages of delivery: which one a state asks for, and what becomes of its outcome. A stage
 * ends in one durable step of the ledger, so a kill between any two instructions repeats at most
 * what the cloud takes twice without harm (the same upload_id, an offset it already has). */
#include "stage.h"

#include "aurabridge/identifier.h"
#include "aurabridge/log.h"
#include "aurabridge/text.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define LOCAL_FAULT_DELAY_MS   5000
#define LOCAL_FAULT_CEILING_MS 300000

enum stage_result stage_done(struct stage *stage, enum study_state next, const char *reason)
{
    stage->next = next;
    return stage_ends(stage, STAGE_DONE, -1, reason);
}

enum stage_result stage_ends(struct stage *stage, enum stage_result result, int64_t delay_ms,
                             const char *reason)
{
    stage->result = result;
    stage->delay_ms = delay_ms;
    text_copy(stage->reason, sizeof stage->reason, reason);
    return result;
}

enum stage_result stage_local(struct stage *stage, const struct error *why)
{
    log_error("delivery", "study S%" PRId64 ": %s", stage->study.id, why->text);
    stage->worker->met_full_disk = spool_is_full(stage->bridge->spool);
    return stage_ends(stage, STAGE_LOCAL, LOCAL_FAULT_DELAY_MS, why->text);
}

int stage_record(struct stage *stage)
{
    struct error err;
    if (ledger_upload_put(stage->bridge->ledger, stage->study.id, &stage->study.upload, &err) == 0)
        return 0;
    (void)stage_local(stage, &err);
    return -1;
}

int stage_record_step(struct stage *stage, enum ledger_step step)
{
    stage->study.upload.step = step;
    return stage_record(stage);
}

bool stage_wait(struct stage *stage, int64_t ms)
{
    atomic_store(&stage->worker->lacks_calls, true);
    bool passed =
        bridge_pause_unless(stage->bridge, ms > 0 ? ms : 1, delivery_worker_stops, stage->worker);
    atomic_store(&stage->worker->lacks_calls, false);
    return passed;
}

void stage_answered(struct stage *stage, enum gate_place place)
{
    if (!gate_answered(&stage->worker->delivery->gate, place, clock_wall_ms(stage->bridge->clock)))
        return;
    log_info("delivery", "destination %s answers again", stage->study.destination);
    bridge_wake(stage->bridge);
}

enum stage_result stage_from_reply(struct stage *stage, const struct aurabox_reply *reply)
{
    switch (reply->outcome) {
    case AURABOX_DESTINATION:
        return stage_ends(stage, STAGE_PAUSE, reply->retry_after_ms, reply->text);
    case AURABOX_STOPPED:
    case AURABOX_LIMITED:
        return stage_ends(stage, STAGE_AGAIN, 0, reply->text);
    case AURABOX_FORGOTTEN:
        /* It was announced again, in vain. 422 is of this study; 404 may be of all. */
        if (reply->status != 422)
            return stage_ends(stage, STAGE_PAUSE, reply->retry_after_ms, reply->text);
        break;
    case AURABOX_OK:
    case AURABOX_RETRY:
    case AURABOX_REJECTED:
    case AURABOX_CONFLICT:
        break;
    }
    return stage_ends(stage, STAGE_RETRY, reply->retry_after_ms, reply->text);
}

static enum stage_result prepare(struct stage *stage)
{
    struct ledger_upload *upload = &stage->study.upload;
    if (!upload->upload_id[0] && uuid_v4(upload->upload_id) != 0) {
        struct error err;
        (void)error_set(&err, "the system gives no random numbers");
        return stage_local(stage, &err);
    }
    if (stage_record(stage) != 0)
        return stage->result;
    return stage_done(stage, STUDY_PACKAGING, "a worker takes it");
}

static enum stage_result pack(struct stage *stage)
{
    struct bridge *bridge = stage->bridge;
    struct ledger_upload *upload = &stage->study.upload;
    struct package *package = NULL;
    struct error err;
    /* A study is not packed for a server that is away: unless it answered just now, ask. */
    if (!gate_is_fresh(&stage->worker->delivery->gate, clock_wall_ms(bridge->clock)) &&
        announce_lift(stage) != 0)
        return stage->result;
    if (package_open(&package, bridge->spool, bridge->press, bridge->ledger, &stage->study,
                     stage->config->upload.compression, delivery_worker_stops, stage->worker,
                     &err) != 0) {
        if (delivery_worker_stops(stage->worker))
            return stage_ends(stage, STAGE_AGAIN, 0, "interrupted");
        return stage_local(stage, &err);
    }
    upload->upload_length = package_length(package);
    if (upload->package_digest[0] && strcmp(upload->package_digest, package_digest(package)) != 0) {
        /* Not the bytes that the server has the beginning of. */
        upload->upload_url[0] = '\0';
        upload->upload_offset = 0;
    }
    text_copy(upload->package_digest, sizeof upload->package_digest, package_digest(package));
    package_close(package);
    if (stage_record(stage) != 0)
        return stage->result;
    return stage_done(stage, STUDY_UPLOADING, "packed");
}

static enum stage_result send(struct stage *stage)
{
    if (announce_lift(stage) != 0 || announce_upload(stage) != 0)
        return stage->result;
    return transfer_run(stage);
}

static enum stage_result run(struct stage *stage)
{
    const struct ledger_study *study = &stage->study;
    if (study->upload.step == STEP_ERROR_SENT)
        return study->cancel_requested ? conclude_cancel(stage)
                                       : conclude_error(stage, study->reason);
    if (study->cancel_requested && study->state != STUDY_CONFIRMING)
        return conclude_cancel(stage);
    switch (study->state) {
    case STUDY_READY:
        return prepare(stage);
    case STUDY_PACKAGING:
        return pack(stage);
    case STUDY_UPLOADING:
        return send(stage);
    default:
        return conclude_complete(stage);
    }
}

static int64_t delay_of(const struct stage *stage)
{
    int64_t delay =
        backoff_delay(stage->progressed ? 0 : stage->study.attempt,
                      stage->config->upload.retry_first_ms, stage->config->upload.retry_ceiling_ms);
    return delay > stage->delay_ms ? delay : stage->delay_ms;
}

/* Closes the gate. Says when the study itself may be claimed again: where nothing of it was asked
 * the gate alone decides; elsewhere it may be at fault alone, and lets another be the next probe.
 */
static int64_t pause_destination(struct stage *stage, int64_t now, bool *counts)
{
    const struct config *config = stage->config;
    bool of_study = stage->place != GATE_ACCESS;
    const struct gate_fault fault = {.place = stage->place,
                                     .reason = stage->reason,
                                     .at_least_ms = stage->delay_ms,
                                     .study_id = of_study ? stage->study.id : 0};
    int64_t until = gate_pause(&stage->worker->delivery->gate, stage->worker->probe, &fault, now,
                               config->upload.retry_first_ms, config->upload.retry_ceiling_ms);
    *counts = of_study && !stage->progressed;
    if (!of_study) {
        log_warning("delivery",
                    "destination %s is paused, its studies wait; next try in %" PRId64 " s: %s",
                    stage->study.destination, (until - now + 999) / 1000, stage->reason);
        return now;
    }
    int64_t after_others = until + config->upload.retry_first_ms;
    int64_t at = now + delay_of(stage);
    if (at < after_others)
        at = after_others;
    log_warning("delivery",
                "destination %s is paused, its studies wait; next try in %" PRId64
                " s, of study S%" PRId64 " in %" PRId64 " s: %s",
                stage->study.destination, (until - now + 999) / 1000, stage->study.id,
                (at - now + 999) / 1000, stage->reason);
    return at;
}

static int put_off(struct stage *stage, struct error *err)
{
    int64_t now = clock_wall_ms(stage->bridge->clock);
    int64_t at = now;
    bool is_study_fault = stage->result == STAGE_LOCAL && !stage->worker->met_full_disk;
    bool counts = (stage->result == STAGE_RETRY && !stage->progressed) || is_study_fault;
    if (stage->result == STAGE_PAUSE) {
        at = pause_destination(stage, now, &counts);
    } else if (stage->result == STAGE_RETRY) {
        at = now + delay_of(stage);
        log_warning("delivery", "study S%" PRId64 " stays %s, next try in %" PRId64 " s: %s",
                    stage->study.id, study_state_name(stage->study.state), (at - now + 999) / 1000,
                    stage->reason);
    } else if (stage->result == STAGE_LOCAL) {
        at = now + backoff_delay(is_study_fault ? stage->study.attempt : 0, stage->delay_ms,
                                 LOCAL_FAULT_CEILING_MS);
    }
    return ledger_defer(stage->bridge->ledger, stage->study.id, stage->study.state, at,
                        stage->reason, counts, err);
}

static void clean_up(struct stage *stage)
{
    struct error err;
    if (package_remove(stage->bridge->spool, stage->study.id, &err) != 0)
        log_warning("delivery", "study S%" PRId64 ": its package stays: %s", stage->study.id,
                    err.text);
}

int stage_run(struct delivery_worker *worker, const struct ledger_study *study)
{
    struct stage stage = {.worker = worker, .bridge = worker->delivery->bridge, .study = *study};
    stage.config = bridge_config(stage.bridge);
    enum stage_result result = run(&stage);
    if (result == STAGE_REJECT) {
        char reason[LEDGER_REASON_SIZE];
        memcpy(reason, stage.reason, sizeof reason);
        result = conclude_error(&stage, reason);
    }
    struct error err;
    int failed = 0;
    if (result == STAGE_DONE) {
        failed = ledger_advance(stage.bridge->ledger, study->id, study->state, stage.next,
                                stage.reason, &err);
        if (!failed && study_state_is_final(stage.next))
            clean_up(&stage);
    } else {
        failed = put_off(&stage, &err);
    }
    if (failed == LEDGER_CONFLICT) /* a person discarded it meanwhile, say */
        log_info("delivery", "study S%" PRId64 " is left alone: %s", study->id, err.text);
    else if (failed)
        log_error("delivery", "study S%" PRId64 ": its outcome is not recorded: %s", study->id,
                  err.text);
    config_release(stage.config);
    return failed;
}
