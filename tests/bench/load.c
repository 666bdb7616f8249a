/* See load.h. */
#include "load.h"

#include "aurabridge/digest.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

struct shared {
    const struct load *load;
    pthread_barrier_t prepared, ready, sent, told;
    atomic_bool failed;
    struct error *err; /* of the first that failed */
};

struct sender {
    pthread_t thread;
    struct shared *shared;
    unsigned number, count;
    double begun, ended;
    uint64_t bytes;
    double *latencies;
};

static double now(void)
{
    struct timespec time;
    (void)clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static void fail(struct shared *shared, unsigned number, const struct error *err)
{
    if (!atomic_exchange(&shared->failed, true))
        (void)error_set(shared->err, "connection %u: %s", number, err->text);
}

static int send_all(struct sender *sender, void *line, struct error *err)
{
    const struct load_line *calls = sender->shared->load->line;
    double before = sender->begun = now();
    if (calls->open(line, err) != 0)
        return -1;
    for (unsigned i = 0; i < sender->count; i++) {
        uint64_t bytes = 0;
        if (calls->send(line, i, &bytes, err) != 0)
            return -1;
        double after = now();
        sender->latencies[i] = after - before;
        sender->bytes += bytes;
        before = after;
    }
    sender->ended = before;
    return 0;
}

static void *run_sender(void *argument)
{
    struct sender *sender = argument;
    struct shared *shared = sender->shared;
    const struct load_line *calls = shared->load->line;
    struct error err;
    void *line = NULL;
    bool failed =
        calls->prepare(shared->load->context, &line, sender->number, sender->count, &err) != 0;
    if (failed)
        fail(shared, sender->number, &err);
    (void)pthread_barrier_wait(&shared->prepared);
    (void)pthread_barrier_wait(&shared->ready);
    failed = shared->failed;
    if (!failed && send_all(sender, line, &err) != 0) {
        fail(shared, sender->number, &err);
        failed = true;
    }
    if (shared->load->hold) {
        (void)pthread_barrier_wait(&shared->sent);
        (void)pthread_barrier_wait(&shared->told);
    }
    if (line && calls->close(line, failed, &err) != 0)
        fail(shared, sender->number, &err);
    return NULL;
}

static int by_size(const void *left, const void *right)
{
    double a = *(const double *)left, b = *(const double *)right;
    return (a > b) - (a < b);
}

static void report(const struct load *load, const struct sender *senders, double *latencies)
{
    double begun = senders[0].begun, ended = senders[0].ended;
    uint64_t bytes = 0;
    for (unsigned i = 0; i < load->connections; i++) {
        begun = senders[i].begun < begun ? senders[i].begun : begun;
        ended = senders[i].ended > ended ? senders[i].ended : ended;
        bytes += senders[i].bytes;
    }
    unsigned last = load->instances - 1;
    qsort(latencies, load->instances, sizeof *latencies, by_size);
    printf("{\"seconds\": %.6f, \"instances\": %u, \"bytes\": %llu, \"connections\": %u, "
           "\"latency_us\": {\"p50\": %.0f, \"p99\": %.0f, \"max\": %.0f}}\n",
           ended - begun, load->instances, (unsigned long long)bytes, load->connections,
           latencies[last / 2] * 1e6, latencies[last * 99 / 100] * 1e6, latencies[last] * 1e6);
    (void)fflush(stdout);
}

static void wait_for_end_of_input(void)
{
    char rest[64];
    while (read(STDIN_FILENO, rest, sizeof rest) > 0)
        ;
}

static void touch_memory(uint64_t bytes)
{
    enum { PAGE = 4096 };
    if (bytes == 0)
        return;
    uint8_t *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED)
        return;
    (void)madvise(memory, bytes, MADV_HUGEPAGE);
    for (uint64_t at = 0; at < bytes; at += PAGE)
        *(volatile uint8_t *)(memory + at) = 1;
    (void)munmap(memory, bytes);
}

static int start(struct shared *shared, struct sender *senders, double *latencies)
{
    const struct load *load = shared->load;
    for (unsigned i = 0; i < load->connections; i++) {
        unsigned count = load->instances / load->connections;
        senders[i] = (struct sender){.shared = shared, .number = i, .latencies = latencies};
        senders[i].count = count + (i < load->instances % load->connections);
        latencies += senders[i].count;
        if (pthread_create(&senders[i].thread, NULL, run_sender, &senders[i]) != 0)
            return -1;
    }
    return 0;
}

int load_run(const struct load *load, struct error *err)
{
    struct shared shared = {.load = load, .err = err};
    struct sender *senders = calloc(load->connections, sizeof *senders);
    double *latencies = calloc(load->instances, sizeof *latencies);
    if (!senders || !latencies || load->instances < load->connections) {
        free(senders);
        free(latencies);
        return error_set(err, "no memory, or fewer instances than connections");
    }
    (void)pthread_barrier_init(&shared.prepared, NULL, load->connections + 1);
    (void)pthread_barrier_init(&shared.ready, NULL, load->connections + 1);
    (void)pthread_barrier_init(&shared.sent, NULL, load->connections + 1);
    (void)pthread_barrier_init(&shared.told, NULL, load->connections + 1);
    if (start(&shared, senders, latencies) != 0) {
        (void)fprintf(stderr, "cannot start %u threads\n", load->connections);
        _exit(1); /* those that did start wait for the others */
    }
    (void)pthread_barrier_wait(&shared.prepared);
    touch_memory(shared.failed ? 0 : load->touch);
    (void)pthread_barrier_wait(&shared.ready);
    if (load->hold) {
        (void)pthread_barrier_wait(&shared.sent);
        if (!shared.failed) {
            report(load, senders, latencies);
            wait_for_end_of_input();
        }
        (void)pthread_barrier_wait(&shared.told);
    }
    for (unsigned i = 0; i < load->connections; i++)
        (void)pthread_join(senders[i].thread, NULL);
    if (!load->hold && !shared.failed)
        report(load, senders, latencies);
    (void)pthread_barrier_destroy(&shared.prepared);
    (void)pthread_barrier_destroy(&shared.ready);
    (void)pthread_barrier_destroy(&shared.sent);
    (void)pthread_barrier_destroy(&shared.told);
    free(senders);
    free(latencies);
    return shared.failed ? -1 : 0;
}

int load_note(FILE *file, const char *sop_instance_uid, const void *bytes, size_t size,
              struct error *err)
{
    char digest[SHA256_HEX_SIZE];
    if (!file)
        return 0;
    if (sha256_hex_of(digest, bytes, size) != 0 ||
        fprintf(file, "%s %s %zu\n", sop_instance_uid, digest, size) < 0)
        return error_set(err, "cannot note the digest of an instance");
    return 0;
}
