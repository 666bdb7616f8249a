/* The one log line for the end of an association, or of a connection that became none. */
#ifndef AURABRIDGE_DICOM_ENDING_H
#define AURABRIDGE_DICOM_ENDING_H

#include "conversation.h"

/* Logs how the association ended, in the middle of what, what became of the instance under way, and
 * what there is to do. `err` is read with PDU_EVENT_FAULT alone. */
void ending_log(const struct conversation *conversation, enum pdu_event event,
                const struct error *err);

/* Logs that there was no memory to serve a connection. */
void ending_log_no_memory(const char *address);

/* Logs how a connection ended from which no whole A-ASSOCIATE-RQ came; `begun`: but some of it. */
void ending_log_no_request(const char *address, enum transport_state ended, bool begun,
                           int64_t association_timeout_ms);

#endif
