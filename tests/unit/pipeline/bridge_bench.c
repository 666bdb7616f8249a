/* See the header. */
#include "bridge_bench.h"

#include "sample.h"

#include "aurabridge/log.h"
#include "aurabridge/route.h"

#include <ftw.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define START_MS 1760000000000

static const char everything[] = "- name: all\n"
                                 "  called: AURABRIDGE\n"
                                 "  destination: main\n"
                                 "  context: {patient_id: \"{PatientID}\"}\n";

static void die(const char *what, const struct error *err)
{
    (void)fprintf(stderr, "the test bench cannot %s: %s\n", what, err ? err->text : "");
    exit(EXIT_FAILURE);
}

static int64_t wall(void *context)
{
    return atomic_load(&((struct bench *)context)->wall_ms);
}

static int64_t monotonic(void *context)
{
    return atomic_load(&((struct bench *)context)->monotonic_ms);
}

static void write_text(const char *path, const char *text)
{
    FILE *file = fopen(path, "we");
    if (!file || fputs(text, file) < 0 || fclose(file) != 0)
        die("write a file", NULL);
}

struct config *bench_config(struct bench *bench, const char *map)
{
    static const char *const variables[] = {"BENCH_APP_ID", "BENCH_APP_SECRET", "BENCH_API_KEY"};
    for (size_t i = 0; i < 3; i++)
        (void)setenv(variables[i], "bench", 1);
    char path[128];
    char text[2048];
    (void)snprintf(path, sizeof path, "%s/map.yaml", bench->directory);
    write_text(path, map ? map : everything);
    (void)snprintf(
        text, sizeof text,
        "dicom: {ae_titles: [AURABRIDGE]}\n"
        "spool: {directory: \"%s\", reserve: 1MiB, journal: 16MiB}\n"
        "study: {quiet_period: 30s, association_hold: 2m, max_wait: 30m}\n"
        "destinations:\n"
        "  main: {api_base_url: \"http://127.0.0.1:9/api\", app_id: \"env:BENCH_APP_ID\","
        " app_secret: \"env:BENCH_APP_SECRET\", service_api_key: \"env:BENCH_API_KEY\"}\n"
        "ae_title_map: map.yaml\n",
        bench->spool);
    (void)snprintf(path, sizeof path, "%s/bridge.yaml", bench->directory);
    write_text(path, text);
    struct config *config = NULL;
    if (config_load(&config, path, NULL, 0, route_check_entries, &bench->err) != 0)
        die("load its configuration", &bench->err);
    return config;
}

void bench_start(struct bench *bench, const char *map)
{
    struct config *config = bench_config(bench, map);
    if (bridge_open(&bench->bridge, config, &bench->clock, &bench->err) != 0)
        die("open a bridge", &bench->err);
    config_release(config);
}

void bench_open(struct bench *bench, const char *map)
{
    *bench = (struct bench){.directory = "/tmp/aurabridge-bench-XXXXXX"};
    if (!mkdtemp(bench->directory))
        die("make a directory", NULL);
    (void)snprintf(bench->spool, sizeof bench->spool, "%s/spool", bench->directory);
    bench->clock = (struct clock){bench, wall, monotonic};
    atomic_store(&bench->wall_ms, START_MS);
    atomic_store(&bench->monotonic_ms, 5000);
    log_set_level(LOG_LEVEL_ERROR);
    bench_start(bench, map);
}

void bench_stop(struct bench *bench)
{
    atomic_store(&bench->bridge->leaves_work, true); /* the next start compares everything */
    bench_stop_clean(bench);
}

void bench_stop_clean(struct bench *bench)
{
    if (bench->assembles) {
        atomic_store(&bench->bridge->stopping, true);
        bridge_wake(bench->bridge);
        (void)pthread_join(bench->assembler, NULL);
        bench->assembles = false;
    }
    bridge_stop(bench->bridge);
    bridge_free(bench->bridge);
    bench->bridge = NULL;
}

static int remove_entry(const char *path, const struct stat *status, int type, struct FTW *walk)
{
    (void)status;
    (void)type;
    (void)walk;
    return remove(path);
}

void bench_close(struct bench *bench)
{
    bench_stop(bench);
    if (nftw(bench->directory, remove_entry, 16, FTW_DEPTH | FTW_PHYS) != 0)
        die("remove its directory", NULL);
}

void bench_reload(struct bench *bench, const char *map)
{
    struct config *config = bench_config(bench, map);
    size_t count = config->destination_count;
    config->destination_count = 0; /* no destination, no worker */
    if (bridge_reconfigure(bench->bridge, config, &bench->err) != 0)
        die("reload", &bench->err);
    config->destination_count = count;
    config_release(config);
}

void bench_assemble(struct bench *bench)
{
    if (pthread_create(&bench->assembler, NULL, assembler_run, bench->bridge) != 0)
        die("start a thread", NULL);
    bench->assembles = true;
}

void bench_pass(struct bench *bench, int64_t ms)
{
    atomic_fetch_add(&bench->monotonic_ms, ms);
    atomic_fetch_add(&bench->wall_ms, ms);
    bridge_wake(bench->bridge);
}

struct ledger_study bench_study(struct bench *bench, int64_t id)
{
    struct ledger_study study;
    if (ledger_study(bench->bridge->ledger, &study, id, &bench->err) != 0)
        die("read a study", &bench->err);
    return study;
}

static void nap(void)
{
    (void)nanosleep(&(struct timespec){.tv_nsec = 5000000}, NULL);
}

#define NAPS_MAX 2000

bool bench_becomes(struct bench *bench, int64_t id, enum study_state state)
{
    for (int i = 0; i < NAPS_MAX; i++, nap()) {
        if (bench_study(bench, id).state == state)
            return true;
    }
    struct ledger_study study = bench_study(bench, id);
    (void)fprintf(stderr, "\n  S%d stays %s: %s\n", (int)id, study_state_name(study.state),
                  study.reason);
    return false;
}

bool bench_reasons(struct bench *bench, int64_t id, const char *beginning)
{
    for (int i = 0; i < NAPS_MAX; i++, nap()) {
        if (strncmp(bench_study(bench, id).reason, beginning, strlen(beginning)) == 0)
            return true;
    }
    (void)fprintf(stderr, "\n  S%d says: %s\n", (int)id, bench_study(bench, id).reason);
    return false;
}

static const char *or_else(const char *text, const char *otherwise)
{
    return text ? text : otherwise;
}

#define CT_IMAGE "1.2.840.10008.5.1.4.1.1.2"

static void fill(struct sample *sample, const struct sent *sent)
{
    static const struct {
        uint32_t tag;
        const char *vr;
        size_t at;
        const char *otherwise;
    } rows[] = {
        {0x00080016, "UI", offsetof(struct sent, sop_class), CT_IMAGE},
        {0x00080018, "UI", offsetof(struct sent, sop), "1.2.3.1"},
        {0x00080050, "SH", offsetof(struct sent, accession), ""},
        {0x00100020, "LO", offsetof(struct sent, patient), "PAT1"},
        {0x00101000, "LO", offsetof(struct sent, other_patient_id), ""},
        {0x0020000D, "UI", offsetof(struct sent, study), "1.2.3"},
        {0x0020000E, "UI", offsetof(struct sent, series), "1.2.3.9"},
        {0x7FE00010, "OB", offsetof(struct sent, pixels), "pixels"},
    };
    sample_start(sample, false, false);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const char *text =
            or_else(*(const char *const *)((const char *)sent + rows[i].at), rows[i].otherwise);
        if (text[0])
            sample_text(sample, rows[i].tag, rows[i].vr, text);
    }
    sample->length -= sent->cut;
}

static struct association association_of(uint64_t id, const char *calling)
{
    struct association association = {
        .id = id, .called_ae_title = "AURABRIDGE", .peer_address = "10.1.2.3"};
    (void)snprintf(association.calling_ae_title, sizeof association.calling_ae_title, "%s",
                   or_else(calling, "CT1"));
    return association;
}

struct dimse_answer bench_send(struct bench *bench, const struct sent *sent)
{
    struct sample *sample = calloc(1, sizeof *sample);
    if (!sample)
        die("get memory", NULL);
    fill(sample, sent);
    const struct instance_sink *sink = bridge_sink(bench->bridge);
    struct association association = association_of(sent->association, sent->calling);
    struct instance_request request = {.transfer_syntax_uid = "1.2.840.10008.1.2.1"};
    (void)snprintf(request.sop_class_uid, UID_SIZE, "%s",
                   or_else(sent->command_class, or_else(sent->sop_class, CT_IMAGE)));
    (void)snprintf(request.sop_instance_uid, UID_SIZE, "%s",
                   or_else(sent->command_sop, or_else(sent->sop, "1.2.3.1")));
    struct dimse_answer answer = {.status = 0xFFFF};
    struct instance *instance = NULL;
    if (sink->begin(sink->context, &instance, &association, &request, &answer) == 0) {
        if (sink->write(instance, sample->bytes, sample->length, &answer) == 0)
            sink->commit(instance, &answer);
        else
            sink->abort(instance);
    }
    free(sample);
    /* As a moment later; where the disk does not take it, it is in the journal still. */
    if (answer.status == DIMSE_SUCCESS)
        (void)bridge_settle(bench->bridge, NULL);
    return answer;
}

void bench_hang_up(struct bench *bench, uint64_t id)
{
    struct association association = association_of(id, NULL);
    const struct instance_sink *sink = bridge_sink(bench->bridge);
    sink->association_ended(sink->context, &association);
}

static unsigned counted; /* nftw has no context argument */

static int count_entry(const char *path, const struct stat *status, int type, struct FTW *walk)
{
    (void)path;
    (void)status;
    (void)walk;
    counted += type == FTW_F;
    return 0;
}

unsigned bench_files(struct bench *bench, const char *place)
{
    char path[256];
    (void)snprintf(path, sizeof path, "%s/%s", bench->spool, place);
    counted = 0;
    if (nftw(path, count_entry, 16, FTW_PHYS) != 0)
        die("count files", NULL);
    return counted;
}
