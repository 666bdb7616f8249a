/* See the header. */
#include "fake_ledger.h"

#include <stdio.h>

int ledger_instances(struct ledger *ledger, int64_t study_id, int disposition,
                     int (*visit)(void *context, const struct ledger_instance *instance),
                     void *context, struct error *err)
{
    (void)study_id;
    (void)err;
    size_t count = ledger->repeat ? ledger->repeat : ledger->count;
    for (size_t i = 0; i < count; i++) {
        struct ledger_instance *row = &ledger->rows[ledger->repeat ? 0 : i];
        if (ledger->repeat)
            (void)snprintf(row->request.sop_instance_uid, UID_SIZE, "1.2.3.%zu", i + 1);
        if (disposition != -1 && row->disposition != (enum ledger_disposition)disposition)
            continue;
        int answer = visit(context, row);
        if (answer != 0)
            return answer;
    }
    return 0;
}
