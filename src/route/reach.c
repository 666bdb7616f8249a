/* An association is called title, calling title and address. What can come to an entry is cut into
 * cells: one AE title of the bridge, one pattern and one network of those that may call it, one
 * network of the entry. A cell is taken when one earlier entry takes all of it. */
#include "reach.h"

#include <string.h>

struct cell {
    const char *title;
    const char *allowed_calling;           /* "*" when anyone may call */
    const struct network *allowed_network; /* null: anywhere */
    const struct network *network;         /* of the entry; null: anywhere */
};

static bool is_inside(const struct config_networks *wide, const struct network *narrow)
{
    for (size_t i = 0; narrow && i < wide->count; i++) {
        if (network_covers(&wide->items[i], narrow))
            return true;
    }
    return wide->count == 0;
}

static bool networks_meet(const struct network *a, const struct network *b)
{
    return !a || !b || network_covers(a, b) || network_covers(b, a);
}

static bool takes(const struct config_map_entry *earlier, const struct config_map_entry *entry,
                  const struct cell *cell)
{
    bool calling = ae_title_pattern_covers(earlier->calling, entry->calling) ||
                   ae_title_pattern_covers(earlier->calling, cell->allowed_calling);
    bool from = is_inside(&earlier->from, cell->network) ||
                is_inside(&earlier->from, cell->allowed_network);
    return calling && from && ae_title_matches(earlier->called, cell->title);
}

static enum reach reach_of_cell(const struct config *config, const struct config_map_entry *entry,
                                const struct cell *cell)
{
    if (!ae_title_patterns_meet(entry->calling, cell->allowed_calling) ||
        !networks_meet(cell->network, cell->allowed_network))
        return REACH_REFUSED;
    for (const struct config_map_entry *earlier = config->entries; earlier < entry; earlier++) {
        if (takes(earlier, entry, cell))
            return REACH_TAKEN;
    }
    return REACH_SOME;
}

/* The item, or null for the one place of an empty list, which restricts nothing. */
static const struct network *network_at(const struct config_networks *networks, size_t index)
{
    return networks->count > 0 ? &networks->items[index] : NULL;
}

static size_t places(size_t count)
{
    return count > 0 ? count : 1;
}

static enum reach reach_by_title(const struct config *config, const struct config_map_entry *entry,
                                 const struct config_ae_title *title)
{
    enum reach best = REACH_REFUSED;
    for (size_t i = 0; i < places(title->calling.count); i++) {
        for (size_t j = 0; j < places(title->from.count); j++) {
            for (size_t k = 0; k < places(entry->from.count); k++) {
                const struct cell cell = {
                    .title = title->name,
                    .allowed_calling = title->calling.count > 0 ? title->calling.items[i] : "*",
                    .allowed_network = network_at(&title->from, j),
                    .network = network_at(&entry->from, k),
                };
                enum reach found = reach_of_cell(config, entry, &cell);
                if (found == REACH_SOME)
                    return found;
                if (found == REACH_TAKEN)
                    best = found;
            }
        }
    }
    return best;
}

enum reach reach_of(const struct config *config, const struct config_map_entry *entry)
{
    enum reach best = REACH_REFUSED;
    for (size_t i = 0; i < config->dicom.ae_title_count; i++) {
        const struct config_ae_title *title = &config->dicom.ae_titles[i];
        if (!ae_title_matches(entry->called, title->name))
            continue;
        enum reach found = reach_by_title(config, entry, title);
        if (found == REACH_SOME)
            return found;
        if (found == REACH_TAKEN)
            best = found;
    }
    return best;
}
