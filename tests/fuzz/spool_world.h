/* A spool as a killed bridge leaves it, the same in every process: made once by a bridge of our own
 * on a clock and random numbers of our own, kept in memory, and laid out on disk for each input.
 */
#ifndef AURABRIDGE_FUZZ_SPOOL_WORLD_H
#define AURABRIDGE_FUZZ_SPOOL_WORLD_H

#include "fuzz.h"

#include "aurabridge/config.h"
#include "aurabridge/study_state.h"

#include <limits.h>

#define WORLD_PATIENT "Zyxwvut^Patient" /* in no log line and no error */
#define WORLD_NOW_MS  1760000000000

enum world_size { WORLD_SMALL, WORLD_LARGE, WORLD_SIZES };

/* Once. */
void world_start(void);

/* <fuzz_directory()>/spool, where everything happens, and a folder beside it that no one touches.
 */
const char *world_spool(void);
const char *world_outside(void);

/* Empties the spool and lays out a world: studies in all states, part of the ledger in its
 * write-ahead log. */
void world_lay_out(enum world_size size);

/* Files of the world below the spool, and their content. */
struct world_file {
    char name[400]; /* "studies/1.2.3@…/….dcm" */
    uint8_t *bytes;
    size_t length;
};
size_t world_file_count(enum world_size size);
const struct world_file *world_file(enum world_size size, size_t index);

/* A configuration for the spool; belongs to the world. */
struct config *world_config(enum changed_duplicate changed);

/* The clock that bridges of the world go by. */
extern int64_t world_now_ms;
extern const struct clock world_clock;

#endif
