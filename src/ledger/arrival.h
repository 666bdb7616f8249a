/* What becomes of an arrival: decided by reading alone, applied in arrival.c. */
#ifndef AURABRIDGE_LEDGER_ARRIVAL_H
#define AURABRIDGE_LEDGER_ARRIVAL_H

#include "ledger.h"

struct decision {
    enum ledger_arrival_kind kind;
    int64_t study_id; /* where it is counted; 0: in a new generation */
    bool is_receiving;
    bool is_changed;                      /* a version of an instance known already */
    int64_t replaced_id;                  /* instance row, 0: none */
    uint64_t replaced_bytes;              /* of its file */
    bool replaced_is_truncated;           /* it counts among the truncated */
    char replaced_file[STORED_NAME_SIZE]; /* "" when it has none */
    int64_t resent_id;                    /* stored instance row that has the same data set */
    uint64_t resent_bytes;
    uint32_t resent_crc32;
    char resent_file[STORED_NAME_SIZE];
};

int arrival_decide(struct database *database, struct decision *out,
                   const struct ledger_arrival *arrival, struct error *err);

#endif
