/* Housekeeping: one thread that keeps room in the spool. Files of completed studies go after
 * retention.completed, or earlier, oldest first, when space is short; rows after
 * retention.receipts. Nothing is old by a clock that was set just now, or not yet. Deletion is in
 * the reverse order of storing: the ledger says that they are not needed, the files go, the rows
 * go. It also notices when there is room again, and reopens reception. */
#include "bridge_state.h"

#include "aurabridge/log.h"
#include "aurabridge/package.h"
#include "aurabridge/units.h"

#include <inttypes.h>
#include <stdlib.h>

#define SPACE_LOOK_EVERY_MS   1000
#define HOUSEKEEPING_EVERY_MS 60000
#define FILES_AT_ONCE         128
/* A machine that comes up years ahead is told the time within minutes; till then all that is
 * completed would be old. */
#define CLOCK_SETTLES_MS (3600LL * 1000)

struct cleaning {
    struct ledger *ledger;
    struct spool *spool;
    const atomic_bool *stopping; /* may be null */
    struct ledger_file files[FILES_AT_ONCE];
    const char *names[FILES_AT_ONCE];
};

static bool stops(const struct cleaning *cleaning)
{
    return cleaning->stopping && atomic_load(cleaning->stopping);
}

/* For good, before the rows let go of them: of a discarded or forgotten study, a file that came
 * back with the power would be new, and go up. Where the ledger's disk is full, they make room for
 * the very rows that say so. */
static int clean_files(struct cleaning *cleaning, int64_t study_id, struct error *err)
{
    int64_t after_id = 0;
    size_t count;
    do {
        if (ledger_study_files(cleaning->ledger, study_id, after_id, cleaning->files, FILES_AT_ONCE,
                               &count, err) != 0)
            return -1;
        if (count == 0)
            return 0;
        for (size_t i = 0; i < count; i++)
            cleaning->names[i] = cleaning->files[i].name;
        after_id = cleaning->files[count - 1].instance_id;
        if (spool_remove_all(cleaning->spool, cleaning->names, count, err) != 0 ||
            ledger_files_removed(cleaning->ledger, cleaning->files, count, err) != 0)
            return -1;
    } while (!stops(cleaning));
    return 0;
}

static int clean_study(struct ledger *ledger, struct spool *spool, const atomic_bool *stopping,
                       int64_t study_id, struct error *err)
{
    if (package_remove(spool, study_id, err) != 0)
        return -1;
    struct cleaning *cleaning = calloc(1, sizeof *cleaning);
    if (!cleaning)
        return error_set(err, "no memory to remove the files of S%" PRId64, study_id);
    cleaning->ledger = ledger;
    cleaning->spool = spool;
    cleaning->stopping = stopping;
    int failed = clean_files(cleaning, study_id, err);
    free(cleaning);
    return failed;
}

int bridge_clean_study(struct ledger *ledger, struct spool *spool, int64_t study_id,
                       struct error *err)
{
    return clean_study(ledger, spool, NULL, study_id, err);
}

struct housekeeping {
    struct bridge *bridge;
    int64_t due_ms;      /* monotonic clock: when retention is looked at again */
    int64_t complain_ms; /* monotonic clock: not before, or a file that cannot be removed fills the
                          * log while space is short */
};

static void tell_early(struct spool *spool, const struct ledger_to_clean *study)
{
    char size[UNITS_TEXT_SIZE];
    units_format_size(size, study->bytes);
    log_info("housekeeping",
             "S%" PRId64 ": its files (%s) are removed before retention.completed has passed, "
             "since space in the spool %s is short",
             study->id, size, spool_directory(spool));
}

static bool may_complain(struct housekeeping *keeping)
{
    int64_t now = clock_monotonic_ms(keeping->bridge->clock);
    if (now < keeping->complain_ms)
        return false;
    keeping->complain_ms = now + HOUSEKEEPING_EVERY_MS;
    return true;
}

/* What was compressed before it was needed can be made again, or stored. */
static void give_up_ahead(struct housekeeping *keeping, uint64_t wanted)
{
    struct bridge *bridge = keeping->bridge;
    struct error err;
    char size[UNITS_TEXT_SIZE];
    uint64_t given = 0;
    int failed = press_give_back(bridge->press, wanted, &given, &err);
    units_format_size(size, given);
    if (given > 0)
        log_info("housekeeping",
                 "members that were compressed ahead (%s) are removed, since space in the spool %s "
                 "is short",
                 size, spool_directory(bridge->spool));
    if (failed && may_complain(keeping))
        log_error("housekeeping", "members that were compressed ahead stay: %s", err.text);
}

/* Removes copies that nobody needs until `wanted` bytes should have come back: some file systems
 * take their time to say so. One study whose files cannot be removed holds up no other. */
static void make_room(struct housekeeping *keeping, uint64_t wanted)
{
    struct bridge *bridge = keeping->bridge;
    struct ledger_to_clean at = {.id = 0};
    struct error err;
    uint64_t given = 0;
    int found = 0;
    while (given < wanted && !atomic_load(&bridge->stopping) &&
           (found = ledger_next_to_clean(bridge->ledger, &at, INT64_MAX, &err)) == 0) {
        if (clean_study(bridge->ledger, bridge->spool, &bridge->stopping, at.id, &err) == 0) {
            tell_early(bridge->spool, &at);
            given += at.bytes;
        } else if (may_complain(keeping)) {
            log_error("housekeeping", "files of S%" PRId64 " stay: %s", at.id, err.text);
        }
    }
    if (found != 0 && found != LEDGER_NOT_FOUND && may_complain(keeping))
        log_error("housekeeping", "files of completed studies stay: %s", err.text);
    if (given < wanted)
        give_up_ahead(keeping, wanted - given);
}

static void clean_old(struct bridge *bridge, int64_t before_ms)
{
    struct ledger_to_clean at = {.id = 0};
    struct error err;
    int found = 0;
    while (!atomic_load(&bridge->stopping) &&
           (found = ledger_next_to_clean(bridge->ledger, &at, before_ms, &err)) == 0) {
        if (clean_study(bridge->ledger, bridge->spool, &bridge->stopping, at.id, &err) != 0)
            log_error("housekeeping", "files of S%" PRId64 " stay: %s", at.id, err.text);
    }
    if (found != 0 && found != LEDGER_NOT_FOUND)
        log_error("housekeeping", "files of completed studies stay: %s", err.text);
}

static void trim(struct bridge *bridge, int64_t before_ms)
{
    struct error err;
    unsigned removed = 0;
    if (ledger_trim(bridge->ledger, before_ms, &removed, &err) != 0)
        log_error("housekeeping", "old rows stay: %s", err.text);
    else if (removed > 0)
        log_info("housekeeping", "%u finished studies are past retention.receipts and forgotten",
                 removed);
}

/* Whether the clock was left alone for long enough to tell what is so old. */
static bool may_age(int64_t settled_ms, int64_t retention_ms)
{
    return settled_ms >= CLOCK_SETTLES_MS || settled_ms >= retention_ms;
}

static void keep_retention(struct housekeeping *keeping)
{
    struct bridge *bridge = keeping->bridge;
    int64_t monotonic = clock_monotonic_ms(bridge->clock);
    int64_t now = clock_wall_ms(bridge->clock); /* read once: what is trusted is what is used */
    (void)clock_change_seen(&bridge->ageing, now, monotonic);
    if (monotonic < keeping->due_ms)
        return;
    keeping->due_ms = monotonic + HOUSEKEEPING_EVERY_MS;
    int64_t settled = monotonic - bridge->ageing.since_ms;
    struct config *config = bridge_config(bridge);
    if (may_age(settled, config->retention.completed_ms))
        clean_old(bridge, now - config->retention.completed_ms);
    if (may_age(settled, config->retention.receipts_ms))
        trim(bridge, now - config->retention.receipts_ms);
    config_release(config);
}

static void look_once(struct housekeeping *keeping)
{
    struct spool_look look;
    spool_look(keeping->bridge->spool, &look);
    if (look.opened)
        bridge_wake(keeping->bridge);
    if (look.wanted > 0)
        make_room(keeping, look.wanted);
    keep_retention(keeping);
}

void housekeeping_once(struct bridge *bridge)
{
    struct housekeeping keeping = {.bridge = bridge};
    look_once(&keeping);
}

void *housekeeping_run(void *context)
{
    struct bridge *bridge = context;
    struct housekeeping keeping = {.bridge = bridge};
    while (!atomic_load(&bridge->stopping)) {
        look_once(&keeping);
        bridge_pause(bridge, SPACE_LOOK_EVERY_MS);
    }
    return NULL;
}
