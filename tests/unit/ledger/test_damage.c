/* A ledger file whose rows are out of order: walks through it end, and say so. */
#include "bench.h"
#include "tamper.h"

#include "aurabridge/ledger_receipt.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define FILE_MAX (8 << 20)

struct ledger_bytes {
    int fd;
    uint8_t *bytes;
    ssize_t size;
};

/* The file without its ledger, and back. */
static struct ledger_bytes take_file(struct bench *bench)
{
    ledger_close(bench->ledger);
    bench->ledger = NULL;
    struct ledger_bytes file = {.fd = open(bench->path, O_RDWR | O_CLOEXEC),
                                .bytes = malloc(FILE_MAX)};
    CU_ASSERT_FATAL(file.fd >= 0 && file.bytes != NULL);
    file.size = read(file.fd, file.bytes, FILE_MAX);
    return file;
}

static void give_file(struct bench *bench, struct ledger_bytes *file)
{
    free(file->bytes);
    CU_ASSERT_EQUAL(close(file->fd), 0);
    CU_ASSERT_EQUAL_FATAL(ledger_open(&bench->ledger, bench->path, &bench->clock, &bench->err), 0);
}

/* Rewrites the row id of a table row, found by the text that its record begins with. Before the
 * record stand its header, whose first byte is its own length, and before that the row id
 * (https://www.sqlite.org/fileformat2.html#b_tree_pages). */
static unsigned change_row_id(struct bench *bench, const char *text, const char *from,
                              const char *to, size_t id_length)
{
    unsigned changed = 0;
    size_t length = strlen(text);
    struct ledger_bytes file = take_file(bench);
    for (ssize_t at = 100; at + (ssize_t)length < file.size; at++) {
        if (memcmp(file.bytes + at, text, length) != 0)
            continue;
        for (uint8_t header = 20; header < 80; header++) {
            ssize_t id_at = at - header - (ssize_t)id_length;
            if (file.bytes[at - header] != header ||
                memcmp(file.bytes + id_at, from, id_length) != 0)
                continue;
            CU_ASSERT_EQUAL(pwrite(file.fd, to, id_length, id_at), (ssize_t)id_length);
            changed++;
            break;
        }
    }
    give_file(bench, &file);
    return changed;
}

/* Points two neighbours in the index of study 1's instances back to its first one, so that a page
 * of rows which ends with them is followed by itself. An entry is its length, and a record of the
 * number 1, which takes no byte, and the row id. */
static void turn_back(struct bench *bench, uint8_t id)
{
    unsigned changed = 0;
    struct ledger_bytes file = take_file(bench);
    for (ssize_t at = 100; at + 5 <= file.size; at++) {
        uint8_t found = file.bytes[at + 4];
        if (memcmp(file.bytes + at, "\x04\x03\x09\x01", 4) != 0 || (found != id && found != id + 1))
            continue;
        CU_ASSERT_EQUAL(pwrite(file.fd, "\x01", 1, at + 4), 1);
        changed++;
    }
    give_file(bench, &file);
    CU_ASSERT_EQUAL(changed, 2);
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

static struct bench *bench_with_instances(unsigned count)
{
    struct bench *bench = bench_new(true);
    char sop[32];
    for (unsigned i = 1; i <= count; i++) {
        (void)snprintf(sop, sizeof sop, "7.%03u", i);
        SEND(bench, .sop = sop);
    }
    return bench;
}

static void test_walks_through_instances_end(void)
{
    struct bench *bench = bench_with_instances(260);
    unsigned count = 0;
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

static int count_line(void *context, const char *line)
{
    (void)line;
    return ++*(unsigned *)context > ROWS_MAX ? 42 : 0;
}

static void test_walk_through_a_receipt_ends(void)
{
    struct bench *bench = bench_with_instances(100);
    unsigned count = 0;
    CU_ASSERT_EQUAL(ledger_receipt_instances(bench->ledger, 1, count_line, &count, &bench->err), 0);
    CU_ASSERT_EQUAL(count, 100);
    turn_back(bench, 64);
    count = 0;
    CU_ASSERT_EQUAL(ledger_receipt_instances(bench->ledger, 1, count_line, &count, &bench->err),
                    -1);
    CU_ASSERT_PTR_NOT_NULL(strstr(bench->err.text, "out of order"));
    bench_free(bench);
}

#define FILES_AT_ONCE 40

static int walk_files(struct bench *bench, unsigned *seen)
{
    struct ledger_file files[FILES_AT_ONCE];
    size_t count = 0;
    int64_t after = 0;
    *seen = 0;
    do {
        if (ledger_study_files(bench->ledger, 1, after, files, FILES_AT_ONCE, &count,
                               &bench->err) != 0)
            return -1;
        *seen += (unsigned)count;
        after = count > 0 ? files[count - 1].instance_id : after;
    } while (count > 0 && *seen < ROWS_MAX);
    return 0;
}

static void test_walk_through_the_files_of_a_study_ends(void)
{
    struct bench *bench = bench_with_instances(100);
    unsigned seen = 0;
    CU_ASSERT_EQUAL(walk_files(bench, &seen), 0);
    CU_ASSERT_EQUAL(seen, 100);
    turn_back(bench, FILES_AT_ONCE);
    CU_ASSERT_EQUAL(walk_files(bench, &seen), -1);
    CU_ASSERT_PTR_NOT_NULL(strstr(bench->err.text, "out of order"));
    bench_free(bench);
}

/* A time that is no whole number comes after itself. */
static void test_search_for_what_may_go_ends(void)
{
    struct bench *bench = bench_new(true);
    struct ledger_to_clean at = {.id = 0};
    unsigned seen = 0;
    int found = 0;
    for (unsigned i = 1; i <= 3; i++) {
        char study[32];
        (void)snprintf(study, sizeof study, "1.2.9.%u", i);
        SEND(bench, .study = study, .sop = study);
        bench_bring(bench, i, STUDY_COMPLETED);
    }
    while (ledger_next_to_clean(bench->ledger, &at, INT64_MAX, &bench->err) == 0 && seen < ROWS_MAX)
        seen++;
    CU_ASSERT_EQUAL(seen, 3);
    ledger_close(bench->ledger);
    bench->ledger = NULL;
    tamper(bench->path, "UPDATE study SET changed_ms=changed_ms+0.5 WHERE id=2");
    CU_ASSERT_EQUAL_FATAL(ledger_open(&bench->ledger, bench->path, &bench->clock, &bench->err), 0);
    at = (struct ledger_to_clean){.id = 0};
    for (seen = 0; found == 0 && seen < ROWS_MAX; seen++)
        found = ledger_next_to_clean(bench->ledger, &at, INT64_MAX, &bench->err);
    CU_ASSERT_EQUAL(found, -1);
    CU_ASSERT_PTR_NOT_NULL(strstr(bench->err.text, "out of order"));
    bench_free(bench);
}

static CU_TestInfo cases[] = {SUITE_CASE(test_walk_through_studies_ends),
                              SUITE_CASE(test_walks_through_instances_end),
                              SUITE_CASE(test_walk_through_a_receipt_ends),
                              SUITE_CASE(test_walk_through_the_files_of_a_study_ends),
                              SUITE_CASE(test_search_for_what_may_go_ends),
                              CU_TEST_INFO_NULL};
SUITE_MAIN("ledger: damage", cases)
