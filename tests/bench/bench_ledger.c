/* Fills a spool's ledger through the ledger's own calls, as if that much had come, and measures
 * claims in it.
 *
 * bench_ledger fill SPOOL STUDIES INSTANCES: that many, in all. Of four studies one is completed,
 * one waits for a retry, one is being received and one is ready. Every file is there, empty but as
 * long as its row says.
 *
 * bench_ledger claim SPOOL CALLS: prints percentiles of one claim, and its CPU time, as JSON.
 *
 * bench_ledger park SPOOL: nothing is to be claimed for an hour.
 */
#include "aurabridge/ledger_due.h"
#include "aurabridge/log.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* As many as share a commit. */
enum { THREADS = 32, FILE_BYTES = 4096 };
/* The longest that a restart does not take for a clock that was set. */
#define HOUR_MS     (INT64_C(3600) * 1000)
#define QUIET_MS    (24 * HOUR_MS)
#define MAX_WAIT_MS (7 * 24 * HOUR_MS)
#define DESTINATION "nowhere"
#define ROUTE_KEY   "aaaaaaaaaaaaaaaa"

struct filling {
    struct ledger *ledger;
    const char *spool;
    unsigned studies, instances;
    atomic_uint next;
    atomic_bool failed;
};

static double now_us(clockid_t clock)
{
    struct timespec time;
    (void)clock_gettime(clock, &time);
    return (double)time.tv_sec * 1e6 + (double)time.tv_nsec / 1e3;
}

static int make_file(const char *spool, const char *name, struct error *err)
{
    char path[4096];
    (void)snprintf(path, sizeof path, "%s/studies/%s", spool, name);
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0)
        return error_errno(err, errno, "cannot make %s", path);
    int failed = ftruncate(fd, FILE_BYTES) == 0 ? 0 : errno;
    (void)close(fd);
    return failed ? error_errno(err, failed, "cannot make %s", path) : 0;
}

static int receive(struct filling *filling, unsigned study, unsigned index, int64_t *id,
                   struct error *err)
{
    struct attributes attributes = {.used = 0};
    struct association association = {
        .calling_ae_title = "BENCH", .called_ae_title = "AURABRIDGE", .peer_address = "127.0.0.1"};
    struct instance_request request = {.sop_class_uid = "1.2.840.10008.5.1.4.1.1.2",
                                       .transfer_syntax_uid = "1.2.840.10008.1.2.1"};
    char study_uid[UID_SIZE], series_uid[UID_SIZE], name[STORED_NAME_SIZE];
    (void)snprintf(study_uid, sizeof study_uid, "2.25.7000%08u", study);
    (void)snprintf(series_uid, sizeof series_uid, "2.25.7100%08u", study);
    (void)snprintf(request.sop_instance_uid, UID_SIZE, "2.25.72%08u%06u", study, index);
    (void)snprintf(name, sizeof name, "%s@" ROUTE_KEY "/%s.%016x.dcm", study_uid,
                   request.sop_instance_uid, index);
    attributes_set(&attributes, ATTRIBUTE_STUDY_INSTANCE_UID, study_uid, strlen(study_uid));
    attributes_set(&attributes, ATTRIBUTE_SERIES_INSTANCE_UID, series_uid, strlen(series_uid));
    attributes_set(&attributes, ATTRIBUTE_PATIENT_ID, "PHANTOM-1", 9);
    struct stored_instance stored = {
        .file_size = FILE_BYTES, .data_set_offset = 300, .attributes = &attributes};
    const struct ledger_arrival arrival = {.route_key = ROUTE_KEY,
                                           .entry_name = "all",
                                           .destination = DESTINATION,
                                           .association = &association,
                                           .request = &request,
                                           .study_instance_uid = study_uid,
                                           .series_instance_uid = series_uid,
                                           .instance = &stored,
                                           .file_name = name,
                                           .received_ms = clock_wall_ms(clock_system()),
                                           .quiet_period_ms = QUIET_MS,
                                           .max_wait_ms = MAX_WAIT_MS};
    struct ledger_arrival_outcome outcome;
    if (sha256_of(stored.data_set_sha256, request.sop_instance_uid,
                  strlen(request.sop_instance_uid)) != 0)
        return error_set(err, "cannot digest");
    if (make_file(filling->spool, name, err) != 0 ||
        ledger_instance_received(filling->ledger, &outcome, &arrival, err) != 0)
        return -1;
    *id = outcome.study_id;
    return 0;
}

/* Along the table of transitions, to `to`. */
static int bring(struct ledger *ledger, int64_t id, enum study_state to, struct error *err)
{
    static const enum study_state way[] = {STUDY_RECEIVING, STUDY_VALIDATING, STUDY_READY,
                                           STUDY_PACKAGING, STUDY_UPLOADING,  STUDY_CONFIRMING,
                                           STUDY_COMPLETED};
    for (const enum study_state *at = way; *at != to; at++) {
        if (ledger_advance(ledger, id, at[0], at[1], "bench", err) != 0)
            return -1;
    }
    return 0;
}

static int park(struct ledger *ledger, int64_t id, struct error *err)
{
    return ledger_defer(ledger, id, STUDY_READY, clock_wall_ms(clock_system()) + HOUR_MS, "bench",
                        true, err);
}

static int fill_study(struct filling *filling, unsigned study, struct error *err)
{
    char folder[4096];
    int64_t id = 0;
    unsigned count = filling->instances / filling->studies;
    (void)snprintf(folder, sizeof folder, "%s/studies/2.25.7000%08u@" ROUTE_KEY, filling->spool,
                   study);
    if (mkdir(folder, 0700) != 0)
        return error_errno(err, errno, "cannot make %s", folder);
    for (unsigned i = 0; i < count; i++) {
        if (receive(filling, study, i, &id, err) != 0)
            return -1;
    }
    switch (study % 4) {
    case 0:
        return bring(filling->ledger, id, STUDY_COMPLETED, err);
    case 1:
        return bring(filling->ledger, id, STUDY_READY, err) == 0 ? park(filling->ledger, id, err)
                                                                 : -1;
    case 2:
        return 0;
    default:
        return bring(filling->ledger, id, STUDY_READY, err);
    }
}

static void *fill_some(void *argument)
{
    struct filling *filling = argument;
    unsigned study;
    while (!filling->failed && (study = filling->next++) < filling->studies) {
        struct error err;
        if (fill_study(filling, study, &err) != 0) {
            (void)fprintf(stderr, "bench_ledger: %s\n", err.text);
            filling->failed = true;
        }
    }
    return NULL;
}

static int fill(struct ledger *ledger, const char *spool, unsigned studies, unsigned instances)
{
    struct filling filling = {
        .ledger = ledger, .spool = spool, .studies = studies, .instances = instances};
    pthread_t threads[THREADS];
    unsigned started = 0;
    while (started < THREADS && pthread_create(&threads[started], NULL, fill_some, &filling) == 0)
        started++;
    for (unsigned i = 0; i < started; i++)
        (void)pthread_join(threads[i], NULL);
    return filling.failed || started == 0 ? -1 : 0;
}

static int by_size(const void *left, const void *right)
{
    double a = *(const double *)left, b = *(const double *)right;
    return (a > b) - (a < b);
}

/* One at a time, each given back, as a worker finds the next study. */
static int claim(struct ledger *ledger, unsigned calls, struct error *err)
{
    double *taken = calloc(calls, sizeof *taken), used = 0;
    int result = taken ? 0 : error_set(err, "no memory");
    for (unsigned i = 0; result == 0 && i < calls; i++) {
        struct ledger_study study;
        int64_t next;
        double begun = now_us(CLOCK_MONOTONIC), before = now_us(CLOCK_PROCESS_CPUTIME_ID);
        result = ledger_claim(ledger, &study, DESTINATION, "bench", clock_wall_ms(clock_system()),
                              60000, &next, err);
        taken[i] = now_us(CLOCK_MONOTONIC) - begun;
        used += now_us(CLOCK_PROCESS_CPUTIME_ID) - before;
        if (result == LEDGER_NOT_FOUND)
            (void)error_set(err, "no study is to be claimed");
        else if (result == 0)
            result = ledger_release_claim(ledger, study.id, err);
    }
    if (result == 0) {
        qsort(taken, calls, sizeof *taken, by_size);
        printf("{\"p50_us\": %.1f, \"p99_us\": %.1f, \"cpu_us\": %.1f}\n", taken[(calls - 1) / 2],
               taken[(calls - 1) * 99 / 100], used / calls);
    }
    free(taken);
    return result;
}

static int park_all(struct ledger *ledger, struct error *err)
{
    struct ledger_study study;
    int64_t next;
    int result;
    while ((result = ledger_claim(ledger, &study, DESTINATION, "bench",
                                  clock_wall_ms(clock_system()), 60000, &next, err)) == 0) {
        if (park(ledger, study.id, err) != 0)
            return -1;
    }
    return result == LEDGER_NOT_FOUND ? 0 : -1;
}

static int run(struct ledger *ledger, int argc, char **argv, struct error *err)
{
    unsigned first = argc > 3 ? (unsigned)strtoul(argv[3], NULL, 10) : 0;
    unsigned second = argc > 4 ? (unsigned)strtoul(argv[4], NULL, 10) : 0;
    if (strcmp(argv[1], "fill") == 0 && first > 3 && second >= first)
        return fill(ledger, argv[2], first, second) == 0 ? 0 : error_set(err, "it was not filled");
    if (strcmp(argv[1], "claim") == 0 && first > 0)
        return claim(ledger, first, err);
    if (strcmp(argv[1], "park") == 0)
        return park_all(ledger, err);
    return error_set(err, "no such command: fill, claim or park");
}

int main(int argc, char **argv)
{
    char path[4096];
    struct ledger *ledger = NULL;
    struct error err = {""};
    if (argc < 3) {
        (void)fputs("usage: bench_ledger fill|claim|park SPOOL [NUMBERS]\n", stderr);
        return 2;
    }
    log_set_level(LOG_LEVEL_WARNING);
    (void)snprintf(path, sizeof path, "%s/studies", argv[2]);
    (void)mkdir(argv[2], 0700);
    (void)mkdir(path, 0700);
    (void)snprintf(path, sizeof path, "%s/ledger.sqlite", argv[2]);
    int result = ledger_open(&ledger, path, clock_system(), &err);
    if (result == 0)
        result = run(ledger, argc, argv, &err);
    ledger_close(ledger);
    if (result != 0)
        (void)fprintf(stderr, "bench_ledger: %s\n", err.text);
    return result == 0 ? 0 : 1;
}
