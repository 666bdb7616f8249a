/* The words for the end of an association: one line with the peer, what happened, and the remedy.
 * Decides nothing.
 */
#include "ending.h"

#include "aurabridge/log.h"
#include "aurabridge/units.h"

#include <stdio.h>

#define MEMORY_REMEDY "give the bridge more memory, or lower dicom.max_associations"

struct ending {
    enum log_level level;
    char what[ERROR_TEXT_MAX + 64];
    const char *remedy; /* null: none is needed */
};

static void describe_late(struct ending *ending, const struct conversation *conversation)
{
    const struct config *config = conversation->config;
    char idle[UNITS_TEXT_SIZE], pdu[UNITS_TEXT_SIZE];
    units_format_duration(idle, config->dicom.idle_timeout_ms);
    units_format_duration(pdu, config->dicom.pdu_timeout_ms);
    switch (conversation->phase) {
    case PHASE_BETWEEN_MESSAGES:
        (void)snprintf(ending->what, sizeof ending->what,
                       "aborted by us, nothing came for %s, or less while slots are short (see "
                       "dicom.idle_timeout)",
                       idle);
        ending->remedy = "a sender should release what it does not need";
        return;
    case PHASE_MESSAGE:
        (void)snprintf(ending->what, sizeof ending->what,
                       "aborted by us, a PDU did not come to its end within %s (see "
                       "dicom.pdu_timeout)",
                       pdu);
        break;
    case PHASE_RESPONSE:
        (void)snprintf(ending->what, sizeof ending->what,
                       "aborted by us, it took no response within %s (see dicom.pdu_timeout)", pdu);
        break;
    }
    ending->remedy = "look at the sender and at the network between";
}

static void describe_transport(struct ending *ending, const struct conversation *conversation)
{
    const char *what = "";
    switch (transport_state(conversation->transport)) {
    case TRANSPORT_LATE:
        describe_late(ending, conversation);
        return;
    case TRANSPORT_WOKEN:
        what = "aborted by us, the node stops";
        ending->remedy = "the sender may come again after the start";
        break;
    case TRANSPORT_CLOSED:
        what = "closed by the peer without release";
        ending->remedy = "look whether the sender was stopped or crashed";
        break;
    case TRANSPORT_NO_MEMORY:
        what = "aborted by us, out of memory";
        ending->remedy = MEMORY_REMEDY;
        ending->level = LOG_LEVEL_ERROR;
        break;
    case TRANSPORT_OPEN:
    case TRANSPORT_BROKEN:
        what = "broken by the network or reset by the peer";
        ending->remedy = "look at the network between, and whether the sender crashed";
        break;
    }
    (void)snprintf(ending->what, sizeof ending->what, "%s", what);
}

static void describe(struct ending *ending, const struct conversation *conversation,
                     enum pdu_event event, const struct error *err)
{
    const char *what = "released";
    ending->remedy = NULL;
    ending->level = LOG_LEVEL_WARNING;
    switch (event) {
    case PDU_EVENT_PDV: /* never an end */
    case PDU_EVENT_RELEASE:
        ending->level = LOG_LEVEL_INFO;
        /* While reception is closed, this is the one line that names the sender. */
        if (conversation->refused > 0)
            ending->remedy = "what was refused has to come again: why stands above, or at the "
                             "end of `aurabridge studies`";
        break;
    case PDU_EVENT_ABORT:
        what = "aborted by the peer";
        ending->remedy = "the sender's own log says why";
        break;
    case PDU_EVENT_TRICKLE:
        what = "aborted by us, its message came by drops (see dicom.idle_timeout)";
        ending->remedy = "look at the sender and at the network between";
        break;
    case PDU_EVENT_FAULT:
        (void)snprintf(ending->what, sizeof ending->what,
                       "aborted by us, the peer broke the protocol, %s", err->text);
        ending->remedy = "a fault of the sender's software, tell its vendor";
        return;
    case PDU_EVENT_ENDED:
        describe_transport(ending, conversation);
        return;
    }
    (void)snprintf(ending->what, sizeof ending->what, "%s", what);
}

/* What became of the instance that was under way. */
static void describe_instance(char *out, size_t size, const struct conversation *conversation)
{
    out[0] = '\0';
    if (!conversation->instance_uid[0])
        return;
    if (conversation->instance_kept)
        (void)snprintf(out, size,
                       " before it had the response to instance %s, which is kept; sent again, it "
                       "counts as a resend",
                       conversation->instance_uid);
    else
        (void)snprintf(out, size, " within instance %s, which is not kept and has to come again",
                       conversation->instance_uid);
}

void ending_log(const struct conversation *conversation, enum pdu_event event,
                const struct error *err)
{
    struct ending ending;
    char instance[UID_SIZE + 128];
    describe(&ending, conversation, event, err);
    describe_instance(instance, sizeof instance, conversation);
    log_write(ending.level, "node",
              "association %llu from %s (%s) %s%s: %llu stored, %llu refused, %llu echoes%s%s",
              (unsigned long long)conversation->peer.id, conversation->peer.peer_address,
              conversation->peer.calling_ae_title, ending.what, instance,
              (unsigned long long)conversation->stored, (unsigned long long)conversation->refused,
              (unsigned long long)conversation->echoes, ending.remedy ? "; " : "",
              ending.remedy ? ending.remedy : "");
}

void ending_log_no_memory(const char *address)
{
    log_error("node", "connection from %s given up: out of memory; " MEMORY_REMEDY, address);
}

/* No whole request came. One that opens a connection and closes it, as a check of its health does,
 * is no event. */
void ending_log_no_request(const char *address, enum transport_state ended, bool begun,
                           int64_t association_timeout_ms)
{
    char limit[UNITS_TEXT_SIZE];
    units_format_duration(limit, association_timeout_ms);
    if (ended == TRANSPORT_LATE && !begun)
        log_warning("node",
                    "connection from %s sent no A-ASSOCIATE-RQ within %s; closed (see "
                    "dicom.association_timeout); look what connects there and stays silent",
                    address, limit);
    else if (ended == TRANSPORT_LATE)
        log_warning("node",
                    "connection from %s sent no whole A-ASSOCIATE-RQ within %s; closed (see "
                    "dicom.association_timeout); look at the sender and at the network between",
                    address, limit);
    else if (begun && ended != TRANSPORT_WOKEN)
        log_warning("node",
                    "connection from %s ended inside its A-ASSOCIATE-RQ; look whether the sender "
                    "was stopped, and at the network between",
                    address);
    else
        log_debug("node", "connection from %s ended without an A-ASSOCIATE-RQ", address);
}
