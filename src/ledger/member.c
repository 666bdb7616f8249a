/* Instances as an archive knows them, in order of receipt: one study's, or all that came. Reads
 * through the indexes, a page at a time. Row ids grow with receipt; only where the newest rows were
 * trimmed are some given out again, and then whoever follows the rows is set back. */
#include "ledger.h"

#include <inttypes.h>
#include <string.h>

#define MEMBER_COLUMNS                                                                             \
    "i.id,i.study_id,i.disposition,i.sop_instance_uid,i.transfer_syntax_uid,i.file_name,"          \
    "i.file_size,i.file_crc32"

struct page {
    int64_t study_id, after_id;
    struct ledger_member *members;
    size_t size, count;
};

static int row_member(struct ledger_member *out, sqlite3_stmt *row, struct error *err)
{
    char disposition[16];
    memset(out, 0, sizeof *out);
    out->id = sqlite3_column_int64(row, 0);
    out->study_id = sqlite3_column_int64(row, 1);
    row_text(disposition, sizeof disposition, row, 2);
    row_text(out->sop_instance_uid, UID_SIZE, row, 3);
    row_text(out->transfer_syntax_uid, UID_SIZE, row, 4);
    row_text(out->file_name, sizeof out->file_name, row, 5);
    out->file_size = row_count(row, 6);
    out->file_crc32 = (uint32_t)sqlite3_column_int64(row, 7);
    if (disposition_parse(&out->disposition, disposition) == 0)
        return 0;
    return error_set(err,
                     "the ledger file is damaged: an instance of study S%" PRId64 " cannot be read",
                     out->study_id);
}

/* Takes the row up; the page's order is what makes it end. */
static int take(struct page *page, sqlite3_stmt *row, struct error *err)
{
    struct ledger_member *member = &page->members[page->count];
    if (row_member(member, row, err) != 0)
        return -1;
    if (member->id <= page->after_id)
        return database_disorder(err);
    page->after_id = member->id;
    page->count++;
    return 0;
}

static int read_study(struct ledger *ledger, struct database *database, void *argument,
                      struct error *err)
{
    (void)ledger;
    struct page *page = argument;
    sqlite3_stmt *row = NULL;
    page->count = 0;
    int found = database_query(
        database, &row,
        "SELECT " MEMBER_COLUMNS " FROM instance i INDEXED BY instance_study "
        "WHERE i.study_id=?1 AND i.id>?2 ORDER BY i.id LIMIT ?3",
        VALUES(INTEGER(page->study_id), INTEGER(page->after_id), INTEGER(page->size)), err);
    for (; found > 0; found = row_next(row, err)) {
        if (take(page, row, err) != 0) {
            row_done(row);
            return -1;
        }
    }
    return found;
}

int ledger_members(struct ledger *ledger, int64_t study_id, int64_t after_id,
                   struct ledger_member *members, size_t size, size_t *count, struct error *err)
{
    struct page page = {
        .study_id = study_id, .after_id = after_id, .members = members, .size = size};
    int failed = ledger_read(ledger, read_study, &page, err);
    *count = failed ? 0 : page.count;
    return failed;
}

static int read_state(struct ledger_member *member, sqlite3_stmt *row, struct error *err)
{
    char state[24], destination[2];
    row_text(state, sizeof state, row, 8);
    row_text(destination, sizeof destination, row, 9);
    member->has_destination = destination[0] != '\0';
    if (study_state_parse(&member->study_state, state) == 0)
        return 0;
    return error_set(err, "the ledger file is damaged: study S%" PRId64 " has no state",
                     member->study_id);
}

static int read_all(struct ledger *ledger, struct database *database, void *argument,
                    struct error *err)
{
    (void)ledger;
    struct page *page = argument;
    sqlite3_stmt *row = NULL;
    page->count = 0;
    int found =
        database_query(database, &row,
                       "SELECT " MEMBER_COLUMNS ",s.state,substr(s.destination,1,1) FROM instance i"
                       " JOIN study s ON s.id=i.study_id WHERE i.id>?1 ORDER BY i.id LIMIT ?2",
                       VALUES(INTEGER(page->after_id), INTEGER(page->size)), err);
    for (; found > 0; found = row_next(row, err)) {
        if (take(page, row, err) != 0 ||
            read_state(&page->members[page->count - 1], row, err) != 0) {
            row_done(row);
            return -1;
        }
    }
    if (found < 0 || page->count > 0)
        return found;
    int64_t last = 0;
    if (database_number(database, &last, "SELECT coalesce(max(id),0) FROM instance", NO_VALUES,
                        err) < 0)
        return -1;
    if (last < page->after_id)
        page->after_id = last;
    return 0;
}

int ledger_members_since(struct ledger *ledger, int64_t *after_id, struct ledger_member *members,
                         size_t size, size_t *count, struct error *err)
{
    struct page page = {.after_id = *after_id, .members = members, .size = size};
    int failed = ledger_read(ledger, read_all, &page, err);
    *count = failed ? 0 : page.count;
    if (!failed)
        *after_id = page.after_id;
    return failed;
}

static int find_open(struct ledger *ledger, struct database *database, void *argument,
                     struct error *err)
{
    (void)ledger;
    return database_number(
               database, argument,
               "SELECT coalesce((SELECT min((SELECT min(id) FROM instance INDEXED BY "
               "instance_study WHERE study_id=s.id)) FROM study s WHERE s.state='receiving')-1,"
               "(SELECT max(id) FROM instance),0)",
               NO_VALUES, err) < 0
               ? -1
               : 0;
}

int ledger_members_open(struct ledger *ledger, int64_t *after_id, struct error *err)
{
    *after_id = 0;
    return ledger_read(ledger, find_open, after_id, err);
}

struct place {
    int64_t study_id, instance_id, count;
};

static int count_before(struct ledger *ledger, struct database *database, void *argument,
                        struct error *err)
{
    (void)ledger;
    struct place *place = argument;
    return database_number(database, &place->count,
                           "SELECT count(*) FROM instance INDEXED BY instance_study "
                           "WHERE study_id=?1 AND id<?2",
                           VALUES(INTEGER(place->study_id), INTEGER(place->instance_id)), err) < 0
               ? -1
               : 0;
}

int ledger_member_place(struct ledger *ledger, uint64_t *out, int64_t study_id, int64_t instance_id,
                        struct error *err)
{
    struct place place = {.study_id = study_id, .instance_id = instance_id};
    int failed = ledger_read(ledger, count_before, &place, err);
    *out = failed || place.count < 0 ? 0 : (uint64_t)place.count;
    return failed;
}
