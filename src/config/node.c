/* The nodes of a document: making, finding, and saying where they stand. */
#include "node.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct node *document_node_new(enum node_kind kind, const char *file, unsigned line)
{
    struct node *node = calloc(1, sizeof *node);
    if (!node)
        return NULL;
    node->kind = kind;
    node->file = file;
    node->line = line;
    return node;
}

/* Recursion is bounded by YAML_DEPTH_MAX. */
void document_node_free(struct node *node)
{
    if (!node)
        return;
    for (size_t i = 0; i < node->count; i++)
        document_node_free(node->children[i]);
    free(node->children);
    free(node->text);
    free(node->key);
    free(node);
}

int document_node_add(struct node *parent, const char *key, struct node *child)
{
    if (parent->count == parent->capacity) {
        size_t capacity = parent->capacity ? parent->capacity * 2 : 8;
        struct node **children = realloc(parent->children, capacity * sizeof *children);
        if (!children)
            return -1;
        parent->children = children;
        parent->capacity = capacity;
    }
    if (key) {
        child->key = strdup(key);
        if (!child->key)
            return -1;
    }
    child->parent = parent;
    parent->children[parent->count++] = child;
    child->index = parent->count;
    return 0;
}

struct node *document_node_get(const struct node *mapping, const char *key)
{
    if (!mapping || mapping->kind != NODE_MAPPING)
        return NULL;
    for (size_t i = 0; i < mapping->count; i++) {
        if (strcmp(mapping->children[i]->key, key) == 0)
            return mapping->children[i];
    }
    return NULL;
}

void document_node_remove(struct node *mapping, const char *key)
{
    for (size_t i = 0; i < mapping->count; i++) {
        if (strcmp(mapping->children[i]->key, key) != 0)
            continue;
        document_node_free(mapping->children[i]);
        memmove(mapping->children + i, mapping->children + i + 1,
                (mapping->count - i - 1) * sizeof *mapping->children);
        mapping->count--;
        return;
    }
}

bool document_node_is_absent(const struct node *node)
{
    static const char *const nothing[] = {"", "~", "null", "Null", "NULL"};
    if (!node)
        return true;
    if (node->kind != NODE_TEXT || !node->plain)
        return false;
    for (size_t i = 0; i < sizeof nothing / sizeof *nothing; i++) {
        if (strcmp(node->text ? node->text : "", nothing[i]) == 0)
            return true;
    }
    return false;
}

static void append_key(char *out, const char *key)
{
    size_t used = strlen(out);
    if (used > 0 && used + 1 < NODE_PATH_SIZE) {
        out[used++] = '.';
        out[used] = '\0';
    }
    for (; *key && used + 1 < NODE_PATH_SIZE; key++)
        out[used++] = (unsigned char)*key < 0x20 || *key == 0x7F ? '?' : *key;
    out[used] = '\0';
}

void document_node_path(char out[NODE_PATH_SIZE], const struct node *node, const char *child)
{
    const struct node *chain[YAML_DEPTH_MAX + 2];
    size_t depth = 0;
    for (; node && depth < sizeof chain / sizeof *chain; node = node->parent)
        chain[depth++] = node;
    out[0] = '\0';
    while (depth > 0) {
        const struct node *at = chain[--depth];
        size_t used = strlen(out);
        if (at->key)
            append_key(out, at->key);
        else if (at->parent)
            (void)snprintf(out + used, NODE_PATH_SIZE - used, "[%zu]", at->index);
    }
    if (child)
        append_key(out, child);
}

void document_node_place(char out[NODE_PLACE_SIZE], const struct node *node, const char *child)
{
    char path[NODE_PATH_SIZE];
    document_node_path(path, node, child);
    const char *between = path[0] ? ": " : "";
    if (node->file)
        (void)snprintf(out, NODE_PLACE_SIZE, "%.700s:%u%s%s", node->file, node->line, between,
                       path);
    else
        (void)snprintf(out, NODE_PLACE_SIZE, "--set %s", path);
}

int document_node_error(struct error *err, const struct node *node, const char *child,
                        const char *format, ...)
{
    char place[NODE_PLACE_SIZE];
    char text[ERROR_TEXT_MAX];
    document_node_place(place, node, child);
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    return error_set(err, "%s: %s", place, text);
}

const char *document_node_shown(char out[NODE_SHOWN_SIZE], const struct node *text)
{
    size_t i = 0;
    for (; text->text[i] && i + 1 < NODE_SHOWN_SIZE; i++) {
        unsigned char byte = (unsigned char)text->text[i];
        out[i] = byte < 0x20 || byte == 0x7F ? '?' : text->text[i];
    }
    out[i] = '\0';
    return out;
}
