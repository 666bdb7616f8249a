/* Lists of texts and of networks. One text alone is a list of one. An empty list of patterns or
 * networks would read as "nobody" and mean "anyone", so it is refused. */
#include "loaders.h"

#include <stdlib.h>
#include <string.h>

#define ITEMS_MAX 1024

static size_t item_count(const struct node *node)
{
    return node->kind == NODE_LIST ? node->count : 1;
}

static const struct node *item_at(const struct node *node, size_t index)
{
    return node->kind == NODE_LIST ? node->children[index] : node;
}

static int check_list(const struct node *node, const char *wanted, struct error *err)
{
    if (node->kind == NODE_MAPPING)
        return document_node_error(err, node, NULL, "must be a %s, not a mapping", wanted);
    if (node->kind == NODE_LIST && node->count == 0)
        return document_node_error(err, node, NULL,
                                   "is an empty list; leave the key out for no restriction");
    if (item_count(node) > ITEMS_MAX)
        return document_node_error(err, node, NULL, "has more than %d items", ITEMS_MAX);
    for (size_t i = 0; i < item_count(node); i++) {
        const struct node *item = item_at(node, i);
        if (item->kind != NODE_TEXT || document_node_is_absent(item))
            return document_node_error(err, item, NULL, "must be a text");
    }
    return 0;
}

int texts_read(struct config_strings *out, const struct schema_key *key, const struct node *node,
               struct error *err)
{
    if (check_list(node, key->shape, err) != 0)
        return -1;
    size_t count = item_count(node);
    char **items = calloc(count, sizeof *items);
    if (!items)
        return document_node_error(err, node, NULL, "memory is short");
    struct config_strings texts = {items, 0};
    for (size_t i = 0; i < count; i++) {
        const struct node *item = item_at(node, i);
        const char *why = key->check ? key->check(item->text) : NULL;
        char value[NODE_SHOWN_SIZE];
        int result = why ? document_node_error(err, item, NULL, "\"%s\" is %s",
                                               document_node_shown(value, item), why)
                         : 0;
        if (result == 0 && !(items[i] = strdup(item->text)))
            result = document_node_error(err, item, NULL, "memory is short");
        if (result != 0) {
            texts_free(&texts);
            return -1;
        }
        texts.count++;
    }
    texts_free(out);
    *out = texts;
    return 0;
}

void texts_free(struct config_strings *texts)
{
    for (size_t i = 0; i < texts->count; i++)
        free(texts->items[i]);
    free(texts->items);
    *texts = (struct config_strings){NULL, 0};
}

int networks_read(struct config_networks *out, const struct node *node, struct error *err)
{
    if (check_list(node, "list of addresses and networks", err) != 0)
        return -1;
    size_t count = item_count(node);
    struct network *items = calloc(count, sizeof *items);
    if (!items)
        return document_node_error(err, node, NULL, "memory is short");
    for (size_t i = 0; i < count; i++) {
        const struct node *item = item_at(node, i);
        if (network_parse(&items[i], item->text) == 0)
            continue;
        free(items);
        char value[NODE_SHOWN_SIZE];
        return document_node_error(
            err, item, NULL,
            "\"%s\" is no address or network; e.g. 192.168.1.7 or 10.1.2.0/24, with "
            "zeros behind the prefix",
            document_node_shown(value, item));
    }
    free(out->items);
    *out = (struct config_networks){items, count};
    return 0;
}
