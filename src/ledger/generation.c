/* Generations: the uploads that one study takes. Guarantees that the rows of a study which are not
 * forgotten are numbered without a repeat and point to the first of them. */
#include "ledger.h"

int generation_next(struct database *database, struct generation *out, const char *route_key,
                    const char *study_instance_uid, struct error *err)
{
    *out = (struct generation){0};
    sqlite3_stmt *row = NULL;
    int found = database_query(database, &row,
                               "SELECT generation,first_id FROM study WHERE route_key=?1 AND "
                               "study_instance_uid=?2 AND forgotten=0 "
                               "ORDER BY generation DESC LIMIT 1",
                               VALUES(TEXT(route_key), TEXT(study_instance_uid)), err);
    if (found < 0)
        return -1;
    if (found > 0) {
        out->number = sqlite3_column_int64(row, 0) + 1;
        out->first_id = sqlite3_column_int64(row, 1);
        row_done(row);
    }
    return 0;
}

int generation_open(struct ledger *ledger, struct database *database, struct generation *generation,
                    const struct ledger_study *like, enum study_state state, const char *reason,
                    struct error *err)
{
    static const char insert[] =
        "INSERT INTO study(route_key,study_instance_uid,generation,first_id,entry_name,destination,"
        "state,reason,first_received_ms,last_received_ms,changed_ms,due_ms,has_changed_duplicates,"
        "must_quarantine,priority) VALUES(?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12,?13,?14,?15)";
    if (database_change(
            database, insert,
            VALUES(TEXT(like->route_key), TEXT(like->study_instance_uid),
                   INTEGER(generation->number), INTEGER(generation->first_id),
                   TEXT(like->entry_name), TEXT(like->destination), TEXT(study_state_name(state)),
                   TEXT(reason), INTEGER(like->first_received_ms), INTEGER(like->last_received_ms),
                   INTEGER(clock_wall_ms(ledger->clock)), INTEGER(like->due_ms),
                   INTEGER(like->has_changed_duplicates), INTEGER(like->must_quarantine),
                   TEXT(study_priority_name(like->priority))),
            err) < 0)
        return -1;
    generation->id = sqlite3_last_insert_rowid(database->handle);
    if (generation->first_id != 0)
        return 0;
    generation->first_id = generation->id;
    return database_change(database, "UPDATE study SET first_id=id WHERE id=?1",
                           VALUES(INTEGER(generation->id)), err) < 0
               ? -1
               : 0;
}
