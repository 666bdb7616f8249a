/* What a person may ask for. Guarantees that a study only leaves quarantine with the instances of
 * one chosen patient when that was asked, and that a retry never skips validation. Whoever holds a
 * study in work learns of a wish through its row; nothing here interrupts him. */
#include "ledger.h"

#include "aurabridge/log.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

struct wish {
    int64_t id;
    const char *text; /* reason, or patient id; may be null */
    bool has_changed;
    struct state_change change;
    struct generation left;
};

static int conflict(struct error *err, const struct ledger_study *study, const char *why)
{
    (void)error_set(err, "study S%" PRId64 " is %s: %s", study->id, study_state_name(study->state),
                    why);
    return LEDGER_CONFLICT;
}

/* What moves along with the instances of other patients. */
struct moving {
    int64_t instances, bytes, truncated, files;
};

static int count_others(struct database *database, struct moving *out, int64_t id,
                        const char *patient_id, struct error *err)
{
    sqlite3_stmt *row = NULL;
    int found =
        database_query(database, &row,
                       "SELECT count(*),coalesce(sum(file_size),0),coalesce(sum(ending<>0),0),"
                       "count(file_name) FROM instance WHERE study_id=?1 AND disposition='stored' "
                       "AND patient_id<>?2",
                       VALUES(INTEGER(id), TEXT(patient_id)), err);
    if (found <= 0)
        return -1;
    *out = (struct moving){
        .instances = sqlite3_column_int64(row, 0),
        .bytes = sqlite3_column_int64(row, 1),
        .truncated = sqlite3_column_int64(row, 2),
        .files = sqlite3_column_int64(row, 3),
    };
    row_done(row);
    return 0;
}

static int move_others(struct database *database, const struct moving *moving, int64_t from,
                       int64_t to, const char *patient_id, struct error *err)
{
    static const char counts[] =
        "UPDATE study SET instances=instances+?2,bytes=bytes+?3,truncated=truncated+?4,"
        "files=files+?5,acknowledged=acknowledged+?2 WHERE id=?1";
    if (database_change(database,
                        "UPDATE instance SET study_id=?2 WHERE study_id=?1 AND "
                        "disposition='stored' AND patient_id<>?3",
                        VALUES(INTEGER(from), INTEGER(to), TEXT(patient_id)), err) < 0 ||
        database_change(database, counts,
                        VALUES(INTEGER(to), INTEGER(moving->instances), INTEGER(moving->bytes),
                               INTEGER(moving->truncated), INTEGER(moving->files)),
                        err) < 0 ||
        database_change(database, counts,
                        VALUES(INTEGER(from), INTEGER(-moving->instances), INTEGER(-moving->bytes),
                               INTEGER(-moving->truncated), INTEGER(-moving->files)),
                        err) < 0)
        return -1;
    return 0;
}

static int leave_others_behind(struct ledger *ledger, struct database *database, struct wish *wish,
                               const struct ledger_study *study, struct error *err)
{
    struct moving moving = {0};
    if (count_others(database, &moving, study->id, wish->text, err) != 0)
        return -1;
    if ((uint64_t)moving.instances == study->instances)
        return error_set(err,
                         "study S%" PRId64 " stays quarantined: none of its instances has the "
                         "PatientID that was named",
                         study->id);
    if (moving.instances == 0)
        return 0;
    char reason[64];
    (void)snprintf(reason, sizeof reason, "left behind when S%" PRId64 " was released", study->id);
    if (generation_next(database, &wish->left, study->route_key, study->study_instance_uid, err) !=
            0 ||
        generation_open(ledger, database, &wish->left, study, STUDY_QUARANTINED, reason, err) != 0)
        return -1;
    return move_others(database, &moving, study->id, wish->left.id, wish->text, err);
}

static int release(struct ledger *ledger, struct database *database, void *argument,
                   struct error *err)
{
    struct wish *wish = argument;
    struct study_row row;
    int failed = study_read(database, &row, wish->id, err);
    if (failed)
        return failed;
    if (row.study.state != STUDY_QUARANTINED)
        return conflict(err, &row.study, "only a quarantined study can be released");
    if (wish->text && leave_others_behind(ledger, database, wish, &row.study, err) != 0)
        return -1;
    if (database_change(database, "UPDATE study SET released=1 WHERE id=?1",
                        VALUES(INTEGER(wish->id)), err) < 0)
        return -1;
    /* Not straight to ready: one that recovery put there has not met the drop rules yet, and the
     * map may have an entry for it by now. */
    return study_change(ledger, database, &wish->change, &row, STUDY_VALIDATING,
                        "released by an operator", err);
}

int ledger_study_release(struct ledger *ledger, int64_t id, const char *patient_id,
                         int64_t *left_id, struct error *err)
{
    struct wish wish = {.id = id, .text = patient_id};
    int failed = ledger_change(ledger, release, &wish, err);
    if (failed)
        return failed;
    study_change_log(&wish.change);
    if (wish.left.id != 0)
        log_info("ledger",
                 "study S%" PRId64 " %s: quarantined (left behind when S%" PRId64 " was released)",
                 wish.left.id, wish.change.study_instance_uid, id);
    if (left_id)
        *left_id = wish.left.id;
    return 0;
}

bool ledger_upload_is_announced(const struct ledger_upload *upload)
{
    return upload->step != STEP_NONE && upload->step != STEP_ERROR_DONE;
}

static int request_cancel(struct ledger *ledger, struct database *database, void *argument,
                          struct error *err)
{
    struct wish *wish = argument;
    struct study_row row;
    int failed = study_read(database, &row, wish->id, err);
    if (failed)
        return failed;
    if (study_state_is_final(row.study.state))
        return conflict(err, &row.study, "there is nothing to cancel");
    /* Nobody works on it, and nobody has to be told: it needs no worker, whom a paused destination
     * would let wait. */
    wish->has_changed = row.lease_until_ms == 0 && !ledger_upload_is_announced(&row.study.upload) &&
                        study_state_allows(row.study.state, STUDY_CANCELLED);
    if (wish->has_changed)
        return study_change(ledger, database, &wish->change, &row, STUDY_CANCELLED,
                            "cancelled by a person before it was announced", err);
    /* Due at once, so that the wish is not heard only after a long retry delay. */
    return database_change(database,
                           "UPDATE study SET cancel_requested=1,retry_at_ms=0 WHERE id=?1",
                           VALUES(INTEGER(wish->id)), err) < 0
               ? -1
               : 0;
}

int ledger_study_request_cancel(struct ledger *ledger, int64_t id, struct error *err)
{
    struct wish wish = {.id = id};
    int failed = ledger_change(ledger, request_cancel, &wish, err);
    if (!failed && wish.has_changed)
        study_change_log(&wish.change);
    return failed;
}

/* After a cancel an instance that comes again is new. Writes the study that holds one of these now,
 * or 0. */
static int came_again_as(struct database *database, int64_t *out, const struct ledger_study *study,
                         struct error *err)
{
    *out = 0;
    return database_number(
        database, out,
        "SELECT s.id FROM instance mine JOIN instance other ON "
        "other.sop_instance_uid=mine.sop_instance_uid AND "
        "other.data_set_sha256=mine.data_set_sha256 JOIN study s ON s.id=other.study_id "
        "WHERE mine.study_id=?1 AND mine.disposition='stored' AND other.disposition='stored' AND "
        "s.route_key=?2 AND s.study_instance_uid=?3 AND s.generation>?4 AND s.forgotten=0 AND "
        "s.state NOT IN ('cancelled','discarded') LIMIT 1",
        VALUES(INTEGER(study->id), TEXT(study->route_key), TEXT(study->study_instance_uid),
               INTEGER(study->generation)),
        err);
}

static int restart(struct ledger *ledger, struct database *database, struct wish *wish,
                   const struct study_row *row, struct error *err)
{
    int64_t again = 0;
    if (came_again_as(database, &again, &row->study, err) < 0)
        return -1;
    if (again != 0) {
        char why[96];
        (void)snprintf(why, sizeof why,
                       "its instances came again as S%" PRId64
                       "; discard this one, or cancel S%" PRId64 " first",
                       again, again);
        return conflict(err, &row->study, why);
    }
    bool may_go = row->passed && row->study.destination[0];
    enum study_state to = may_go ? STUDY_READY : STUDY_VALIDATING;
    if (!study_state_allows(row->study.state, to))
        return conflict(err, &row->study,
                        "it never passed validation; discard it and have it sent again");
    wish->has_changed = true;
    if (database_change(database,
                        "UPDATE study SET upload_id='',assembly_id='',step=0,upload_url='',"
                        "upload_length=0,upload_offset=0,package_digest='',aurabox_study_id='',"
                        "complete_unanswered=0,attempts=0 WHERE id=?1",
                        VALUES(INTEGER(wish->id)), err) < 0)
        return -1;
    return study_change(ledger, database, &wish->change, row, to, "retried by an operator", err);
}

static int retry(struct ledger *ledger, struct database *database, void *argument,
                 struct error *err)
{
    struct wish *wish = argument;
    struct study_row row;
    int failed = study_read(database, &row, wish->id, err);
    if (failed)
        return failed;
    enum study_state state = row.study.state;
    if (state == STUDY_FAILED || state == STUDY_CANCELLED)
        return restart(ledger, database, wish, &row, err);
    if (!study_state_is_in_flight(state))
        return conflict(err, &row.study, "there is nothing to retry");
    if (row.study.cancel_requested)
        return conflict(err, &row.study, "it is being cancelled; retry it once it is");
    return database_change(database, "UPDATE study SET retry_at_ms=0 WHERE id=?1",
                           VALUES(INTEGER(wish->id)), err) < 0
               ? -1
               : 0;
}

int ledger_study_retry(struct ledger *ledger, int64_t id, struct error *err)
{
    struct wish wish = {.id = id};
    int failed = ledger_change(ledger, retry, &wish, err);
    if (!failed && wish.has_changed)
        study_change_log(&wish.change);
    return failed;
}

static int discard(struct ledger *ledger, struct database *database, void *argument,
                   struct error *err)
{
    struct wish *wish = argument;
    struct study_row row;
    int failed = study_read(database, &row, wish->id, err);
    if (failed)
        return failed;
    bool is_over = study_state_is_final(row.study.state);
    bool is_known_there = !is_over && ledger_upload_is_announced(&row.study.upload);
    if (study_state_allows(row.study.state, STUDY_DISCARDED) && !is_known_there)
        return study_change(ledger, database, &wish->change, &row, STUDY_DISCARDED, wish->text,
                            err);
    const char *why = "cancel it first";
    if (is_over)
        why = "there is nothing to discard";
    else if (row.study.cancel_requested)
        why = "it is being cancelled, which ends when Aurabox has heard of it";
    else if (is_known_there)
        why = "Aurabox waits for its upload; cancel it first";
    return conflict(err, &row.study, why);
}

int ledger_study_discard(struct ledger *ledger, int64_t id, const char *reason, struct error *err)
{
    struct wish wish = {.id = id, .text = reason};
    int failed = ledger_change(ledger, discard, &wish, err);
    if (!failed)
        study_change_log(&wish.change);
    return failed;
}

/* With the time, so that recovery can tell what lay in the spool before from what came after. */
static int forget(struct ledger *ledger, struct database *database, void *argument,
                  struct error *err)
{
    const struct wish *wish = argument;
    struct study_row row;
    int failed = study_read(database, &row, wish->id, err);
    if (failed)
        return failed;
    if (!study_state_is_final(row.study.state))
        return conflict(err, &row.study, "only a finished study can be forgotten");
    return database_change(database, "UPDATE study SET forgotten=?2 WHERE id=?1",
                           VALUES(INTEGER(wish->id), INTEGER(clock_wall_ms(ledger->clock))),
                           err) < 0
               ? -1
               : 0;
}

int ledger_study_forget(struct ledger *ledger, int64_t id, struct error *err)
{
    struct wish wish = {.id = id};
    return ledger_change(ledger, forget, &wish, err);
}
