/* Members compressed ahead of their archive: it is the same archive, whatever became of what was
 * compressed, and nothing is compressed twice without need. */
#include "archive_check.h"
#include "package_fixture.h"
#include "suite.h"

#include <fcntl.h>
#include <libdeflate.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define COUNT(array) (sizeof(array) / sizeof *(array))
#define RECORD_SIZE  64

static atomic_uint compressed;          /* members, in one call */
static void (*_Atomic meanwhile)(void); /* once, during the next of them */

size_t __real_libdeflate_deflate_compress(struct libdeflate_compressor *compressor, const void *in,
                                          size_t in_size, void *out, size_t out_size);
size_t __wrap_libdeflate_deflate_compress(struct libdeflate_compressor *compressor, const void *in,
                                          size_t in_size, void *out, size_t out_size);

size_t __wrap_libdeflate_deflate_compress(struct libdeflate_compressor *compressor, const void *in,
                                          size_t in_size, void *out, size_t out_size)
{
    void (*now)(void) = atomic_exchange(&meanwhile, NULL);
    if (now)
        now();
    atomic_fetch_add(&compressed, 1);
    return __real_libdeflate_deflate_compress(compressor, in, in_size, out, out_size);
}

/* What the disk says is free; 0: as it is. */
static unsigned long long free_bytes;

int __real_statvfs(const char *path, struct statvfs *out);
int __wrap_statvfs(const char *path, struct statvfs *out);

int __wrap_statvfs(const char *path, struct statvfs *out)
{
    int result = __real_statvfs(path, out);
    if (free_bytes)
        *out = (struct statvfs){.f_frsize = 1, .f_bavail = free_bytes};
    return result;
}

/* Five that shrink, at 0, 1, 3, 5 and 6; one in vain; one that is not native. */
static void add_study(struct shelf *shelf)
{
    shelf_add(shelf, "1.2.3.1", EXPLICIT_LITTLE_ENDIAN, CONTENT_SMOOTH, 200000);
    shelf_add(shelf, "1.2.3.2", EXPLICIT_LITTLE_ENDIAN, CONTENT_SMOOTH, 100000);
    shelf_add(shelf, "1.2.3.3", EXPLICIT_LITTLE_ENDIAN, CONTENT_RANDOM, 50000);
    shelf_add(shelf, "1.2.3.4", "1.2.840.10008.1.2", CONTENT_SMOOTH, 1500000);
    shelf_add(shelf, "1.2.3.5", JPEG_BASELINE, CONTENT_SMOOTH, 30000);
    shelf_add(shelf, "1.2.3.6", EXPLICIT_LITTLE_ENDIAN, CONTENT_SMOOTH, 70000);
    shelf_add(shelf, "1.2.3.7", EXPLICIT_LITTLE_ENDIAN, CONTENT_SMOOTH, 3000);
}
#define TRIED 6u

static struct press_hand *new_hand(struct shelf *shelf)
{
    struct press_hand *hand;
    CU_ASSERT_EQUAL_FATAL(press_hand_new(&hand, shelf->press, NULL, NULL, &shelf->err), 0);
    return hand;
}

static int compress_row(struct shelf *shelf, struct press_hand *hand, size_t row)
{
    struct ledger_member member = shelf->ledger.rows[row];
    return press_ahead(hand, &member, row, &shelf->err);
}

/* Those that the packer would, last first: the order in which they are done is nobody's business.
 */
static void compress_all(struct shelf *shelf)
{
    struct press_hand *hand = new_hand(shelf);
    for (size_t row = shelf->ledger.count; row-- > 0;) {
        if (press_wants(COMPRESSION_AUTO, shelf->ledger.rows[row].transfer_syntax_uid))
            CU_ASSERT_EQUAL(compress_row(shelf, hand, row), 0);
    }
    press_hand_free(hand);
}

/* The process ends and starts again. */
static void restart(struct shelf *shelf)
{
    press_free(shelf->press);
    CU_ASSERT_EQUAL_FATAL(press_new(&shelf->press, shelf->spool, &shelf->err), 0);
}

static void remove_package(struct shelf *shelf)
{
    CU_ASSERT_EQUAL(package_remove(shelf->spool, shelf->study.id, &shelf->err), 0);
}

struct expected {
    char digest[SHA256_HEX_SIZE];
    size_t length;
    uint8_t *archive; /* the caller's */
};

/* What the archive is when nothing was compressed ahead. */
static struct expected expect(struct shelf *shelf)
{
    struct expected expected;
    struct package *package = shelf_package(shelf, COMPRESSION_AUTO);
    memcpy(expected.digest, package_digest(package), sizeof expected.digest);
    expected.archive = shelf_read(shelf, package, &expected.length);
    package_close(package);
    remove_package(shelf);
    return expected;
}

/* Packs, and counts what had to be compressed for it. */
static unsigned check(struct shelf *shelf, const struct expected *expected)
{
    size_t length;
    unsigned before = atomic_load(&compressed);
    struct package *package = shelf_package(shelf, COMPRESSION_AUTO);
    unsigned count = atomic_load(&compressed) - before;
    uint8_t *archive = shelf_read(shelf, package, &length);
    CU_ASSERT_STRING_EQUAL(package_digest(package), expected->digest);
    CU_ASSERT_EQUAL_FATAL(length, expected->length);
    CU_ASSERT_EQUAL(memcmp(archive, expected->archive, length), 0);
    free(archive);
    package_close(package);
    return count;
}

static void test_same_archive_early_or_late(void)
{
    char path[512];
    struct shelf *shelf = shelf_open();
    add_study(shelf);
    struct expected expected = expect(shelf);
    unsigned before = atomic_load(&compressed);
    compress_all(shelf);
    compress_all(shelf); /* it is done */
    CU_ASSERT_EQUAL(atomic_load(&compressed) - before, TRIED);
    CU_ASSERT_EQUAL(check(shelf, &expected), 0);
    CU_ASSERT_EQUAL(check(shelf, &expected), 0); /* a resume */
    restart(shelf);
    CU_ASSERT_EQUAL(check(shelf, &expected), 0);
    struct package *package = shelf_package(shelf, COMPRESSION_AUTO);
    shelf_write_archive(shelf, package, 65536, path);
    check_with_libarchive(shelf, path, false);
    check_with_libarchive(shelf, path, true);
    package_close(package);
    remove_package(shelf);
    CU_ASSERT_FALSE(shelf_has_made(shelf, "members"));
    CU_ASSERT_FALSE(shelf_has_made(shelf, "deflated"));
    free(expected.archive);
    shelf_close(shelf);
}

/* Some came before a kill, the rest is made at the end; rows that count no more are in between. */
static void test_some_early(void)
{
    struct shelf *shelf = shelf_open();
    add_study(shelf);
    shelf->ledger.rows[1].disposition = INSTANCE_SUPERSEDED;
    shelf->study.instances--;
    shelf->study.bytes -= shelf->ledger.rows[1].file_size;
    struct expected expected = expect(shelf);
    struct press_hand *hand = new_hand(shelf);
    CU_ASSERT_EQUAL(compress_row(shelf, hand, 1), 0); /* it was not superseded then */
    CU_ASSERT_EQUAL(compress_row(shelf, hand, 5), 0);
    CU_ASSERT_EQUAL(compress_row(shelf, hand, 0), 0);
    press_hand_free(hand);
    restart(shelf);
    CU_ASSERT_EQUAL(check(shelf, &expected), TRIED - 3);
    free(expected.archive);
    shelf_close(shelf);
}

/* ---- what a kill, a power loss or somebody else leaves ---- */

static void change(struct shelf *shelf, const char *ending, off_t offset)
{
    char path[512];
    uint8_t byte;
    shelf_made(shelf, ending, path);
    int fd = open(path, O_RDWR);
    CU_ASSERT_TRUE_FATAL(fd >= 0);
    CU_ASSERT_EQUAL(pread(fd, &byte, 1, offset), 1);
    byte ^= 0x20;
    CU_ASSERT_EQUAL(pwrite(fd, &byte, 1, offset), 1);
    CU_ASSERT_EQUAL(close(fd), 0);
}

static void cut(struct shelf *shelf, const char *ending, off_t length)
{
    char path[512];
    shelf_made(shelf, ending, path);
    CU_ASSERT_EQUAL(truncate(path, length), 0);
}

static void lose(struct shelf *shelf, const char *ending)
{
    char path[512];
    shelf_made(shelf, ending, path);
    CU_ASSERT_EQUAL(unlink(path), 0);
}

static void tear_record(struct shelf *shelf)
{
    change(shelf, "members", 3 * RECORD_SIZE + 20);
}

static void cut_record(struct shelf *shelf)
{
    cut(shelf, "members", 6 * RECORD_SIZE + 30);
}

static void cut_table(struct shelf *shelf)
{
    cut(shelf, "members", 0);
}

static void lose_table(struct shelf *shelf)
{
    lose(shelf, "members");
}

static void damage_bytes(struct shelf *shelf)
{
    change(shelf, "deflated", 10); /* of the last row, which was made first */
}

/* Only the first two that were made are there. */
static void cut_bytes(struct shelf *shelf)
{
    cut(shelf, "deflated", 2000);
}

static void lose_bytes(struct shelf *shelf)
{
    lose(shelf, "deflated");
}

/* The file is as long as it should be, and the power failed before its bytes were there. */
static void lose_content(struct shelf *shelf)
{
    char path[512];
    struct stat status;
    shelf_made(shelf, "deflated", path);
    CU_ASSERT_EQUAL(stat(path, &status), 0);
    cut(shelf, "deflated", 0);
    cut(shelf, "deflated", status.st_size);
}

/* The records of one study, with the bytes to them, under the name of another. */
static void take_anothers(struct shelf *shelf)
{
    static const char *const endings[] = {"members", "deflated"};
    char from[512], to[512];
    for (size_t i = 0; i < COUNT(endings); i++) {
        shelf->study.id = 17;
        shelf_made(shelf, endings[i], from);
        shelf->study.id = 18;
        shelf_made(shelf, endings[i], to);
        CU_ASSERT_EQUAL(rename(from, to), 0);
    }
    for (size_t i = 0; i < shelf->ledger.count; i++)
        shelf->ledger.rows[i].study_id = 18;
}

/* Rows moved away from before them (a release may do that): every place is another one's. */
static void shift_places(struct shelf *shelf)
{
    char path[512];
    uint8_t bytes[16 * RECORD_SIZE];
    shelf_made(shelf, "members", path);
    int fd = open(path, O_RDWR);
    CU_ASSERT_TRUE_FATAL(fd >= 0);
    ssize_t length = pread(fd, bytes, sizeof bytes, 0);
    CU_ASSERT_EQUAL(length, 7 * RECORD_SIZE);
    CU_ASSERT_EQUAL(pwrite(fd, bytes, (size_t)length, RECORD_SIZE), length);
    CU_ASSERT_EQUAL(close(fd), 0);
}

static const struct {
    void (*happens)(struct shelf *shelf);
    unsigned made_anew;
} mishaps[] = {
    {tear_record, 1},          {cut_record, 1},   {cut_table, TRIED},
    {lose_table, TRIED},       {damage_bytes, 1}, {cut_bytes, 4},
    {lose_bytes, 5},           {lose_content, 5}, {take_anothers, TRIED},
    {shift_places, TRIED - 1},
};

static void test_mishaps(void)
{
    for (size_t i = 0; i < COUNT(mishaps); i++) {
        struct shelf *shelf = shelf_open();
        add_study(shelf);
        struct expected expected = expect(shelf);
        compress_all(shelf);
        restart(shelf);
        mishaps[i].happens(shelf);
        unsigned made = check(shelf, &expected);
        if (made != mishaps[i].made_anew)
            (void)fprintf(stderr, "\n  mishap %zu: %u made anew\n", i, made);
        CU_ASSERT_EQUAL(made, mishaps[i].made_anew);
        CU_ASSERT_EQUAL(check(shelf, &expected), 0);
        free(expected.archive);
        shelf_close(shelf);
    }
}

/* A file that took the place of another's is not what was compressed. */
static void test_another_file(void)
{
    char from[512], to[512];
    struct shelf *shelf = shelf_open();
    add_study(shelf);
    struct expected expected = expect(shelf);
    compress_all(shelf);
    shelf_path(shelf, 0, from);
    struct ledger_member *row = &shelf->ledger.rows[0];
    size_t length = strlen(row->file_name);
    memcpy(row->file_name + length - 8, "feed.dcm", 8);
    shelf_path(shelf, 0, to);
    CU_ASSERT_EQUAL(rename(from, to), 0);
    CU_ASSERT_EQUAL(check(shelf, &expected), 1);
    free(expected.archive);
    shelf_close(shelf);
}

/* What was removed is not written to again unseen. */
static void test_removed_meanwhile(void)
{
    struct shelf *shelf = shelf_open();
    add_study(shelf);
    struct expected expected = expect(shelf);
    struct press_hand *hand = new_hand(shelf);
    CU_ASSERT_EQUAL(compress_row(shelf, hand, 0), 0);
    remove_package(shelf);
    CU_ASSERT_EQUAL(compress_row(shelf, hand, 1), 0);
    CU_ASSERT_TRUE(shelf_has_made(shelf, "members"));
    press_hand_free(hand);
    CU_ASSERT_EQUAL(check(shelf, &expected), TRIED - 1);
    free(expected.archive);
    shelf_close(shelf);
}

/* ---- room ---- */

static void test_no_room_ahead(void)
{
    struct shelf *shelf = shelf_open();
    add_study(shelf);
    struct expected expected = expect(shelf);
    struct press_hand *hand = new_hand(shelf);
    unsigned before = atomic_load(&compressed);
    free_bytes = 32 * 1024 * 1024; /* two margins of 16 MiB above a reserve of none */
    CU_ASSERT_EQUAL(compress_row(shelf, hand, 0), PRESS_NO_ROOM);
    CU_ASSERT_EQUAL(atomic_load(&compressed), before);
    CU_ASSERT_FALSE(shelf_has_made(shelf, "members"));
    free_bytes += shelf->ledger.rows[0].file_size + 1;
    CU_ASSERT_EQUAL(compress_row(shelf, hand, 0), 0);
    free_bytes = 0;
    press_hand_free(hand);
    CU_ASSERT_EQUAL(check(shelf, &expected), TRIED - 1);
    free(expected.archive);
    shelf_close(shelf);
}

/* The disk says that there is room, and refuses the write. */
static void test_disk_refuses(void)
{
    struct rlimit before, small;
    struct shelf *shelf = shelf_open();
    add_study(shelf);
    struct expected expected = expect(shelf);
    struct press_hand *hand = new_hand(shelf);
    CU_ASSERT_EQUAL_FATAL(getrlimit(RLIMIT_FSIZE, &before), 0);
    void (*handler)(int) = signal(SIGXFSZ, SIG_IGN);
    for (rlim_t limit = 0; limit < 50000; limit += 7000) {
        small = before;
        small.rlim_cur = limit;
        CU_ASSERT_EQUAL_FATAL(setrlimit(RLIMIT_FSIZE, &small), 0);
        for (size_t row = 0; row < 4; row++) {
            int code = compress_row(shelf, hand, row);
            CU_ASSERT_TRUE(code == 0 || code == PRESS_NO_ROOM);
            CU_ASSERT_TRUE(limit > 0 || code == PRESS_NO_ROOM);
        }
        CU_ASSERT_EQUAL_FATAL(setrlimit(RLIMIT_FSIZE, &before), 0);
    }
    (void)signal(SIGXFSZ, handler);
    press_hand_free(hand);
    restart(shelf);
    CU_ASSERT_TRUE(check(shelf, &expected) >= 2); /* the last two at least */
    free(expected.archive);
    shelf_close(shelf);
}

static void test_room_is_given_back(void)
{
    char path[512];
    uint64_t given = 0;
    struct shelf *shelf = shelf_open();
    add_study(shelf);
    struct expected expected = expect(shelf);
    compress_all(shelf);
    CU_ASSERT_EQUAL(press_give_back(shelf->press, 1, &given, &shelf->err), 0);
    CU_ASSERT_TRUE(given > 0);
    CU_ASSERT_FALSE(shelf_has_made(shelf, "members"));
    CU_ASSERT_FALSE(shelf_has_made(shelf, "deflated"));
    CU_ASSERT_EQUAL(check(shelf, &expected), TRIED);
    /* What a layout names stays. */
    given = 0;
    CU_ASSERT_EQUAL(press_give_back(shelf->press, 1, &given, &shelf->err), 0);
    CU_ASSERT_EQUAL(given, 0);
    CU_ASSERT_EQUAL(check(shelf, &expected), 0);
    shelf_made(shelf, "deflated", path);
    CU_ASSERT_EQUAL(access(path, F_OK), 0);
    free(expected.archive);
    shelf_close(shelf);
}

/* ---- members beyond the buffer ---- */

static void test_streamed(void)
{
    char path[512];
    struct stat status;
    struct shelf *shelf = shelf_open();
    shelf_add(shelf, "1.2.3.1", EXPLICIT_LITTLE_ENDIAN, CONTENT_SMOOTH, 9 << 20);
    shelf_add(shelf, "1.2.3.2", EXPLICIT_LITTLE_ENDIAN, CONTENT_RANDOM, 9 << 20);
    shelf_add(shelf, "1.2.3.3", EXPLICIT_LITTLE_ENDIAN, CONTENT_SMOOTH, 5 << 20);
    struct expected expected = expect(shelf);
    unsigned before = atomic_load(&compressed);
    compress_all(shelf);
    CU_ASSERT_EQUAL(atomic_load(&compressed) - before, 1); /* the third alone in one call */
    /* What was written of the second in vain is no burden. */
    shelf_made(shelf, "deflated", path);
    CU_ASSERT_EQUAL(stat(path, &status), 0);
    CU_ASSERT_TRUE(status.st_blocks * 512 < 8 << 20);
    restart(shelf);
    CU_ASSERT_EQUAL(check(shelf, &expected), 0);
    struct package *package = shelf_package(shelf, COMPRESSION_AUTO);
    shelf_write_archive(shelf, package, 262144, path);
    check_with_libarchive(shelf, path, true);
    check_with_unzip(path);
    package_close(package);
    free(expected.archive);
    shelf_close(shelf);
}

/* ---- side by side ---- */

static struct shelf *shared;
static struct press_hand *other_hand;
static int other_answer;

static void try_the_same(void)
{
    other_answer = compress_row(shared, other_hand, 0);
}

static void test_one_at_a_member(void)
{
    shared = shelf_open();
    add_study(shared);
    struct expected expected = expect(shared);
    struct press_hand *hand = new_hand(shared);
    other_hand = new_hand(shared);
    atomic_store(&meanwhile, try_the_same);
    CU_ASSERT_EQUAL(compress_row(shared, hand, 0), 0);
    CU_ASSERT_EQUAL(other_answer, PRESS_BUSY);
    CU_ASSERT_EQUAL(check(shared, &expected), TRIED - 1);
    press_hand_free(hand);
    press_hand_free(other_hand);
    free(expected.archive);
    shelf_close(shared);
}

/* When it was made. */
static struct timespec layout_of(struct shelf *shelf)
{
    char path[512];
    struct stat status;
    shelf_made(shelf, "layout", path);
    CU_ASSERT_EQUAL(stat(path, &status), 0);
    return status.st_mtim;
}

static struct expected wanted;
static unsigned made_meanwhile;

static void pack(void)
{
    made_meanwhile = check(shared, &wanted);
}

/* Whoever is at a member may never go on: the study is packed without him, and his member, when it
 * is done after all, hurts nobody. */
static void test_packing_waits_for_nobody(void)
{
    shared = shelf_open();
    add_study(shared);
    wanted = expect(shared);
    struct press_hand *hand = new_hand(shared);
    atomic_store(&meanwhile, pack);
    CU_ASSERT_EQUAL(compress_row(shared, hand, 3), 0);
    CU_ASSERT_EQUAL(made_meanwhile, TRIED);
    struct timespec layout = layout_of(shared);
    CU_ASSERT_EQUAL(check(shared, &wanted), 0);
    CU_ASSERT_EQUAL(layout_of(shared).tv_nsec, layout.tv_nsec); /* it still holds */
    press_hand_free(hand);
    free(wanted.archive);
    shelf_close(shared);
}

static void discard(void)
{
    remove_package(shared);
}

static void test_discarded_meanwhile(void)
{
    shared = shelf_open();
    add_study(shared);
    struct press_hand *hand = new_hand(shared);
    CU_ASSERT_EQUAL(compress_row(shared, hand, 0), 0);
    atomic_store(&meanwhile, discard);
    CU_ASSERT_EQUAL(compress_row(shared, hand, 1), 0);
    CU_ASSERT_FALSE(shelf_has_made(shared, "members")); /* it went to what was removed */
    CU_ASSERT_FALSE(shelf_has_made(shared, "deflated"));
    press_hand_free(hand);
    shelf_close(shared);
}

#define THREADS 4

static atomic_bool ended;

static void *hand_run(void *context)
{
    struct press_hand *hand = context;
    struct error err;
    while (!atomic_load(&ended)) {
        for (size_t row = 0; row < shared->ledger.count; row++) {
            struct ledger_member member = shared->ledger.rows[row];
            if (press_wants(COMPRESSION_AUTO, member.transfer_syntax_uid))
                (void)press_ahead(hand, &member, row, &err);
        }
    }
    return NULL;
}

/* Four hands, one who packs, and one who takes everything away, all at the same study. */
static void test_all_at_once(void)
{
    pthread_t threads[THREADS];
    struct press_hand *hands[THREADS];
    shared = shelf_open();
    add_study(shared);
    wanted = expect(shared);
    atomic_store(&ended, false);
    for (size_t i = 0; i < THREADS; i++) {
        hands[i] = new_hand(shared);
        CU_ASSERT_EQUAL_FATAL(pthread_create(&threads[i], NULL, hand_run, hands[i]), 0);
    }
    for (unsigned round = 0; round < 15; round++) {
        remove_package(shared);
        (void)check(shared, &wanted);
        uint64_t given = 0;
        CU_ASSERT_EQUAL(press_give_back(shared->press, 1, &given, &shared->err), 0);
    }
    atomic_store(&ended, true);
    for (size_t i = 0; i < THREADS; i++) {
        (void)pthread_join(threads[i], NULL);
        press_hand_free(hands[i]);
    }
    CU_ASSERT_EQUAL(check(shared, &wanted), 0);
    free(wanted.archive);
    shelf_close(shared);
}

/* More studies than scratches stay open; none is mistaken for another. */
static void test_many_studies(void)
{
    struct shelf *shelf = shelf_open();
    struct press_hand *hand = new_hand(shelf);
    shelf_add(shelf, "1.2.3.1", EXPLICIT_LITTLE_ENDIAN, CONTENT_SMOOTH, 20000);
    shelf_add(shelf, "1.2.3.2", EXPLICIT_LITTLE_ENDIAN, CONTENT_SMOOTH, 30000);
    struct expected expected = expect(shelf);
    for (size_t row = 0; row < 2; row++) {
        for (int64_t id = 1; id <= 40; id++) {
            shelf->ledger.rows[row].study_id = id;
            CU_ASSERT_EQUAL(compress_row(shelf, hand, row), 0);
        }
    }
    press_hand_free(hand);
    unsigned descriptors = 0;
    for (int fd = 0; fd < 1024; fd++)
        descriptors += fcntl(fd, F_GETFD) >= 0;
    CU_ASSERT_TRUE(descriptors < 2 * 16 + 20);
    for (int64_t id = 1; id <= 40; id++) {
        shelf->study.id = id;
        CU_ASSERT_EQUAL(check(shelf, &expected), 0);
    }
    free(expected.archive);
    shelf_close(shelf);
}

static CU_TestInfo cases[] = {SUITE_CASE(test_same_archive_early_or_late),
                              SUITE_CASE(test_some_early),
                              SUITE_CASE(test_mishaps),
                              SUITE_CASE(test_another_file),
                              SUITE_CASE(test_removed_meanwhile),
                              SUITE_CASE(test_no_room_ahead),
                              SUITE_CASE(test_disk_refuses),
                              SUITE_CASE(test_room_is_given_back),
                              SUITE_CASE(test_streamed),
                              SUITE_CASE(test_one_at_a_member),
                              SUITE_CASE(test_packing_waits_for_nobody),
                              SUITE_CASE(test_discarded_meanwhile),
                              SUITE_CASE(test_all_at_once),
                              SUITE_CASE(test_many_studies),
                              CU_TEST_INFO_NULL};
SUITE_MAIN("press", cases)
