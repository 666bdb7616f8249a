/* From what a person types to a study, and from an unrouted study to its route. */
#include "ledger.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_CANDIDATES 8  /* named in the error */
#define MAX_ID_DIGITS  18 /* of a 64-bit number */

struct resolution {
    const char *text;
    int64_t id;
};

/* "S17", "s17", "17". */
static bool parse_id(int64_t *id, const char *text)
{
    if (*text == 'S' || *text == 's')
        text++;
    size_t digits = strspn(text, "0123456789");
    if (digits == 0 || digits > MAX_ID_DIGITS || text[digits] != '\0')
        return false;
    *id = strtoll(text, NULL, 10);
    return true;
}

static int resolve(struct ledger *ledger, struct database *database, void *argument,
                   struct error *err)
{
    (void)ledger;
    struct resolution *wanted = argument;
    sqlite3_stmt *row = NULL;
    if (parse_id(&wanted->id, wanted->text)) {
        struct study_row study;
        return study_read(database, &study, wanted->id, err);
    }
    int found = database_query(database, &row,
                               "SELECT id,state FROM study WHERE study_instance_uid=?1 ORDER BY id",
                               VALUES(TEXT(wanted->text)), err);
    char candidates[MAX_CANDIDATES * 48] = "";
    size_t used = 0;
    unsigned count = 0;
    for (; found > 0; found = row_next(row, err)) {
        char state[16];
        wanted->id = sqlite3_column_int64(row, 0);
        row_text(state, sizeof state, row, 1);
        if (count++ < MAX_CANDIDATES)
            used += (size_t)snprintf(candidates + used, sizeof candidates - used,
                                     "%sS%" PRId64 " (%s)", used ? ", " : "", wanted->id, state);
    }
    if (found < 0)
        return -1;
    if (count > 1)
        return error_set(err, "%u studies have this Study Instance UID: %s%s; name one by its id",
                         count, candidates, count > MAX_CANDIDATES ? " …" : "");
    if (count == 1)
        return 0;
    (void)error_set(err, "there is no study %.64s; `aurabridge studies` lists them", wanted->text);
    return LEDGER_NOT_FOUND;
}

int ledger_resolve(struct ledger *ledger, int64_t *id, const char *text, struct error *err)
{
    struct resolution wanted = {.text = text};
    int failed = ledger_read(ledger, resolve, &wanted, err);
    if (!failed)
        *id = wanted.id;
    return failed;
}

struct routing {
    int64_t id;
    const char *route_key, *entry_name, *destination;
    enum study_priority priority;
};

/* Under its new key the study may be a supplement, and hold what an earlier one holds. */
static int move_key(struct database *database, const struct routing *wanted,
                    const struct ledger_study *study, struct error *err)
{
    struct generation generation;
    if (generation_next(database, &generation, wanted->route_key, study->study_instance_uid, err) !=
        0)
        return -1;
    int64_t shared = 0;
    if (generation.number > 0 &&
        database_number(
            database, &shared,
            "SELECT EXISTS(SELECT 1 FROM instance i CROSS JOIN instance o "
            "ON o.sop_instance_uid=i.sop_instance_uid CROSS JOIN study s "
            "ON s.id=o.study_id WHERE i.study_id=?1 AND s.route_key=?2 AND "
            "s.study_instance_uid=?3 AND s.forgotten=0 AND "
            "s.state NOT IN ('cancelled','discarded'))",
            VALUES(INTEGER(wanted->id), TEXT(wanted->route_key), TEXT(study->study_instance_uid)),
            err) < 0)
        return -1;
    int64_t first = generation.first_id ? generation.first_id : wanted->id;
    int changed =
        database_change(database,
                        "UPDATE study SET route_key=?2,generation=?3,first_id=?4,"
                        "has_changed_duplicates=max(has_changed_duplicates,?5) WHERE id=?1",
                        VALUES(INTEGER(wanted->id), TEXT(wanted->route_key),
                               INTEGER(generation.number), INTEGER(first), INTEGER(shared)),
                        err);
    return changed < 0 ? -1 : 0;
}

static int set_route(struct ledger *ledger, struct database *database, void *argument,
                     struct error *err)
{
    (void)ledger;
    const struct routing *wanted = argument;
    struct study_row row;
    int failed = study_read(database, &row, wanted->id, err);
    if (failed)
        return failed;
    enum study_state state = row.study.state;
    if (state != STUDY_UNROUTED && state != STUDY_QUARANTINED && state != STUDY_VALIDATING) {
        (void)error_set(err, "study S%" PRId64 " is %s and keeps its route", wanted->id,
                        study_state_name(state));
        return LEDGER_CONFLICT;
    }
    if (strcmp(row.study.route_key, wanted->route_key) != 0 &&
        move_key(database, wanted, &row.study, err) != 0)
        return -1;
    int changed = database_change(
        database, "UPDATE study SET entry_name=?2,destination=?3,priority=?4 WHERE id=?1",
        VALUES(INTEGER(wanted->id), TEXT(wanted->entry_name), TEXT(wanted->destination),
               TEXT(study_priority_name(wanted->priority))),
        err);
    return changed < 0 ? -1 : 0;
}

int ledger_set_route(struct ledger *ledger, int64_t id, const char *route_key,
                     const char *entry_name, const char *destination, enum study_priority priority,
                     struct error *err)
{
    struct routing wanted = {.id = id,
                             .route_key = route_key,
                             .entry_name = entry_name,
                             .destination = destination,
                             .priority = priority};
    return ledger_change(ledger, set_route, &wanted, err);
}
