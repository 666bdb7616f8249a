/* The archive of a study: what readers make of it, any byte range, and bad days. */
#include "archive_check.h"
#include "package_fixture.h"
#include "suite.h"

#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define COUNT(array) (sizeof(array) / sizeof *(array))

/* How often the disk answers that there is plenty before it is full; -1: it answers as it is. */
static int ample_answers = -1;

int __real_statvfs(const char *path, struct statvfs *out);
int __wrap_statvfs(const char *path, struct statvfs *out);

int __wrap_statvfs(const char *path, struct statvfs *out)
{
    int result = __real_statvfs(path, out);
    if (ample_answers == 0)
        out->f_bavail = 0;
    else if (ample_answers > 0)
        ample_answers--;
    return result;
}

static void add_small_study(struct shelf *shelf)
{
    shelf_add(shelf, "1.2.3.1", EXPLICIT_LITTLE_ENDIAN, CONTENT_SMOOTH, 900);
    shelf_add(shelf, "1.2.3.2", JPEG_BASELINE, CONTENT_RANDOM, 333);
    shelf_add(shelf, "1.2.3.3", EXPLICIT_LITTLE_ENDIAN, CONTENT_RANDOM, 0);
    shelf_add(shelf, "1.2.3.44444", EXPLICIT_LITTLE_ENDIAN, CONTENT_RANDOM, 1200);
    shelf_add(shelf, "1.2.3.5", EXPLICIT_LITTLE_ENDIAN, CONTENT_SMOOTH, 2000);
}

static void add_study(struct shelf *shelf)
{
    shelf_add(shelf, "1.2.3.1", EXPLICIT_LITTLE_ENDIAN, CONTENT_SMOOTH, 524288);
    shelf_add(shelf, "1.2.3.2", "1.2.840.10008.1.2", CONTENT_SMOOTH, 131072);
    shelf_add(shelf, "1.2.3.3", "1.2.840.10008.1.2.2", CONTENT_SMOOTH, 1000001);
    shelf_add(shelf, "1.2.3.4", EXPLICIT_LITTLE_ENDIAN, CONTENT_RANDOM, 400000);
    shelf_add(shelf, "1.2.3.5", JPEG_BASELINE, CONTENT_SMOOTH, 300000);
    shelf_add(shelf, "1.2.3.6", "1.2.840.10008.1.2.1.99", CONTENT_SMOOTH, 5000);
    shelf_add(shelf, "1.2.3.7", EXPLICIT_LITTLE_ENDIAN, CONTENT_SMOOTH, 1);
}

/* The compression method in the n-th local header. */
static unsigned method_of(const uint8_t *archive, size_t length, unsigned n)
{
    size_t at = 0;
    for (; at + 30 < length; n--) {
        uint32_t packed;
        memcpy(&packed, archive + at + 18, 4);
        CU_ASSERT_EQUAL_FATAL(memcmp(archive + at, "PK\3\4", 4), 0);
        if (n == 0)
            return archive[at + 8] | (unsigned)archive[at + 9] << 8;
        at += 30u + packed + archive[at + 26] + (size_t)archive[at + 28];
    }
    return 99;
}

static void test_readers(void)
{
    static const struct {
        enum config_compression compression;
        unsigned methods[7];
    } rows[] = {{COMPRESSION_STORE, {0}},
                {COMPRESSION_AUTO, {8, 8, 8, 0, 0, 0, 8}},
                {COMPRESSION_DEFLATE, {8, 8, 8, 0, 8, 8, 8}}};
    struct shelf *shelf = shelf_open();
    add_study(shelf);
    for (size_t i = 0; i < COUNT(rows); i++) {
        char path[512];
        size_t length;
        struct package *package = shelf_package(shelf, rows[i].compression);
        shelf_write_archive(shelf, package, i ? 65536 : 1048576, path);
        uint8_t *archive = shelf_read(shelf, package, &length);
        for (unsigned n = 0; n < 7; n++)
            CU_ASSERT_EQUAL(method_of(archive, length, n), rows[i].methods[n]);
        free(archive);
        check_with_libarchive(shelf, path, false);
        check_with_libarchive(shelf, path, true);
        check_with_unzip(path);
        check_with_python(path, 7, true);
        check_with_java(shelf, path, 7);
        CU_ASSERT_EQUAL(shelf_has_made(shelf, "deflated"),
                        rows[i].compression != COMPRESSION_STORE);
        package_close(package);
        CU_ASSERT_EQUAL(package_remove(shelf->spool, shelf->study.id, &shelf->err), 0);
        CU_ASSERT_FALSE(shelf_has_made(shelf, "layout"));
        CU_ASSERT_FALSE(shelf_has_made(shelf, "deflated"));
    }
    CU_ASSERT_EQUAL(package_remove(shelf->spool, shelf->study.id, &shelf->err), 0);
    shelf_close(shelf);
}

static void test_any_range(void)
{
    static const size_t lengths[] = {1, 2, 31, 500, 100000};
    static uint8_t bytes[100000];
    struct shelf *shelf = shelf_open();
    add_small_study(shelf);
    struct package *package = shelf_package(shelf, COMPRESSION_AUTO);
    size_t length, got;
    uint8_t *archive = shelf_read(shelf, package, &length);
    CU_ASSERT_EQUAL(method_of(archive, length, 0), 8);
    CU_ASSERT_EQUAL(method_of(archive, length, 1), 0);
    unsigned wrong = 0;
    for (size_t i = 0; i < COUNT(lengths); i++) {
        for (size_t offset = 0; offset <= length + 2; offset++) {
            size_t left = offset < length ? length - offset : 0;
            size_t wanted = lengths[i] < left ? lengths[i] : left;
            wrong += package_read(package, offset, bytes, lengths[i], &got, &shelf->err) != 0 ||
                     got != wanted || memcmp(bytes, archive + offset, got) != 0;
        }
        for (size_t offset = length; offset-- > 0;) /* backwards, as a server might ask */
            wrong += package_read(package, offset, bytes, 3, &got, &shelf->err) != 0 ||
                     memcmp(bytes, archive + offset, got) != 0;
    }
    CU_ASSERT_EQUAL(wrong, 0);
    free(archive);
    package_close(package);
    package_close(NULL);
    shelf_close(shelf);
}

static void test_deterministic(void)
{
    char digest[SHA256_HEX_SIZE], path[512];
    struct stat first, second;
    size_t length, again_length;
    struct shelf *shelf = shelf_open();
    add_study(shelf);
    struct package *package = shelf_package(shelf, COMPRESSION_AUTO);
    uint8_t *archive = shelf_read(shelf, package, &length);
    memcpy(digest, package_digest(package), sizeof digest);
    package_close(package);
    shelf_made(shelf, "layout", path);
    CU_ASSERT_EQUAL(stat(path, &first), 0);
    package = shelf_package(shelf, COMPRESSION_STORE); /* what is there stays */
    CU_ASSERT_EQUAL(stat(path, &second), 0);
    CU_ASSERT_EQUAL(first.st_ino, second.st_ino);
    CU_ASSERT_STRING_EQUAL(package_digest(package), digest);
    package_close(package);
    shelf_close(shelf);
    shelf = shelf_open(); /* other random names, another directory */
    add_study(shelf);
    package = shelf_package(shelf, COMPRESSION_AUTO);
    uint8_t *again = shelf_read(shelf, package, &again_length);
    CU_ASSERT_STRING_EQUAL(package_digest(package), digest);
    CU_ASSERT_EQUAL_FATAL(again_length, length);
    CU_ASSERT_EQUAL(memcmp(again, archive, length), 0);
    package_close(package);
    CU_ASSERT_EQUAL(package_remove(shelf->spool, shelf->study.id, &shelf->err), 0);
    package = shelf_package(shelf, COMPRESSION_STORE);
    CU_ASSERT_STRING_NOT_EQUAL(package_digest(package), digest);
    package_close(package);
    free(archive);
    free(again);
    shelf_close(shelf);
}

static void test_only_stored_rows(void)
{
    struct shelf *shelf = shelf_open();
    char path[512];
    add_small_study(shelf);
    shelf->ledger.rows[4].disposition = INSTANCE_DROPPED;
    shelf->study.instances--;
    shelf->study.bytes -= shelf->ledger.rows[4].file_size;
    struct package *package = shelf_package(shelf, COMPRESSION_AUTO);
    shelf_write_archive(shelf, package, 1000, path);
    shelf->ledger.count = 4;
    check_with_libarchive(shelf, path, true);
    package_close(package);
    shelf_close(shelf);
}

/* ---- leftovers ---- */

static void change_byte(const char *path, off_t offset)
{
    uint8_t byte;
    int fd = open(path, O_RDWR);
    CU_ASSERT_TRUE_FATAL(fd >= 0);
    CU_ASSERT_EQUAL(pread(fd, &byte, 1, offset), 1);
    byte ^= 0x20;
    CU_ASSERT_EQUAL(pwrite(fd, &byte, 1, offset), 1);
    CU_ASSERT_EQUAL(close(fd), 0);
}

static void damage_magic(struct shelf *shelf, const char *layout)
{
    (void)shelf;
    change_byte(layout, 3);
}

static void damage_header(struct shelf *shelf, const char *layout)
{
    (void)shelf;
    change_byte(layout, 80);
}

static void damage_record(struct shelf *shelf, const char *layout)
{
    (void)shelf;
    change_byte(layout, 256 + 448 + 70);
}

static void cut_layout(struct shelf *shelf, const char *layout)
{
    (void)shelf;
    CU_ASSERT_EQUAL(truncate(layout, 256 + 4 * 448), 0);
}

static void empty_layout(struct shelf *shelf, const char *layout)
{
    (void)shelf;
    CU_ASSERT_EQUAL(truncate(layout, 0), 0);
}

static void lose_scratch(struct shelf *shelf, const char *layout)
{
    char path[512];
    (void)layout;
    shelf_made(shelf, "deflated", path);
    CU_ASSERT_EQUAL(unlink(path), 0);
}

static void cut_scratch(struct shelf *shelf, const char *layout)
{
    char path[512];
    (void)layout;
    shelf_made(shelf, "deflated", path);
    CU_ASSERT_EQUAL(truncate(path, 1), 0);
}

static void leave_parts(struct shelf *shelf, const char *layout)
{
    char path[512];
    CU_ASSERT_EQUAL(unlink(layout), 0);
    shelf_made(shelf, "layout.part", path);
    CU_ASSERT_EQUAL(fs_write_atomic(path, "x", 1, NULL), 0);
    shelf_made(shelf, "deflated.part", path);
    CU_ASSERT_EQUAL(fs_write_atomic(path, "x", 1, NULL), 0);
}

static void test_leftovers_are_replaced(void)
{
    static void (*const rows[])(struct shelf *, const char *) = {
        damage_magic, damage_header, damage_record, cut_layout,
        empty_layout, lose_scratch,  cut_scratch,   leave_parts};
    struct shelf *shelf = shelf_open();
    char path[512], digest[SHA256_HEX_SIZE];
    add_small_study(shelf);
    shelf_made(shelf, "layout", path);
    struct package *package = shelf_package(shelf, COMPRESSION_AUTO);
    memcpy(digest, package_digest(package), sizeof digest);
    package_close(package);
    for (size_t i = 0; i < COUNT(rows); i++) {
        rows[i](shelf, path);
        package = shelf_package(shelf, COMPRESSION_AUTO);
        size_t length;
        uint8_t *archive = shelf_read(shelf, package, &length);
        CU_ASSERT_STRING_EQUAL(package_digest(package), digest);
        package_close(package);
        free(archive);
        CU_ASSERT_FALSE(shelf_has_made(shelf, "layout.part"));
        CU_ASSERT_FALSE(shelf_has_made(shelf, "deflated.part"));
    }
    shelf_add(shelf, "1.2.3.6", JPEG_BASELINE, CONTENT_SMOOTH, 10);
    package = shelf_package(shelf, COMPRESSION_AUTO);
    CU_ASSERT_STRING_NOT_EQUAL(package_digest(package), digest);
    package_close(package);
    shelf_close(shelf);
}

/* ---- bad days ---- */

static void expect_refusal(struct shelf *shelf, const char *words)
{
    struct package *package;
    CU_ASSERT_EQUAL(package_open(&package, shelf->spool, shelf->press, &shelf->ledger,
                                 &shelf->study, COMPRESSION_AUTO, NULL, NULL, &shelf->err),
                    -1);
    CU_ASSERT_PTR_NULL(package);
    if (!strstr(shelf->err.text, words))
        (void)fprintf(stderr, "\"%s\" lacks \"%s\"\n", shelf->err.text, words);
    CU_ASSERT_PTR_NOT_NULL(strstr(shelf->err.text, words));
    CU_ASSERT_FALSE(shelf_has_made(shelf, "layout"));
    CU_ASSERT_FALSE(shelf_has_made(shelf, "layout.part"));
    CU_ASSERT_FALSE(shelf_has_made(shelf, "deflated"));
    CU_ASSERT_FALSE(shelf_has_made(shelf, "deflated.part"));
}

static void test_refusals(void)
{
    char path[512];
    struct shelf *shelf = shelf_open();
    expect_refusal(shelf, "no instance");
    add_small_study(shelf);
    (void)snprintf(shelf->study.study_instance_uid, UID_SIZE, "../1");
    expect_refusal(shelf, "Study Instance UID");
    (void)snprintf(shelf->study.study_instance_uid, UID_SIZE, STUDY_UID);
    (void)snprintf(shelf->ledger.rows[2].sop_instance_uid, UID_SIZE, "../1");
    expect_refusal(shelf, "SOP Instance UID");
    (void)snprintf(shelf->ledger.rows[2].sop_instance_uid, UID_SIZE, "1.2.3.3");
    shelf_path(shelf, 1, path);
    CU_ASSERT_EQUAL(truncate(path, 3), 0);
    expect_refusal(shelf, shelf->ledger.rows[1].file_name);
    CU_ASSERT_EQUAL(unlink(path), 0);
    expect_refusal(shelf, shelf->ledger.rows[1].file_name);
    shelf_close(shelf);
}

static void test_changed_source_is_not_deflated(void)
{
    char path[512];
    struct shelf *shelf = shelf_open();
    add_study(shelf);
    shelf_path(shelf, 2, path);
    change_byte(path, 5000);
    expect_refusal(shelf, shelf->ledger.rows[2].file_name);
    CU_ASSERT_PTR_NOT_NULL(strstr(shelf->err.text, "CRC-32"));
    shelf_close(shelf);
}

static int read_all(struct shelf *shelf, struct package *package, size_t piece)
{
    static uint8_t bytes[1 << 20];
    size_t got = piece;
    for (uint64_t offset = 0; got == piece; offset += got) {
        int failed = package_read(package, offset, bytes, piece, &got, &shelf->err);
        if (failed)
            return failed;
    }
    return 0;
}

/* The last 1000 bytes of a row's member, found by its local header. */
static int read_last_bytes(struct shelf *shelf, struct package *package, size_t row)
{
    uint8_t header[30], bytes[1000];
    uint64_t offset = 0;
    size_t got;
    for (size_t i = 0; i <= row; i++) {
        uint32_t packed;
        if (package_read(package, offset, header, sizeof header, &got, &shelf->err) != 0)
            return -1;
        memcpy(&packed, header + 18, 4);
        offset += 30u + packed + header[26] + (size_t)header[28];
    }
    return package_read(package, offset - sizeof bytes, bytes, sizeof bytes, &got, &shelf->err);
}

static void test_changes_under_a_reader(void)
{
    char path[512];
    struct shelf *shelf = shelf_open();
    add_study(shelf);
    struct package *package = shelf_package(shelf, COMPRESSION_AUTO);
    CU_ASSERT_EQUAL(read_all(shelf, package, 65536), 0);
    shelf_path(shelf, 3, path); /* stored, since it does not shrink */
    change_byte(path, 9000);
    CU_ASSERT_EQUAL(read_all(shelf, package, 65536), PACKAGE_FILE_DAMAGED);
    CU_ASSERT_PTR_NOT_NULL(strstr(shelf->err.text, shelf->ledger.rows[3].file_name));
    CU_ASSERT_EQUAL(read_last_bytes(shelf, package, 3),
                    PACKAGE_FILE_DAMAGED); /* resumed behind the change */
    change_byte(path, 9000);
    CU_ASSERT_EQUAL(read_last_bytes(shelf, package, 3), 0);
    CU_ASSERT_EQUAL(read_all(shelf, package, 65536), 0);
    shelf_made(shelf, "deflated", path);
    change_byte(path, 7000);
    CU_ASSERT_EQUAL(read_all(shelf, package, 10000), PACKAGE_DAMAGED);
    change_byte(path, 7000);
    shelf_path(shelf, 4, path);
    CU_ASSERT_EQUAL(truncate(path, 1000), 0);
    CU_ASSERT_EQUAL(read_all(shelf, package, 10000), -1);
    CU_ASSERT_PTR_NOT_NULL(strstr(shelf->err.text, shelf->ledger.rows[4].file_name));
    CU_ASSERT_EQUAL(unlink(path), 0);
    CU_ASSERT_EQUAL(read_all(shelf, package, 10000), -1);
    CU_ASSERT_PTR_NOT_NULL(strstr(shelf->err.text, shelf->ledger.rows[4].file_name));
    package_close(package);
    shelf_close(shelf);
}

static void test_no_room_is_stored(void)
{
    char path[512];
    struct shelf *shelf = shelf_open();
    add_study(shelf);
    spool_set_reserve(shelf->spool, UINT64_C(1) << 60);
    struct package *package = shelf_package(shelf, COMPRESSION_DEFLATE);
    CU_ASSERT_FALSE(shelf_has_made(shelf, "deflated"));
    CU_ASSERT_TRUE(package_length(package) > shelf->study.bytes);
    shelf_write_archive(shelf, package, 65536, path);
    check_with_libarchive(shelf, path, true);
    package_close(package);
    shelf_close(shelf);
}

/* The disk fills up while the scratch file grows: the first member stays deflated. */
static void test_full_disk_is_stored(void)
{
    char path[512];
    struct rlimit before, small;
    struct shelf *shelf = shelf_open();
    add_study(shelf);
    CU_ASSERT_EQUAL_FATAL(getrlimit(RLIMIT_FSIZE, &before), 0);
    small = before;
    small.rlim_cur = 150000;
    void (*handler)(int) = signal(SIGXFSZ, SIG_IGN);
    CU_ASSERT_EQUAL_FATAL(setrlimit(RLIMIT_FSIZE, &small), 0);
    struct package *package = NULL;
    int result = package_open(&package, shelf->spool, shelf->press, &shelf->ledger, &shelf->study,
                              COMPRESSION_AUTO, NULL, NULL, &shelf->err);
    CU_ASSERT_EQUAL_FATAL(setrlimit(RLIMIT_FSIZE, &before), 0);
    (void)signal(SIGXFSZ, handler);
    CU_ASSERT_EQUAL_FATAL(result, 0);
    size_t length;
    uint8_t *archive = shelf_read(shelf, package, &length);
    CU_ASSERT_EQUAL(method_of(archive, length, 0), 8);
    CU_ASSERT_EQUAL(method_of(archive, length, 2), 0);
    CU_ASSERT_EQUAL(method_of(archive, length, 6), 0);
    free(archive);
    shelf_write_archive(shelf, package, 65536, path);
    check_with_libarchive(shelf, path, true);
    package_close(package);
    shelf_close(shelf);
}

/* Room is gone while the scratch file grows: what is kept for reception is not touched. */
static void test_room_that_runs_out_is_stored(void)
{
    /* Asked once at the start, then for each member that shrinks; the fourth does not. */
    static const unsigned deflated[] = {0, 0, 1, 2, 3, 4};
    for (size_t answers = 0; answers < COUNT(deflated); answers++) {
        char path[512];
        struct shelf *shelf = shelf_open();
        add_study(shelf);
        ample_answers = (int)answers;
        struct package *package = shelf_package(shelf, COMPRESSION_DEFLATE);
        ample_answers = -1;
        size_t length;
        uint8_t *archive = shelf_read(shelf, package, &length);
        unsigned count = 0;
        for (unsigned i = 0; i < 7; i++)
            count += method_of(archive, length, i) == 8;
        free(archive);
        CU_ASSERT_EQUAL(count, deflated[answers]);
        CU_ASSERT_EQUAL(shelf_has_made(shelf, "deflated"), count > 0);
        shelf_write_archive(shelf, package, 65536, path);
        check_with_libarchive(shelf, path, true);
        /* It is whole: opened again it is the same, although there is room now. */
        char digest[SHA256_HEX_SIZE];
        memcpy(digest, package_digest(package), sizeof digest);
        package_close(package);
        package = shelf_package(shelf, COMPRESSION_DEFLATE);
        CU_ASSERT_STRING_EQUAL(package_digest(package), digest);
        package_close(package);
        shelf_close(shelf);
    }
}

struct watch {
    const struct shelf *shelf;
    off_t last_size; /* of the scratch file, when a member was begun or went on */
};

static bool note_scratch(void *context)
{
    struct watch *watch = context;
    char path[512];
    struct stat status;
    shelf_made(watch->shelf, "deflated", path);
    watch->last_size = stat(path, &status) == 0 ? status.st_size : 0;
    return false;
}

/* What was deflated in vain goes back at once: the rest of the study may take long. */
static void test_vain_deflation_is_given_back(void)
{
    struct shelf *shelf = shelf_open();
    struct watch watch = {.shelf = shelf};
    struct package *package = NULL;
    shelf_add(shelf, "1.2.3.1", EXPLICIT_LITTLE_ENDIAN, CONTENT_SMOOTH, 20000);
    shelf_add(shelf, "1.2.3.2", EXPLICIT_LITTLE_ENDIAN, CONTENT_RANDOM, 2000000);
    shelf_add(shelf, "1.2.3.3", JPEG_BASELINE, CONTENT_SMOOTH, 20000); /* looked at, and stored */
    CU_ASSERT_EQUAL_FATAL(package_open(&package, shelf->spool, shelf->press, &shelf->ledger,
                                       &shelf->study, COMPRESSION_AUTO, note_scratch, &watch,
                                       &shelf->err),
                          0);
    CU_ASSERT_TRUE(watch.last_size > 0 && watch.last_size < 20000);
    package_close(package);
    shelf_close(shelf);
}

static bool cancel_later(void *context)
{
    int *left = context;
    return (*left)-- <= 0;
}

static void test_cancelled(void)
{
    struct shelf *shelf = shelf_open();
    add_study(shelf);
    for (int asked = 0; asked < 12; asked++) {
        struct package *package;
        int left = asked;
        CU_ASSERT_EQUAL(package_open(&package, shelf->spool, shelf->press, &shelf->ledger,
                                     &shelf->study, COMPRESSION_AUTO, cancel_later, &left,
                                     &shelf->err),
                        -1);
        CU_ASSERT_PTR_NOT_NULL(strstr(shelf->err.text, "cancelled"));
        CU_ASSERT_FALSE(shelf_has_made(shelf, "layout"));
        CU_ASSERT_FALSE(shelf_has_made(shelf, "layout.part"));
        /* What was compressed stays for the next time, unless it is to be asked for again here. */
        CU_ASSERT_EQUAL(shelf_has_made(shelf, "members"), asked >= 2);
        CU_ASSERT_EQUAL(package_remove(shelf->spool, shelf->study.id, &shelf->err), 0);
    }
    shelf_close(shelf);
}

static CU_TestInfo cases[] = {SUITE_CASE(test_readers),
                              SUITE_CASE(test_any_range),
                              SUITE_CASE(test_deterministic),
                              SUITE_CASE(test_only_stored_rows),
                              SUITE_CASE(test_leftovers_are_replaced),
                              SUITE_CASE(test_refusals),
                              SUITE_CASE(test_changed_source_is_not_deflated),
                              SUITE_CASE(test_changes_under_a_reader),
                              SUITE_CASE(test_no_room_is_stored),
                              SUITE_CASE(test_full_disk_is_stored),
                              SUITE_CASE(test_room_that_runs_out_is_stored),
                              SUITE_CASE(test_vain_deflation_is_given_back),
                              SUITE_CASE(test_cancelled),
                              CU_TEST_INFO_NULL};
SUITE_MAIN("package", cases)
