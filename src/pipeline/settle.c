/* Settling: what the journal holds gets its files in study folders and its rows in the ledger, in
 * bulk. Guarantees that the journal lets go of an instance only when both are on stable storage,
 * files first; that a crash in between repeats nothing that was recorded; and that whoever asks for
 * what was acknowledged so far can have it settled first. One settles at a time. */
#include "bridge_state.h"

#include "aurabridge/log.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define BATCH 64

/* Bulk is cheap, and so is a disk that others are not waiting for: an instance waits until nobody
 * sends for a moment, but not long. */
#define QUIET_MS       50
#define PATIENCE_MS    1000
#define GIVE_WAY_MS    2
#define FAULT_DELAY_MS 5000

struct settler {
    atomic_uint waiting;  /* who wants the lock to have something settled */
    pthread_mutex_t lock; /* guards the rest */
    struct journal_record record;
    size_t count;
    struct journal_place places[BATCH];
    struct ledger_arrival_outcome outcomes[BATCH];
    int results[BATCH];
};

int settler_new(struct settler **out, struct error *err)
{
    struct settler *settler = calloc(1, sizeof *settler);
    *out = settler;
    if (!settler)
        return error_set(err, "no memory to settle the journal");
    pthread_mutex_init(&settler->lock, NULL);
    return 0;
}

void settler_free(struct settler *settler)
{
    if (!settler)
        return;
    pthread_mutex_destroy(&settler->lock);
    free(settler);
}

/* ---- one batch ---- */

static int read_arrival(void *context, size_t index, struct ledger_arrival *out, struct error *err)
{
    struct bridge *bridge = context;
    struct settler *settler = bridge->settler;
    const struct journal_entry *entry = &settler->record.entry;
    if (journal_read(bridge->journal, &settler->record, &settler->places[index], err) != 0)
        return -1;
    *out = (struct ledger_arrival){
        .route_key = entry->route_key,
        .entry_name = entry->entry_name,
        .destination = entry->destination,
        .association = entry->association,
        .request = entry->request,
        .study_instance_uid = entry->study_instance_uid,
        .series_instance_uid = entry->series_instance_uid,
        .instance = entry->stored,
        .file_name = entry->file_name,
        .received_ms = entry->received_ms,
        .quiet_period_ms = entry->quiet_period_ms,
        .max_wait_ms = entry->max_wait_ms,
        .changed_duplicate = (enum changed_duplicate)entry->changed_duplicate,
        .priority = (enum study_priority)entry->priority,
    };
    return 0;
}

static int place_file(struct bridge *bridge, const struct journal_place *place, bool *is_whole,
                      struct error *err)
{
    struct journal_record *record = &bridge->settler->record;
    uint32_t crc32 = 0;
    if (journal_read(bridge->journal, record, place, err) != 0)
        return -1;
    int failed = spool_place(bridge->spool, bridge->journal, record, &crc32, err);
    *is_whole = crc32 == record->stored.file_crc32;
    return failed;
}

/* One damaged instance must not keep all others in the journal: its row is recorded, and who
 * packs it finds that its file is missing or not what was received. */
static void tell_damage(struct bridge *bridge, const struct error *gone)
{
    atomic_store(&bridge->leaves_work, true);
    log_error("reception",
              "instance %s is acknowledged, and what is on the disk of it is not what was received "
              "(%s): the disk or the memory of this machine is damaged; its study is held, have it "
              "sent again",
              bridge->settler->record.request.sop_instance_uid,
              gone ? gone->text : "the CRC-32 differs");
}

static int place_files(struct bridge *bridge, struct error *err)
{
    struct settler *settler = bridge->settler;
    for (size_t i = 0; i < settler->count; i++) {
        bool is_whole = false;
        int failed = place_file(bridge, &settler->places[i], &is_whole, err);
        if (failed && failed != SPOOL_GONE)
            return failed;
        if (failed || !is_whole)
            tell_damage(bridge, failed ? err : NULL);
    }
    return spool_sync(bridge->spool, err);
}

static void remove_unneeded(struct bridge *bridge, const char *what, const char *file_name)
{
    struct error err;
    /* The row decides; a file that no row names is removed now, or by recovery. */
    if (spool_remove(bridge->spool, file_name, &err) == 0)
        return;
    atomic_store(&bridge->leaves_work, true);
    log_warning("reception", "a %s file stays until the next start: %s", what, err.text);
}

/* What follows from a row. The files that have to go, and who holds the study. */
static void follow_up(struct bridge *bridge, const struct ledger_arrival *arrival,
                      const struct ledger_arrival_outcome *outcome)
{
    struct error err;
    bool is_needed = true;
    if (mend_by_resend(&is_needed, bridge, outcome, arrival, &err) != 0) {
        log_error(
            "reception",
            "instance %s came again, and whether its row needs the new file shows at the next "
            "start: %s",
            arrival->request->sop_instance_uid, err.text);
        atomic_store(&bridge->leaves_work, true);
        is_needed = true;
    }
    if (!is_needed)
        remove_unneeded(bridge, "resent", arrival->file_name);
    if (outcome->superseded_file[0])
        remove_unneeded(bridge, "superseded", outcome->superseded_file);
    int64_t left = study_holds_delivered(bridge->holds, arrival->association->id, outcome->study_id,
                                         clock_monotonic_ms(bridge->clock));
    if (left != 0)
        assembler_unhold(bridge, left);
    if (outcome->study_opened)
        bridge_wake(bridge);
}

/* The batch that stands in the settler. */
static int settle_batch(struct bridge *bridge, uint64_t through, struct error *err)
{
    struct settler *settler = bridge->settler;
    const struct ledger_arrivals arrivals = {.count = settler->count,
                                             .arrival = read_arrival,
                                             .context = bridge,
                                             .settled = through,
                                             .outcomes = settler->outcomes,
                                             .results = settler->results};
    unsigned phase = receptions_enter(&bridge->receptions);
    int failed = place_files(bridge, err);
    if (!failed) {
        failed = ledger_instances_received(bridge->ledger, &arrivals, err);
        (void)bridge_met_full_ledger(bridge, failed);
    }
    for (size_t i = 0; !failed && i < settler->count; i++) {
        struct ledger_arrival arrival;
        struct error why;
        if (settler->results[i] == 0 && read_arrival(bridge, i, &arrival, &why) == 0)
            follow_up(bridge, &arrival, &settler->outcomes[i]);
        else
            atomic_store(&bridge->leaves_work, true); /* a file without a row, or too many */
    }
    receptions_leave(&bridge->receptions, phase);
    if (!failed)
        packer_notice(bridge->packer);
    return failed ? -1 : 0;
}

/* ---- while the bridge runs ---- */

/* Returns 0, or -1 when what is there could not be settled; `*any` says whether there was some. */
static int settle_some(struct bridge *bridge, bool *any, struct error *err)
{
    struct settler *settler = bridge->settler;
    uint64_t through = 0;
    atomic_fetch_add(&settler->waiting, 1);
    pthread_mutex_lock(&settler->lock);
    atomic_fetch_sub(&settler->waiting, 1);
    (void)journal_due(bridge->journal, settler->places, BATCH, &settler->count, &through);
    *any = settler->count > 0;
    int failed = *any ? settle_batch(bridge, through, err) : 0;
    if (*any && !failed)
        journal_settle(bridge->journal, through);
    pthread_mutex_unlock(&settler->lock);
    return failed;
}

int settle_make_room(void *context, struct error *err)
{
    bool any;
    return settle_some(context, &any, err);
}

int bridge_settle(struct bridge *bridge, struct error *err)
{
    struct journal_backlog backlog;
    journal_backlog(bridge->journal, &backlog);
    uint64_t wanted = backlog.last;
    journal_await(bridge->journal, backlog.last);
    bool any = true;
    while (any && backlog.settled < wanted) {
        if (settle_some(bridge, &any, err) != 0)
            return -1;
        journal_backlog(bridge->journal, &backlog);
    }
    return 0;
}

void bridge_journal(struct bridge *bridge, struct bridge_journal *out)
{
    struct journal_backlog backlog;
    journal_backlog(bridge->journal, &backlog);
    *out = (struct bridge_journal){
        .instances = backlog.instances, .bytes = backlog.bytes, .capacity = backlog.capacity};
}

/* How long what is there may still wait; 0: it is due. */
static int64_t patience(const struct journal_backlog *backlog, int64_t now)
{
    int64_t quiet = backlog->newest_ms + QUIET_MS - now;
    int64_t left = backlog->oldest_ms + PATIENCE_MS - now;
    int64_t wait = quiet < left ? quiet : left;
    return backlog->bytes > backlog->capacity / 2 || wait < 0 ? 0 : wait;
}

/* Each reason once, and its end. */
static void tell(struct error *told, const struct error *err)
{
    if (strcmp(told->text, err->text) == 0)
        return;
    if (err->text[0])
        log_error("reception", "what was acknowledged stays in the journal for now: %s", err->text);
    else
        log_info("reception", "what was acknowledged leaves the journal again");
    *told = *err;
}

void *settle_run(void *context)
{
    struct bridge *bridge = context;
    struct error told = {""};
    while (!atomic_load(&bridge->stopping)) {
        struct journal_backlog backlog;
        struct error err = {""};
        bool any;
        journal_backlog(bridge->journal, &backlog);
        int64_t wait = backlog.bytes == 0 ? FAULT_DELAY_MS
                                          : patience(&backlog, clock_monotonic_ms(clock_system()));
        /* Whoever lets go of a mutex and takes it again at once keeps the others out of it: where
         * somebody waits, he settles. */
        if (wait == 0 && atomic_load(&bridge->settler->waiting) > 0)
            wait = GIVE_WAY_MS;
        if (wait > 0) {
            journal_wait(bridge->journal, wait);
            continue;
        }
        int failed = settle_some(bridge, &any, &err);
        tell(&told, &err);
        if (failed)
            bridge_pause(bridge, FAULT_DELAY_MS);
        else if (!any) /* an older one is still on its way to the disk */
            journal_wait(bridge->journal, GIVE_WAY_MS);
    }
    return NULL;
}

/* ---- at start ---- */

struct replay {
    struct bridge *bridge;
    struct error *err;
    unsigned settled, torn;
};

static int settle_replayed(struct replay *replay)
{
    struct settler *settler = replay->bridge->settler;
    if (settler->count == 0)
        return 0;
    uint64_t through = settler->places[settler->count - 1].number;
    int failed = settle_batch(replay->bridge, through, replay->err);
    replay->settled += (unsigned)settler->count;
    settler->count = 0;
    return failed;
}

/* Where its sync never ended, nobody was answered: the record came to the disk before the bytes.
 * Its own file was synced before the record, though. What stands in a study folder under its name
 * is looked at with all files that have no row. */
static void drop_torn(struct replay *replay)
{
    const struct journal_record *record = &replay->bridge->settler->record;
    replay->torn++;
    if (record->entry.part_name[0])
        log_error("recovery",
                  "instance %s was acknowledged, and its file is gone from the spool: the disk is "
                  "damaged, or somebody removed it; have it sent again",
                  record->request.sop_instance_uid);
    else
        log_warning("recovery",
                    "the bytes of instance %s are not whole in the journal: the machine stopped "
                    "before its sender was answered, or the disk is damaged",
                    record->request.sop_instance_uid);
}

static int replay_one(void *context, const struct journal_place *place)
{
    struct replay *replay = context;
    struct bridge *bridge = replay->bridge;
    struct settler *settler = bridge->settler;
    bool is_whole = false;
    if (journal_read(bridge->journal, &settler->record, place, replay->err) != 0)
        return -1;
    int checked = journal_check(bridge->journal, &settler->record, &is_whole, replay->err);
    if (checked == JOURNAL_UNREADABLE)
        is_whole = true; /* as far as anybody knows: its row has to name what is lost */
    else if (checked != 0)
        return -1;
    if (is_whole && settler->record.entry.part_name[0])
        is_whole = spool_has_part(bridge->spool, &settler->record);
    if (!is_whole) {
        drop_torn(replay);
        return 0;
    }
    settler->places[settler->count++] = *place;
    return settler->count == BATCH ? settle_replayed(replay) : 0;
}

int settle_replay(struct bridge *bridge, struct error *err)
{
    struct replay replay = {.bridge = bridge, .err = err};
    uint64_t settled = 0;
    bridge->settler->count = 0;
    if (ledger_settled(bridge->ledger, &settled, err) != 0 ||
        journal_replay(bridge->journal, settled, replay_one, &replay, err) != 0 ||
        settle_replayed(&replay) != 0)
        return error_wrap(err, "replaying the journal");
    journal_resume(bridge->journal, settled);
    if (replay.settled + replay.torn > 0)
        log_info("recovery",
                 "%u instances were in the journal and are in their folders now; %u were not whole",
                 replay.settled, replay.torn);
    return 0;
}
