/* From a request to the room that answers it: counting, limits, faults, the table of calls. */
#ifndef SANDBOX_ROUTES_H
#define SANDBOX_ROUTES_H

#include "call.h"

#include <stddef.h>

/* A fresh table, the caller's to free(). Null when memory is short. */
struct route *routes_new(size_t *count);

/* Before the body: may give the answer already. */
void routes_begin(struct call *call);
/* After it: does the work and gives the answer. */
void routes_finish(struct call *call);

#endif
