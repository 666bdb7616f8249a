/* DIMSE messages over PDVs. Guarantees that a message's fragments belong together: one context,
 * command before data set, within the limits of size and time. Keeps no data set.
 */
#include "message.h"

#include <string.h>

#define SHORT_OF_SLOTS_IDLE_MS 60000
#define IDLE_RECHECK_MS        5000

static int64_t now_ms(const struct conversation *conversation)
{
    return clock_monotonic_ms(conversation->service->clock);
}

int64_t message_idle_limit(int64_t idle_timeout_ms, unsigned open, unsigned max_associations)
{
    bool few_left = (uint64_t)open * 4 > (uint64_t)max_associations * 3;
    return few_left && idle_timeout_ms > SHORT_OF_SLOTS_IDLE_MS ? SHORT_OF_SLOTS_IDLE_MS
                                                                : idle_timeout_ms;
}

static int64_t idle_limit_ms(const struct conversation *conversation)
{
    return message_idle_limit(conversation->config->dicom.idle_timeout_ms,
                              slots_count(&conversation->service->open),
                              conversation->config->dicom.max_associations);
}

/* The limit is looked up again while waiting, since slots may run short meanwhile. */
static enum transport_state wait_for_message(const struct conversation *conversation)
{
    int64_t since = now_ms(conversation);
    for (;;) {
        int64_t end = since + idle_limit_ms(conversation);
        int64_t recheck = now_ms(conversation) + IDLE_RECHECK_MS;
        transport_set_deadline(conversation->transport, recheck < end ? recheck : end);
        enum transport_state state = transport_wait(conversation->transport);
        if (state != TRANSPORT_LATE || now_ms(conversation) >= end)
            return state;
    }
}

static void start_pdu_deadline(const struct conversation *conversation)
{
    transport_set_deadline(conversation->transport,
                           now_ms(conversation) + conversation->config->dicom.pdu_timeout_ms);
}

static enum dul_event fault(struct error *err, const char *text, unsigned context_id)
{
    if (context_id > 0)
        (void)error_set(err, "%s (context %u)", text, context_id);
    else
        (void)error_set(err, "%s", text);
    return DUL_EVENT_FAULT;
}

static enum dul_event next_pdv(struct conversation *conversation, bool within_message,
                               struct pdv *out, struct error *err)
{
    while (!dul_take_pdv(conversation->dul, out)) {
        if (!within_message && wait_for_message(conversation) != TRANSPORT_OPEN)
            return DUL_EVENT_ENDED;
        start_pdu_deadline(conversation);
        enum dul_event event = dul_read_pdu(conversation->dul, err);
        if (event == DUL_EVENT_RELEASE && within_message)
            return fault(err, "it asked for release before its message was complete", 0);
        if (event != DUL_EVENT_PDV)
            return event;
    }
    return DUL_EVENT_PDV;
}

static const struct presentation_context *find_context(const struct conversation *conversation,
                                                       uint8_t id)
{
    for (size_t i = 0; i < conversation->context_count; i++) {
        const struct presentation_context *context = &conversation->contexts[i];
        if (context->id == id && context->result == CONTEXT_ACCEPTED)
            return context;
    }
    return NULL;
}

enum dul_event message_receive_command(struct conversation *conversation,
                                       struct command_set *command,
                                       const struct presentation_context **context,
                                       struct error *err)
{
    size_t length = 0;
    struct pdv pdv = {0};
    *context = NULL;
    do {
        enum dul_event event = next_pdv(conversation, *context != NULL, &pdv, err);
        if (event != DUL_EVENT_PDV)
            return event;
        if (!pdv.is_command)
            return fault(err, "a data set came without a command", pdv.context_id);
        if (*context && (*context)->id != pdv.context_id)
            return fault(err, "a command set changed its context half-way", pdv.context_id);
        *context = find_context(conversation, pdv.context_id);
        if (!*context)
            return fault(err, "a command came on a context that was not accepted", pdv.context_id);
        if (pdv.length > COMMAND_SET_MAX - length)
            return fault(err, "a command set has more than 16 KiB", pdv.context_id);
        memcpy(conversation->command_bytes + length, pdv.bytes, pdv.length);
        length += pdv.length;
    } while (!pdv.is_last);
    return command_set_decode(command, conversation->command_bytes, length, err) == 0
               ? DUL_EVENT_PDV
               : DUL_EVENT_FAULT;
}

enum dul_event message_receive_data_set(struct conversation *conversation,
                                        const struct presentation_context *context,
                                        void (*take)(void *taker, const void *bytes, size_t length),
                                        void *taker, struct error *err)
{
    struct pdv pdv = {0};
    do {
        enum dul_event event = next_pdv(conversation, true, &pdv, err);
        if (event != DUL_EVENT_PDV)
            return event;
        if (pdv.is_command)
            return fault(err, "a command came inside a data set", pdv.context_id);
        if (pdv.context_id != context->id)
            return fault(err, "a data set changed its context half-way", pdv.context_id);
        if (pdv.length > 0)
            take(taker, pdv.bytes, pdv.length);
    } while (!pdv.is_last);
    return DUL_EVENT_PDV;
}

enum dul_event message_answer(struct conversation *conversation,
                              const struct presentation_context *context,
                              const struct command_set *command, const struct dimse_answer *answer,
                              struct error *err)
{
    uint8_t bytes[COMMAND_RESPONSE_MAX];
    size_t length = command_set_encode_response(bytes, command, answer);
    start_pdu_deadline(conversation);
    if (dul_send_command(conversation->dul, context->id, bytes, length, err) == 0)
        return DUL_EVENT_PDV;
    return transport_state(conversation->transport) != TRANSPORT_OPEN ? DUL_EVENT_ENDED
                                                                      : DUL_EVENT_FAULT;
}
