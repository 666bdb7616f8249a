/* study.drop: which instances are received, but never uploaded. */
#include "loaders.h"

#include <stdlib.h>

#define DROP_RULES_MAX 256

int drop_rules_load(const struct reading *reading, const struct node *node, struct error *err)
{
    struct config *config = reading->config;
    if (node->kind != NODE_LIST)
        return document_node_error(err, node, NULL,
                                   "must be a list of {sop_class_uid, protocol_name}");
    if (node->count > DROP_RULES_MAX)
        return document_node_error(err, node, NULL, "has more than %d rules", DROP_RULES_MAX);
    if (node->count == 0)
        return 0;
    config->study.drop = calloc(node->count, sizeof *config->study.drop);
    if (!config->study.drop)
        return document_node_error(err, node, NULL, "memory is short");
    for (size_t i = 0; i < node->count; i++) {
        const struct node *rule = node->children[i];
        config->study.drop_count = i + 1;
        if (rule->kind != NODE_MAPPING)
            return document_node_error(err, rule, NULL,
                                       "must be a mapping {sop_class_uid, protocol_name}");
        if (section_read(reading, rule, "study.drop[].", &config->study.drop[i], err) != 0)
            return -1;
    }
    return 0;
}
