/* Makes a study's archive as the bridge does, through the package's own calls, and says how long
 * each part took.
 *
 * bench_package SPOOL THREADS ARCHIVE: of study 1 in a spool that no bridge has open. What an
 * earlier run made of it goes first. So many threads compress its members (0: they are stored);
 * then its layout is made, as on its completion; then the archive is read from end to end into a
 * file, as an upload reads it. Prints JSON.
 */
#include "aurabridge/ledger.h"
#include "aurabridge/log.h"
#include "aurabridge/package.h"
#include "aurabridge/press.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

enum { THREADS_MAX = 64, PAGE = 64, STUDY = 1 };
#define PIECE ((size_t)1024 * 1024)

struct packing {
    struct ledger *ledger;
    struct spool *spool;
    struct press *press;
    unsigned threads;
    struct ledger_study study;
    double begun, ahead, laid_out, read; /* seconds */
    uint64_t length;
};

struct worker {
    struct packing *packing;
    unsigned number;
    pthread_t thread;
    int result;
    struct error err;
};

static double seconds_now(void)
{
    struct timespec time;
    (void)clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

/* ---- members, ahead of the study's completion ---- */

/* Each worker's share are the members whose place is its number, and every so many from there. */
static int compress_page(struct worker *worker, struct press_hand *hand,
                         const struct ledger_member *members, size_t count, uint64_t first)
{
    for (size_t i = 0; i < count; i++) {
        if ((first + i) % worker->packing->threads == worker->number &&
            press_ahead(hand, &members[i], first + i, &worker->err) != 0)
            return worker->err.text[0] ? -1 : error_set(&worker->err, "there is no room");
    }
    return 0;
}

static int compress_share(struct worker *worker, struct press_hand *hand)
{
    struct ledger_member members[PAGE];
    uint64_t place = 0;
    int64_t after_id = 0;
    size_t count;
    do {
        if (ledger_members(worker->packing->ledger, STUDY, after_id, members, PAGE, &count,
                           &worker->err) != 0 ||
            compress_page(worker, hand, members, count, place) != 0)
            return -1;
        place += count;
        after_id = count > 0 ? members[count - 1].id : after_id;
    } while (count == PAGE);
    return 0;
}

static void *work(void *argument)
{
    struct worker *worker = argument;
    struct press_hand *hand = NULL;
    worker->result = press_hand_new(&hand, worker->packing->press, NULL, NULL, &worker->err);
    if (worker->result == 0)
        worker->result = compress_share(worker, hand);
    press_hand_free(hand);
    return NULL;
}

static int compress(struct packing *packing, struct error *err)
{
    struct worker workers[THREADS_MAX] = {0};
    unsigned started = 0;
    int result = 0;
    for (; started < packing->threads; started++) {
        struct worker *worker = &workers[started];
        worker->packing = packing;
        worker->number = started;
        if (pthread_create(&worker->thread, NULL, work, worker) != 0) {
            result = error_set(err, "a thread cannot be started");
            break;
        }
    }
    for (unsigned i = 0; i < started; i++) {
        (void)pthread_join(workers[i].thread, NULL);
        if (result == 0 && (result = workers[i].result) != 0)
            *err = workers[i].err;
    }
    return result;
}

/* ---- the archive ---- */

static int copy(struct package *package, int out, uint64_t length, struct error *err)
{
    uint8_t *piece = malloc(PIECE);
    int result = piece ? 0 : error_set(err, "no memory");
    for (uint64_t at = 0; result == 0 && at < length;) {
        size_t got = 0;
        result = package_read(package, at, piece, PIECE, &got, err);
        if (result == 0 && write(out, piece, got) != (ssize_t)got)
            result = error_errno(err, errno, "writing the archive");
        at += got;
    }
    free(piece);
    return result;
}

static int read_into(struct package *package, const char *path, uint64_t length, struct error *err)
{
    int out = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (out < 0)
        return error_errno(err, errno, "cannot make %s", path);
    int result = copy(package, out, length, err);
    if (close(out) != 0 && result == 0)
        result = error_errno(err, errno, "closing %s", path);
    return result;
}

static int pack(struct packing *packing, const char *archive, struct error *err)
{
    struct package *package = NULL;
    if (ledger_study(packing->ledger, &packing->study, STUDY, err) != 0 ||
        package_remove(packing->spool, STUDY, err) != 0)
        return -1;
    packing->begun = seconds_now();
    int result = compress(packing, err);
    packing->ahead = seconds_now();
    if (result == 0)
        result = package_open(
            &package, packing->spool, packing->press, packing->ledger, &packing->study,
            packing->threads ? COMPRESSION_DEFLATE : COMPRESSION_STORE, NULL, NULL, err);
    packing->laid_out = seconds_now();
    if (result == 0) {
        packing->length = package_length(package);
        result = read_into(package, archive, packing->length, err);
    }
    packing->read = seconds_now();
    package_close(package);
    return result;
}

static int open_stores(struct packing *packing, const char *spool, struct error *err)
{
    char path[4096];
    (void)snprintf(path, sizeof path, "%s/ledger.sqlite", spool);
    return spool_open(&packing->spool, spool, 0, err) != 0 ||
                   press_new(&packing->press, packing->spool, err) != 0 ||
                   ledger_open(&packing->ledger, path, clock_system(), err) != 0
               ? -1
               : 0;
}

static void print(const struct packing *packing)
{
    struct rusage used;
    (void)getrusage(RUSAGE_SELF, &used);
    printf("{\"seconds\": %.4f, \"ahead_seconds\": %.4f, \"layout_seconds\": %.4f, "
           "\"read_seconds\": %.4f, \"bytes\": %" PRIu64 ", \"archive_bytes\": %" PRIu64
           ", \"cpu_seconds\": %.4f}\n",
           packing->read - packing->begun, packing->ahead - packing->begun,
           packing->laid_out - packing->ahead, packing->read - packing->laid_out,
           packing->study.bytes, packing->length,
           (double)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) +
               (double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1e6);
}

int main(int argc, char **argv)
{
    struct packing packing = {.threads = argc > 2 ? (unsigned)strtoul(argv[2], NULL, 10) : 0};
    struct error err = {""};
    if (argc != 4 || packing.threads > THREADS_MAX) {
        (void)fputs("usage: bench_package SPOOL THREADS ARCHIVE\n", stderr);
        return 2;
    }
    log_set_level(LOG_LEVEL_WARNING);
    int result = open_stores(&packing, argv[1], &err);
    if (result == 0)
        result = pack(&packing, argv[3], &err);
    if (result == 0)
        print(&packing);
    else
        (void)fprintf(stderr, "bench_package: %s\n", err.text);
    ledger_close(packing.ledger);
    press_free(packing.press);
    spool_close(packing.spool);
    return result == 0 ? 0 : 1;
}
