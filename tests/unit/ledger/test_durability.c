/* Bad days: kill -9, disks that fail, files that are forged or newer; and shared commits. The
 * test stands between SQLite and the disk: it counts syncs, slows them and makes them fail. */
#include "bench.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static atomic_uint syncs;
static atomic_int disk_is_full;  /* errno of a write, 0: it is not */
static atomic_int sync_fails;    /* errno, 0: it does not */
static atomic_bool file_is_full; /* the ledger file itself, not its log */
static atomic_uint refused_to_file;
static atomic_bool files_cannot_grow;
static atomic_bool disk_is_slow;
static atomic_bool disk_is_fast; /* says that it has synced */

int fdatasync(int fd)
{
    atomic_fetch_add(&syncs, 1);
    if (atomic_load(&sync_fails)) {
        errno = atomic_load(&sync_fails);
        return -1;
    }
    if (atomic_load(&disk_is_slow)) {
        const struct timespec latency = {.tv_nsec = 1000000};
        (void)nanosleep(&latency, NULL);
    }
    return atomic_load(&disk_is_fast) ? 0 : (int)syscall(SYS_fdatasync, fd);
}

static bool is_growth(int fd, size_t length, off64_t offset)
{
    struct stat status;
    return fstat(fd, &status) == 0 && offset + (off64_t)length > status.st_size;
}

static bool is_ledger_file(int fd)
{
    static const char ending[] = ".db";
    char link[64], path[256];
    (void)snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path);
    return length > (ssize_t)strlen(ending) &&
           memcmp(path + length - strlen(ending), ending, strlen(ending)) == 0;
}

ssize_t pwrite64(int fd, const void *bytes, size_t length, off64_t offset)
{
    if (atomic_load(&disk_is_full)) {
        errno = atomic_load(&disk_is_full);
        return -1;
    }
    if (atomic_load(&files_cannot_grow) && is_growth(fd, length, offset)) {
        errno = ENOSPC;
        return -1;
    }
    if (atomic_load(&file_is_full) && is_ledger_file(fd)) {
        atomic_fetch_add(&refused_to_file, 1);
        errno = ENOSPC;
        return -1;
    }
    return syscall(SYS_pwrite64, fd, bytes, length, offset);
}

enum { THREADS = 16, EACH = 50 };

struct sender {
    struct bench *bench;
    int number;
};

static void *send_some(void *context)
{
    struct sender *sender = context;
    for (int i = 0; i < EACH; i++) {
        char sop[32];
        (void)snprintf(sop, sizeof sop, "1.%d.%d", sender->number, i);
        SEND(sender->bench, .sop = sop);
    }
    return NULL;
}

static void test_commits_are_shared(void)
{
    struct bench *bench = bench_new(true);
    pthread_t threads[THREADS];
    struct sender senders[THREADS];
    atomic_store(&disk_is_slow, true);
    atomic_store(&syncs, 0);
    for (int i = 0; i < THREADS; i++) {
        senders[i] = (struct sender){bench, i};
        CU_ASSERT_EQUAL_FATAL(pthread_create(&threads[i], NULL, send_some, &senders[i]), 0);
    }
    for (int i = 0; i < THREADS; i++)
        CU_ASSERT_EQUAL(pthread_join(threads[i], NULL), 0);
    atomic_store(&disk_is_slow, false);
    unsigned used = atomic_load(&syncs);
    printf("(%d arrivals, %u syncs) ", THREADS * EACH, used);
    CU_ASSERT_TRUE(used > 0);
    CU_ASSERT_TRUE(used < THREADS * EACH / 2);
    CU_ASSERT_EQUAL(bench_study(bench, 1).instances, THREADS * EACH);
    bench_reopen(bench);
    CU_ASSERT_EQUAL(bench_study(bench, 1).instances, THREADS * EACH);
    CU_ASSERT_TRUE(bench_adds_up(bench));
    bench_free(bench);
}

/* One after the other: each is synced before it is answered. */
static void test_each_answer_is_synced(void)
{
    struct bench *bench = bench_new(true);
    for (int i = 0; i < 5; i++) {
        char sop[32];
        (void)snprintf(sop, sizeof sop, "1.%d", i);
        unsigned before = atomic_load(&syncs);
        SEND(bench, .sop = sop);
        CU_ASSERT_TRUE(atomic_load(&syncs) > before);
    }
    bench_free(bench);
}

struct half {
    struct bench *bench;
    int64_t id;
    int wrong;
};

/* Some of these fail by themselves; the others in their batch must not notice. */
static void *fail_often(void *context)
{
    struct half *half = context;
    for (int i = 0; i < EACH; i++) {
        if (ledger_advance(half->bench->ledger, 999, STUDY_READY, STUDY_PACKAGING, "x", NULL) !=
                LEDGER_NOT_FOUND ||
            ledger_set_warning(half->bench->ledger, half->id, "mine", NULL) != 0 ||
            ledger_defer(half->bench->ledger, half->id, STUDY_RECEIVING, i, "mine", true, NULL) !=
                0)
            half->wrong++;
    }
    return NULL;
}

static void test_a_failing_change_harms_no_other(void)
{
    struct bench *bench = bench_new(true);
    pthread_t threads[8];
    struct half halves[8];
    for (int i = 0; i < 8; i++) {
        char uid[32];
        (void)snprintf(uid, sizeof uid, "1.%d", i);
        halves[i] = (struct half){bench, SEND(bench, .study = uid).study_id, 0};
    }
    for (int i = 0; i < 8; i++)
        CU_ASSERT_EQUAL_FATAL(pthread_create(&threads[i], NULL, fail_often, &halves[i]), 0);
    for (int i = 0; i < 8; i++) {
        CU_ASSERT_EQUAL(pthread_join(threads[i], NULL), 0);
        CU_ASSERT_EQUAL(halves[i].wrong, 0);
        CU_ASSERT_EQUAL(bench_study(bench, halves[i].id).attempt, EACH);
        CU_ASSERT_STRING_EQUAL(bench_study(bench, halves[i].id).warning, "mine");
    }
    bench_free(bench);
}

static void send_until_killed(struct bench *bench, int pipe_end)
{
    ledger_close(bench->ledger);
    if (ledger_open(&bench->ledger, bench->path, &bench->clock, NULL) != 0)
        _exit(2);
    for (int i = 0;; i++) {
        char sop[32];
        (void)snprintf(sop, sizeof sop, "7.%d", i);
        SEND(bench, .sop = sop);
        if (write(pipe_end, "x", 1) != 1)
            _exit(3);
    }
}

static void test_survives_a_kill(void)
{
    struct bench *bench = bench_new(true);
    int ends[2];
    CU_ASSERT_EQUAL_FATAL(pipe(ends), 0);
    pid_t child = fork();
    CU_ASSERT_TRUE_FATAL(child >= 0);
    if (child == 0)
        send_until_killed(bench, ends[1]);
    (void)close(ends[1]);
    uint64_t acknowledged = 0;
    char byte;
    while (acknowledged < 300 && read(ends[0], &byte, 1) == 1)
        acknowledged++;
    CU_ASSERT_EQUAL(kill(child, SIGKILL), 0);
    while (read(ends[0], &byte, 1) == 1)
        acknowledged++;
    int status = 0;
    CU_ASSERT_EQUAL(waitpid(child, &status, 0), child);
    CU_ASSERT_TRUE(WIFSIGNALED(status));
    (void)close(ends[0]);
    CU_ASSERT_TRUE(acknowledged >= 300);
    bench_reopen(bench);
    uint64_t there = bench_study(bench, 1).instances;
    CU_ASSERT_TRUE(there == acknowledged || there == acknowledged + 1);
    CU_ASSERT_TRUE(bench_adds_up(bench));
    bench_free(bench);
}

static int try_to_send(struct bench *bench, const char *sop)
{
    const struct sent sent = {.sop = sop};
    struct ledger_arrival_outcome outcome;
    bench->files++;
    return ledger_instance_received(bench->ledger, &outcome, bench_arrival(bench, &sent),
                                    &bench->err);
}

/* After a failed sync nobody knows what is on the disk, whatever the reason: no change any more,
 * and no word on what is known, but reading goes on. */
static void test_a_failed_sync_ends_all_changes(void)
{
    static const int reasons[] = {EIO, ENOSPC};
    for (size_t i = 0; i < sizeof reasons / sizeof *reasons; i++) {
        struct bench *bench = bench_new(true);
        bool known = false;
        SEND(bench, .sop = "1");
        CU_ASSERT_EQUAL(ledger_is_sound(bench->ledger, NULL), 0);
        atomic_store(&sync_fails, reasons[i]);
        CU_ASSERT_EQUAL(try_to_send(bench, "2"), -1);
        CU_ASSERT_PTR_NOT_NULL(strstr(bench->err.text, "check the spool's disk"));
        atomic_store(&sync_fails, 0);
        CU_ASSERT_EQUAL(ledger_file_is_known(bench->ledger, "2.dcm", &known, NULL), -1);
        CU_ASSERT_TRUE(known);
        unsigned before = atomic_load(&syncs);
        CU_ASSERT_EQUAL(try_to_send(bench, "3"), -1);
        CU_ASSERT_PTR_NOT_NULL(strstr(bench->err.text, "restart the bridge"));
        CU_ASSERT_EQUAL(ledger_is_sound(bench->ledger, &bench->err), -1);
        CU_ASSERT_PTR_NOT_NULL(strstr(bench->err.text, "restart the bridge"));
        CU_ASSERT_EQUAL(ledger_set_warning(bench->ledger, 1, "x", NULL), -1);
        CU_ASSERT_EQUAL(atomic_load(&syncs), before);
        CU_ASSERT_EQUAL(bench_study(bench, 1).instances, 1);
        bench_reopen(bench);
        SEND(bench, .sop = "3");
        CU_ASSERT_TRUE(bench_adds_up(bench));
        bench_free(bench);
    }
}

static void test_a_full_disk_passes(void)
{
    static const int reasons[] = {ENOSPC, EDQUOT};
    for (size_t i = 0; i < sizeof reasons / sizeof *reasons; i++) {
        struct bench *bench = bench_new(true);
        bool known = true;
        SEND(bench, .sop = "1");
        atomic_store(&disk_is_full, reasons[i]);
        for (int tries = 0; tries < 3; tries++) {
            CU_ASSERT_EQUAL(try_to_send(bench, "2"), LEDGER_FULL);
            CU_ASSERT_EQUAL(ledger_file_is_known(bench->ledger, "2.dcm", &known, NULL), 0);
            CU_ASSERT_FALSE(known);
            CU_ASSERT_EQUAL(ledger_is_sound(bench->ledger, NULL), 0);
        }
        atomic_store(&disk_is_full, 0);
        CU_ASSERT_EQUAL(try_to_send(bench, "2"), 0);
        CU_ASSERT_EQUAL(bench_study(bench, 1).instances, 2);
        bench_reopen(bench);
        CU_ASSERT_EQUAL(bench_study(bench, 1).instances, 2);
        CU_ASSERT_TRUE(bench_adds_up(bench));
        bench_free(bench);
    }
}

/* A disk that fills while the log is folded into the file: what was answered is safe in the log. */
static void test_a_full_disk_at_the_checkpoint_passes(void)
{
    struct bench *bench = bench_new(true);
    struct ledger_upload upload = {.upload_id = "x"};
    memset(upload.upload_url, 'u', sizeof upload.upload_url - 1);
    SEND(bench, .sop = "1");
    for (int i = 0; i < 3000; i++) {
        upload.upload_offset = (uint64_t)i;
        atomic_store(&file_is_full, i >= 1000 && i < 2500);
        atomic_store(&disk_is_fast, true);
        CU_ASSERT_EQUAL(ledger_upload_put(bench->ledger, 1, &upload, &bench->err), 0);
    }
    atomic_store(&disk_is_fast, false);
    CU_ASSERT_EQUAL(ledger_is_sound(bench->ledger, NULL), 0);
    CU_ASSERT_TRUE(atomic_load(&refused_to_file) > 0);
    bench_reopen(bench);
    CU_ASSERT_EQUAL(bench_study(bench, 1).upload.upload_offset, 2999);
    CU_ASSERT_TRUE(bench_adds_up(bench));
    bench_free(bench);
}

/* What needs no more room than it has goes on: uploads, say, which free some. */
static void test_a_full_disk_takes_what_it_has_room_for(void)
{
    struct bench *bench = bench_new(true);
    struct ledger_upload upload = {.upload_id = "x"};
    SEND(bench, .sop = "1");
    CU_ASSERT_EQUAL(ledger_upload_put(bench->ledger, 1, &upload, &bench->err), 0);
    bench_reopen(bench);
    for (int i = 0; i < 20; i++)
        CU_ASSERT_EQUAL(ledger_set_warning(bench->ledger, 1, i % 2 ? "x" : "y", &bench->err), 0);
    atomic_store(&files_cannot_grow, true);
    unsigned refused = 0;
    for (unsigned i = 1; i <= 200; i++) {
        upload.upload_offset = i;
        int result = ledger_upload_put(bench->ledger, 1, &upload, &bench->err);
        CU_ASSERT_TRUE(result == 0 || result == LEDGER_FULL);
        refused += result != 0;
    }
    printf("(%u of 200 refused) ", refused);
    CU_ASSERT_TRUE(refused > 0 && refused < 20);
    CU_ASSERT_EQUAL(bench_study(bench, 1).upload.upload_offset, 200);
    atomic_store(&files_cannot_grow, false);
    bench_reopen(bench);
    CU_ASSERT_EQUAL(bench_study(bench, 1).upload.upload_offset, 200);
    bench_free(bench);
}

/* The write-ahead log is folded into the file, and by the writer, well before it is huge. */
static void test_the_log_stays_small(void)
{
    struct bench *bench = bench_new(true);
    struct ledger_upload upload = {.upload_id = "x"};
    char path[128];
    struct stat status;
    off_t largest = 0;
    SEND(bench, .sop = "1");
    memset(upload.upload_url, 'u', sizeof upload.upload_url - 1);
    (void)snprintf(path, sizeof path, "%s-wal", bench->path);
    atomic_store(&disk_is_fast, true);
    for (int i = 0; i < 6000; i++) {
        upload.upload_offset = (uint64_t)i;
        CU_ASSERT_EQUAL(ledger_upload_put(bench->ledger, 1, &upload, NULL), 0);
        if (stat(path, &status) == 0 && status.st_size > largest)
            largest = status.st_size;
    }
    atomic_store(&disk_is_fast, false);
    printf("(%lld KiB) ", (long long)largest / 1024);
    CU_ASSERT_TRUE(largest > 0);
    CU_ASSERT_TRUE(largest < 12 * 1024 * 1024);
    bench_free(bench);
}

static void overwrite(const char *path, off_t offset, const void *bytes, size_t length)
{
    int fd = open(path, O_WRONLY | O_CREAT, 0600);
    CU_ASSERT_TRUE_FATAL(fd >= 0);
    CU_ASSERT_EQUAL(lseek(fd, offset, SEEK_SET), offset);
    CU_ASSERT_EQUAL(write(fd, bytes, length), (ssize_t)length);
    CU_ASSERT_EQUAL(close(fd), 0);
}

/* What stands in the file's header (https://www.sqlite.org/fileformat.html, 1.3). */
static void test_forged_files(void)
{
    static const struct {
        const char *name;
        off_t offset;
        const char *bytes;
        size_t length;
        const char *words;
    } rows[] = {
        {"a newer schema", 60, "\0\0\0\143", 4, "newer AuraBridge (schema 99"},
        {"another program's file", 68, "\0\0\0\1", 4, "no ledger of AuraBridge"},
        {"a negative version", 60, "\377\377\377\377", 4, "never made"},
        {"no database", 0, "This is a text, not a database, whatever its name is.", 53, "damaged"},
        {"a broken schema page", 100, "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 16, "damaged"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct bench *bench = bench_new(true);
        struct ledger *ledger = NULL;
        SEND(bench, .sop = "1");
        ledger_close(bench->ledger);
        bench->ledger = NULL;
        overwrite(bench->path, rows[i].offset, rows[i].bytes, rows[i].length);
        bench->err.text[0] = '\0';
        CU_ASSERT_EQUAL(ledger_open(&ledger, bench->path, &bench->clock, &bench->err), -1);
        if (!strstr(bench->err.text, rows[i].words))
            printf("\n%s: \"%s\"\n", rows[i].name, bench->err.text);
        CU_ASSERT_PTR_NOT_NULL(strstr(bench->err.text, rows[i].words));
        CU_ASSERT_PTR_NULL(ledger);
        bench_free(bench);
    }
}

/* Garbage in the middle of the file: an error, never a crash or a wrong answer without one. */
static void test_damaged_pages(void)
{
    char garbage[4096];
    memset(garbage, 0xA5, sizeof garbage);
    for (off_t page = 1; page < 20; page++) {
        struct bench *bench = bench_new(true);
        for (int i = 0; i < 20; i++) {
            char sop[32];
            (void)snprintf(sop, sizeof sop, "1.%d", i);
            SEND(bench, .sop = sop);
        }
        ledger_close(bench->ledger);
        bench->ledger = NULL;
        struct stat status;
        CU_ASSERT_EQUAL(stat(bench->path, &status), 0);
        if (page * 4096 < status.st_size)
            overwrite(bench->path, page * 4096, garbage, sizeof garbage);
        if (ledger_open(&bench->ledger, bench->path, &bench->clock, &bench->err) == 0) {
            struct ledger_study study;
            if (ledger_study(bench->ledger, &study, 1, &bench->err) == 0)
                CU_ASSERT_EQUAL(study.instances, 20);
            (void)try_to_send(bench, "1.99");
        }
        bench_free(bench);
    }
}

static void test_the_file_is_private(void)
{
    struct bench *bench = bench_new(true);
    static const char *const endings[] = {"", "-wal", "-shm"};
    SEND(bench, .sop = "1");
    for (size_t i = 0; i < 3; i++) {
        char path[128];
        struct stat status;
        (void)snprintf(path, sizeof path, "%s%s", bench->path, endings[i]);
        CU_ASSERT_EQUAL(stat(path, &status), 0);
        CU_ASSERT_EQUAL(status.st_mode & 0777, 0600);
    }
    bench_free(bench);
}

static void test_paths_that_are_no_file(void)
{
    struct bench *bench = bench_new(true);
    struct ledger *ledger = NULL;
    CU_ASSERT_EQUAL(ledger_open(&ledger, bench->directory, &bench->clock, &bench->err), -1);
    CU_ASSERT_EQUAL(ledger_open(&ledger, "/nowhere/ledger.db", &bench->clock, &bench->err), -1);
    CU_ASSERT_PTR_NOT_NULL(strstr(bench->err.text, "/nowhere/ledger.db"));
    CU_ASSERT_EQUAL(ledger_open(&ledger, "/dev/null", &bench->clock, &bench->err), -1);
    CU_ASSERT_PTR_NULL(ledger);
    bench_free(bench);
}

static CU_TestInfo cases[] = {SUITE_CASE(test_commits_are_shared),
                              SUITE_CASE(test_each_answer_is_synced),
                              SUITE_CASE(test_a_failing_change_harms_no_other),
                              SUITE_CASE(test_survives_a_kill),
                              SUITE_CASE(test_a_failed_sync_ends_all_changes),
                              SUITE_CASE(test_a_full_disk_passes),
                              SUITE_CASE(test_a_full_disk_at_the_checkpoint_passes),
                              SUITE_CASE(test_a_full_disk_takes_what_it_has_room_for),
                              SUITE_CASE(test_the_log_stays_small),
                              SUITE_CASE(test_forged_files),
                              SUITE_CASE(test_damaged_pages),
                              SUITE_CASE(test_the_file_is_private),
                              SUITE_CASE(test_paths_that_are_no_file),
                              CU_TEST_INFO_NULL};
SUITE_MAIN("ledger: durability", cases)
