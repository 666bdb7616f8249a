/* The AE-title map as it is read: inline or from its file. Whether entries make sense together is
 * the route room's business. */
#include "loaders.h"

#include "aurabridge/log.h"

#include <stdio.h>
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

/* {PatientID} without quotes is a mapping to YAML, of a key with nothing behind it. Taken as one it
 * would vanish from the context without a word. */
static int refuse_bare_template(const struct node *node, struct error *err)
{
    char text[128] = "";
    bool is_bare = node->kind == NODE_MAPPING && node->braces && node->count > 0;
    for (size_t i = 0; i < node->count; i++) {
        const struct node *child = node->children[i];
        is_bare = is_bare && child->kind == NODE_TEXT && child->plain && !child->text[0];
        if (is_bare) {
            size_t used = strlen(text);
            (void)snprintf(text + used, sizeof text - used, "%s%s", i ? "," : "", child->key);
        } else if (refuse_bare_template(child, err) != 0) {
            return -1;
        }
    }
    if (!is_bare)
        return 0;
    for (char *at = text; *at; at++)
        *at = (unsigned char)*at < 0x20 || *at == 0x7F ? '?' : *at;
    return document_node_error(err, node, NULL, "{%s} needs quotes: write \"{%s}\"", text, text);
}

static int read_context(struct config_map_entry *out, const struct node *node, struct error *err)
{
    if (document_node_is_absent(node))
        return 0;
    if (node->kind != NODE_MAPPING)
        return document_node_error(err, node, NULL, "must be a mapping: keys with texts, indented");
    if (refuse_bare_template(node, err) != 0)
        return -1;
    out->context = context_of(node);
    return out->context ? 0 : document_node_error(err, node, NULL, "memory is short");
}

static int remember_line(struct config_map_entry *out, const char *key, unsigned line)
{
    size_t size = (out->key_line_count + 1) * sizeof *out->key_lines;
    struct config_key_line *lines = realloc(out->key_lines, size);
    if (!lines)
        return -1;
    out->key_lines = lines;
    char *copy = strdup(key);
    if (!copy)
        return -1;
    lines[out->key_line_count++] = (struct config_key_line){.key = copy, .line = line};
    return 0;
}

/* Of everything below the entry, for mistakes that only the route room sees. Recursion is bounded
 * by YAML_DEPTH_MAX. */
static int remember_lines(struct config_map_entry *out, const struct node *node, const char *path)
{
    for (size_t i = 0; i < node->count; i++) {
        const struct node *child = node->children[i];
        char key[NODE_PATH_SIZE];
        if (child->key)
            (void)snprintf(key, sizeof key, "%s%s%s", path, path[0] ? "." : "", child->key);
        else
            (void)snprintf(key, sizeof key, "%s[%zu]", path, child->index);
        if (remember_line(out, key, child->line) != 0 || remember_lines(out, child, key) != 0)
            return -1;
    }
    return 0;
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
    if (node->file && remember_lines(out, node, "") != 0)
        return document_node_error(err, node, NULL, "memory is short");
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
