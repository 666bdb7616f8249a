/* The packer: which members are compressed while their study is still coming, by whom, and what
 * becomes of that when the study goes another way. */
#include "bridge_bench.h"

#include "aurabridge/fs.h"
#include "aurabridge/package.h"

#include <libdeflate.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

static atomic_uint compressed, compressed_by_idlers, looks;
static atomic_bool held; /* who compresses waits */
static char pixels[20001];

size_t __real_libdeflate_deflate_compress(struct libdeflate_compressor *compressor, const void *in,
                                          size_t in_size, void *out, size_t out_size);
size_t __wrap_libdeflate_deflate_compress(struct libdeflate_compressor *compressor, const void *in,
                                          size_t in_size, void *out, size_t out_size);
int __real_ledger_members_since(struct ledger *ledger, int64_t *after_id,
                                struct ledger_member *members, size_t size, size_t *count,
                                struct error *err);
int __wrap_ledger_members_since(struct ledger *ledger, int64_t *after_id,
                                struct ledger_member *members, size_t size, size_t *count,
                                struct error *err);

static void nap(void)
{
    (void)nanosleep(&(struct timespec){.tv_nsec = 2000000}, NULL);
}

size_t __wrap_libdeflate_deflate_compress(struct libdeflate_compressor *compressor, const void *in,
                                          size_t in_size, void *out, size_t out_size)
{
    atomic_fetch_add(&compressed, 1);
    atomic_fetch_add(&compressed_by_idlers, sched_getscheduler(0) == SCHED_IDLE);
    while (atomic_load(&held))
        nap();
    return __real_libdeflate_deflate_compress(compressor, in, in_size, out, out_size);
}

int __wrap_ledger_members_since(struct ledger *ledger, int64_t *after_id,
                                struct ledger_member *members, size_t size, size_t *count,
                                struct error *err)
{
    atomic_fetch_add(&looks, 1);
    return __real_ledger_members_since(ledger, after_id, members, size, count, err);
}

static atomic_ullong free_bytes; /* what the disk says is free; 0: as it is */

int __real_statvfs(const char *path, struct statvfs *out);
int __wrap_statvfs(const char *path, struct statvfs *out);

int __wrap_statvfs(const char *path, struct statvfs *out)
{
    int result = __real_statvfs(path, out);
    if (atomic_load(&free_bytes))
        *out = (struct statvfs){.f_frsize = 1, .f_bavail = atomic_load(&free_bytes)};
    return result;
}

static void open_bench(struct bench *bench, const char *map)
{
    memset(pixels, 'p', sizeof pixels - 1);
    atomic_store(&compressed, 0);
    atomic_store(&compressed_by_idlers, 0);
    atomic_store(&looks, 0);
    bench_open(bench, map);
}

static void start(struct bench *bench)
{
    CU_ASSERT_EQUAL_FATAL(packer_start(bench->bridge->packer, &bench->err), 0);
}

static void stop(struct bench *bench)
{
    atomic_store(&bench->bridge->stopping, true);
    packer_stop(bench->bridge->packer);
    atomic_store(&bench->bridge->stopping, false);
}

#define NAPS_MAX    30000 /* idle processors may be long in coming */
#define SILENT_NAPS 150   /* many times what a packer that asks by the clock would let pass */
#define SILENCES    20

static bool comes(atomic_uint *figure, unsigned wanted)
{
    for (int i = 0; i < NAPS_MAX && atomic_load(figure) < wanted; i++)
        nap();
    if (atomic_load(figure) != wanted)
        (void)fprintf(stderr, "\n  %u, not %u\n", atomic_load(figure), wanted);
    return atomic_load(figure) == wanted;
}

/* Whether the packer stops looking. The look that finds nothing more may come late on a machine
 * that has other things to do. */
static bool falls_silent(void)
{
    for (int i = 0; i < SILENCES; i++) {
        unsigned before = atomic_load(&looks);
        for (int naps = 0; naps < SILENT_NAPS; naps++)
            nap();
        if (atomic_load(&looks) == before)
            return true;
    }
    return false;
}

/* Waits until the packer has looked at all that is there, and judged it. */
static void let_it_look(struct bench *bench)
{
    unsigned before = atomic_load(&looks);
    for (int i = 0; i < NAPS_MAX && atomic_load(&looks) < before + 2; i++, nap())
        packer_notice(bench->bridge->packer);
    CU_ASSERT_TRUE(atomic_load(&looks) >= before + 2);
}

static bool files_become(struct bench *bench, unsigned wanted)
{
    for (int i = 0; i < NAPS_MAX && bench_files(bench, "packages") != wanted; i++)
        nap();
    return bench_files(bench, "packages") == wanted;
}

static void send_some(struct bench *bench, const char *study, unsigned first, unsigned count)
{
    for (unsigned i = first; i < first + count; i++) {
        char sop[64], series[64];
        (void)snprintf(sop, sizeof sop, "%s.%u", study, i + 1);
        (void)snprintf(series, sizeof series, "%s.0", study);
        (void)SEND(bench, .study = study, .series = series, .sop = sop, .pixels = pixels);
    }
}

/* How many members packing has to compress itself. */
static unsigned pack(struct bench *bench, int64_t id)
{
    struct package *package;
    struct ledger_study study = bench_study(bench, id);
    unsigned before = atomic_load(&compressed);
    CU_ASSERT_EQUAL_FATAL(package_open(&package, bench->bridge->spool, bench->bridge->press,
                                       bench->bridge->ledger, &study, COMPRESSION_AUTO, NULL, NULL,
                                       &bench->err),
                          0);
    package_close(package);
    return atomic_load(&compressed) - before;
}

static void test_members_are_made_as_they_come(void)
{
    struct bench bench;
    open_bench(&bench, NULL);
    start(&bench);
    send_some(&bench, "1.2.3", 0, 3);
    CU_ASSERT_TRUE(comes(&compressed, 3));
    send_some(&bench, "1.2.4", 0, 70); /* more than a page */
    send_some(&bench, "1.2.3", 3, 1);
    CU_ASSERT_TRUE(comes(&compressed, 74));
    CU_ASSERT_EQUAL(atomic_load(&compressed_by_idlers), 74);
    stop(&bench);
    CU_ASSERT_EQUAL(bench_study(&bench, 1).state, STUDY_RECEIVING);
    CU_ASSERT_EQUAL(pack(&bench, 1), 0);
    CU_ASSERT_EQUAL(pack(&bench, 2), 0);
    bench_close(&bench);
}

static void test_nothing_is_asked_when_nothing_comes(void)
{
    struct bench bench;
    open_bench(&bench, NULL);
    start(&bench);
    send_some(&bench, "1.2.3", 0, 1);
    CU_ASSERT_TRUE(comes(&compressed, 1));
    CU_ASSERT_TRUE(falls_silent());
    stop(&bench);
    bench_close(&bench);
}

static void test_a_restart_goes_on(void)
{
    struct bench bench;
    open_bench(&bench, NULL);
    send_some(&bench, "1.2.3", 0, 2);
    start(&bench); /* what came before it ran is compressed too */
    CU_ASSERT_TRUE(comes(&compressed, 2));
    stop(&bench);
    bench_stop(&bench);
    bench_start(&bench, NULL);
    start(&bench);
    send_some(&bench, "1.2.3", 2, 1);
    CU_ASSERT_TRUE(comes(&compressed, 3));
    stop(&bench);
    CU_ASSERT_EQUAL(pack(&bench, 1), 0);
    CU_ASSERT_EQUAL(atomic_load(&compressed), 3);
    bench_close(&bench);
}

static const char ct_alone[] =
    "- {name: ct, called: AURABRIDGE, calling: CT1, destination: main}\n";

static void reload(struct bench *bench, enum config_compression compression)
{
    struct config *config = bench_config(bench, ct_alone);
    size_t count = config->destination_count;
    config->upload.compression = compression;
    config->destination_count = 0; /* no destination, no worker */
    CU_ASSERT_EQUAL(bridge_reconfigure(bench->bridge, config, &bench->err), 0);
    config->destination_count = count;
    config_release(config);
}

static void test_unrouted_and_stored_are_left_alone(void)
{
    struct bench bench;
    open_bench(&bench, ct_alone);
    start(&bench);
    (void)SEND(&bench, .sop = "1.2.3.1", .pixels = pixels, .calling = "UNKNOWN");
    let_it_look(&bench);
    CU_ASSERT_EQUAL(atomic_load(&compressed), 0);
    reload(&bench, COMPRESSION_STORE);
    (void)SEND(&bench, .study = "1.2.4", .sop = "1.2.4.1", .pixels = pixels);
    let_it_look(&bench);
    reload(&bench, COMPRESSION_AUTO);
    send_some(&bench, "1.2.5", 0, 1); /* comes behind them */
    CU_ASSERT_TRUE(comes(&compressed, 1));
    stop(&bench);
    CU_ASSERT_EQUAL(pack(&bench, 3), 0);
    bench_close(&bench);
}

static void test_set_aside_studies_keep_nothing(void)
{
    struct bench bench;
    open_bench(&bench, NULL);
    start(&bench);
    (void)SEND(&bench, .sop = "1.2.3.1", .patient = "PAT1", .pixels = pixels);
    (void)SEND(&bench, .sop = "1.2.3.2", .patient = "PAT2", .pixels = pixels);
    CU_ASSERT_TRUE(comes(&compressed, 2));
    CU_ASSERT_TRUE(files_become(&bench, 2));
    let_it_look(&bench); /* what it did is judged by now */
    bench_assemble(&bench);
    bench_hang_up(&bench, 0);
    bench_pass(&bench, BENCH_QUIET_MS);
    CU_ASSERT_TRUE(bench_becomes(&bench, 1, STUDY_QUARANTINED));
    CU_ASSERT_TRUE(files_become(&bench, 0));
    stop(&bench);
    bench_close(&bench);
}

/* The member of a study that is discarded while it is compressed leaves nothing. */
static void test_discarded_while_compressed(void)
{
    struct bench bench;
    open_bench(&bench, NULL);
    atomic_store(&held, true);
    start(&bench);
    send_some(&bench, "1.2.3", 0, 1);
    CU_ASSERT_TRUE(comes(&compressed, 1));
    CU_ASSERT_EQUAL(ledger_study_discard(bench.bridge->ledger, 1, "test", &bench.err), 0);
    CU_ASSERT_EQUAL(bridge_clean_study(bench.bridge->ledger, bench.bridge->spool, 1, &bench.err),
                    0);
    CU_ASSERT_EQUAL(bench_files(&bench, "packages"), 0);
    atomic_store(&held, false);
    send_some(&bench, "1.2.4", 0, 1); /* when this is done, so is that */
    CU_ASSERT_TRUE(comes(&compressed, 2));
    CU_ASSERT_TRUE(files_become(&bench, 2));
    CU_ASSERT_EQUAL(package_remove(bench.bridge->spool, 2, &bench.err), 0);
    CU_ASSERT_EQUAL(bench_files(&bench, "packages"), 0);
    stop(&bench);
    bench_close(&bench);
}

static void leave(struct bench *bench, const char *name)
{
    char path[256];
    (void)snprintf(path, sizeof path, "%s/packages/%s", bench->spool, name);
    CU_ASSERT_EQUAL_FATAL(fs_write_atomic(path, "x", 1, &bench->err), 0);
}

/* A kill came between the ledger's word and the removal. */
static void test_packages_of_gone_studies_go_at_start(void)
{
    char path[256];
    struct bench bench;
    open_bench(&bench, NULL);
    send_some(&bench, "1.2.3", 0, 1);
    send_some(&bench, "1.2.4", 0, 1);
    (void)pack(&bench, 1);
    (void)pack(&bench, 2);
    CU_ASSERT_EQUAL(ledger_study_discard(bench.bridge->ledger, 1, "test", &bench.err), 0);
    leave(&bench, "S999.members");
    leave(&bench, "S998.deflated");
    leave(&bench, "S997.layout.part");
    leave(&bench, "README"); /* not ours */
    start(&bench);
    CU_ASSERT_TRUE(files_become(&bench, 4));
    (void)snprintf(path, sizeof path, "%s/packages/S2.layout", bench.spool);
    CU_ASSERT_EQUAL(access(path, F_OK), 0);
    stop(&bench);
    bench_close(&bench);
}

#define MIB (UINT64_C(1) << 20)

/* Room for instances comes before what is compressed for later. */
static void test_short_space_takes_it_back(void)
{
    struct bench bench;
    open_bench(&bench, NULL);
    start(&bench);
    send_some(&bench, "1.2.3", 0, 2);
    CU_ASSERT_TRUE(comes(&compressed, 2));
    CU_ASSERT_TRUE(files_become(&bench, 2));
    housekeeping_once(bench.bridge);
    CU_ASSERT_EQUAL(bench_files(&bench, "packages"), 2);
    atomic_store(&free_bytes, 20 * MIB); /* the reserve is 1 MiB, a margin 16 */
    for (int i = 0; i < NAPS_MAX && bench_files(&bench, "packages") > 0; i++, nap())
        housekeeping_once(bench.bridge); /* once the last hand has left it */
    CU_ASSERT_EQUAL(bench_files(&bench, "packages"), 0);
    send_some(&bench, "1.2.3", 2, 2);
    let_it_look(&bench);
    CU_ASSERT_EQUAL(atomic_load(&compressed), 2);
    atomic_store(&free_bytes, 0);
    stop(&bench);
    CU_ASSERT_EQUAL(pack(&bench, 1), 4);
    bench_close(&bench);
}

static CU_TestInfo cases[] = {SUITE_CASE(test_members_are_made_as_they_come),
                              SUITE_CASE(test_nothing_is_asked_when_nothing_comes),
                              SUITE_CASE(test_a_restart_goes_on),
                              SUITE_CASE(test_unrouted_and_stored_are_left_alone),
                              SUITE_CASE(test_set_aside_studies_keep_nothing),
                              SUITE_CASE(test_discarded_while_compressed),
                              SUITE_CASE(test_packages_of_gone_studies_go_at_start),
                              SUITE_CASE(test_short_space_takes_it_back),
                              CU_TEST_INFO_NULL};
SUITE_MAIN("packer", cases)
