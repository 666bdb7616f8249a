/* What is committed is there after a crash, whole and in order; what was not is not; room is used
 * again; and a sender's bytes are never taken for a record. */
#include "journal_bench.h"

#include "suite.h"

#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static atomic_bool syncs_fail, syncs_take_time, room_refused;
static atomic_uint syncs;

int __real_fdatasync(int fd);
int __wrap_fdatasync(int fd);
int __real_posix_fallocate(int fd, off_t offset, off_t length);
int __wrap_posix_fallocate(int fd, off_t offset, off_t length);
ssize_t __real_pread(int fd, void *bytes, size_t length, off_t offset);
ssize_t __wrap_pread(int fd, void *bytes, size_t length, off_t offset);

static off_t unreadable; /* a page of the segments that the disk does not give back; 0: none */

ssize_t __wrap_pread(int fd, void *bytes, size_t length, off_t offset)
{
    off_t end = offset + (off_t)length;
    if (unreadable == 0 || offset >= unreadable + 4096 || end <= unreadable)
        return __real_pread(fd, bytes, length, offset);
    if (offset < unreadable)
        return __real_pread(fd, bytes, (size_t)(unreadable - offset), offset);
    errno = EIO;
    return -1;
}

int __wrap_fdatasync(int fd)
{
    atomic_fetch_add(&syncs, 1);
    if (atomic_load(&syncs_take_time))
        (void)nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
    if (!atomic_load(&syncs_fail))
        return __real_fdatasync(fd);
    errno = EIO;
    return -1;
}

int __wrap_posix_fallocate(int fd, off_t offset, off_t length)
{
    return atomic_load(&room_refused) ? ENOSPC : __real_posix_fallocate(fd, offset, length);
}

/* What is due, as numbers of instances. */
static size_t due(struct journal_bench *bench, unsigned *instances, uint64_t *through)
{
    static struct journal_record record;
    struct journal_place places[64];
    size_t count;
    (void)journal_due(bench->journal, places, 64, &count, through);
    for (size_t i = 0; i < count; i++) {
        CU_ASSERT_EQUAL_FATAL(journal_read(bench->journal, &record, &places[i], &bench->err), 0);
        instances[i] = (unsigned)record.association.id;
    }
    return count;
}

static int settle_all(void *context, struct error *err)
{
    struct journal_bench *bench = context;
    unsigned instances[64];
    uint64_t through;
    (void)err;
    if (due(bench, instances, &through) > 0)
        journal_settle(bench->journal, through);
    return 0;
}

static const struct {
    size_t length, piece;
} shapes[] = {{1, 4096},      {511, 4096},    {512, 512},       {4096, 4096},   {4097, 4096},
              {20000, 65536}, {65536, 65536}, {131072, 100000}, {300001, 7001}, {0, 4096},
              {3, 1},         {5000, 4999},   {200000, 131072}};
#define SHAPES (sizeof shapes / sizeof *shapes)

static void test_what_is_committed_is_read_back(void)
{
    struct journal_bench bench;
    struct journal_place places[SHAPES];
    static struct journal_record record;
    size_t count;
    uint64_t through;
    journal_bench_open(&bench, 4);
    for (unsigned i = 0; i < SHAPES; i++)
        CU_ASSERT_EQUAL(journal_bench_commit(&bench, i, shapes[i].length, shapes[i].piece), 0);
    CU_ASSERT_TRUE(journal_due(bench.journal, places, SHAPES, &count, &through) > 700000);
    CU_ASSERT_EQUAL_FATAL(count, SHAPES);
    for (unsigned i = 0; i < SHAPES; i++) {
        CU_ASSERT_EQUAL(journal_read(bench.journal, &record, &places[i], &bench.err), 0);
        CU_ASSERT_TRUE(journal_bench_is(&bench, &record, i, shapes[i].length));
    }
    journal_bench_close(&bench);
}

/* Each figure and text, for a later version that puts them elsewhere. */
static void test_record_keeps_everything(void)
{
    struct journal_bench bench;
    struct journal_place place;
    static struct journal_record record;
    size_t count;
    uint64_t through;
    journal_bench_open(&bench, 4);
    CU_ASSERT_EQUAL(journal_bench_commit(&bench, 7, 100, 4096), 0);
    (void)journal_due(bench.journal, &place, 1, &count, &through);
    CU_ASSERT_EQUAL(journal_read(bench.journal, &record, &place, &bench.err), 0);
    const struct journal_entry *is = &record.entry, *was = journal_bench_entry(7, 100);
    CU_ASSERT_EQUAL(record.number, 1);
    CU_ASSERT_EQUAL(is->association->id, 7);
    CU_ASSERT_STRING_EQUAL(is->association->calling_ae_title, "CT1");
    CU_ASSERT_STRING_EQUAL(is->association->called_ae_title, "AURABRIDGE");
    CU_ASSERT_STRING_EQUAL(is->association->peer_address, "10.1.2.3");
    CU_ASSERT_STRING_EQUAL(is->request->sop_class_uid, was->request->sop_class_uid);
    CU_ASSERT_STRING_EQUAL(is->request->sop_instance_uid, "1.2.3.7");
    CU_ASSERT_STRING_EQUAL(is->request->transfer_syntax_uid, was->request->transfer_syntax_uid);
    CU_ASSERT_STRING_EQUAL(is->study_instance_uid, "1.2");
    CU_ASSERT_STRING_EQUAL(is->series_instance_uid, "1.2.4");
    CU_ASSERT_STRING_EQUAL(is->route_key, was->route_key);
    CU_ASSERT_STRING_EQUAL(is->entry_name, "ct");
    CU_ASSERT_STRING_EQUAL(is->destination, "main");
    CU_ASSERT_STRING_EQUAL(is->file_name, was->file_name);
    CU_ASSERT_STRING_EQUAL(is->part_name, "");
    CU_ASSERT_EQUAL(is->received_ms, 1007);
    CU_ASSERT_EQUAL(is->quiet_period_ms, 30000);
    CU_ASSERT_EQUAL(is->max_wait_ms, INT64_C(1) << 41);
    CU_ASSERT_EQUAL(is->changed_duplicate, 2);
    CU_ASSERT_EQUAL(is->priority, 1);
    CU_ASSERT_EQUAL(memcmp(is->stored->data_set_sha256, was->stored->data_set_sha256, SHA256_SIZE),
                    0);
    CU_ASSERT_EQUAL(is->stored->file_crc32, was->stored->file_crc32);
    CU_ASSERT_EQUAL(is->stored->file_size, 100);
    CU_ASSERT_EQUAL(is->stored->data_set_offset, 3);
    CU_ASSERT_EQUAL(is->stored->ending.ending, DATASET_TRUNCATED);
    CU_ASSERT_EQUAL(is->stored->ending.tag, 0x7FE00010);
    CU_ASSERT_EQUAL(is->stored->ending.missing, UINT64_C(1) << 40);
    CU_ASSERT_EQUAL(is->stored->ending.offset, 9);
    CU_ASSERT_EQUAL(
        memcmp(is->stored->attributes, was->stored->attributes, sizeof(struct attributes)), 0);
    journal_bench_close(&bench);
}

static void test_crash_loses_nothing_that_was_committed(void)
{
    struct journal_bench bench;
    unsigned instances[64];
    uint64_t through;
    journal_bench_open(&bench, 4);
    for (unsigned i = 1; i <= 5; i++)
        CU_ASSERT_EQUAL(journal_bench_commit(&bench, i, 50000, 20000), 0);
    CU_ASSERT_EQUAL(due(&bench, instances, &through), 5);
    journal_bench_crash(&bench);
    journal_bench_start(&bench);
    CU_ASSERT_EQUAL(journal_bench_commit(&bench, 9, 10, 4096), -1); /* not before the replay */
    CU_ASSERT_EQUAL(journal_bench_replay(&bench, 2, instances, 64), 3);
    CU_ASSERT_EQUAL(instances[0], 3);
    CU_ASSERT_EQUAL(instances[1], 4);
    CU_ASSERT_EQUAL(instances[2], 5);
    journal_resume(bench.journal, 2);
    /* They are elsewhere now: the next start knows nothing of them, whatever it is told. */
    CU_ASSERT_EQUAL(journal_bench_commit(&bench, 6, 50000, 20000), 0);
    journal_bench_crash(&bench);
    journal_bench_start(&bench);
    CU_ASSERT_EQUAL(journal_bench_replay(&bench, 0, instances, 64), 1);
    CU_ASSERT_EQUAL(instances[0], 6);
    journal_bench_close(&bench);
}

/* Numbers go on, or what comes after a restart would be taken for settled. */
static void test_numbers_go_on_after_a_restart(void)
{
    struct journal_bench bench;
    struct journal_backlog backlog;
    unsigned instances[64];
    journal_bench_open(&bench, 4);
    for (unsigned i = 1; i <= 3; i++)
        CU_ASSERT_EQUAL(journal_bench_commit(&bench, i, 100, 4096), 0);
    journal_bench_crash(&bench);
    journal_bench_start(&bench);
    CU_ASSERT_EQUAL(journal_bench_replay(&bench, 3, instances, 64), 0);
    journal_resume(bench.journal, 3);
    journal_backlog(bench.journal, &backlog);
    CU_ASSERT_EQUAL(backlog.last, 3);
    CU_ASSERT_EQUAL(backlog.bytes, 0);
    journal_bench_crash(&bench);
    journal_bench_start(&bench); /* the journal itself has none left: the ledger knows */
    CU_ASSERT_EQUAL(journal_bench_replay(&bench, 3, instances, 64), 0);
    journal_resume(bench.journal, 3);
    CU_ASSERT_EQUAL(journal_bench_commit(&bench, 4, 100, 4096), 0);
    journal_backlog(bench.journal, &backlog);
    CU_ASSERT_EQUAL(backlog.last, 4);
    CU_ASSERT_TRUE(backlog.bytes > 0);
    journal_bench_close(&bench);
}

/* Changes one byte of a segment's file. */
static void damage(const struct journal_bench *bench, unsigned id, off_t offset)
{
    char path[96];
    uint8_t byte = 0;
    journal_bench_segment(bench, id, path);
    int fd = open(path, O_RDWR);
    CU_ASSERT_EQUAL(pread(fd, &byte, 1, offset), 1);
    byte ^= 0x10;
    CU_ASSERT_EQUAL(pwrite(fd, &byte, 1, offset), 1);
    CU_ASSERT_EQUAL(close(fd), 0);
}

static void test_torn_records_are_not_shown(void)
{
    unsigned instances[64];
    for (unsigned at = 0; at < 300; at += 7) { /* a record has a little more */
        struct journal_bench bench;
        struct journal_place places[3];
        size_t count;
        uint64_t through;
        journal_bench_open(&bench, 2);
        for (unsigned i = 1; i <= 3; i++)
            CU_ASSERT_EQUAL(journal_bench_commit(&bench, i, 1000, 4096), 0);
        (void)journal_due(bench.journal, places, 3, &count, &through);
        journal_bench_crash(&bench);
        damage(&bench, places[1].segment, (off_t)places[1].block * 512 + at);
        journal_bench_start(&bench);
        CU_ASSERT_EQUAL(journal_bench_replay(&bench, 0, instances, 64), 2);
        CU_ASSERT_EQUAL(instances[0], 1);
        CU_ASSERT_EQUAL(instances[1], 3);
        journal_bench_close(&bench);
    }
}

static void test_torn_bytes_are_known_by_their_checksum(void)
{
    struct journal_bench bench;
    struct journal_place places[3];
    static struct journal_record record;
    size_t count;
    uint64_t through;
    journal_bench_open(&bench, 2);
    for (unsigned i = 1; i <= 3; i++)
        CU_ASSERT_EQUAL(journal_bench_commit(&bench, i, 10000, 4096), 0);
    (void)journal_due(bench.journal, places, 3, &count, &through);
    CU_ASSERT_EQUAL(journal_read(bench.journal, &record, &places[1], &bench.err), 0);
    damage(&bench, record.extents[1].segment, (off_t)record.extents[1].offset + 77);
    for (unsigned i = 0; i < 3; i++) {
        bool is_whole = false;
        CU_ASSERT_EQUAL(journal_read(bench.journal, &record, &places[i], &bench.err), 0);
        CU_ASSERT_EQUAL(journal_check(bench.journal, &record, &is_whole, &bench.err), 0);
        CU_ASSERT_EQUAL(is_whole, i != 1);
    }
    journal_bench_close(&bench);
}

static unsigned files_of(const struct journal_bench *bench)
{
    unsigned count = 0;
    for (unsigned id = 1; id < 100; id++) {
        char path[96];
        journal_bench_segment(bench, id, path);
        count += access(path, F_OK) == 0;
    }
    return count;
}

static bool is_set_aside(const struct journal_bench *bench)
{
    char pattern[128];
    glob_t found;
    (void)snprintf(pattern, sizeof pattern, "%s/*.unreadable", bench->directory);
    int failed = glob(pattern, 0, NULL, &found);
    bool is = failed == 0 && found.gl_pathc == 1;
    globfree(&found);
    return is;
}

/* Of three, the second's bytes or its record stand on a page that the disk does not give back. */
static void test_unreadable_page_harms_no_other(void)
{
    for (int is_record = 0; is_record < 2; is_record++) {
        struct journal_bench bench;
        struct journal_place places[3];
        static struct journal_record record;
        unsigned instances[8];
        size_t count;
        uint64_t through;
        bool is_whole;
        journal_bench_open(&bench, 2);
        for (unsigned i = 1; i <= 3; i++)
            CU_ASSERT_EQUAL(journal_bench_commit(&bench, i, 100000, 70000), 0);
        (void)journal_due(bench.journal, places, 3, &count, &through);
        CU_ASSERT_EQUAL(journal_read(bench.journal, &record, &places[1], &bench.err), 0);
        off_t bytes_at = (off_t)record.extents[0].offset;
        unreadable = is_record ? (off_t)places[1].block * 512 / 4096 * 4096 : bytes_at;
        int code = journal_check(bench.journal, &record, &is_whole, &bench.err);
        CU_ASSERT_EQUAL(code, JOURNAL_UNREADABLE);
        journal_bench_crash(&bench);
        journal_bench_start(&bench);
        count = journal_bench_replay(&bench, 0, instances, 8);
        CU_ASSERT_EQUAL(count, is_record ? 2 : 3);
        CU_ASSERT_EQUAL(instances[0], 1);
        CU_ASSERT_EQUAL(instances[count - 1], 3);
        unreadable = 0;
        /* It is kept for whoever may get the bytes back, and another takes its place. */
        journal_resume(bench.journal, 0);
        CU_ASSERT_EQUAL(journal_bench_commit(&bench, 4, 1000, 4096), 0);
        CU_ASSERT_TRUE(is_set_aside(&bench));
        CU_ASSERT_EQUAL(files_of(&bench), 1);
        journal_bench_crash(&bench);
        journal_bench_start(&bench);
        CU_ASSERT_EQUAL(journal_bench_replay(&bench, 3, instances, 8), 1);
        CU_ASSERT_EQUAL(instances[0], 4);
        journal_bench_close(&bench);
    }
}

/* A sender that knows how records look, and even has one of this journal's former life. */
static void test_senders_bytes_are_no_records(void)
{
    struct journal_bench bench;
    struct journal_writer writer = {.count = 0};
    unsigned instances[64];
    uint64_t through;
    char path[96];
    journal_bench_open(&bench, 2);
    CU_ASSERT_EQUAL(journal_bench_commit(&bench, 66, 0, 4096), 0);
    uint8_t *segment = calloc(1, BENCH_SEGMENT);
    journal_bench_segment(&bench, 1, path);
    int fd = open(path, O_RDONLY);
    CU_ASSERT_EQUAL(pread(fd, segment, BENCH_SEGMENT, 0), (ssize_t)BENCH_SEGMENT);
    CU_ASSERT_EQUAL(close(fd), 0);
    CU_ASSERT_EQUAL(due(&bench, instances, &through), 1);
    journal_settle(bench.journal, through); /* and with that a new life begins */
    uint8_t *buffer = calloc(1, BENCH_BUFFER + JOURNAL_COMMIT_ROOM);
    memcpy(buffer, segment + 4096, 16384);
    CU_ASSERT_EQUAL(journal_commit(bench.journal, &writer, buffer, 16384,
                                   journal_bench_entry(5, 16384), &bench.err),
                    0);
    journal_bench_crash(&bench);
    journal_bench_start(&bench);
    CU_ASSERT_EQUAL(journal_bench_replay(&bench, 0, instances, 64), 1);
    CU_ASSERT_EQUAL(instances[0], 5);
    free(buffer);
    free(segment);
    journal_bench_close(&bench);
}

/* Many times what all segments hold goes through. */
static void test_room_is_used_again(void)
{
    struct journal_bench bench;
    journal_bench_open(&bench, 3);
    bench.options.make_room = settle_all;
    journal_bench_crash(&bench);
    bench.options.context = &bench;
    journal_bench_start(&bench);
    journal_resume(bench.journal, 0);
    for (unsigned i = 1; i <= 100; i++)
        CU_ASSERT_EQUAL_FATAL(journal_bench_commit(&bench, i, 200000, 70000), 0);
    CU_ASSERT_EQUAL(files_of(&bench), 3);
    journal_bench_close(&bench);
}

/* A little traffic that is settled at once stays in one warm segment. */
static void test_little_traffic_takes_little_room(void)
{
    struct journal_bench bench;
    journal_bench_open(&bench, 8);
    for (unsigned i = 1; i <= 100; i++) {
        CU_ASSERT_EQUAL_FATAL(journal_bench_commit(&bench, i, 100000, 70000), 0);
        CU_ASSERT_EQUAL(settle_all(&bench, NULL), 0);
    }
    CU_ASSERT_EQUAL(files_of(&bench), 1);
    journal_bench_close(&bench);
}

static int cannot(void *context, struct error *err)
{
    (void)context;
    return error_set(err, "the ledger is full");
}

static void test_full_journal_says_why(void)
{
    struct journal_bench bench;
    unsigned instances[64], stored = 0;
    journal_bench_open(&bench, 2);
    journal_bench_crash(&bench);
    bench.options.make_room = cannot;
    journal_bench_start(&bench);
    journal_resume(bench.journal, 0);
    int code = 0;
    while (code == 0 && stored < 100) {
        code = journal_bench_commit(&bench, stored + 1, 100000, 131072);
        stored += code == 0;
    }
    CU_ASSERT_EQUAL(code, JOURNAL_CROWDED);
    CU_ASSERT_STRING_EQUAL(bench.err.text, "the ledger is full");
    CU_ASSERT_TRUE(stored >= 18 && stored <= 20);
    journal_bench_crash(&bench);
    journal_bench_start(&bench);
    CU_ASSERT_EQUAL(journal_bench_replay(&bench, 0, instances, 64), stored);
    journal_bench_close(&bench);
}

#define PIECE 250000 /* four to a segment */

/* Slow senders must not take the room of all others. */
static void test_slow_senders_leave_room(void)
{
    struct journal_bench bench;
    struct journal_writer slow[16] = {{0}};
    uint8_t *piece = calloc(1, PIECE);
    unsigned took = 0;
    journal_bench_open(&bench, 4);
    bench.options.make_room = settle_all;
    journal_bench_crash(&bench);
    bench.options.context = &bench;
    journal_bench_start(&bench);
    journal_resume(bench.journal, 0);
    int code = 0;
    for (unsigned i = 0; i < 16 && code == 0; i++) {
        code = journal_append(bench.journal, &slow[i], piece, PIECE, NULL, 0, &bench.err);
        took += code == 0;
    }
    CU_ASSERT_EQUAL(code, JOURNAL_SPILL);
    CU_ASSERT_TRUE(took >= 8);
    for (unsigned i = 1; i <= 40; i++)
        CU_ASSERT_EQUAL_FATAL(journal_bench_commit(&bench, i, 100000, 131072), 0);
    for (unsigned i = 0; i < 16; i++)
        journal_abort(bench.journal, &slow[i]);
    CU_ASSERT_EQUAL(settle_all(&bench, NULL), 0);
    CU_ASSERT_EQUAL(journal_append(bench.journal, &slow[0], piece, PIECE, NULL, 0, &bench.err), 0);
    journal_abort(bench.journal, &slow[0]);
    free(piece);
    journal_bench_close(&bench);
}

static void test_writer_has_so_many_pieces(void)
{
    struct journal_bench bench;
    struct journal_writer writer = {.count = 0};
    uint8_t *buffer = calloc(1, BENCH_BUFFER + JOURNAL_COMMIT_ROOM);
    journal_bench_open(&bench, 4);
    int code = 0;
    while (code == 0 && writer.count <= JOURNAL_EXTENTS_MAX)
        code = journal_append(bench.journal, &writer, "x", 1, NULL, 0, &bench.err);
    CU_ASSERT_EQUAL(code, JOURNAL_SPILL);
    CU_ASSERT_EQUAL(writer.count, JOURNAL_EXTENTS_MAX - 1);
    buffer[0] = 'x';
    CU_ASSERT_EQUAL(journal_commit(bench.journal, &writer, buffer, 1,
                                   journal_bench_entry(1, JOURNAL_EXTENTS_MAX), &bench.err),
                    0);
    free(buffer);
    journal_bench_close(&bench);
}

/* The disk takes no file that is longer. */
static void limit_files(rlim_t bytes)
{
    static void (*handler)(int);
    struct rlimit limit;
    CU_ASSERT_EQUAL_FATAL(getrlimit(RLIMIT_FSIZE, &limit), 0);
    limit.rlim_cur = bytes == RLIM_INFINITY ? limit.rlim_max : bytes;
    if (bytes != RLIM_INFINITY)
        handler = signal(SIGXFSZ, SIG_IGN);
    CU_ASSERT_EQUAL_FATAL(setrlimit(RLIMIT_FSIZE, &limit), 0);
    if (bytes == RLIM_INFINITY)
        (void)signal(SIGXFSZ, handler);
}

/* It goes on by itself when there is room again, also when it never had a segment. */
static void test_disk_that_refused_a_segment_is_asked_again(void)
{
    struct journal_bench bench;
    const struct timespec moment = {.tv_nsec = 20000000};
    int code = JOURNAL_FULL;
    journal_bench_open(&bench, 4);
    limit_files(BENCH_SEGMENT / 2);
    CU_ASSERT_EQUAL(journal_bench_commit(&bench, 1, 1000, 4096), JOURNAL_FULL);
    limit_files(RLIM_INFINITY);
    for (int tries = 0; tries < 500 && code == JOURNAL_FULL; tries++) {
        code = journal_bench_commit(&bench, 1, 1000, 4096);
        (void)nanosleep(&moment, NULL);
    }
    CU_ASSERT_EQUAL(code, 0);
    journal_bench_close(&bench);
}

/* What could not be written takes no room for good. */
static void test_failed_writes_leave_no_segment_taken(void)
{
    struct journal_bench bench;
    uint64_t through;
    unsigned instances[64];
    journal_bench_open(&bench, 2);
    CU_ASSERT_EQUAL(journal_bench_commit(&bench, 1, 1000, 4096), 0);
    CU_ASSERT_EQUAL(due(&bench, instances, &through), 1);
    journal_settle(bench.journal, through);
    limit_files(4096);
    unsigned refused = 0;
    for (unsigned i = 0; i < 300; i++)
        refused += journal_bench_commit(&bench, 2, 10000, 20000) != 0;
    limit_files(RLIM_INFINITY);
    CU_ASSERT_EQUAL(refused, 300);
    CU_ASSERT_EQUAL(journal_bench_commit(&bench, 3, 1000, 4096), 0);
    CU_ASSERT_EQUAL(due(&bench, instances, &through), 1);
    journal_bench_close(&bench);
}

static void test_failed_sync_ends_it(void)
{
    struct journal_bench bench;
    unsigned instances[64];
    uint64_t through;
    journal_bench_open(&bench, 4);
    CU_ASSERT_EQUAL(journal_bench_commit(&bench, 1, 1000, 4096), 0);
    CU_ASSERT_EQUAL(journal_is_sound(bench.journal, &bench.err), 0);
    atomic_store(&syncs_fail, true);
    CU_ASSERT_EQUAL(journal_bench_commit(&bench, 2, 1000, 4096), JOURNAL_BROKEN);
    atomic_store(&syncs_fail, false);
    CU_ASSERT_EQUAL(journal_bench_commit(&bench, 3, 1000, 4096), JOURNAL_BROKEN);
    CU_ASSERT_EQUAL(journal_is_sound(bench.journal, &bench.err), -1);
    CU_ASSERT_PTR_NOT_NULL(strstr(bench.err.text, "restart the bridge"));
    CU_ASSERT_EQUAL(due(&bench, instances, &through), 1); /* what was durable is so */
    CU_ASSERT_EQUAL(instances[0], 1);
    journal_bench_close(&bench);
}

static void test_disk_that_is_full_from_the_start(void)
{
    struct journal_bench bench;
    journal_bench_open(&bench, 4);
    atomic_store(&room_refused, true);
    CU_ASSERT_EQUAL(journal_bench_commit(&bench, 1, 1000, 4096), JOURNAL_FULL);
    CU_ASSERT_EQUAL(files_of(&bench), 0);
    atomic_store(&room_refused, false);
    journal_bench_crash(&bench);
    journal_bench_start(&bench);
    journal_resume(bench.journal, 0);
    CU_ASSERT_EQUAL(journal_bench_commit(&bench, 1, 1000, 4096), 0);
    journal_bench_close(&bench);
}

/* What is there has to do, then. */
static void test_disk_that_has_room_for_some_segments(void)
{
    struct journal_bench bench;
    journal_bench_open(&bench, 8);
    bench.options.make_room = settle_all;
    journal_bench_crash(&bench);
    bench.options.context = &bench;
    journal_bench_start(&bench);
    journal_resume(bench.journal, 0);
    for (unsigned i = 1; i <= 12; i++)
        CU_ASSERT_EQUAL_FATAL(journal_bench_commit(&bench, i, 100000, 131072), 0);
    CU_ASSERT_EQUAL(files_of(&bench), 2);
    atomic_store(&room_refused, true);
    for (unsigned i = 13; i <= 60; i++)
        CU_ASSERT_EQUAL_FATAL(journal_bench_commit(&bench, i, 100000, 131072), 0);
    atomic_store(&room_refused, false);
    CU_ASSERT_EQUAL(files_of(&bench), 2);
    journal_bench_close(&bench);
}

static void test_another_size_is_taken_over(void)
{
    struct journal_bench bench;
    unsigned instances[64];
    struct stat status;
    char path[96];
    journal_bench_open(&bench, 4);
    for (unsigned i = 1; i <= 15; i++)
        CU_ASSERT_EQUAL_FATAL(journal_bench_commit(&bench, i, 100000, 131072), 0);
    journal_bench_crash(&bench);
    bench.options.segment_size = 2 * BENCH_SEGMENT;
    bench.options.segments = 2;
    journal_bench_start(&bench);
    CU_ASSERT_EQUAL(journal_bench_replay(&bench, 0, instances, 64), 15);
    journal_resume(bench.journal, 0);
    CU_ASSERT_EQUAL(files_of(&bench), 0);
    CU_ASSERT_EQUAL(journal_bench_commit(&bench, 16, 100000, 131072), 0);
    journal_bench_segment(&bench, 1, path);
    CU_ASSERT_EQUAL(stat(path, &status), 0);
    CU_ASSERT_EQUAL((uint64_t)status.st_size, 2 * BENCH_SEGMENT);
    CU_ASSERT_EQUAL(status.st_mode & 0777, 0600);
    journal_bench_close(&bench);
}

/* ---- many at once ---- */

#define SENDERS 16 /* four in each lane: while one syncs, the others come together */
#define EACH    20

struct sender {
    struct journal_bench *bench;
    unsigned first;
    int failed;
};

static void *send_some(void *context)
{
    struct sender *sender = context;
    for (unsigned i = 0; i < EACH; i++) {
        int code;
        /* In so small a journal, senders that are not given a processor may hold all of it for a
         * while: the spool would go on in a file, or refuse. Here it is tried again. */
        do
            code =
                journal_bench_commit(sender->bench, sender->first + i, (i * 7919) % 90000, 30000);
        while (code == JOURNAL_SPILL || code == JOURNAL_CROWDED);
        sender->failed |= code != 0;
    }
    return NULL;
}

static void send_at_once(struct journal_bench *bench)
{
    pthread_t threads[SENDERS];
    struct sender senders[SENDERS];
    for (unsigned i = 0; i < SENDERS; i++) {
        senders[i] = (struct sender){bench, 1 + i * EACH, 0};
        CU_ASSERT_EQUAL_FATAL(pthread_create(&threads[i], NULL, send_some, &senders[i]), 0);
    }
    for (unsigned i = 0; i < SENDERS; i++) {
        CU_ASSERT_EQUAL(pthread_join(threads[i], NULL), 0);
        CU_ASSERT_EQUAL(senders[i].failed, 0);
    }
}

static void test_many_share_a_sync(void)
{
    struct journal_bench bench;
    static unsigned instances[SENDERS * EACH];
    bool seen[SENDERS * EACH + 1] = {false};
    journal_bench_open(&bench, 32);
    atomic_store(&syncs, 0);
    atomic_store(&syncs_take_time, true);
    send_at_once(&bench);
    atomic_store(&syncs_take_time, false);
    CU_ASSERT_TRUE(atomic_load(&syncs) < SENDERS * EACH);
    journal_bench_crash(&bench);
    journal_bench_start(&bench);
    CU_ASSERT_EQUAL(journal_bench_replay(&bench, 0, instances, SENDERS * EACH), SENDERS * EACH);
    for (unsigned i = 0; i < SENDERS * EACH; i++)
        seen[instances[i]] = true;
    for (unsigned i = 1; i <= SENDERS * EACH; i++)
        CU_ASSERT_TRUE(seen[i]);
    journal_bench_close(&bench);
}

struct settling {
    struct journal_bench *bench;
    atomic_bool stops;
    unsigned settled, out_of_order;
    uint64_t last;
    pthread_mutex_t lock;
};

static int settle_checked(void *context, struct error *err)
{
    struct settling *settling = context;
    struct journal_place places[64];
    static struct journal_record record;
    size_t count;
    uint64_t through;
    pthread_mutex_lock(&settling->lock);
    (void)journal_due(settling->bench->journal, places, 64, &count, &through);
    for (size_t i = 0; i < count; i++) {
        bool is_whole = false;
        settling->out_of_order += places[i].number <= settling->last;
        settling->last = places[i].number;
        if (journal_read(settling->bench->journal, &record, &places[i], err) == 0 &&
            journal_check(settling->bench->journal, &record, &is_whole, err) == 0)
            settling->settled += is_whole && record.number == places[i].number;
    }
    if (count > 0)
        journal_settle(settling->bench->journal, through);
    pthread_mutex_unlock(&settling->lock);
    return 0;
}

static void *settle_until_told(void *context)
{
    struct settling *settling = context;
    while (!atomic_load(&settling->stops)) {
        (void)settle_checked(settling, NULL);
        journal_wait(settling->bench->journal, 5);
    }
    return NULL;
}

static void test_settling_beside_senders(void)
{
    struct journal_bench bench;
    struct journal_backlog backlog;
    struct settling settling = {.bench = &bench, .lock = PTHREAD_MUTEX_INITIALIZER};
    pthread_t thread;
    journal_bench_open(&bench, 4);
    journal_bench_crash(&bench);
    bench.options.make_room = settle_checked;
    bench.options.context = &settling;
    journal_bench_start(&bench);
    journal_resume(bench.journal, 0);
    CU_ASSERT_EQUAL_FATAL(pthread_create(&thread, NULL, settle_until_told, &settling), 0);
    send_at_once(&bench);
    atomic_store(&settling.stops, true);
    journal_wake(bench.journal);
    CU_ASSERT_EQUAL(pthread_join(thread, NULL), 0);
    CU_ASSERT_EQUAL(settle_checked(&settling, NULL), 0);
    CU_ASSERT_EQUAL(settle_checked(&settling, NULL), 0);
    CU_ASSERT_EQUAL(settling.settled, SENDERS * EACH);
    CU_ASSERT_EQUAL(settling.out_of_order, 0);
    journal_backlog(bench.journal, &backlog);
    CU_ASSERT_EQUAL(backlog.bytes, 0);
    journal_bench_close(&bench);
}

static CU_TestInfo cases[] = {
    SUITE_CASE(test_what_is_committed_is_read_back),
    SUITE_CASE(test_record_keeps_everything),
    SUITE_CASE(test_crash_loses_nothing_that_was_committed),
    SUITE_CASE(test_numbers_go_on_after_a_restart),
    SUITE_CASE(test_torn_records_are_not_shown),
    SUITE_CASE(test_torn_bytes_are_known_by_their_checksum),
    SUITE_CASE(test_unreadable_page_harms_no_other),
    SUITE_CASE(test_senders_bytes_are_no_records),
    SUITE_CASE(test_room_is_used_again),
    SUITE_CASE(test_little_traffic_takes_little_room),
    SUITE_CASE(test_full_journal_says_why),
    SUITE_CASE(test_slow_senders_leave_room),
    SUITE_CASE(test_writer_has_so_many_pieces),
    SUITE_CASE(test_disk_that_refused_a_segment_is_asked_again),
    SUITE_CASE(test_failed_writes_leave_no_segment_taken),
    SUITE_CASE(test_failed_sync_ends_it),
    SUITE_CASE(test_disk_that_is_full_from_the_start),
    SUITE_CASE(test_disk_that_has_room_for_some_segments),
    SUITE_CASE(test_another_size_is_taken_over),
    SUITE_CASE(test_many_share_a_sync),
    SUITE_CASE(test_settling_beside_senders),
    CU_TEST_INFO_NULL,
};
SUITE_MAIN("journal", cases)
