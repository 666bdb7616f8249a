/* What one association consists of, between accepting and ending; shared by the files that serve
 * it. Belongs to the association's thread, except for the service.
 */
#ifndef AURABRIDGE_DICOM_CONVERSATION_H
#define AURABRIDGE_DICOM_CONVERSATION_H

#include "command_set.h"
#include "dul.h"
#include "negotiate.h"
#include "pdu.h"
#include "slots.h"
#include "transport.h"

#include "aurabridge/clock.h"
#include "aurabridge/config.h"
#include "aurabridge/instance.h"
#include "aurabridge/node.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* Connections without an association: they have sent no A-ASSOCIATE-RQ yet, are being turned away,
 * or have had their last PDU and do not close. They have limits of their own, so that silent peers
 * take no association's place. */
#define PENDING_MAX          256
#define PENDING_PER_PEER_MAX 128

struct service_counters {
    atomic_uint_fast64_t accepted, rejected, aborted, released, stored, refused, echoes;
};

/* What the node gives to all its associations; thread-safe. */
struct association_service {
    const struct instance_sink *sink;
    const struct node_events *events; /* may be null */
    const struct clock *clock;
    struct dul_network *network;
    struct slots pending; /* connections without an association */
    struct slots large;   /* connections whose A-ASSOCIATE-RQ takes much memory */
    struct slots open;    /* associations */
    int drain;            /* readable once no association may begin any more */
    int abort;            /* readable once open associations have to end */
    struct service_counters counters;
};

/* What is going on, for the words that an end in the middle of it needs. */
enum conversation_phase {
    PHASE_BETWEEN_MESSAGES,
    PHASE_MESSAGE, /* a command or data set is coming */
    PHASE_RESPONSE /* a response is going */
};

struct conversation {
    struct association_service *service;
    struct config *config; /* the association's own reference is held by its owner */
    struct association peer;
    struct transport *transport;
    struct dul_association *dul;
    struct pdu_reader *pdus;
    struct presentation_context contexts[PRESENTATION_CONTEXTS_MAX];
    size_t context_count;
    uint64_t stored, refused, echoes;
    enum conversation_phase phase;
    char instance_uid[UID_SIZE]; /* of the C-STORE under way, "" when there is none */
    bool instance_kept;          /* whether the sink has it */
    uint8_t command_bytes[COMMAND_SET_MAX];
};

#endif
