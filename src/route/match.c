/* Which entry takes an instance: the first whose patterns and networks fit its association. */
#include "aurabridge/route.h"

#include <string.h>

static bool comes_from(const struct config_networks *networks, const char *address)
{
    for (size_t i = 0; i < networks->count; i++) {
        if (network_contains(&networks->items[i], address))
            return true;
    }
    return networks->count == 0;
}

const struct config_map_entry *route_match(const struct config *config,
                                           const struct association *association)
{
    for (size_t i = 0; i < config->entry_count; i++) {
        const struct config_map_entry *entry = &config->entries[i];
        if (ae_title_matches(entry->called, association->called_ae_title) &&
            ae_title_matches(entry->calling, association->calling_ae_title) &&
            comes_from(&entry->from, association->peer_address))
            return entry;
    }
    return NULL;
}

const struct config_map_entry *route_entry_of_key(const struct config *config, const char *key)
{
    for (size_t i = 0; i < config->entry_count; i++) {
        char candidate[ROUTE_KEY_SIZE];
        route_key(candidate, &config->entries[i], NULL);
        if (candidate[0] && strcmp(candidate, key) == 0)
            return &config->entries[i];
    }
    return NULL;
}
