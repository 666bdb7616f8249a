/* The packer: compresses members of studies that are still coming, as their rows come, on
 * processors that nobody else wants. One thread follows the rows; up to four compress. It learns of
 * instances from the ledger alone and keeps nothing that counts: what it made is found, or made
 * again, when the study is packed. */
#ifndef AURABRIDGE_PIPELINE_PACKER_H
#define AURABRIDGE_PIPELINE_PACKER_H

#include "aurabridge/error.h"

struct bridge;
struct packer;

int packer_new(struct packer **out, struct bridge *bridge, struct error *err);
/* Its threads have to be stopped. Null is fine. */
void packer_free(struct packer *packer);

int packer_start(struct packer *packer, struct error *err);
/* Ends its threads, when the bridge is stopping. */
void packer_stop(struct packer *packer);

/* Instances have rows now. Costs next to nothing, waits for nothing. Thread-safe. */
void packer_notice(struct packer *packer);

#endif
