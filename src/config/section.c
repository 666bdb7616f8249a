/* Reads a mapping by the table: unknown keys are refused with a guess, missing ones get their
 * default, required ones are asked for. */
#include "loaders.h"

#include <stdio.h>
#include <string.h>

#define PREFIX_SIZE 128

static int refuse_unknown(const struct node *mapping, const char *prefix, struct error *err)
{
    for (size_t i = 0; mapping && i < mapping->count; i++) {
        const struct node *child = mapping->children[i];
        if (schema_find(prefix, child->key))
            continue;
        char suggestion[512];
        schema_suggest(suggestion, sizeof suggestion, prefix, child->key);
        return document_node_error(err, child, NULL, "unknown key; %s", suggestion);
    }
    return 0;
}

/* The default is read as if it stood in the document. */
static int read_default(const struct reading *reading, const struct schema_key *key, void *value,
                        struct error *err)
{
    struct node *node = NULL;
    if (!key->fallback)
        return 0;
    if (yaml_parse(&node, NULL, key->fallback, strlen(key->fallback), err) != 0)
        return error_wrap(err, "the default of %s", key->path);
    int result = value_read(reading, key, node, value, err);
    document_node_free(node);
    return result != 0 ? error_wrap(err, "the default of %s", key->path) : 0;
}

static int refuse_missing(const struct node *mapping, const struct schema_key *key,
                          const char *leaf, struct error *err)
{
    if (!mapping)
        return error_set(err, "%s is missing; for example %s", key->path, key->example);
    return document_node_error(err, mapping, leaf, "is missing; for example %s", key->example);
}

static int read_subsection(const struct reading *reading, const struct schema_key *key,
                           const struct node *node, void *target, struct error *err)
{
    char prefix[PREFIX_SIZE];
    (void)snprintf(prefix, sizeof prefix, "%s.", key->path);
    return section_read(reading, node, prefix, target, err);
}

int section_read(const struct reading *reading, const struct node *mapping, const char *prefix,
                 void *target, struct error *err)
{
    if (document_node_is_absent(mapping))
        mapping = NULL;
    else if (mapping->kind != NODE_MAPPING)
        return document_node_error(err, mapping, NULL,
                                   "must be a mapping: keys with values, indented%s",
                                   mapping->kind == NODE_TEXT && strchr(mapping->text, ':')
                                       ? "; a colon needs a space behind it"
                                       : "");
    if (refuse_unknown(mapping, prefix, err) != 0)
        return -1;
    for (size_t i = 0; i < schema_key_count; i++) {
        const struct schema_key *key = &schema_keys[i];
        if (!schema_is_below(key, prefix))
            continue;
        const char *leaf = key->path + strlen(prefix);
        const struct node *node = document_node_get(mapping, leaf);
        void *value = (char *)target + key->offset;
        int result = 0;
        if (key->type == VALUE_SECTION)
            result = read_subsection(reading, key, node, target, err);
        else if (!document_node_is_absent(node))
            result = value_read(reading, key, node, value, err);
        else if (key->required)
            result = refuse_missing(mapping, key, leaf, err);
        else
            result = read_default(reading, key, value, err);
        if (result != 0)
            return -1;
    }
    return 0;
}
