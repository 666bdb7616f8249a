/* A stop in good order. Guarantees that a start which believes in one finds files and rows as that
 * stop left them: everything was in its place and durable, the ledger is the one of that stop, it
 * was not in use since, and no file came to or went from a study folder. Then nothing has to be
 * compared file by file, however many there are. What a
 * file that stayed holds is for packing to check. */
#include "clean_stop.h"

#include "bridge_state.h"

#include "aurabridge/log.h"

#include <time.h>

/* Times of files are as coarse as the kernel's tick. */
#define TICK_NS 20000000L

/* What changes a folder after this has a later time than the folder has now. */
static void wait_a_tick(void)
{
    const struct timespec tick = {.tv_nsec = TICK_NS};
    (void)nanosleep(&tick, NULL);
}

void clean_stop_mark(struct bridge *bridge)
{
    struct bridge_journal journal;
    uint64_t fingerprint;
    struct error err;
    if (!bridge->is_open || atomic_load(&bridge->leaves_work))
        return;
    bridge_journal(bridge, &journal);
    if (journal.instances > 0)
        return;
    wait_a_tick();
    if (spool_sync(bridge->spool, &err) != 0 ||
        spool_fingerprint(bridge->spool, &fingerprint, &err) != 0 ||
        ledger_set_clean(bridge->ledger, fingerprint, &err) != 0)
        log_info("recovery", "the next start compares all files with the ledger: %s", err.text);
}

int clean_stop_take(bool *was_clean, struct bridge *bridge, struct error *err)
{
    uint64_t fingerprint, marked;
    *was_clean = false;
    if (ledger_clean(bridge->ledger, &marked, err) != 0)
        return -1;
    if (marked == 0)
        return 0;
    /* A folder that cannot be looked at is for the comparison to judge. */
    *was_clean = spool_fingerprint(bridge->spool, &fingerprint, NULL) == 0 && marked == fingerprint;
    return ledger_set_clean(bridge->ledger, 0, err);
}
