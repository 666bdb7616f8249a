/* When is a study complete: holds by open associations (PS3.4 knows no end of a study; this is
 * ours), and the decision at a due time. Thread-safe; fixed memory for `max_associations`.
 */
#ifndef AURABRIDGE_STUDY_H
#define AURABRIDGE_STUDY_H

#include "aurabridge/error.h"

#include <stddef.h>
#include <stdint.h>

struct study_holds;

int study_holds_new(struct study_holds **out, struct error *err);
void study_holds_free(struct study_holds *holds);

/* The association is about to deliver; called again, nothing changes. One beyond the table's room
 * holds nothing (quiet_period still applies). */
void study_holds_opened(struct study_holds *holds, uint64_t association_id);

/* The association delivered an instance of the study: it holds this study now, and no other, if it
 * is open still. Returns the id of another study that it held until now, or 0. */
int64_t study_holds_delivered(struct study_holds *holds, uint64_t association_id, int64_t study_id,
                              int64_t now_ms);

/* The association ended. Returns the id of the study that it held, or 0. */
int64_t study_holds_ended(struct study_holds *holds, uint64_t association_id);

/* When a study that is quiet now is complete: `now_ms` when nothing holds it; else the end of the
 * last hold (instance + `association_hold_ms`), at most `max_wait_at_ms`. */
int64_t study_complete_at(struct study_holds *holds, int64_t study_id, int64_t now_ms,
                          int64_t association_hold_ms, int64_t max_wait_at_ms);

#endif
