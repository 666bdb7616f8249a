/* Map entries kept beside the spool, so that a study keeps the entry it was matched to when the map
 * is reloaded without it, also across restarts. */
#ifndef AURABRIDGE_PIPELINE_KEPT_ENTRY_H
#define AURABRIDGE_PIPELINE_KEPT_ENTRY_H

#include "aurabridge/config.h"
#include "aurabridge/error.h"
#include "aurabridge/ledger.h"
#include "aurabridge/spool.h"

/* Writes what is needed of each entry of the config to <spool>/entries/<key>.json, durably, where
 * that is not there or differs. */
int kept_entries_save(const struct spool *spool, const struct config *config, struct error *err);

/* The entry that a study keeps: the config's own one, or the kept one. */
struct kept_entry {
    const struct config_map_entry *entry; /* null when there is none: unrouted */
    struct config_map_entry *own;         /* what must be freed, or null */
};

int kept_entry_find(struct kept_entry *out, const struct spool *spool, const struct config *config,
                    const char *route_key, struct error *err);

/* The same for a study: one that has a destination without an entry is an error, so that nothing
 * goes up without the context it was to have. */
int kept_entry_of_study(struct kept_entry *out, const struct spool *spool,
                        const struct config *config, const struct ledger_study *study,
                        struct error *err);
void kept_entry_free(struct kept_entry *kept);

#endif
