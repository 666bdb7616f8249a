/* The scanner on real files: the attributes that dcmdump prints, whatever the chunks are. */
#include "aurabridge/part10.h"
#include "real_files.h"
#include "suite.h"

#include <stdio.h>
#include <string.h>

#define FILE_MAX (1 << 20)

static unsigned char contents[FILE_MAX];

/* Returns the length, 0 with a message when the file cannot be read. */
static size_t read_file(const char *name)
{
    const char *directory = getenv("AURABRIDGE_DICOM");
    char path[4096];
    (void)snprintf(path, sizeof path, "%s/%s", directory ? directory : AURABRIDGE_DICOM, name);
    FILE *file = fopen(path, "rb");
    if (!file) {
        printf("\n    cannot open %s: set AURABRIDGE_DICOM to the directory of real files\n", path);
        return 0;
    }
    size_t length = fread(contents, 1, sizeof contents, file);
    if (fclose(file) != 0)
        return 0;
    return length;
}

static void join_attributes(char *out, size_t size, const struct attributes *attributes)
{
    size_t used = 0;
    out[0] = '\0';
    for (unsigned i = 0; i < ATTRIBUTE_COUNT; i++) {
        const char *value = attributes_get(attributes, (enum attribute)i);
        if (value[0] == '\0')
            continue;
        int n = snprintf(out + used, size - used, "%s=%s|", attribute_keyword((enum attribute)i),
                         value);
        if (n > 0 && (size_t)n < size - used)
            used += (size_t)n;
    }
}

/* A repeatable run of pseudo-random numbers. */
static size_t next_random(uint32_t *state)
{
    *state = *state * 1664525U + 1013904223U;
    return *state >> 16;
}

/* chunk 0: random splits. */
static void feed(struct dataset_scanner *scanner, const unsigned char *bytes, size_t length,
                 size_t chunk, uint32_t seed)
{
    while (length > 0) {
        size_t n = chunk > 0 ? chunk : 1 + next_random(&seed) % 97;
        if (n > length)
            n = length;
        dataset_scanner_feed(scanner, bytes, n);
        bytes += n;
        length -= n;
    }
}

static void check_file(const struct real_file *row, size_t chunk, uint32_t seed)
{
    size_t length = read_file(row->name);
    CU_ASSERT_FATAL(length > 0);
    struct part10_header header;
    if (part10_read_header(&header, contents, length, NULL) != 0) {
        header.data_set_offset = 0; /* no_meta.dcm */
        strcpy(header.request.transfer_syntax_uid, "1.2.840.10008.1.2.1");
    }
    struct dataset_scanner *scanner;
    CU_ASSERT_EQUAL_FATAL(
        dataset_scanner_new(&scanner, header.request.transfer_syntax_uid, NULL, NULL), 0);
    feed(scanner, contents + header.data_set_offset, length - header.data_set_offset, chunk, seed);
    struct dataset_result result;
    dataset_scanner_finish(scanner, &result);
    char text[16384];
    join_attributes(text, sizeof text, dataset_scanner_attributes(scanner));
    if (strcmp(text, row->attributes) != 0 || result.ending != row->ending)
        printf("\n    %s, chunk %zu, ending %d:\n%s\nexpected:\n%s\n", row->name, chunk,
               (int)result.ending, text, row->attributes);
    CU_ASSERT_STRING_EQUAL(text, row->attributes);
    CU_ASSERT_EQUAL(result.ending, row->ending);
    CU_ASSERT_EQUAL(result.missing, row->missing);
    if (row->ending == DATASET_TRUNCATED)
        CU_ASSERT_EQUAL(result.tag, row->tag);
    dataset_scanner_free(scanner);
}

static void check_all(size_t chunk, uint32_t seed)
{
    for (size_t i = 0; i < sizeof real_files / sizeof *real_files; i++)
        check_file(&real_files[i], chunk, seed);
}

static void test_whole(void)
{
    check_all(FILE_MAX, 0);
}

static void test_byte_by_byte(void)
{
    check_all(1, 0);
}

static void test_random_splits(void)
{
    for (uint32_t seed = 1; seed <= 5; seed++)
        check_all(0, seed);
}

static CU_TestInfo cases[] = {SUITE_CASE(test_whole), SUITE_CASE(test_byte_by_byte),
                              SUITE_CASE(test_random_splits), CU_TEST_INFO_NULL};
SUITE_MAIN("dataset_real_files", cases)
