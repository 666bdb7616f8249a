/* See the header. */
#include "spool_world.h"

#include "aurabridge/bridge.h"
#include "aurabridge/package.h"
#include "aurabridge/route.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <sqlite3.h>

#define FILES_MAX  160
#define CT_IMAGE   "1.2.840.10008.5.1.4.1.1.2"
#define POLICIES   4
#define LARGE_MORE 40 /* more rows than any reader takes at a time */

int64_t world_now_ms = WORLD_NOW_MS;

static char spool_path[300], outside_path[300];
static struct config *configs[POLICIES];
static struct world {
    struct world_file files[FILES_MAX];
    size_t count;
} worlds[WORLD_SIZES];

static int64_t tell_time(void *context)
{
    (void)context;
    return world_now_ms;
}

const struct clock world_clock = {NULL, tell_time, tell_time};

/* ---- numbers that are the same in every process ---- */

static uint64_t random_state;

ssize_t __wrap_getrandom(void *bytes, size_t length, unsigned flags);

ssize_t __wrap_getrandom(void *bytes, size_t length, unsigned flags)
{
    (void)flags;
    for (size_t i = 0; i < length; i++) {
        random_state = random_state * 6364136223846793005U + 1442695040888963407U;
        ((uint8_t *)bytes)[i] = (uint8_t)(random_state >> 33);
    }
    return (ssize_t)length;
}

static int fill_for_sqlite(sqlite3_vfs *vfs, int length, char *out)
{
    (void)vfs;
    memset(out, 0, (size_t)length);
    return length;
}

static void tame_sqlite(void)
{
    if (sqlite3_initialize() != SQLITE_OK)
        abort();
    sqlite3_vfs *vfs = sqlite3_vfs_find(NULL);
    FUZZ_CHECK(vfs != NULL);
    vfs->xRandomness = fill_for_sqlite;
}

/* ---- the configuration ---- */

static void load_configs(void)
{
    static const char *const policies[] = {"supplement", "keep_first", "replace", "quarantine"};
    static const char *const variables[] = {"FUZZ_ID", "FUZZ_SECRET", "FUZZ_KEY"};
    char path[400];
    char text[2048];
    for (size_t i = 0; i < 3; i++)
        (void)setenv(variables[i], "fuzz", 1);
    (void)snprintf(path, sizeof path, "%s/bridge.yaml", fuzz_directory());
    for (unsigned i = 0; i < POLICIES; i++) {
        struct error err;
        int length = snprintf(
            text, sizeof text,
            "dicom: {ae_titles: [AURABRIDGE, OTHER]}\n"
            "spool: {directory: \"%s\", reserve: 0, journal: 16MiB}\n"
            "study: {on_changed_duplicate: %s}\n"
            "destinations:\n"
            "  main: {api_base_url: \"http://127.0.0.1:9/api\", app_id: \"env:FUZZ_ID\","
            " app_secret: \"env:FUZZ_SECRET\", service_api_key: \"env:FUZZ_KEY\"}\n"
            "ae_title_map:\n"
            "- {name: ct, called: AURABRIDGE, calling: CT1, destination: main,"
            " context: {id: \"{PatientID}\"}}\n"
            "- {name: mr, called: AURABRIDGE, calling: MR1, destination: main, quiet_period: 5s}\n",
            spool_path, policies[i]);
        fuzz_write_file(path, text, (size_t)length);
        if (config_load(&configs[i], path, NULL, 0, route_check_entries, &err) != 0)
            fuzz_fail(__FILE__, __LINE__, "the configuration loads", err.text);
    }
}

struct config *world_config(enum changed_duplicate changed)
{
    return configs[changed];
}

/* ---- making a world ---- */

static size_t put_text(uint8_t *out, uint16_t group, uint16_t element, const char *vr,
                       const char *text)
{
    size_t length = strlen(text);
    size_t padded = length + length % 2;
    const uint8_t header[8] = {(uint8_t)group,          (uint8_t)(group >> 8), (uint8_t)element,
                               (uint8_t)(element >> 8), (uint8_t)vr[0],        (uint8_t)vr[1],
                               (uint8_t)padded,         (uint8_t)(padded >> 8)};
    memcpy(out, header, sizeof header);
    memset(out + sizeof header, vr[0] == 'U' ? 0 : ' ', padded);
    memcpy(out + sizeof header, text, length);
    return sizeof header + padded;
}

static size_t make_data_set(uint8_t *out, const char *study, const char *sop, const char *version)
{
    size_t length = put_text(out, 0x0008, 0x0016, "UI", CT_IMAGE);
    length += put_text(out + length, 0x0008, 0x0018, "UI", sop);
    length += put_text(out + length, 0x0008, 0x0050, "SH", version);
    length += put_text(out + length, 0x0010, 0x0010, "PN", WORLD_PATIENT);
    length += put_text(out + length, 0x0010, 0x0020, "LO", "Zyxwvut-ID");
    length += put_text(out + length, 0x0020, 0x000D, "UI", study);
    length += put_text(out + length, 0x0020, 0x000E, "UI", "1.2.3.9");
    return length;
}

static void send(struct bridge *bridge, const char *calling, const char *study, unsigned number,
                 const char *version)
{
    struct association association = {
        .id = 1, .called_ae_title = "AURABRIDGE", .peer_address = "10.1.2.3"};
    struct instance_request request = {.sop_class_uid = CT_IMAGE,
                                       .transfer_syntax_uid = "1.2.840.10008.1.2.1"};
    const struct instance_sink *sink = bridge_sink(bridge);
    struct instance *instance = NULL;
    struct dimse_answer answer = {.status = 0xFFFF};
    uint8_t bytes[1024];
    (void)snprintf(association.calling_ae_title, AE_TITLE_SIZE, "%s", calling);
    (void)snprintf(request.sop_instance_uid, UID_SIZE, "%s.%u", study, number);
    size_t length = make_data_set(bytes, study, request.sop_instance_uid, version);
    FUZZ_CHECK(sink->begin(sink->context, &instance, &association, &request, &answer) == 0);
    FUZZ_CHECK(sink->write(instance, bytes, length, &answer) == 0);
    sink->commit(instance, &answer);
    FUZZ_CHECK_TEXT(answer.status == DIMSE_SUCCESS, answer.comment);
    FUZZ_CHECK(bridge_settle(bridge, NULL) == 0);
    world_now_ms += 1000;
}

/* On from `receiving`, to the last state given. */
static void advance(struct bridge *bridge, int64_t id, const enum study_state *states)
{
    struct error err;
    enum study_state from = STUDY_RECEIVING;
    for (; *states != STUDY_STATE_COUNT; from = *states++)
        if (ledger_advance(bridge_ledger(bridge), id, from, *states, "made so", &err) != 0)
            fuzz_fail(__FILE__, __LINE__, "a study advances", err.text);
}
#define ADVANCE(bridge, id, ...)                                                                   \
    advance((bridge), (id), (const enum study_state[]){__VA_ARGS__, STUDY_STATE_COUNT})

static struct bridge *open_bridge(void)
{
    struct bridge *bridge = NULL;
    struct error err;
    if (bridge_open(&bridge, configs[0], &world_clock, &err) != 0)
        fuzz_fail(__FILE__, __LINE__, "a bridge opens", err.text);
    return bridge;
}

/* What is checkpointed into the ledger file: finished studies, and one that waits for its turn. */
static void live_first(void)
{
    struct bridge *bridge = open_bridge();
    send(bridge, "CT1", "1.2.3", 1, "a");
    send(bridge, "CT1", "1.2.3", 2, "a");
    ADVANCE(bridge, 1, STUDY_VALIDATING, STUDY_READY, STUDY_PACKAGING, STUDY_UPLOADING,
            STUDY_CONFIRMING, STUDY_COMPLETED);
    send(bridge, "CT1", "1.2.4", 1, "a");
    FUZZ_CHECK(ledger_study_discard(bridge_ledger(bridge), 2, "made so", NULL) == 0);
    send(bridge, "CT1", "1.2.5", 1, "a");
    send(bridge, "CT1", "1.2.5", 2, "a");
    ADVANCE(bridge, 3, STUDY_VALIDATING, STUDY_READY);
    bridge_free(bridge);
}

/* Many studies, and a study of many instances. */
static void live_long(void)
{
    struct bridge *bridge = open_bridge();
    char study[UID_SIZE];
    for (unsigned i = 0; i < LARGE_MORE; i++) {
        (void)snprintf(study, sizeof study, "1.2.9.%u", i);
        send(bridge, "CT1", study, 1, "a");
        send(bridge, "CT1", "1.2.10", i, "a");
    }
    bridge_free(bridge);
}

static void make_package(struct bridge *bridge, int64_t id)
{
    struct ledger_study study;
    struct package *package = NULL;
    struct error err;
    FUZZ_CHECK(ledger_study(bridge_ledger(bridge), &study, id, NULL) == 0);
    if (package_open(&package, bridge_spool(bridge), NULL, bridge_ledger(bridge), &study,
                     COMPRESSION_STORE, NULL, NULL, &err) != 0)
        fuzz_fail(__FILE__, __LINE__, "a study is packed", err.text);
    package_close(package);
}

static int64_t resolve(struct bridge *bridge, const char *study)
{
    int64_t id = 0;
    FUZZ_CHECK(ledger_resolve(bridge_ledger(bridge), &id, study, NULL) == 0);
    return id;
}

/* What stands in the write-ahead log: a supplement, a quarantine, an unrouted study, open ones. */
static struct bridge *live_on(void)
{
    struct bridge *bridge = open_bridge();
    make_package(bridge, 3);
    send(bridge, "CT1", "1.2.5", 1, "changed"); /* a supplement of S3 */
    send(bridge, "MR1", "1.2.6", 1, "a");
    ADVANCE(bridge, resolve(bridge, "1.2.6"), STUDY_VALIDATING, STUDY_QUARANTINED);
    send(bridge, "XX1", "1.2.7", 1, "a");
    ADVANCE(bridge, resolve(bridge, "1.2.7"), STUDY_VALIDATING, STUDY_UNROUTED);
    send(bridge, "MR1", "1.2.8", 1, "a");
    send(bridge, "MR1", "1.2.8", 2, "a");
    send(bridge, "MR1", "1.2.8", 2, "a"); /* a resend */
    return bridge;
}

/* ---- keeping it ---- */

static void keep_file(struct world *world, const char *name)
{
    char path[800];
    struct stat status;
    FUZZ_CHECK(world->count < FILES_MAX);
    struct world_file *file = &world->files[world->count++];
    (void)snprintf(path, sizeof path, "%s/%s", spool_path, name);
    (void)snprintf(file->name, sizeof file->name, "%s", name);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    FUZZ_CHECK(fd >= 0 && fstat(fd, &status) == 0);
    file->length = (size_t)status.st_size;
    file->bytes = malloc(file->length + 1);
    FUZZ_CHECK(file->bytes && read(fd, file->bytes, file->length) == (ssize_t)file->length);
    (void)close(fd);
}

static void keep_below(struct world *world, const char *folder)
{
    char path[800];
    struct dirent **names = NULL;
    (void)snprintf(path, sizeof path, "%s/%s", spool_path, folder);
    int count = scandir(path, &names, NULL, alphasort);
    FUZZ_CHECK(count >= 0);
    for (int i = 0; i < count; i++) {
        char name[400];
        struct stat status;
        (void)snprintf(name, sizeof name, "%.100s%s%.200s", folder, folder[0] ? "/" : "",
                       names[i]->d_name);
        (void)snprintf(path, sizeof path, "%s/%s", spool_path, name);
        bool is_ours = names[i]->d_name[0] != '.' && strcmp(name, "ledger.sqlite-shm") != 0 &&
                       lstat(path, &status) == 0;
        if (is_ours && S_ISDIR(status.st_mode))
            keep_below(world, name);
        else if (is_ours)
            keep_file(world, name);
        free(names[i]);
    }
    free(names);
}

void world_start(void)
{
    char path[400];
    (void)snprintf(spool_path, sizeof spool_path, "%s/spool", fuzz_directory());
    (void)snprintf(outside_path, sizeof outside_path, "%s/outside", fuzz_directory());
    FUZZ_CHECK(mkdir(outside_path, 0700) == 0);
    (void)snprintf(path, sizeof path, "%s/precious", outside_path);
    fuzz_write_file(path, "precious", 8);
    tame_sqlite();
    load_configs();
    for (unsigned size = 0; size < WORLD_SIZES; size++) {
        random_state = 1;
        world_now_ms = WORLD_NOW_MS;
        fuzz_remove_tree(spool_path);
        live_first();
        if (size == WORLD_LARGE)
            live_long();
        struct bridge *bridge = live_on();
        keep_below(&worlds[size], "");
        bridge_free(bridge);
    }
}

const char *world_spool(void)
{
    return spool_path;
}

const char *world_outside(void)
{
    return outside_path;
}

size_t world_file_count(enum world_size size)
{
    return worlds[size].count;
}

const struct world_file *world_file(enum world_size size, size_t index)
{
    return &worlds[size].files[index % worlds[size].count];
}

static void make_folders(const char *path)
{
    char partial[800];
    (void)snprintf(partial, sizeof partial, "%s", path);
    for (char *at = partial + strlen(spool_path); *at; at++) {
        if (*at != '/')
            continue;
        *at = '\0';
        (void)mkdir(partial, 0700); /* may be there */
        *at = '/';
    }
}

void world_lay_out(enum world_size size)
{
    static const char *const folders[] = {"incoming", "studies", "entries", "packages"};
    char path[800];
    fuzz_remove_tree(spool_path);
    FUZZ_CHECK(mkdir(spool_path, 0700) == 0);
    for (size_t i = 0; i < sizeof folders / sizeof *folders; i++) {
        (void)snprintf(path, sizeof path, "%s/%s", spool_path, folders[i]);
        FUZZ_CHECK(mkdir(path, 0700) == 0);
    }
    for (size_t i = 0; i < worlds[size].count; i++) {
        const struct world_file *file = &worlds[size].files[i];
        const struct timespec times[2] = {{.tv_sec = WORLD_NOW_MS / 1000},
                                          {.tv_sec = WORLD_NOW_MS / 1000}};
        (void)snprintf(path, sizeof path, "%s/%s", spool_path, file->name);
        make_folders(path);
        fuzz_write_file(path, file->bytes, file->length);
        FUZZ_CHECK(utimensat(AT_FDCWD, path, times, 0) == 0);
    }
    random_state = 2;
    world_now_ms = WORLD_NOW_MS + 3600 * 1000;
}
