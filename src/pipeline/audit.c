/* The audit: the ledger recounts itself, then rows and files are held against each other while
 * instances come and go. Guarantees that what is told is wrong and not just under way: a file is
 * published before its row and removed after it, so whatever disagrees is looked at once more when
 * those who may have been in between have ended. Changes nothing; its memory is the same whatever
 * is stored. */
#include "bridge_state.h"

#include "aurabridge/log.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LOOK_AGAIN_AT   64 /* files without a row, at a time */
#define SETTLE_MS       30000
#define TOLD_AT_START   20 /* error lines */
#define STOP_ASKED_EACH 256

struct audit {
    struct bridge *bridge;
    struct bridge_audit *out;
    void (*found)(void *context, const struct ledger_finding *finding);
    void *context;
    struct error *err;
    unsigned seen; /* files, for asking now and then whether to stop */
    size_t unknown_count;
    char unknown[LOOK_AGAIN_AT][STORED_NAME_SIZE];
};

static void tell(void *context, const struct ledger_finding *finding)
{
    struct audit *audit = context;
    audit->out->findings++;
    audit->found(audit->context, finding);
}

static bool audit_stops(void *context)
{
    const struct audit *audit = context;
    return atomic_load(&audit->bridge->stopping);
}

static int stopped(const struct audit *audit)
{
    return error_set(audit->err, "the bridge stops; ask again when it runs");
}

static int go_on(struct audit *audit)
{
    return audit->seen++ % STOP_ASKED_EACH || !audit_stops(audit) ? 0 : stopped(audit);
}

static void tell_file(struct audit *audit, int64_t study_id, const char *words, const char *name)
{
    char text[STORED_NAME_SIZE + 128];
    (void)snprintf(text, sizeof text, "%s %s", words, name);
    const struct ledger_finding finding = {.kind = "file", .study_id = study_id, .text = text};
    tell(audit, &finding);
}

/* A row lets go of its file before that is removed, unless its study is done with. */
static int look_at_row(void *context, int64_t study_id, int64_t instance_id, const char *file_name,
                       uint64_t file_size)
{
    (void)instance_id;
    struct audit *audit = context;
    struct bridge *bridge = audit->bridge;
    struct ledger_study study;
    bool known = false;
    if (go_on(audit) != 0)
        return -1;
    if (spool_has(bridge->spool, file_name, file_size))
        return 0;
    if (ledger_file_is_known(bridge->ledger, file_name, &known, audit->err) != 0)
        return -1;
    if (!known)
        return 0;
    int failed = ledger_study(bridge->ledger, &study, study_id, audit->err);
    if (failed)
        return failed == LEDGER_NOT_FOUND ? 0 : -1;
    if (study.state != STUDY_COMPLETED && study.state != STUDY_DISCARDED)
        tell_file(audit, study_id, "an instance's file is missing or short:", file_name);
    return 0;
}

/* Those that were without a row a moment ago. */
static int look_again(struct audit *audit)
{
    if (audit->unknown_count == 0)
        return 0;
    bool settled = receptions_settle(&audit->bridge->receptions, SETTLE_MS, audit_stops, audit);
    for (size_t i = 0; i < audit->unknown_count; i++) {
        bool known = false;
        const char *name = audit->unknown[i];
        if (ledger_file_is_known(audit->bridge->ledger, name, &known, audit->err) != 0)
            return -1;
        if (known || !spool_has_any(audit->bridge->spool, name))
            continue;
        if (settled)
            tell_file(audit, 0, "no row names the file", name);
        else
            audit->out->arriving++;
    }
    audit->unknown_count = 0;
    return 0;
}

static int look_at_file(void *context, const struct spool_found *found)
{
    struct audit *audit = context;
    bool known = false;
    if (go_on(audit) != 0 ||
        ledger_file_is_known(audit->bridge->ledger, found->name, &known, audit->err) != 0)
        return -1;
    audit->out->files++;
    if (known)
        return 0;
    (void)snprintf(audit->unknown[audit->unknown_count++], STORED_NAME_SIZE, "%s", found->name);
    return audit->unknown_count == LOOK_AGAIN_AT ? look_again(audit) : 0;
}

static int audit_ledger(struct audit *audit, bool deep)
{
    const struct ledger_auditor auditor = {
        .deep = deep, .found = tell, .stops = audit_stops, .context = audit};
    return ledger_audit(audit->bridge->ledger, &audit->out->ledger, &auditor, audit->err);
}

int bridge_audit(struct bridge *bridge, struct bridge_audit *out,
                 void (*found)(void *context, const struct ledger_finding *finding), void *context,
                 struct error *err)
{
    *out = (struct bridge_audit){0};
    if (pthread_mutex_trylock(&bridge->audit_lock) != 0)
        return error_set(err, "another audit runs; ask again when it has ended");
    struct audit *audit = calloc(1, sizeof *audit);
    int failed = audit ? 0 : error_set(err, "no memory for an audit");
    if (!failed) {
        *audit = (struct audit){
            .bridge = bridge, .out = out, .found = found, .context = context, .err = err};
        failed = audit_ledger(audit, true) != 0 ||
                 ledger_files(bridge->ledger, look_at_row, audit, err) != 0 ||
                 spool_list(bridge->spool, look_at_file, audit, err) != 0 || look_again(audit) != 0;
        if (!failed && audit_stops(audit))
            failed = stopped(audit); /* perhaps in the middle of a wait */
    }
    free(audit);
    pthread_mutex_unlock(&bridge->audit_lock);
    return failed ? -1 : 0;
}

static void log_finding(void *context, const struct ledger_finding *finding)
{
    unsigned *told = context;
    if (++*told > TOLD_AT_START)
        return;
    if (finding->study_id != 0)
        log_error("audit", "study S%" PRId64 ": %s", finding->study_id, finding->text);
    else
        log_error("audit", "%s", finding->text);
}

/* "7 receiving + 3 completed": the places that are not empty. */
static void print_places(char *out, size_t size, const struct ledger_audit *audit)
{
    size_t used = 0;
    (void)snprintf(out, size, "0");
    for (int place = 0; place < LEDGER_PLACE_COUNT; place++) {
        uint64_t count = ledger_audit_at(audit, (enum ledger_place)place);
        if (count > 0 && used < size)
            used += (size_t)snprintf(out + used, size - used, "%s%" PRIu64 " %s", used ? " + " : "",
                                     count, ledger_place_name((enum ledger_place)place));
    }
}

void bridge_audit_at_start(struct bridge *bridge)
{
    unsigned told = 0;
    struct error err;
    struct bridge_audit out = {0};
    struct audit audit = {
        .bridge = bridge, .out = &out, .found = log_finding, .context = &told, .err = &err};
    char places[512];
    if (audit_ledger(&audit, false) != 0) {
        log_error("audit", "law 2 is not recounted at this start: %s", err.text);
        return;
    }
    print_places(places, sizeof places, &out.ledger);
    log_info("audit", "%" PRIu64 " instances acknowledged, found: %s", out.ledger.acknowledged,
             places);
    if (out.ledger.receipts > 0)
        log_info("audit", "%" PRIu64 " receipts, the last is number %" PRId64 " with SHA-256 %s",
                 out.ledger.receipts, out.ledger.last_receipt, out.ledger.chain_sha256);
    if (bridge->missing_at_start > 0)
        log_error("audit", "%u files that the ledger names are missing", bridge->missing_at_start);
    if (out.findings > 0)
        log_error("audit", "%" PRIu64 " things do not add up; `aurabridge audit` lists them",
                  out.findings);
}
