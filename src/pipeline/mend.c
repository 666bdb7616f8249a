/* A row whose file is missing or damaged, and the same data set that has come again. Guarantees
 * that what is acknowledged as known is on stable storage: the ledger's row alone is not enough for
 * that.
 */
#include "bridge_state.h"

#include "aurabridge/log.h"
#include "aurabridge/package.h"

#include <inttypes.h>

int mend_row(struct bridge *bridge, const struct mended_row *row,
             const struct ledger_arrival *arrival, struct error *err)
{
    const char *const lost[] = {row->lost};
    const char *sop_instance_uid = arrival->request->sop_instance_uid;
    /* A layout names the old file. Without it the archive is laid out anew, to the same bytes. */
    if (package_remove(bridge->spool, row->study_id, err) != 0)
        return -1;
    /* For good, and before the row lets go of it: what is left of it would be taken for a version
     * of its own at the next start. In a damaged ledger a row may name another instance's. */
    if (spool_name_is_of(row->lost, sop_instance_uid) &&
        spool_remove_all(bridge->spool, lost, 1, err) != 0)
        return -1;
    int failed = ledger_file_replaced(bridge->ledger, row->instance_id, row->lost, arrival, err);
    if (!failed)
        log_warning("spool",
                    "study S%" PRId64 ": instance %s is there again and takes the place of its "
                    "file, which was missing or damaged",
                    row->study_id, sop_instance_uid);
    return failed;
}

/* Who sends again may do so because the file is damaged: its name and its size do not tell. Returns
 * as spool_check_file. */
static int check_resent(const struct spool *spool, const struct ledger_arrival_outcome *outcome,
                        const struct ledger_arrival *arrival, struct error *err)
{
    /* In a damaged ledger a row may name another instance's. */
    if (!spool_has_instance(spool, outcome->resent_file, outcome->resent_size,
                            arrival->request->sop_instance_uid))
        return SPOOL_GONE;
    return spool_check_file(spool, outcome->resent_file, outcome->resent_size,
                            outcome->resent_crc32, err);
}

int mend_by_resend(bool *is_needed, struct bridge *bridge,
                   const struct ledger_arrival_outcome *outcome,
                   const struct ledger_arrival *arrival, struct error *err)
{
    *is_needed = outcome->kind == ARRIVAL_STORED;
    if (outcome->resent_id == 0)
        return 0;
    int checked = check_resent(bridge->spool, outcome, arrival, err);
    if (checked != SPOOL_GONE)
        return checked;
    const struct mended_row row = {.study_id = outcome->study_id,
                                   .instance_id = outcome->resent_id,
                                   .lost = outcome->resent_file};
    int failed = mend_row(bridge, &row, arrival, err);
    *is_needed |= failed == 0;
    /* Another resend was faster, or a person discarded it. */
    return failed == LEDGER_CONFLICT ? 0 : failed;
}
