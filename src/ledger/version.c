/* The versions of one instance that the ledger knows, and a row that gets its file back: for
 * recovery, which must not take a file for a copy of one that is not there. */
#include "ledger.h"

#include <inttypes.h>
#include <string.h>

struct version_question {
    struct ledger_version *out;
    const struct ledger_arrival *arrival;
    int64_t after;
};

static int read_version(struct ledger_version *out, sqlite3_stmt *row,
                        const struct ledger_arrival *arrival, struct error *err)
{
    char disposition[16];
    char state[16];
    out->instance_id = sqlite3_column_int64(row, 0);
    out->study_id = sqlite3_column_int64(row, 1);
    row_text(disposition, sizeof disposition, row, 2);
    row_text(out->file_name, sizeof out->file_name, row, 4);
    out->file_size = row_count(row, 5);
    row_text(state, sizeof state, row, 6);
    const void *digest = sqlite3_column_blob(row, 3);
    out->is_identical = digest && sqlite3_column_bytes(row, 3) == SHA256_SIZE &&
                        memcmp(digest, arrival->instance->data_set_sha256, SHA256_SIZE) == 0;
    if (disposition_parse(&out->disposition, disposition) != 0 ||
        study_state_parse(&out->state, state) != 0)
        return error_set(
            err, "the ledger file is damaged: an instance of study S%" PRId64 " cannot be read",
            out->study_id);
    return 0;
}

static int find_version(struct ledger *ledger, struct database *database, void *argument,
                        struct error *err)
{
    (void)ledger;
    const struct version_question *question = argument;
    const struct ledger_arrival *arrival = question->arrival;
    static const char sql[] =
        "SELECT i.id,i.study_id,i.disposition,i.data_set_sha256,i.file_name,i.file_size,s.state "
        "FROM instance i CROSS JOIN study s ON s.id=i.study_id WHERE i.sop_instance_uid=?1 AND "
        "i.id>?4 AND s.route_key=?2 AND s.study_instance_uid=?3 AND s.forgotten=0 AND s.state NOT "
        "IN ('cancelled','discarded') AND i.disposition<>'discarded' ORDER BY i.id LIMIT 1";
    sqlite3_stmt *row = NULL;
    int found =
        database_query(database, &row, sql,
                       VALUES(TEXT(arrival->request->sop_instance_uid), TEXT(arrival->route_key),
                              TEXT(arrival->study_instance_uid), INTEGER(question->after)),
                       err);
    if (found < 0)
        return -1;
    if (found == 0)
        return LEDGER_NOT_FOUND;
    int failed = read_version(question->out, row, arrival, err);
    row_done(row);
    if (!failed && question->out->instance_id <= question->after)
        failed = database_disorder(err);
    return failed;
}

int ledger_version_next(struct ledger *ledger, struct ledger_version *out,
                        const struct ledger_arrival *arrival, int64_t after_instance_id,
                        struct error *err)
{
    struct version_question question = {.out = out, .arrival = arrival, .after = after_instance_id};
    return ledger_read(ledger, find_version, &question, err);
}

struct file_found {
    int64_t instance_id;
    const char *file_name;
    const struct stored_instance *stored;
};

/* What the study's row counts of the instance. */
struct counted {
    int64_t study_id, size;
    bool has_file, is_stored;
};

static int read_counted(struct database *database, struct counted *out, int64_t instance_id,
                        struct error *err)
{
    sqlite3_stmt *row = NULL;
    int found = database_query(database, &row,
                               "SELECT study_id,file_size,file_name IS NOT NULL,"
                               "disposition='stored' FROM instance WHERE id=?1",
                               VALUES(INTEGER(instance_id)), err);
    if (found < 0)
        return -1;
    if (found == 0) {
        (void)error_set(err, "there is no instance %" PRId64, instance_id);
        return LEDGER_NOT_FOUND;
    }
    *out = (struct counted){.study_id = sqlite3_column_int64(row, 0),
                            .size = sqlite3_column_int64(row, 1),
                            .has_file = sqlite3_column_int(row, 2) != 0,
                            .is_stored = sqlite3_column_int(row, 3) != 0};
    row_done(row);
    return 0;
}

static int take_file(struct ledger *ledger, struct database *database, void *argument,
                     struct error *err)
{
    (void)ledger;
    const struct file_found *found = argument;
    const struct stored_instance *stored = found->stored;
    struct counted counted;
    int failed = read_counted(database, &counted, found->instance_id, err);
    if (failed)
        return failed;
    if (database_change(database,
                        "UPDATE instance SET file_name=?2,file_size=?3,file_crc32=?4,"
                        "data_set_offset=?5 WHERE id=?1",
                        VALUES(INTEGER(found->instance_id), TEXT(found->file_name),
                               INTEGER(stored->file_size), INTEGER(stored->file_crc32),
                               INTEGER(stored->data_set_offset)),
                        err) < 0)
        return -1;
    return database_change(database,
                           "UPDATE study SET files=files+?2,bytes=max(0,bytes-?3)+?4 WHERE id=?1",
                           VALUES(INTEGER(counted.study_id), INTEGER(!counted.has_file),
                                  INTEGER(counted.is_stored ? counted.size : 0),
                                  INTEGER(counted.is_stored ? stored->file_size : 0)),
                           err) < 0
               ? -1
               : 0;
}

int ledger_file_found(struct ledger *ledger, int64_t instance_id, const char *file_name,
                      const struct stored_instance *stored, struct error *err)
{
    struct file_found found = {
        .instance_id = instance_id, .file_name = file_name, .stored = stored};
    return ledger_change(ledger, take_file, &found, err);
}
