/* Files and their rows: which the spool may hold, a row that gets another, and the removal of old
 * rows.
 * Guarantees that a row goes only when it names no file any more, and that what goes leaves the
 * ledger's total with it. Removes no file itself. */
#include "receipt.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PAGE         256  /* file names read at a time */
#define TRIM_AT_ONCE 2000 /* instance rows removed in one step, so that arrivals wait little */

struct file_question {
    const char *file_name;
    int64_t count;
};

static int ask_file(struct ledger *ledger, struct database *database, void *argument,
                    struct error *err)
{
    (void)ledger;
    struct file_question *question = argument;
    return database_number(database, &question->count,
                           "SELECT count(*) FROM instance WHERE file_name=?1",
                           VALUES(TEXT(question->file_name)), err) < 0
               ? -1
               : 0;
}

int ledger_file_is_known(struct ledger *ledger, const char *file_name, bool *known,
                         struct error *err)
{
    struct file_question question = {.file_name = file_name};
    *known = true;
    /* What the failed write left behind shows when the ledger is opened again, and not before. */
    if (ledger_is_sound(ledger, err) != 0)
        return -1;
    int failed = ledger_read(ledger, ask_file, &question, err);
    *known = question.count > 0;
    return failed;
}

struct file_page {
    int64_t after;
    size_t count;
    struct file {
        int64_t study_id, instance_id;
        uint64_t size;
        char name[STORED_NAME_SIZE];
    } files[PAGE];
};

static int read_files(struct ledger *ledger, struct database *database, void *argument,
                      struct error *err)
{
    (void)ledger;
    struct file_page *page = argument;
    page->count = 0;
    sqlite3_stmt *row = NULL;
    int found = database_query(database, &row,
                               "SELECT id,study_id,file_size,file_name FROM instance WHERE id>?1 "
                               "AND file_name IS NOT NULL ORDER BY id LIMIT ?2",
                               VALUES(INTEGER(page->after), INTEGER(PAGE)), err);
    for (; found > 0; found = row_next(row, err)) {
        struct file *file = &page->files[page->count++];
        file->instance_id = sqlite3_column_int64(row, 0);
        if (file->instance_id <= page->after) {
            row_done(row);
            return database_disorder(err);
        }
        page->after = file->instance_id;
        file->study_id = sqlite3_column_int64(row, 1);
        file->size = row_count(row, 2);
        row_text(file->name, sizeof file->name, row, 3);
    }
    return found;
}

int ledger_files(struct ledger *ledger,
                 int (*visit)(void *context, int64_t study_id, int64_t instance_id,
                              const char *file_name, uint64_t file_size),
                 void *context, struct error *err)
{
    struct file_page *page = calloc(1, sizeof *page);
    if (!page)
        return error_set(err, "out of memory");
    int result = 0;
    do {
        result = ledger_read(ledger, read_files, page, err);
        for (size_t i = 0; i < page->count && result == 0; i++) {
            const struct file *file = &page->files[i];
            result = visit(context, file->study_id, file->instance_id, file->name, file->size);
        }
    } while (result == 0 && page->count == PAGE);
    free(page);
    return result;
}

struct replacement {
    int64_t id;
    const char *lost;
    const struct ledger_arrival *arrival;
};

static int replace_file(struct ledger *ledger, struct database *database, void *argument,
                        struct error *err)
{
    (void)ledger;
    const struct replacement *wanted = argument;
    const struct ledger_arrival *arrival = wanted->arrival;
    const struct stored_instance *stored = arrival->instance;
    sqlite3_stmt *row = NULL;
    int found = database_query(
        database, &row,
        "SELECT study_id,file_size,disposition='stored' FROM instance WHERE id=?1 AND "
        "coalesce(file_name,'')=?2 AND data_set_sha256=?3 AND disposition IN ('stored','dropped')",
        VALUES(INTEGER(wanted->id), TEXT(wanted->lost), BLOB(stored->data_set_sha256, SHA256_SIZE)),
        err);
    if (found < 0)
        return -1;
    if (found == 0) {
        (void)error_set(err, "instance %" PRId64 " has another file by now", wanted->id);
        return LEDGER_CONFLICT;
    }
    int64_t study_id = sqlite3_column_int64(row, 0), size = sqlite3_column_int64(row, 1);
    bool is_counted = sqlite3_column_int(row, 2) != 0;
    row_done(row);
    if (database_change(database,
                        "UPDATE instance SET file_name=?2,file_crc32=?3,file_size=?4,"
                        "data_set_offset=?5,transfer_syntax_uid=?6 WHERE id=?1",
                        VALUES(INTEGER(wanted->id), TEXT(arrival->file_name),
                               INTEGER(stored->file_crc32), INTEGER(stored->file_size),
                               INTEGER(stored->data_set_offset),
                               TEXT(arrival->request->transfer_syntax_uid)),
                        err) < 0 ||
        database_change(database,
                        "UPDATE study SET files=files+?2,bytes=bytes+(?3-?4)*?5 WHERE id=?1",
                        VALUES(INTEGER(study_id), INTEGER(wanted->lost[0] == '\0'),
                               INTEGER(stored->file_size), INTEGER(size), INTEGER(is_counted)),
                        err) < 0 ||
        /* What the server has of the lost one may be damaged. */
        database_change(
            database,
            "UPDATE study SET step=?3,upload_url='',upload_offset=0 WHERE id=?1 AND step=?2",
            VALUES(INTEGER(study_id), INTEGER(STEP_UPLOAD_CREATED), INTEGER(STEP_START_DONE)),
            err) < 0)
        return -1;
    return 0;
}

int ledger_file_replaced(struct ledger *ledger, int64_t instance_id, const char *lost,
                         const struct ledger_arrival *arrival, struct error *err)
{
    struct replacement wanted = {.id = instance_id, .lost = lost, .arrival = arrival};
    return ledger_change(ledger, replace_file, &wanted, err);
}

static int recover(struct ledger *ledger, struct database *database, void *argument,
                   struct error *err)
{
    (void)ledger;
    (void)argument;
    return database_change(database,
                           "UPDATE study SET lease_owner='',lease_until_ms=0 "
                           "WHERE lease_until_ms>0",
                           NO_VALUES, err) < 0 ||
                   database_change(database,
                                   "UPDATE study SET retry_at_ms=0 WHERE state='validating'",
                                   NO_VALUES, err) < 0
               ? -1
               : 0;
}

int ledger_recover(struct ledger *ledger, struct error *err)
{
    return ledger_change(ledger, recover, NULL, err);
}

struct trimming {
    int64_t before_ms;
    unsigned studies;
    int receipts;
};

static int trim_study(struct database *database, int64_t id, struct error *err)
{
    int rows = database_change(database, "DELETE FROM instance WHERE study_id=?1",
                               VALUES(INTEGER(id)), err);
    if (rows < 0 || receipt_mark_trimmed(database, id, err) != 0 ||
        database_change(database,
                        "UPDATE counter SET value=value+(SELECT acknowledged FROM study WHERE "
                        "id=?1)*iif(name='trimmed',1,-1) WHERE name IN ('acknowledged','trimmed')",
                        VALUES(INTEGER(id)), err) < 0 ||
        database_change(database, "DELETE FROM study WHERE id=?1", VALUES(INTEGER(id)), err) < 0)
        return -1;
    return rows;
}

static int trim(struct ledger *ledger, struct database *database, void *argument, struct error *err)
{
    (void)ledger;
    struct trimming *trimming = argument;
    int rows = 0;
    trimming->studies = 0;
    while (rows < TRIM_AT_ONCE) {
        int64_t id = 0;
        int found =
            database_number(database, &id,
                            "SELECT id FROM study INDEXED BY study_to_trim WHERE files=0 AND "
                            "state IN ('completed','discarded') AND changed_ms<?1 "
                            "ORDER BY changed_ms LIMIT 1",
                            VALUES(INTEGER(trimming->before_ms)), err);
        if (found < 0)
            return -1;
        if (found == 0)
            break;
        int removed = trim_study(database, id, err);
        if (removed < 0)
            return -1;
        rows += removed + 1;
        trimming->studies++;
    }
    trimming->receipts = receipt_trim(database, TRIM_AT_ONCE, err);
    return trimming->receipts < 0 ? -1 : 0;
}

int ledger_trim(struct ledger *ledger, int64_t before_ms, unsigned *removed, struct error *err)
{
    struct trimming trimming = {.before_ms = before_ms};
    *removed = 0;
    do {
        int failed = ledger_change(ledger, trim, &trimming, err);
        if (failed)
            return failed;
        *removed += trimming.studies;
    } while (trimming.studies > 0 || trimming.receipts == TRIM_AT_ONCE);
    return 0;
}
