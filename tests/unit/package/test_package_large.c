/* Where 16 and 32 bits end: 70,000 members, members and offsets beyond 4 GiB. Contents beyond are
 * holes, so that no gigabytes are read.
 */
#include "archive_check.h"
#include "package_fixture.h"
#include "suite.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#define GIB (UINT64_C(1) << 30)

/* Whether the zip64 locator stands before the end record. */
static bool has_zip64_end(struct shelf *shelf, struct package *package)
{
    uint8_t locator[4];
    size_t got;
    CU_ASSERT_EQUAL(package_read(package, package_length(package) - 42, locator, sizeof locator,
                                 &got, &shelf->err),
                    0);
    return memcmp(locator, "PK\6\7", 4) == 0;
}

static void check_many(struct shelf *shelf, size_t count, bool read)
{
    char path[512];
    shelf->ledger.repeat = count;
    shelf->study.instances = count;
    shelf->study.bytes = count * shelf->ledger.rows[0].file_size;
    struct package *package = shelf_package(shelf, COMPRESSION_STORE);
    CU_ASSERT_EQUAL(has_zip64_end(shelf, package), count >= 65535);
    if (read) {
        shelf_write_archive(shelf, package, 262144, path);
        check_with_python(path, count, false);
        check_with_unzip(path);
    }
    package_close(package);
}

static void test_many_members(void)
{
    struct shelf *shelf = shelf_open();
    shelf_add_sparse(shelf, 1, 10, crc32_update(0, "\0\0\0\0\0\0\0\0\0", 10));
    check_many(shelf, 65534, false);
    check_many(shelf, 65535, false);
    check_many(shelf, 70000, true);
    shelf_close(shelf);
}

/* Every byte near a border equals what one larger read across it gives, by whatever way it is
 * reached. */
static void check_border(struct shelf *shelf, struct package *package, uint64_t border)
{
    uint8_t across[600], piece[16];
    size_t got, more;
    uint64_t from = border < 300 ? 0 : border - 300;
    CU_ASSERT_EQUAL(package_read(package, from, across, sizeof across, &got, &shelf->err), 0);
    for (size_t at = got; at-- > 0;) {
        size_t wanted = got - at < sizeof piece ? got - at : sizeof piece;
        CU_ASSERT_EQUAL(package_read(package, from + at, piece, wanted, &more, &shelf->err), 0);
        CU_ASSERT_EQUAL(more, wanted);
        CU_ASSERT_EQUAL(memcmp(piece, across + at, wanted), 0);
    }
}

/* Writes the archive as a sparse file: only what lies around members' borders is read. */
static void write_sparse(struct shelf *shelf, struct package *package, const char *path,
                         const uint64_t *starts, size_t count)
{
    static uint8_t bytes[65536];
    int fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
    CU_ASSERT_TRUE_FATAL(fd >= 0);
    CU_ASSERT_EQUAL(ftruncate(fd, (off_t)package_length(package)), 0);
    for (size_t i = 0; i < count; i++) {
        size_t got;
        CU_ASSERT_EQUAL(package_read(package, starts[i], bytes, sizeof bytes, &got, &shelf->err),
                        0);
        CU_ASSERT_EQUAL(pwrite(fd, bytes, got, (off_t)starts[i]), (ssize_t)got);
    }
    CU_ASSERT_EQUAL(close(fd), 0);
}

/* Sizes on both sides of the 32-bit limit, with small members between whose offsets are far. */
static void test_large_members(void)
{
    static const uint64_t sizes[] = {100, 5 * GIB, 100, 4 * GIB - 1, 100, 4 * GIB - 2, 100};
    const size_t count = sizeof sizes / sizeof *sizes;
    static const uint8_t hundred[100];
    struct shelf *shelf = shelf_open();
    uint64_t starts[8] = {0};
    char path[512];
    for (unsigned i = 0; i < count; i++) {
        bool small = sizes[i] == 100;
        shelf_add_sparse(shelf, i + 1, sizes[i], small ? crc32_update(0, hundred, 100) : i);
        /* 30 + name + zip64 field, as APPNOTE.TXT has it */
        starts[i + 1] = starts[i] + 30 + strlen(STUDY_UID "/1.2.3.1.dcm") +
                        (sizes[i] >= UINT32_MAX ? 20 : 0) + sizes[i];
    }
    struct package *package = shelf_package(shelf, COMPRESSION_AUTO);
    CU_ASSERT_TRUE(package_length(package) > starts[count]);
    for (size_t i = 0; i <= count; i++)
        check_border(shelf, package, starts[i]);
    check_border(shelf, package, package_length(package) - 250);
    (void)snprintf(path, sizeof path, "%s/archive.zip", shelf->directory);
    write_sparse(shelf, package, path, starts, count + 1);
    check_headers_with_libarchive(shelf, path);
    check_with_python(path, count, false);
    package_close(package);
    shelf_close(shelf);
}

static CU_TestInfo cases[] = {SUITE_CASE(test_many_members), SUITE_CASE(test_large_members),
                              CU_TEST_INFO_NULL};
SUITE_MAIN("package, large", cases)
