/* What an operator can see and do: one function from a request to reply lines, used by the daemon's
 * control socket and, without a daemon, by the command itself.
 *
 * A request is an object with "command" (about, status, studies, retry, release, cancel, discard,
 * forget, audit, receipt), for the changing ones and receipt "study" (short id or UID), for release
 * perhaps "patient_id". A reply is any number of objects, then one with "ok": true, or false with
 * "error". The objects have: for status "destination" each; for studies "study" each; for audit
 * "finding" each, of the first thousand things that do not add up, then "audit" with the figures;
 * for receipt "receipt" and its "sha256", then "instance" each. Replies to `studies` of one study
 * carry patient ids: they go to the operator, never to a log. A daemon says in every last line
 * where it listens and, while senders are refused, why ("reception_closed"); `about` asks for
 * nothing else.
 */
#ifndef AURABRIDGE_OPERATE_H
#define AURABRIDGE_OPERATE_H

#include "aurabridge/bridge.h"
#include "aurabridge/json.h"
#include "aurabridge/ledger.h"
#include "aurabridge/spool.h"

/* What is operated on. `bridge` is null when no daemon runs; audit needs one that is open. */
struct operate_target {
    struct ledger *ledger;
    struct spool *spool;
    struct bridge *bridge;
    uint64_t unsettled; /* instances in the journal of a spool that no bridge has open */
    const char *listen; /* where the daemon's node listens; null when none runs */
};

/* Takes each reply line; owns nothing. Non-zero stops. */
typedef int operate_emit(void *context, const struct json *line);

/* Does the request and emits the reply lines, the last one always with "ok". Returns 0 when the
 * last line was emitted. Thread-safe. */
int operate(const struct operate_target *target, const struct json *request, operate_emit *emit,
            void *context);

#endif
