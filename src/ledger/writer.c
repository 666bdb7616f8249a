/* Group commit. Whoever wants a change queues it; if nobody leads, he becomes the leader, takes
 * the queue and runs all of it in one transaction with one sync, then wakes the others.
 *
 * Guarantees: a change that answers 0 is on stable storage; one that fails harms no other; after a
 * failed sync nothing is written any more, since the disk's content is then unknown. The mutex is
 * never held over I/O. Checkpoints are made here alone. */
#include "ledger.h"

#include "aurabridge/log.h"

#include <errno.h>
#include <string.h>

#define MAX_BATCH        256  /* changes that share a commit: bounds the wait of the first */
#define CHECKPOINT_PAGES 2048 /* of 4 KiB: the write-ahead log is folded in at about 8 MiB */

#define BROKEN_TEXT                                                                                \
    "the ledger takes no more changes since a write to its disk failed; check the disk and "       \
    "restart the bridge"

struct change {
    ledger_step_function step;
    void *argument;
    int result;
    bool done;
    struct change *next;
    struct error err;
};

static int note_log_size(void *context, sqlite3 *handle, const char *name, int pages)
{
    (void)handle;
    (void)name;
    struct ledger *ledger = context;
    ledger->wal_pages = pages;
    return SQLITE_OK;
}

void ledger_watch_log(struct ledger *ledger)
{
    ledger->checkpoint_from = CHECKPOINT_PAGES;
    /* Also takes the place of SQLite's own checkpoints. */
    (void)sqlite3_wal_hook(ledger->writer.handle, note_log_size, ledger);
}

static void fail_all(struct change *batch, int result, const struct error *why)
{
    for (struct change *change = batch; change; change = change->next) {
        change->result = result;
        change->err = *why;
    }
}

static bool is_of_space(int errnum)
{
    return errnum == ENOSPC || errnum == EDQUOT;
}

/* Why a write to the ledger's file or to its log failed: SQLite knows ENOSPC as full, and a quota
 * as a fault like any other. */
static bool write_failed_for_space(sqlite3 *handle)
{
    int of_file = 0, of_log = 0;
    sqlite3_file *log = NULL;
    (void)sqlite3_file_control(handle, "main", SQLITE_FCNTL_LAST_ERRNO, &of_file);
    if (sqlite3_file_control(handle, "main", SQLITE_FCNTL_JOURNAL_POINTER, &log) == SQLITE_OK &&
        log && log->pMethods)
        (void)log->pMethods->xFileControl(log, SQLITE_FCNTL_LAST_ERRNO, &of_log);
    return is_of_space(of_file) || is_of_space(of_log);
}

/* A disk that has no room for more. What was synced stands, and what was not is not in the log's
 * index: the next change writes over it. Not so after a failed sync, whatever the reason. */
static bool is_full(sqlite3 *handle)
{
    int code = sqlite3_extended_errcode(handle);
    if ((code & 0xFF) == SQLITE_FULL || code == SQLITE_IOERR_SHMSIZE)
        return true;
    return code == SQLITE_IOERR_WRITE && write_failed_for_space(handle);
}

static bool is_disk_failure(sqlite3 *handle)
{
    int code = sqlite3_errcode(handle) & 0xFF;
    return (code == SQLITE_IOERR || code == SQLITE_CORRUPT || code == SQLITE_NOTADB) &&
           !is_full(handle);
}

bool ledger_write_failed(const struct database *database)
{
    int code = sqlite3_errcode(database->handle) & 0xFF;
    return is_full(database->handle) || is_disk_failure(database->handle) || code == SQLITE_NOMEM ||
           code == SQLITE_BUSY || code == SQLITE_INTERRUPT;
}

/* Whether the transaction still stands: some failures of SQLite's end it as a whole. */
static bool run_one(struct ledger *ledger, struct change *change)
{
    struct database *writer = &ledger->writer;
    if (database_change(writer, "SAVEPOINT change", NO_VALUES, &change->err) < 0) {
        change->result = -1;
        return false;
    }
    change->result = change->step(ledger, writer, change->argument, &change->err);
    if (change->result == -1 && is_full(writer->handle))
        change->result = LEDGER_FULL;
    if (sqlite3_get_autocommit(writer->handle))
        return false;
    if (change->result != 0 && database_change(writer, "ROLLBACK TO change", NO_VALUES, NULL) < 0)
        return false;
    return database_change(writer, "RELEASE change", NO_VALUES,
                           change->result == 0 ? &change->err : NULL) >= 0;
}

/* Runs the batch in one transaction. Returns whether the disk failed. */
static bool run_batch(struct ledger *ledger, struct change *batch)
{
    struct database *writer = &ledger->writer;
    struct error why = {.text = "the ledger's transaction broke off"};
    if (database_change(writer, "BEGIN IMMEDIATE", NO_VALUES, &why) < 0) {
        fail_all(batch, is_full(writer->handle) ? LEDGER_FULL : -1, &why);
        return is_disk_failure(writer->handle);
    }
    bool stands = true;
    for (struct change *change = batch; change && stands; change = change->next) {
        stands = run_one(ledger, change);
        if (!stands && change->err.text[0])
            why = change->err;
    }
    if (stands && database_change(writer, "COMMIT", NO_VALUES, &why) >= 0)
        return false;
    bool disk_failed = is_disk_failure(writer->handle);
    int result = is_full(writer->handle) ? LEDGER_FULL : -1;
    if (result == LEDGER_FULL)
        ledger->checkpoint_from = 0; /* what is folded in gives the log room on a full disk */
    if (!sqlite3_get_autocommit(writer->handle))
        (void)database_run(writer, "ROLLBACK", NULL);
    fail_all(batch, result, &why);
    return disk_failed;
}

/* Bounded by the log's size; a reader that is in the way only makes it partial. */
static bool checkpoint(struct ledger *ledger)
{
    if (ledger->in_memory || ledger->wal_pages < ledger->checkpoint_from)
        return true;
    int in_log = 0, folded = 0;
    int code = sqlite3_wal_checkpoint_v2(ledger->writer.handle, NULL, SQLITE_CHECKPOINT_PASSIVE,
                                         &in_log, &folded);
    ledger->checkpoint_from =
        folded < in_log ? ledger->wal_pages + CHECKPOINT_PAGES : CHECKPOINT_PAGES;
    return code == SQLITE_OK || !is_disk_failure(ledger->writer.handle);
}

static struct change *take_batch(struct ledger *ledger)
{
    struct change *batch = ledger->first, *last = batch;
    for (int taken = 1; taken < MAX_BATCH && last->next; taken++)
        last = last->next;
    ledger->first = last->next;
    if (!ledger->first)
        ledger->last = NULL;
    last->next = NULL;
    return batch;
}

static void finish_batch(struct ledger *ledger, struct change *batch)
{
    struct change *next;
    for (struct change *change = batch; change; change = next) {
        next = change->next; /* its owner may go once it is done */
        change->done = true;
    }
    (void)pthread_cond_broadcast(&ledger->done);
}

static void tell_broken(bool was_broken, bool is_broken)
{
    if (is_broken && !was_broken)
        log_error("ledger", "a write to the ledger's disk failed; it takes no more changes until "
                            "a restart");
}

/* Called, and returns, with the mutex held. */
static void lead(struct ledger *ledger)
{
    ledger->leading = true;
    struct change *batch = take_batch(ledger);
    bool was_broken = ledger->broken, broken = was_broken;
    (void)pthread_mutex_unlock(&ledger->mutex);
    if (broken) {
        struct error why = {.text = BROKEN_TEXT};
        fail_all(batch, -1, &why);
    } else {
        broken = run_batch(ledger, batch);
    }
    tell_broken(was_broken, broken);
    (void)pthread_mutex_lock(&ledger->mutex);
    ledger->broken = broken; /* before those who failed ask what is known */
    finish_batch(ledger, batch);
    (void)pthread_mutex_unlock(&ledger->mutex);
    /* The others have their answers; those who come now wait for the checkpoint. */
    bool folded = broken || checkpoint(ledger);
    tell_broken(broken, broken || !folded);
    (void)pthread_mutex_lock(&ledger->mutex);
    ledger->broken = broken || !folded;
    ledger->leading = false;
    (void)pthread_cond_broadcast(&ledger->done);
}

int ledger_change(struct ledger *ledger, ledger_step_function step, void *argument,
                  struct error *err)
{
    struct change change = {.step = step, .argument = argument};
    (void)pthread_mutex_lock(&ledger->mutex);
    if (ledger->last)
        ledger->last->next = &change;
    else
        ledger->first = &change;
    ledger->last = &change;
    while (!change.done) {
        if (ledger->leading)
            (void)pthread_cond_wait(&ledger->done, &ledger->mutex);
        else
            lead(ledger);
    }
    (void)pthread_mutex_unlock(&ledger->mutex);
    if (change.result != 0 && err)
        *err = change.err;
    return change.result;
}

int ledger_is_sound(struct ledger *ledger, struct error *err)
{
    (void)pthread_mutex_lock(&ledger->mutex);
    bool broken = ledger->broken;
    (void)pthread_mutex_unlock(&ledger->mutex);
    return broken ? error_set(err, BROKEN_TEXT) : 0;
}

static size_t take_reader(struct ledger *ledger)
{
    size_t at = LEDGER_READERS;
    (void)pthread_mutex_lock(&ledger->mutex);
    while (at == LEDGER_READERS) {
        for (at = 0; at < LEDGER_READERS && ledger->reader_busy[at];)
            at++;
        if (at == LEDGER_READERS)
            (void)pthread_cond_wait(&ledger->free, &ledger->mutex);
    }
    ledger->reader_busy[at] = true;
    (void)pthread_mutex_unlock(&ledger->mutex);
    return at;
}

int ledger_read(struct ledger *ledger, ledger_step_function step, void *argument, struct error *err)
{
    if (ledger->in_memory)
        return ledger_change(ledger, step, argument, err);
    size_t at = take_reader(ledger);
    int result = step(ledger, &ledger->readers[at], argument, err);
    (void)pthread_mutex_lock(&ledger->mutex);
    ledger->reader_busy[at] = false;
    (void)pthread_cond_signal(&ledger->free);
    (void)pthread_mutex_unlock(&ledger->mutex);
    return result;
}
