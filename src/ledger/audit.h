/* What the two parts of the audit share: the counts, and the receipts' chain. */
#ifndef AURABRIDGE_SRC_LEDGER_AUDIT_H
#define AURABRIDGE_SRC_LEDGER_AUDIT_H

#include "ledger.h"

#include "aurabridge/ledger_audit.h"

struct audit {
    struct database *database;
    struct ledger_audit *out;
    const struct ledger_auditor *auditor;
};

void audit_found(const struct audit *audit, const char *kind, int64_t study_id, const char *format,
                 ...) __attribute__((format(printf, 4, 5)));

/* Whether the auditor wants to stop; then an error that says so. */
int audit_goes_on(const struct audit *audit, struct error *err);

/* audit_chain.c: each receipt for itself, its place in the chain, and its study. */
int audit_chain(struct audit *audit, struct error *err);

#endif
