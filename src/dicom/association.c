/* One connection from its first byte to its last: A-ASSOCIATE-RQ under the ARTIM deadline, policy,
 * messages, ending. Guarantees that the slot comes back, that the sink hears of the end of every
 * association that was accepted, and one log line for each end.
 */
#include "association.h"

#include "associate_request.h"
#include "message.h"
#include "store.h"

#include "aurabridge/log.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LINGER_MS 2000 /* for the peer to close after our last PDU */

struct arrival_state { /* one connection while it is served */
    struct association_service *service;
    struct association_arrival *arrival;
    struct transport *transport;
    struct associate_request request;
    struct slot open;
    bool had_last_pdu; /* of ours: what is left is for the peer to close */
    struct conversation *conversation;
};

static void deadline_in(const struct arrival_state *state, int64_t milliseconds)
{
    transport_set_deadline(state->transport,
                           clock_monotonic_ms(state->service->clock) + milliseconds);
}

void association_write_rejection(uint8_t out[ASSOCIATION_PDU_LENGTH],
                                 const struct rejection *rejection)
{
    const uint8_t pdu[ASSOCIATION_PDU_LENGTH] = {
        0x03, 0, 0, 0, 0, 4, 0, rejection->result, rejection->source, rejection->reason};
    memcpy(out, pdu, sizeof pdu);
}

void association_write_abort(uint8_t out[ASSOCIATION_PDU_LENGTH])
{
    /* Service provider, invalid PDU parameter value. */
    const uint8_t pdu[ASSOCIATION_PDU_LENGTH] = {0x07, 0, 0, 0, 0, 4, 0, 0, 2, 6};
    memcpy(out, pdu, sizeof pdu);
}

/* Returns whether there is a sound request; otherwise the connection has had its answer. */
static bool receive_request(struct arrival_state *state)
{
    struct error err = {""};
    const struct association_arrival *arrival = state->arrival;
    transport_set_wake(state->transport, state->service->drain);
    deadline_in(state, arrival->config->dicom.association_timeout_ms);
    switch (associate_request_receive(&state->request, state->transport, &err)) {
    case ASSOCIATE_REQUEST_SOUND:
        return true;
    case ASSOCIATE_REQUEST_NONE:
    case ASSOCIATE_REQUEST_BROKEN:
        if (transport_state(state->transport) == TRANSPORT_LATE)
            log_warning("node",
                        "connection from %s sent no A-ASSOCIATE-RQ within %lld s; closed (see "
                        "dicom.association_timeout)",
                        arrival->address,
                        (long long)(arrival->config->dicom.association_timeout_ms / 1000));
        else
            log_debug("node", "connection from %s ended without an A-ASSOCIATE-RQ",
                      arrival->address);
        return false;
    case ASSOCIATE_REQUEST_UNSOUND:
        break;
    }
    log_warning("node", "connection from %s closed: %s; is the sender a DICOM application?",
                arrival->address, err.text);
    uint8_t pdu[ASSOCIATION_PDU_LENGTH];
    association_write_abort(pdu);
    deadline_in(state, LINGER_MS);
    state->had_last_pdu = transport_write(state->transport, pdu, sizeof pdu) == 0;
    return false;
}

static void reject(struct arrival_state *state, const struct rejection *rejection,
                   const char *remedy)
{
    struct error err = {""};
    atomic_fetch_add(&state->service->counters.rejected, 1);
    log_warning("node", "association from %s (%s) rejected: %s", state->arrival->address,
                state->request.calling_ae_title, remedy);
    deadline_in(state, LINGER_MS);
    state->had_last_pdu = dul_association_reject(state->conversation->dul, rejection, &err) == 0;
}

static bool take_slot(struct arrival_state *state, struct error *remedy)
{
    const struct config *config = state->arrival->config;
    switch (slots_take(&state->service->open, &state->open, state->arrival->address,
                       config->dicom.max_associations, config->dicom.max_associations_per_peer)) {
    case SLOTS_TAKEN:
        return true;
    case SLOTS_FULL:
        (void)error_set(remedy,
                        "all %u associations are in use (local limit exceeded); the sender should "
                        "try again, or raise dicom.max_associations",
                        config->dicom.max_associations);
        return false;
    case SLOTS_FULL_FOR_PEER:
        (void)error_set(remedy,
                        "this address has %u associations open already (local limit exceeded); "
                        "lower the sender's number or raise dicom.max_associations_per_peer",
                        config->dicom.max_associations_per_peer);
        return false;
    }
    return false;
}

/* Whether the association may be; if so its slot is taken. */
static bool admit(struct arrival_state *state)
{
    struct association_service *service = state->service;
    struct rejection rejection = REJECTION_LOCAL_LIMIT;
    struct error remedy = {""};
    bool admitted = false;
    if (negotiate_titles(state->arrival->config, &state->request, state->arrival->address,
                         &rejection, &remedy) == 0) {
        rejection = REJECTION_LOCAL_LIMIT;
        admitted = (!service->events || !service->events->may_accept ||
                    service->events->may_accept(service->events->context, &remedy)) &&
                   take_slot(state, &remedy);
    }
    if (!admitted)
        reject(state, &rejection, remedy.text);
    return admitted;
}

static bool accept_contexts(struct arrival_state *state)
{
    struct conversation *conversation = state->conversation;
    struct error err = {""};
    conversation->context_count =
        dul_association_contexts(conversation->dul, conversation->contexts);
    size_t accepted = negotiate_contexts(conversation->contexts, conversation->context_count,
                                         conversation->config->dicom.unknown_sop_classes);
    deadline_in(state, conversation->config->dicom.pdu_timeout_ms);
    if (dul_association_accept(conversation->dul, conversation->contexts,
                               conversation->context_count, &err) != 0) {
        log_warning("node", "association from %s (%s) broke while it was accepted: %s",
                    conversation->peer.peer_address, conversation->peer.calling_ae_title, err.text);
        return false;
    }
    atomic_fetch_add(&state->service->counters.accepted, 1);
    log_info("node", "association %llu from %s (%s to %s): %zu of %zu presentation contexts",
             (unsigned long long)conversation->peer.id, conversation->peer.peer_address,
             conversation->peer.calling_ae_title, conversation->peer.called_ae_title, accepted,
             conversation->context_count);
    return true;
}

static enum dul_event serve_messages(struct conversation *conversation, struct error *err)
{
    enum dul_event event;
    do {
        struct command_set command;
        const struct presentation_context *context;
        event = message_receive_command(conversation, &command, &context, err);
        if (event == DUL_EVENT_PDV)
            event = store_serve(conversation, &command, context, err);
    } while (event == DUL_EVENT_PDV);
    return event;
}

static const char *ending(const struct conversation *conversation, enum dul_event event)
{
    if (event == DUL_EVENT_RELEASE)
        return "released";
    if (event == DUL_EVENT_ABORT)
        return "aborted by the peer";
    if (event == DUL_EVENT_FAULT)
        return "aborted by us, the peer broke the protocol";
    switch (transport_state(conversation->transport)) {
    case TRANSPORT_LATE:
        return "aborted by us, nothing or too little came in time (see dicom.idle_timeout, 60 s "
               "while "
               "places are short, and dicom.pdu_timeout)";
    case TRANSPORT_WOKEN:
        return "aborted by us, the node stops";
    case TRANSPORT_CLOSED:
        return "closed by the peer without release";
    default:
        return "broken by the network";
    }
}

static void log_ending(const struct conversation *conversation, enum dul_event event,
                       const struct error *err)
{
    log_write(event == DUL_EVENT_RELEASE ? LOG_LEVEL_INFO : LOG_LEVEL_WARNING, "node",
              "association %llu from %s (%s) %s%s%s: %llu stored, %llu refused, %llu echoes",
              (unsigned long long)conversation->peer.id, conversation->peer.peer_address,
              conversation->peer.calling_ae_title, ending(conversation, event),
              event == DUL_EVENT_FAULT ? ", " : "", event == DUL_EVENT_FAULT ? err->text : "",
              (unsigned long long)conversation->stored, (unsigned long long)conversation->refused,
              (unsigned long long)conversation->echoes);
}

/* The slot is free before the peer hears of the release: it may come again at once. But only in
 * exchange for a place among those that wait, so that peers that release and do not close hold no
 * threads without number. */
static void leave_slot(struct arrival_state *state)
{
    struct association_service *service = state->service;
    if (slots_take(&service->pending, &state->arrival->pending, state->arrival->address,
                   PENDING_MAX, PENDING_PER_PEER_MAX) == SLOTS_TAKEN)
        slots_release(&service->open, &state->open);
}

static void finish(struct arrival_state *state, enum dul_event event, const struct error *err)
{
    struct conversation *conversation = state->conversation;
    struct association_service *service = state->service;
    struct error ignored = {""};
    log_ending(conversation, event, err);
    atomic_fetch_add(
        event == DUL_EVENT_RELEASE ? &service->counters.released : &service->counters.aborted, 1);
    service->sink->association_ended(service->sink->context, &conversation->peer);
    leave_slot(state);
    deadline_in(state, LINGER_MS);
    if (event == DUL_EVENT_RELEASE)
        (void)dul_association_acknowledge_release(conversation->dul, &ignored);
    else if (event == DUL_EVENT_FAULT || event == DUL_EVENT_ENDED)
        dul_association_abort(conversation->dul);
    state->had_last_pdu = true;
}

static void converse(struct arrival_state *state)
{
    struct conversation *conversation = state->conversation;
    struct error err = {""};
    transport_set_wake(state->transport, state->service->abort);
    deadline_in(state, conversation->config->dicom.pdu_timeout_ms);
    transport_replay(state->transport, state->request.bytes, state->request.length);
    if (dul_association_receive(&conversation->dul, state->service->network, state->transport,
                                conversation->config->dicom.max_pdu, &err) != 0) {
        log_warning("node", "association from %s (%s) not understood: %s", state->arrival->address,
                    state->request.calling_ae_title, err.text);
        return;
    }
    if (!admit(state))
        return;
    if (accept_contexts(state)) {
        slots_release(&state->service->pending, &state->arrival->pending);
        enum dul_event event = serve_messages(conversation, &err);
        finish(state, event, &err);
    }
}

static struct conversation *new_conversation(const struct arrival_state *state)
{
    struct conversation *conversation = calloc(1, sizeof *conversation);
    if (!conversation)
        return NULL;
    conversation->service = state->service;
    conversation->config = state->arrival->config;
    conversation->transport = state->transport;
    conversation->peer.id = state->arrival->id;
    memcpy(conversation->peer.peer_address, state->arrival->address,
           sizeof conversation->peer.peer_address);
    memcpy(conversation->peer.calling_ae_title, state->request.calling_ae_title,
           sizeof conversation->peer.calling_ae_title);
    memcpy(conversation->peer.called_ae_title, state->request.called_ae_title,
           sizeof conversation->peer.called_ae_title);
    return conversation;
}

void association_run(struct association_service *service, struct association_arrival *arrival)
{
    struct arrival_state state;
    memset(&state, 0, sizeof state);
    state.service = service;
    state.arrival = arrival;
    if (transport_open(&state.transport, arrival->socket, service->clock) != 0) {
        log_error("node", "connection from %s closed: out of memory", arrival->address);
    } else if (receive_request(&state)) {
        state.conversation = new_conversation(&state);
        if (state.conversation) {
            converse(&state);
            dul_association_free(state.conversation->dul);
        } else {
            log_error("node", "association from %s closed: out of memory", arrival->address);
        }
    }
    free(state.conversation);
    associate_request_free(&state.request);
    if (state.had_last_pdu) /* with nothing else in memory: many may wait at once */
        transport_linger(state.transport);
    slots_release(&service->open, &state.open);
    slots_release(&service->pending, &arrival->pending);
    transport_close(state.transport);
}
