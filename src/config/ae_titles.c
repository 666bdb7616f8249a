/* dicom.ae_titles: each entry a plain text or a mapping, one alone is a list of one; no title
 * stands twice. */
#include "loaders.h"

#include <stdlib.h>
#include <string.h>

#define AE_TITLES_MAX 256

/* A plain text is a mapping with only a name. */
static int read_plain(struct config_ae_title *out, const struct reading *reading,
                      const struct node *node, struct error *err)
{
    const struct schema_key *key = schema_find("dicom.ae_titles[].", "name");
    return value_read(reading, key, node, out->name, err);
}

static int read_one(struct config_ae_title *out, const struct reading *reading,
                    const struct node *node, struct error *err)
{
    if (document_node_is_absent(node))
        return document_node_error(err, node, NULL, "is empty; write an AE title");
    if (node->kind == NODE_TEXT)
        return read_plain(out, reading, node, err);
    return section_read(reading, node, "dicom.ae_titles[].", out, err);
}

static const struct node *item_at(const struct node *node, size_t index)
{
    return node->kind == NODE_LIST ? node->children[index] : node;
}

int ae_titles_load(const struct reading *reading, const struct node *node, struct error *err)
{
    struct config *config = reading->config;
    size_t count = node->kind == NODE_LIST ? node->count : 1;
    if (count == 0)
        return document_node_error(err, node, NULL, "must be a list with at least one AE title");
    if (count > AE_TITLES_MAX)
        return document_node_error(err, node, NULL, "has more than %d AE titles", AE_TITLES_MAX);
    config->dicom.ae_titles = calloc(count, sizeof *config->dicom.ae_titles);
    if (!config->dicom.ae_titles)
        return document_node_error(err, node, NULL, "memory is short");
    for (size_t i = 0; i < count; i++) {
        struct config_ae_title *title = &config->dicom.ae_titles[i];
        config->dicom.ae_title_count = i + 1;
        if (read_one(title, reading, item_at(node, i), err) != 0)
            return -1;
        for (size_t j = 0; j < i; j++) {
            if (strcmp(config->dicom.ae_titles[j].name, title->name) == 0)
                return document_node_error(
                    err, item_at(node, i), NULL,
                    "the AE title %s stands twice, also as number %zu; remove one", title->name,
                    j + 1);
        }
    }
    return 0;
}
