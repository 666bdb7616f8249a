/* C-STORE and C-ECHO. Guarantees that a message is always read to its end before it is answered,
 * that success is what the sink said, and that an instance is either committed or aborted.
 */
#include "store.h"

#include "message.h"

#include "aurabridge/log.h"

#include <stdio.h>
#include <string.h>

struct reception {
    const struct instance_sink *sink;
    struct instance *instance;  /* null once refused */
    struct dimse_answer answer; /* status 0 until refused */
};

static void refuse(struct dimse_answer *answer, uint16_t status, const char *comment)
{
    answer->status = status;
    (void)snprintf(answer->comment, sizeof answer->comment, "%s", comment);
}

/* A sink that refuses without a status must not turn into success. */
static void keep_refusal(struct dimse_answer *answer)
{
    if (answer->status == DIMSE_SUCCESS)
        refuse(answer, DIMSE_OUT_OF_RESOURCES, "instance could not be stored");
}

static void take_bytes(void *taker, const void *bytes, size_t length)
{
    struct reception *reception = taker;
    if (!reception->instance)
        return;
    if (reception->sink->write(reception->instance, bytes, length, &reception->answer) != 0) {
        reception->sink->abort(reception->instance);
        reception->instance = NULL;
        keep_refusal(&reception->answer);
    }
}

static bool is_storable(const struct command_set *command,
                        const struct presentation_context *context, struct dimse_answer *answer)
{
    if (context->kind != SOP_CLASS_STORAGE && context->kind != SOP_CLASS_UNKNOWN)
        refuse(answer, DIMSE_SOP_CLASS_NOT_SUPPORTED, "not a storage SOP class");
    else if (command->sop_class_state != COMMAND_UID_VALID)
        refuse(answer, DIMSE_SOP_CLASS_NOT_SUPPORTED, "Affected SOP Class UID is not a UID");
    else if (strcmp(command->sop_class_uid, context->abstract_syntax) != 0)
        refuse(answer, DIMSE_SOP_CLASS_NOT_SUPPORTED,
               "SOP class differs from the presentation context's");
    else if (command->sop_instance_state != COMMAND_UID_VALID)
        refuse(answer, DIMSE_INVALID_SOP_INSTANCE, "Affected SOP Instance UID is not a UID");
    else if (!command->has_data_set)
        refuse(answer, DIMSE_MISTYPED_ARGUMENT, "C-STORE-RQ without a data set");
    return answer->status == DIMSE_SUCCESS;
}

static void begin(struct conversation *conversation, const struct command_set *command,
                  const struct presentation_context *context, struct reception *reception)
{
    struct instance_request request;
    memset(&request, 0, sizeof request);
    memcpy(request.sop_class_uid, command->sop_class_uid, sizeof request.sop_class_uid);
    memcpy(request.sop_instance_uid, command->sop_instance_uid, sizeof request.sop_instance_uid);
    memcpy(request.transfer_syntax_uid, context->transfer_syntax_uid,
           sizeof request.transfer_syntax_uid);
    const struct instance_sink *sink = reception->sink;
    if (sink->begin(sink->context, &reception->instance, &conversation->peer, &request,
                    &reception->answer) != 0) {
        reception->instance = NULL;
        keep_refusal(&reception->answer);
    }
}

static void count(struct conversation *conversation, const struct dimse_answer *answer)
{
    conversation->instance_kept = answer->status == DIMSE_SUCCESS;
    if (conversation->instance_kept) {
        conversation->stored++;
        atomic_fetch_add(&conversation->service->counters.stored, 1);
    } else {
        conversation->refused++;
        atomic_fetch_add(&conversation->service->counters.refused, 1);
    }
}

/* The sink logs what it refuses, since it knows why. */
static void log_refusal(const struct conversation *conversation, const struct command_set *command,
                        const struct dimse_answer *answer)
{
    log_warning("node",
                "association %llu from %s (%s): instance %s refused with %04X: %s; a fault of the "
                "sender's software, tell its vendor",
                (unsigned long long)conversation->peer.id, conversation->peer.peer_address,
                conversation->peer.calling_ae_title,
                command->sop_instance_uid[0] ? command->sop_instance_uid : "without UID",
                answer->status, answer->comment);
}

static enum pdu_event serve_store(struct conversation *conversation,
                                  const struct command_set *command,
                                  const struct presentation_context *context, struct error *err)
{
    struct reception reception = {conversation->service->sink, NULL, {DIMSE_SUCCESS, ""}};
    memcpy(conversation->instance_uid, command->sop_instance_uid,
           sizeof conversation->instance_uid);
    conversation->instance_kept = false;
    if (is_storable(command, context, &reception.answer))
        begin(conversation, command, context, &reception);
    else
        log_refusal(conversation, command, &reception.answer);
    if (command->has_data_set) {
        enum pdu_event event =
            message_receive_data_set(conversation, context, take_bytes, &reception, err);
        if (event != PDU_EVENT_PDV) {
            if (reception.instance)
                reception.sink->abort(reception.instance);
            return event;
        }
    }
    if (reception.instance)
        reception.sink->commit(reception.instance, &reception.answer);
    count(conversation, &reception.answer);
    enum pdu_event event = message_answer(conversation, context, command, &reception.answer, err);
    if (event == PDU_EVENT_PDV)
        conversation->instance_uid[0] = '\0';
    return event;
}

static enum pdu_event serve_echo(struct conversation *conversation,
                                 const struct command_set *command,
                                 const struct presentation_context *context, struct error *err)
{
    struct dimse_answer answer = {DIMSE_SUCCESS, ""};
    conversation->echoes++;
    atomic_fetch_add(&conversation->service->counters.echoes, 1);
    return message_answer(conversation, context, command, &answer, err);
}

static enum pdu_event serve_unknown(struct conversation *conversation,
                                    const struct command_set *command,
                                    const struct presentation_context *context, struct error *err)
{
    struct dimse_answer answer = {DIMSE_UNRECOGNIZED_OPERATION, ""};
    (void)snprintf(answer.comment, sizeof answer.comment, "operation %04X is not offered here",
                   command->command_field);
    log_warning("node",
                "association %llu from %s (%s): %s; set the sender up to store alone, by C-STORE",
                (unsigned long long)conversation->peer.id, conversation->peer.peer_address,
                conversation->peer.calling_ae_title, answer.comment);
    return message_answer(conversation, context, command, &answer, err);
}

static void drop_bytes(void *taker, const void *bytes, size_t length)
{
    (void)taker;
    (void)bytes;
    (void)length;
}

enum pdu_event store_serve(struct conversation *conversation, const struct command_set *command,
                           const struct presentation_context *context, struct error *err)
{
    bool answerable = command->command_field == COMMAND_C_CANCEL ||
                      (command->has_message_id && !(command->command_field & COMMAND_RESPONSE_BIT));
    if (!answerable) {
        (void)error_set(err, "command %04X is no request, or has no message id",
                        command->command_field);
        return PDU_EVENT_FAULT;
    }
    if (command->command_field == COMMAND_C_STORE)
        return serve_store(conversation, command, context, err);
    if (command->has_data_set) {
        enum pdu_event event =
            message_receive_data_set(conversation, context, drop_bytes, NULL, err);
        if (event != PDU_EVENT_PDV)
            return event;
    }
    if (command->command_field == COMMAND_C_CANCEL)
        return PDU_EVENT_PDV; /* what it would cancel is over already */
    if (command->command_field == COMMAND_C_ECHO)
        return serve_echo(conversation, command, context, err);
    return serve_unknown(conversation, command, context, err);
}
