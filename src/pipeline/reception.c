/* Reception: the instance sink. An instance streams into the journal, is judged, and committed
 * together with what the ledger is to know of it; only then does the sender hear 0000. Runs in the
 * associations' threads and waits for nothing but the disk. What follows is settle.c's. */
#include "bridge_state.h"

#include "aurabridge/log.h"
#include "aurabridge/route.h"
#include "aurabridge/text.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct instance {
    struct bridge *bridge;
    struct config *config; /* as it was when the instance began */
    struct spool_writer *writer;
    struct association association;
    struct instance_request request;
};

static void refuse(struct dimse_answer *answer, uint16_t status, const char *comment)
{
    answer->status = status;
    text_copy(answer->comment, sizeof answer->comment, comment);
}

/* What the sender may know of a disk's trouble; the log has the figures. While reception is closed
 * it has them already, and the line for the association's end counts what was refused. */
static void refuse_for_disk(struct instance *instance, struct dimse_answer *answer, int failure,
                            const struct error *why)
{
    const struct association *from = &instance->association;
    bool is_told = failure == SPOOL_FULL && spool_is_closed(instance->bridge->spool, NULL);
    refuse(answer, DIMSE_OUT_OF_RESOURCES,
           failure == SPOOL_FULL ? "Out of disk space, try again later"
                                 : "Storing failed, see the log of the bridge");
    log_write(is_told ? LOG_LEVEL_DEBUG : LOG_LEVEL_WARNING, "reception",
              "%s (%s) refused instance %s with A700: %s", from->calling_ae_title,
              from->peer_address, instance->request.sop_instance_uid, why->text);
}

static void free_instance(struct instance *instance)
{
    spool_writer_free(instance->writer);
    config_release(instance->config);
    free(instance);
}

static int begin(void *context, struct instance **out, const struct association *association,
                 const struct instance_request *request, struct dimse_answer *answer)
{
    *out = NULL;
    struct instance *instance = calloc(1, sizeof *instance);
    if (!instance) {
        refuse(answer, DIMSE_OUT_OF_RESOURCES, "Out of memory, try again later");
        log_error("reception",
                  "%s (%s) refused instance %s with A700: out of memory; give the bridge more",
                  association->calling_ae_title, association->peer_address,
                  request->sop_instance_uid);
        return -1;
    }
    instance->bridge = context;
    instance->config = bridge_config(instance->bridge);
    instance->association = *association;
    instance->request = *request;
    const char *charset = instance->config->dicom.default_character_set;
    struct error err;
    int failed = ledger_is_sound(instance->bridge->ledger, &err);
    if (!failed)
        failed =
            spool_writer_new(&instance->writer, instance->bridge->spool, instance->bridge->journal,
                             association, request, charset[0] ? charset : NULL, &err);
    if (failed) {
        refuse_for_disk(instance, answer, failed, &err);
        free_instance(instance);
        return -1;
    }
    study_holds_opened(instance->bridge->holds, association->id);
    *out = instance;
    return 0;
}

static int take(struct instance *instance, const void *bytes, size_t length,
                struct dimse_answer *answer)
{
    struct error err;
    int failed = spool_writer_write(instance->writer, bytes, length, &err);
    if (failed)
        refuse_for_disk(instance, answer, failed, &err);
    return failed ? -1 : 0;
}

/* What the sender is told of the data set is what its people need to hear as well. */
static void log_refusal(const struct instance *instance, const struct dimse_answer *answer)
{
    log_warning("reception",
                "%s (%s) refused instance %s with %04X: %s; the sender has to correct it, or its "
                "vendor, before it is sent again",
                instance->association.calling_ae_title, instance->association.peer_address,
                instance->request.sop_instance_uid, answer->status, answer->comment);
}

/* Study, series and instance must be known and agree with the command (PS3.4 B.2.3). */
static int judge(const struct instance *instance, const struct stored_instance *stored,
                 struct dimse_answer *answer)
{
    const struct attributes *values = stored->attributes;
    const char *sop_instance = attributes_get(values, ATTRIBUTE_SOP_INSTANCE_UID);
    const char *sop_class = attributes_get(values, ATTRIBUTE_SOP_CLASS_UID);
    if (!uid_is_valid(attributes_get(values, ATTRIBUTE_STUDY_INSTANCE_UID)))
        refuse(answer, DIMSE_CANNOT_UNDERSTAND, "No valid Study Instance UID in the data set");
    else if (!uid_is_valid(attributes_get(values, ATTRIBUTE_SERIES_INSTANCE_UID)))
        refuse(answer, DIMSE_CANNOT_UNDERSTAND, "No valid Series Instance UID in the data set");
    else if (!uid_is_valid(sop_instance))
        refuse(answer, DIMSE_CANNOT_UNDERSTAND, "No valid SOP Instance UID in the data set");
    else if (strcmp(sop_instance, instance->request.sop_instance_uid) != 0)
        refuse(answer, DIMSE_DATA_SET_DOES_NOT_MATCH,
               "SOP Instance UID differs between command and data set");
    else if (sop_class[0] && strcmp(sop_class, instance->request.sop_class_uid) != 0)
        refuse(answer, DIMSE_DATA_SET_DOES_NOT_MATCH,
               "SOP Class UID differs between command and data set");
    else
        return 0;
    return -1;
}

/* What a data set that ends oddly is told as; the study shows it too. */
static void log_ending(const struct instance *instance, const struct dataset_result *ending)
{
    char missing[48] = "";
    if (ending->ending == DATASET_COMPLETE)
        return;
    if (ending->missing > 0)
        (void)snprintf(missing, sizeof missing, ", %" PRIu64 " bytes missing", ending->missing);
    log_warning(
        "reception",
        "%s (%s) sent instance %s, kept: its data set %s (%04X,%04X)%s; compare it with the "
        "sender's copy, and send it again if that one is whole",
        instance->association.calling_ae_title, instance->association.peer_address,
        instance->request.sop_instance_uid,
        ending->ending == DATASET_TRUNCATED ? "ends inside" : "is not understood from",
        ending->tag >> 16, ending->tag & 0xFFFF, missing);
}

static int commit_instance(struct instance *instance, const struct stored_instance *stored,
                           struct dimse_answer *answer)
{
    struct bridge *bridge = instance->bridge;
    const struct config *config = instance->config;
    const struct config_map_entry *entry = route_match(config, &instance->association);
    char key[ROUTE_KEY_SIZE];
    char file_name[STORED_NAME_SIZE];
    struct error err = {.text = "out of memory"};
    struct journal_entry record = {
        .association = &instance->association,
        .request = &instance->request,
        .study_instance_uid = attributes_get(stored->attributes, ATTRIBUTE_STUDY_INSTANCE_UID),
        .series_instance_uid = attributes_get(stored->attributes, ATTRIBUTE_SERIES_INSTANCE_UID),
        .route_key = key,
        .entry_name = entry ? entry->name : "",
        .destination = entry ? entry->destination : "",
        .received_ms = clock_wall_ms(bridge->clock),
        .quiet_period_ms = entry && entry->quiet_period_ms >= 0 ? entry->quiet_period_ms
                                                                : config->study.quiet_period_ms,
        .max_wait_ms = config->study.max_wait_ms,
        .changed_duplicate = config->study.on_changed_duplicate,
        .priority = entry ? entry->priority : PRIORITY_NORMAL,
        .stored = stored,
    };
    int failed = route_key(key, entry, &instance->association);
    if (!failed)
        failed = spool_writer_commit(instance->writer, &record, file_name, &err);
    if (failed)
        refuse_for_disk(instance, answer, failed, &err);
    return failed;
}

static void commit(struct instance *instance, struct dimse_answer *answer)
{
    struct stored_instance stored;
    struct error err;
    int failed = spool_writer_finish(instance->writer, &stored, &err);
    if (failed) {
        refuse_for_disk(instance, answer, failed, &err);
    } else if (judge(instance, &stored, answer) != 0) {
        log_refusal(instance, answer);
    } else if (commit_instance(instance, &stored, answer) == 0) {
        log_ending(instance, &stored.ending);
        *answer = (struct dimse_answer){.status = DIMSE_SUCCESS};
    }
    free_instance(instance);
}

static void association_ended(void *context, const struct association *association)
{
    struct bridge *bridge = context;
    int64_t held = study_holds_ended(bridge->holds, association->id);
    if (held != 0)
        assembler_unhold(bridge, held);
}

void reception_init(struct bridge *bridge)
{
    bridge->sink = (struct instance_sink){
        .context = bridge,
        .begin = begin,
        .write = take,
        .commit = commit,
        .abort = free_instance,
        .association_ended = association_ended,
    };
}
