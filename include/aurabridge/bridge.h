/* The bridge at work: reception, assembly and delivery over spool and ledger. It is the only room
 * that puts the stages in order, and (with the node) the only one that has threads.
 */
#ifndef AURABRIDGE_BRIDGE_H
#define AURABRIDGE_BRIDGE_H

#include "aurabridge/clock.h"
#include "aurabridge/config.h"
#include "aurabridge/error.h"
#include "aurabridge/instance.h"
#include "aurabridge/ledger_audit.h"
#include "aurabridge/spool.h"

#include <stdbool.h>
#include <stdint.h>

struct bridge;

/* Opens spool (taking its lock) and ledger and reconciles the two; start-up is recovery. Keeps a
 * reference to `config`. `*out` is the caller's. */
int bridge_open(struct bridge **out, struct config *config, const struct clock *clock,
                struct error *err);

/* What the node hands instances to. Belongs to the bridge. */
const struct instance_sink *bridge_sink(struct bridge *bridge);

/* Whether new associations may come, for the node: reception is open and the ledger takes rows. */
bool bridge_may_accept(void *bridge, struct error *why_not);

/* Whether senders are refused for now, and why, without asking the disk. Thread-safe. */
bool bridge_is_closed(struct bridge *bridge, struct error *why);

/* Starts the assembler, the housekeeper and the delivery workers. */
int bridge_start(struct bridge *bridge, struct error *err);

/* Takes over a new config: map, limits, destinations. Studies that no entry matched are looked at
 * again. A destination whose settings are unchanged keeps its workers undisturbed. */
int bridge_reconfigure(struct bridge *bridge, struct config *config, struct error *err);

/* Ends all threads; an upload in progress stops where the server has it. */
void bridge_stop(struct bridge *bridge);
void bridge_free(struct bridge *bridge);

/* For the operator's commands, below. Belong to the bridge. */
struct ledger *bridge_ledger(struct bridge *bridge);
struct spool *bridge_spool(struct bridge *bridge);

/* The current config; the caller releases it. Thread-safe. */
struct config *bridge_config(struct bridge *bridge);

/* What was acknowledged before the call stands in the ledger and in study folders when this answers
 * 0; else it is in the journal still, as it would be for a moment anyway. Thread-safe. */
int bridge_settle(struct bridge *bridge, struct error *err);

/* What of that stands in the journal at this moment. Thread-safe. */
struct bridge_journal {
    uint64_t instances, bytes;
    uint64_t capacity; /* bytes */
};
void bridge_journal(struct bridge *bridge, struct bridge_journal *out);

/* How many acknowledged instances a spool's journal holds that the ledger does not name yet, while
 * no bridge has the spool open: a bridge that was killed leaves some to the next start. Changes
 * nothing. Returns 0 or -1. */
int bridge_count_unsettled(uint64_t *out, const struct config *config, struct ledger *ledger,
                           struct error *err);

/* Something may be due. Thread-safe. */
void bridge_wake(struct bridge *bridge);

/* Interrupts the worker that has the study, if any, so that it sees a cancel request. */
void bridge_interrupt(struct bridge *bridge, int64_t study_id);

/* Somebody put something right: a paused destination (null: each) is tried now, not later. */
void bridge_hurry(struct bridge *bridge, const char *destination);

/* Why a destination is paused, or "" when it is not; `until_ms` is when it is probed (wall clock).
 */
void bridge_destination_pause(struct bridge *bridge, const char *destination,
                              char reason[LEDGER_REASON_SIZE], int64_t *until_ms);

/* What keeps a destination from being faster, at this moment. */
enum bridge_brake {
    BRAKE_NONE,  /* nothing: there is nothing to do, or it is being done */
    BRAKE_AWAY,  /* it is paused */
    BRAKE_CALLS, /* a worker waits for a place in the rate limits */
    BRAKE_BYTES  /* bytes are on their way: the line, or upload.limit */
};
const char *bridge_brake_name(enum bridge_brake brake);

struct bridge_destination {
    const char *name; /* valid during the visit */
    enum bridge_brake brake;
    char reason[LEDGER_REASON_SIZE];  /* why it is paused, or "" */
    int64_t until_ms;                 /* wall clock: when a paused one is probed */
    unsigned calls_limit, calls_left; /* of init, start, complete, error, cancel; in 60 s */
    int64_t next_call_ms;             /* until one is free; 0: now */
    unsigned lacking_calls;           /* workers that wait for one, or for one of another kind */
    uint64_t waiting;                 /* studies that are due or put off, in nobody's hands */
    unsigned busy, sending;           /* workers; of them, in an upload's bytes */
    uint64_t bytes_per_second;        /* the mean of the last seconds */
    uint64_t bytes_sent;              /* since the bridge began */
    uint64_t bytes_limit;             /* upload.limit as it holds now, for all together; 0: none */
};

/* Visits the configured destinations. A non-zero answer stops and is returned. Thread-safe. */
int bridge_destinations(struct bridge *bridge,
                        int (*visit)(void *context, const struct bridge_destination *destination),
                        void *context, struct error *err);

/* How far into the study's archive bytes have left this machine, acknowledged or not; 0: it is not
 * being sent. Thread-safe. */
uint64_t bridge_sent(struct bridge *bridge, int64_t study_id);

/* What an audit counted: law 2 by rows and files. */
struct bridge_audit {
    struct ledger_audit ledger;
    uint64_t files; /* in the spool */
    uint64_t
        arriving; /* of them, without a row as long as one looked, since they are being received */
    uint64_t findings;
};

/* Recounts rows, files and receipts while everything goes on, and tells what does not add up, each
 * through `found` (see ledger_finding), which must not wait. A file without a row counts once the
 * reception that may have made it has ended; a row without a file when its study is neither
 * completed nor discarded. Takes long in a large spool. Returns -1 when it could not be done, or
 * another one runs. Thread-safe. */
int bridge_audit(struct bridge *bridge, struct bridge_audit *out,
                 void (*found)(void *context, const struct ledger_finding *finding), void *context,
                 struct error *err);

/* After bridge_open: logs the recount of the rows, one line, and an error line for each of the
 * first things that do not add up. Files were compared by recovery. */
void bridge_audit_at_start(struct bridge *bridge);

/* Removes the files of a study that needs them no more (completed, discarded), and its package. */
int bridge_clean_study(struct ledger *ledger, struct spool *spool, int64_t study_id,
                       struct error *err);

#endif
