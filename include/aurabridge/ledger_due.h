/* The ledger: what is due, and who takes it. As ledger.h says of its calls. */
#ifndef AURABRIDGE_LEDGER_DUE_H
#define AURABRIDGE_LEDGER_DUE_H

#include "aurabridge/ledger.h"

/* ---- the assembler ---- */

/* The next receiving study whose due_ms has come, or study in validating whose retry_at has and
 * that nobody leases: a restart, a failed question or a map reload left it there, and it is to be
 * validated (again). LEDGER_NOT_FOUND: none, and `*next_ms` is when the earliest will be
 * (INT64_MAX: nothing is being received or validated). */
int ledger_study_due(struct ledger *ledger, int64_t *id, int64_t now_ms, int64_t *next_ms,
                     struct error *err);
/* Of the receiving studies that are due at `now_ms`, the first few hundred: each that is due later
 * by what `until` answers (wall clock) is put off to that time, for `reason`. All in one commit;
 * `until` is called within it and asks the ledger nothing. `*moved` counts them. */
int ledger_put_off(struct ledger *ledger, unsigned *moved, int64_t now_ms,
                   int64_t (*until)(void *context, const struct ledger_study *study), void *context,
                   const char *reason, struct error *err);

/* Whether a receiving study is due later than the first time, or one in flight waits, for its
 * retry or with its lease, for longer than until the second. Reads no more than the indexes of
 * those that wait. */
int ledger_waits_later(struct ledger *ledger, bool *found, int64_t due_after_ms,
                       int64_t retry_after_ms, struct error *err);

/* ---- workers ---- */

/* The next study of the destination that is ready, packaging, uploading or confirming, due at
 * `now_ms`, not leased, and not behind an earlier generation that is still in flight (or, when it
 * has_changed_duplicates, not final). The oldest goes first; an urgent one counts as a week older
 * than it is, one of low priority as a day younger, so that nobody waits for ever. It is leased to
 * `owner` until now + lease; a lease of a process that died counts as ended when the ledger is
 * opened. LEDGER_NOT_FOUND: none; `*next_ms` says when the earliest retry is due. Costs the same
 * however many wait. */
int ledger_claim(struct ledger *ledger, struct ledger_study *out, const char *destination,
                 const char *owner, int64_t now_ms, int64_t lease_ms, int64_t *next_ms,
                 struct error *err);
/* The same among urgent studies alone. */
int ledger_claim_urgent(struct ledger *ledger, struct ledger_study *out, const char *destination,
                        const char *owner, int64_t now_ms, int64_t lease_ms, int64_t *next_ms,
                        struct error *err);
/* Whether that would find one; takes nothing. `*next_ms` says when the earliest retry is due. */
int ledger_urgent_is_due(struct ledger *ledger, bool *due, const char *destination, int64_t now_ms,
                         int64_t *next_ms, struct error *err);
/* Studies of the destination that are to be delivered and that nobody has in hand. */
int ledger_waiting(struct ledger *ledger, uint64_t *count, const char *destination,
                   struct error *err);
/* The first earlier generation for whose sake ledger_claim passes the study over, or 0. */
int ledger_study_behind(struct ledger *ledger, int64_t *earlier_id, int64_t id, struct error *err);
int ledger_release_claim(struct ledger *ledger, int64_t id, struct error *err);

#endif
