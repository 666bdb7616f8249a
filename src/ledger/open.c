/* Opening and closing. Guarantees that the file is private (0600), that every commit is synced
 * before it counts, and that the connections which read never write or checkpoint: with SQLite
 * 3.40 only one connection may do that. */
#include "ledger.h"

#include "aurabridge/fs.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int sync_parent(const char *path, struct error *err)
{
    char directory[FS_PATH_MAX];
    const char *slash = strrchr(path, '/');
    size_t length = slash ? (size_t)(slash - path) : 0;
    if (length >= sizeof directory)
        return error_set(err, "the path of the ledger is too long");
    memcpy(directory, path, length);
    directory[length] = '\0';
    const char *parent = !slash ? "." : length == 0 ? "/" : directory;
    return fs_sync_directory(parent, err);
}

/* SQLite would make the file readable for others; its companions take the file's mode. */
static int make_private(const char *path, struct error *err)
{
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600);
    if (fd < 0)
        return error_errno(err, errno, "cannot open ledger %s", path);
    struct stat status;
    int result = 0;
    if (fstat(fd, &status) != 0)
        result = error_errno(err, errno, "cannot look at ledger %s", path);
    else if (!S_ISREG(status.st_mode))
        result = error_set(err, "ledger %s is not a regular file", path);
    if (close(fd) != 0 && result == 0)
        result = error_errno(err, errno, "cannot close ledger %s", path);
    if (result == 0 && status.st_size == 0)
        result = sync_parent(path, err);
    return result;
}

static int open_writer(struct ledger *ledger, const char *path, struct error *err)
{
    if (database_open(&ledger->writer, path, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, err) != 0)
        return error_wrap(err, "cannot open ledger %s", path);
    /* synchronous before the first write, so that the tables are durable too */
    if (database_run(&ledger->writer,
                     "PRAGMA synchronous=FULL;PRAGMA mmap_size=0;PRAGMA cache_size=-1024;"
                     "PRAGMA temp_store=MEMORY;PRAGMA cell_size_check=ON;",
                     err) != 0 ||
        schema_prepare(&ledger->writer, path, err) != 0)
        return -1;
    if (ledger->in_memory)
        return 0;
    if (database_run(&ledger->writer, "PRAGMA journal_mode=WAL;PRAGMA journal_size_limit=67108864;",
                     err) != 0)
        return error_wrap(err, "cannot open ledger %s", path);
    ledger_watch_log(ledger);
    return 0;
}

static int open_readers(struct ledger *ledger, const char *path, struct error *err)
{
    for (size_t i = 0; i < LEDGER_READERS && !ledger->in_memory; i++) {
        struct database *reader = &ledger->readers[i];
        if (database_open(reader, path, SQLITE_OPEN_READWRITE, err) != 0 ||
            database_run(reader,
                         "PRAGMA query_only=ON;PRAGMA mmap_size=0;PRAGMA cache_size=-512;"
                         "PRAGMA temp_store=MEMORY;PRAGMA cell_size_check=ON;"
                         "PRAGMA wal_autocheckpoint=0;",
                         err) != 0)
            return error_wrap(err, "cannot open ledger %s for reading", path);
        (void)sqlite3_db_config(reader->handle, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
    }
    return 0;
}

/* So many KiB of each connection's cache are one block. Page by page, caches grow for hours, and
 * lie between the buffers of associations, so that what these had does not go back to the system.
 */
#define CACHE_BLOCK_KIB 512

static void set_up_caches(void)
{
    (void)sqlite3_config(SQLITE_CONFIG_PAGECACHE, NULL, 0, -CACHE_BLOCK_KIB);
}

int ledger_open(struct ledger **out, const char *path, const struct clock *clock, struct error *err)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    *out = NULL;
    (void)pthread_once(&once, set_up_caches);
    struct ledger *ledger = calloc(1, sizeof *ledger);
    if (!ledger)
        return error_set(err, "out of memory");
    ledger->clock = clock;
    ledger->in_memory = strcmp(path, ":memory:") == 0;
    if (pthread_mutex_init(&ledger->mutex, NULL) != 0) {
        free(ledger);
        return error_set(err, "out of memory");
    }
    (void)pthread_cond_init(&ledger->done, NULL); /* never fails here */
    (void)pthread_cond_init(&ledger->free, NULL);
    if ((!ledger->in_memory && make_private(path, err) != 0) ||
        open_writer(ledger, path, err) != 0 || open_readers(ledger, path, err) != 0 ||
        ledger_recover(ledger, err) != 0) {
        ledger_close(ledger);
        return -1;
    }
    *out = ledger;
    return 0;
}

static int find_damage(struct database *database, const char *path, struct error *err)
{
    char verdict[128] = "";
    sqlite3_stmt *row = NULL;
    int found = database_query(database, &row, "PRAGMA quick_check(1)", NO_VALUES, err);
    if (found > 0) {
        row_text(verdict, sizeof verdict, row, 0);
        row_done(row);
    }
    if (found > 0 && strcmp(verdict, "ok") == 0)
        return 0;
    if (found >= 0)
        (void)error_set(err, "%s", verdict);
    return error_wrap(err,
                      "ledger %s is damaged; restore it, or move it away with its -wal: the bridge "
                      "takes up the files again",
                      path);
}

int ledger_examine(const char *path, struct error *err)
{
    struct database database = {.handle = NULL};
    int64_t version = 0;
    if (access(path, F_OK) != 0 && errno == ENOENT)
        return 0;
    /* Not SQLITE_OPEN_READONLY: what a kill has left in the log could not be read then. */
    int failed = database_open(&database, path, SQLITE_OPEN_READWRITE, err);
    if (!failed) {
        (void)sqlite3_db_config(database.handle, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
        failed = database_run(&database, "PRAGMA query_only=ON;PRAGMA cell_size_check=ON;", err);
    }
    if (failed)
        (void)error_wrap(err, "cannot open ledger %s", path);
    else
        failed = schema_read_version(&version, &database, path, err);
    if (!failed)
        failed = find_damage(&database, path, err);
    database_close(&database);
    return failed ? -1 : 0;
}

void ledger_close(struct ledger *ledger)
{
    if (!ledger)
        return;
    for (size_t i = 0; i < LEDGER_READERS; i++)
        database_close(&ledger->readers[i]);
    /* Last, so that it folds the write-ahead log into the file. */
    database_close(&ledger->writer);
    (void)pthread_cond_destroy(&ledger->free);
    (void)pthread_cond_destroy(&ledger->done);
    (void)pthread_mutex_destroy(&ledger->mutex);
    free(ledger);
}
