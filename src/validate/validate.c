/* Lets a complete study's instances pass by the drop rules and the table of rules.
 *
 * Guarantees: instances are looked at one at a time; what is dropped is recorded before the rules
 * see the study, so that validating twice answers the same. A released study still loses what the
 * drop rules name and still needs one instance. Does not change the study's state.
 */
#include "aurabridge/validate.h"

#include "drop.h"
#include "rules.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct pass {
    struct check check;
    const struct config *config;
    uint64_t dropped;
    char dropped_by[DROP_NAME_SIZE]; /* the first */
    bool dropped_by_several;
};

/* ---- the instances pass by ---- */

static int look_at(struct pass *pass, const struct ledger_instance *instance)
{
    pass->check.instances++;
    for (size_t i = 0; i < validate_rule_count; i++)
        if (validate_rules[i].look != NULL && validate_rules[i].look(&pass->check, instance) != 0)
            return -1;
    return 0;
}

static int visit_stored(void *context, const struct ledger_instance *instance)
{
    struct pass *pass = context;
    char name[DROP_NAME_SIZE];
    if (!drop_applies(pass->config, instance, name))
        return look_at(pass, instance);
    char reason[DROP_NAME_SIZE + 32];
    (void)snprintf(reason, sizeof reason, "dropped by rule: %s", name);
    return ledger_instance_drop(pass->check.ledger, instance->id, reason, pass->check.err);
}

/* ---- nothing is left ---- */

static int visit_dropped(void *context, const struct ledger_instance *instance)
{
    struct pass *pass = context;
    char name[DROP_NAME_SIZE];
    pass->dropped++;
    if (!drop_applies(pass->config, instance, name))
        return 0; /* the rule was there when it was dropped, and is no more */
    if (pass->dropped_by[0] == '\0')
        (void)snprintf(pass->dropped_by, sizeof pass->dropped_by, "%s", name);
    else if (strcmp(pass->dropped_by, name) != 0)
        pass->dropped_by_several = true;
    return 0;
}

static int explain_nothing(struct pass *pass, char *reason, size_t size)
{
    const struct check *check = &pass->check;
    if (ledger_instances(check->ledger, check->study->id, INSTANCE_DROPPED, visit_dropped, pass,
                         check->err) != 0)
        return -1;
    if (pass->dropped == 0)
        (void)snprintf(reason, size, "the study holds no instance to upload");
    else if (pass->dropped == 1)
        (void)snprintf(reason, size, "its only instance was dropped by rule%s%s",
                       pass->dropped_by[0] != '\0' ? ": " : "", pass->dropped_by);
    else
        (void)snprintf(reason, size, "all %" PRIu64 " instances were dropped by rule%s%s%s",
                       pass->dropped, pass->dropped_by[0] != '\0' ? ": " : "", pass->dropped_by,
                       pass->dropped_by_several ? " and others" : "");
    return 0;
}

/* ---- the verdict ---- */

static int conclude(struct pass *pass, char *reason, size_t size)
{
    for (size_t i = 0; i < validate_rule_count; i++) {
        char text[LEDGER_REASON_SIZE] = "";
        size_t used = strlen(reason);
        if (validate_rules[i].conclude == NULL)
            continue;
        if (validate_rules[i].conclude(&pass->check, text, sizeof text) != 0)
            return error_wrap(pass->check.err, "rule \"%s\"", validate_rules[i].name);
        if (text[0] != '\0')
            (void)snprintf(reason + used, size - used, "%s%s", used > 0 ? "; also " : "", text);
    }
    return 0;
}

static int judge(struct pass *pass, struct validate_result *out)
{
    if (pass->check.instances == 0) {
        out->verdict = VALIDATE_NOTHING;
        return explain_nothing(pass, out->reason, sizeof out->reason);
    }
    validate_warn(&pass->check, out->warning, sizeof out->warning);
    if (pass->check.study->released)
        return 0;
    if (conclude(pass, out->reason, sizeof out->reason) != 0)
        return -1;
    if (out->reason[0] != '\0')
        out->verdict = VALIDATE_REJECT;
    return 0;
}

int validate_study(struct validate_result *out, struct ledger *ledger,
                   const struct ledger_study *study, const struct config *config,
                   const struct config_map_entry *entry, const struct attribute_source *source,
                   struct error *err)
{
    *out = (struct validate_result){.verdict = VALIDATE_PASS};
    struct pass *pass = calloc(1, sizeof *pass);
    if (pass == NULL)
        return error_set(err, "validating study S%" PRId64 ": out of memory", study->id);
    pass->config = config;
    pass->check = (struct check){
        .ledger = ledger, .study = study, .entry = entry, .source = source, .err = err};
    int result = ledger_instances(ledger, study->id, INSTANCE_STORED, visit_stored, pass, err);
    if (result == 0)
        result = judge(pass, out);
    free(pass);
    if (result != 0)
        return error_wrap(err, "validating study S%" PRId64, study->id);
    return 0;
}
