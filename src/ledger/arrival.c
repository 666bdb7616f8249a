/* Arrivals. What becomes of one is decided and applied in one step. Guarantees that each
 * acknowledged arrival is counted once, on one study row and in the ledger's own total. Touches no
 * files. */
#include "arrival.h"

#include "aurabridge/log.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

struct reception {
    const struct ledger_arrival *arrival;
    struct decision decision;
    struct generation opened;
};

static int open_study(struct ledger *ledger, struct database *database, struct reception *reception,
                      struct error *err)
{
    const struct ledger_arrival *arrival = reception->arrival;
    struct ledger_study like = {.priority = arrival->priority,
                                .first_received_ms = arrival->received_ms,
                                .last_received_ms = arrival->received_ms};
    (void)snprintf(like.route_key, sizeof like.route_key, "%s", arrival->route_key);
    (void)snprintf(like.study_instance_uid, sizeof like.study_instance_uid, "%s",
                   arrival->study_instance_uid);
    (void)snprintf(like.entry_name, sizeof like.entry_name, "%s", arrival->entry_name);
    (void)snprintf(like.destination, sizeof like.destination, "%s", arrival->destination);
    if (generation_next(database, &reception->opened, arrival->route_key,
                        arrival->study_instance_uid, err) != 0 ||
        generation_open(ledger, database, &reception->opened, &like, STUDY_RECEIVING, "", err) != 0)
        return -1;
    reception->decision.study_id = reception->opened.id;
    return 0;
}

static int supersede(struct database *database, const struct decision *decision, struct error *err)
{
    if (database_change(database,
                        "UPDATE instance SET disposition='superseded',file_name=NULL WHERE id=?1",
                        VALUES(INTEGER(decision->replaced_id)), err) < 0)
        return -1;
    int changed = database_change(
        database,
        "UPDATE study SET instances=instances-1,superseded=superseded+1,bytes=bytes-?2,"
        "truncated=truncated-?3,files=files-?4 WHERE id=?1",
        VALUES(INTEGER(decision->study_id), INTEGER(decision->replaced_bytes),
               INTEGER(decision->replaced_is_truncated), INTEGER(decision->replaced_file[0] != 0)),
        err);
    return changed < 0 ? -1 : 0;
}

/* The study has been active: its quiet time starts anew, within max_wait. */
static int touch(struct database *database, int64_t study_id, const struct ledger_arrival *arrival,
                 struct error *err)
{
    int changed = database_change(
        database,
        "UPDATE study SET first_received_ms=min(first_received_ms,?2),"
        "last_received_ms=max(last_received_ms,?2),"
        "due_ms=min(max(last_received_ms,?2)+?3,min(first_received_ms,?2)+?4) WHERE id=?1",
        VALUES(INTEGER(study_id), INTEGER(arrival->received_ms), INTEGER(arrival->quiet_period_ms),
               INTEGER(arrival->max_wait_ms)),
        err);
    return changed < 0 ? -1 : 0;
}

static int store(struct ledger *ledger, struct database *database, struct reception *reception,
                 struct error *err)
{
    const struct ledger_arrival *arrival = reception->arrival;
    struct decision *decision = &reception->decision;
    bool replaces = decision->replaced_id != 0;
    if (decision->study_id == 0 && open_study(ledger, database, reception, err) != 0)
        return -1;
    if (replaces && supersede(database, decision, err) != 0)
        return -1;
    if (instance_insert(database, decision->study_id, INSTANCE_STORED, arrival, err) != 0)
        return -1;
    bool is_quarantined =
        decision->is_changed && arrival->changed_duplicate == CHANGED_DUPLICATE_QUARANTINE;
    if (database_change(
            database,
            "UPDATE study SET instances=instances+1,bytes=bytes+?2,truncated=truncated+?3,"
            "files=files+?4,has_changed_duplicates=max(has_changed_duplicates,?5),"
            "must_quarantine=max(must_quarantine,?6) WHERE id=?1",
            VALUES(INTEGER(decision->study_id), INTEGER(arrival->instance->file_size),
                   INTEGER(arrival->instance->ending.ending != DATASET_COMPLETE),
                   INTEGER(arrival->file_name[0] != 0), INTEGER(decision->is_changed && !replaces),
                   INTEGER(is_quarantined)),
            err) < 0)
        return -1;
    return touch(database, decision->study_id, arrival, err);
}

static int keep_first(struct database *database, const struct reception *reception,
                      struct error *err)
{
    struct ledger_arrival without_file = *reception->arrival;
    without_file.file_name = "";
    int64_t study_id = reception->decision.study_id;
    if (instance_insert(database, study_id, INSTANCE_SUPERSEDED, &without_file, err) != 0 ||
        database_change(database, "UPDATE study SET superseded=superseded+1 WHERE id=?1",
                        VALUES(INTEGER(study_id)), err) < 0)
        return -1;
    return reception->decision.is_receiving ? touch(database, study_id, &without_file, err) : 0;
}

static int count_resend(struct database *database, const struct reception *reception,
                        struct error *err)
{
    const struct decision *decision = &reception->decision;
    bool is_swallowed = decision->kind == ARRIVAL_SWALLOWED_RESEND;
    if (database_change(
            database,
            "UPDATE study SET resends=resends+?2,"
            "swallowed_resends=swallowed_resends+?3 WHERE id=?1",
            VALUES(INTEGER(decision->study_id), INTEGER(!is_swallowed), INTEGER(is_swallowed)),
            err) < 0)
        return -1;
    return decision->is_receiving ? touch(database, decision->study_id, reception->arrival, err)
                                  : 0;
}

static int receive(struct ledger *ledger, struct database *database, void *argument,
                   struct error *err)
{
    struct reception *reception = argument;
    struct decision *decision = &reception->decision;
    if (arrival_decide(database, decision, reception->arrival, err) != 0)
        return -1;
    int failed = decision->kind == ARRIVAL_STORED       ? store(ledger, database, reception, err)
                 : decision->kind == ARRIVAL_KEPT_FIRST ? keep_first(database, reception, err)
                                                        : count_resend(database, reception, err);
    if (failed)
        return -1;
    /* Apart from where it went, so that the audit has two figures to hold against each other. */
    if (database_change(database, "UPDATE study SET acknowledged=acknowledged+1 WHERE id=?1",
                        VALUES(INTEGER(decision->study_id)), err) < 0)
        return -1;
    return database_change(database, "UPDATE counter SET value=value+1 WHERE name='acknowledged'",
                           NO_VALUES, err) < 0
               ? -1
               : 0;
}

static void fill_outcome(struct ledger_arrival_outcome *out, const struct reception *reception)
{
    const struct decision *decision = &reception->decision;
    memset(out, 0, sizeof *out);
    out->kind = decision->kind;
    out->study_id = decision->study_id;
    out->study_opened = reception->opened.id != 0;
    out->supplement = reception->opened.number;
    out->first_id = reception->opened.first_id;
    if (decision->replaced_id != 0)
        memcpy(out->superseded_file, decision->replaced_file, sizeof out->superseded_file);
    out->resent_id = decision->resent_id;
    out->resent_size = decision->resent_bytes;
    out->resent_crc32 = decision->resent_crc32;
    memcpy(out->resent_file, decision->resent_file, sizeof out->resent_file);
}

static void log_opened(const struct ledger_arrival_outcome *outcome,
                       const struct ledger_arrival *arrival)
{
    if (outcome->study_opened && outcome->supplement > 0)
        log_info("ledger",
                 "study S%" PRId64 " %s: receiving (supplement %" PRId64 " of S%" PRId64
                 ", from %s)",
                 outcome->study_id, arrival->study_instance_uid, outcome->supplement,
                 outcome->first_id, arrival->association->calling_ae_title);
    else if (outcome->study_opened)
        log_info("ledger", "study S%" PRId64 " %s: receiving (from %s)", outcome->study_id,
                 arrival->study_instance_uid, arrival->association->calling_ae_title);
}

int ledger_instance_received(struct ledger *ledger, struct ledger_arrival_outcome *out,
                             const struct ledger_arrival *arrival, struct error *err)
{
    memset(out, 0, sizeof *out);
    struct reception reception = {.arrival = arrival};
    int failed = ledger_change(ledger, receive, &reception, err);
    if (failed)
        return failed;
    fill_outcome(out, &reception);
    log_opened(out, arrival);
    return 0;
}

/* ---- many at a time ---- */

/* Returns -1 when nothing more can be recorded. */
static int receive_one(struct ledger *ledger, struct database *database,
                       const struct ledger_arrivals *arrivals, size_t index, struct error *err)
{
    struct ledger_arrival arrival;
    if (arrivals->arrival(arrivals->context, index, &arrival, err) != 0 ||
        database_change(database, "SAVEPOINT arrival", NO_VALUES, err) < 0)
        return -1;
    struct reception reception = {.arrival = &arrival};
    struct error why;
    arrivals->results[index] = receive(ledger, database, &reception, &why);
    if (arrivals->results[index] != 0 && ledger_write_failed(database)) {
        if (err)
            *err = why;
        return -1;
    }
    fill_outcome(&arrivals->outcomes[index], &reception);
    if (arrivals->results[index] != 0) {
        log_error("ledger", "%s cannot be recorded and stays in the spool for the next start: %s",
                  arrival.file_name, why.text);
        if (database_change(database, "ROLLBACK TO arrival", NO_VALUES, err) < 0)
            return -1;
    }
    return database_change(database, "RELEASE arrival", NO_VALUES, err) < 0 ? -1 : 0;
}

static int receive_all(struct ledger *ledger, struct database *database, void *argument,
                       struct error *err)
{
    const struct ledger_arrivals *arrivals = argument;
    for (size_t i = 0; i < arrivals->count; i++)
        if (receive_one(ledger, database, arrivals, i, err) != 0)
            return -1;
    return database_change(database, "UPDATE counter SET value=?1 WHERE name='settled'",
                           VALUES(INTEGER(arrivals->settled)), err) < 0
               ? -1
               : 0;
}

int ledger_instances_received(struct ledger *ledger, const struct ledger_arrivals *arrivals,
                              struct error *err)
{
    int failed = ledger_change(ledger, receive_all, (void *)(uintptr_t)arrivals, err);
    for (size_t i = 0; !failed && i < arrivals->count; i++) {
        struct ledger_arrival arrival;
        if (arrivals->results[i] == 0 && arrivals->outcomes[i].study_opened &&
            arrivals->arrival(arrivals->context, i, &arrival, NULL) == 0)
            log_opened(&arrivals->outcomes[i], &arrival);
    }
    return failed;
}

/* ---- how far spool and journal have come ---- */

struct reading {
    const char *name;
    uint64_t value;
};

static int read_counter(struct ledger *ledger, struct database *database, void *argument,
                        struct error *err)
{
    (void)ledger;
    struct reading *reading = argument;
    int64_t number = 0;
    int found = database_number(database, &number, "SELECT value FROM counter WHERE name=?1",
                                VALUES(TEXT(reading->name)), err);
    reading->value = number < 0 ? 0 : (uint64_t)number;
    return found < 0 ? -1 : 0;
}

int ledger_settled(struct ledger *ledger, uint64_t *out, struct error *err)
{
    struct reading reading = {.name = "settled"};
    int failed = ledger_read(ledger, read_counter, &reading, err);
    *out = reading.value;
    return failed;
}

int ledger_clean(struct ledger *ledger, uint64_t *out, struct error *err)
{
    struct reading reading = {.name = "clean"};
    int failed = ledger_read(ledger, read_counter, &reading, err);
    *out = reading.value;
    return failed;
}

static int write_clean(struct ledger *ledger, struct database *database, void *argument,
                       struct error *err)
{
    (void)ledger;
    return database_change(database, "UPDATE counter SET value=?1 WHERE name='clean'",
                           VALUES(INTEGER(*(uint64_t *)argument)), err) < 0
               ? -1
               : 0;
}

int ledger_set_clean(struct ledger *ledger, uint64_t fingerprint, struct error *err)
{
    return ledger_change(ledger, write_clean, &fingerprint, err);
}
