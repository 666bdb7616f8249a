/* The press: members of archives compressed ahead of their archive, as instances arrive, so that
 * little is left to do when the study is complete. What is made stands in the spool's packages/ and
 * is found there by package_open; nothing depends on it being there. One for a spool, shared by all
 * threads that compress. docs/decisions/0014-members-while-receiving.md
 */
#ifndef AURABRIDGE_PRESS_H
#define AURABRIDGE_PRESS_H

#include "aurabridge/config.h"
#include "aurabridge/error.h"
#include "aurabridge/ledger.h"
#include "aurabridge/spool.h"

#include <stdbool.h>
#include <stdint.h>

struct press;
struct press_hand; /* one thread's own: its buffers */

#define PRESS_NO_ROOM (-2) /* beside what is kept for reception, and well above that when ahead */
#define PRESS_BUSY    (-3) /* another thread is at this member */

/* `*out` is the caller's; the spool has to outlive it. */
int press_new(struct press **out, struct spool *spool, struct error *err);
/* No hand may be left. Null is fine. */
void press_free(struct press *press);

/* Whether a member of that transfer syntax is compressed at all. */
bool press_wants(enum config_compression compression, const char *transfer_syntax_uid);

/* `cancelled` (may be null) is asked now and then; a true answer ends the work with -1. */
int press_hand_new(struct press_hand **out, struct press *press, bool (*cancelled)(void *context),
                   void *context, struct error *err);
void press_hand_free(struct press_hand *hand);
/* Lets go of the hand's memory until it is used again. */
void press_hand_rest(struct press_hand *hand);

/* Compresses the member, unless that is done; `place` is its place among the study's instances
 * (ledger_member_place). Returns 0, one of the codes above, or -1. */
int press_ahead(struct press_hand *hand, const struct ledger_member *member, uint64_t place,
                struct error *err);

/* Space is short: removes what was compressed ahead, study by study, until `wanted` bytes should
 * have come back, and adds them to `*given`. What a layout names, or somebody is at, stays. */
int press_give_back(struct press *press, uint64_t wanted, uint64_t *given, struct error *err);

/* Nothing came for a moment: lets the disk begin with what was written. */
void press_start_writing(struct press *press);

#endif
