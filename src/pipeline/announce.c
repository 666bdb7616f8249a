/* Announcing an upload: the lift config, `init`, `start`. Each call is recorded before and after;
 * a call whose answer was lost is made again with the same upload_id, and so is one whose effect
 * Aurabox has forgotten. That it refuses such a call as made before is then as good as a yes. */
#include "stage.h"

#include "kept_entry.h"
#include "study_values.h"

#include "aurabridge/identifier.h"
#include "aurabridge/log.h"
#include "aurabridge/route.h"
#include "aurabridge/text.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

int announce_lift(struct stage *stage)
{
    struct aurabox_reply reply;
    enum aurabox_outcome outcome;
    stage->place = GATE_ACCESS;
    do
        outcome = aurabox_config(stage->worker->client, &stage->lift, &reply);
    while (outcome == AURABOX_LIMITED && stage_wait(stage, reply.retry_after_ms));
    if (outcome != AURABOX_OK) {
        (void)stage_from_reply(stage, &reply);
        /* This call has nothing of the study in it: what stands in its way stands in all ways. */
        if (stage->result == STAGE_RETRY)
            stage->result = STAGE_PAUSE;
        return -1;
    }
    stage_answered(stage, GATE_ACCESS);
    return 0;
}

/* Beside what validation warned of; once, however often `init` is made. */
static int add_warning(struct stage *stage, const char *attributes, struct error *err)
{
    static const char words[] = "differs within the study, the first value is sent: ";
    char *there = stage->study.warning;
    size_t used = strlen(there);
    if (strstr(there, words))
        return 0;
    (void)snprintf(there + used, sizeof stage->study.warning - used, "%s%s%s", used ? "; " : "",
                   words, attributes);
    return ledger_set_warning(stage->bridge->ledger, stage->study.id, there, err);
}

/* The body of `init`: a function of the study and its map entry. */
static int make_body(struct stage *stage, struct json **body, struct error *err)
{
    struct bridge *bridge = stage->bridge;
    struct kept_entry kept;
    if (kept_entry_of_study(&kept, bridge->spool, stage->config, &stage->study, err) != 0)
        return -1;
    struct association sender = {0};
    struct study_values values;
    study_values_init(&values, bridge->ledger, bridge->spool, stage->study.id,
                      stage->config->dicom.default_character_set);
    struct attribute_source source = study_values_source(&values);
    struct buffer warning;
    buffer_init(&warning, LEDGER_REASON_SIZE - 1);
    struct json *context = NULL;
    struct json *patient_id = NULL;
    int failed = study_sender(bridge->ledger, stage->study.id, &sender, err);
    if (!failed && kept.entry)
        failed = route_context(&context, kept.entry, &sender, &source, &warning, err);
    if (!failed && kept.entry)
        failed = route_patient_id(&patient_id, kept.entry, &sender, &source, &warning, err);
    if (!failed && warning.length > 0)
        failed = add_warning(stage, warning.data, err);
    if (!failed)
        failed = aurabox_manifest(body, bridge->ledger, &stage->study,
                                  stage->worker->delivery->settings->source, json_text(patient_id),
                                  context, err);
    else
        json_free(context);
    json_free(patient_id);
    buffer_free(&warning);
    kept_entry_free(&kept);
    return failed;
}

/* Makes the call. Returns 0 with its reply, or -1 with the outcome. */
static int send_init(struct stage *stage, bool repeated, struct aurabox_reply *reply)
{
    struct ledger_upload *upload = &stage->study.upload;
    char study_id[sizeof upload->aurabox_study_id];
    struct json *body = NULL;
    struct error err;
    if (make_body(stage, &body, &err) != 0) {
        (void)stage_local(stage, &err);
        return -1;
    }
    int failed = stage_record_step(stage, STEP_INIT_SENT);
    if (!failed) {
        do
            (void)aurabox_init(stage->worker->client, body, repeated, study_id, reply);
        while (reply->outcome == AURABOX_LIMITED && stage_wait(stage, reply->retry_after_ms));
        if (reply->outcome == AURABOX_OK)
            text_copy(upload->aurabox_study_id, sizeof upload->aurabox_study_id, study_id);
    }
    json_free(body);
    return failed;
}

/* `*known`: it was refused as made before. */
static int call_init(struct stage *stage, bool *known)
{
    struct ledger_upload *upload = &stage->study.upload;
    bool repeated = upload->step == STEP_INIT_SENT;
    struct aurabox_reply reply = {.outcome = AURABOX_STOPPED};
    if (send_init(stage, repeated, &reply) != 0)
        return -1;
    *known = reply.outcome == AURABOX_CONFLICT;
    if (reply.outcome == AURABOX_OK || *known) {
        stage_answered(stage, GATE_INIT);
        /* Where it is announced again, `start` may have been heard already, too. */
        return stage_record_step(stage, upload->assembly_id[0] ? STEP_START_SENT : STEP_INIT_DONE);
    }
    /* It was surely not taken: the next one is a first one. */
    if (reply.answered && !repeated && stage_record_step(stage, STEP_NONE) != 0)
        return -1;
    stage->place = GATE_INIT;
    if (reply.outcome == AURABOX_REJECTED)
        (void)stage_ends(stage, STAGE_REJECT, -1, reply.text);
    else
        (void)stage_from_reply(stage, &reply);
    return -1;
}

static int choose_assembly_id(struct stage *stage)
{
    struct ledger_upload *upload = &stage->study.upload;
    if (stage->lift.assembly_id[0]) {
        text_copy(upload->assembly_id, sizeof upload->assembly_id, stage->lift.assembly_id);
        return 0;
    }
    struct error err;
    if (upload->assembly_id[0] || uuid_v4(upload->assembly_id) == 0)
        return 0;
    (void)error_set(&err, "the system gives no random numbers");
    (void)stage_local(stage, &err);
    return -1;
}

/* `known`: `init` was just refused as made before. `*forgotten`: the upload is not known. */
static int call_start(struct stage *stage, bool known, bool *forgotten)
{
    struct ledger_upload *upload = &stage->study.upload;
    bool repeated = upload->step == STEP_START_SENT;
    *forgotten = false;
    /* Once it may have been sent, the assembly id is the one that was sent. */
    if (!repeated && choose_assembly_id(stage) != 0)
        return -1;
    if (stage_record_step(stage, STEP_START_SENT) != 0)
        return -1;
    struct aurabox_reply reply;
    do
        (void)aurabox_start(stage->worker->client, upload->upload_id, upload->assembly_id, repeated,
                            &reply);
    while (reply.outcome == AURABOX_LIMITED && stage_wait(stage, reply.retry_after_ms));
    *forgotten = reply.outcome == AURABOX_FORGOTTEN;
    /* A 422 about an upload_id that it does know: started, that is. */
    bool started = *forgotten && reply.status == 422 && known && repeated;
    if (reply.outcome == AURABOX_OK || reply.outcome == AURABOX_CONFLICT || started) {
        stage_answered(stage, GATE_START);
        return stage_record_step(stage, STEP_START_DONE);
    }
    if (reply.answered && !repeated && stage_record_step(stage, STEP_INIT_DONE) != 0)
        return -1;
    stage->place = GATE_START;
    (void)stage_from_reply(stage, &reply);
    return -1;
}

int announce_upload(struct stage *stage)
{
    struct ledger_upload *upload = &stage->study.upload;
    bool known = false;
    for (bool again = false;; again = true) {
        bool forgotten = false;
        if (upload->step < STEP_INIT_DONE && call_init(stage, &known) != 0)
            return -1;
        if (upload->step >= STEP_START_DONE || call_start(stage, known, &forgotten) == 0)
            return 0;
        /* What it knows no more, or never heard of, is announced once more: now, then later. */
        if (!forgotten || stage_record_step(stage, STEP_INIT_SENT) != 0 || again)
            return -1;
        log_warning("delivery", "study S%" PRId64 ": %s; announcing it again", stage->study.id,
                    stage->reason);
    }
}
