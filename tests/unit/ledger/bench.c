/* The ledger's test bench. */
#include "bench.h"

#include "aurabridge/log.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

static int64_t bench_now(void *context)
{
    return ((struct bench *)context)->now;
}

static void fail(const char *what, const struct error *err)
{
    fprintf(stderr, "the test bench cannot %s: %s\n", what, err->text);
    exit(EXIT_FAILURE);
}

struct bench *bench_new(bool on_disk)
{
    struct bench *bench = calloc(1, sizeof *bench);
    if (!bench)
        exit(EXIT_FAILURE);
    bench->now = 1000000;
    bench->clock = (struct clock){bench, bench_now, bench_now};
    (void)snprintf(bench->path, sizeof bench->path, ":memory:");
    if (on_disk) {
        (void)snprintf(bench->directory, sizeof bench->directory, "/tmp/ledger-test-XXXXXX");
        if (!mkdtemp(bench->directory))
            exit(EXIT_FAILURE);
        (void)snprintf(bench->path, sizeof bench->path, "%s/ledger.db", bench->directory);
    }
    log_set_level(LOG_LEVEL_WARNING);
    if (ledger_open(&bench->ledger, bench->path, &bench->clock, &bench->err) != 0)
        fail("open a ledger", &bench->err);
    return bench;
}

void bench_reopen(struct bench *bench)
{
    ledger_close(bench->ledger);
    if (ledger_open(&bench->ledger, bench->path, &bench->clock, &bench->err) != 0)
        fail("open the ledger again", &bench->err);
}

void bench_free(struct bench *bench)
{
    ledger_close(bench->ledger);
    if (bench->directory[0]) {
        static const char *const endings[] = {"", "-wal", "-shm", "-journal"};
        for (size_t i = 0; i < 4; i++) {
            char path[128];
            (void)snprintf(path, sizeof path, "%s%s", bench->path, endings[i]);
            (void)unlink(path);
        }
        (void)rmdir(bench->directory);
    }
    free(bench);
}

static const char *or_else(const char *text, const char *otherwise)
{
    return text ? text : otherwise;
}

const struct ledger_arrival *bench_arrival(struct bench *bench, const struct sent *sent)
{
    static _Thread_local struct attributes attributes;
    static _Thread_local struct stored_instance stored;
    static _Thread_local struct association association;
    static _Thread_local struct instance_request request;
    static _Thread_local struct ledger_arrival arrival;
    static _Thread_local char file[STORED_NAME_SIZE];

    const char *sop = or_else(sent->sop, "1.2.3.1");
    const char *patient = or_else(sent->patient, "PAT1");
    const char *issuer = or_else(sent->issuer, "");
    memset(&attributes, 0, sizeof attributes);
    attributes_set(&attributes, ATTRIBUTE_PATIENT_ID, patient, strlen(patient));
    attributes_set(&attributes, ATTRIBUTE_ISSUER_OF_PATIENT_ID, issuer, strlen(issuer));
    attributes_set(&attributes, ATTRIBUTE_MODALITY, "CT", 2);
    stored = (struct stored_instance){.file_crc32 = 0xFEDCBA98,
                                      .file_size = sent->size ? sent->size : 1000,
                                      .data_set_offset = 300,
                                      .attributes = &attributes};
    char content[160];
    int length = snprintf(content, sizeof content, "%s %u", sop, sent->version);
    (void)sha256_of(stored.data_set_sha256, content, (size_t)length);
    if (sent->truncated)
        stored.ending = (struct dataset_result){DATASET_TRUNCATED, 0x7FE00010, 77, 900};
    association = (struct association){
        .calling_ae_title = "CT1", .called_ae_title = "AURABRIDGE", .peer_address = "10.1.2.3"};
    request = (struct instance_request){.sop_class_uid = "1.2.840.10008.5.1.4.1.1.2",
                                        .transfer_syntax_uid = "1.2.840.10008.1.2.1"};
    (void)snprintf(request.sop_instance_uid, UID_SIZE, "%s", sop);
    (void)snprintf(file, sizeof file, "%s.%p.%u.dcm", sop, (void *)&file, bench->files);
    arrival = (struct ledger_arrival){.route_key = or_else(sent->route, "aaaaaaaaaaaaaaaa"),
                                      .entry_name = "ct-rooms",
                                      .destination = or_else(sent->destination, "main"),
                                      .association = &association,
                                      .request = &request,
                                      .study_instance_uid = or_else(sent->study, "1.2.3"),
                                      .series_instance_uid = or_else(sent->series, "1.2.3.9"),
                                      .instance = &stored,
                                      .file_name = or_else(sent->file, file),
                                      .received_ms = bench->now,
                                      .quiet_period_ms = QUIET,
                                      .max_wait_ms = MAX_WAIT,
                                      .changed_duplicate = sent->policy,
                                      .priority = sent->priority};
    return &arrival;
}

struct ledger_arrival_outcome bench_send(struct bench *bench, const struct sent *sent)
{
    struct ledger_arrival_outcome outcome;
    bench->files++;
    int failed =
        ledger_instance_received(bench->ledger, &outcome, bench_arrival(bench, sent), &bench->err);
    if (failed)
        fail("record an arrival", &bench->err);
    return outcome;
}

struct ledger_study bench_study(struct bench *bench, int64_t id)
{
    struct ledger_study study;
    if (ledger_study(bench->ledger, &study, id, &bench->err) != 0)
        fail("read a study", &bench->err);
    return study;
}

void bench_bring(struct bench *bench, int64_t id, enum study_state to)
{
    enum study_state from = bench_study(bench, id).state;
    while (from != to) {
        static const enum study_state onward[STUDY_STATE_COUNT] = {
            [STUDY_RECEIVING] = STUDY_VALIDATING,   [STUDY_VALIDATING] = STUDY_READY,
            [STUDY_QUARANTINED] = STUDY_VALIDATING, [STUDY_UNROUTED] = STUDY_VALIDATING,
            [STUDY_READY] = STUDY_PACKAGING,        [STUDY_PACKAGING] = STUDY_UPLOADING,
            [STUDY_UPLOADING] = STUDY_CONFIRMING,   [STUDY_CONFIRMING] = STUDY_COMPLETED,
            [STUDY_CANCELLED] = STUDY_READY,        [STUDY_FAILED] = STUDY_READY,
        };
        bool is_early = from == STUDY_RECEIVING && to != STUDY_CANCELLED && to != STUDY_DISCARDED;
        bool jumps = !is_early && study_state_allows(from, to) && to != STUDY_COMPLETED;
        enum study_state next = jumps || from == STUDY_CONFIRMING ? to : onward[from];
        if (ledger_advance(bench->ledger, id, from, next, "test", &bench->err) != 0)
            fail("bring a study to a state", &bench->err);
        from = next;
    }
}

struct ledger_totals bench_totals(struct bench *bench)
{
    struct ledger_totals totals;
    if (ledger_totals(bench->ledger, &totals, &bench->err) != 0)
        fail("read the totals", &bench->err);
    return totals;
}

bool bench_adds_up(struct bench *bench)
{
    struct ledger_totals totals = bench_totals(bench);
    uint64_t sum = totals.dropped + totals.superseded + totals.resends + totals.swallowed_resends +
                   totals.discarded;
    for (unsigned state = 0; state < STUDY_STATE_COUNT; state++)
        sum += totals.instances[state];
    return sum == totals.acknowledged;
}

static void note_finding(void *context, const struct ledger_finding *finding)
{
    struct found *found = context;
    size_t used = strlen(found->words);
    found->count++;
    (void)snprintf(found->words + used, sizeof found->words - used, "%s S%lld: %s\n", finding->kind,
                   (long long)finding->study_id, finding->text);
}

struct found bench_audit(struct bench *bench)
{
    struct found found = {0};
    struct ledger_auditor auditor = {.deep = true, .found = note_finding, .context = &found};
    if (ledger_audit(bench->ledger, &found.audit, &auditor, &bench->err) != 0)
        fail("audit the ledger", &bench->err);
    return found;
}

bool bench_is_sound(struct bench *bench)
{
    struct found found = bench_audit(bench);
    if (found.count > 0)
        printf("\n%s", found.words);
    return found.count == 0;
}

int bench_remove_file(void *ledger, const struct ledger_instance *instance)
{
    struct ledger_file file = {.instance_id = instance->id};
    memcpy(file.name, instance->file_name, sizeof file.name);
    return ledger_files_removed(ledger, &file, 1, NULL);
}
