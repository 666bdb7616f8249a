/* The services themselves: C-STORE (PS3.7 9.1.1, PS3.4 B), C-ECHO (9.1.5) and what is none. */
#ifndef AURABRIDGE_DICOM_STORE_H
#define AURABRIDGE_DICOM_STORE_H

#include "conversation.h"

/* Serves one command that was received on the context, answer included. Returns PDU_EVENT_PDV when
 * the association goes on, otherwise what ended it; `err` holds the reason of PDU_EVENT_FAULT. */
enum pdu_event store_serve(struct conversation *conversation, const struct command_set *command,
                           const struct presentation_context *context, struct error *err);

#endif
