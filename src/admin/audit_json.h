/* The audit as reply lines. */
#ifndef AURABRIDGE_ADMIN_AUDIT_JSON_H
#define AURABRIDGE_ADMIN_AUDIT_JSON_H

#include "aurabridge/operate.h"

#define FINDINGS_MAX 1000 /* told one by one; of more, only their number */

/* Runs the audit, then emits a "finding" line each, and the "audit" line. */
int audit_emit(struct bridge *bridge, operate_emit *emit, void *context, struct error *err);

#endif
