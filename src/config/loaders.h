/* How the parts of a configuration are read; the table in schema.c names them. All return 0, or -1
 * with an error that names file, line and key; what they had made belongs to the config also then.
 */
#ifndef AURABRIDGE_CONFIG_LOADERS_H
#define AURABRIDGE_CONFIG_LOADERS_H

#include "schema.h"

/* section.c: checks the keys of a mapping against the table and fills `target`, defaults included.
 * `mapping` may be absent. */
int section_read(const struct reading *reading, const struct node *mapping, const char *prefix,
                 void *target, struct error *err);

/* value.c: checks one value and stores it in `target`, whose old content is released. */
int value_read(const struct reading *reading, const struct schema_key *key, const struct node *node,
               void *target, struct error *err);

/* value.c: the path that a text names, the caller's. Relative ones start at the configuration
 * file's directory, or where --set was given. */
int path_resolve(char **out, const struct reading *reading, const struct node *node,
                 struct error *err);

/* lists.c */
int texts_read(struct config_strings *out, const struct schema_key *key, const struct node *node,
               struct error *err);
int networks_read(struct config_networks *out, const struct node *node, struct error *err);
void texts_free(struct config_strings *texts);

/* upload_limits.c */
int time_read(const struct node *node, int *target, struct error *err);
int days_read(const struct node *node, unsigned *target, struct error *err);

/* secrets.c: reads what env:NAME or file:PATH stands for. Never puts a value into an error. */
int secret_read(char **out, const struct reading *reading, const struct node *node,
                struct error *err);

/* One each per list or mapping of structs. */
int ae_titles_load(const struct reading *reading, const struct node *node, struct error *err);
int upload_limits_load(const struct reading *reading, const struct node *node, struct error *err);
int drop_rules_load(const struct reading *reading, const struct node *node, struct error *err);
int destinations_load(const struct reading *reading, const struct node *node, struct error *err);
int map_load(const struct reading *reading, const struct node *node, struct error *err);

/* overrides.c: puts "key.path=value" texts into the document. */
int overrides_apply(struct node *root, const char *const *overrides, size_t count,
                    struct error *err);

#endif
