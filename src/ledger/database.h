/* One SQLite connection with its prepared statements, and the few calls the room makes on it.
 * A connection is used by one thread at a time. Parameters are always bound, never printed into
 * SQL, so that no error text of SQLite's can carry a value.
 */
#ifndef AURABRIDGE_LEDGER_DATABASE_H
#define AURABRIDGE_LEDGER_DATABASE_H

#include "aurabridge/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <sqlite3.h>

#define MAX_STATEMENTS 128 /* more than the room has */

struct database {
    sqlite3 *handle;
    struct {
        const char *sql; /* known by its address: a static text */
        sqlite3_stmt *statement;
    } statements[MAX_STATEMENTS];
    size_t count;
};

/* A parameter. */
struct value {
    enum { VALUE_INTEGER, VALUE_TEXT, VALUE_BLOB } kind;
    int64_t integer;
    const void *bytes; /* text: terminated; null text binds NULL */
    size_t length;     /* blob */
};
#define INTEGER(number)  ((struct value){.kind = VALUE_INTEGER, .integer = (int64_t)(number)})
#define TEXT(text)       ((struct value){.kind = VALUE_TEXT, .bytes = (text)})
#define BLOB(data, size) ((struct value){.kind = VALUE_BLOB, .bytes = (data), .length = (size)})

/* ?1, ?2 … in order. */
struct values {
    const struct value *items;
    size_t count;
};
#define VALUES(...)                                                                                \
    ((struct values){(const struct value[]){__VA_ARGS__},                                          \
                     sizeof((const struct value[]){__VA_ARGS__}) / sizeof(struct value)})
#define NO_VALUES ((struct values){NULL, 0})

/* Opens a connection; nothing is read yet. `flags` are SQLITE_OPEN_…. */
int database_open(struct database *database, const char *path, int flags, struct error *err);
/* Frees the statements and the connection. A zeroed one is fine. */
void database_close(struct database *database);

/* Runs SQL without parameters and results, which may be several statements. */
int database_run(struct database *database, const char *sql, struct error *err);

/* Runs one static statement. Returns the number of rows it changed, or -1. */
int database_change(struct database *database, const char *sql, struct values values,
                    struct error *err);

/* Starts one static statement and fetches the first row. Returns 1 with the row in `*row`, 0 when
 * there is none, or -1. After 1, row_next or row_done must follow. */
int database_query(struct database *database, sqlite3_stmt **row, const char *sql,
                   struct values values, struct error *err);
/* The next row: 1, 0 (the statement is done) or -1 (likewise). */
int row_next(sqlite3_stmt *row, struct error *err);
void row_done(sqlite3_stmt *row);

/* What a walk by row id fails with when an id does not follow the one before: in a damaged file it
 * would go in circles. Returns -1. */
int database_disorder(struct error *err);

/* One integer of one row; `*out` is unchanged when there is none. Returns as database_query. */
int database_number(struct database *database, int64_t *out, const char *sql, struct values values,
                    struct error *err);

/* Copies a text column, cut to `size` between characters. */
void row_text(char *out, size_t size, sqlite3_stmt *row, int column);
uint64_t row_count(sqlite3_stmt *row, int column); /* negative reads as 0 */
/* A time, milliseconds since 1970: 0 … the end of the year 9999, so that a damaged one can be
 * reckoned with. */
int64_t row_time(sqlite3_stmt *row, int column);

/* Words for the connection's last failure, with what to do. Returns -1. */
int database_failure(sqlite3 *handle, const char *what, struct error *err);

#endif
