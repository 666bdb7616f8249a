/* A YAML document as a small tree that remembers where each value stands. Only what a configuration
 * needs: texts, lists and mappings; no anchors, aliases, tags or second documents. Not thread-safe
 * per tree.
 */
#ifndef AURABRIDGE_CONFIG_NODE_H
#define AURABRIDGE_CONFIG_NODE_H

#include "aurabridge/error.h"

#include <stdbool.h>
#include <stddef.h>

#define YAML_FILE_MAX  (1024 * 1024) /* bytes */
#define YAML_DEPTH_MAX 32
#define YAML_NODES_MAX 100000

enum node_kind { NODE_TEXT, NODE_LIST, NODE_MAPPING };

struct node {
    struct node *parent; /* null at the root */
    const char *file;    /* for messages; null when the value came from --set */
    unsigned line;       /* of the key, or of the value where there is none */
    char *key;           /* null in a list and at most roots */
    size_t index;        /* from 1, in a list */
    enum node_kind kind;
    bool plain;  /* a text without quotes: null, true and numbers mean something */
    bool braces; /* a mapping written as {key: value} */
    char *text;
    struct node **children; /* of a list or mapping, in order; owned */
    size_t count, capacity;
};

/* Parse one document. `file` must outlive the tree. `*out` is the caller's; an empty document gives
 * a text without content (node_is_absent). Return 0 or -1; the error names file and line. */
int yaml_parse(struct node **out, const char *file, const char *text, size_t length,
               struct error *err);
int yaml_parse_file(struct node **out, const char *file, struct error *err);

void document_node_free(struct node *node);

/* Makes a node that belongs to nobody yet. Null when memory is short. */
struct node *document_node_new(enum node_kind kind, const char *file, unsigned line);

/* Appends to a list or mapping, which owns the child then; `key` is copied, null in a list. Returns
 * 0, or -1 when memory is short (the child is still the caller's). */
int document_node_add(struct node *parent, const char *key, struct node *child);

/* The value of a key; null when it is not there or `mapping` is null or no mapping. */
struct node *document_node_get(const struct node *mapping, const char *key);

/* Removes and frees the value of a key, if there is one. */
void document_node_remove(struct node *mapping, const char *key);

/* No value was given: null pointer, nothing behind the colon, "~" or "null". */
bool document_node_is_absent(const struct node *node);

/* "dicom.ae_titles[2].name"; control characters become "?", too long a path is cut. */
#define NODE_PATH_SIZE 256
void document_node_path(char out[NODE_PATH_SIZE], const struct node *node, const char *child);

/* "etc/aurabridge.yaml:12: dicom.max_pdu: " or "--set dicom.max_pdu: ", then the text. `child`
 * names a key below `node` (for one that is missing), or is null. Returns -1. */
int document_node_error(struct error *err, const struct node *node, const char *child,
                        const char *format, ...) __attribute__((format(printf, 4, 5)));

/* The same place without a text of its own, to put before a warning. */
#define NODE_PLACE_SIZE 1024
void document_node_place(char out[NODE_PLACE_SIZE], const struct node *node, const char *child);

/* A text for an error line: cut, without control characters. Returns `out`. */
#define NODE_SHOWN_SIZE 64
const char *document_node_shown(char out[NODE_SHOWN_SIZE], const struct node *text);

#endif
