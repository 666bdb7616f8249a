/* The DICOM node: C-ECHO and C-STORE SCP (PS3.4 annex A and B, PS3.7 9.1, PS3.8). Behind it
 * dcmnet negotiates the associations; no C++ and no dcmtk type passes this header.
 */
#ifndef AURABRIDGE_NODE_H
#define AURABRIDGE_NODE_H

#include "aurabridge/clock.h"
#include "aurabridge/config.h"
#include "aurabridge/error.h"
#include "aurabridge/instance.h"

#include <stdbool.h>
#include <stdint.h>

struct node;

struct node_events { /* all from node threads; any may be null */
    void *context;
    /* Whether new associations may come (spool above its reserve …). A refusal writes a text for
     * the log and becomes "transient, local limit exceeded". */
    bool (*may_accept)(void *context, struct error *why_not);
};

/* Binds the listening socket (dual stack for "[::]:port"; port 0: any free one). `sink` and
 * `events` must outlive the node. `*out` is the caller's. */
int node_open(struct node **out, struct config *config, const struct instance_sink *sink,
              const struct node_events *events, const struct clock *clock, struct error *err);

/* The bound port. */
uint16_t node_port(const struct node *node);

/* Whether an association of these titles from this address would be accepted, by the configuration
 * alone. Returns 0, or -1 with the reason and what to do about it. Pure. */
int node_admits(const struct config *config, const struct association *association,
                struct error *why_not);

/* Starts accepting in threads of its own. */
int node_start(struct node *node, struct error *err);

/* New associations follow the new config. Thread-safe. */
void node_reconfigure(struct node *node, struct config *config);

/* Stops accepting; open associations may finish for `dicom.shutdown_timeout`, then are aborted.
 * Returns when all threads have ended. */
void node_stop(struct node *node);
void node_free(struct node *node);

struct node_counters {
    /* Associations since start; `aborted` has those too that broke while they were accepted. */
    uint64_t accepted, rejected, aborted, released;
    uint64_t stored, refused, echoes; /* operations */
    unsigned open;
};
void node_counters(struct node *node, struct node_counters *out);

#endif
