/* What holds up each destination, as objects. */
#ifndef AURABRIDGE_ADMIN_STATUS_JSON_H
#define AURABRIDGE_ADMIN_STATUS_JSON_H

#include "aurabridge/operate.h"

/* Emits {"destination": …} for each configured one. Returns 0 or -1 with a text. */
int status_emit(struct bridge *bridge, operate_emit *emit, void *context, struct error *err);

#endif
