/* The workers' threads and their loop: gate, claim, stage. */
#include "delivery.h"

#include "aurabridge/ledger_due.h"
#include "aurabridge/log.h"
#include "aurabridge/text.h"

#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A lease outlasts any upload, and any jump of the wall clock (a machine that starts in 1970 and
 * then asks for the time); what ends it is the outcome, or the next start of the process. */
#define LEASE_MS             (1000LL * 365 * 24 * 3600 * 1000)
#define LOCAL_FAULT_DELAY_MS 5000

bool delivery_worker_stops(void *context)
{
    struct delivery_worker *worker = context;
    return atomic_load(&worker->interrupted) || atomic_load(&worker->delivery->stopping) ||
           atomic_load(&worker->delivery->bridge->stopping);
}

static bool delivery_ends(void *context)
{
    struct delivery *delivery = context;
    return atomic_load(&delivery->stopping) || atomic_load(&delivery->bridge->stopping);
}

void delivery_worker_rests(struct delivery_worker *worker)
{
    struct delivery *delivery = worker->delivery;
    (void)bridge_pause_unless(delivery->bridge, LOCAL_FAULT_DELAY_MS, delivery_ends, delivery);
}

/* The ledger took no outcome (a full disk, say): the study is still leased, and nobody else would
 * ever take it. It is given back as soon as the ledger takes that. */
static void give_back(struct delivery_worker *worker, int64_t study_id)
{
    struct bridge *bridge = worker->delivery->bridge;
    int failed;
    do {
        struct error err;
        delivery_worker_rests(worker);
        failed = ledger_release_claim(bridge->ledger, study_id, &err);
    } while (failed && failed != LEDGER_NOT_FOUND && !delivery_ends(worker->delivery));
}

/* Whether the worker for urgent studies has something to do. Else it does not even ask at the gate:
 * it would be the probe of a paused destination, and find nothing to probe with. */
static bool has_urgent(const struct delivery_worker *worker, int64_t now, int64_t *next)
{
    const struct delivery *delivery = worker->delivery;
    struct error err;
    bool due = false;
    if (ledger_urgent_is_due(delivery->bridge->ledger, &due, delivery->settings->name, now, next,
                             &err) == 0)
        return due;
    *next = now + LOCAL_FAULT_DELAY_MS; /* the other workers tell */
    return false;
}

/* Claims and runs one stage. Says when to look again; 0: at once. */
static int64_t work_once(struct delivery_worker *worker)
{
    struct delivery *delivery = worker->delivery;
    struct bridge *bridge = delivery->bridge;
    int64_t now = clock_wall_ms(bridge->clock);
    int64_t next = INT64_MAX;
    if (worker->urgent_only && !has_urgent(worker, now, &next))
        return next;
    if (!gate_enter(&delivery->gate, now, &worker->probe, &next))
        return next;
    next = INT64_MAX;
    struct ledger_study study;
    struct error err;
    int found = (worker->urgent_only ? ledger_claim_urgent : ledger_claim)(
        bridge->ledger, &study, delivery->settings->name, worker->owner, now, LEASE_MS, &next,
        &err);
    if (found != 0) {
        gate_leave(&delivery->gate, worker->probe);
        if (worker->urgent_only && worker->probe != 0)
            bridge_wake(bridge); /* another took it first, and waits for the probe's end */
        if (found == LEDGER_NOT_FOUND)
            return next;
        if (!bridge_met_full_ledger(bridge, found))
            log_error("delivery", "the ledger does not answer: %s", err.text);
        return now + LOCAL_FAULT_DELAY_MS;
    }
    worker->met_full_disk = false;
    atomic_store(&worker->interrupted, false);
    atomic_store(&worker->study_id, study.id);
    /* Again, now that an interruption finds this worker: a cancel may have come in between. */
    int failed = ledger_study(bridge->ledger, &study, study.id, &err);
    if (!failed)
        failed = stage_run(worker, &study);
    atomic_store(&worker->study_id, 0);
    gate_leave(&delivery->gate, worker->probe);
    /* After a conflict its state is another's, and so is its lease. */
    if (failed && failed != LEDGER_CONFLICT)
        give_back(worker, study.id);
    else if (worker->met_full_disk) /* so would all others, each with a line in the log */
        delivery_worker_rests(worker);
    return 0;
}

static void *worker_run(void *context)
{
    struct delivery_worker *worker = context;
    struct bridge *bridge = worker->delivery->bridge;
    uint64_t seen = 0;
    while (!delivery_ends(worker->delivery)) {
        int64_t next = work_once(worker);
        if (next == 0)
            bridge_wake(bridge); /* what it finished may let a later upload of the study go */
        else
            bridge_wait(bridge, &seen, next);
    }
    return NULL;
}

static int start_worker(struct delivery *delivery, unsigned number, struct error *err)
{
    struct delivery_worker *worker = &delivery->workers[number];
    worker->delivery = delivery;
    worker->urgent_only = number + 1 == delivery->count;
    (void)snprintf(worker->owner, sizeof worker->owner, "%s/%u", delivery->settings->name,
                   number + 1);
    if (aurabox_client_new(&worker->client, delivery->aurabox, delivery_worker_stops, worker,
                           err) != 0 ||
        http_client_new(&worker->http, delivery->settings->ca_file, err) != 0)
        return -1;
    int refused = pthread_create(&worker->thread, NULL, worker_run, worker);
    if (refused)
        return error_errno(err, refused, "starting a worker of destination %s",
                           delivery->settings->name);
    worker->runs = true;
    return 0;
}

static void delivery_free(struct delivery *delivery)
{
    if (!delivery)
        return;
    atomic_store(&delivery->stopping, true);
    bridge_wake(delivery->bridge);
    for (unsigned i = 0; i < delivery->count; i++) {
        struct delivery_worker *worker = &delivery->workers[i];
        if (worker->runs)
            pthread_join(worker->thread, NULL);
        aurabox_client_free(worker->client);
        http_client_free(worker->http);
    }
    free(delivery->workers);
    aurabox_destination_free(delivery->aurabox);
    tus_way_free(delivery->way);
    meter_destroy(&delivery->meter);
    gate_destroy(&delivery->gate);
    config_release(delivery->config);
    free(delivery);
}

static int delivery_new(struct delivery **out, struct bridge *bridge, struct config *config,
                        const struct config_destination *settings, struct error *err)
{
    *out = NULL;
    struct delivery *delivery = calloc(1, sizeof *delivery);
    if (!delivery)
        return error_set(err, "no memory for destination %s", settings->name);
    delivery->bridge = bridge;
    delivery->config = config_retain(config);
    delivery->settings = settings;
    gate_init(&delivery->gate);
    meter_init(&delivery->meter);
    int failed = tus_way_new(&delivery->way, err);
    delivery->workers = calloc(config->upload.workers + 1, sizeof *delivery->workers);
    if (delivery->workers)
        delivery->count = config->upload.workers + 1;
    else if (!failed)
        failed = error_set(err, "no memory for %u workers", config->upload.workers);
    if (!failed)
        failed = aurabox_destination_new(&delivery->aurabox, config, settings->name,
                                         spool_directory(bridge->spool), bridge->clock, err);
    for (unsigned i = 0; !failed && i < delivery->count; i++)
        failed = start_worker(delivery, i, err);
    if (failed) {
        delivery_free(delivery);
        return -1;
    }
    *out = delivery;
    return 0;
}

static bool same_text(const char *a, const char *b)
{
    return strcmp(a ? a : "", b ? b : "") == 0;
}

static bool same_settings(const struct delivery *delivery, const struct config *config,
                          const struct config_destination *settings)
{
    const struct config_destination *now = delivery->settings;
    return same_text(now->api_base_url, settings->api_base_url) &&
           same_text(now->source, settings->source) && same_text(now->app_id, settings->app_id) &&
           same_text(now->app_secret, settings->app_secret) &&
           same_text(now->service_api_key, settings->service_api_key) &&
           same_text(now->ca_file, settings->ca_file) &&
           now->token_ttl_ms == settings->token_ttl_ms && now->timeout_ms == settings->timeout_ms &&
           now->limits.exchange == settings->limits.exchange &&
           now->limits.config == settings->limits.config &&
           now->limits.lifecycle == settings->limits.lifecycle &&
           delivery->count == config->upload.workers + 1;
}

static struct delivery **find(struct delivery **at, const char *name)
{
    while (*at && strcmp((*at)->settings->name, name) != 0)
        at = &(*at)->next;
    return at;
}

static void free_all(struct delivery *first)
{
    for (struct delivery *each = first; each; each = each->next)
        atomic_store(&each->stopping, true); /* so that they end together */
    for (struct delivery *next = NULL; first; first = next) {
        next = first->next;
        delivery_free(first);
    }
}

/* Workers for what the config has and the list has not, or has with other settings. */
static int make_missing(struct delivery **made, struct bridge *bridge, struct config *config,
                        struct error *err)
{
    *made = NULL;
    for (size_t i = 0; i < config->destination_count; i++) {
        const struct config_destination *settings = &config->destinations[i];
        struct delivery *there = *find(&bridge->deliveries, settings->name);
        if (there && same_settings(there, config, settings))
            continue;
        struct delivery *delivery = NULL;
        if (delivery_new(&delivery, bridge, config, settings, err) != 0) {
            free_all(*made);
            return -1;
        }
        delivery->next = *made;
        *made = delivery;
    }
    return 0;
}

/* Takes out of the list what the config has not, or has with other settings. */
static struct delivery *take_gone(struct bridge *bridge, const struct config *config)
{
    struct delivery *gone = NULL;
    struct delivery **at = &bridge->deliveries;
    while (*at) {
        struct delivery *delivery = *at;
        const struct config_destination *settings =
            config_destination(config, delivery->settings->name);
        if (settings && same_settings(delivery, config, settings)) {
            at = &delivery->next;
            continue;
        }
        *at = delivery->next;
        delivery->next = gone;
        gone = delivery;
    }
    return gone;
}

int deliveries_follow(struct bridge *bridge, struct config *config, struct error *err)
{
    struct delivery *made = NULL;
    if (make_missing(&made, bridge, config, err) != 0)
        return -1; /* the old ones were not touched */
    pthread_mutex_lock(&bridge->deliveries_lock);
    struct delivery *gone = take_gone(bridge, config);
    struct delivery **end = &bridge->deliveries;
    while (*end)
        end = &(*end)->next;
    *end = made;
    pthread_mutex_unlock(&bridge->deliveries_lock);
    free_all(gone); /* waits for their workers, and nobody for us */
    return 0;
}

void deliveries_stop(struct bridge *bridge)
{
    pthread_mutex_lock(&bridge->deliveries_lock);
    struct delivery *all = bridge->deliveries;
    bridge->deliveries = NULL;
    pthread_mutex_unlock(&bridge->deliveries_lock);
    free_all(all);
}

void deliveries_interrupt(struct delivery *first, int64_t study_id)
{
    for (struct delivery *delivery = first; delivery; delivery = delivery->next) {
        for (unsigned i = 0; i < delivery->count; i++) {
            if (atomic_load(&delivery->workers[i].study_id) == study_id)
                atomic_store(&delivery->workers[i].interrupted, true);
        }
    }
}

void deliveries_hurry(struct delivery *first, const char *destination)
{
    for (struct delivery *delivery = first; delivery; delivery = delivery->next) {
        if (!destination || strcmp(delivery->settings->name, destination) == 0)
            gate_hurry(&delivery->gate, clock_wall_ms(delivery->bridge->clock));
    }
}

void deliveries_pause_of(struct delivery *first, const char *destination,
                         char reason[LEDGER_REASON_SIZE], int64_t *until_ms)
{
    reason[0] = '\0';
    *until_ms = 0;
    struct delivery *delivery = *find(&first, destination);
    if (!delivery)
        return;
    pthread_mutex_lock(&delivery->gate.lock);
    if (delivery->gate.paused) {
        text_copy(reason, LEDGER_REASON_SIZE, delivery->gate.reason);
        *until_ms = delivery->gate.until_ms;
    }
    pthread_mutex_unlock(&delivery->gate.lock);
}

static void note_work(struct delivery_activity *out, const struct delivery *delivery)
{
    for (unsigned i = 0; i < delivery->count; i++) {
        struct delivery_worker *worker = &delivery->workers[i];
        out->busy += atomic_load(&worker->study_id) != 0;
        out->sending += atomic_load(&worker->sends);
        out->lacking_calls += atomic_load(&worker->lacks_calls);
    }
}

void deliveries_activity_of(struct delivery *first, const char *destination,
                            struct delivery_activity *out)
{
    *out = (struct delivery_activity){.until_ms = 0};
    struct delivery *delivery = *find(&first, destination);
    if (!delivery)
        return;
    deliveries_pause_of(delivery, destination, out->reason, &out->until_ms);
    note_work(out, delivery);
    out->bytes_per_second =
        meter_rate(&delivery->meter, &out->bytes_sent, clock_monotonic_ms(delivery->bridge->clock));
}

uint64_t deliveries_sent_of(struct delivery *first, int64_t study_id)
{
    uint64_t sent = 0;
    for (struct delivery *delivery = first; delivery; delivery = delivery->next) {
        for (unsigned i = 0; i < delivery->count; i++) {
            struct delivery_worker *worker = &delivery->workers[i];
            if (atomic_load(&worker->study_id) == study_id && atomic_load(&worker->sends))
                sent = atomic_load(&worker->sent);
        }
    }
    return sent;
}
