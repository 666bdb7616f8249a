/* What the files of this room share. */
#ifndef AURABRIDGE_PIPELINE_BRIDGE_STATE_H
#define AURABRIDGE_PIPELINE_BRIDGE_STATE_H

#include "bandwidth.h"
#include "packer.h"
#include "receptions.h"

#include "aurabridge/bridge.h"
#include "aurabridge/press.h"
#include "aurabridge/study.h"

#include <pthread.h>
#include <stdatomic.h>

struct delivery; /* delivery.h */
struct settler;  /* settle.c */

/* What is known of how the wall clock runs; one thread's own. */
struct time_watch {
    bool begun;
    int64_t difference_ms; /* of wall clock and monotonic clock, as last seen */
    int64_t since_ms;      /* monotonic: since when the clock was not seen to be set */
};

struct bridge {
    const struct clock *clock;
    struct spool *spool;
    struct journal *journal;
    struct settler *settler;
    struct press *press;
    struct ledger *ledger;
    struct packer *packer;
    struct study_holds *holds;
    struct instance_sink sink;
    struct receptions receptions;
    pthread_mutex_t audit_lock; /* one audit at a time */
    unsigned missing_at_start;  /* files that recovery did not find */
    bool is_open;               /* it has recovered */
    int64_t up_since_ms;        /* monotonic: since then instances can come */
    bool compared;              /* at its start all files were compared with the ledger */
    atomic_bool leaves_work;    /* something is left that the next start has to look at */

    pthread_mutex_t config_lock; /* guards the pointer, not what it points to */
    struct config *config;

    pthread_mutex_t due_lock;
    pthread_cond_t due_changed;
    uint64_t due_count; /* of wakes; who waits remembers the one it saw */
    atomic_bool stopping;

    pthread_t settling, assembler, housekeeper;
    bool settling_runs, assembler_runs, housekeeper_runs;
    struct time_watch ageing; /* from the start on: the housekeeper's */
    atomic_bool reroute_due;  /* the map is new: the assembler looks at unrouted studies again */

    struct bandwidth bandwidth; /* of the line: all workers of all destinations draw from it */

    pthread_mutex_t deliveries_lock; /* guards the list; never held while workers are joined */
    struct delivery *deliveries;
};

/* Waits until something may be due, the time has come (wall clock; INT64_MAX: none), or the bridge
 * stops. `*seen` is the caller's memory, 0 at first. */
void bridge_wait(struct bridge *bridge, uint64_t *seen, int64_t until_ms);

/* Waits until so much time has passed, whatever is due or how the clock is set meanwhile, or the
 * bridge stops. */
void bridge_pause(struct bridge *bridge, int64_t ms);
/* Likewise, or `ends` says so when it is asked, after a bridge_wake. Returns whether the time has
 * passed. */
bool bridge_pause_unless(struct bridge *bridge, int64_t ms, bool (*ends)(void *context),
                         void *context);

/* Whether that was a ledger without room to grow. Then reception is closed, which tells it once. */
bool bridge_met_full_ledger(struct bridge *bridge, int failure);

/* reception.c */
void reception_init(struct bridge *bridge);

/* settle.c */
int settler_new(struct settler **out, struct error *err);
void settler_free(struct settler *settler);
/* The thread's function. */
void *settle_run(void *bridge);
/* For the journal: settles some of it. */
int settle_make_room(void *bridge, struct error *err);
/* At start, before anything else changes: what the journal holds; then it takes commits. */
int settle_replay(struct bridge *bridge, struct error *err);

/* mend.c: a row whose file is missing or short. */
struct mended_row {
    int64_t study_id, instance_id;
    const char *lost; /* the file that it names; "" when none */
};
/* The arrival's file, which has the same data set, becomes the row's; what is left of the old one,
 * and of an archive laid out from it, goes. Returns 0, -1, LEDGER_FULL, or LEDGER_CONFLICT when the
 * row is another's by now. */
int mend_row(struct bridge *bridge, const struct mended_row *row,
             const struct ledger_arrival *arrival, struct error *err);

/* mend.c: after the arrival was recorded as `outcome` and before it is acknowledged: whether its
 * file is needed. A resend's is where the file of the one it repeats is missing or short; the row
 * then names the new one. Returns 0, -1 or LEDGER_FULL. */
int mend_by_resend(bool *is_needed, struct bridge *bridge,
                   const struct ledger_arrival_outcome *outcome,
                   const struct ledger_arrival *arrival, struct error *err);

/* assembler.c: the thread's function; and one study through completion, validation and routing. */
void *assembler_run(void *bridge);
/* An association holds the study no more (it ended, or turned to another study): its end may come
 * earlier than noted. */
void assembler_unhold(struct bridge *bridge, int64_t study_id);
/* Of the study's map entry, or the default. */
int64_t assembler_quiet_period(const struct ledger_study *study, const struct config *config);

/* recovery.c */
int recovery_run(struct bridge *bridge, struct error *err);

/* clock_change.c: what is due by the wall clock, when that was set. */
/* By how much it was set since the last look, ms; 0: not by a notable amount, or this is the first
 * look. */
int64_t clock_change_seen(struct time_watch *watch, int64_t wall_ms, int64_t monotonic_ms);
void clock_change_watch(struct bridge *bridge, struct time_watch *watch);
/* Brings times that the clock as it is now could not have made (a study that is due in a year)
 * back to what they were meant to be. */
int clock_change_repair(struct bridge *bridge, struct error *err);

/* housekeeping.c: the thread's function. */
void *housekeeping_run(void *bridge);
/* One round of it, in the caller's thread. */
void housekeeping_once(struct bridge *bridge);

#endif
