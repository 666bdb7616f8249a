/* See the source file. */
#ifndef AURABRIDGE_PIPELINE_CLEAN_STOP_H
#define AURABRIDGE_PIPELINE_CLEAN_STOP_H

#include "aurabridge/bridge.h"

/* To be called when nobody uses the bridge any more: notes in the ledger that all is in its place,
 * if it is. */
void clean_stop_mark(struct bridge *bridge);

/* At start: whether the last stop was one, and nothing has been touched since. What was noted is
 * gone when this answers 0. Returns 0 or -1. */
int clean_stop_take(bool *was_clean, struct bridge *bridge, struct error *err);

#endif
