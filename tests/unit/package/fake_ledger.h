/* A ledger that knows the instances of one study, in memory. */
#ifndef AURABRIDGE_TESTS_FAKE_LEDGER_H
#define AURABRIDGE_TESTS_FAKE_LEDGER_H

#include "aurabridge/ledger.h"

#define FAKE_ROWS_MAX 64

struct ledger {
    size_t count;  /* rows */
    size_t repeat; /* not 0: so many instances, all like row 0 but for their UID "1.2.3.<n>" */
    struct ledger_member rows[FAKE_ROWS_MAX];
};

#endif
