/* Recovery of a damaged spool. A spool with studies in all states is damaged as the input says
 * (spool_damage.c): ledger file, log, rows, instance files, names, times, foreign things. Then a
 * bridge is opened on it:
 *
 *   - it opens, or says why not in one line without patient data; it never crashes or hangs;
 *   - an intact file goes only when the same data set still stands beside it, was completed, or a
 *     configured rule has superseded it; no file's content ever changes; nothing outside is
 * touched;
 *   - foreign things in studies/ stay;
 *   - where the ledger itself is sound (whole, lost as a whole, or older than the files) the bridge
 *     does open, every row has its file or its study is held, every whole file has its row, the
 *     figures add up (law 2), and a second start changes nothing.
 */
#include "spool_damage.h"
#include "spool_inventory.h"

#include "aurabridge/bridge.h"
#include "aurabridge/package.h"
#include "bridge_state.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define LONG_AFTER_MS (200LL * 86400 * 1000) /* past all retention */

static struct inventory before, after;

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    fuzz_log_must_not_hold("Zyxwvut");
    world_start();
    return 0;
}

/* Whether the ledger can be believed. */
static bool is_sound(const struct damage *damage)
{
    return !damage->ledger || damage->is_lost || damage->restored;
}

/* ---- what the ledger says ---- */

struct rows {
    struct bridge *bridge;
    const struct damage *damage;
    const struct inventory_file *file; /* that is asked about */
    struct ledger_study study;
    bool has_digest;    /* a row of the same instance and data set */
    bool is_done;       /* such a row belongs to a completed study */
    bool is_superseded; /* such a row was superseded */
    bool is_let_go;     /* such a row, or its study, was let go by a person */
    bool has_standing;  /* another version of the instance is kept or completed */
};

static bool is_same_study(const struct rows *rows)
{
    return strcmp(rows->study.study_instance_uid, rows->file->study_instance_uid) == 0 &&
           strcmp(rows->study.route_key, rows->file->route_key) == 0;
}

static int look_at_instance(void *context, const struct ledger_instance *instance)
{
    struct rows *rows = context;
    if (strcmp(instance->request.sop_instance_uid, rows->file->sop_instance_uid) != 0)
        return 0;
    bool done = rows->study.state == STUDY_COMPLETED;
    if (memcmp(instance->data_set_sha256, rows->file->data_set, SHA256_SIZE) == 0) {
        rows->has_digest = true;
        rows->is_done = rows->is_done || done;
        rows->is_superseded = rows->is_superseded || instance->disposition == INSTANCE_SUPERSEDED;
        /* Final, too: only what is may be forgotten. */
        rows->is_let_go = rows->is_let_go || study_state_is_final(rows->study.state) ||
                          instance->disposition == INSTANCE_DISCARDED;
    } else {
        const struct inventory_file *other = inventory_find(&after, instance->file_name);
        rows->has_standing =
            rows->has_standing || done || (other && other->size == instance->file_size);
    }
    return 0;
}

static int look_at_study(void *context, const struct ledger_study *study)
{
    struct rows *rows = context;
    rows->study = *study;
    if (!is_same_study(rows))
        return 0;
    return ledger_instances(rows->bridge->ledger, study->id, -1, look_at_instance, rows, NULL);
}

/* ---- no file is lost ---- */

static bool stands_elsewhere(const struct inventory_file *file)
{
    for (size_t i = 0; i < after.count; i++) {
        const struct inventory_file *other = &after.files[i];
        if (other->is_whole && strcmp(other->study_instance_uid, file->study_instance_uid) == 0 &&
            strcmp(other->route_key, file->route_key) == 0 &&
            strcmp(other->sop_instance_uid, file->sop_instance_uid) == 0 &&
            memcmp(other->data_set, file->data_set, SHA256_SIZE) == 0)
            return true;
    }
    return false;
}

/* The file was there and is not any more. */
static void check_removed(struct bridge *bridge, const struct damage *damage,
                          const struct inventory_file *file)
{
    struct rows rows = {.bridge = bridge, .damage = damage, .file = file};
    FUZZ_CHECK_TEXT(file->is_published, file->name);
    if (!file->is_whole || stands_elsewhere(file) || !bridge)
        return;
    if (ledger_studies(bridge->ledger, -1, look_at_study, &rows, NULL) != 0)
        return; /* the rows cannot be read; what they said before is not known either */
    FUZZ_CHECK_TEXT(rows.is_done || rows.is_let_go || (rows.is_superseded && rows.has_standing),
                    file->name);
}

static void check_files(struct bridge *bridge, const struct damage *damage)
{
    for (size_t i = 0; i < before.count; i++) {
        const struct inventory_file *file = &before.files[i];
        const struct inventory_file *now = inventory_find(&after, file->name);
        if (now)
            FUZZ_CHECK_TEXT(now->size == file->size &&
                                memcmp(now->content, file->content, SHA256_SIZE) == 0,
                            file->name);
        else
            check_removed(bridge, damage, file);
    }
}

static void check_outside(void)
{
    char path[400];
    char content[16] = "";
    (void)snprintf(path, sizeof path, "%s/precious", world_outside());
    FILE *file = fopen(path, "re");
    FUZZ_CHECK(file && fread(content, 1, sizeof content, file) == 8 &&
               strcmp(content, "precious") == 0);
    (void)fclose(file);
}

/* ---- the ledger agrees with the files ---- */

static int check_row(void *context, int64_t study_id, int64_t instance_id, const char *file_name,
                     uint64_t file_size)
{
    struct bridge *bridge = context;
    struct ledger_study study;
    const struct inventory_file *file = inventory_find(&after, file_name);
    (void)instance_id;
    if (file && file->is_published && file->size == file_size)
        return 0;
    FUZZ_CHECK(ledger_study(bridge->ledger, &study, study_id, NULL) == 0);
    FUZZ_CHECK_TEXT(!study_state_allows(study.state, STUDY_QUARANTINED), file_name);
    return 0;
}

static void check_rows(struct bridge *bridge)
{
    struct error err = {""};
    FUZZ_CHECK_TEXT(ledger_files(bridge->ledger, check_row, bridge, &err) == 0, err.text);
    for (size_t i = 0; i < after.count; i++) {
        const struct inventory_file *file = &after.files[i];
        bool known = false;
        if (!file->is_published)
            continue;
        FUZZ_CHECK(ledger_file_is_known(bridge->ledger, file->name, &known, NULL) == 0);
        FUZZ_CHECK_TEXT(known || !file->is_whole, file->name);
    }
}

static void check_totals(const struct ledger_totals *totals)
{
    uint64_t sum = totals->dropped + totals->superseded + totals->resends +
                   totals->swallowed_resends + totals->discarded;
    for (unsigned i = 0; i < STUDY_STATE_COUNT; i++)
        sum += totals->instances[i];
    char text[64];
    (void)snprintf(text, sizeof text, "%" PRIu64 " acknowledged, %" PRIu64 " accounted for",
                   totals->acknowledged, sum);
    FUZZ_CHECK_TEXT(sum == totals->acknowledged, text);
}

/* ---- opening ---- */

static struct bridge *open_bridge(const struct damage *damage)
{
    struct bridge *bridge = NULL;
    struct error err = {""};
    if (bridge_open(&bridge, world_config(damage->policy), &world_clock, &err) == 0)
        return bridge;
    FUZZ_CHECK(!bridge);
    FUZZ_CHECK_TEXT(fuzz_is_line(err.text, sizeof err.text), err.text);
    FUZZ_CHECK_TEXT(!strstr(err.text, "Zyxwvut"), err.text);
    FUZZ_CHECK_TEXT(!is_sound(damage), err.text);
    return NULL;
}

/* What is due goes up: its archive is read as delivery reads it. */
static int read_archive(void *context, const struct ledger_study *study)
{
    struct bridge *bridge = context;
    struct package *package = NULL;
    struct error err = {""};
    uint8_t bytes[4096];
    uint64_t offset = 0;
    size_t got = 1;
    int failed = package_open(&package, bridge->spool, bridge->press, bridge->ledger, study,
                              COMPRESSION_AUTO, NULL, NULL, &err);
    while (!failed && got > 0) {
        failed = package_read(package, offset, bytes, sizeof bytes, &got, &err);
        offset += got;
    }
    if (failed)
        FUZZ_CHECK_TEXT(fuzz_is_line(err.text, sizeof err.text), err.text);
    else
        FUZZ_CHECK(offset == package_length(package));
    package_close(package);
    return 0;
}

static void start_again(const struct damage *damage, const struct ledger_totals *first)
{
    struct ledger_totals totals;
    struct bridge *bridge = open_bridge(damage);
    FUZZ_CHECK(ledger_totals(bridge->ledger, &totals, NULL) == 0);
    FUZZ_CHECK(memcmp(&totals, first, sizeof totals) == 0);
    bridge_free(bridge);
    inventory_take(&before, world_spool(), &after);
    FUZZ_CHECK(before.count == after.count);
}

static void judge(struct bridge *bridge, const struct damage *damage)
{
    struct ledger_totals totals;
    inventory_take(&after, world_spool(), &before);
    check_files(bridge, damage);
    check_outside();
    if (!bridge)
        return;
    if (damage->packs)
        (void)ledger_studies(bridge->ledger, STUDY_READY, read_archive, bridge, NULL);
    if (!is_sound(damage))
        return;
    check_rows(bridge);
    FUZZ_CHECK(ledger_totals(bridge->ledger, &totals, NULL) == 0);
    check_totals(&totals);
}

/* Long after, what is finished goes, and nothing else does. */
static void keep_house(struct bridge *bridge, const struct damage *damage)
{
    before = after;
    world_now_ms += LONG_AFTER_MS;
    housekeeping_once(bridge);
    inventory_take(&after, world_spool(), &before);
    if (!is_sound(damage))
        return;
    for (size_t i = 0; i < before.count; i++)
        if (!inventory_find(&after, before.files[i].name))
            FUZZ_CHECK_TEXT(strncmp(before.files[i].name, "1.2.3@", 6) == 0 ||
                                strncmp(before.files[i].name, "1.2.4@", 6) == 0,
                            before.files[i].name);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_input input = {data, size};
    struct damage damage;
    /* The fuzzer learns what is looked for. */
    if (size > 7 && memmem(data, size, "Zyxwvut", 7))
        return 0;
    damage_do(&damage, &input);
    inventory_take(&before, world_spool(), NULL);
    struct bridge *bridge = open_bridge(&damage);
    judge(bridge, &damage);
    if (bridge && damage.keeps_house)
        keep_house(bridge, &damage);
    if (bridge && is_sound(&damage) && damage.starts_again) {
        struct ledger_totals totals;
        FUZZ_CHECK(ledger_totals(bridge->ledger, &totals, NULL) == 0);
        bridge_free(bridge);
        start_again(&damage, &totals);
    } else {
        bridge_free(bridge);
    }
    return 0;
}
