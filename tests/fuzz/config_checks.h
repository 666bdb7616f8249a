/* What must hold of a configuration that is in use: matching, rendering, keeping. */
#ifndef AURABRIDGE_FUZZ_CONFIG_CHECKS_H
#define AURABRIDGE_FUZZ_CONFIG_CHECKS_H

#include "fuzz.h"

#include "aurabridge/config.h"
#include "aurabridge/route.h"

/* Once: opens the spool that entries are kept beside. */
void config_checks_start(void);

/* route_check_entries, and when that calls an entry unreachable, a search for who reaches it. */
int config_checks_entries(const struct config *config, struct error *err);

/* Renders every entry, and once more after it was kept. */
void config_checks_use(const struct config *config);

/* config_render.c: nothing empty is in it, and it is written and read again as the same. */
void config_check_rendered(const struct json *value);
/* What fuzzed attributes are taken from: `context` is null for fixed ones, else a struct
 * config_values. Every value begins with CONFIG_VALUE. */
#define CONFIG_VALUE "VALUE-"
struct config_values {
    char *text; /* lines */
    bool differ;
};
int config_value(void *context, uint32_t tag, char value[ATTRIBUTE_VALUE_SIZE], int *differs,
                 struct error *err);

/* One template with values. */
void config_template(struct fuzz_input input);

#endif
