/* The ledger: receipts of completed studies, each chained to the one before
 * (docs/decisions/0009-receipt-chain.md). As ledger.h says of its calls. */
#ifndef AURABRIDGE_LEDGER_RECEIPT_H
#define AURABRIDGE_LEDGER_RECEIPT_H

#include "aurabridge/ledger.h"

#define LEDGER_RECEIPT_SIZE 8192 /* of a head, with the NUL */

struct ledger_receipt {
    int64_t number; /* in the chain, from 1 */
    int64_t study_id;
    char head[LEDGER_RECEIPT_SIZE]; /* JSON in one line; the bytes that are hashed */
    char sha256[SHA256_HEX_SIZE];
    bool is_intact; /* this is the head's hash */
};

/* The receipt of a completed study, also when that is forgotten. LEDGER_NOT_FOUND: there is none.
 */
int ledger_receipt(struct ledger *ledger, struct ledger_receipt *out, int64_t study_id,
                   struct error *err);

/* Visits the receipt's instances in its order: one line of JSON each. The head's instances_sha256
 * is the digest of these lines with a line feed after each. Holds no lock during `visit`; a
 * non-zero answer stops and is returned. */
int ledger_receipt_instances(struct ledger *ledger, int64_t study_id,
                             int (*visit)(void *context, const char *line), void *context,
                             struct error *err);

#endif
