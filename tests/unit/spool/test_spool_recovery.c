/* What a restart sees: leftovers, published files, and the same facts as reception saw. */
#include "spool_fixture.h"
#include "suite.h"

#include "aurabridge/buffer.h"
#include "aurabridge/fs.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- a disk that cannot promise ---- */

static unsigned syncs;
static int sync_errnum;

int __real_syncfs(int fd);
int __wrap_syncfs(int fd);

int __wrap_syncfs(int fd)
{
    syncs++;
    errno = sync_errnum;
    return sync_errnum ? -1 : __real_syncfs(fd);
}

static void touch(const struct fixture *fixture, const char *name)
{
    char path[512];
    (void)snprintf(path, sizeof path, "%s/%s", fixture->directory, name);
    CU_ASSERT_EQUAL(fs_write_atomic(path, "x", 1, NULL), 0);
}

static void test_clear_incoming(void)
{
    struct fixture fixture;
    unsigned removed = 99;
    fixture_open(&fixture);
    CU_ASSERT_EQUAL(spool_clear_incoming(fixture.spool, &removed, &fixture.err), 0);
    CU_ASSERT_EQUAL(removed, 0);
    touch(&fixture, "incoming/aa.part");
    touch(&fixture, "incoming/bb.part");
    CU_ASSERT_EQUAL(spool_clear_incoming(fixture.spool, &removed, &fixture.err), 0);
    CU_ASSERT_EQUAL(removed, 2);
    CU_ASSERT_EQUAL(fixture_entries(&fixture, "incoming"), 0);
    fixture_close(&fixture);
}

struct seen {
    struct spool *spool;
    unsigned count;
    unsigned stop_at;
    bool remove;
    bool wrong;
};

static int see(void *context, const struct spool_found *found)
{
    struct seen *seen = context;
    seen->count++;
    seen->wrong |= strcmp(found->study_instance_uid, STUDY_UID) != 0 ||
                   strcmp(found->route_key, ROUTE_KEY) != 0 || found->modified_ms < 1000000000000 ||
                   strncmp(found->name, STUDY_UID "@" ROUTE_KEY "/", strlen(STUDY_UID) + 18) != 0;
    if (seen->remove)
        return spool_remove(seen->spool, found->name, NULL);
    return seen->count == seen->stop_at ? 42 : 0;
}

static void test_walk(void)
{
    struct fixture fixture;
    struct stored_instance stored;
    char name[STORED_NAME_SIZE], path[256];
    fixture_open(&fixture);
    struct seen seen = {.spool = fixture.spool};
    CU_ASSERT_EQUAL(spool_walk(fixture.spool, see, &seen, &fixture.err), 0);
    CU_ASSERT_EQUAL(seen.count, 0);
    for (unsigned i = 0; i < 3; i++)
        CU_ASSERT_EQUAL(fixture_store(&fixture, "1.2.3", 10, 10, &stored, name), 0);
    touch(&fixture, "studies/" STUDY_UID "@" ROUTE_KEY "/stray.txt");
    touch(&fixture, "studies/stray.txt");
    (void)snprintf(path, sizeof path, "%s/studies/1.2.3@" ROUTE_KEY, fixture.directory);
    CU_ASSERT_EQUAL(fs_make_directory(path, NULL), 0);
    spool_close(fixture.spool);
    CU_ASSERT_EQUAL_FATAL(spool_open(&fixture.spool, fixture.directory, 0, &fixture.err), 0);
    seen.spool = fixture.spool;
    CU_ASSERT_EQUAL(spool_walk(fixture.spool, see, &seen, &fixture.err), 0);
    CU_ASSERT_EQUAL(seen.count, 3);
    CU_ASSERT_FALSE(seen.wrong);
    CU_ASSERT_EQUAL(access(path, F_OK), -1);
    seen = (struct seen){.spool = fixture.spool, .stop_at = 2};
    CU_ASSERT_EQUAL(spool_walk(fixture.spool, see, &seen, &fixture.err), 42);
    CU_ASSERT_EQUAL(seen.count, 2);
    seen = (struct seen){.spool = fixture.spool, .remove = true};
    CU_ASSERT_EQUAL(spool_walk(fixture.spool, see, &seen, &fixture.err), 0);
    CU_ASSERT_EQUAL(seen.count, 3);
    CU_ASSERT_EQUAL(fixture_files(&fixture, "studies"), 2);
    fixture_close(&fixture);
}

/* What is none of the spool's is no reason to refuse all senders. */
static void test_foreign_things_are_left_alone(void)
{
    static const char *const places[] = {
        "incoming/folder", "studies/1.2.3@0123456789abcdef", "studies/1.2.4@0123456789abcdef",
        "studies/1.2.5@0123456789abcdef/1.2.3.0123456789abcdef.dcm"};
    struct fixture fixture;
    char path[4][256];
    struct stat status;
    unsigned removed = 0;
    fixture_open(&fixture);
    for (size_t i = 0; i < 4; i++)
        (void)snprintf(path[i], sizeof path[i], "%s/%s", fixture.directory, places[i]);
    CU_ASSERT_EQUAL(fs_make_directory(path[0], NULL), 0);
    touch(&fixture, places[1]);
    CU_ASSERT_EQUAL(symlink(fixture.directory, path[2]), 0);
    CU_ASSERT_EQUAL(fs_make_directory(path[3], NULL), 0);
    touch(&fixture, "incoming/aa.part");
    CU_ASSERT_EQUAL(spool_clear_incoming(fixture.spool, &removed, &fixture.err), 0);
    CU_ASSERT_EQUAL(removed, 1);
    struct seen seen = {.spool = fixture.spool};
    CU_ASSERT_EQUAL(spool_walk(fixture.spool, see, &seen, &fixture.err), 0);
    CU_ASSERT_EQUAL(seen.count, 0);
    for (size_t i = 0; i < 4; i++)
        CU_ASSERT_EQUAL(lstat(path[i], &status), 0);
    CU_ASSERT_EQUAL(rmdir(path[0]), 0);
    CU_ASSERT_EQUAL(unlink(path[1]), 0);
    CU_ASSERT_EQUAL(unlink(path[2]), 0);
    fixture_close(&fixture);
}

static int see_time(void *context, const struct spool_found *found)
{
    *(int64_t *)context = found->modified_ms;
    return 0;
}

/* A file's time may be any figure. */
static void test_impossible_times(void)
{
    static const struct {
        int64_t seconds, expected_ms;
    } rows[] = {{1700000000, 1700000000000}, {-1, 0}, {INT64_MAX, 0}, {INT64_MIN, 0}};
    struct fixture fixture;
    struct stored_instance stored;
    char name[STORED_NAME_SIZE];
    char path[512];
    fixture_open(&fixture);
    CU_ASSERT_EQUAL(fixture_store(&fixture, "1.2.3", 10, 10, &stored, name), 0);
    (void)snprintf(path, sizeof path, "%s/studies/%s", fixture.directory, name);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const struct timespec times[2] = {{.tv_sec = 0}, {.tv_sec = rows[i].seconds}};
        struct stat status;
        int64_t seen_ms = -1;
        CU_ASSERT_EQUAL(utimensat(AT_FDCWD, path, times, 0), 0);
        CU_ASSERT_EQUAL(stat(path, &status), 0);
        CU_ASSERT_EQUAL(spool_walk(fixture.spool, see_time, &seen_ms, &fixture.err), 0);
        /* Not every file system keeps every figure. */
        if (status.st_mtim.tv_sec == rows[i].seconds)
            CU_ASSERT_EQUAL(seen_ms, rows[i].expected_ms);
    }
    fixture_close(&fixture);
}

/* Nothing is shown that a power loss could take back. */
static void test_walk_shows_durable_files(void)
{
    struct fixture fixture;
    struct stored_instance stored;
    char name[STORED_NAME_SIZE];
    fixture_open(&fixture);
    CU_ASSERT_EQUAL(fixture_store(&fixture, "1.2.3", 10, 10, &stored, name), 0);
    struct seen seen = {.spool = fixture.spool};
    syncs = 0;
    CU_ASSERT_EQUAL(spool_walk(fixture.spool, see, &seen, &fixture.err), 0);
    CU_ASSERT_EQUAL(syncs, 1);
    CU_ASSERT_EQUAL(seen.count, 1);
    sync_errnum = EIO;
    CU_ASSERT_EQUAL(spool_walk(fixture.spool, see, &seen, &fixture.err), -1);
    sync_errnum = 0;
    CU_ASSERT_EQUAL(seen.count, 1);
    fixture_close(&fixture);
}

/* The list for an audit, beside whatever goes on: it shows the same, and changes nothing. */
static void test_list(void)
{
    struct fixture fixture;
    struct stored_instance stored;
    char name[STORED_NAME_SIZE], path[256];
    fixture_open(&fixture);
    CU_ASSERT_EQUAL(fixture_store(&fixture, "1.2.3", 10, 10, &stored, name), 0);
    touch(&fixture, "studies/" STUDY_UID "@" ROUTE_KEY "/stray.txt");
    (void)snprintf(path, sizeof path, "%s/studies/1.2.3@" ROUTE_KEY, fixture.directory);
    CU_ASSERT_EQUAL(fs_make_directory(path, NULL), 0);
    struct seen seen = {.spool = fixture.spool};
    syncs = 0;
    CU_ASSERT_EQUAL(spool_list(fixture.spool, see, &seen, &fixture.err), 0);
    CU_ASSERT_EQUAL(seen.count, 1);
    CU_ASSERT_FALSE(seen.wrong);
    CU_ASSERT_EQUAL(syncs, 0);
    CU_ASSERT_EQUAL(access(path, F_OK), 0);
    CU_ASSERT_TRUE(spool_has_any(fixture.spool, name));
    CU_ASSERT_EQUAL(spool_remove(fixture.spool, name, &fixture.err), 0);
    CU_ASSERT_FALSE(spool_has_any(fixture.spool, name));
    CU_ASSERT_FALSE(spool_has_any(fixture.spool, "../lock"));
    fixture_close(&fixture);
}

static void test_examine_broken(void)
{
    static const char name[] = STUDY_UID "@" ROUTE_KEY "/1.2.3.0123456789abcdef.dcm";
    struct fixture fixture;
    struct stored_instance stored;
    struct part10_header header;
    struct spool_writer *writer;
    char path[256];
    fixture_open(&fixture);
    CU_ASSERT_EQUAL(
        spool_examine(&writer, fixture.spool, name, NULL, &header, &stored, &fixture.err), -1);
    (void)snprintf(path, sizeof path, "%s/studies/" STUDY_UID "@" ROUTE_KEY, fixture.directory);
    CU_ASSERT_EQUAL(fs_make_directory(path, NULL), 0);
    (void)snprintf(path, sizeof path, "studies/%s", name);
    touch(&fixture, path);
    CU_ASSERT_EQUAL(
        spool_examine(&writer, fixture.spool, name, NULL, &header, &stored, &fixture.err), -1);
    CU_ASSERT_PTR_NULL(writer);
    CU_ASSERT_PTR_NOT_NULL(strstr(fixture.err.text, "1.2.3"));
    fixture_close(&fixture);
}

static const char *dicom_files(void)
{
    const char *directory = getenv("AURABRIDGE_DICOM");
    return directory ? directory : DICOM_FILES;
}

/* Sends one real file's data set through the spool and looks at what is published. */
static void check_round_trip(struct fixture *fixture, const struct part10_header *file,
                             const uint8_t *data_set, size_t length)
{
    struct spool_writer *writer, *examined;
    struct stored_instance received, found;
    struct part10_header header;
    char name[STORED_NAME_SIZE];
    const uint32_t tags[] = {0x00080018, 0x00100020, 0x00081010, 0x00080090};
    static char values[4][ATTRIBUTE_VALUE_SIZE];
    CU_ASSERT_EQUAL_FATAL(fixture_begin(fixture, &writer, &file->request, "ISO_IR 100"), 0);
    for (size_t at = 0; at < length; at += 5000)
        CU_ASSERT_EQUAL(spool_writer_write(writer, data_set + at,
                                           length - at < 5000 ? length - at : 5000, &fixture->err),
                        0);
    CU_ASSERT_EQUAL(spool_writer_finish(writer, &received, &fixture->err), 0);
    CU_ASSERT_EQUAL_FATAL(fixture_publish(fixture, writer, &received, &file->request, name), 0);
    CU_ASSERT_EQUAL_FATAL(spool_examine(&examined, fixture->spool, name, "ISO_IR 100", &header,
                                        &found, &fixture->err),
                          0);
    CU_ASSERT_EQUAL(memcmp(found.data_set_sha256, received.data_set_sha256, SHA256_SIZE), 0);
    CU_ASSERT_EQUAL(found.file_crc32, received.file_crc32);
    CU_ASSERT_EQUAL(found.file_size, received.file_size);
    CU_ASSERT_EQUAL(found.data_set_offset, received.data_set_offset);
    CU_ASSERT_EQUAL(found.ending.ending, received.ending.ending);
    CU_ASSERT_EQUAL(found.ending.missing, received.ending.missing);
    CU_ASSERT_EQUAL(found.ending.offset, received.ending.offset);
    for (int i = 0; i < ATTRIBUTE_COUNT; i++)
        CU_ASSERT_STRING_EQUAL(attributes_get(found.attributes, (enum attribute)i),
                               attributes_get(received.attributes, (enum attribute)i));
    CU_ASSERT_STRING_EQUAL(header.request.sop_instance_uid, file->request.sop_instance_uid);
    CU_ASSERT_STRING_EQUAL(header.request.transfer_syntax_uid, file->request.transfer_syntax_uid);
    CU_ASSERT_STRING_EQUAL(header.calling_ae_title, "CT1");
    CU_ASSERT_STRING_EQUAL(header.called_ae_title, "AURABRIDGE");
    CU_ASSERT_EQUAL(
        spool_read_values(fixture->spool, name, tags, 4, values, "ISO_IR 100", &fixture->err), 0);
    CU_ASSERT_STRING_EQUAL(values[0],
                           attributes_get(received.attributes, ATTRIBUTE_SOP_INSTANCE_UID));
    CU_ASSERT_STRING_EQUAL(values[1], attributes_get(received.attributes, ATTRIBUTE_PATIENT_ID));
    CU_ASSERT_STRING_EQUAL(values[3],
                           attributes_get(received.attributes, ATTRIBUTE_REFERRING_PHYSICIAN_NAME));
    spool_writer_free(examined);
    spool_writer_free(writer);
    CU_ASSERT_TRUE(spool_has(fixture->spool, name, received.file_size));
}

static void test_examine_real_files(void)
{
    struct fixture fixture;
    unsigned files = 0;
    fixture_open(&fixture);
    DIR *directory = opendir(dicom_files());
    if (!directory)
        (void)fprintf(stderr, "no DICOM files in %s: set AURABRIDGE_DICOM\n", dicom_files());
    CU_ASSERT_PTR_NOT_NULL_FATAL(directory);
    const struct dirent *entry;
    while ((entry = readdir(directory)) != NULL) {
        char path[FS_PATH_MAX];
        struct buffer bytes;
        struct part10_header header;
        size_t length = strlen(entry->d_name);
        if (length < 4 || strcmp(entry->d_name + length - 4, ".dcm") != 0)
            continue;
        buffer_init(&bytes, (size_t)64 * 1024 * 1024);
        CU_ASSERT_EQUAL_FATAL(fs_join(path, dicom_files(), entry->d_name, NULL), 0);
        CU_ASSERT_EQUAL_FATAL(fs_read_file(&bytes, path, NULL), 0);
        if (part10_read_header(&header, bytes.data, bytes.length, NULL) == 0 &&
            uid_is_valid(header.request.sop_instance_uid)) {
            check_round_trip(&fixture, &header,
                             (const uint8_t *)bytes.data + header.data_set_offset,
                             bytes.length - header.data_set_offset);
            files++;
        }
        buffer_free(&bytes);
    }
    (void)closedir(directory);
    (void)printf("(%u files) ", files);
    CU_ASSERT_TRUE(files >= 20);
    fixture_close(&fixture);
}

static void test_read_values(void)
{
    struct fixture fixture;
    struct stored_instance stored;
    char name[STORED_NAME_SIZE];
    const uint32_t tags[17] = {0x00081010, 0x00100010, 0x00081030};
    static char values[17][ATTRIBUTE_VALUE_SIZE];
    fixture_open(&fixture);
    CU_ASSERT_EQUAL_FATAL(fixture_store(&fixture, "1.2.3", 1000000, 99999, &stored, name), 0);
    CU_ASSERT_EQUAL(spool_read_values(fixture.spool, name, tags, 3, values, NULL, &fixture.err), 0);
    CU_ASSERT_STRING_EQUAL(values[0], "ROOM 4");
    CU_ASSERT_STRING_EQUAL(values[1], "Test^Spool");
    CU_ASSERT_STRING_EQUAL(values[2], "");
    CU_ASSERT_EQUAL(spool_read_values(fixture.spool, name, tags, 17, values, NULL, &fixture.err),
                    -1);
    CU_ASSERT_EQUAL(spool_remove(fixture.spool, name, &fixture.err), 0);
    CU_ASSERT_EQUAL(spool_read_values(fixture.spool, name, tags, 3, values, NULL, &fixture.err),
                    -1);
    fixture_close(&fixture);
}

static CU_TestInfo cases[] = {SUITE_CASE(test_clear_incoming),
                              SUITE_CASE(test_walk),
                              SUITE_CASE(test_foreign_things_are_left_alone),
                              SUITE_CASE(test_impossible_times),
                              SUITE_CASE(test_walk_shows_durable_files),
                              SUITE_CASE(test_list),
                              SUITE_CASE(test_examine_broken),
                              SUITE_CASE(test_read_values),
                              SUITE_CASE(test_examine_real_files),
                              CU_TEST_INFO_NULL};
SUITE_MAIN("spool recovery", cases)
