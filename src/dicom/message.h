/* DIMSE messages over PDVs (PS3.8 annex E, PS3.7 6.3). */
#ifndef AURABRIDGE_DICOM_MESSAGE_H
#define AURABRIDGE_DICOM_MESSAGE_H

#include "conversation.h"

/* How long an association may wait between messages, in milliseconds: idle_timeout, and at most a
 * minute while more than three quarters of the slots are taken. */
int64_t message_idle_limit(int64_t idle_timeout_ms, unsigned open, unsigned max_associations);

/* All that follow return PDU_EVENT_PDV when done, and otherwise what ended the association; `err`
 * holds the reason of PDU_EVENT_FAULT. */

/* Waits for a message, at most idle_timeout, and reads its command set. `*context` belongs to the
 * conversation. */
enum pdu_event message_receive_command(struct conversation *conversation,
                                       struct command_set *command,
                                       const struct presentation_context **context,
                                       struct error *err);

/* Reads the message's data set, handing each fragment to `take` as it comes. */
enum pdu_event message_receive_data_set(struct conversation *conversation,
                                        const struct presentation_context *context,
                                        void (*take)(void *taker, const void *bytes, size_t length),
                                        void *taker, struct error *err);

/* Answers the command. */
enum pdu_event message_answer(struct conversation *conversation,
                              const struct presentation_context *context,
                              const struct command_set *command, const struct dimse_answer *answer,
                              struct error *err);

#endif
