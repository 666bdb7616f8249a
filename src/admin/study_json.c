/* The picture of a study: what it is, where it is, why, and what counts. */
#include "study_json.h"

#include "patients.h"

#include "aurabridge/clock.h"
#include "aurabridge/ledger_due.h"
#include "aurabridge/text.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int set_time(struct json *object, const char *key, int64_t wall_ms)
{
    char text[CLOCK_RFC3339_SIZE];
    if (wall_ms <= 0)
        return json_set_null(object, key);
    clock_format_rfc3339(text, wall_ms);
    return json_set_string(object, key, text);
}

static int set_count(struct json *object, const char *key, uint64_t count)
{
    return json_set_int(object, key, (int64_t)count);
}

static int set_identity(struct json *object, const struct ledger_study *study)
{
    char id[24];
    (void)snprintf(id, sizeof id, "S%" PRId64, study->id);
    int failed = json_set_string(object, "id", id);
    failed |= json_set_string(object, "study_instance_uid", study->study_instance_uid);
    failed |= json_set_int(object, "generation", study->generation);
    (void)snprintf(id, sizeof id, "S%" PRId64, study->first_id);
    failed |= json_set_string(object, "supplement_of", study->generation > 0 ? id : NULL);
    failed |= json_set_string(object, "entry", study->entry_name);
    failed |= json_set_string(object, "destination", study->destination);
    failed |= json_set_string(object, "priority", study_priority_name(study->priority));
    return failed;
}

/* No worker takes a study whose destination a reload has removed. */
static bool has_destination(struct bridge *bridge, const struct ledger_study *study)
{
    struct config *config = bridge_config(bridge);
    bool has = config_destination(config, study->destination) != NULL;
    config_release(config);
    return has;
}

/* "" when it waits for none. Uploads of a study go in order; where a later one holds other versions
 * of instances, one that a person has to decide about stands before it too. */
static void explain_earlier(const struct operate_target *target, const struct ledger_study *study,
                            char *text, size_t size)
{
    int64_t id = 0;
    struct ledger_study earlier;
    text[0] = '\0';
    if (study->generation == 0 || ledger_study_behind(target->ledger, &id, study->id, NULL) != 0 ||
        id == 0 || ledger_study(target->ledger, &earlier, id, NULL) != 0)
        return;
    bool needs_person = earlier.state == STUDY_QUARANTINED || earlier.state == STUDY_UNROUTED;
    (void)snprintf(text, size,
                   "waits for S%" PRId64 ", an earlier upload of this study that is %s%s", id,
                   study_state_name(earlier.state),
                   needs_person ? " and holds other versions of its instances" : "");
}

/* A waiting study's reason is its destination's, while that is paused or missing, or that of the
 * upload before it. */
static int set_reason(struct json *object, const struct operate_target *target,
                      const struct ledger_study *study)
{
    char pause[LEDGER_REASON_SIZE] = "";
    char text[2 * LEDGER_REASON_SIZE];
    int64_t until = 0;
    bool is_waiting =
        target->bridge && study->destination[0] && study_state_is_in_flight(study->state);
    if (is_waiting)
        bridge_destination_pause(target->bridge, study->destination, pause, &until);
    if (is_waiting && !has_destination(target->bridge, study))
        (void)snprintf(text, sizeof text,
                       "waits: destination %s is not in the configuration any more; put it back, "
                       "or cancel the study",
                       study->destination);
    else if (pause[0])
        (void)snprintf(text, sizeof text, "destination %s is paused: %s", study->destination,
                       pause);
    else
        explain_earlier(target, study, text, sizeof text);
    if (!text[0])
        text_copy(text, sizeof text, study->reason);
    int failed = json_set_string(object, "reason", text);
    failed |= set_time(object, "retry_at", pause[0] ? until : study->retry_at_ms);
    return failed;
}

static int set_counts(struct json *object, const struct ledger_study *study)
{
    int failed = set_count(object, "acknowledged", study->acknowledged);
    failed |= set_count(object, "instances", study->instances);
    failed |= set_count(object, "bytes", study->bytes);
    failed |= set_count(object, "dropped_by_rule", study->dropped);
    failed |= set_count(object, "superseded", study->superseded);
    failed |= set_count(object, "resends", study->resends);
    failed |= set_count(object, "swallowed_resends", study->swallowed_resends);
    failed |= set_count(object, "discarded", study->discarded);
    failed |= set_count(object, "truncated", study->truncated);
    return failed;
}

static int set_upload(struct json *object, const struct operate_target *target,
                      const struct ledger_study *study)
{
    const struct ledger_upload *upload = &study->upload;
    /* Bytes that have left; what the server acknowledged comes after, in a long PATCH long after.
     */
    uint64_t sent = target->bridge && study->state == STUDY_UPLOADING
                        ? bridge_sent(target->bridge, study->id)
                        : 0;
    int failed =
        json_set_string(object, "upload_id", upload->upload_id[0] ? upload->upload_id : NULL);
    failed |= set_count(object, "upload_length", upload->upload_length);
    failed |= set_count(object, "upload_offset", upload->upload_offset);
    failed |= set_count(object, "upload_sent",
                        sent > upload->upload_offset ? sent : upload->upload_offset);
    failed |= json_set_string(object, "aurabox_study_id",
                              upload->aurabox_study_id[0] ? upload->aurabox_study_id : NULL);
    failed |= json_set_int(object, "attempt", study->attempt);
    failed |= json_set_int(object, "attempts", study->attempts);
    return failed;
}

struct json *study_json(const struct operate_target *target, const struct ledger_study *study)
{
    struct json *object = json_new_object();
    int failed = set_identity(object, study);
    failed |= json_set_string(object, "state", study_state_name(study->state));
    failed |= set_reason(object, target, study);
    failed |= json_set_string(object, "warning", study->warning);
    failed |= json_set_bool(object, "cancel_requested", study->cancel_requested);
    failed |= set_counts(object, study);
    failed |= set_upload(object, target, study);
    failed |= set_time(object, "first_received", study->first_received_ms);
    failed |= set_time(object, "last_received", study->last_received_ms);
    failed |= set_time(object, "changed", study->changed_ms);
    failed |= set_time(object, "completed", study->completed_ms);
    if (!failed)
        return object;
    json_free(object);
    return NULL;
}

static struct json *patients_json(const struct patients *patients)
{
    struct json *list = json_new_array();
    int failed = list ? 0 : -1;
    for (size_t i = 0; !failed && i < patients->count; i++) {
        struct json *patient = json_new_object();
        failed |= json_set_string(patient, "patient_id", patients->items[i].id);
        failed |= json_set_string(patient, "issuer", patients->items[i].issuer);
        failed |= json_set_int(patient, "instances", patients->items[i].instances);
        failed |= json_append(list, patient);
    }
    if (!failed)
        return list;
    json_free(list);
    return NULL;
}

int study_json_add_patients(struct json *object, struct ledger *ledger, int64_t study_id,
                            struct error *err)
{
    struct patients *patients = NULL;
    int failed = patients_list(&patients, ledger, study_id, err);
    if (!failed && (json_set_bool(object, "more_patients", patients->more) != 0 ||
                    json_set(object, "patients", patients_json(patients)) != 0))
        failed = error_set(err, "no memory for the list of patients");
    free(patients);
    return failed;
}
