/* A disk that is really full: /tmp is a small file system of this process' own. What is refused
 * leaves nothing, what is acknowledged stays, and everything goes on when there is space again. */
#include "bridge_bench.h"

#include "aurabridge/fs.h"
#include "aurabridge/log.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

#define PAGE   UINT64_C(4096)
#define FILLER "/tmp/filler"

static int take_small_disk(void)
{
    if (unshare(CLONE_NEWNS) == 0 && mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
        mount("tmpfs", "/tmp", "tmpfs", 0, "size=48m") == 0)
        return 0;
    (void)fprintf(stderr,
                  "this test mounts a tmpfs of its own and cannot: %s; run it as root with "
                  "CAP_SYS_ADMIN\n",
                  strerror(errno));
    return -1;
}

static uint64_t free_pages(void)
{
    struct fs_room room;
    CU_ASSERT_EQUAL_FATAL(fs_room(&room, "/tmp", NULL), 0);
    return room.bytes / PAGE;
}

/* Fills the disk but for so many pages. */
static void fill(uint64_t pages)
{
    uint64_t free = free_pages();
    CU_ASSERT_TRUE_FATAL(free > pages);
    int fd = open(FILLER, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    CU_ASSERT_TRUE_FATAL(fd >= 0);
    CU_ASSERT_EQUAL_FATAL(fallocate(fd, 0, 0, (off_t)((free - pages) * PAGE)), 0);
    CU_ASSERT_EQUAL(close(fd), 0);
    CU_ASSERT_EQUAL(free_pages(), pages);
}

static void empty(void)
{
    CU_ASSERT_EQUAL(unlink(FILLER), 0);
}

static struct dimse_answer send_one(struct bench *bench, unsigned number)
{
    static char pixels[3 * PAGE];
    char study[32], sop[32];
    memset(pixels, 'x', sizeof pixels - 1);
    (void)snprintf(study, sizeof study, "1.2.%u", number);
    (void)snprintf(sop, sizeof sop, "1.3.%u", number);
    return SEND(bench, .study = study, .sop = sop, .pixels = pixels);
}

static uint64_t recorded(struct bench *bench)
{
    struct ledger_totals totals;
    CU_ASSERT_EQUAL_FATAL(ledger_totals(bench->bridge->ledger, &totals, &bench->err), 0);
    CU_ASSERT_EQUAL(totals.acknowledged, totals.instances[STUDY_RECEIVING]);
    return totals.acknowledged;
}

#define WALKED 24

/* From no page left on, one more each time: whichever write it is that finds no room. */
static void test_every_page_that_is_missing(void)
{
    struct bench bench;
    struct error why;
    unsigned acknowledged = 0, refused = 0, by_file = 0, by_ledger = 0;
    log_set_level(LOG_LEVEL_ERROR);
    bench_open(&bench, NULL);
    spool_set_reserve(bench.bridge->spool, 0);
    for (unsigned pages = 0; pages < WALKED; pages++) {
        struct spool_look look;
        fill(pages);
        struct dimse_answer answer = send_one(&bench, 2 * pages);
        bool is_closed = spool_is_closed(bench.bridge->spool, &why);
        by_ledger += is_closed && strstr(why.text, "the ledger") != NULL;
        by_file += is_closed && strstr(why.text, "(No space left on device)") != NULL;
        if (answer.status == DIMSE_SUCCESS) {
            acknowledged++;
            /* In its place, or in the journal, and then no other is let in. */
            bool is_settled = bridge_settle(bench.bridge, NULL) == 0;
            is_closed = spool_is_closed(bench.bridge->spool, NULL);
            CU_ASSERT_TRUE(is_settled || is_closed);
        } else {
            refused++;
            CU_ASSERT_EQUAL(answer.status, DIMSE_OUT_OF_RESOURCES);
            CU_ASSERT_STRING_EQUAL(answer.comment, "Out of disk space, try again later");
            CU_ASSERT_TRUE(is_closed);
        }
        CU_ASSERT_EQUAL(bench_files(&bench, "incoming"), 0);
        empty();
        spool_look(bench.bridge->spool, &look);
        CU_ASSERT_EQUAL(look.opened, is_closed);
        CU_ASSERT_EQUAL(send_one(&bench, 2 * pages + 1).status, DIMSE_SUCCESS);
        acknowledged++;
        CU_ASSERT_EQUAL(bench_files(&bench, "studies"), acknowledged);
        CU_ASSERT_EQUAL(recorded(&bench), acknowledged);
    }
    printf("(%u refused; closed %u times by a file, %u times by the ledger) ", refused, by_file,
           by_ledger);
    CU_ASSERT_TRUE(by_file > 0);
    CU_ASSERT_TRUE(by_ledger > 0);
    CU_ASSERT_TRUE(refused > 0 && refused < WALKED);
    bench_stop(&bench);
    bench_start(&bench, NULL);
    CU_ASSERT_EQUAL(recorded(&bench), acknowledged);
    CU_ASSERT_EQUAL(bench_files(&bench, "studies"), acknowledged);
    bench_close(&bench);
}

/* Where not even the ledger can be opened it says so, and nothing is lost by the attempt. */
static void test_start_on_a_full_disk(void)
{
    struct bench bench;
    unsigned started = 0, failed = 0;
    bench_open(&bench, NULL);
    CU_ASSERT_EQUAL(send_one(&bench, 0).status, DIMSE_SUCCESS);
    for (unsigned pages = 0; pages < WALKED; pages++) {
        struct config *config = bench_config(&bench, NULL);
        bench_stop(&bench);
        fill(pages);
        if (bridge_open(&bench.bridge, config, &bench.clock, &bench.err) == 0) {
            CU_ASSERT_EQUAL(send_one(&bench, 1).status, DIMSE_OUT_OF_RESOURCES);
            CU_ASSERT_EQUAL(recorded(&bench), 1);
            started++;
        } else {
            bool is_told = strstr(bench.err.text, "disk is full") != NULL ||
                           strstr(bench.err.text, "No space left") != NULL;
            CU_ASSERT_TRUE(is_told);
            if (!is_told)
                (void)fprintf(stderr, "%s\n", bench.err.text);
            failed++;
        }
        empty();
        if (!bench.bridge)
            bench_start(&bench, NULL);
        CU_ASSERT_EQUAL(recorded(&bench), 1);
        CU_ASSERT_EQUAL(bench_files(&bench, "studies"), 1);
        config_release(config);
    }
    printf("(%u starts went, %u did not) ", started, failed);
    CU_ASSERT_TRUE(started > 0 && failed > 0);
    bench_stop(&bench);
    bench_start(&bench, NULL);
    CU_ASSERT_EQUAL(send_one(&bench, 1).status, DIMSE_SUCCESS);
    bench_close(&bench);
}

static CU_TestInfo cases[] = {SUITE_CASE(test_every_page_that_is_missing),
                              SUITE_CASE(test_start_on_a_full_disk), CU_TEST_INFO_NULL};

int main(void)
{
    return take_small_disk() == 0 ? suite_run("pipeline: full disk", cases) : EXIT_FAILURE;
}
