/* The border to dcmnet's upper layer (PS3.8), which negotiates associations; what comes after is
 * pdu.h's. A plain C interface: no dcmtk type and no exception passes it (C++ includes this header
 * as "C"). A dul_association belongs to one thread; the rest is thread-safe.
 */
#ifndef AURABRIDGE_DICOM_DUL_H
#define AURABRIDGE_DICOM_DUL_H

#include "presentation.h"
#include "transport.h"

#include "aurabridge/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DUL_NO_MEMORY (-2) /* of what fails with a negative number: memory was short */

struct dul_network;     /* dcmtk's network handle */
struct dul_association; /* dcmtk's association handle */

/* Makes the network handle; dcmtk opens no socket. Also silences dcmtk's log, which holds patient
 * data. `*out` is the caller's; associations must have ended before it is closed. */
int dul_network_open(struct dul_network **out, struct error *err);
void dul_network_close(struct dul_network *network);

/* What the dictionary says of the SOP class. */
enum sop_class_kind dul_sop_class_kind(const char *uid);

/* Lets dcmtk take the A-ASSOCIATE-RQ, which the transport replays, from the connection. The
 * transport stays the caller's and must outlive the association. `max_pdu` in bytes. Returns
 * 0, -1 or DUL_NO_MEMORY. */
int dul_association_receive(struct dul_association **out, struct dul_network *network,
                            struct transport *transport, uint32_t max_pdu, struct error *err);
void dul_association_free(struct dul_association *association);

/* The proposed presentation contexts, with kinds and without results; a repeated id is left out. */
size_t dul_association_contexts(struct dul_association *association,
                                struct presentation_context out[PRESENTATION_CONTEXTS_MAX]);

/* Sends the A-ASSOCIATE-AC with the results, and an answer to user identity negotiation if told.
 * Returns 0, -1 or DUL_NO_MEMORY. */
int dul_association_accept(struct dul_association *association,
                           const struct presentation_context *contexts, size_t count,
                           bool identity_answer, struct error *err);

#endif
