/* One connection from its first byte to its last: A-ASSOCIATE-RQ under the ARTIM deadline, policy,
 * messages, ending. Guarantees that the slot comes back, that the sink hears of the end of every
 * association that was accepted, and one log line for each end.
 */
#include "association.h"

#include "associate_request.h"
#include "ending.h"
#include "message.h"
#include "store.h"

#include "aurabridge/log.h"

#include <stdlib.h>
#include <string.h>

#define LINGER_MS          2000 /* for the peer to close after our last PDU */
#define LARGE_MAX          16   /* A-ASSOCIATE-RQs of up to 1 MiB held at once */
#define LARGE_PER_PEER_MAX 8

struct arrival_state { /* one connection while it is served */
    struct association_service *service;
    struct association_arrival *arrival;
    struct transport *transport;
    struct associate_request request;
    struct slot large, open;
    bool had_last_pdu; /* of ours: what is left is for the peer to close */
    struct conversation *conversation;
};

static void deadline_in(const struct arrival_state *state, int64_t milliseconds)
{
    transport_set_deadline(state->transport,
                           clock_monotonic_ms(state->service->clock) + milliseconds);
}

/* The last PDU of this side; then the peer may close. */
static void send_last(struct arrival_state *state, const uint8_t pdu[PDU_SHORT_LENGTH])
{
    deadline_in(state, LINGER_MS);
    state->had_last_pdu = transport_write(state->transport, pdu, PDU_SHORT_LENGTH) == 0;
}

static void send_abort(struct arrival_state *state, enum pdu_abort why)
{
    uint8_t pdu[PDU_SHORT_LENGTH];
    pdu_write_abort(pdu, why);
    send_last(state, pdu);
}

static void send_rejection(struct arrival_state *state, const struct rejection *rejection)
{
    uint8_t pdu[PDU_SHORT_LENGTH];
    atomic_fetch_add(&state->service->counters.rejected, 1);
    pdu_write_rejection(pdu, rejection);
    send_last(state, pdu);
}

static void reject(struct arrival_state *state, const struct rejection *rejection,
                   const char *remedy)
{
    const char *calling = state->request.calling_ae_title;
    log_warning("node", "association from %s (%s) rejected: %s", state->arrival->address,
                calling[0] ? calling : "no AE title", remedy);
    send_rejection(state, rejection);
}

/* The sender may come again: other associations end, and their memory is free. */
static void reject_for_memory(struct arrival_state *state)
{
    ending_log_no_memory(state->arrival->address);
    send_rejection(state, &REJECTION_LOCAL_LIMIT);
}

static bool may_be_large(struct arrival_state *state)
{
    if (!associate_request_is_large(&state->request) ||
        slots_take(&state->service->large, &state->large, state->arrival->address, LARGE_MAX,
                   LARGE_PER_PEER_MAX) == SLOTS_TAKEN)
        return true;
    log_warning("node",
                "connection from %s turned away: too many A-ASSOCIATE-RQs of more than 64 KiB at "
                "once (local limit exceeded); the sender should try again, or propose less",
                state->arrival->address);
    send_rejection(state, &REJECTION_LOCAL_LIMIT);
    return false;
}

/* Returns whether there is a sound request; otherwise the connection has had its answer. */
static bool receive_request(struct arrival_state *state)
{
    struct error err = {""};
    size_t received = 0;
    transport_set_wake(state->transport, state->service->drain);
    deadline_in(state, state->arrival->config->dicom.association_timeout_ms);
    enum associate_request_result result =
        associate_request_begin(&state->request, &received, state->transport, &err);
    if (result == ASSOCIATE_REQUEST_SOUND) {
        if (!may_be_large(state))
            return false;
        result = associate_request_receive(&state->request, state->transport, &err);
    }
    switch (result) {
    case ASSOCIATE_REQUEST_SOUND:
        return true;
    case ASSOCIATE_REQUEST_BROKEN:
        ending_log_no_request(state->arrival->address, transport_state(state->transport),
                              received > 0, state->arrival->config->dicom.association_timeout_ms);
        return false;
    case ASSOCIATE_REQUEST_NO_MEMORY:
        reject_for_memory(state);
        return false;
    case ASSOCIATE_REQUEST_UNSOUND:
        break;
    }
    log_warning("node", "connection from %s closed: %s; is the sender a DICOM application?",
                state->arrival->address, err.text);
    send_abort(state, PDU_ABORT_INVALID_PARAMETER);
    return false;
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

/* While the connection stands it is not the sender that gave up: its request was found sound, and
 * dcmtk has other names for memory that it did not get. */
static void log_unaccepted(const struct arrival_state *state, const struct error *why)
{
    bool stands = transport_state(state->transport) == TRANSPORT_OPEN;
    log_warning("node", "association from %s (%s) broke while it was accepted: %s; %s",
                state->arrival->address, state->request.calling_ae_title, why->text,
                stands ? "look whether the bridge is short of memory"
                       : "look whether the sender gave up waiting, and at its log");
}

/* An association that was admitted and did not come to stand; `failed` is dul.h's. */
static void give_up(struct arrival_state *state, int failed, const struct error *why)
{
    atomic_fetch_add(&state->service->counters.aborted, 1);
    if (failed == DUL_NO_MEMORY)
        ending_log_no_memory(state->arrival->address);
    else
        log_unaccepted(state, why);
    send_abort(state, PDU_ABORT_BY_USER);
}

/* Lets dcmtk read the request, whose bytes are not needed after. */
static int take_request(struct arrival_state *state, struct error *err)
{
    struct conversation *conversation = state->conversation;
    deadline_in(state, conversation->config->dicom.pdu_timeout_ms);
    transport_replay(state->transport, state->request.bytes, state->request.length);
    int failed =
        dul_association_receive(&conversation->dul, state->service->network, state->transport,
                                conversation->config->dicom.max_pdu, err);
    transport_replay(state->transport, NULL, 0);
    associate_request_drop(&state->request);
    slots_release(&state->service->large, &state->large);
    return failed;
}

/* Reads the request and answers it. */
static int answer_request(struct arrival_state *state, size_t *accepted, struct error *err)
{
    struct conversation *conversation = state->conversation;
    int failed = take_request(state, err);
    if (failed)
        return failed;
    conversation->context_count =
        dul_association_contexts(conversation->dul, conversation->contexts);
    *accepted = negotiate_contexts(conversation->contexts, conversation->context_count,
                                   conversation->config->dicom.unknown_sop_classes);
    return dul_association_accept(conversation->dul, conversation->contexts,
                                  conversation->context_count,
                                  state->request.asks_for_identity_answer, err);
}

static bool accept_association(struct arrival_state *state)
{
    struct conversation *conversation = state->conversation;
    struct error err = {""};
    size_t accepted = 0;
    if (pdu_reader_new(&conversation->pdus, state->transport,
                       conversation->config->dicom.max_pdu) != 0) {
        reject_for_memory(state);
        return false;
    }
    int failed = answer_request(state, &accepted, &err);
    if (failed) {
        give_up(state, failed, &err);
        return false;
    }
    atomic_fetch_add(&state->service->counters.accepted, 1);
    log_info("node", "association %llu from %s (%s to %s): %zu of %zu presentation contexts",
             (unsigned long long)conversation->peer.id, conversation->peer.peer_address,
             conversation->peer.calling_ae_title, conversation->peer.called_ae_title, accepted,
             conversation->context_count);
    return true;
}

static enum pdu_event serve_messages(struct conversation *conversation, struct error *err)
{
    enum pdu_event event;
    do {
        struct command_set command;
        const struct presentation_context *context;
        event = message_receive_command(conversation, &command, &context, err);
        if (event == PDU_EVENT_PDV)
            event = store_serve(conversation, &command, context, err);
    } while (event == PDU_EVENT_PDV);
    return event;
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

static void finish(struct arrival_state *state, enum pdu_event event, const struct error *err)
{
    struct conversation *conversation = state->conversation;
    struct association_service *service = state->service;
    ending_log(conversation, event, err);
    atomic_fetch_add(
        event == PDU_EVENT_RELEASE ? &service->counters.released : &service->counters.aborted, 1);
    service->sink->association_ended(service->sink->context, &conversation->peer);
    leave_slot(state);
    if (event == PDU_EVENT_RELEASE) {
        uint8_t pdu[PDU_SHORT_LENGTH];
        pdu_write_release_response(pdu);
        send_last(state, pdu);
    } else if (event != PDU_EVENT_ABORT) {
        send_abort(state, pdu_reader_abort(conversation->pdus));
    }
}

static void converse(struct arrival_state *state)
{
    struct error err = {""};
    transport_set_wake(state->transport, state->service->abort);
    if (!admit(state))
        return;
    if (accept_association(state)) {
        slots_release(&state->service->pending, &state->arrival->pending);
        enum pdu_event event = serve_messages(state->conversation, &err);
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
        ending_log_no_memory(arrival->address); /* and it is closed: there is nothing to write by */
    } else if (receive_request(&state)) {
        state.conversation = new_conversation(&state);
        if (state.conversation) {
            converse(&state);
            dul_association_free(state.conversation->dul);
            pdu_reader_free(state.conversation->pdus);
        } else {
            reject_for_memory(&state);
        }
    }
    free(state.conversation);
    associate_request_drop(&state.request);
    slots_release(&service->large, &state.large);
    if (state.had_last_pdu) /* with nothing else in memory: many may wait at once */
        transport_linger(state.transport);
    slots_release(&service->open, &state.open);
    slots_release(&service->pending, &arrival->pending);
    transport_close(state.transport);
}
