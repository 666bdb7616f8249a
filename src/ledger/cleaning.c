/* Files of studies that need them no more, in the order in which they may go. Guarantees that only
 * a completed or discarded study is named. Removes no file itself. */
#include "ledger.h"

#include <inttypes.h>

struct search {
    struct ledger_to_clean *at;
    int64_t before_ms;
};

static bool is_behind(const struct ledger_to_clean *next, const struct ledger_to_clean *at)
{
    return next->changed_ms != at->changed_ms ? next->changed_ms > at->changed_ms
                                              : next->id > at->id;
}

static int find_next(struct ledger *ledger, struct database *database, void *argument,
                     struct error *err)
{
    (void)ledger;
    const struct search *search = argument;
    struct ledger_to_clean *at = search->at;
    sqlite3_stmt *row = NULL;
    int found = database_query(
        database, &row,
        "SELECT id,changed_ms,bytes FROM study INDEXED BY study_to_clean WHERE files>0 AND "
        "state IN ('completed','discarded') AND changed_ms<?1 AND (changed_ms,id)>(?2,?3) "
        "ORDER BY changed_ms,id LIMIT 1",
        VALUES(INTEGER(search->before_ms), INTEGER(at->changed_ms), INTEGER(at->id)), err);
    if (found < 0)
        return -1;
    if (found == 0) {
        (void)error_set(err, "no study has files that may go");
        return LEDGER_NOT_FOUND;
    }
    struct ledger_to_clean next = {.id = sqlite3_column_int64(row, 0),
                                   .changed_ms = sqlite3_column_int64(row, 1),
                                   .bytes = row_count(row, 2)};
    row_done(row);
    if (!is_behind(&next, at))
        return database_disorder(err);
    *at = next;
    return 0;
}

int ledger_next_to_clean(struct ledger *ledger, struct ledger_to_clean *at, int64_t before_ms,
                         struct error *err)
{
    struct search search = {.at = at, .before_ms = before_ms};
    return ledger_read(ledger, find_next, &search, err);
}

struct page {
    int64_t study_id, after_id;
    struct ledger_file *files;
    size_t size, count;
};

static int read_files(struct ledger *ledger, struct database *database, void *argument,
                      struct error *err)
{
    (void)ledger;
    struct page *page = argument;
    sqlite3_stmt *row = NULL;
    page->count = 0;
    int found = database_query(
        database, &row,
        "SELECT id,file_name FROM instance WHERE study_id=?1 AND id>?2 AND "
        "file_name IS NOT NULL ORDER BY id LIMIT ?3",
        VALUES(INTEGER(page->study_id), INTEGER(page->after_id), INTEGER(page->size)), err);
    for (; found > 0; found = row_next(row, err)) {
        struct ledger_file *file = &page->files[page->count++];
        file->instance_id = sqlite3_column_int64(row, 0);
        if (file->instance_id <= page->after_id) {
            row_done(row);
            return database_disorder(err);
        }
        page->after_id = file->instance_id;
        row_text(file->name, sizeof file->name, row, 1);
    }
    return found;
}

int ledger_study_files(struct ledger *ledger, int64_t study_id, int64_t after_id,
                       struct ledger_file *files, size_t size, size_t *count, struct error *err)
{
    struct page page = {.study_id = study_id, .after_id = after_id, .files = files, .size = size};
    int failed = ledger_read(ledger, read_files, &page, err);
    *count = failed ? 0 : page.count;
    return failed;
}

struct removal {
    const struct ledger_file *files;
    size_t count;
};

static int let_go(struct database *database, const struct ledger_file *file, struct error *err)
{
    /* By name too: the row may have come to name another file meanwhile. */
    int changed =
        database_change(database, "UPDATE instance SET file_name=NULL WHERE id=?1 AND file_name=?2",
                        VALUES(INTEGER(file->instance_id), TEXT(file->name)), err);
    if (changed <= 0)
        return changed;
    return database_change(database,
                           "UPDATE study SET files=files-1 WHERE id=(SELECT study_id FROM "
                           "instance WHERE id=?1)",
                           VALUES(INTEGER(file->instance_id)), err);
}

static int remove_files(struct ledger *ledger, struct database *database, void *argument,
                        struct error *err)
{
    (void)ledger;
    const struct removal *removal = argument;
    for (size_t i = 0; i < removal->count; i++)
        if (let_go(database, &removal->files[i], err) < 0)
            return -1;
    return 0;
}

int ledger_files_removed(struct ledger *ledger, const struct ledger_file *files, size_t count,
                         struct error *err)
{
    struct removal removal = {.files = files, .count = count};
    return ledger_change(ledger, remove_files, &removal, err);
}
