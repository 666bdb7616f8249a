/* A published file that no row names, and what is to become of it. */
#ifndef AURABRIDGE_PIPELINE_FOUND_FILE_H
#define AURABRIDGE_PIPELINE_FOUND_FILE_H

#include "bridge_state.h"

/* Whether it is one that reception published: name, folder, header and data set agree. Returns 0,
 * or -1 with what contradicts. */
int found_file_check(const struct spool_found *found, const struct part10_header *header,
                     const struct stored_instance *stored, struct error *err);

enum found_fate {
    FOUND_RECORD,  /* is to be recorded, as if it had just come */
    FOUND_SETTLED, /* a row names it now, or it has to wait for a person; it stays as it is */
    FOUND_COPY,    /* was counted when it came, and should have gone then; it is to be removed */
    FOUND_UNWANTED /* a leftover of what a person has let go since; it is to be removed */
};

/* Holds it against the versions of the instance that the ledger knows. A row whose own file is
 * missing takes it. Where no version stands any more, the arrival's rule on changed duplicates
 * becomes one that drops nothing. */
int found_file_judge(enum found_fate *fate, struct bridge *bridge, struct ledger_arrival *arrival,
                     struct error *err);

#endif
