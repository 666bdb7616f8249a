/* A restart is no quiet period: nothing can come while nobody listens. A sender that was cut off
 * has a quiet period, from the start on, to come back in.
 */
#ifndef AURABRIDGE_PIPELINE_RESTART_H
#define AURABRIDGE_PIPELINE_RESTART_H

#include "aurabridge/bridge.h"

/* `id` is a study that is due at `now_ms` (wall clock). If it is being received and nothing could
 * come for it since the start for as long as its quiet period, it is put off, never beyond
 * study.max_wait, and with it others that are due and for which the same holds, some at a time in
 * one commit; and `*was_put_off` is true. Returns 0, -1, or LEDGER_FULL. */
int restart_put_off(struct bridge *bridge, int64_t id, int64_t now_ms, bool *was_put_off,
                    struct error *err);

#endif
