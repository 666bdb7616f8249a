/* The bridge: opens what the stages stand on, owns the threads, and hands the config around. It
 * decides nothing about studies; assembler.c and delivery.c do. */
#include "bridge_state.h"

#include "clean_stop.h"

#include "delivery.h"
#include "kept_entry.h"

#include "aurabridge/fs.h"
#include "aurabridge/log.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* However long nothing is due, time may have been set meanwhile: look again. */
#define LONGEST_WAIT_MS 30000

#define JOURNAL_SEGMENTS 16
#define JOURNAL_PLACE    "journal" /* in the spool */

static int init_waiting(struct bridge *bridge)
{
    pthread_condattr_t attributes;
    if (pthread_condattr_init(&attributes) != 0)
        return -1;
    (void)pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    int failed = pthread_cond_init(&bridge->due_changed, &attributes);
    pthread_condattr_destroy(&attributes);
    pthread_mutex_init(&bridge->due_lock, NULL);
    pthread_mutex_init(&bridge->config_lock, NULL);
    pthread_mutex_init(&bridge->deliveries_lock, NULL);
    pthread_mutex_init(&bridge->audit_lock, NULL);
    receptions_init(&bridge->receptions);
    bandwidth_init(&bridge->bandwidth, bridge->clock);
    return failed ? -1 : 0;
}

static int open_journal(struct journal **out, const struct config *config, struct bridge *bridge,
                        struct error *err)
{
    char path[FS_PATH_MAX];
    if (fs_join(path, config->spool.directory, JOURNAL_PLACE, err) != 0)
        return -1;
    const struct journal_options options = {
        .directory = path,
        .segment_size = config->spool.journal / JOURNAL_SEGMENTS / 4096 * 4096,
        .segments = JOURNAL_SEGMENTS,
        .make_room = settle_make_room,
        .context = bridge,
    };
    return journal_open(out, &options, err);
}

static int count_place(void *context, const struct journal_place *place)
{
    (void)place;
    ++*(uint64_t *)context;
    return 0;
}

int bridge_count_unsettled(uint64_t *out, const struct config *config, struct ledger *ledger,
                           struct error *err)
{
    struct journal *journal = NULL;
    uint64_t settled = 0;
    char path[FS_PATH_MAX];
    *out = 0;
    if (fs_join(path, config->spool.directory, JOURNAL_PLACE, err) != 0)
        return -1;
    if (access(path, F_OK) != 0 && errno == ENOENT)
        return 0; /* from before there was one: it is not for this to make it */
    int failed = ledger_settled(ledger, &settled, err);
    if (!failed)
        failed = open_journal(&journal, config, NULL, err);
    if (!failed)
        failed = journal_replay(journal, settled, count_place, out, err);
    journal_close(journal);
    return failed;
}

static int open_stores(struct bridge *bridge, struct error *err)
{
    const struct config *config = bridge->config;
    if (spool_open(&bridge->spool, config->spool.directory, config->spool.reserve, err) != 0 ||
        settler_new(&bridge->settler, err) != 0 ||
        open_journal(&bridge->journal, bridge->config, bridge, err) != 0 ||
        press_new(&bridge->press, bridge->spool, err) != 0 ||
        packer_new(&bridge->packer, bridge, err) != 0)
        return -1;
    char path[FS_PATH_MAX];
    if (fs_join(path, config->spool.directory, "ledger.sqlite", err) != 0 ||
        ledger_open(&bridge->ledger, path, bridge->clock, err) != 0 ||
        study_holds_new(&bridge->holds, err) != 0 ||
        kept_entries_save(bridge->spool, config, err) != 0 ||
        bandwidth_follow(&bridge->bandwidth, config->upload.limits, config->upload.limit_count,
                         err) != 0)
        return -1;
    if (recovery_run(bridge, err) != 0)
        return -1;
    bridge->is_open = true;
    return 0;
}

int bridge_open(struct bridge **out, struct config *config, const struct clock *clock,
                struct error *err)
{
    *out = NULL;
    struct bridge *bridge = calloc(1, sizeof *bridge);
    if (!bridge)
        return error_set(err, "no memory for the bridge");
    bridge->clock = clock;
    bridge->config = config_retain(config);
    if (init_waiting(bridge) != 0) {
        config_release(bridge->config);
        free(bridge);
        return error_set(err, "the system refuses a condition variable");
    }
    atomic_store(&bridge->reroute_due, true); /* the map may have changed while nobody ran */
    (void)clock_change_seen(&bridge->ageing, clock_wall_ms(clock), clock_monotonic_ms(clock));
    reception_init(bridge);
    if (open_stores(bridge, err) != 0) {
        bridge_free(bridge);
        return -1;
    }
    *out = bridge;
    return 0;
}

const struct instance_sink *bridge_sink(struct bridge *bridge)
{
    return &bridge->sink;
}

bool bridge_may_accept(void *context, struct error *why_not)
{
    struct bridge *bridge = context;
    return spool_admit(bridge->spool, why_not) == 0 &&
           journal_is_sound(bridge->journal, why_not) == 0 &&
           ledger_is_sound(bridge->ledger, why_not) == 0;
}

bool bridge_is_closed(struct bridge *bridge, struct error *why)
{
    return spool_is_closed(bridge->spool, why) || journal_is_sound(bridge->journal, why) != 0 ||
           ledger_is_sound(bridge->ledger, why) != 0;
}

struct ledger *bridge_ledger(struct bridge *bridge)
{
    return bridge->ledger;
}

struct spool *bridge_spool(struct bridge *bridge)
{
    return bridge->spool;
}

struct config *bridge_config(struct bridge *bridge)
{
    pthread_mutex_lock(&bridge->config_lock);
    struct config *config = config_retain(bridge->config);
    pthread_mutex_unlock(&bridge->config_lock);
    return config;
}

void bridge_wake(struct bridge *bridge)
{
    pthread_mutex_lock(&bridge->due_lock);
    bridge->due_count++;
    pthread_cond_broadcast(&bridge->due_changed);
    pthread_mutex_unlock(&bridge->due_lock);
}

static struct timespec deadline_in(int64_t ms)
{
    struct timespec at;
    (void)clock_gettime(CLOCK_MONOTONIC, &at);
    at.tv_sec += (time_t)(ms / 1000);
    at.tv_nsec += (long)(ms % 1000) * 1000000;
    if (at.tv_nsec >= 1000000000) {
        at.tv_sec++;
        at.tv_nsec -= 1000000000;
    }
    return at;
}

void bridge_wait(struct bridge *bridge, uint64_t *seen, int64_t until_ms)
{
    int64_t now = clock_wall_ms(bridge->clock);
    int64_t wait = until_ms <= now                    ? 0
                   : until_ms - now > LONGEST_WAIT_MS ? LONGEST_WAIT_MS
                                                      : until_ms - now;
    struct timespec deadline = deadline_in(wait);
    pthread_mutex_lock(&bridge->due_lock);
    while (bridge->due_count == *seen && !atomic_load(&bridge->stopping)) {
        if (pthread_cond_timedwait(&bridge->due_changed, &bridge->due_lock, &deadline) != 0)
            break;
    }
    *seen = bridge->due_count;
    pthread_mutex_unlock(&bridge->due_lock);
}

bool bridge_pause_unless(struct bridge *bridge, int64_t ms, bool (*ends)(void *context),
                         void *context)
{
    int64_t until = clock_monotonic_ms(bridge->clock) + ms;
    uint64_t seen = 0;
    while (!ends(context)) {
        int64_t left = until - clock_monotonic_ms(bridge->clock);
        if (left <= 0)
            return true;
        bridge_wait(bridge, &seen, clock_wall_ms(bridge->clock) + left);
    }
    return false;
}

static bool stops(void *context)
{
    struct bridge *bridge = context;
    return atomic_load(&bridge->stopping);
}

void bridge_pause(struct bridge *bridge, int64_t ms)
{
    (void)bridge_pause_unless(bridge, ms, stops, bridge);
}

bool bridge_met_full_ledger(struct bridge *bridge, int failure)
{
    if (failure != LEDGER_FULL)
        return false;
    spool_refused(bridge->spool, "the ledger cannot grow");
    return true;
}

int bridge_start(struct bridge *bridge, struct error *err)
{
    if (deliveries_follow(bridge, bridge->config, err) != 0)
        return -1;
    int refused = pthread_create(&bridge->settling, NULL, settle_run, bridge);
    if (refused)
        return error_errno(err, refused, "starting the thread that settles the journal");
    bridge->settling_runs = true;
    refused = pthread_create(&bridge->assembler, NULL, assembler_run, bridge);
    if (refused)
        return error_errno(err, refused, "starting the assembler's thread");
    bridge->assembler_runs = true;
    refused = pthread_create(&bridge->housekeeper, NULL, housekeeping_run, bridge);
    if (refused)
        return error_errno(err, refused, "starting the housekeeper's thread");
    bridge->housekeeper_runs = true;
    return packer_start(bridge->packer, err);
}

int bridge_reconfigure(struct bridge *bridge, struct config *config, struct error *err)
{
    if (kept_entries_save(bridge->spool, config, err) != 0 ||
        deliveries_follow(bridge, config, err) != 0 ||
        bandwidth_follow(&bridge->bandwidth, config->upload.limits, config->upload.limit_count,
                         err) != 0)
        return -1;
    spool_set_reserve(bridge->spool, config->spool.reserve);
    pthread_mutex_lock(&bridge->config_lock);
    struct config *before = bridge->config;
    bridge->config = config_retain(config);
    pthread_mutex_unlock(&bridge->config_lock);
    config_release(before);
    atomic_store(&bridge->reroute_due, true);
    bridge_hurry(bridge, NULL);
    return 0;
}

void bridge_hurry(struct bridge *bridge, const char *destination)
{
    pthread_mutex_lock(&bridge->deliveries_lock);
    deliveries_hurry(bridge->deliveries, destination);
    pthread_mutex_unlock(&bridge->deliveries_lock);
    bridge_wake(bridge);
}

void bridge_interrupt(struct bridge *bridge, int64_t study_id)
{
    pthread_mutex_lock(&bridge->deliveries_lock);
    deliveries_interrupt(bridge->deliveries, study_id);
    pthread_mutex_unlock(&bridge->deliveries_lock);
    bridge_wake(bridge);
}

void bridge_destination_pause(struct bridge *bridge, const char *destination,
                              char reason[LEDGER_REASON_SIZE], int64_t *until_ms)
{
    pthread_mutex_lock(&bridge->deliveries_lock);
    deliveries_pause_of(bridge->deliveries, destination, reason, until_ms);
    pthread_mutex_unlock(&bridge->deliveries_lock);
}

void bridge_stop(struct bridge *bridge)
{
    struct error err;
    atomic_store(&bridge->stopping, true);
    bridge_wake(bridge);
    if (bridge->settling_runs) {
        journal_wake(bridge->journal);
        pthread_join(bridge->settling, NULL);
        bridge->settling_runs = false;
    }
    if (bridge_settle(bridge, &err) != 0)
        log_warning("reception", "what the journal holds is left to the next start: %s", err.text);
    if (bridge->assembler_runs) {
        pthread_join(bridge->assembler, NULL);
        bridge->assembler_runs = false;
    }
    if (bridge->housekeeper_runs) {
        pthread_join(bridge->housekeeper, NULL);
        bridge->housekeeper_runs = false;
    }
    packer_stop(bridge->packer);
    deliveries_stop(bridge);
}

void bridge_free(struct bridge *bridge)
{
    if (!bridge)
        return;
    clean_stop_mark(bridge);
    packer_free(bridge->packer);
    press_free(bridge->press);
    study_holds_free(bridge->holds);
    ledger_close(bridge->ledger);
    journal_close(bridge->journal);
    settler_free(bridge->settler);
    spool_close(bridge->spool);
    config_release(bridge->config);
    receptions_destroy(&bridge->receptions);
    bandwidth_destroy(&bridge->bandwidth);
    pthread_mutex_destroy(&bridge->audit_lock);
    pthread_mutex_destroy(&bridge->deliveries_lock);
    pthread_mutex_destroy(&bridge->config_lock);
    pthread_mutex_destroy(&bridge->due_lock);
    pthread_cond_destroy(&bridge->due_changed);
    free(bridge);
}
