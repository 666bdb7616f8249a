/* Who works on what. Guarantees that a study is leased to one owner at a time, that
 * the oldest of a priority goes first, and that no upload of a study overtakes an earlier one.
 * Every search runs down an index that holds only studies which wait, so that it costs the same
 * whatever is stored.
 */
#include "ledger.h"

#include "aurabridge/ledger_due.h"

#include <inttypes.h>
#include <string.h>

/* s is the candidate, e an earlier upload of the same study that goes first. */
#define BEHIND                                                                                     \
    "e.route_key=s.route_key AND e.study_instance_uid=s.study_instance_uid AND e.forgotten=0 "     \
    "AND e.generation<s.generation AND (e.state IN " SQL_IN_FLIGHT                                 \
    " OR (s.has_changed_duplicates<>0 AND e.state NOT IN " SQL_FINAL "))"

/* What is to be cancelled may pass. */
#define NOT_BEHIND "(s.cancel_requested<>0 OR NOT EXISTS(SELECT 1 FROM study e WHERE " BEHIND "))"

/* The order is that of turn_ms: the time of the first instance, less the head start that the
 * priority gives. Down an index to the first that may go, without a sort. */
#define NEXT_OF(index, lane)                                                                       \
    "SELECT s.id FROM study s INDEXED BY " index " WHERE s.destination=?1 AND s.state "            \
    "IN " SQL_DELIVERING lane " AND s.free_at_ms=0 AND " NOT_BEHIND                                \
    " ORDER BY s.turn_ms,s.id LIMIT 1"

static const char next_of_all[] = NEXT_OF("study_turns", "");
static const char next_of_urgent[] = NEXT_OF("study_urgent", " AND s.priority='urgent'");

const char *claim_search(bool urgent_only)
{
    return urgent_only ? next_of_urgent : next_of_all;
}

#define WAITS_ENDED_AT_ONCE 32

struct claim {
    const char *destination, *owner;
    bool urgent_only;
    int64_t now_ms, lease_ms, next_ms;
    int64_t id; /* 0: none is due */
    struct study_row row;
};

/* Those whose wait (or lease) is over take their place in the order again. Once each, some at a
 * time: thousands may be due at the end of an outage, and no claim is to sort them. Returns how
 * many, or -1. */
static int end_waits(struct database *database, const struct claim *wanted, struct error *err)
{
    return database_change(
        database,
        "UPDATE study SET retry_at_ms=0,lease_until_ms=0,lease_owner='' WHERE id IN (SELECT id "
        "FROM study INDEXED BY study_turns WHERE destination=?1 AND state IN " SQL_DELIVERING
        " AND free_at_ms>0 AND free_at_ms<=?2 ORDER BY free_at_ms LIMIT ?3)",
        VALUES(TEXT(wanted->destination), INTEGER(wanted->now_ms), INTEGER(WAITS_ENDED_AT_ONCE)),
        err);
}

/* Returns 1 with `wanted->id`, 0 when none is due, or -1. */
static int search(struct database *database, struct claim *wanted, struct error *err)
{
    for (;;) {
        int ended = end_waits(database, wanted, err);
        if (ended < 0)
            return -1;
        int found = database_number(database, &wanted->id, claim_search(wanted->urgent_only),
                                    VALUES(TEXT(wanted->destination)), err);
        if (found != 0 || ended < WAITS_ENDED_AT_ONCE)
            return found;
    }
}

/* Answers 0 also when nothing is due: what ended its wait stays so. */
static int claim(struct ledger *ledger, struct database *database, void *argument,
                 struct error *err)
{
    (void)ledger;
    struct claim *wanted = argument;
    int found = search(database, wanted, err);
    if (found < 0)
        return -1;
    if (found == 0)
        return database_number(
                   database, &wanted->next_ms,
                   "SELECT free_at_ms FROM study INDEXED BY study_turns WHERE destination=?1 AND "
                   "state IN " SQL_DELIVERING " AND free_at_ms>?2 ORDER BY free_at_ms LIMIT 1",
                   VALUES(TEXT(wanted->destination), INTEGER(wanted->now_ms)), err) < 0
                   ? -1
                   : 0;
    /* Counted before it is made: a kill in the middle of an attempt leaves it counted. */
    if (database_change(
            database,
            "UPDATE study SET lease_owner=?2,lease_until_ms=?3,attempts=attempts+"
            "(state='uploading' OR (state='confirming' AND (attempt>0 OR step=?4))) WHERE id=?1",
            VALUES(INTEGER(wanted->id), TEXT(wanted->owner),
                   INTEGER(wanted->now_ms + wanted->lease_ms), INTEGER(STEP_COMPLETE_SENT)),
            err) < 0)
        return -1;
    return study_read(database, &wanted->row, wanted->id, err);
}

static int claim_next(struct ledger *ledger, struct ledger_study *out, struct claim *wanted,
                      int64_t *next_ms, struct error *err)
{
    wanted->next_ms = INT64_MAX;
    int failed = ledger_change(ledger, claim, wanted, err);
    if (next_ms)
        *next_ms = wanted->next_ms;
    if (failed)
        return failed;
    if (wanted->id == 0) {
        (void)error_set(err, "nothing is due for this destination");
        return LEDGER_NOT_FOUND;
    }
    *out = wanted->row.study;
    return 0;
}

int ledger_claim(struct ledger *ledger, struct ledger_study *out, const char *destination,
                 const char *owner, int64_t now_ms, int64_t lease_ms, int64_t *next_ms,
                 struct error *err)
{
    struct claim wanted = {
        .destination = destination, .owner = owner, .now_ms = now_ms, .lease_ms = lease_ms};
    return claim_next(ledger, out, &wanted, next_ms, err);
}

int ledger_claim_urgent(struct ledger *ledger, struct ledger_study *out, const char *destination,
                        const char *owner, int64_t now_ms, int64_t lease_ms, int64_t *next_ms,
                        struct error *err)
{
    struct claim wanted = {.destination = destination,
                           .owner = owner,
                           .urgent_only = true,
                           .now_ms = now_ms,
                           .lease_ms = lease_ms};
    return claim_next(ledger, out, &wanted, next_ms, err);
}

struct urgency {
    const char *destination;
    int64_t now_ms, id, next_ms;
};

static int look_for_urgent(struct ledger *ledger, struct database *database, void *argument,
                           struct error *err)
{
    (void)ledger;
    struct urgency *urgency = argument;
    static const char due[] =
        "SELECT s.id FROM study s INDEXED BY study_urgent WHERE s.destination=?1 AND s.state "
        "IN " SQL_DELIVERING " AND s.priority='urgent' AND s.free_at_ms<=?2 AND " NOT_BEHIND
        " LIMIT 1";
    static const char later[] =
        "SELECT free_at_ms FROM study INDEXED BY study_urgent WHERE destination=?1 AND "
        "state IN " SQL_DELIVERING " AND priority='urgent' AND free_at_ms>?2 "
        "ORDER BY free_at_ms LIMIT 1";
    struct values values = VALUES(TEXT(urgency->destination), INTEGER(urgency->now_ms));
    return database_number(database, &urgency->id, due, values, err) < 0 ||
                   database_number(database, &urgency->next_ms, later, values, err) < 0
               ? -1
               : 0;
}

int ledger_urgent_is_due(struct ledger *ledger, bool *due, const char *destination, int64_t now_ms,
                         int64_t *next_ms, struct error *err)
{
    struct urgency urgency = {.destination = destination, .now_ms = now_ms, .next_ms = INT64_MAX};
    int failed = ledger_read(ledger, look_for_urgent, &urgency, err);
    *due = urgency.id != 0;
    *next_ms = urgency.next_ms;
    return failed;
}

struct waiting {
    const char *destination;
    int64_t count;
};

static int count_waiting(struct ledger *ledger, struct database *database, void *argument,
                         struct error *err)
{
    (void)ledger;
    struct waiting *waiting = argument;
    return database_number(database, &waiting->count,
                           "SELECT (SELECT count(*) FROM study INDEXED BY study_turns WHERE "
                           "destination=?1 AND state IN " SQL_DELIVERING
                           ")-(SELECT count(*) FROM study INDEXED BY study_leased WHERE "
                           "lease_until_ms>0 AND destination=?1 AND state IN " SQL_DELIVERING ")",
                           VALUES(TEXT(waiting->destination)), err) < 0
               ? -1
               : 0;
}

int ledger_waiting(struct ledger *ledger, uint64_t *count, const char *destination,
                   struct error *err)
{
    struct waiting waiting = {.destination = destination};
    int failed = ledger_read(ledger, count_waiting, &waiting, err);
    *count = failed || waiting.count < 0 ? 0 : (uint64_t)waiting.count;
    return failed;
}

struct behind {
    int64_t id, earlier_id;
};

static int find_earlier(struct ledger *ledger, struct database *database, void *argument,
                        struct error *err)
{
    (void)ledger;
    struct behind *behind = argument;
    return database_number(database, &behind->earlier_id,
                           "SELECT e.id FROM study s CROSS JOIN study e WHERE s.id=?1 AND s.state "
                           "IN " SQL_DELIVERING " AND s.cancel_requested=0 AND " BEHIND
                           " ORDER BY e.generation LIMIT 1",
                           VALUES(INTEGER(behind->id)), err) < 0
               ? -1
               : 0;
}

int ledger_study_behind(struct ledger *ledger, int64_t *earlier_id, int64_t id, struct error *err)
{
    struct behind behind = {.id = id};
    int failed = ledger_read(ledger, find_earlier, &behind, err);
    *earlier_id = behind.earlier_id;
    return failed;
}

struct progress {
    int64_t id;
    const struct ledger_upload *upload; /* null: the claim ends */
};

static int record(struct ledger *ledger, struct database *database, void *argument,
                  struct error *err)
{
    (void)ledger;
    const struct progress *progress = argument;
    const struct ledger_upload *upload = progress->upload;
    int changed;
    if (upload)
        changed = database_change(
            database,
            "UPDATE study SET upload_id=?2,assembly_id=?3,step=?4,upload_url=?5,upload_length=?6,"
            "upload_offset=?7,package_digest=?8,aurabox_study_id=?9,complete_unanswered=?10 WHERE "
            "id=?1",
            VALUES(INTEGER(progress->id), TEXT(upload->upload_id), TEXT(upload->assembly_id),
                   INTEGER(upload->step), TEXT(upload->upload_url), INTEGER(upload->upload_length),
                   INTEGER(upload->upload_offset), TEXT(upload->package_digest),
                   TEXT(upload->aurabox_study_id), INTEGER(upload->complete_unanswered)),
            err);
    else
        changed = database_change(database,
                                  "UPDATE study SET lease_owner='',lease_until_ms=0 WHERE id=?1",
                                  VALUES(INTEGER(progress->id)), err);
    if (changed != 0)
        return changed < 0 ? -1 : 0;
    (void)error_set(err, "there is no study S%" PRId64, progress->id);
    return LEDGER_NOT_FOUND;
}

int ledger_release_claim(struct ledger *ledger, int64_t id, struct error *err)
{
    struct progress progress = {.id = id};
    return ledger_change(ledger, record, &progress, err);
}

int ledger_upload_put(struct ledger *ledger, int64_t id, const struct ledger_upload *upload,
                      struct error *err)
{
    struct progress progress = {.id = id, .upload = upload};
    return ledger_change(ledger, record, &progress, err);
}
