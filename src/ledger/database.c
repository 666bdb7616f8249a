/* A SQLite connection. Guarantees that each SQL text is prepared once per connection and that a
 * failure is told in words an operator can act on. Knows nothing of studies. */
#include "database.h"

#include <string.h>

#define BUSY_TIMEOUT_MS 10000
#define MAX_TIME_MS     INT64_C(253402300799999)

int database_failure(sqlite3 *handle, const char *what, struct error *err)
{
    int code = sqlite3_extended_errcode(handle);
    if (code == SQLITE_IOERR_SHMSIZE)
        code = SQLITE_FULL; /* its log's index is one more file that has to grow */
    switch (code & 0xFF) {
    case SQLITE_FULL:
        return error_set(err,
                         "the ledger cannot grow (%s): the disk is full; free space in the "
                         "spool's file system",
                         what);
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
        return error_set(err,
                         "the ledger file is damaged (%s: %s); stop the bridge, keep a copy "
                         "of the spool directory and restore the ledger or move it away",
                         what, sqlite3_errmsg(handle));
    case SQLITE_IOERR:
        return error_set(err,
                         "the ledger cannot be read or written (%s: %s, code %d); check the "
                         "spool's disk",
                         what, sqlite3_errmsg(handle), code);
    default:
        return error_set(err, "the ledger failed (%s): %s, code %d", what, sqlite3_errmsg(handle),
                         code);
    }
}

int database_disorder(struct error *err)
{
    return error_set(err,
                     "the ledger file is damaged (its rows are out of order); stop the bridge, "
                     "keep a copy of the spool directory and restore the ledger or move it "
                     "away");
}

int database_open(struct database *database, const char *path, int flags, struct error *err)
{
    memset(database, 0, sizeof *database);
    int code = sqlite3_open_v2(path, &database->handle,
                               flags | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE, NULL);
    if (code != SQLITE_OK) {
        if (database->handle)
            (void)database_failure(database->handle, "opening", err);
        else
            (void)error_set(err, "out of memory");
        database_close(database);
        return -1;
    }
    (void)sqlite3_busy_timeout(database->handle, BUSY_TIMEOUT_MS);
    /* A ledger file is data: nothing in it is trusted to run. */
    (void)sqlite3_db_config(database->handle, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    (void)sqlite3_db_config(database->handle, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
    (void)sqlite3_db_config(database->handle, SQLITE_DBCONFIG_ENABLE_TRIGGER, 0, NULL);
    return 0;
}

void database_close(struct database *database)
{
    for (size_t i = 0; i < database->count; i++)
        (void)sqlite3_finalize(database->statements[i].statement);
    /* Cannot be busy: all statements are finalized above. */
    (void)sqlite3_close(database->handle);
    memset(database, 0, sizeof *database);
}

int database_run(struct database *database, const char *sql, struct error *err)
{
    if (sqlite3_exec(database->handle, sql, NULL, NULL, NULL) != SQLITE_OK)
        return database_failure(database->handle, "setting it up", err);
    return 0;
}

static sqlite3_stmt *prepared(struct database *database, const char *sql, struct error *err)
{
    for (size_t i = 0; i < database->count; i++)
        if (database->statements[i].sql == sql)
            return database->statements[i].statement;
    if (database->count == MAX_STATEMENTS) {
        (void)error_set(err, "the ledger has more statements than MAX_STATEMENTS");
        return NULL;
    }
    sqlite3_stmt *statement = NULL;
    if (sqlite3_prepare_v3(database->handle, sql, -1, SQLITE_PREPARE_PERSISTENT, &statement,
                           NULL) != SQLITE_OK) {
        (void)database_failure(database->handle, "preparing a statement", err);
        return NULL;
    }
    database->statements[database->count].sql = sql;
    database->statements[database->count].statement = statement;
    database->count++;
    return statement;
}

static int bind(sqlite3_stmt *statement, struct values values)
{
    int code = SQLITE_OK;
    for (size_t i = 0; i < values.count && code == SQLITE_OK; i++) {
        const struct value *value = &values.items[i];
        int at = (int)i + 1;
        /* What is bound outlives the statement's run: row_done clears it. */
        if (value->kind == VALUE_INTEGER)
            code = sqlite3_bind_int64(statement, at, value->integer);
        else if (value->kind == VALUE_TEXT)
            code = sqlite3_bind_text(statement, at, value->bytes, -1, SQLITE_STATIC);
        else
            code = sqlite3_bind_blob64(statement, at, value->bytes, value->length, SQLITE_STATIC);
    }
    return code;
}

void row_done(sqlite3_stmt *row)
{
    /* sqlite3_reset repeats the failure of the last step, which was handled there. */
    (void)sqlite3_reset(row);
    (void)sqlite3_clear_bindings(row);
}

int row_next(sqlite3_stmt *row, struct error *err)
{
    int code = sqlite3_step(row);
    if (code == SQLITE_ROW)
        return 1;
    int result = 0;
    if (code != SQLITE_DONE)
        result = database_failure(sqlite3_db_handle(row), "running a statement", err);
    row_done(row);
    return result;
}

int database_query(struct database *database, sqlite3_stmt **row, const char *sql,
                   struct values values, struct error *err)
{
    *row = prepared(database, sql, err);
    if (!*row)
        return -1;
    if (bind(*row, values) != SQLITE_OK) {
        int result = database_failure(database->handle, "binding a value", err);
        row_done(*row);
        return result;
    }
    return row_next(*row, err);
}

int database_change(struct database *database, const char *sql, struct values values,
                    struct error *err)
{
    sqlite3_stmt *row = NULL;
    int found = database_query(database, &row, sql, values, err);
    if (found < 0)
        return -1;
    if (found > 0)
        row_done(row);
    return sqlite3_changes(database->handle);
}

int database_number(struct database *database, int64_t *out, const char *sql, struct values values,
                    struct error *err)
{
    sqlite3_stmt *row = NULL;
    int found = database_query(database, &row, sql, values, err);
    if (found > 0) {
        *out = sqlite3_column_int64(row, 0);
        row_done(row);
    }
    return found;
}

void row_text(char *out, size_t size, sqlite3_stmt *row, int column)
{
    const unsigned char *text = sqlite3_column_text(row, column);
    size_t length = text ? (size_t)sqlite3_column_bytes(row, column) : 0;
    if (length >= size) {
        length = size - 1;
        while (length > 0 && (text[length] & 0xC0) == 0x80)
            length--; /* never within a character of UTF-8 */
    }
    if (length > 0)
        memcpy(out, text, length);
    out[length] = '\0';
}

uint64_t row_count(sqlite3_stmt *row, int column)
{
    int64_t number = sqlite3_column_int64(row, column);
    return number < 0 ? 0 : (uint64_t)number;
}

int64_t row_time(sqlite3_stmt *row, int column)
{
    int64_t time_ms = sqlite3_column_int64(row, column);
    return time_ms < 0 ? 0 : time_ms > MAX_TIME_MS ? MAX_TIME_MS : time_ms;
}
