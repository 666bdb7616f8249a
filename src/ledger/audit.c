/* The recount of law 2. Everything is read from the rows, inside one read transaction, and held
 * against each counter that is kept of it. Guarantees that what is told belongs to one moment, and
 * that memory stays the same whatever is stored: one study at a time, summed by the database. */
#include "audit.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void audit_found(const struct audit *audit, const char *kind, int64_t study_id, const char *format,
                 ...)
{
    char text[LEDGER_REASON_SIZE];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    const struct ledger_finding finding = {.kind = kind, .study_id = study_id, .text = text};
    audit->auditor->found(audit->auditor->context, &finding);
}

int audit_goes_on(const struct audit *audit, struct error *err)
{
    if (!audit->auditor->stops || !audit->auditor->stops(audit->auditor->context))
        return 0;
    return error_set(err, "the audit was stopped; ask again");
}

/* A study's counters, and what its instance rows say. */
enum figure {
    STORED,
    BYTES,
    TRUNCATED,
    DROPPED,
    SUPERSEDED,
    DISCARDED,
    FILES,
    ROW_FIGURES, /* those above are counted from rows */
    RESENDS = ROW_FIGURES,
    SWALLOWED,
    ACKNOWLEDGED,
    FIGURES
};

static const char *const figure_words[ROW_FIGURES] = {
    [STORED] = "stored instances",
    [BYTES] = "bytes",
    [TRUNCATED] = "truncated instances",
    [DROPPED] = "dropped ones",
    [SUPERSEDED] = "superseded",
    [DISCARDED] = "discarded ones",
    [FILES] = "files",
};

struct study_count {
    int64_t id;
    enum study_state state;
    char state_name[16];
    int64_t counter[FIGURES];
    int64_t rows[ROW_FIGURES];
    int64_t homeless; /* stored rows that name no file */
};

/* No GROUP BY: it would sort the study's rows in memory. */
static const char rows_sql[] =
    "SELECT coalesce(sum(disposition='stored'),0),"
    "coalesce(sum(iif(disposition='stored',file_size,0)),0),"
    "coalesce(sum(disposition='stored' AND ending<>0),0),"
    "coalesce(sum(disposition='dropped'),0),coalesce(sum(disposition='superseded'),0),"
    "coalesce(sum(disposition='discarded'),0),count(file_name),"
    "coalesce(sum(disposition='stored' AND file_name IS NULL),0) "
    "FROM instance INDEXED BY instance_study WHERE study_id=?1";

static int count_rows(const struct audit *audit, struct study_count *count, struct error *err)
{
    sqlite3_stmt *row = NULL;
    if (database_query(audit->database, &row, rows_sql, VALUES(INTEGER(count->id)), err) <= 0)
        return -1;
    for (int i = 0; i < ROW_FIGURES; i++)
        count->rows[i] = sqlite3_column_int64(row, i);
    count->homeless = sqlite3_column_int64(row, ROW_FIGURES);
    row_done(row);
    return 0;
}

static void check_counters(const struct audit *audit, const struct study_count *count)
{
    for (int i = 0; i < ROW_FIGURES; i++) {
        if (count->rows[i] != count->counter[i])
            audit_found(audit, "study", count->id,
                        "its counter says %" PRId64 " %s, its instance rows say %" PRId64,
                        count->counter[i], figure_words[i], count->rows[i]);
    }
    const int64_t *rows = count->rows, *counter = count->counter;
    static const enum figure of_rows[] = {STORED, DROPPED, SUPERSEDED, DISCARDED};
    uint64_t sum = (uint64_t)counter[RESENDS] + (uint64_t)counter[SWALLOWED];
    for (size_t i = 0; i < sizeof of_rows / sizeof *of_rows; i++)
        sum += (uint64_t)rows[of_rows[i]];
    if (sum != (uint64_t)counter[ACKNOWLEDGED])
        audit_found(audit, "study", count->id,
                    "%" PRId64 " instances were acknowledged, and %" PRId64 " are found: %" PRId64
                    " %s, %" PRId64 " superseded, %" PRId64 " resends, %" PRId64
                    " swallowed resends, %" PRId64 " dropped by rule, %" PRId64 " discarded",
                    counter[ACKNOWLEDGED], (int64_t)sum, rows[STORED], count->state_name,
                    rows[SUPERSEDED], counter[RESENDS], counter[SWALLOWED], rows[DROPPED],
                    rows[DISCARDED]);
}

/* What the state promises of the rows. */
static int check_state(const struct audit *audit, const struct study_count *count,
                       struct error *err)
{
    bool is_done = count->state == STUDY_COMPLETED || count->state == STUDY_DISCARDED;
    int64_t receipts = 0;
    if (!is_done && count->homeless > 0)
        audit_found(audit, "study", count->id,
                    "%" PRId64 " of its instances name no file, and it is %s", count->homeless,
                    count->state_name);
    if (count->state == STUDY_DISCARDED && count->rows[STORED] > 0)
        audit_found(audit, "study", count->id,
                    "it is discarded, and %" PRId64 " of its instances are not",
                    count->rows[STORED]);
    if (count->state != STUDY_DISCARDED && count->rows[DISCARDED] > 0)
        audit_found(audit, "study", count->id,
                    "%" PRId64 " of its instances are discarded, and it is %s",
                    count->rows[DISCARDED], count->state_name);
    if (database_number(audit->database, &receipts,
                        "SELECT count(*) FROM receipt WHERE study_id=?1",
                        VALUES(INTEGER(count->id)), err) < 0)
        return -1;
    if (receipts != (count->state == STUDY_COMPLETED))
        audit_found(audit, "receipt", count->id, "it is %s and has %" PRId64 " receipts",
                    count->state_name, receipts);
    return 0;
}

static void add_up(struct ledger_audit *out, const struct study_count *count)
{
    out->studies++;
    out->stored[count->state] += (uint64_t)count->rows[STORED];
    out->dropped += (uint64_t)count->rows[DROPPED];
    out->superseded += (uint64_t)count->rows[SUPERSEDED];
    out->discarded += (uint64_t)count->rows[DISCARDED];
    out->files += (uint64_t)count->rows[FILES];
    /* Modulo 2^64: a negative counter is told by check_counters, and takes nothing from others. */
    out->resends += (uint64_t)count->counter[RESENDS];
    out->swallowed_resends += (uint64_t)count->counter[SWALLOWED];
}

static int audit_study(struct audit *audit, sqlite3_stmt *row, struct error *err)
{
    static const enum figure order[] = {STORED,    BYTES,     DROPPED,   SUPERSEDED, RESENDS,
                                        SWALLOWED, DISCARDED, TRUNCATED, FILES,      ACKNOWLEDGED};
    struct study_count count = {.id = sqlite3_column_int64(row, 0)};
    row_text(count.state_name, sizeof count.state_name, row, 1);
    for (size_t i = 0; i < sizeof order / sizeof *order; i++)
        count.counter[order[i]] = sqlite3_column_int64(row, 2 + (int)i);
    if (count_rows(audit, &count, err) != 0)
        return -1;
    if (study_state_parse(&count.state, count.state_name) != 0) {
        audit_found(audit, "study", count.id, "it is \"%s\", which is no state", count.state_name);
        return 0;
    }
    check_counters(audit, &count);
    if (count.counter[RESENDS] < 0 || count.counter[SWALLOWED] < 0)
        audit_found(audit, "study", count.id, "a counter of its resends is below zero");
    add_up(audit->out, &count);
    return check_state(audit, &count, err);
}

static int audit_studies(struct audit *audit, struct error *err)
{
    sqlite3_stmt *row = NULL;
    int found = database_query(
        audit->database, &row,
        "SELECT id,state,instances,bytes,dropped,superseded,resends,swallowed_resends,discarded,"
        "truncated,files,acknowledged FROM study ORDER BY id",
        NO_VALUES, err);
    for (; found > 0; found = row_next(row, err)) {
        if (audit_goes_on(audit, err) != 0 || audit_study(audit, row, err) != 0) {
            row_done(row);
            return -1;
        }
    }
    return found;
}

/* Rows that no study counts. */
static int audit_strays(const struct audit *audit, struct error *err)
{
    sqlite3_stmt *row = NULL;
    int found = database_query(
        audit->database, &row,
        "SELECT study_id,count(*) FROM instance INDEXED BY instance_study GROUP BY study_id "
        "HAVING NOT EXISTS(SELECT 1 FROM study WHERE id=study_id)",
        NO_VALUES, err);
    for (; found > 0; found = row_next(row, err))
        audit_found(audit, "study", sqlite3_column_int64(row, 0),
                    "it is not in the ledger, and %" PRId64 " instance rows are of it",
                    (int64_t)sqlite3_column_int64(row, 1));
    return found;
}

static int audit_totals(const struct audit *audit, struct error *err)
{
    static const char sql[] = "SELECT value FROM counter WHERE name=?1";
    int64_t acknowledged = 0, trimmed = 0, of_studies = 0;
    int has_one =
        database_number(audit->database, &acknowledged, sql, VALUES(TEXT("acknowledged")), err);
    int has_other = database_number(audit->database, &trimmed, sql, VALUES(TEXT("trimmed")), err);
    if (has_one < 0 || has_other < 0 ||
        database_number(audit->database, &of_studies,
                        "SELECT coalesce(sum(acknowledged),0) FROM study", NO_VALUES, err) < 0)
        return -1;
    if (has_one == 0 || has_other == 0)
        audit_found(audit, "total", 0, "the counter \"%s\" is not in the ledger",
                    has_one == 0 ? "acknowledged" : "trimmed");
    audit->out->acknowledged = (uint64_t)acknowledged;
    audit->out->trimmed = (uint64_t)trimmed;
    if (acknowledged != of_studies)
        audit_found(audit, "total", 0,
                    "the counter \"acknowledged\" says %" PRId64
                    ", the studies together were acknowledged %" PRId64 " instances",
                    acknowledged, of_studies);
    uint64_t sum = ledger_audit_sum(audit->out);
    if (sum != audit->out->acknowledged)
        audit_found(audit, "total", 0,
                    "%" PRId64 " instances were acknowledged, and %" PRIu64 " are found",
                    acknowledged, sum);
    return 0;
}

struct errand {
    struct ledger_audit *out;
    const struct ledger_auditor *auditor;
};

static int audit_all(struct ledger *ledger, struct database *database, void *argument,
                     struct error *err)
{
    (void)ledger;
    const struct errand *errand = argument;
    struct audit audit = {.database = database, .out = errand->out, .auditor = errand->auditor};
    /* One moment for all questions. On the writer's connection it is one within a transaction. */
    if (database_change(database, "SAVEPOINT audit", NO_VALUES, err) < 0)
        return -1;
    int failed = audit_studies(&audit, err);
    if (!failed)
        failed = audit_strays(&audit, err);
    if (!failed)
        failed = audit_totals(&audit, err);
    if (!failed)
        failed = audit_chain(&audit, err);
    struct error ending;
    if (database_change(database, "RELEASE audit", NO_VALUES, &ending) < 0 && !failed)
        failed = error_set(err, "%s", ending.text);
    return failed;
}

int ledger_audit(struct ledger *ledger, struct ledger_audit *out,
                 const struct ledger_auditor *auditor, struct error *err)
{
    *out = (struct ledger_audit){0};
    struct errand errand = {.out = out, .auditor = auditor};
    return ledger_read(ledger, audit_all, &errand, err);
}
