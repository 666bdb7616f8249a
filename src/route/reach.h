/* Whether an entry of the map can be reached at all, given who may call the bridge and what the
 * entries before it take. Pure.
 */
#ifndef AURABRIDGE_ROUTE_REACH_H
#define AURABRIDGE_ROUTE_REACH_H

#include "aurabridge/config.h"

enum reach {
    REACH_SOME,    /* some association may come to the entry; never wrongly another answer */
    REACH_TAKEN,   /* the entries before it take all */
    REACH_REFUSED, /* the node refuses all, by `calling` and `from` of its AE titles */
};

/* `entry` is one of the config's; its `called` matches at least one AE title. */
enum reach reach_of(const struct config *config, const struct config_map_entry *entry);

#endif
