/* What an input does to a spool before the bridge opens it. */
#ifndef AURABRIDGE_FUZZ_SPOOL_DAMAGE_H
#define AURABRIDGE_FUZZ_SPOOL_DAMAGE_H

#include "spool_world.h"

struct damage {
    enum world_size size;
    enum changed_duplicate policy;
    bool ledger;   /* its bytes or rows were touched */
    bool is_lost;  /* it was removed as a whole, and nothing else was done to it */
    bool restored; /* it is whole, but older than the files */
    /* What is done after it was opened. */
    bool keeps_house;  /* housekeeping, long after */
    bool packs;        /* the archives of what is due are read */
    bool starts_again; /* it is opened once more */
};

/* Lays a world out and damages it. */
void damage_do(struct damage *out, struct fuzz_input *input);

#endif
