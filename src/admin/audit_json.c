/* The audit as reply lines. Nothing is emitted before the audit has ended: a client that reads
 * slowly holds up nobody. */
#include "audit_json.h"

#include <inttypes.h>
#include <stdio.h>

struct findings {
    struct json *lines; /* an array */
    bool short_of_memory;
};

static void note(void *context, const struct ledger_finding *finding)
{
    struct findings *findings = context;
    char id[24];
    if (json_size(findings->lines) >= FINDINGS_MAX)
        return;
    (void)snprintf(id, sizeof id, "S%" PRId64, finding->study_id);
    struct json *object = json_new_object();
    struct json *line = json_new_object();
    int failed = json_set_string(object, "kind", finding->kind);
    failed |= json_set_string(object, "study", finding->study_id != 0 ? id : NULL);
    failed |= json_set_string(object, "text", finding->text);
    failed |= json_set(line, "finding", object);
    failed |= json_append(findings->lines, line);
    findings->short_of_memory |= failed != 0;
}

static int set_count(struct json *object, const char *key, uint64_t count)
{
    return json_set_int(object, key, (int64_t)count);
}

static struct json *places_json(const struct ledger_audit *ledger)
{
    struct json *object = json_new_object();
    int failed = 0;
    for (int at = 0; at < LEDGER_PLACE_COUNT; at++) {
        enum ledger_place place = (enum ledger_place)at;
        failed |= set_count(object, ledger_place_name(place), ledger_audit_at(ledger, place));
    }
    if (!failed)
        return object;
    json_free(object);
    return NULL;
}

static struct json *states_json(const struct ledger_audit *ledger)
{
    struct json *object = json_new_object();
    int failed = 0;
    for (int at = 0; at < STUDY_STATE_COUNT; at++)
        failed |= set_count(object, study_state_name((enum study_state)at), ledger->stored[at]);
    if (!failed)
        return object;
    json_free(object);
    return NULL;
}

static struct json *receipts_json(const struct ledger_audit *ledger)
{
    struct json *object = json_new_object();
    int failed = set_count(object, "count", ledger->receipts);
    failed |= json_set_int(object, "first", ledger->first_receipt);
    failed |= json_set_int(object, "last", ledger->last_receipt);
    failed |= json_set_string(object, "sha256", ledger->chain_sha256);
    if (!failed)
        return object;
    json_free(object);
    return NULL;
}

static struct json *audit_json(const struct bridge_audit *audit)
{
    const struct ledger_audit *ledger = &audit->ledger;
    struct json *object = json_new_object();
    int failed = json_set_bool(object, "adds_up", audit->findings == 0);
    failed |= set_count(object, "acknowledged", ledger->acknowledged);
    failed |= set_count(object, "found", ledger_audit_sum(ledger));
    failed |= json_set(object, "places", places_json(ledger));
    failed |= json_set(object, "stored_by_state", states_json(ledger));
    failed |= set_count(object, "trimmed", ledger->trimmed);
    failed |= set_count(object, "studies", ledger->studies);
    failed |= set_count(object, "files_named", ledger->files);
    failed |= set_count(object, "files_there", audit->files);
    failed |= set_count(object, "files_arriving", audit->arriving);
    failed |= json_set(object, "receipts", receipts_json(ledger));
    failed |= set_count(object, "findings_count", audit->findings);
    if (!failed)
        return object;
    json_free(object);
    return NULL;
}

static int emit_all(const struct json *findings, const struct bridge_audit *audit,
                    operate_emit *emit, void *context)
{
    struct json *line = json_new_object();
    int stopped = json_set(line, "audit", audit_json(audit));
    for (const struct json *at = json_first(findings); at && !stopped; at = json_next(at))
        stopped = emit(context, at);
    if (!stopped)
        stopped = emit(context, line);
    json_free(line);
    return stopped;
}

int audit_emit(struct bridge *bridge, operate_emit *emit, void *context, struct error *err)
{
    struct bridge_audit audit;
    struct findings findings = {.lines = json_new_array()};
    int failed = findings.lines ? bridge_audit(bridge, &audit, note, &findings, err)
                                : error_set(err, "no memory for an audit");
    if (!failed && findings.short_of_memory)
        failed = error_set(err, "no memory for what the audit found");
    if (!failed && emit_all(findings.lines, &audit, emit, context) != 0)
        failed = error_set(err, "the audit could not be shown");
    json_free(findings.lines);
    return failed;
}
