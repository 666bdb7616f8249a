/* See the header. */
#include "fake_ledger.h"

#include <stdio.h>

int ledger_members(struct ledger *ledger, int64_t study_id, int64_t after_id,
                   struct ledger_member *members, size_t size, size_t *count, struct error *err)
{
    (void)study_id;
    (void)err;
    size_t rows = ledger->repeat ? ledger->repeat : ledger->count;
    size_t at = (size_t)after_id; /* the n-th row has id n */
    for (*count = 0; *count < size && at < rows; at++) {
        struct ledger_member *member = &members[(*count)++];
        *member = ledger->rows[ledger->repeat ? 0 : at];
        member->id = (int64_t)at + 1;
        if (ledger->repeat)
            (void)snprintf(member->sop_instance_uid, UID_SIZE, "1.2.3.%zu", at + 1);
    }
    return 0;
}
