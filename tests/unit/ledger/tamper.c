/* The second connection. */
#include "tamper.h"

#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static sqlite3 *open_file(const char *path)
{
    sqlite3 *handle = NULL;
    if (sqlite3_open_v2(path, &handle, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, NULL) !=
        SQLITE_OK) {
        fprintf(stderr, "the test cannot open %s\n", path);
        exit(EXIT_FAILURE);
    }
    (void)sqlite3_busy_timeout(handle, 10000);
    return handle;
}

static void check(sqlite3 *handle, int code, const char *sql)
{
    if (code == SQLITE_OK)
        return;
    fprintf(stderr, "the test cannot run \"%s\": %s\n", sql, sqlite3_errmsg(handle));
    exit(EXIT_FAILURE);
}

void tamper(const char *path, const char *sql)
{
    sqlite3 *handle = open_file(path);
    check(handle, sqlite3_exec(handle, sql, NULL, NULL, NULL), sql);
    (void)sqlite3_close(handle);
}

static int take_number(void *context, int count, char **texts, char **names)
{
    (void)count;
    (void)names;
    *(int64_t *)context = texts[0] ? strtoll(texts[0], NULL, 10) : 0;
    return 0;
}

int64_t tamper_number(const char *path, const char *sql)
{
    sqlite3 *handle = open_file(path);
    int64_t number = INT64_MIN;
    check(handle, sqlite3_exec(handle, sql, take_number, &number, NULL), sql);
    (void)sqlite3_close(handle);
    return number;
}

static char gathered[65536];

static int take_text(void *context, int count, char **texts, char **names)
{
    (void)context;
    (void)names;
    size_t used = strlen(gathered);
    for (int i = 0; i < count; i++)
        used += (size_t)snprintf(gathered + used, sizeof gathered - used, "%s%s",
                                 texts[i] ? texts[i] : "", i + 1 < count ? " " : "\n");
    return 0;
}

const char *tamper_texts(const char *path, const char *sql)
{
    sqlite3 *handle = open_file(path);
    gathered[0] = '\0';
    check(handle, sqlite3_exec(handle, sql, take_text, NULL, NULL), sql);
    (void)sqlite3_close(handle);
    return gathered;
}
