/* Delivery: the workers of the destinations. Each claims a due study of its destination, runs the
 * stage that its state asks for (stages.c), and records the outcome. */
#ifndef AURABRIDGE_PIPELINE_DELIVERY_H
#define AURABRIDGE_PIPELINE_DELIVERY_H

#include "bridge_state.h"
#include "gate.h"
#include "meter.h"

#include "aurabridge/aurabox.h"
#include "aurabridge/http.h"
#include "aurabridge/tus.h"

struct delivery_worker {
    struct delivery *delivery;
    pthread_t thread;
    bool runs;
    bool urgent_only; /* the one that no large study can occupy */
    char owner[LEDGER_NAME_SIZE + 16];
    struct aurabox_client *client;
    struct http_client *http; /* for Tus */
    atomic_llong study_id;    /* that it has in hand, or 0 */
    atomic_ullong sent;       /* how far into its archive bytes have left, acknowledged or not */
    atomic_bool sends;        /* it is in an upload's bytes */
    atomic_bool lacks_calls;  /* it waits for a place in the rate limits */
    atomic_bool interrupted;  /* look at the study again */
    /* Its thread's own. */
    uint64_t probe;     /* not 0: it tries a paused destination */
    bool met_full_disk; /* in the last stage */
};

struct delivery {
    struct bridge *bridge;
    struct config *config; /* that the settings of the destination are from */
    const struct config_destination *settings;
    struct aurabox_destination *aurabox;
    struct gate gate;
    struct meter meter;
    struct tus_way *way;
    atomic_bool stopping;
    struct delivery_worker *workers;
    unsigned count; /* upload.workers, and one for what is urgent */
    struct delivery *next;
};

/* Makes the workers what the config asks for: new destinations start, gone ones stop, changed ones
 * start anew. Returns 0, or -1 and everything is as it was. One thread at a time; who looks at the
 * list meanwhile (under deliveries_lock) does not wait for the workers that end. */
int deliveries_follow(struct bridge *bridge, struct config *config, struct error *err);
void deliveries_stop(struct bridge *bridge);

/* The caller holds deliveries_lock for these. */
void deliveries_interrupt(struct delivery *first, int64_t study_id);
void deliveries_hurry(struct delivery *first, const char *destination); /* null: all */
void deliveries_pause_of(struct delivery *first, const char *destination,
                         char reason[LEDGER_REASON_SIZE], int64_t *until_ms);

/* What the workers of a destination are doing at this moment. */
struct delivery_activity {
    char reason[LEDGER_REASON_SIZE];       /* of its pause, or "" */
    int64_t until_ms;                      /* wall clock: its next probe */
    unsigned busy, sending, lacking_calls; /* workers */
    uint64_t bytes_per_second, bytes_sent;
};
void deliveries_activity_of(struct delivery *first, const char *destination,
                            struct delivery_activity *out);
/* How far into the study's archive bytes have left; 0: nobody sends it. */
uint64_t deliveries_sent_of(struct delivery *first, int64_t study_id);

/* Whether the worker should leave what it does. */
bool delivery_worker_stops(void *worker);

/* Some seconds, after a fault of this machine; or until the worker is to end. */
void delivery_worker_rests(struct delivery_worker *worker);

/* stages.c: runs one stage of a claimed study and records the outcome. Returns 0, or -1 when that
 * could not be recorded. */
int stage_run(struct delivery_worker *worker, const struct ledger_study *study);

#endif
