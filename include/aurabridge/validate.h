/* The rules a complete study must pass: a table of rules, each a function over the study's
 * instances. Reasons carry no patient data. Thread-safe.
 */
#ifndef AURABRIDGE_VALIDATE_H
#define AURABRIDGE_VALIDATE_H

#include "aurabridge/attribute.h"
#include "aurabridge/config.h"
#include "aurabridge/ledger.h"

enum validate_verdict {
    VALIDATE_PASS,
    VALIDATE_REJECT, /* quarantine, for the reason */
    VALIDATE_NOTHING /* every instance was dropped by rule, or the study is empty */
};

struct validate_result {
    enum validate_verdict verdict;
    char reason[LEDGER_REASON_SIZE];
    char warning[LEDGER_REASON_SIZE]; /* truncated instances and the like; "" when none */
};

/* Applies drop rules (recorded in the ledger), then: at least one instance; one PatientID/issuer,
 * across generations too; UIDs consistent; series in one study only; the entry's `require`d
 * attributes (`entry` null: none). Returns 0 with the verdict, or -1 when the question failed. */
int validate_study(struct validate_result *out, struct ledger *ledger,
                   const struct ledger_study *study, const struct config *config,
                   const struct config_map_entry *entry, const struct attribute_source *source,
                   struct error *err);

#endif
