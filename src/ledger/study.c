/* Study rows: reading them, and the small changes that leave the state alone. */
#include "ledger.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define PAGE 16 /* studies read at a time; a struct ledger_study has about 4.5 KiB */

static void row_upload(struct ledger_upload *out, sqlite3_stmt *row, int column)
{
    row_text(out->upload_id, sizeof out->upload_id, row, column);
    row_text(out->assembly_id, sizeof out->assembly_id, row, column + 1);
    out->step = (enum ledger_step)sqlite3_column_int(row, column + 2);
    row_text(out->upload_url, sizeof out->upload_url, row, column + 3);
    out->upload_length = row_count(row, column + 4);
    out->upload_offset = row_count(row, column + 5);
    row_text(out->package_digest, sizeof out->package_digest, row, column + 6);
    row_text(out->aurabox_study_id, sizeof out->aurabox_study_id, row, column + 7);
    out->complete_unanswered = sqlite3_column_int(row, column + 8) != 0;
}

static void row_counts(struct ledger_study *out, sqlite3_stmt *row, int column)
{
    out->instances = row_count(row, column);
    out->bytes = row_count(row, column + 1);
    out->dropped = row_count(row, column + 2);
    out->superseded = row_count(row, column + 3);
    out->resends = row_count(row, column + 4);
    out->swallowed_resends = row_count(row, column + 5);
    out->discarded = row_count(row, column + 6);
    out->truncated = row_count(row, column + 7);
}

int row_study(struct study_row *out, sqlite3_stmt *row, struct error *err)
{
    memset(out, 0, sizeof *out);
    struct ledger_study *study = &out->study;
    char state[16];
    char priority[16];
    study->id = sqlite3_column_int64(row, 0);
    row_text(study->route_key, sizeof study->route_key, row, 1);
    row_text(study->study_instance_uid, sizeof study->study_instance_uid, row, 2);
    study->generation = (unsigned)row_count(row, 3);
    study->first_id = sqlite3_column_int64(row, 4);
    row_text(study->entry_name, sizeof study->entry_name, row, 5);
    row_text(study->destination, sizeof study->destination, row, 6);
    row_text(state, sizeof state, row, 7);
    row_text(study->reason, sizeof study->reason, row, 8);
    row_text(study->warning, sizeof study->warning, row, 9);
    study->first_received_ms = row_time(row, 10);
    study->last_received_ms = row_time(row, 11);
    study->changed_ms = row_time(row, 12);
    study->completed_ms = row_time(row, 13);
    study->due_ms = row_time(row, 14);
    study->retry_at_ms = row_time(row, 15);
    study->attempt = (unsigned)row_count(row, 16);
    study->has_changed_duplicates = sqlite3_column_int(row, 17) != 0;
    study->must_quarantine = sqlite3_column_int(row, 18) != 0;
    study->released = sqlite3_column_int(row, 19) != 0;
    study->cancel_requested = sqlite3_column_int(row, 20) != 0;
    row_counts(study, row, 21);
    row_upload(&study->upload, row, 29);
    out->passed = sqlite3_column_int(row, 38) != 0;
    out->lease_until_ms = row_time(row, 39);
    study->acknowledged = row_count(row, 40);
    study->attempts = (unsigned)row_count(row, 41);
    row_text(priority, sizeof priority, row, 42);
    if (study_priority_parse(&study->priority, priority) != 0)
        study->priority = PRIORITY_NORMAL; /* it decides an order, nothing else */
    if (study_state_parse(&study->state, state) != 0 || study->upload.step > STEP_ERROR_DONE)
        return error_set(err, "the ledger file is damaged: study S%" PRId64 " has no known state",
                         study->id);
    return 0;
}

int study_read(struct database *database, struct study_row *out, int64_t id, struct error *err)
{
    sqlite3_stmt *row = NULL;
    int found =
        database_query(database, &row, "SELECT " STUDY_COLUMNS " FROM study s WHERE s.id=?1",
                       VALUES(INTEGER(id)), err);
    if (found < 0)
        return -1;
    if (found == 0) {
        (void)error_set(err, "there is no study S%" PRId64, id);
        return LEDGER_NOT_FOUND;
    }
    int failed = row_study(out, row, err);
    row_done(row);
    return failed;
}

struct lookup {
    int64_t id;
    struct study_row row;
};

static int look_up(struct ledger *ledger, struct database *database, void *argument,
                   struct error *err)
{
    (void)ledger;
    struct lookup *lookup = argument;
    return study_read(database, &lookup->row, lookup->id, err);
}

int ledger_study(struct ledger *ledger, struct ledger_study *out, int64_t id, struct error *err)
{
    struct lookup lookup = {.id = id};
    int failed = ledger_read(ledger, look_up, &lookup, err);
    if (!failed)
        *out = lookup.row.study;
    return failed;
}

struct page {
    int state;
    int64_t after;
    size_t count;
    struct study_row rows[PAGE];
};

static int read_page(struct ledger *ledger, struct database *database, void *argument,
                     struct error *err)
{
    (void)ledger;
    static const char all[] =
        "SELECT " STUDY_COLUMNS " FROM study s WHERE s.id>?1 ORDER BY s.id LIMIT ?2";
    static const char of_state[] = "SELECT " STUDY_COLUMNS " FROM study s WHERE s.id>?1 AND "
                                   "s.state=?3 ORDER BY s.id LIMIT ?2";
    struct page *page = argument;
    page->count = 0;
    sqlite3_stmt *row = NULL;
    int found;
    if (page->state < 0)
        found =
            database_query(database, &row, all, VALUES(INTEGER(page->after), INTEGER(PAGE)), err);
    else
        found = database_query(database, &row, of_state,
                               VALUES(INTEGER(page->after), INTEGER(PAGE),
                                      TEXT(study_state_name((enum study_state)page->state))),
                               err);
    for (; found > 0; found = row_next(row, err)) {
        if (row_study(&page->rows[page->count], row, err) != 0 ||
            (page->rows[page->count].study.id <= page->after && database_disorder(err))) {
            row_done(row);
            return -1;
        }
        page->after = page->rows[page->count++].study.id;
    }
    return found;
}

int ledger_studies(struct ledger *ledger, int state,
                   int (*visit)(void *context, const struct ledger_study *study), void *context,
                   struct error *err)
{
    struct page *page = calloc(1, sizeof *page);
    if (!page)
        return error_set(err, "out of memory");
    page->state = state;
    int result = 0;
    do {
        result = ledger_read(ledger, read_page, page, err);
        for (size_t i = 0; i < page->count && result == 0; i++)
            result = visit(context, &page->rows[i].study);
    } while (result == 0 && page->count == PAGE);
    free(page);
    return result;
}

struct small_change {
    int64_t id;
    enum study_state in;
    int64_t retry_at_ms;
    const char *text;
    bool count_attempt;
};

static int defer(struct ledger *ledger, struct database *database, void *argument,
                 struct error *err)
{
    (void)ledger;
    const struct small_change *wanted = argument;
    struct study_row row;
    int failed = study_read(database, &row, wanted->id, err);
    if (failed)
        return failed;
    enum study_state state = row.study.state;
    if (state != wanted->in || study_state_is_final(state)) {
        (void)error_set(err, "study S%" PRId64 " is %s by now", wanted->id,
                        study_state_name(state));
        return LEDGER_CONFLICT;
    }
    bool is_receiving = state == STUDY_RECEIVING;
    int64_t at = wanted->retry_at_ms > 0 ? wanted->retry_at_ms : 0;
    int changed = database_change(
        database,
        "UPDATE study SET due_ms=?2,retry_at_ms=?3,reason=?4,attempt=attempt+?5,lease_owner='',"
        "lease_until_ms=0 WHERE id=?1",
        VALUES(INTEGER(wanted->id), INTEGER(is_receiving ? at : row.study.due_ms),
               INTEGER(is_receiving ? 0 : at), TEXT(wanted->text), INTEGER(wanted->count_attempt)),
        err);
    return changed < 0 ? -1 : 0;
}

int ledger_defer(struct ledger *ledger, int64_t id, enum study_state in, int64_t retry_at_ms,
                 const char *reason, bool count_attempt, struct error *err)
{
    struct small_change wanted = {.id = id,
                                  .in = in,
                                  .retry_at_ms = retry_at_ms,
                                  .text = reason,
                                  .count_attempt = count_attempt};
    return ledger_change(ledger, defer, &wanted, err);
}

static int set_warning(struct ledger *ledger, struct database *database, void *argument,
                       struct error *err)
{
    (void)ledger;
    const struct small_change *wanted = argument;
    int changed = database_change(database, "UPDATE study SET warning=?2 WHERE id=?1",
                                  VALUES(INTEGER(wanted->id), TEXT(wanted->text)), err);
    if (changed != 0)
        return changed < 0 ? -1 : 0;
    (void)error_set(err, "there is no study S%" PRId64, wanted->id);
    return LEDGER_NOT_FOUND;
}

int ledger_set_warning(struct ledger *ledger, int64_t id, const char *warning, struct error *err)
{
    struct small_change wanted = {.id = id, .text = warning};
    return ledger_change(ledger, set_warning, &wanted, err);
}
