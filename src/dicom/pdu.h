/* The PDUs of an association that stands (PS3.8 9.3.4 to 9.3.8). They are read and checked here and
 * not by dcmtk, which takes the lengths inside a P-DATA-TF as they come (docs/decisions/0012). A
 * reader belongs to one thread.
 */
#ifndef AURABRIDGE_DICOM_PDU_H
#define AURABRIDGE_DICOM_PDU_H

#include "presentation.h"
#include "transport.h"

#include "aurabridge/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PDU_HEADER_LENGTH 6 /* type, reserved, length */

enum pdu_type {
    PDU_ASSOCIATE_RQ = 0x01,
    PDU_ASSOCIATE_AC = 0x02,
    PDU_ASSOCIATE_RJ = 0x03,
    PDU_P_DATA_TF = 0x04,
    PDU_RELEASE_RQ = 0x05,
    PDU_RELEASE_RP = 0x06,
    PDU_ABORT = 0x07
};

struct pdv {
    uint8_t context_id;
    bool is_command, is_last;
    const uint8_t *bytes; /* the reader's, until the next PDU is read */
    size_t length;
};

enum pdu_event {
    PDU_EVENT_PDV,     /* a P-DATA-TF has come: take its PDVs */
    PDU_EVENT_RELEASE, /* the peer asks for release */
    PDU_EVENT_ABORT,   /* the peer sent an A-ABORT */
    PDU_EVENT_ENDED,   /* the transport ended: see transport_state */
    PDU_EVENT_TRICKLE, /* too little of a message came in time */
    PDU_EVENT_FAULT    /* the peer broke the protocol: see the error */
};

struct pdu_reader;

/* Makes a reader that takes P-DATA-TF PDUs of up to `max_pdu` bytes (what follows their header).
 * The transport stays the caller's and must outlive it. Returns 0, or -1 when memory is short. */
int pdu_reader_new(struct pdu_reader **out, struct transport *transport, uint32_t max_pdu);
void pdu_reader_free(struct pdu_reader *reader);

/* Reads the next PDU within the transport's deadline. Never gives PDU_EVENT_TRICKLE. */
enum pdu_event pdu_read(struct pdu_reader *reader, struct error *err);

/* Takes the next PDV of the PDU that was read. Returns whether there was one. */
bool pdu_take_pdv(struct pdu_reader *reader, struct pdv *out);

/* Whether the PDVs of a P-DATA-TF's body fill it exactly, and there is one. Pure; 0 or -1. */
int pdu_examine(const uint8_t *body, size_t length, struct error *err);

/* Sends a whole command set as one PDU, in one packet. */
int pdu_send_command(struct transport *transport, uint8_t context_id, const void *bytes,
                     size_t length, struct error *err);

/* PDUs of one size. */
#define PDU_SHORT_LENGTH 10
void pdu_write_rejection(uint8_t out[PDU_SHORT_LENGTH], const struct rejection *rejection);
void pdu_write_release_response(uint8_t out[PDU_SHORT_LENGTH]);

/* Who aborts and why, PS3.8 table 9-26. */
enum pdu_abort {
    PDU_ABORT_BY_USER = 0x0000,          /* the service user; it gives no reason */
    PDU_ABORT_UNRECOGNIZED_PDU = 0x0201, /* the service provider, as those that follow */
    PDU_ABORT_UNEXPECTED_PDU = 0x0202,
    PDU_ABORT_INVALID_PARAMETER = 0x0206
};
void pdu_write_abort(uint8_t out[PDU_SHORT_LENGTH], enum pdu_abort why);

/* The abort that the last PDU_EVENT_FAULT of the reader asks for, else the user's. */
enum pdu_abort pdu_reader_abort(const struct pdu_reader *reader);

#endif
