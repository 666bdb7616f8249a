/* The policy of association negotiation (PS3.8 7.1.1, 9.3.3.2, 9.3.4). Pure and thread-safe. */
#ifndef AURABRIDGE_DICOM_NEGOTIATE_H
#define AURABRIDGE_DICOM_NEGOTIATE_H

#include "associate_request.h"
#include "presentation.h"

#include "aurabridge/config.h"
#include "aurabridge/error.h"

#include <stdbool.h>
#include <stddef.h>

/* Sets the result of each; returns how many were accepted. */
size_t negotiate_contexts(struct presentation_context *contexts, size_t count,
                          bool unknown_sop_classes);

/* Whether this peer may associate. Returns 0, or -1 with the rejection and, for the log, what to
 * do about it. */
int negotiate_titles(const struct config *config, const struct associate_request *request,
                     const char *peer_address, struct rejection *out, struct error *remedy);

#endif
