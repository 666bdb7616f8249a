/* Housekeeping: files of completed studies go after retention.completed, rows after
 * retention.receipts. Deletion is in the reverse order of storing: the ledger says that they are
 * not needed, the files go, the rows go. */
#include "bridge_state.h"

#include "aurabridge/log.h"
#include "aurabridge/package.h"

#include <inttypes.h>

struct cleaning {
    struct ledger *ledger;
    struct spool *spool;
    struct error *err;
};

static int clean_instance(void *context, const struct ledger_instance *instance)
{
    struct cleaning *cleaning = context;
    if (!instance->file_name[0])
        return 0;
    /* For good, before the row lets go of it: of a discarded or forgotten study, a file that came
     * back would be new, and go up. */
    if (spool_remove_durably(cleaning->spool, instance->file_name, cleaning->err) != 0)
        return -1;
    return ledger_file_removed(cleaning->ledger, instance->id, cleaning->err);
}

int bridge_clean_study(struct ledger *ledger, struct spool *spool, int64_t study_id,
                       struct error *err)
{
    struct cleaning cleaning = {.ledger = ledger, .spool = spool, .err = err};
    if (package_remove(spool, study_id, err) != 0)
        return -1;
    return ledger_instances(ledger, study_id, -1, clean_instance, &cleaning, err);
}

int64_t housekeeping_run(struct bridge *bridge)
{
    struct config *config = bridge_config(bridge);
    int64_t now = clock_wall_ms(bridge->clock);
    struct error err;
    int64_t id = 0;
    int64_t before = 0;
    int failed = 0;
    while (!failed && !atomic_load(&bridge->stopping) &&
           (failed = ledger_study_to_clean(bridge->ledger, &id,
                                           now - config->retention.completed_ms, &err)) == 0) {
        failed = id == before ? error_set(&err, "it still names files after all were removed")
                              : bridge_clean_study(bridge->ledger, bridge->spool, id, &err);
        before = id;
    }
    if (failed && failed != LEDGER_NOT_FOUND)
        log_error("housekeeping", "files of S%" PRId64 " stay: %s", id, err.text);
    unsigned removed = 0;
    if (ledger_trim(bridge->ledger, now - config->retention.receipts_ms, &removed, &err) != 0)
        log_error("housekeeping", "old rows stay: %s", err.text);
    else if (removed > 0)
        log_info("housekeeping", "%u finished studies are past retention.receipts and forgotten",
                 removed);
    config_release(config);
    return now + HOUSEKEEPING_EVERY_MS;
}
