/* The AE-title map as it is read: inline or from its file. Whether entries make sense together is
 * the route room's business. */
#include "loaders.h"

#include "aurabridge/log.h"

#include <stdlib.h>
#include <string.h>

#define ENTRIES_MAX 4096

/* A text, a list or a mapping as JSON. What is absent gives null; true and false stay what they
 * are; numbers are texts, as ids with leading zeros are no numbers. Recursion is bounded by
 * YAML_DEPTH_MAX. */
static struct json *context_of(const struct node *node)
{
    if (document_node_is_absent(node))
        return json_new_null();
    if (node->kind == NODE_TEXT) {
        if (node->plain && (strcmp(node->text, "true") == 0 || strcmp(node->text, "false") == 0))
            return json_new_bool(node->text[0] == 't');
        return json_new_string(node->text);
    }
    bool is_list = node->kind == NODE_LIST;
    struct json *all = is_list ? json_new_array() : json_new_object();
    for (size_t i = 0; all && i < node->count; i++) {
        const struct node *child = node->children[i];
        struct json *value = context_of(child);
        if ((is_list ? json_append(all, value) : json_set(all, child->key, value)) != 0) {
            json_free(all);
            return NULL;
        }
    }
    return all;
}

static int read_context(struct config_map_entry *out, const struct node *node, struct error *err)
{
    if (document_node_is_absent(node))
        return 0;
    if (node->kind != NODE_MAPPING)
        return document_node_error(err, node, NULL, "must be a mapping: keys with texts, indented");
    out->context = context_of(node);
    return out->context ? 0 : document_node_error(err, node, NULL, "memory is short");
}

static int check_destination(const struct config *config, const struct config_map_entry *entry,
                             const struct node *node, struct error *err)
{
    if (config_destination(config, entry->destination))
        return 0;
    char known[512] = "";
    for (size_t i = 0; i < config->destination_count; i++) {
        size_t used = strlen(known);
        (void)snprintf(known + used, sizeof known - used, "%s%s", i ? ", " : "",
                       config->destinations[i].name);
    }
    const struct node *name = document_node_get(node, "destination");
    char value[NODE_SHOWN_SIZE];
    return document_node_error(err, name, NULL, "there is no destination \"%s\"; configured: %s",
                               document_node_shown(value, name), known);
}

static int read_entry(struct config_map_entry *out, const struct reading *reading,
                      const struct node *node, struct error *err)
{
    out->quiet_period_ms = -1;
    out->line = node->file ? node->line : 0;
    out->file = strdup(node->file ? node->file : "--set");
    if (!out->file)
        return document_node_error(err, node, NULL, "memory is short");
    if (node->kind != NODE_MAPPING)
        return document_node_error(err, node, NULL,
                                   "must be a mapping with called, destination, context …");
    if (section_read(reading, node, "ae_title_map[].", out, err) != 0 ||
        check_destination(reading->config, out, node, err) != 0)
        return -1;
    return read_context(out, document_node_get(node, "context"), err);
}

static int read_entries(const struct reading *reading, const struct node *node, struct error *err)
{
    struct config *config = reading->config;
    if (node->kind == NODE_LIST ? node->count == 0 : document_node_is_absent(node)) {
        char place[NODE_PLACE_SIZE];
        document_node_place(place, node, NULL);
        log_warning("config", "%s: no entries; every study will be held as unrouted", place);
        return 0;
    }
    if (node->kind != NODE_LIST)
        return document_node_error(err, node, NULL,
                                   "must be a list of entries, each starting with \"- \"");
    if (node->count > ENTRIES_MAX)
        return document_node_error(err, node, NULL, "has more than %d entries", ENTRIES_MAX);
    config->entries = calloc(node->count, sizeof *config->entries);
    if (!config->entries)
        return document_node_error(err, node, NULL, "memory is short");
    for (size_t i = 0; i < node->count; i++) {
        config->entry_count = i + 1;
        if (read_entry(&config->entries[i], reading, node->children[i], err) != 0)
            return -1;
    }
    return 0;
}

static int read_file(const struct reading *reading, const struct node *node, struct error *err)
{
    struct config *config = reading->config;
    if (path_resolve(&config->ae_title_map_path, reading, node, err) != 0)
        return -1;
    struct node *root = NULL;
    struct error detail;
    if (yaml_parse_file(&root, config->ae_title_map_path, &detail) != 0) {
        /* A mistake inside the file names its own place; a file that cannot be read does not. */
        size_t length = strlen(config->ae_title_map_path);
        if (strncmp(detail.text, config->ae_title_map_path, length) == 0)
            return error_set(err, "%s", detail.text);
        return document_node_error(err, node, NULL, "%s", detail.text);
    }
    root->key = strdup("ae_title_map");
    int result = root->key ? read_entries(reading, root, err)
                           : document_node_error(err, node, NULL, "memory is short");
    document_node_free(root);
    return result;
}

int map_load(const struct reading *reading, const struct node *node, struct error *err)
{
    if (node->kind == NODE_TEXT)
        return read_file(reading, node, err);
    reading->config->ae_title_map_path = strdup("");
    if (!reading->config->ae_title_map_path)
        return document_node_error(err, node, NULL, "memory is short");
    return read_entries(reading, node, err);
}
