/* A receipt as reply lines. */
#ifndef AURABRIDGE_ADMIN_RECEIPT_JSON_H
#define AURABRIDGE_ADMIN_RECEIPT_JSON_H

#include "aurabridge/operate.h"

/* Emits the "receipt" line and an "instance" line each. Returns -1 with words when the study has
 * none, or when what was emitted is not what the receipt was made of. */
int receipt_emit(struct ledger *ledger, const struct ledger_study *study, operate_emit *emit,
                 void *context, struct error *err);

#endif
