/* A ledger file whose rows are out of order: walks through it end, and say so. */
#include "bench.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define FILE_MAX (8 << 20)

/* Rewrites the row id of a table row, found by the text that its record begins with. Before the
 * record stand its header, whose first byte is its own length, and before that the row id
 * (https://www.sqlite.org/fileformat2.html#b_tree_pages). */
static unsigned change_row_id(struct bench *bench, const char *text, const char *from,
                              const char *to, size_t id_length)
{
    unsigned changed = 0;
    size_t length = strlen(text);
    ledger_close(bench->ledger);
    bench->ledger = NULL;
    int fd = open(bench->path, O_RDWR | O_CLOEXEC);
    uint8_t *bytes = malloc(FILE_MAX);
    CU_ASSERT_FATAL(fd >= 0 && bytes != NULL);
    ssize_t size = read(fd, bytes, FILE_MAX);
    for (ssize_t at = 100; at + (ssize_t)length < size; at++) {
        if (memcmp(bytes + at, text, length) != 0)
            continue;
        for (uint8_t header = 20; header < 80; header++) {
            ssize_t id_at = at - header - (ssize_t)id_length;
            if (bytes[at - header] != header || memcmp(bytes + id_at, from, id_length) != 0)
                continue;
            CU_ASSERT_EQUAL(pwrite(fd, to, id_length, id_at), (ssize_t)id_length);
            changed++;
            break;
        }
    }
    free(bytes);
    CU_ASSERT_EQUAL(close(fd), 0);
    CU_ASSERT_EQUAL_FATAL(ledger_open(&bench->ledger, bench->path, &bench->clock, &bench->err), 0);
    return changed;
}

/* The walks below see more rows than there are when they go in circles; that shall fail, not hang.
 */
#define ROWS_MAX 1000

static int count_study(void *context, const struct ledger_study *study)
{
    (void)study;
    return ++*(unsigned *)context > ROWS_MAX ? 42 : 0;
}

static int count_instance(void *context, const struct ledger_instance *instance)
{
    (void)instance;
    return ++*(unsigned *)context > ROWS_MAX ? 42 : 0;
}

static int count_file(void *context, int64_t study_id, int64_t instance_id, const char *file_name,
                      uint64_t file_size)
{
    (void)study_id;
    (void)instance_id;
    (void)file_name;
    (void)file_size;
    return ++*(unsigned *)context > ROWS_MAX ? 42 : 0;
}

/* Each walk reads a page of rows at a time, and goes on behind the last one. Here that one points
 * back. */
static void test_walk_through_studies_ends(void)
{
    struct bench *bench = bench_new(true);
    char study[32];
    unsigned count = 0;
    for (unsigned i = 1; i <= 40; i++) {
        (void)snprintf(study, sizeof study, "1.2.9.%u", i);
        SEND(bench, .study = study, .sop = study);
    }
    CU_ASSERT_EQUAL(change_row_id(bench, "aaaaaaaaaaaaaaaa1.2.9.16", "\x10", "\x01", 1), 1);
    CU_ASSERT_EQUAL(ledger_studies(bench->ledger, -1, count_study, &count, &bench->err), -1);
    CU_ASSERT_PTR_NOT_NULL(strstr(bench->err.text, "out of order"));
    bench_free(bench);
}

static void test_walks_through_instances_end(void)
{
    struct bench *bench = bench_new(true);
    char sop[32];
    unsigned count = 0;
    for (unsigned i = 1; i <= 260; i++) {
        (void)snprintf(sop, sizeof sop, "7.%03u", i);
        SEND(bench, .sop = sop);
    }
    CU_ASSERT_EQUAL(
        change_row_id(bench, "stored1.2.840.10008.5.1.4.1.1.27.256", "\x82\x00", "\x80\x01", 2), 1);
    CU_ASSERT_EQUAL(ledger_files(bench->ledger, count_file, &count, &bench->err), -1);
    CU_ASSERT_PTR_NOT_NULL(strstr(bench->err.text, "out of order"));
    CU_ASSERT_EQUAL(change_row_id(bench, "stored1.2.840.10008.5.1.4.1.1.27.032", "\x20", "\x01", 1),
                    1);
    count = 0;
    CU_ASSERT_EQUAL(ledger_instances(bench->ledger, 1, -1, count_instance, &count, &bench->err),
                    -1);
    CU_ASSERT_PTR_NOT_NULL(strstr(bench->err.text, "damaged"));
    bench_free(bench);
}

static CU_TestInfo cases[] = {SUITE_CASE(test_walk_through_studies_ends),
                              SUITE_CASE(test_walks_through_instances_end), CU_TEST_INFO_NULL};
SUITE_MAIN("ledger: damage", cases)
