/* What the files of this room share. */
#ifndef AURABRIDGE_PIPELINE_BRIDGE_STATE_H
#define AURABRIDGE_PIPELINE_BRIDGE_STATE_H

#include "aurabridge/bridge.h"
#include "aurabridge/study.h"

#include <pthread.h>
#include <stdatomic.h>

struct delivery; /* delivery.h */

struct bridge {
    const struct clock *clock;
    struct spool *spool;
    struct ledger *ledger;
    struct study_holds *holds;
    struct instance_sink sink;

    pthread_mutex_t config_lock; /* guards the pointer, not what it points to */
    struct config *config;

    pthread_mutex_t due_lock;
    pthread_cond_t due_changed;
    uint64_t due_count; /* of wakes; who waits remembers the one it saw */
    atomic_bool stopping;

    pthread_t assembler;
    bool assembler_runs;

    pthread_mutex_t deliveries_lock; /* guards the list against bridge_interrupt and status */
    struct delivery *deliveries;
};

/* Waits until something may be due, the time has come (wall clock; INT64_MAX: none), or the bridge
 * stops. `*seen` is the caller's memory, 0 at first. */
void bridge_wait(struct bridge *bridge, uint64_t *seen, int64_t until_ms);

/* reception.c */
void reception_init(struct bridge *bridge);

/* assembler.c: the thread's function; and one study through completion, validation and routing. */
void *assembler_run(void *bridge);
/* The association that held the study has ended: its end may come earlier than noted. */
void assembler_unhold(struct bridge *bridge, int64_t study_id);
int assembler_reroute(struct bridge *bridge, struct config *config, struct error *err);

/* recovery.c */
int recovery_run(struct bridge *bridge, struct error *err);

/* housekeeping.c: returns when it wants to run again (wall clock). */
int64_t housekeeping_run(struct bridge *bridge);

#endif
