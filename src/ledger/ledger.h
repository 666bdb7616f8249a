/* The room's own view of the ledger: the writer and its queue, the readers, and what its files
 * share. Times are wall-clock milliseconds.
 */
#ifndef AURABRIDGE_LEDGER_LEDGER_H
#define AURABRIDGE_LEDGER_LEDGER_H

#include "database.h"

#include "aurabridge/ledger.h"

#include <pthread.h>

#define LEDGER_READERS 4

/* As the ledger file knows the states; the same sets as the functions in study_state.h. */
#define SQL_IN_FLIGHT  "('validating','ready','packaging','uploading','confirming')"
#define SQL_FINAL      "('completed','failed','cancelled','discarded')"
#define SQL_DELIVERING "('ready','packaging','uploading','confirming')"

/* A step of the ledger: runs on a connection, answers 0 or a negative code. When it changes
 * something it runs inside the shared transaction, and what it did is undone unless it answers 0.
 */
typedef int (*ledger_step_function)(struct ledger *ledger, struct database *database,
                                    void *argument, struct error *err);

struct change; /* a queued step */

struct ledger {
    const struct clock *clock;
    bool in_memory; /* one connection for everything */

    pthread_mutex_t mutex; /* guards what follows; never held over I/O */
    pthread_cond_t done;   /* a batch is finished */
    pthread_cond_t free;   /* a reader is free */
    struct change *first, *last;
    bool leading; /* someone runs a batch; only he touches writer and below */
    bool reader_busy[LEDGER_READERS];
    bool broken; /* a commit failed on the disk: no more changes */

    struct database writer;
    int wal_pages;       /* in the write-ahead log after the last commit */
    int checkpoint_from; /* pages at which the next checkpoint is tried */
    struct database readers[LEDGER_READERS];
};

/* Runs the step in a shared transaction and returns when it is durable. */
int ledger_change(struct ledger *ledger, ledger_step_function step, void *argument,
                  struct error *err);

/* Whether what failed just now in a step is the disk's matter, and not the change's own. */
bool ledger_write_failed(const struct database *database);

/* Runs a step that only reads. */
int ledger_read(struct ledger *ledger, ledger_step_function step, void *argument,
                struct error *err);

/* Prepares the writer's bookkeeping of the write-ahead log. */
void ledger_watch_log(struct ledger *ledger);

/* ---- schema.c ---- */

/* Fails when the file is no ledger, or one that this version does not know. A new file has version
 * 0. Changes nothing. */
int schema_read_version(int64_t *out, struct database *database, const char *path,
                        struct error *err);
/* The same; then makes or migrates its tables. */
int schema_prepare(struct database *database, const char *path, struct error *err);

/* ---- study.c ---- */

/* The columns that row_study reads, for "SELECT " STUDY_COLUMNS " FROM study s …". */
#define STUDY_COLUMNS                                                                              \
    "s.id,s.route_key,s.study_instance_uid,s.generation,s.first_id,s.entry_name,s.destination,"    \
    "s.state,s.reason,s.warning,s.first_received_ms,s.last_received_ms,s.changed_ms,"              \
    "s.completed_ms,s.due_ms,s.retry_at_ms,s.attempt,s.has_changed_duplicates,s.must_quarantine,"  \
    "s.released,s.cancel_requested,s.instances,s.bytes,s.dropped,s.superseded,s.resends,"          \
    "s.swallowed_resends,s.discarded,s.truncated,s.upload_id,s.assembly_id,s.step,s.upload_url,"   \
    "s.upload_length,s.upload_offset,s.package_digest,s.aurabox_study_id,"                         \
    "s.complete_unanswered,s.passed,s.lease_until_ms,s.acknowledged,s.attempts,s.priority"

struct study_row {
    struct ledger_study study;
    bool passed;            /* it has been ready once: validation let it through */
    int64_t lease_until_ms; /* 0: not leased */
};

int row_study(struct study_row *out, sqlite3_stmt *row, struct error *err);
/* LEDGER_NOT_FOUND with a text when there is none. */
int study_read(struct database *database, struct study_row *out, int64_t id, struct error *err);

/* ---- claim.c ---- */

/* What a claim searches with, for tests that look at its plan. */
const char *claim_search(bool urgent_only);

/* ---- change.c: the one place that changes a study's state ---- */

struct state_change {
    int64_t id;
    char study_instance_uid[UID_SIZE];
    enum study_state from, to;
    char reason[LEDGER_REASON_SIZE];
};

/* Within a step: from → to by the table, with the entry action. `*out` is for the log. */
int study_change(struct ledger *ledger, struct database *database, struct state_change *out,
                 const struct study_row *row, enum study_state to, const char *reason,
                 struct error *err);
/* After the step is durable. */
void study_change_log(const struct state_change *change);

/* ---- generation.c ---- */

struct generation {
    int64_t id, first_id;
    int64_t number;
};

/* The next generation of a study: what its row is to be. `id` is 0. */
int generation_next(struct database *database, struct generation *out, const char *route_key,
                    const char *study_instance_uid, struct error *err);
/* Makes the row, in `state`, and sets `id`, and `first_id` for generation 0. */
int generation_open(struct ledger *ledger, struct database *database, struct generation *generation,
                    const struct ledger_study *like, enum study_state state, const char *reason,
                    struct error *err);

/* ---- instance.c ---- */

int instance_insert(struct database *database, int64_t study_id,
                    enum ledger_disposition disposition, const struct ledger_arrival *arrival,
                    struct error *err);
const char *disposition_name(enum ledger_disposition disposition);
int disposition_parse(enum ledger_disposition *out, const char *name);

#endif
