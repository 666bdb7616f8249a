/* When something is due: of the studies that are received or validated, and of all that wait for a
 * time. Every search runs down an index that holds only studies which wait.
 */
#include "ledger.h"

#include "aurabridge/ledger_due.h"

struct due {
    int64_t now_ms, id, next_ms;
};

static int find_earliest(struct database *database, const char *sql, struct due *due,
                         struct error *err)
{
    sqlite3_stmt *row = NULL;
    int found = database_query(database, &row, sql, NO_VALUES, err);
    if (found <= 0)
        return found;
    if (sqlite3_column_int64(row, 1) < due->next_ms) {
        due->id = sqlite3_column_int64(row, 0);
        due->next_ms = sqlite3_column_int64(row, 1);
    }
    row_done(row);
    return 0;
}

static int find_due(struct ledger *ledger, struct database *database, void *argument,
                    struct error *err)
{
    (void)ledger;
    struct due *due = argument;
    if (find_earliest(database,
                      "SELECT id,free_at_ms FROM study INDEXED BY study_validating "
                      "WHERE state='validating' "
                      "ORDER BY free_at_ms LIMIT 1",
                      due, err) != 0 ||
        find_earliest(database,
                      "SELECT id,due_ms FROM study INDEXED BY study_receiving "
                      "WHERE state='receiving' ORDER BY due_ms LIMIT 1",
                      due, err) != 0)
        return -1;
    return due->next_ms <= due->now_ms ? 0 : LEDGER_NOT_FOUND;
}

int ledger_study_due(struct ledger *ledger, int64_t *id, int64_t now_ms, int64_t *next_ms,
                     struct error *err)
{
    struct due due = {.now_ms = now_ms, .next_ms = INT64_MAX};
    int failed = ledger_read(ledger, find_due, &due, err);
    if (!failed)
        *id = due.id;
    if (failed == LEDGER_NOT_FOUND)
        (void)error_set(err, "no study is due");
    if (next_ms)
        *next_ms = due.next_ms;
    return failed;
}

struct putting_off {
    int64_t now_ms;
    int64_t (*until)(void *context, const struct ledger_study *study);
    void *context;
    const char *reason;
    unsigned moved;
};

#define PUT_OFF_AT_ONCE 256

/* All before any is moved: a row that moves in the index must not be met again. */
static int find_all_due(struct database *database, int64_t now_ms, int64_t *ids, size_t *count,
                        struct error *err)
{
    sqlite3_stmt *row = NULL;
    int found = database_query(database, &row,
                               "SELECT id FROM study INDEXED BY study_receiving WHERE "
                               "state='receiving' AND due_ms<=?1 ORDER BY due_ms,id LIMIT ?2",
                               VALUES(INTEGER(now_ms), INTEGER(PUT_OFF_AT_ONCE)), err);
    for (*count = 0; found > 0; found = row_next(row, err))
        ids[(*count)++] = sqlite3_column_int64(row, 0);
    return found;
}

static int put_one_off(struct putting_off *wanted, struct database *database, int64_t id,
                       struct error *err)
{
    struct study_row row;
    if (study_read(database, &row, id, err) != 0)
        return -1;
    int64_t until_ms = wanted->until(wanted->context, &row.study);
    if (until_ms <= wanted->now_ms)
        return 0;
    wanted->moved++;
    return database_change(database, "UPDATE study SET due_ms=?2,reason=?3 WHERE id=?1",
                           VALUES(INTEGER(id), INTEGER(until_ms), TEXT(wanted->reason)), err) < 0
               ? -1
               : 0;
}

static int put_off(struct ledger *ledger, struct database *database, void *argument,
                   struct error *err)
{
    (void)ledger;
    struct putting_off *wanted = argument;
    int64_t ids[PUT_OFF_AT_ONCE];
    size_t count;
    wanted->moved = 0;
    if (find_all_due(database, wanted->now_ms, ids, &count, err) != 0)
        return -1;
    for (size_t i = 0; i < count; i++) {
        if (put_one_off(wanted, database, ids[i], err) != 0)
            return -1;
    }
    return 0;
}

int ledger_put_off(struct ledger *ledger, unsigned *moved, int64_t now_ms,
                   int64_t (*until)(void *context, const struct ledger_study *study), void *context,
                   const char *reason, struct error *err)
{
    struct putting_off wanted = {
        .now_ms = now_ms, .until = until, .context = context, .reason = reason};
    int failed = ledger_change(ledger, put_off, &wanted, err);
    *moved = failed ? 0 : wanted.moved;
    return failed;
}

struct later {
    int64_t due_after_ms, retry_after_ms;
    bool found;
};

static int find_later(struct ledger *ledger, struct database *database, void *argument,
                      struct error *err)
{
    (void)ledger;
    struct later *later = argument;
    int64_t found = 0;
    if (database_number(
            database, &found,
            "SELECT EXISTS(SELECT 1 FROM study INDEXED BY study_receiving WHERE "
            "state='receiving' AND due_ms>?1) OR EXISTS(SELECT 1 FROM study INDEXED BY "
            "study_validating WHERE state='validating' AND free_at_ms>?2) OR "
            "EXISTS(SELECT 1 FROM study INDEXED BY study_turns WHERE state IN " SQL_DELIVERING
            " AND free_at_ms>?2)",
            VALUES(INTEGER(later->due_after_ms), INTEGER(later->retry_after_ms)), err) < 0)
        return -1;
    later->found = found != 0;
    return 0;
}

int ledger_waits_later(struct ledger *ledger, bool *found, int64_t due_after_ms,
                       int64_t retry_after_ms, struct error *err)
{
    struct later later = {.due_after_ms = due_after_ms, .retry_after_ms = retry_after_ms};
    int failed = ledger_read(ledger, find_later, &later, err);
    *found = later.found;
    return failed;
}
