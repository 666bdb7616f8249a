/* The check of a signed call. */
#ifndef SANDBOX_SIGNATURE_H
#define SANDBOX_SIGNATURE_H

#include "call.h"

/* X-Api-Key, timestamp within five minutes, nonce never seen, signature. False: the answer is
 * given. */
bool signature_check(struct call *call);

#endif
