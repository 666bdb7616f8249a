/* The AE-title map: which entry takes an instance, judged from the association alone, and the
 * patient context it gives, rendered after validation. Pure functions over an immutable config;
 * thread-safe.
 */
#ifndef AURABRIDGE_ROUTE_H
#define AURABRIDGE_ROUTE_H

#include "aurabridge/attribute.h"
#include "aurabridge/buffer.h"
#include "aurabridge/config.h"
#include "aurabridge/instance.h"
#include "aurabridge/stored_instance.h"

/* For config_load: templates parse, `require` names attributes, no entry is a duplicate of or
 * unreachable behind an earlier one. The error names file, line and key. */
int route_check_entries(const struct config *config, struct error *err);

/* The first entry that matches, or null. Belongs to the config. */
const struct config_map_entry *route_match(const struct config *config,
                                           const struct association *association);

/* The entry's key: a digest of its name, or of its content when it has none. With `entry` null, of
 * the association (an unrouted sender); `association` is not used otherwise. Returns 0, or -1 with
 * `out` "" when memory is short. */
int route_key(char out[ROUTE_KEY_SIZE], const struct config_map_entry *entry,
              const struct association *association);

/* Finds the entry of a key again, e.g. after a reload. Null when it is gone. */
const struct config_map_entry *route_entry_of_key(const struct config *config, const char *key);

/* Renders the entry's context. Keys whose value is empty are left out, and objects left empty by
 * that. `*out` is the caller's (an empty object when there is no context). Attributes whose values
 * differ within the study are named in `warning` (keywords only, no values, each once, as far as
 * they fit). */
int route_context(struct json **out, const struct config_map_entry *entry,
                  const struct association *association, const struct attribute_source *source,
                  struct buffer *warning, struct error *err);

/* Renders the entry's patient_id, Aurabox's own. `*out` is the caller's, a text; null when the
 * entry has none or it comes out empty. `warning` as above; may be the same. */
int route_patient_id(struct json **out, const struct config_map_entry *entry,
                     const struct association *association, const struct attribute_source *source,
                     struct buffer *warning, struct error *err);

/* The tag of a keyword or of "gggg,eeee" (also "(gggg,eeee)"). Returns 0 or -1. */
int route_attribute_tag(uint32_t *tag, const char *name);

#endif
