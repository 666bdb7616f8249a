/* See the header. */
#include "package_fixture.h"

#include "spool_publish.h"

#include <CUnit/CUnit.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int remove_entry(const char *path, const struct stat *status, int type, struct FTW *walk)
{
    (void)status;
    (void)type;
    (void)walk;
    return remove(path);
}

struct shelf *shelf_open(void)
{
    struct shelf *shelf = calloc(1, sizeof *shelf);
    CU_ASSERT_PTR_NOT_NULL_FATAL(shelf);
    (void)snprintf(shelf->directory, sizeof shelf->directory, "/tmp/aurabridge-package-XXXXXX");
    CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(shelf->directory));
    CU_ASSERT_EQUAL_FATAL(spool_open(&shelf->spool, shelf->directory, 0, &shelf->err), 0);
    CU_ASSERT_EQUAL_FATAL(press_new(&shelf->press, shelf->spool, &shelf->err), 0);
    CU_ASSERT_EQUAL_FATAL(spool_publish_open(&shelf->journal, shelf->spool, &shelf->err), 0);
    shelf->study.id = 17;
    (void)snprintf(shelf->study.study_instance_uid, UID_SIZE, "%s", STUDY_UID);
    return shelf;
}

void shelf_close(struct shelf *shelf)
{
    press_free(shelf->press);
    journal_close(shelf->journal);
    spool_close(shelf->spool);
    CU_ASSERT_EQUAL(nftw(shelf->directory, remove_entry, 16, FTW_DEPTH | FTW_PHYS), 0);
    free(shelf);
}

/* The same bytes in every run; smooth ones are like an image with little noise. */
static void fill(uint8_t *bytes, enum content content, size_t length)
{
    uint32_t state = 12345 + (uint32_t)length;
    for (size_t i = 0; i < length; i++) {
        state = state * 1664525 + 1013904223;
        bytes[i] = content == CONTENT_RANDOM ? (uint8_t)(state >> 24)
                                             : (uint8_t)(i % 2 ? 1 : i / 512 + (state >> 30));
    }
}

static struct ledger_member *add_row(struct shelf *shelf, uint64_t size)
{
    struct ledger_member *row = &shelf->ledger.rows[shelf->ledger.count++];
    row->id = (int64_t)shelf->ledger.count;
    row->study_id = shelf->study.id;
    row->disposition = INSTANCE_STORED;
    row->file_size = size;
    shelf->study.instances++;
    shelf->study.bytes += size;
    return row;
}

void shelf_add(struct shelf *shelf, const char *sop_instance_uid, const char *transfer_syntax_uid,
               enum content content, size_t length)
{
    struct instance_request request = {.sop_class_uid = "1.2.840.10008.5.1.4.1.1.2"};
    static const struct association association = {.calling_ae_title = "CT1",
                                                   .called_ae_title = "AURABRIDGE"};
    struct spool_writer *writer;
    struct stored_instance stored;
    char name[STORED_NAME_SIZE];
    (void)snprintf(request.sop_instance_uid, UID_SIZE, "%s", sop_instance_uid);
    (void)snprintf(request.transfer_syntax_uid, UID_SIZE, "%s", transfer_syntax_uid);
    uint8_t *bytes = malloc(length + 1);
    CU_ASSERT_PTR_NOT_NULL_FATAL(bytes);
    fill(bytes, content, length);
    CU_ASSERT_EQUAL_FATAL(spool_writer_new(&writer, shelf->spool, shelf->journal, &association,
                                           &request, NULL, &shelf->err),
                          0);
    CU_ASSERT_EQUAL_FATAL(spool_writer_write(writer, bytes, length, &shelf->err), 0);
    CU_ASSERT_EQUAL_FATAL(spool_writer_finish(writer, &stored, &shelf->err), 0);
    CU_ASSERT_EQUAL_FATAL(spool_publish(shelf->spool, shelf->journal, writer, &stored, &association,
                                        &request, STUDY_UID, ROUTE_KEY, name, &shelf->err),
                          0);
    struct ledger_member *row = add_row(shelf, stored.file_size);
    memcpy(row->sop_instance_uid, request.sop_instance_uid, UID_SIZE);
    memcpy(row->transfer_syntax_uid, request.transfer_syntax_uid, UID_SIZE);
    row->file_crc32 = stored.file_crc32;
    memcpy(row->file_name, name, sizeof name);
    spool_writer_free(writer);
    free(bytes);
}

void shelf_path(const struct shelf *shelf, size_t row, char path[512])
{
    (void)snprintf(path, 512, "%s/studies/%s", shelf->directory, shelf->ledger.rows[row].file_name);
}

void shelf_add_sparse(struct shelf *shelf, unsigned number, uint64_t length, uint32_t crc32)
{
    char path[512];
    struct ledger_member *row = add_row(shelf, length);
    row->file_crc32 = crc32;
    (void)snprintf(row->transfer_syntax_uid, UID_SIZE, "%s", JPEG_BASELINE);
    (void)snprintf(row->sop_instance_uid, UID_SIZE, "1.2.3.%u", number);
    (void)snprintf(path, sizeof path, "%s/studies/%s@%s", shelf->directory, STUDY_UID, ROUTE_KEY);
    CU_ASSERT_EQUAL_FATAL(fs_make_directory(path, NULL), 0);
    (void)snprintf(row->file_name, sizeof row->file_name, "%s@%s/1.2.3.%u.%016x.dcm", STUDY_UID,
                   ROUTE_KEY, number, number);
    shelf_path(shelf, shelf->ledger.count - 1, path);
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL, 0600);
    CU_ASSERT_TRUE_FATAL(fd >= 0);
    CU_ASSERT_EQUAL_FATAL(ftruncate(fd, (off_t)length), 0);
    CU_ASSERT_EQUAL(close(fd), 0);
}

void shelf_made(const struct shelf *shelf, const char *ending, char path[512])
{
    (void)snprintf(path, 512, "%s/packages/S%lld.%s", shelf->directory, (long long)shelf->study.id,
                   ending);
}

bool shelf_has_made(const struct shelf *shelf, const char *ending)
{
    char path[512];
    shelf_made(shelf, ending, path);
    return access(path, F_OK) == 0;
}

struct package *shelf_package(struct shelf *shelf, enum config_compression compression)
{
    struct package *package = NULL;
    int result = package_open(&package, shelf->spool, shelf->press, &shelf->ledger, &shelf->study,
                              compression, NULL, NULL, &shelf->err);
    if (result != 0)
        (void)fprintf(stderr, "package_open: %s\n", shelf->err.text);
    CU_ASSERT_EQUAL_FATAL(result, 0);
    return package;
}

uint8_t *shelf_read(struct shelf *shelf, struct package *package, size_t *length)
{
    *length = (size_t)package_length(package);
    uint8_t *bytes = malloc(*length + 1);
    size_t got;
    CU_ASSERT_PTR_NOT_NULL_FATAL(bytes);
    CU_ASSERT_EQUAL_FATAL(package_read(package, 0, bytes, *length + 1, &got, &shelf->err), 0);
    CU_ASSERT_EQUAL_FATAL(got, *length);
    return bytes;
}

void shelf_write_archive(struct shelf *shelf, struct package *package, size_t piece, char path[512])
{
    (void)snprintf(path, 512, "%s/archive.zip", shelf->directory);
    FILE *file = fopen(path, "wb");
    uint8_t *bytes = malloc(piece);
    CU_ASSERT_PTR_NOT_NULL_FATAL(file);
    CU_ASSERT_PTR_NOT_NULL_FATAL(bytes);
    uint64_t offset = 0;
    size_t got;
    do {
        CU_ASSERT_EQUAL_FATAL(package_read(package, offset, bytes, piece, &got, &shelf->err), 0);
        CU_ASSERT_EQUAL_FATAL(fwrite(bytes, 1, got, file), got);
        offset += got;
    } while (got == piece);
    CU_ASSERT_EQUAL(offset, package_length(package));
    CU_ASSERT_EQUAL(fclose(file), 0);
    free(bytes);
}
