/* Reception into the spool: what is written, what is published, and what is left after failures. */
#include "spool_fixture.h"

#include "spool_publish.h"
#include "suite.h"

#include "aurabridge/fs.h"
#include "aurabridge/units.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define COUNT(array) (sizeof(array) / sizeof *(array))

/* ---- failures on demand ---- */

enum call { CALL_NONE, CALL_FSYNC, CALL_FDATASYNC, CALL_SYNCFS, CALL_CLOSE, CALL_RENAME };
static struct {
    enum call call;
    int after; /* calls that still succeed */
    int errnum;
} fault;
static atomic_uint fsyncs, fdatasyncs;

static bool strikes(enum call call)
{
    if (fault.call != call || fault.after-- > 0)
        return false;
    fault.call = CALL_NONE;
    errno = fault.errnum;
    return true;
}

int __real_fsync(int fd);
int __real_fdatasync(int fd);
int __real_syncfs(int fd);
int __real_close(int fd);
int __real_rename(const char *from, const char *to);
int __wrap_fsync(int fd);
int __wrap_fdatasync(int fd);
int __wrap_syncfs(int fd);
int __wrap_close(int fd);
int __wrap_rename(const char *from, const char *to);

int __wrap_fsync(int fd)
{
    atomic_fetch_add(&fsyncs, 1);
    return strikes(CALL_FSYNC) ? -1 : __real_fsync(fd);
}

int __wrap_fdatasync(int fd)
{
    atomic_fetch_add(&fdatasyncs, 1);
    return strikes(CALL_FDATASYNC) ? -1 : __real_fdatasync(fd);
}

int __wrap_syncfs(int fd)
{
    return strikes(CALL_SYNCFS) ? -1 : __real_syncfs(fd);
}

int __wrap_close(int fd)
{
    int result = __real_close(fd);
    return strikes(CALL_CLOSE) ? -1 : result;
}

int __wrap_rename(const char *from, const char *to)
{
    return strikes(CALL_RENAME) ? -1 : __real_rename(from, to);
}

/* ---- what is stored ---- */

static void test_bytes_and_digests(void)
{
    static const struct {
        uint32_t pixels;
        size_t piece;
    } rows[] = {{0, 1},           {64, 1},           {1000, 7},       {300000, 16378},
                {131072, 131072}, {524288, 1000000}, {262144, 65536}, {400001, 131073}};
    struct fixture fixture;
    fixture_open(&fixture);
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct stored_instance stored;
        char name[STORED_NAME_SIZE];
        size_t length, file_length;
        uint8_t digest[SHA256_SIZE];
        CU_ASSERT_EQUAL_FATAL(
            fixture_store(&fixture, "1.2.3.4", rows[i].pixels, rows[i].piece, &stored, name), 0);
        uint8_t *data_set = fixture_data_set("1.2.3.4", rows[i].pixels, &length);
        uint8_t *file = fixture_read(&fixture, name, &file_length);
        CU_ASSERT_EQUAL(stored.file_size, file_length);
        CU_ASSERT_EQUAL_FATAL(file_length, stored.data_set_offset + length);
        CU_ASSERT_EQUAL(memcmp(file + 128, "DICM", 4), 0);
        CU_ASSERT_EQUAL(memcmp(file + stored.data_set_offset, data_set, length), 0);
        CU_ASSERT_EQUAL(sha256_of(digest, data_set, length), 0);
        CU_ASSERT_EQUAL(memcmp(digest, stored.data_set_sha256, SHA256_SIZE), 0);
        CU_ASSERT_EQUAL(crc32_update(0, file, file_length), stored.file_crc32);
        CU_ASSERT_EQUAL(stored.ending.ending, DATASET_COMPLETE);
        CU_ASSERT_TRUE(spool_has(fixture.spool, name, file_length));
        CU_ASSERT_FALSE(spool_has(fixture.spool, name, file_length + 1));
        free(file);
        free(data_set);
    }
    CU_ASSERT_EQUAL(fixture_files(&fixture, "studies"), COUNT(rows));
    CU_ASSERT_EQUAL(fixture_files(&fixture, "incoming"), 0);
    fixture_close(&fixture);
}

static void test_attributes_and_name(void)
{
    struct fixture fixture;
    fixture_open(&fixture);
    struct instance_request request = fixture_request("1.2.3.4");
    struct spool_writer *writer;
    struct stored_instance stored;
    char name[STORED_NAME_SIZE];
    size_t length;
    uint8_t *bytes = fixture_data_set("1.2.3.4", 100, &length);
    CU_ASSERT_EQUAL_FATAL(fixture_begin(&fixture, &writer, &request, "ISO_IR 100"), 0);
    CU_ASSERT_EQUAL(fixture_files(&fixture, "incoming"), 0);
    CU_ASSERT_EQUAL(spool_writer_write(writer, bytes, length - 10, &fixture.err), 0);
    CU_ASSERT_EQUAL(fixture_publish(&fixture, writer, &stored, &request, name), -1);
    CU_ASSERT_EQUAL(spool_writer_finish(writer, &stored, &fixture.err), 0);
    CU_ASSERT_EQUAL(stored.ending.ending, DATASET_TRUNCATED);
    CU_ASSERT_EQUAL(stored.ending.missing, 10);
    CU_ASSERT_STRING_EQUAL(attributes_get(stored.attributes, ATTRIBUTE_PATIENT_ID), "P-17");
    CU_ASSERT_STRING_EQUAL(attributes_get(stored.attributes, ATTRIBUTE_STUDY_INSTANCE_UID),
                           STUDY_UID);
    CU_ASSERT_EQUAL(fixture_files(&fixture, "studies"), 0);
    CU_ASSERT_EQUAL(fixture_publish(&fixture, writer, &stored, &request, name), 0);
    CU_ASSERT_EQUAL(strncmp(name, STUDY_UID "@" ROUTE_KEY "/1.2.3.4.", 49), 0);
    CU_ASSERT_EQUAL(fixture_publish(&fixture, writer, &stored, &request, name), -1);
    spool_writer_free(writer);
    free(bytes);
    CU_ASSERT_EQUAL(fixture_files(&fixture, "studies"), 1);
    fixture_close(&fixture);
}

static void check_mode(const struct fixture *fixture, const char *name, mode_t mode)
{
    char path[512];
    struct stat status = {0};
    (void)snprintf(path, sizeof path, "%s/%s", fixture->directory, name);
    CU_ASSERT_EQUAL(lstat(path, &status), 0);
    CU_ASSERT_EQUAL(status.st_mode & 07777, mode);
}

static void test_modes(void)
{
    struct fixture fixture;
    struct stored_instance stored;
    char name[STORED_NAME_SIZE], path[STORED_NAME_SIZE + 16];
    mode_t before = umask(0);
    fixture_open(&fixture);
    CU_ASSERT_EQUAL_FATAL(fixture_store(&fixture, "1.2.3.4", 10, 100, &stored, name), 0);
    (void)umask(before);
    check_mode(&fixture, "incoming", 0700);
    check_mode(&fixture, "studies", 0700);
    check_mode(&fixture, "studies/" STUDY_UID "@" ROUTE_KEY, 0700);
    check_mode(&fixture, "lock", 0600);
    (void)snprintf(path, sizeof path, "studies/%s", name);
    check_mode(&fixture, path, 0600);
    fixture_close(&fixture);
}

/* ---- names ---- */

static void test_bad_names(void)
{
    static const char *const uids[] = {"", "..", "1.2/3", "../../etc", "1..2", "1.2.x"};
    static const char *const keys[] = {"", "..", "a/b", "a b", "0123456789abcdef0"};
    static const char *const names[] = {"",
                                        "/etc/passwd",
                                        "../lock",
                                        STUDY_UID "@" ROUTE_KEY,
                                        STUDY_UID "@" ROUTE_KEY "/",
                                        STUDY_UID "@" ROUTE_KEY "/../../lock",
                                        STUDY_UID "@" ROUTE_KEY "/1.2.3.0123456789abcdef.dcm/x",
                                        STUDY_UID "@../1.2.3.0123456789abcdef.dcm",
                                        "../1.2.3.0123456789abcdef.dcm",
                                        STUDY_UID "@" ROUTE_KEY "/1.2.3.dcm"};
    struct fixture fixture;
    struct spool_writer *writer;
    struct stored_instance stored;
    char name[STORED_NAME_SIZE];
    int fd;
    fixture_open(&fixture);
    for (size_t i = 0; i < COUNT(uids); i++) {
        struct instance_request request = fixture_request(uids[i]);
        CU_ASSERT_EQUAL(fixture_begin(&fixture, &writer, &request, NULL), -1);
        CU_ASSERT_PTR_NULL(writer);
    }
    for (size_t i = 0; i < COUNT(uids) + COUNT(keys); i++) {
        struct instance_request request = fixture_request("1.2.3");
        CU_ASSERT_EQUAL_FATAL(fixture_begin(&fixture, &writer, &request, NULL), 0);
        CU_ASSERT_EQUAL(spool_writer_finish(writer, &stored, &fixture.err), 0);
        const char *uid = i < COUNT(uids) ? uids[i] : STUDY_UID;
        const char *key = i < COUNT(uids) ? ROUTE_KEY : keys[i - COUNT(uids)];
        CU_ASSERT_EQUAL(spool_publish(fixture.spool, fixture.journal, writer, &stored,
                                      &fixture_association, &request, uid, key, name, &fixture.err),
                        -1);
        spool_writer_free(writer);
    }
    for (size_t i = 0; i < COUNT(names); i++) {
        CU_ASSERT_EQUAL(spool_read(&fd, fixture.spool, names[i], &fixture.err), -1);
        CU_ASSERT_EQUAL(spool_remove(fixture.spool, names[i], &fixture.err), -1);
        CU_ASSERT_FALSE(spool_has(fixture.spool, names[i], 0));
    }
    CU_ASSERT_EQUAL(fixture_entries(&fixture, "incoming"), 0);
    CU_ASSERT_EQUAL(fixture_entries(&fixture, "studies"), 0);
    fixture_close(&fixture);
}

static void test_aborted_leaves_nothing(void)
{
    struct fixture fixture;
    struct spool_writer *writer;
    struct instance_request request = fixture_request("1.2.3");
    fixture_open(&fixture);
    CU_ASSERT_EQUAL_FATAL(fixture_begin(&fixture, &writer, &request, NULL), 0);
    CU_ASSERT_EQUAL(spool_writer_write(writer, "abc", 3, &fixture.err), 0);
    spool_writer_free(writer);
    spool_writer_free(NULL);
    CU_ASSERT_EQUAL(fixture_entries(&fixture, "incoming"), 0);
    fixture_close(&fixture);
}

/* ---- a disk that refuses ---- */

static void test_reserve(void)
{
    struct fixture fixture;
    struct stored_instance stored;
    char name[STORED_NAME_SIZE];
    fixture_open(&fixture);
    CU_ASSERT_EQUAL(spool_check_space(fixture.spool, 0, &fixture.err), 0);
    CU_ASSERT_EQUAL(spool_check_space(fixture.spool, UINT64_MAX, &fixture.err), SPOOL_FULL);
    spool_set_reserve(fixture.spool, UINT64_C(1) << 60);
    CU_ASSERT_EQUAL(spool_check_space(fixture.spool, 0, &fixture.err), SPOOL_FULL);
    CU_ASSERT_EQUAL(spool_admit(fixture.spool, &fixture.err), SPOOL_FULL);
    CU_ASSERT_PTR_NOT_NULL(strstr(fixture.err.text, "reserve"));
    CU_ASSERT_EQUAL(fixture_store(&fixture, "1.2.3", 10, 10, &stored, name), SPOOL_FULL);
    CU_ASSERT_EQUAL(fixture_entries(&fixture, "incoming"), 0);
    spool_set_reserve(fixture.spool, 0);
    CU_ASSERT_EQUAL(fixture_store(&fixture, "1.2.3", 10, 10, &stored, name), 0);
    fixture_close(&fixture);
}

/* The reserve is met while a large instance grows. */
static void test_reserve_within_an_instance(void)
{
    struct fixture fixture;
    struct spool_writer *writer;
    struct instance_request request = fixture_request("1.2.3");
    static uint8_t block[1024 * 1024];
    fixture_open(&fixture);
    CU_ASSERT_EQUAL_FATAL(fixture_begin(&fixture, &writer, &request, NULL), 0);
    spool_set_reserve(fixture.spool, UINT64_C(1) << 60);
    int code = 0;
    unsigned written = 0;
    while (code == 0 && written < 100) {
        code = spool_writer_write(writer, block, sizeof block, &fixture.err);
        written++;
    }
    CU_ASSERT_EQUAL(code, SPOOL_FULL);
    CU_ASSERT_EQUAL(written, 4);
    CU_ASSERT_EQUAL(fixture_entries(&fixture, "incoming"), 0);
    CU_ASSERT_EQUAL(spool_writer_write(writer, block, 1, &fixture.err), SPOOL_FULL);
    spool_writer_free(writer);
    fixture_close(&fixture);
}

#define MIB (1024 * 1024)

/* Large enough for a file of its own. */
static void test_refused_write(void)
{
    struct fixture fixture;
    struct stored_instance stored;
    char name[STORED_NAME_SIZE];
    struct rlimit before, small;
    fixture_open(&fixture);
    CU_ASSERT_EQUAL_FATAL(getrlimit(RLIMIT_FSIZE, &before), 0);
    small = before;
    small.rlim_cur = 12 * MIB;
    void (*handler)(int) = signal(SIGXFSZ, SIG_IGN);
    CU_ASSERT_EQUAL_FATAL(setrlimit(RLIMIT_FSIZE, &small), 0);
    int streamed = fixture_store(&fixture, "1.2.3", 13 * MIB, 16384, &stored, name);
    struct error first = fixture.err;
    /* Only the last flush, in finish, meets the limit. */
    int flushed = fixture_store(&fixture, "1.2.3", 12 * MIB + 4000, 16384, &stored, name);
    CU_ASSERT_EQUAL_FATAL(setrlimit(RLIMIT_FSIZE, &before), 0);
    (void)signal(SIGXFSZ, handler);
    CU_ASSERT_EQUAL(streamed, SPOOL_FULL);
    CU_ASSERT_EQUAL(flushed, SPOOL_FULL);
    CU_ASSERT_FALSE(spool_is_closed(fixture.spool, NULL)); /* a smaller one may fit */
    CU_ASSERT_PTR_NOT_NULL(strstr(first.text, "1.2.3"));
    CU_ASSERT_EQUAL(fixture_entries(&fixture, "incoming"), 0);
    CU_ASSERT_EQUAL(fixture_entries(&fixture, "studies"), 0);
    CU_ASSERT_EQUAL(fixture_store(&fixture, "1.2.3", 13 * MIB, 16384, &stored, name), 0);
    fixture_close(&fixture);
}

#define LARGE (9 * MIB) /* has a file of its own */
#define SMALL 5000      /* is in the journal */

/* Every call fails once: the code is right, what was not committed leaves nothing, what was is put
 * in its place at the next try, the next instance is stored. */
static void test_failing_calls(void)
{
    static const struct {
        uint32_t pixels;
        enum call call;
        int after;
        int errnum;
        int code;
        bool is_committed;
    } rows[] = {
        {LARGE, CALL_FSYNC, 0, EIO, -1, false},
        {LARGE, CALL_FSYNC, 0, ENOSPC, SPOOL_FULL, false},
        {LARGE, CALL_FSYNC, 1, EIO, -1, false},
        {LARGE, CALL_CLOSE, 0, EIO, -1, false},
        {LARGE, CALL_CLOSE, 0, EDQUOT, SPOOL_FULL, false},
        {LARGE, CALL_RENAME, 0, EIO, -1, true},
        {LARGE, CALL_RENAME, 0, ENOSPC, SPOOL_FULL, true},
        {LARGE, CALL_SYNCFS, 0, EIO, -1, true},
        {SMALL, CALL_CLOSE, 0, EIO, -1, true},
        {SMALL, CALL_CLOSE, 0, EDQUOT, SPOOL_FULL, true},
        {SMALL, CALL_SYNCFS, 0, EIO, -1, true},
        {SMALL, CALL_SYNCFS, 0, ENOSPC, SPOOL_FULL, true},
        {SMALL, CALL_FDATASYNC, 0, EIO, -1, false},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct fixture fixture;
        struct stored_instance stored;
        char name[STORED_NAME_SIZE];
        fixture_open(&fixture);
        CU_ASSERT_EQUAL(fixture_store(&fixture, "1.2.2", 10, 10, &stored, name), 0);
        fault.call = rows[i].call;
        fault.after = rows[i].after;
        fault.errnum = rows[i].errnum;
        CU_ASSERT_EQUAL(fixture_store(&fixture, "1.2.3", rows[i].pixels, 65536, &stored, name),
                        rows[i].code);
        CU_ASSERT_EQUAL(fault.call, CALL_NONE);
        if (!rows[i].is_committed)
            CU_ASSERT_EQUAL(fixture_entries(&fixture, "incoming"), 0);
        /* Full, it lets senders in again only after a look. */
        struct spool_look look;
        bool is_full = rows[i].code == SPOOL_FULL;
        CU_ASSERT_EQUAL(spool_is_closed(fixture.spool, NULL), is_full);
        spool_look(fixture.spool, &look);
        CU_ASSERT_EQUAL(look.opened, is_full);
        CU_ASSERT_EQUAL(spool_publish_settle(fixture.spool, fixture.journal, &fixture.err), 0);
        /* After a failed sync the journal takes nothing more, before a restart. */
        bool is_broken = rows[i].call == CALL_FDATASYNC;
        CU_ASSERT_EQUAL(fixture_store(&fixture, "1.2.4", SMALL, 1000, &stored, name),
                        is_broken ? -1 : 0);
        CU_ASSERT_EQUAL(fixture_files(&fixture, "studies"), 1U + rows[i].is_committed + !is_broken);
        CU_ASSERT_EQUAL(fixture_entries(&fixture, "incoming"), 0);
        fixture_close(&fixture);
    }
}

/* One sync of the journal for a small one; a large one's own file and its name besides. */
static void test_what_is_synced(void)
{
    struct fixture fixture;
    struct stored_instance stored;
    char name[STORED_NAME_SIZE];
    fixture_open(&fixture);
    /* Now the journal has all its segments. */
    CU_ASSERT_EQUAL(fixture_store(&fixture, "1.2.3", LARGE, 65536, &stored, name), 0);
    atomic_store(&fsyncs, 0);
    atomic_store(&fdatasyncs, 0);
    CU_ASSERT_EQUAL(fixture_store(&fixture, "1.2.4", SMALL, 10, &stored, name), 0);
    CU_ASSERT_EQUAL(atomic_load(&fsyncs), 0);
    CU_ASSERT_EQUAL(atomic_load(&fdatasyncs), 1);
    CU_ASSERT_EQUAL(fixture_store(&fixture, "1.2.5", LARGE, 65536, &stored, name), 0);
    CU_ASSERT_EQUAL(atomic_load(&fsyncs), 2);
    fixture_close(&fixture);
}

/* ---- several at once ---- */

#define THREADS 4
#define ROUNDS  60

static void *publish_and_remove(void *context)
{
    struct fixture *fixture = context;
    struct fixture own = {.spool = fixture->spool, .journal = fixture->journal};
    for (unsigned i = 0; i < ROUNDS; i++) {
        struct stored_instance stored;
        char name[STORED_NAME_SIZE];
        if (fixture_store(&own, "1.2.3", 100, 100, &stored, name) != 0 ||
            !spool_has(own.spool, name, stored.file_size) ||
            spool_remove(own.spool, name, &own.err) != 0 ||
            spool_remove(own.spool, name, &own.err) != 0)
            return fixture;
    }
    return NULL;
}

static void test_folder_comes_and_goes(void)
{
    struct fixture fixture;
    pthread_t threads[THREADS];
    fixture_open(&fixture);
    for (size_t i = 0; i < THREADS; i++)
        CU_ASSERT_EQUAL_FATAL(pthread_create(&threads[i], NULL, publish_and_remove, &fixture), 0);
    for (size_t i = 0; i < THREADS; i++) {
        void *failed;
        CU_ASSERT_EQUAL(pthread_join(threads[i], &failed), 0);
        CU_ASSERT_PTR_NULL(failed);
    }
    CU_ASSERT_EQUAL(fixture_entries(&fixture, "studies"), 0);
    CU_ASSERT_EQUAL(fixture_entries(&fixture, "incoming"), 0);
    fixture_close(&fixture);
}

static void test_removal_keeps_the_others(void)
{
    struct fixture fixture;
    struct stored_instance stored;
    char first[STORED_NAME_SIZE], second[STORED_NAME_SIZE];
    fixture_open(&fixture);
    CU_ASSERT_EQUAL(fixture_store(&fixture, "1.2.3", 10, 10, &stored, first), 0);
    CU_ASSERT_EQUAL(fixture_store(&fixture, "1.2.3", 10, 10, &stored, second), 0);
    CU_ASSERT_STRING_NOT_EQUAL(first, second);
    CU_ASSERT_EQUAL(spool_remove(fixture.spool, first, &fixture.err), 0);
    CU_ASSERT_TRUE(spool_has(fixture.spool, second, stored.file_size));
    CU_ASSERT_EQUAL(spool_remove(fixture.spool, second, &fixture.err), 0);
    CU_ASSERT_EQUAL(fixture_entries(&fixture, "studies"), 0);
    fixture_close(&fixture);
}

/* ---- the lock ---- */

/* Removed for good: one sync for the folder that stays, one for the place of the one that goes. */
static void test_removal_of_many(void)
{
    struct fixture fixture;
    struct stored_instance stored;
    char names[4][STORED_NAME_SIZE];
    fixture_open(&fixture);
    for (int i = 0; i < 4; i++) {
        char sop[16];
        (void)snprintf(sop, sizeof sop, "1.2.%d", i);
        CU_ASSERT_EQUAL(fixture_store(&fixture, sop, 10, 10, &stored, names[i]), 0);
    }
    const char *const first[] = {names[0], names[1]};
    unsigned before = atomic_load(&fsyncs);
    CU_ASSERT_EQUAL(spool_remove_all(fixture.spool, first, 2, &fixture.err), 0);
    CU_ASSERT_EQUAL(atomic_load(&fsyncs), before + 1);
    CU_ASSERT_EQUAL(fixture_files(&fixture, "studies"), 2);
    /* A bad one does not keep the others, and is told; absent ones are fine. */
    const char *const rest[] = {names[0], "../lock", names[2], names[3]};
    CU_ASSERT_EQUAL(spool_remove_all(fixture.spool, rest, 4, &fixture.err), -1);
    CU_ASSERT_PTR_NOT_NULL(strstr(fixture.err.text, "../lock"));
    CU_ASSERT_EQUAL(fixture_entries(&fixture, "studies"), 0);
    CU_ASSERT_EQUAL(atomic_load(&fsyncs), before + 2);
    CU_ASSERT_EQUAL(spool_remove_all(fixture.spool, first, 2, &fixture.err), 0);
    CU_ASSERT_EQUAL(spool_remove_all(fixture.spool, NULL, 0, &fixture.err), 0);
    /* Not synced is not removed. */
    CU_ASSERT_EQUAL(fixture_store(&fixture, "1.2.9", 10, 10, &stored, names[0]), 0);
    fault.call = CALL_FSYNC;
    fault.after = 0;
    fault.errnum = EIO;
    CU_ASSERT_EQUAL(spool_remove_all(fixture.spool, first, 1, &fixture.err), -1);
    fixture_close(&fixture);
}

static void test_lock(void)
{
    struct fixture fixture;
    struct spool *second;
    char pid[32];
    fixture_open(&fixture);
    (void)snprintf(pid, sizeof pid, "process %ld", (long)getpid());
    CU_ASSERT_EQUAL(spool_open(&second, fixture.directory, 0, &fixture.err), -1);
    CU_ASSERT_PTR_NULL(second);
    CU_ASSERT_PTR_NOT_NULL(strstr(fixture.err.text, pid));
    pid_t child = fork();
    if (child == 0) {
        struct error err;
        _exit(spool_open(&second, fixture.directory, 0, &err) == -1 && strstr(err.text, pid) ? 0
                                                                                             : 1);
    }
    int status = -1;
    CU_ASSERT_EQUAL(waitpid(child, &status, 0), child);
    CU_ASSERT_EQUAL(status, 0);
    spool_close(fixture.spool);
    CU_ASSERT_EQUAL_FATAL(spool_open(&fixture.spool, fixture.directory, 0, &fixture.err), 0);
    CU_ASSERT_STRING_EQUAL(spool_directory(fixture.spool), fixture.directory);
    fixture_close(&fixture);
}

static void test_open_failures(void)
{
    struct fixture fixture;
    struct spool *spool;
    char path[256], longest[5000];
    fixture_open(&fixture);
    (void)snprintf(path, sizeof path, "%s/lock/below", fixture.directory);
    CU_ASSERT_EQUAL(spool_open(&spool, path, 0, &fixture.err), -1);
    CU_ASSERT_EQUAL(spool_open(&spool, "", 0, &fixture.err), -1);
    memset(longest, 'x', sizeof longest - 1);
    longest[sizeof longest - 1] = '\0';
    CU_ASSERT_EQUAL(spool_open(&spool, longest, 0, NULL), -1);
    (void)snprintf(path, sizeof path, "%s/a/b", fixture.directory);
    CU_ASSERT_EQUAL(spool_open(&spool, path, 0, &fixture.err), 0);
    spool_close(spool);
    spool_close(NULL);
    fixture_close(&fixture);
}

static CU_TestInfo cases[] = {SUITE_CASE(test_bytes_and_digests),
                              SUITE_CASE(test_attributes_and_name),
                              SUITE_CASE(test_modes),
                              SUITE_CASE(test_bad_names),
                              SUITE_CASE(test_aborted_leaves_nothing),
                              SUITE_CASE(test_reserve),
                              SUITE_CASE(test_reserve_within_an_instance),
                              SUITE_CASE(test_refused_write),
                              SUITE_CASE(test_failing_calls),
                              SUITE_CASE(test_what_is_synced),
                              SUITE_CASE(test_folder_comes_and_goes),
                              SUITE_CASE(test_removal_keeps_the_others),
                              SUITE_CASE(test_removal_of_many),
                              SUITE_CASE(test_lock),
                              SUITE_CASE(test_open_failures),
                              CU_TEST_INFO_NULL};
SUITE_MAIN("spool", cases)
