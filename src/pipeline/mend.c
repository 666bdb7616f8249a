/* A resend that comes while the file of the first is lost. Guarantees that what is acknowledged as
 * known is on stable storage: the ledger's row alone is not enough for that.
 */
#include "bridge_state.h"

#include "aurabridge/log.h"

#include <inttypes.h>

int mend_by_resend(bool *is_needed, struct bridge *bridge,
                   const struct ledger_arrival_outcome *outcome,
                   const struct ledger_arrival *arrival, struct error *err)
{
    *is_needed = outcome->kind == ARRIVAL_STORED;
    if (outcome->resent_id == 0 ||
        spool_has(bridge->spool, outcome->resent_file, outcome->resent_size))
        return 0;
    /* What is left of it goes first: without a row it would be taken for a version of its own. */
    if (outcome->resent_file[0] && spool_remove(bridge->spool, outcome->resent_file, err) != 0)
        return -1;
    int failed = ledger_file_replaced(bridge->ledger, outcome->resent_id, outcome->resent_file,
                                      arrival, err);
    if (failed == LEDGER_CONFLICT)
        return 0; /* another resend was faster, or a person discarded it */
    if (failed)
        return -1;
    *is_needed = true;
    log_warning("spool",
                "study S%" PRId64 ": instance %s came again and takes the place of its file that "
                "was missing",
                outcome->study_id, arrival->request->sop_instance_uid);
    return 0;
}
