/* The control socket: a Unix socket 0600 at <spool>/control, JSON lines, one request a connection.
 */
#ifndef AURABRIDGE_CONTROL_H
#define AURABRIDGE_CONTROL_H

#include "aurabridge/error.h"
#include "aurabridge/operate.h"

struct control;

/* Opens the socket (replacing a stale one) and serves it in a few threads of its own. `target` is
 * copied and what it points to must outlive the control. `*out` is the caller's. */
int control_start(struct control **out, const struct operate_target *target, struct error *err);
void control_stop(struct control *control);

#define CONTROL_ABSENT (-2) /* nobody listens: no daemon has the spool */

/* The other end: sends the request to the daemon of the spool and emits its reply lines. Returns 0,
 * CONTROL_ABSENT or -1. */
int control_ask(const char *spool_directory, const struct json *request, operate_emit *emit,
                void *context, struct error *err);

#endif
