/* Layouts that were sealed, and yet cannot be: figures that contradict each other must not be
 * followed. */
#include "layout.h"

#include "suite.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

static char directory[] = "/tmp/aurabridge-layout-XXXXXX";
static char path[64];

/* One stored member of 10 bytes. */
static void plan(struct layout_header *header, struct layout_record *record)
{
    char name[ZIP_NAME_MAX];
    uint8_t bytes[ZIP_HEADER_MAX];
    uint8_t tail[ZIP_TAIL_MAX];
    *header = (struct layout_header){.study_instance_uid = "1.2.3", .count = 1, .source_bytes = 10};
    *record = (struct layout_record){.sop_instance_uid = "1.2.3.1", .size = 10, .packed = 10};
    struct zip_entry entry = layout_entry(record, "1.2.3", name);
    header->central_offset = zip_local_header(bytes, &entry) + 10;
    header->central_size = zip_central_header(bytes, &entry);
    header->archive_length = header->central_offset + header->central_size +
                             zip_tail(tail, 1, header->central_offset, header->central_size);
}

static int open_written(struct layout_header *header, const struct layout_record *record)
{
    struct layout_writer writer;
    struct layout layout = {.fd = -1};
    struct error err = {""};
    (void)unlink(path);
    CU_ASSERT_EQUAL_FATAL(layout_writer_open(&writer, path, "1.2.3", &err), 0);
    CU_ASSERT_EQUAL(layout_writer_add(&writer, record, &err), 0);
    CU_ASSERT_EQUAL(layout_writer_finish(&writer, header, &err), 0);
    layout_writer_close(&writer);
    int result = layout_open(&layout, path, &err);
    layout_close(&layout);
    return result;
}

static void test_sealed_figures_are_held_against_each_other(void)
{
    struct layout_header header;
    struct layout_record record;
    plan(&header, &record);
    CU_ASSERT_EQUAL(open_written(&header, &record), 0);
    static const struct {
        int64_t central_offset, central_size, archive_length; /* added */
    } rows[] = {{0, 0, 1},  {0, 0, -1}, {0, 0, 1000},      {0, 1, 0},         {0, -1, 0}, {1, 0, 0},
                {-1, 0, 0}, {1, 0, 2},  {INT64_MAX, 0, 0}, {0, INT64_MAX, 0}, {0, 0, -90}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        plan(&header, &record);
        header.central_offset += (uint64_t)rows[i].central_offset;
        header.central_size += (uint64_t)rows[i].central_size;
        header.archive_length += (uint64_t)rows[i].archive_length;
        CU_ASSERT_EQUAL(open_written(&header, &record), LAYOUT_UNUSABLE);
    }
    plan(&header, &record);
    header.count = 0;
    CU_ASSERT_EQUAL(open_written(&header, &record), LAYOUT_UNUSABLE);
    plan(&header, &record);
    header.central_size = 0;
    header.archive_length -= 64;
    CU_ASSERT_EQUAL(open_written(&header, &record), LAYOUT_UNUSABLE);
    (void)unlink(path);
    (void)rmdir(directory);
}

static CU_TestInfo cases[] = {SUITE_CASE(test_sealed_figures_are_held_against_each_other),
                              CU_TEST_INFO_NULL};

int main(void)
{
    if (!mkdtemp(directory))
        return EXIT_FAILURE;
    (void)snprintf(path, sizeof path, "%s/layout", directory);
    return suite_run("package_layout", cases);
}
