/* Where an arrival goes, whether it is a resend, and what a changed data set does. Reads only. */
#include "arrival.h"

#include <string.h>

/* What the ledger knows under the SOP Instance UID. */
struct holders {
    bool any;
    int64_t first_study; /* oldest generation that holds it */
    enum study_state first_state;
    int64_t newest_generation; /* that holds it */
    enum study_state newest_state;
    int64_t newest_study;
};

#define HOLDER_COLUMNS                                                                             \
    "i.id,i.study_id,i.disposition,i.data_set_sha256,i.file_name,i.file_size,i.ending,"            \
    "s.generation,s.state,i.file_crc32"

/* The order of the join is given: through the instance's UID, which is selective. */
static const char holders_sql[] =
    "SELECT " HOLDER_COLUMNS " FROM instance i CROSS JOIN study s ON s.id=i.study_id "
    "WHERE i.sop_instance_uid=?1 AND s.route_key=?2 AND s.study_instance_uid=?3 AND s.forgotten=0 "
    "AND s.state NOT IN ('cancelled','discarded') AND i.disposition<>'discarded' "
    "ORDER BY s.generation,i.id";

/* A version that was replaced has no file any more: when it comes again, it is the newest. */
static bool is_resend_of(sqlite3_stmt *row, const struct ledger_arrival *arrival)
{
    char disposition[16];
    row_text(disposition, sizeof disposition, row, 2);
    if (arrival->changed_duplicate == CHANGED_DUPLICATE_REPLACE &&
        strcmp(disposition, disposition_name(INSTANCE_SUPERSEDED)) == 0)
        return false;
    const void *digest = sqlite3_column_blob(row, 3);
    return digest && sqlite3_column_bytes(row, 3) == SHA256_SIZE &&
           memcmp(digest, arrival->instance->data_set_sha256, SHA256_SIZE) == 0;
}

static void note_holder(struct holders *holders, struct decision *out, sqlite3_stmt *row,
                        enum study_state state)
{
    int64_t generation = sqlite3_column_int64(row, 7);
    char disposition[16];
    row_text(disposition, sizeof disposition, row, 2);
    if (!holders->any) {
        holders->first_study = sqlite3_column_int64(row, 1);
        holders->first_state = state;
    }
    if (!holders->any || generation != holders->newest_generation)
        out->replaced_id = 0;
    holders->any = true;
    holders->newest_generation = generation;
    holders->newest_state = state;
    holders->newest_study = sqlite3_column_int64(row, 1);
    if (strcmp(disposition, disposition_name(INSTANCE_STORED)) != 0)
        return;
    out->replaced_id = sqlite3_column_int64(row, 0);
    row_text(out->replaced_file, sizeof out->replaced_file, row, 4);
    out->replaced_bytes = row_count(row, 5);
    out->replaced_is_truncated = sqlite3_column_int64(row, 6) != DATASET_COMPLETE;
}

static void note_resend(struct decision *out, sqlite3_stmt *row, enum study_state state)
{
    char disposition[16];
    row_text(disposition, sizeof disposition, row, 2);
    out->study_id = sqlite3_column_int64(row, 1);
    out->is_receiving = state == STUDY_RECEIVING;
    out->kind = state == STUDY_COMPLETED ? ARRIVAL_SWALLOWED_RESEND : ARRIVAL_RESEND;
    bool has_file =
        out->kind == ARRIVAL_RESEND && strcmp(disposition, disposition_name(INSTANCE_STORED)) == 0;
    out->resent_id = has_file ? sqlite3_column_int64(row, 0) : 0;
    out->resent_bytes = has_file ? row_count(row, 5) : 0;
    out->resent_crc32 = has_file ? (uint32_t)sqlite3_column_int64(row, 9) : 0;
    out->resent_file[0] = '\0';
    if (has_file)
        row_text(out->resent_file, sizeof out->resent_file, row, 4);
}

/* Returns 1 when the arrival is a resend, and `*out` says of which study. */
static int find_holders(struct database *database, struct holders *holders, struct decision *out,
                        const struct ledger_arrival *arrival, struct error *err)
{
    *holders = (struct holders){0};
    sqlite3_stmt *row = NULL;
    int is_resend = 0;
    int found = database_query(database, &row, holders_sql,
                               VALUES(TEXT(arrival->request->sop_instance_uid),
                                      TEXT(arrival->route_key), TEXT(arrival->study_instance_uid)),
                               err);
    for (; found > 0; found = row_next(row, err)) {
        char name[16];
        enum study_state state;
        row_text(name, sizeof name, row, 8);
        if (study_state_parse(&state, name) != 0) {
            row_done(row);
            return error_set(err, "the ledger file is damaged: a study has no known state");
        }
        note_holder(holders, out, row, state);
        if (is_resend_of(row, arrival)) {
            is_resend = 1;
            note_resend(out, row, state);
        }
    }
    return found < 0 ? -1 : is_resend;
}

static int find_receiving(struct database *database, struct decision *out,
                          const struct ledger_arrival *arrival, int64_t later_than,
                          struct error *err)
{
    out->kind = ARRIVAL_STORED;
    out->replaced_id = 0;
    out->study_id = 0;
    int found = database_number(
        database, &out->study_id,
        "SELECT id FROM study WHERE route_key=?1 AND study_instance_uid=?2 "
        "AND generation>?3 AND state='receiving' AND forgotten=0 "
        "ORDER BY generation LIMIT 1",
        VALUES(TEXT(arrival->route_key), TEXT(arrival->study_instance_uid), INTEGER(later_than)),
        err);
    return found < 0 ? -1 : 0;
}

int arrival_decide(struct database *database, struct decision *out,
                   const struct ledger_arrival *arrival, struct error *err)
{
    memset(out, 0, sizeof *out);
    struct holders holders;
    int resend = find_holders(database, &holders, out, arrival, err);
    if (resend < 0)
        return -1;
    if (resend > 0) {
        out->replaced_id = 0;
        return 0;
    }
    if (!holders.any)
        return find_receiving(database, out, arrival, -1, err);
    out->is_changed = true;
    if (arrival->changed_duplicate == CHANGED_DUPLICATE_KEEP_FIRST) {
        out->kind = ARRIVAL_KEPT_FIRST;
        out->study_id = holders.first_study;
        out->is_receiving = holders.first_state == STUDY_RECEIVING;
        out->replaced_id = 0;
        return 0;
    }
    if (arrival->changed_duplicate == CHANGED_DUPLICATE_REPLACE && out->replaced_id != 0 &&
        holders.newest_state == STUDY_RECEIVING) {
        out->kind = ARRIVAL_STORED;
        out->study_id = holders.newest_study;
        return 0;
    }
    return find_receiving(database, out, arrival, holders.newest_generation, err);
}
