/* A Tus 1.0.0 server: creation, termination, expiration. */
#ifndef SANDBOX_TUS_SERVER_H
#define SANDBOX_TUS_SERVER_H

#include "call.h"

/* In this order: before the body (may give the answer), for each piece of the body of an accepted
 * PATCH, after the body, and when the call has ended in whatever way. */
void tus_server_begin(struct call *call);
void tus_server_data(struct call *call, const void *bytes, size_t length);
void tus_server_finish(struct call *call);
void tus_server_release(struct call *call);

#endif
