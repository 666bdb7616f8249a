/* When reception closes and opens: free space, files and refusals are what the test says they are.
 */
#include "spool_fixture.h"
#include "suite.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define MIB     (UINT64_C(1) << 20)
#define GIB     (UINT64_C(1) << 30)
#define RESERVE GIB
#define MARGIN  (GIB / 8)

static atomic_ullong free_bytes;
static atomic_ullong free_files;
static atomic_int statvfs_fails; /* errno */
static atomic_int trial_fails;   /* errno */
static atomic_ullong trial_length;

int __wrap_statvfs(const char *path, struct statvfs *out);
int __wrap_fallocate(int fd, int mode, off_t offset, off_t length);

int __wrap_statvfs(const char *path, struct statvfs *out)
{
    (void)path;
    errno = atomic_load(&statvfs_fails);
    *out = (struct statvfs){.f_frsize = 4096,
                            .f_bavail = atomic_load(&free_bytes) / 4096,
                            .f_files = 1000000,
                            .f_favail = atomic_load(&free_files)};
    return errno ? -1 : 0;
}

int __wrap_fallocate(int fd, int mode, off_t offset, off_t length)
{
    (void)fd;
    (void)mode;
    (void)offset;
    atomic_store(&trial_length, (unsigned long long)length);
    errno = atomic_load(&trial_fails);
    return errno ? -1 : 0;
}

/* While a case runs, what is logged goes to a file in memory. */
static int log_fd = -1;
static int real_stderr = -1;

static unsigned logged(const char *words)
{
    static char text[65536];
    ssize_t length = pread(log_fd, text, sizeof text - 1, 0);
    CU_ASSERT_TRUE_FATAL(length >= 0);
    text[length] = '\0';
    unsigned count = 0;
    for (const char *at = text; (at = strstr(at, words)) != NULL; at++)
        count++;
    return count;
}

static void begin(struct fixture *fixture)
{
    atomic_store(&free_bytes, 100 * GIB);
    atomic_store(&free_files, 1000000);
    atomic_store(&statvfs_fails, 0);
    atomic_store(&trial_fails, 0);
    fixture_open(fixture);
    spool_set_reserve(fixture->spool, RESERVE);
    log_fd = memfd_create("log", MFD_CLOEXEC);
    real_stderr = dup(STDERR_FILENO);
    CU_ASSERT_TRUE_FATAL(log_fd >= 0 && real_stderr >= 0);
    CU_ASSERT_TRUE_FATAL(dup2(log_fd, STDERR_FILENO) >= 0);
}

static void end(struct fixture *fixture)
{
    CU_ASSERT_TRUE(dup2(real_stderr, STDERR_FILENO) >= 0);
    CU_ASSERT_EQUAL(close(real_stderr), 0);
    CU_ASSERT_EQUAL(close(log_fd), 0);
    fixture_close(fixture);
}

static int store(struct fixture *fixture, const char *sop)
{
    struct stored_instance stored;
    char name[STORED_NAME_SIZE];
    return fixture_store(fixture, sop, 100, 100, &stored, name);
}

/* Free space goes up and down; what a sender hears is a matter of where it came from. */
static void test_levels(void)
{
    static const struct {
        uint64_t free;
        int admitted;
        bool opened;
        uint64_t wanted;
    } rows[] = {
        {100 * GIB, 0, false, 0},
        {RESERVE + 2 * MARGIN, 0, false, 0},
        {RESERVE + 2 * MARGIN - 4096, 0, false, 4096},
        {RESERVE + MARGIN, 0, false, MARGIN},
        {RESERVE + 4096, 0, false, 2 * MARGIN - 4096},
        {RESERVE, SPOOL_FULL, false, 2 * MARGIN},
        {RESERVE + 4096, SPOOL_FULL, false, 2 * MARGIN - 4096},
        {0, SPOOL_FULL, false, RESERVE + 2 * MARGIN},
        {RESERVE + MARGIN, SPOOL_FULL, false, MARGIN},
        {RESERVE + MARGIN + 4096, 0, true, MARGIN - 4096},
        {RESERVE + 4096, 0, false, 2 * MARGIN - 4096},
        {RESERVE, SPOOL_FULL, false, 2 * MARGIN},
        {100 * GIB, 0, true, 0},
    };
    struct fixture fixture;
    begin(&fixture);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct spool_look look;
        atomic_store(&free_bytes, rows[i].free);
        /* What closes is a sender, what opens is a look. */
        bool was_closed = spool_is_closed(fixture.spool, NULL);
        int before = spool_admit(fixture.spool, NULL);
        CU_ASSERT_EQUAL(before, was_closed ? SPOOL_FULL : rows[i].admitted);
        spool_look(fixture.spool, &look);
        CU_ASSERT_EQUAL(look.opened, rows[i].opened);
        CU_ASSERT_EQUAL(look.wanted, rows[i].wanted);
        CU_ASSERT_EQUAL(store(&fixture, "1.2.3"), rows[i].admitted);
        CU_ASSERT_EQUAL(fixture_entries(&fixture, "incoming"), 0);
    }
    CU_ASSERT_EQUAL(logged("reception is closed"), 2);
    CU_ASSERT_EQUAL(logged("reception is open again"), 2);
    end(&fixture);
}

static void test_margin(void)
{
    static const struct {
        uint64_t reserve, margin;
    } rows[] = {
        {0, 16 * MIB},         {MIB, 16 * MIB},      {128 * MIB, 16 * MIB},
        {256 * MIB, 32 * MIB}, {5 * GIB, 640 * MIB}, {100 * GIB, GIB},
    };
    struct fixture fixture;
    begin(&fixture);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct spool_look look;
        atomic_store(&free_bytes, rows[i].reserve);
        spool_set_reserve(fixture.spool, rows[i].reserve);
        CU_ASSERT_EQUAL(spool_admit(fixture.spool, NULL), SPOOL_FULL);
        atomic_store(&free_bytes, rows[i].reserve + rows[i].margin);
        spool_look(fixture.spool, &look);
        CU_ASSERT_FALSE(look.opened);
        atomic_store(&free_bytes, rows[i].reserve + rows[i].margin + 4096);
        spool_look(fixture.spool, &look);
        CU_ASSERT_TRUE(look.opened);
        /* Copies stop where reception opens. */
        CU_ASSERT_EQUAL(spool_check_space(fixture.spool, 4096, NULL), SPOOL_FULL);
        CU_ASSERT_EQUAL(spool_check_space(fixture.spool, 4095, NULL), 0);
    }
    end(&fixture);
}

/* An operator who lowers the reserve is heard at once. */
static void test_lowered_reserve_opens(void)
{
    struct fixture fixture;
    begin(&fixture);
    atomic_store(&free_bytes, RESERVE);
    CU_ASSERT_EQUAL(spool_admit(fixture.spool, NULL), SPOOL_FULL);
    spool_set_reserve(fixture.spool, RESERVE / 2);
    CU_ASSERT_EQUAL(spool_admit(fixture.spool, NULL), 0);
    end(&fixture);
}

/* What people are told: figures of now, and what to do. */
static void test_words(void)
{
    struct fixture fixture;
    struct spool_look look;
    struct error why = {""};
    begin(&fixture);
    CU_ASSERT_FALSE(spool_is_closed(fixture.spool, &why));
    CU_ASSERT_STRING_EQUAL(why.text, "");
    atomic_store(&free_bytes, RESERVE / 2);
    CU_ASSERT_EQUAL(spool_admit(fixture.spool, &why), SPOOL_FULL);
    CU_ASSERT_PTR_NOT_NULL(strstr(why.text, "has 512.0 MiB free, and 1.0 GiB are its reserve"));
    CU_ASSERT_PTR_NOT_NULL(strstr(why.text, "until more than 1.1 GiB are free"));
    CU_ASSERT_PTR_NOT_NULL(strstr(why.text, "lower spool.reserve"));
    CU_ASSERT_PTR_NOT_NULL(strstr(why.text, fixture.directory));
    atomic_store(&free_bytes, RESERVE / 4);
    spool_look(fixture.spool, &look);
    CU_ASSERT_TRUE(spool_is_closed(fixture.spool, &why));
    CU_ASSERT_PTR_NOT_NULL(strstr(why.text, "has 256.0 MiB free"));
    CU_ASSERT_EQUAL(spool_check_directory(fixture.directory, RESERVE, &why), SPOOL_FULL);
    CU_ASSERT_PTR_NOT_NULL(strstr(why.text, "has 256.0 MiB free"));
    atomic_store(&free_bytes, 9 * GIB);
    spool_look(fixture.spool, &look);
    CU_ASSERT_EQUAL(logged("is open again after 0.0 s: "), 1);
    CU_ASSERT_EQUAL(logged("has 9.0 GiB free, of which 1.0 GiB are its reserve"), 1);
    CU_ASSERT_EQUAL(spool_check_directory(fixture.directory, RESERVE, &why), 0);
    end(&fixture);
}

static void test_files_run_out(void)
{
    struct fixture fixture;
    struct spool_look look;
    struct error why = {""};
    begin(&fixture);
    atomic_store(&free_files, 255);
    CU_ASSERT_EQUAL(spool_admit(fixture.spool, &why), SPOOL_FULL);
    CU_ASSERT_PTR_NOT_NULL(strstr(why.text, "only 255 files more"));
    atomic_store(&free_files, 511);
    spool_look(fixture.spool, &look);
    CU_ASSERT_FALSE(look.opened);
    CU_ASSERT_EQUAL(look.wanted, MARGIN);
    atomic_store(&free_files, 512);
    spool_look(fixture.spool, &look);
    CU_ASSERT_TRUE(look.opened);
    CU_ASSERT_EQUAL(look.wanted, 0);
    end(&fixture);
}

/* A quota: plenty is free, and yet the disk takes nothing. */
static void test_refusal_opens_by_trial(void)
{
    struct fixture fixture;
    struct spool_look look;
    struct error why = {""};
    begin(&fixture);
    CU_ASSERT_FALSE(spool_is_full(fixture.spool));
    spool_refused(fixture.spool, "Disk quota exceeded");
    spool_refused(fixture.spool, "Disk quota exceeded");
    CU_ASSERT_EQUAL(store(&fixture, "1.2.3"), SPOOL_FULL);
    CU_ASSERT_TRUE(spool_is_closed(fixture.spool, &why));
    CU_ASSERT_PTR_NOT_NULL(strstr(why.text, "refused a write (Disk quota exceeded)"));
    CU_ASSERT_TRUE(spool_is_full(fixture.spool));
    atomic_store(&trial_fails, EDQUOT);
    for (int i = 0; i < 3; i++) {
        spool_look(fixture.spool, &look);
        CU_ASSERT_FALSE(look.opened);
        CU_ASSERT_EQUAL(look.wanted, MARGIN); /* what was completed may make room */
    }
    CU_ASSERT_EQUAL(atomic_load(&trial_length), MARGIN);
    CU_ASSERT_EQUAL(fixture_entries(&fixture, "incoming"), 0);
    atomic_store(&trial_fails, 0);
    spool_look(fixture.spool, &look);
    CU_ASSERT_TRUE(look.opened);
    CU_ASSERT_EQUAL(look.wanted, 0);
    CU_ASSERT_FALSE(spool_is_full(fixture.spool));
    CU_ASSERT_EQUAL(store(&fixture, "1.2.3"), 0);
    CU_ASSERT_EQUAL(logged("reception is closed"), 1);
    CU_ASSERT_EQUAL(logged("reception is open again"), 1);
    end(&fixture);
}

/* Closed for want of space, then the disk refuses as well: figures alone do not open. */
static void test_refusal_while_closed(void)
{
    struct fixture fixture;
    struct spool_look look;
    begin(&fixture);
    atomic_store(&free_bytes, RESERVE);
    CU_ASSERT_EQUAL(spool_admit(fixture.spool, NULL), SPOOL_FULL);
    spool_refused(fixture.spool, "No space left on device");
    atomic_store(&free_bytes, 100 * GIB);
    atomic_store(&trial_fails, ENOSPC);
    spool_look(fixture.spool, &look);
    CU_ASSERT_FALSE(look.opened);
    atomic_store(&trial_fails, 0);
    spool_look(fixture.spool, &look);
    CU_ASSERT_TRUE(look.opened);
    CU_ASSERT_EQUAL(logged("reception is closed"), 1);
    end(&fixture);
}

/* Where room cannot be asked for in advance, a little is written. */
static void test_trial_without_allocation(void)
{
    struct fixture fixture;
    struct spool_look look;
    begin(&fixture);
    spool_refused(fixture.spool, "No space left on device");
    atomic_store(&trial_fails, EOPNOTSUPP);
    spool_look(fixture.spool, &look);
    CU_ASSERT_TRUE(look.opened);
    CU_ASSERT_EQUAL(fixture_entries(&fixture, "incoming"), 0);
    end(&fixture);
}

static void test_disk_that_does_not_answer(void)
{
    struct fixture fixture;
    struct spool_look look;
    struct error why = {""};
    begin(&fixture);
    atomic_store(&statvfs_fails, EIO);
    CU_ASSERT_EQUAL(spool_admit(fixture.spool, &why), -1);
    CU_ASSERT_PTR_NOT_NULL(strstr(why.text, "asking the free space"));
    CU_ASSERT_EQUAL(store(&fixture, "1.2.3"), -1);
    spool_look(fixture.spool, &look);
    CU_ASSERT_FALSE(look.opened);
    CU_ASSERT_EQUAL(look.wanted, 0);
    CU_ASSERT_FALSE(spool_is_closed(fixture.spool, NULL));
    atomic_store(&statvfs_fails, 0);
    CU_ASSERT_EQUAL(store(&fixture, "1.2.3"), 0);
    end(&fixture);
}

/* An instance that began before reception closed may end while the reserve itself is not touched.
 */
static void test_begun_instance_ends(void)
{
    struct fixture fixture;
    struct spool_writer *writer;
    struct instance_request request = fixture_request("1.2.3");
    static uint8_t block[1024 * 1024];
    begin(&fixture);
    CU_ASSERT_EQUAL_FATAL(fixture_begin(&fixture, &writer, &request, NULL), 0);
    atomic_store(&free_bytes, RESERVE);
    CU_ASSERT_EQUAL(spool_admit(fixture.spool, NULL), SPOOL_FULL);
    atomic_store(&free_bytes, RESERVE + 4096);
    for (int i = 0; i < 20; i++)
        CU_ASSERT_EQUAL(spool_writer_write(writer, block, sizeof block, &fixture.err), 0);
    atomic_store(&free_bytes, RESERVE);
    int code = 0;
    for (int i = 0; i < 4 && code == 0; i++)
        code = spool_writer_write(writer, block, sizeof block, &fixture.err);
    CU_ASSERT_EQUAL(code, SPOOL_FULL);
    CU_ASSERT_EQUAL(fixture_entries(&fixture, "incoming"), 0);
    spool_writer_free(writer);
    end(&fixture);
}

static void *ask_often(void *context)
{
    for (int i = 0; i < 2000; i++)
        (void)spool_admit(context, NULL);
    return NULL;
}

/* However many senders meet it: one line for each change. */
static void test_many_senders_one_line(void)
{
    struct fixture fixture;
    pthread_t threads[8];
    begin(&fixture);
    atomic_store(&free_bytes, RESERVE);
    for (size_t i = 0; i < 8; i++)
        CU_ASSERT_EQUAL_FATAL(pthread_create(&threads[i], NULL, ask_often, fixture.spool), 0);
    for (size_t i = 0; i < 8; i++)
        CU_ASSERT_EQUAL(pthread_join(threads[i], NULL), 0);
    CU_ASSERT_EQUAL(logged("reception is closed"), 1);
    end(&fixture);
}

static CU_TestInfo cases[] = {SUITE_CASE(test_levels),
                              SUITE_CASE(test_margin),
                              SUITE_CASE(test_lowered_reserve_opens),
                              SUITE_CASE(test_words),
                              SUITE_CASE(test_files_run_out),
                              SUITE_CASE(test_refusal_opens_by_trial),
                              SUITE_CASE(test_refusal_while_closed),
                              SUITE_CASE(test_trial_without_allocation),
                              SUITE_CASE(test_disk_that_does_not_answer),
                              SUITE_CASE(test_begun_instance_ends),
                              SUITE_CASE(test_many_senders_one_line),
                              CU_TEST_INFO_NULL};
SUITE_MAIN("spool: room", cases)
