/* The state of a study changes here and nowhere else. Guarantees that only transitions of the
 * table happen, that each is logged once, when it is durable, that a study which is discarded takes
 * its instances along, and that none is completed without a receipt. */
#include "receipt.h"

#include "aurabridge/log.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static int discard_instances(struct database *database, int64_t id, struct error *err)
{
    if (database_change(database,
                        "UPDATE instance SET disposition='discarded' "
                        "WHERE study_id=?1 AND disposition='stored'",
                        VALUES(INTEGER(id)), err) < 0)
        return -1;
    return database_change(database,
                           "UPDATE study SET discarded=discarded+instances,instances=0,bytes=0,"
                           "truncated=0 WHERE id=?1",
                           VALUES(INTEGER(id)), err) < 0
               ? -1
               : 0;
}

int study_change(struct ledger *ledger, struct database *database, struct state_change *out,
                 const struct study_row *row, enum study_state to, const char *reason,
                 struct error *err)
{
    const struct ledger_study *study = &row->study;
    if (!study_state_allows(study->state, to))
        return error_set(err, "study S%" PRId64 " cannot go from %s to %s", study->id,
                         study_state_name(study->state), study_state_name(to));
    out->id = study->id;
    memcpy(out->study_instance_uid, study->study_instance_uid, sizeof out->study_instance_uid);
    out->from = study->state;
    out->to = to;
    (void)snprintf(out->reason, sizeof out->reason, "%s", reason);
    /* What was quarantined again has to pass again. */
    bool passed = to == STUDY_READY || (row->passed && to != STUDY_QUARANTINED);
    int64_t now = clock_wall_ms(ledger->clock);
    int changed = database_change(
        database,
        "UPDATE study SET state=?2,reason=?3,changed_ms=?4,completed_ms=?5,passed=?6,"
        "cancel_requested=?7,attempt=0,retry_at_ms=0,lease_owner='',lease_until_ms=0 WHERE id=?1",
        VALUES(INTEGER(study->id), TEXT(study_state_name(to)), TEXT(out->reason), INTEGER(now),
               INTEGER(to == STUDY_COMPLETED ? now : study->completed_ms), INTEGER(passed),
               INTEGER(study->cancel_requested && !study_state_is_final(to))),
        err);
    if (changed < 0)
        return -1;
    return to == STUDY_DISCARDED ? discard_instances(database, study->id, err) : 0;
}

void study_change_log(const struct state_change *change)
{
    log_info("ledger", "study S%" PRId64 " %s: %s → %s (%s)", change->id,
             change->study_instance_uid, study_state_name(change->from),
             study_state_name(change->to), change->reason);
}

struct advance {
    int64_t id;
    enum study_state from, to;
    const char *reason;
    struct state_change change;
    struct receipt_contents contents; /* for a receipt, which only completed asks for */
    int64_t receipt_number;
    char receipt_sha256[SHA256_HEX_SIZE];
};

static int advance(struct ledger *ledger, struct database *database, void *argument,
                   struct error *err)
{
    struct advance *wanted = argument;
    struct study_row row;
    int failed = study_read(database, &row, wanted->id, err);
    if (failed)
        return failed;
    if (row.study.state != wanted->from) {
        (void)error_set(err, "study S%" PRId64 " is %s, not %s any more", wanted->id,
                        study_state_name(row.study.state), study_state_name(wanted->from));
        return LEDGER_CONFLICT;
    }
    if (study_change(ledger, database, &wanted->change, &row, wanted->to, wanted->reason, err) != 0)
        return -1;
    return wanted->to == STUDY_COMPLETED
               ? receipt_append(database, wanted->id, &wanted->contents, &wanted->receipt_number,
                                wanted->receipt_sha256, err)
               : 0;
}

static int read_contents(struct ledger *ledger, struct database *database, void *argument,
                         struct error *err)
{
    (void)ledger;
    struct advance *wanted = argument;
    return receipt_contents_read(database, &wanted->contents, wanted->id, err);
}

int ledger_advance(struct ledger *ledger, int64_t id, enum study_state from, enum study_state to,
                   const char *reason, struct error *err)
{
    struct advance wanted = {.id = id, .from = from, .to = to, .reason = reason};
    /* Before the shared transaction, which a study of 100,000 instances would hold up. What is read
     * here does not change while the study is confirming. */
    int failed = to == STUDY_COMPLETED ? ledger_read(ledger, read_contents, &wanted, err) : 0;
    if (!failed)
        failed = ledger_change(ledger, advance, &wanted, err);
    if (failed)
        return failed;
    study_change_log(&wanted.change);
    if (to == STUDY_COMPLETED)
        log_info("ledger", "receipt %" PRId64 " of study S%" PRId64 ": SHA-256 %s",
                 wanted.receipt_number, id, wanted.receipt_sha256);
    return 0;
}
