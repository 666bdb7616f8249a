/* DIMSE messages over PDVs. Guarantees that a message's fragments belong together: one context,
 * command before data set, within the limits of size and time. Keeps no data set.
 */
#include "message.h"

#include <string.h>

#define SHORT_OF_SLOTS_IDLE_MS 60000
#define IDLE_RECHECK_MS        5000
#define TRICKLE_PER_SECOND     256 /* bytes of a message; below it over idle_timeout is too slow */

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

/* A message that comes by drops keeps its association's slot as a silent peer would, though each of
 * its PDUs is in time. Counts the waiting for the peer alone, so that a slow disk is not its fault.
 */
struct trickle {
    int64_t waited_ms;
    size_t bytes;
};

/* Whether too little came; starts anew after each idle_timeout. */
static bool trickle_is_too_slow(struct trickle *trickle, const struct conversation *conversation)
{
    if (trickle->waited_ms < idle_limit_ms(conversation))
        return false;
    bool too_slow = (int64_t)trickle->bytes < trickle->waited_ms * TRICKLE_PER_SECOND / 1000;
    *trickle = (struct trickle){0, 0};
    return too_slow;
}

/* Returns the time. */
static int64_t start_pdu_deadline(const struct conversation *conversation)
{
    int64_t now = now_ms(conversation);
    transport_set_deadline(conversation->transport,
                           now + conversation->config->dicom.pdu_timeout_ms);
    return now;
}

static enum pdu_event fault(struct error *err, const char *text, unsigned context_id)
{
    if (context_id > 0)
        (void)error_set(err, "%s (context %u)", text, context_id);
    else
        (void)error_set(err, "%s", text);
    return PDU_EVENT_FAULT;
}

/* The next PDV of a message; `trickle` is null before its first. */
static enum pdu_event next_pdv(struct conversation *conversation, struct trickle *trickle,
                               struct pdv *out, struct error *err)
{
    while (!pdu_take_pdv(conversation->pdus, out)) {
        if (!trickle && wait_for_message(conversation) != TRANSPORT_OPEN)
            return PDU_EVENT_ENDED;
        if (trickle && trickle_is_too_slow(trickle, conversation))
            return PDU_EVENT_TRICKLE;
        conversation->phase = PHASE_MESSAGE;
        int64_t begin = start_pdu_deadline(conversation);
        enum pdu_event event = pdu_read(conversation->pdus, err);
        if (trickle)
            trickle->waited_ms += now_ms(conversation) - begin;
        if (event == PDU_EVENT_RELEASE && trickle)
            return fault(err, "it asked for release before its message was complete", 0);
        if (event != PDU_EVENT_PDV)
            return event;
    }
    if (trickle)
        trickle->bytes += out->length;
    return PDU_EVENT_PDV;
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

enum pdu_event message_receive_command(struct conversation *conversation,
                                       struct command_set *command,
                                       const struct presentation_context **context,
                                       struct error *err)
{
    size_t length = 0;
    struct pdv pdv = {0};
    struct trickle trickle = {0, 0};
    *context = NULL;
    conversation->phase = PHASE_BETWEEN_MESSAGES;
    do {
        enum pdu_event event = next_pdv(conversation, *context ? &trickle : NULL, &pdv, err);
        if (event != PDU_EVENT_PDV)
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
               ? PDU_EVENT_PDV
               : PDU_EVENT_FAULT;
}

enum pdu_event message_receive_data_set(struct conversation *conversation,
                                        const struct presentation_context *context,
                                        void (*take)(void *taker, const void *bytes, size_t length),
                                        void *taker, struct error *err)
{
    struct pdv pdv = {0};
    struct trickle trickle = {0, 0};
    do {
        enum pdu_event event = next_pdv(conversation, &trickle, &pdv, err);
        if (event != PDU_EVENT_PDV)
            return event;
        if (pdv.is_command)
            return fault(err, "a command came inside a data set", pdv.context_id);
        if (pdv.context_id != context->id)
            return fault(err, "a data set changed its context half-way", pdv.context_id);
        if (pdv.length > 0)
            take(taker, pdv.bytes, pdv.length);
    } while (!pdv.is_last);
    return PDU_EVENT_PDV;
}

enum pdu_event message_answer(struct conversation *conversation,
                              const struct presentation_context *context,
                              const struct command_set *command, const struct dimse_answer *answer,
                              struct error *err)
{
    uint8_t bytes[COMMAND_RESPONSE_MAX];
    size_t length = command_set_encode_response(bytes, command, answer);
    conversation->phase = PHASE_RESPONSE;
    (void)start_pdu_deadline(conversation);
    return pdu_send_command(conversation->transport, context->id, bytes, length, err) == 0
               ? PDU_EVENT_PDV
               : PDU_EVENT_ENDED;
}
