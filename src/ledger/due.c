/* When something is due: of the studies that are received or validated, and of all that wait for a
 * time. Every search runs down an index that holds only studies which wait.
 */
#include "ledger.h"

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
