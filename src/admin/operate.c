/* The operator's commands. A table of commands; each changes the ledger in one durable step and
 * then tells the bridge, if one runs, to look. */
#include "aurabridge/operate.h"

#include "audit_json.h"
#include "patients.h"
#include "receipt_json.h"
#include "status_json.h"
#include "study_json.h"

#include "aurabridge/config.h"
#include "aurabridge/log.h"
#include "aurabridge/package.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

struct order {
    const struct operate_target *target;
    const struct json *request;
    operate_emit *emit;
    void *context;
    int64_t study_id;
    struct error unsettled; /* why what was acknowledged is still in the journal, or "" */
    char said[512];         /* for people, with the last line */
};

static int emit_study(void *context, const struct ledger_study *study)
{
    struct order *order = context;
    struct json *line = json_new_object();
    struct json *object = study_json(order->target, study);
    if (!object || json_set(line, "study", object) != 0) {
        json_free(line);
        return -1;
    }
    int stopped = 0;
    if (order->study_id != 0)
        stopped = study_json_add_patients(json_get_mutable(line, "study"), order->target->ledger,
                                          study->id, NULL);
    if (!stopped)
        stopped = order->emit(order->context, line);
    json_free(line);
    return stopped;
}

static int show(struct order *order, struct error *err)
{
    if (order->study_id == 0)
        return ledger_studies(order->target->ledger, -1, emit_study, order, err);
    struct ledger_study study;
    if (ledger_study(order->target->ledger, &study, order->study_id, err) != 0)
        return -1;
    return emit_study(order, &study) == 0 ? 0 : error_set(err, "the study could not be shown");
}

static int retry(struct order *order, struct error *err)
{
    struct ledger_study study;
    if (ledger_study(order->target->ledger, &study, order->study_id, err) != 0 ||
        ledger_study_retry(order->target->ledger, order->study_id, err) != 0)
        return -1;
    if (order->target->bridge)
        bridge_hurry(order->target->bridge, study.destination);
    (void)snprintf(order->said, sizeof order->said, "S%" PRId64 " is tried again now",
                   order->study_id);
    return 0;
}

static int release(struct order *order, struct error *err)
{
    struct ledger_study study;
    int64_t left = 0;
    if (ledger_study(order->target->ledger, &study, order->study_id, err) != 0)
        return -1;
    if (study.instances == 0)
        return error_set(err,
                         "S%" PRId64 " has no instance to upload; discard it when it is not needed",
                         study.id);
    const char *patient_id = json_text(json_get(order->request, "patient_id"));
    bool mixed = false;
    if (!patient_id && patients_are_mixed(&mixed, order->target->ledger, study.id, err) != 0)
        return -1;
    if (mixed)
        return error_set(err,
                         "S%" PRId64 " has to do with two patients: say with --patient-id whose "
                         "instances go (`aurabridge studies S%" PRId64 "` lists the ids)",
                         study.id, study.id);
    if (ledger_study_release(order->target->ledger, order->study_id, patient_id, &left, err) != 0)
        return -1;
    if (left != 0)
        (void)snprintf(order->said, sizeof order->said,
                       "S%" PRId64 " is released; the instances of other patients are S%" PRId64
                       " now, in quarantine",
                       order->study_id, left);
    else
        (void)snprintf(order->said, sizeof order->said, "S%" PRId64 " is released",
                       order->study_id);
    return 0;
}

/* Whether its destination was taken out of the configuration of a running bridge. */
static bool no_worker_comes(const struct operate_target *target, const struct ledger_study *study)
{
    if (!target->bridge)
        return false;
    struct config *config = bridge_config(target->bridge);
    bool gone = !config_destination(config, study->destination);
    config_release(config);
    return gone;
}

static int cancel_unannounced(struct order *order, const struct ledger_study *study,
                              struct error *err)
{
    (void)snprintf(order->said, sizeof order->said,
                   "S%" PRId64
                   " is cancelled; its instances are kept. Its destination %s is not in "
                   "the configuration: Aurabox is not told",
                   study->id, study->destination);
    return ledger_advance(order->target->ledger, study->id, study->state, STUDY_CANCELLED,
                          "cancelled by a person; its destination is not in the configuration",
                          err);
}

/* Aurabox has every byte, and said that it does not take them: its worker goes back on them. */
static bool is_refused(const struct ledger_study *study)
{
    return study->state == STUDY_CONFIRMING && study->attempt > 0 &&
           study->upload.step <= STEP_UPLOAD_DONE && !study->upload.complete_unanswered;
}

static int cancel_refused(struct order *order, const struct ledger_study *study, struct error *err)
{
    if (no_worker_comes(order->target, study))
        return error_set(err,
                         "S%" PRId64 " is at Aurabox, and its destination %s is not in the "
                         "configuration: put it there, then cancel",
                         study->id, study->destination);
    /* A call that is under way is not interrupted: its answer would be lost. */
    if (ledger_study_request_cancel(order->target->ledger, study->id, err) != 0)
        return -1;
    (void)snprintf(order->said, sizeof order->said,
                   "S%" PRId64 " is being cancelled, unless Aurabox takes it now", study->id);
    return 0;
}

static int cancel(struct order *order, struct error *err)
{
    struct ledger *ledger = order->target->ledger;
    struct ledger_study study;
    if (ledger_study(ledger, &study, order->study_id, err) != 0)
        return -1;
    if (is_refused(&study))
        return cancel_refused(order, &study, err);
    /* It goes back to its worker, who tells Aurabox. */
    bool returns = study.state == STUDY_QUARANTINED && ledger_upload_is_announced(&study.upload);
    bool has_worker = study.state == STUDY_READY || study.state == STUDY_PACKAGING ||
                      study.state == STUDY_UPLOADING || returns;
    if (has_worker && no_worker_comes(order->target, &study))
        return cancel_unannounced(order, &study, err);
    if (!has_worker) {
        if (!study_state_allows(study.state, STUDY_CANCELLED))
            return error_set(err, "S%" PRId64 " is %s and cannot be cancelled", study.id,
                             study_state_name(study.state));
        (void)snprintf(order->said, sizeof order->said,
                       "S%" PRId64 " is cancelled; its instances are kept", study.id);
        return ledger_advance(ledger, study.id, study.state, STUDY_CANCELLED,
                              "cancelled by a person", err);
    }
    if (ledger_study_request_cancel(ledger, study.id, err) != 0 ||
        (returns && ledger_study_release(ledger, study.id, NULL, NULL, err) != 0) ||
        ledger_study(ledger, &study, order->study_id, err) != 0)
        return -1;
    if (study.state == STUDY_CANCELLED) {
        (void)snprintf(order->said, sizeof order->said,
                       "S%" PRId64 " is cancelled; its instances are kept", study.id);
        return package_remove(order->target->spool, study.id, err);
    }
    if (order->target->bridge)
        bridge_interrupt(order->target->bridge, study.id);
    (void)snprintf(order->said, sizeof order->said, "S%" PRId64 " is being cancelled%s", study.id,
                   order->target->bridge ? "; its instances are kept"
                                         : ": the bridge does it when it runs again");
    return 0;
}

static int discard(struct order *order, struct error *err)
{
    struct ledger *ledger = order->target->ledger;
    if (ledger_study_discard(ledger, order->study_id, "discarded by a person", err) != 0)
        return -1;
    /* Files whose removal fails now are removed by housekeeping; the ledger has decided. */
    int failed = bridge_clean_study(ledger, order->target->spool, order->study_id, err);
    if (failed)
        log_warning("operate", "files of discarded study S%" PRId64 " go later: %s",
                    order->study_id, err->text);
    (void)snprintf(order->said, sizeof order->said, "S%" PRId64 " is discarded%s", order->study_id,
                   failed ? "; its files go later, see the log" : " and its files are gone");
    return 0;
}

static int forget(struct order *order, struct error *err)
{
    if (ledger_study_forget(order->target->ledger, order->study_id, err) != 0)
        return -1;
    (void)snprintf(order->said, sizeof order->said,
                   "S%" PRId64 " is forgotten: its instances are new when they come again",
                   order->study_id);
    return 0;
}

/* What a daemon says of itself stands in every last line; this asks for nothing else. */
static int about(struct order *order, struct error *err)
{
    (void)order;
    (void)err;
    return 0;
}

static int audit(struct order *order, struct error *err)
{
    if (!order->target->bridge)
        return error_set(err, "only a bridge that has recovered its spool can be audited");
    return audit_emit(order->target->bridge, order->emit, order->context, err);
}

static int status(struct order *order, struct error *err)
{
    if (!order->target->bridge)
        return error_set(err, "no bridge runs on this spool, so nothing is being uploaded; "
                              "`aurabridge studies` lists what waits");
    return status_emit(order->target->bridge, order->emit, order->context, err);
}

static int receipt(struct order *order, struct error *err)
{
    struct ledger_study study;
    if (ledger_study(order->target->ledger, &study, order->study_id, err) != 0)
        return -1;
    return receipt_emit(order->target->ledger, &study, order->emit, order->context, err);
}

static const struct {
    const char *name;
    bool needs_study;
    int (*run)(struct order *order, struct error *err);
} commands[] = {
    {"about", false, about},    {"studies", false, show}, {"retry", true, retry},
    {"release", true, release}, {"cancel", true, cancel}, {"discard", true, discard},
    {"forget", true, forget},   {"audit", false, audit},  {"receipt", true, receipt},
    {"status", false, status},
};

static int find_study(struct order *order, bool needed, struct error *err)
{
    const char *text = json_text(json_get(order->request, "study"));
    if (!text)
        return needed ? error_set(err, "this command needs a study: its short id or its UID") : 0;
    int found = ledger_resolve(order->target->ledger, &order->study_id, text, err);
    if (found == LEDGER_NOT_FOUND)
        return error_set(err, "no study %s is known; `aurabridge studies` lists them", text);
    return found;
}

static int run(struct order *order, struct error *err)
{
    const char *name = json_text(json_get(order->request, "command"));
    for (size_t i = 0; name && i < sizeof commands / sizeof *commands; i++) {
        if (strcmp(commands[i].name, name) != 0)
            continue;
        /* What was acknowledged is shown, and meant. Where the disk does not let it, it is not
         * lost: the answer says so. */
        if (order->target->bridge)
            (void)bridge_settle(order->target->bridge, &order->unsettled);
        else if (order->target->unsettled > 0)
            (void)error_set(&order->unsettled,
                            "%" PRIu64 " that the next start of the bridge records",
                            order->target->unsettled);
        if (find_study(order, commands[i].needs_study, err) != 0)
            return -1;
        return commands[i].run(order, err);
    }
    return error_set(err, "no such command: %s", name ? name : "(none)");
}

int operate(const struct operate_target *target, const struct json *request, operate_emit *emit,
            void *context)
{
    struct order order = {.target = target, .request = request, .emit = emit, .context = context};
    struct error err = {.text = ""};
    int failed = run(&order, &err);
    if (!failed && order.said[0]) {
        log_info("operate", "%s", order.said);
        if (target->bridge)
            bridge_wake(target->bridge);
    }
    struct json *last = json_new_object();
    int unsaid = json_set_bool(last, "ok", !failed);
    if (failed)
        unsaid |= json_set_string(last, "error", err.text[0] ? err.text : "it could not be shown");
    else if (order.said[0])
        unsaid |= json_set_string(last, "message", order.said);
    if (target->listen)
        unsaid |= json_set_string(last, "listen", target->listen);
    struct error closed;
    if (target->bridge && bridge_is_closed(target->bridge, &closed))
        unsaid |= json_set_string(last, "reception_closed", closed.text);
    if (order.unsettled.text[0])
        unsaid |= json_set_string(last, "unsettled", order.unsettled.text);
    if (!unsaid)
        unsaid = emit(context, last);
    json_free(last);
    return unsaid;
}
