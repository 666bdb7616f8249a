/* The ledger's totals, read in one statement so that they belong to one moment. */
#include "ledger.h"

#include "aurabridge/ledger_audit.h"

#include <string.h>

static int sum_up(struct ledger *ledger, struct database *database, void *argument,
                  struct error *err)
{
    (void)ledger;
    struct ledger_totals *out = argument;
    static const char sql[] =
        "SELECT '',value,0,0,0,0,0,0,0 FROM counter WHERE name='acknowledged' UNION ALL "
        "SELECT state,count(*),sum(instances),sum(bytes),sum(dropped),sum(superseded),"
        "sum(resends),sum(swallowed_resends),sum(discarded) FROM study GROUP BY state";
    memset(out, 0, sizeof *out);
    sqlite3_stmt *row = NULL;
    int found = database_query(database, &row, sql, NO_VALUES, err);
    for (; found > 0; found = row_next(row, err)) {
        char name[16];
        enum study_state state;
        row_text(name, sizeof name, row, 0);
        if (!name[0]) {
            out->acknowledged = row_count(row, 1);
            continue;
        }
        if (study_state_parse(&state, name) != 0) {
            row_done(row);
            return error_set(err, "the ledger file is damaged: a study has no known state");
        }
        out->studies[state] = row_count(row, 1);
        out->instances[state] = row_count(row, 2);
        out->bytes[state] = row_count(row, 3);
        out->dropped += row_count(row, 4);
        out->superseded += row_count(row, 5);
        out->resends += row_count(row, 6);
        out->swallowed_resends += row_count(row, 7);
        out->discarded += row_count(row, 8);
    }
    return found;
}

int ledger_totals(struct ledger *ledger, struct ledger_totals *out, struct error *err)
{
    return ledger_read(ledger, sum_up, out, err);
}
