/* The versions of one instance that the ledger knows: for recovery, which must not take a file for
 * a copy of one that is not there. */
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
    out->file_crc32 = (uint32_t)sqlite3_column_int64(row, 9);
    int64_t forgotten_ms = row_time(row, 7), changed_ms = row_time(row, 8);
    row_text(state, sizeof state, row, 6);
    const void *digest = sqlite3_column_blob(row, 3);
    out->is_identical = digest && sqlite3_column_bytes(row, 3) == SHA256_SIZE &&
                        memcmp(digest, arrival->instance->data_set_sha256, SHA256_SIZE) == 0;
    if (disposition_parse(&out->disposition, disposition) != 0 ||
        study_state_parse(&out->state, state) != 0)
        return error_set(
            err, "the ledger file is damaged: an instance of study S%" PRId64 " cannot be read",
            out->study_id);
    out->is_let_go = (forgotten_ms != 0 && study_state_is_final(out->state)) ||
                     out->state == STUDY_CANCELLED || out->state == STUDY_DISCARDED ||
                     out->disposition == INSTANCE_DISCARDED;
    out->let_go_ms = 0;
    if (out->is_let_go)
        out->let_go_ms = forgotten_ms > changed_ms ? forgotten_ms : changed_ms;
    return 0;
}

static int find_version(struct ledger *ledger, struct database *database, void *argument,
                        struct error *err)
{
    (void)ledger;
    const struct version_question *question = argument;
    const struct ledger_arrival *arrival = question->arrival;
    static const char sql[] =
        "SELECT i.id,i.study_id,i.disposition,i.data_set_sha256,i.file_name,i.file_size,s.state,"
        "s.forgotten,s.changed_ms,i.file_crc32 FROM instance i CROSS JOIN study s ON "
        "s.id=i.study_id "
        "WHERE i.sop_instance_uid=?1 AND i.id>?4 AND s.route_key=?2 AND s.study_instance_uid=?3 "
        "ORDER BY i.id LIMIT 1";
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
