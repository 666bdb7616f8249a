/* Which instances are received and never uploaded: DICOMDIR always, the rest by configuration.
 *
 * Guarantees: both conditions of a rule compare exactly. The name it gives holds the rule's own
 * words, nothing of the instance's. Does not change the ledger.
 */
#include "drop.h"

#include <stdio.h>
#include <string.h>

#define MEDIA_STORAGE_DIRECTORY "1.2.840.10008.1.3.10"
#define RAW_DATA                "1.2.840.10008.5.1.4.1.1.66"

static void name_rule(char name[DROP_NAME_SIZE], const struct config_drop_rule *rule)
{
    bool raw = strcmp(rule->sop_class_uid, RAW_DATA) == 0;
    bool any = rule->protocol_name == NULL || rule->protocol_name[0] == '\0';
    (void)snprintf(name, DROP_NAME_SIZE, "%s%.64s%s%.256s", raw ? "raw data" : "SOP class ",
                   raw ? "" : rule->sop_class_uid, any ? "" : " of ",
                   any ? "" : rule->protocol_name);
}

static bool matches(const struct config_drop_rule *rule, const struct ledger_instance *instance)
{
    const char *protocol = attributes_get(&instance->attributes, ATTRIBUTE_PROTOCOL_NAME);
    if (rule->sop_class_uid == NULL ||
        strcmp(rule->sop_class_uid, instance->request.sop_class_uid) != 0)
        return false;
    return rule->protocol_name == NULL || rule->protocol_name[0] == '\0' ||
           strcmp(rule->protocol_name, protocol) == 0;
}

bool drop_applies(const struct config *config, const struct ledger_instance *instance,
                  char name[DROP_NAME_SIZE])
{
    if (strcmp(instance->request.sop_class_uid, MEDIA_STORAGE_DIRECTORY) == 0) {
        (void)snprintf(name, DROP_NAME_SIZE, "DICOMDIR");
        return true;
    }
    for (size_t i = 0; i < config->study.drop_count; i++) {
        if (matches(&config->study.drop[i], instance)) {
            name_rule(name, &config->study.drop[i]);
            return true;
        }
    }
    return false;
}
