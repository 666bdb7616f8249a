/* What a fault does to a call. */
#ifndef SANDBOX_MISBEHAVE_H
#define SANDBOX_MISBEHAVE_H

#include "call.h"

/* Before the body: the faults of any study, and of a Tus call's own. May give the answer, or hang
 * (`hung`). */
void misbehave_begin(struct call *call, bool tus);

/* After the body of a lifecycle call, which says whose it is: the faults of its study. */
void misbehave_finish(struct call *call);

#endif
