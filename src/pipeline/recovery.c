/* Recovery: makes spool and ledger agree at start. Half-received files go, files that no row names
 * are adopted as if they had just come, rows whose file is missing put their study in quarantine.
 */
#include "bridge_state.h"

#include "clean_stop.h"
#include "found_file.h"
#include "kept_entry.h"

#include "aurabridge/log.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

struct recovery {
    struct bridge *bridge;
    struct error *err;
    unsigned adopted, missing;
    int64_t last_missing_study;
};

/* A file that cannot be removed is no reason to refuse all senders: the next start judges it as
 * this one did. */
static void remove_settled(struct recovery *recovery, const char *name)
{
    struct error why;
    if (spool_remove_all(recovery->bridge->spool, &name, 1, &why) == 0)
        return;
    atomic_store(&recovery->bridge->leaves_work, true);
    log_error("recovery", "%s is needed no more and stays, as it cannot be removed: %s", name,
              why.text);
}

static int record_found(struct recovery *recovery, const struct spool_found *found,
                        const struct part10_header *header, const struct stored_instance *stored)
{
    struct bridge *bridge = recovery->bridge;
    const struct config *config = bridge->config;
    struct association sender = {0};
    memcpy(sender.calling_ae_title, header->calling_ae_title, sizeof sender.calling_ae_title);
    memcpy(sender.called_ae_title, header->called_ae_title, sizeof sender.called_ae_title);
    struct kept_entry kept;
    struct error why;
    /* One damaged entry is no reason to refuse all senders: without it, it is held as unrouted. */
    if (kept_entry_find(&kept, bridge->spool, config, found->route_key, &why) != 0)
        log_error("recovery", "%s is adopted without its map entry: %s", found->name, why.text);
    /* Of two versions the recorded one is newer: a file without a row was replaced by it, or came
     * and was never acknowledged. */
    enum changed_duplicate changed = config->study.on_changed_duplicate;
    if (changed == CHANGED_DUPLICATE_REPLACE)
        changed = CHANGED_DUPLICATE_KEEP_FIRST;
    struct ledger_arrival arrival = {
        .route_key = found->route_key,
        .entry_name = kept.entry ? kept.entry->name : "",
        .destination = kept.entry ? kept.entry->destination : "",
        .association = &sender,
        .request = &header->request,
        .study_instance_uid = found->study_instance_uid,
        .series_instance_uid = attributes_get(stored->attributes, ATTRIBUTE_SERIES_INSTANCE_UID),
        .instance = stored,
        .file_name = found->name,
        .received_ms = found->modified_ms,
        .quiet_period_ms = kept.entry && kept.entry->quiet_period_ms >= 0
                               ? kept.entry->quiet_period_ms
                               : config->study.quiet_period_ms,
        .max_wait_ms = config->study.max_wait_ms,
        .changed_duplicate = changed,
        .priority = kept.entry ? kept.entry->priority : PRIORITY_NORMAL,
    };
    struct ledger_arrival_outcome outcome;
    enum found_fate fate = FOUND_SETTLED;
    int failed = found_file_judge(&fate, bridge, &arrival, recovery->err);
    if (!failed && fate == FOUND_RECORD)
        failed = ledger_instance_received(bridge->ledger, &outcome, &arrival, recovery->err);
    kept_entry_free(&kept);
    if (!failed && (fate == FOUND_UNWANTED || fate == FOUND_COPY)) {
        log_info("recovery",
                 fate == FOUND_COPY
                     ? "%s is a copy of what is there, or was superseded, and goes"
                     : "%s is left over from before its instance was discarded, cancelled or "
                       "forgotten",
                 found->name);
        remove_settled(recovery, found->name);
    }
    if (fate == FOUND_SETTLED) /* mended, or left where it is */
        atomic_store(&bridge->leaves_work, true);
    if (failed || fate != FOUND_RECORD)
        return failed ? -1 : 0;
    if (outcome.superseded_file[0])
        remove_settled(recovery, outcome.superseded_file);
    bool is_needed = true;
    if (mend_by_resend(&is_needed, bridge, &outcome, &arrival, recovery->err) != 0)
        return -1;
    if (is_needed)
        recovery->adopted++;
    else
        remove_settled(recovery, found->name);
    return 0;
}

static void leave(struct recovery *recovery, const struct spool_found *found,
                  const struct error *why)
{
    atomic_store(&recovery->bridge->leaves_work, true);
    log_warning("recovery", "%s stands in the spool, is in no record, and cannot be adopted: %s",
                found->name, why->text);
}

static int look_at_file(void *context, const struct spool_found *found)
{
    struct recovery *recovery = context;
    struct bridge *bridge = recovery->bridge;
    bool known = false;
    if (ledger_file_is_known(bridge->ledger, found->name, &known, recovery->err) != 0)
        return -1;
    if (known)
        return 0;
    const char *charset = bridge->config->dicom.default_character_set;
    struct part10_header header;
    struct stored_instance stored;
    struct spool_writer *writer = NULL;
    struct error why;
    int result = 0;
    if (spool_examine(&writer, bridge->spool, found->name, charset[0] ? charset : NULL, &header,
                      &stored, &why) == 0 &&
        found_file_check(found, &header, &stored, &why) == 0)
        result = record_found(recovery, found, &header, &stored);
    else
        leave(recovery, found, &why);
    spool_writer_free(writer);
    return result;
}

static int look_at_row(void *context, int64_t study_id, int64_t instance_id, const char *file_name,
                       uint64_t file_size)
{
    struct recovery *recovery = context;
    struct bridge *bridge = recovery->bridge;
    if (spool_has(bridge->spool, file_name, file_size))
        return 0;
    struct ledger_study study;
    if (ledger_study(bridge->ledger, &study, study_id, recovery->err) != 0)
        return -1;
    if (study.state == STUDY_COMPLETED || study.state == STUDY_DISCARDED)
        return 0; /* housekeeping was at it, and lets the row go the next time */
    if (study.cancel_requested)
        return 0; /* nothing is uploaded from it any more */
    recovery->missing++;
    atomic_store(&bridge->leaves_work, true);
    log_error("recovery",
              "study S%" PRId64 ": the file %s of instance %" PRId64 " is missing or short",
              study_id, file_name, instance_id);
    if (study_id == recovery->last_missing_study)
        return 0;
    recovery->last_missing_study = study_id;
    if (!study_state_allows(study.state, STUDY_QUARANTINED))
        return 0; /* nothing is uploaded from it as it is, or it is there already */
    return ledger_advance(bridge->ledger, study_id, study.state, STUDY_QUARANTINED,
                          "files that the ledger names are missing from the spool; restore them "
                          "or have them sent again and release the study, or discard it",
                          recovery->err);
}

/* After the replay: what it puts in its place is no find. */
static int compare(struct recovery *recovery)
{
    struct bridge *bridge = recovery->bridge;
    return spool_walk(bridge->spool, look_at_file, recovery, recovery->err) != 0 ||
                   ledger_files(bridge->ledger, look_at_row, recovery, recovery->err) != 0
               ? -1
               : 0;
}

int recovery_run(struct bridge *bridge, struct error *err)
{
    struct recovery recovery = {.bridge = bridge, .err = err};
    unsigned removed = 0;
    bool was_clean = false;
    if (ledger_recover(bridge->ledger, err) != 0 || clean_stop_take(&was_clean, bridge, err) != 0 ||
        settle_replay(bridge, err) != 0 ||
        spool_clear_incoming(bridge->spool, &removed, err) != 0 ||
        (!was_clean && compare(&recovery) != 0) || clock_change_repair(bridge, err) != 0)
        return error_wrap(err, "reconciling spool and ledger");
    bridge->up_since_ms = clock_monotonic_ms(bridge->clock);
    bridge->compared = !was_clean;
    bridge->missing_at_start = recovery.missing;
    if (was_clean)
        log_info("recovery", "spool and ledger are as the last stop left them");
    else
        log_info("recovery",
                 "spool and ledger agree: %u unfinished files removed, %u files adopted, "
                 "%u files missing",
                 removed, recovery.adopted, recovery.missing);
    return 0;
}
