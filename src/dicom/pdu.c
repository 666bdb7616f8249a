/* PDUs of an association that stands. Guarantees that a P-DATA-TF is held whole and its PDVs fill
 * it before any of them is handed out, and that nothing larger than what was agreed is read. Knows
 * nothing of messages.
 */
#include "pdu.h"

#include "items.h"

#include <stdlib.h>
#include <string.h>

#define PDV_HEADER_LENGTH    6 /* length, context, message control */
#define PDV_LENGTH_MIN       2 /* what the length counts beside the fragment */
#define CONTROL_COMMAND      0x01
#define CONTROL_LAST         0x02
#define SHORT_BODY_LENGTH    4
#define PDV_PREFIX_LENGTH    (PDU_HEADER_LENGTH + PDV_HEADER_LENGTH)
#define PDV_LENGTH_OF(bytes) ((bytes) + PDV_LENGTH_MIN)

struct pdu_reader {
    struct transport *transport; /* the caller's */
    enum pdu_abort abort;
    size_t capacity;   /* of body: what was agreed */
    size_t at, length; /* in body: what is taken, what is there */
    uint8_t body[];
};

int pdu_reader_new(struct pdu_reader **out, struct transport *transport, uint32_t max_pdu)
{
    struct pdu_reader *reader = malloc(sizeof *reader + max_pdu);
    *out = reader;
    if (!reader)
        return -1;
    memset(reader, 0, sizeof *reader);
    reader->transport = transport;
    reader->capacity = max_pdu;
    return 0;
}

void pdu_reader_free(struct pdu_reader *reader)
{
    free(reader);
}

enum pdu_abort pdu_reader_abort(const struct pdu_reader *reader)
{
    return reader->abort;
}

int pdu_examine(const uint8_t *body, size_t length, struct error *err)
{
    if (length == 0)
        return error_set(err, "a P-DATA-TF has no PDV");
    while (length > 0) {
        if (length < PDV_HEADER_LENGTH)
            return error_set(err, "a P-DATA-TF ends inside the header of a PDV");
        size_t pdv_length = big_endian_read(body, 4);
        if (pdv_length < PDV_LENGTH_MIN || pdv_length > length - 4)
            return error_set(err, "a PDV claims %zu bytes, its P-DATA-TF has %zu for it",
                             pdv_length, length - 4);
        body += 4 + pdv_length;
        length -= 4 + pdv_length;
    }
    return 0;
}

bool pdu_take_pdv(struct pdu_reader *reader, struct pdv *out)
{
    if (reader->at == reader->length)
        return false;
    const uint8_t *pdv = reader->body + reader->at;
    size_t length = big_endian_read(pdv, 4);
    out->context_id = pdv[4];
    out->is_command = pdv[5] & CONTROL_COMMAND;
    out->is_last = pdv[5] & CONTROL_LAST;
    out->bytes = pdv + PDV_HEADER_LENGTH;
    out->length = length - PDV_LENGTH_MIN;
    reader->at += 4 + length;
    return true;
}

static enum pdu_event fault(struct pdu_reader *reader, enum pdu_abort why)
{
    reader->abort = why;
    return PDU_EVENT_FAULT;
}

static enum pdu_event read_data(struct pdu_reader *reader, size_t length, struct error *err)
{
    if (length > reader->capacity) {
        (void)error_set(err, "a P-DATA-TF claims %zu bytes, more than the %zu that were agreed",
                        length, reader->capacity);
        return fault(reader, PDU_ABORT_INVALID_PARAMETER);
    }
    if (transport_read_exactly(reader->transport, reader->body, length) != 0)
        return PDU_EVENT_ENDED;
    if (pdu_examine(reader->body, length, err) != 0)
        return fault(reader, PDU_ABORT_INVALID_PARAMETER);
    reader->length = length;
    return PDU_EVENT_PDV;
}

static enum pdu_event read_release(struct pdu_reader *reader, size_t length, struct error *err)
{
    uint8_t reserved[SHORT_BODY_LENGTH];
    if (length != sizeof reserved) {
        (void)error_set(err, "an A-RELEASE-RQ claims %zu bytes instead of 4", length);
        return fault(reader, PDU_ABORT_INVALID_PARAMETER);
    }
    return transport_read_exactly(reader->transport, reserved, sizeof reserved) == 0
               ? PDU_EVENT_RELEASE
               : PDU_EVENT_ENDED;
}

enum pdu_event pdu_read(struct pdu_reader *reader, struct error *err)
{
    uint8_t header[PDU_HEADER_LENGTH];
    reader->at = reader->length = 0;
    if (transport_read_exactly(reader->transport, header, sizeof header) != 0)
        return PDU_EVENT_ENDED;
    size_t length = big_endian_read(header + 2, 4);
    switch (header[0]) {
    case PDU_P_DATA_TF:
        return read_data(reader, length, err);
    case PDU_RELEASE_RQ:
        return read_release(reader, length, err);
    case PDU_ABORT:
        return PDU_EVENT_ABORT; /* whatever it holds: it is over */
    case PDU_ASSOCIATE_RQ:
    case PDU_ASSOCIATE_AC:
    case PDU_ASSOCIATE_RJ:
    case PDU_RELEASE_RP:
        (void)error_set(err, "a PDU of type %02X, which must not come here", header[0]);
        return fault(reader, PDU_ABORT_UNEXPECTED_PDU);
    default:
        (void)error_set(err, "a PDU of type %02X, which there is not", header[0]);
        return fault(reader, PDU_ABORT_UNRECOGNIZED_PDU);
    }
}

int pdu_send_command(struct transport *transport, uint8_t context_id, const void *bytes,
                     size_t length, struct error *err)
{
    uint8_t prefix[PDV_PREFIX_LENGTH] = {PDU_P_DATA_TF};
    big_endian_write(prefix + 2, PDV_HEADER_LENGTH + length, 4);
    big_endian_write(prefix + PDU_HEADER_LENGTH, PDV_LENGTH_OF(length), 4);
    prefix[PDU_HEADER_LENGTH + 4] = context_id;
    prefix[PDU_HEADER_LENGTH + 5] = CONTROL_COMMAND | CONTROL_LAST;
    transport_cork(transport);
    int failed = transport_write(transport, prefix, sizeof prefix);
    failed |= transport_write(transport, bytes, length);
    failed |= transport_flush(transport);
    return failed ? error_set(err, "send a response: the connection ended") : 0;
}

static void write_short(uint8_t out[PDU_SHORT_LENGTH], enum pdu_type type, uint8_t second,
                        uint8_t third, uint8_t fourth)
{
    const uint8_t pdu[PDU_SHORT_LENGTH] = {(uint8_t)type,     0, 0,      0,     0,
                                           SHORT_BODY_LENGTH, 0, second, third, fourth};
    memcpy(out, pdu, sizeof pdu);
}

void pdu_write_rejection(uint8_t out[PDU_SHORT_LENGTH], const struct rejection *rejection)
{
    write_short(out, PDU_ASSOCIATE_RJ, rejection->result, rejection->source, rejection->reason);
}

void pdu_write_release_response(uint8_t out[PDU_SHORT_LENGTH])
{
    write_short(out, PDU_RELEASE_RP, 0, 0, 0);
}

void pdu_write_abort(uint8_t out[PDU_SHORT_LENGTH], enum pdu_abort why)
{
    write_short(out, PDU_ABORT, 0, (uint8_t)(why >> 8), (uint8_t)why);
}
