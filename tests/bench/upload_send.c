/* Sends files with the tus room as the pipeline's workers do, and says how long it took.
 *
 * upload_send [--set KEY=VALUE]… CONFIG ENDPOINT FILE…
 *
 * CONFIG is a configuration of the bridge: chunk size and number of workers are what it says, or
 * --set. Each worker has a thread and an HTTP client and takes the next file. The clock runs from
 * the moment when all workers are ready to the last acknowledged byte, the creation of each upload
 * included. Prints one line of JSON. Exit status 0 when every byte of every file was acknowledged.
 */
#include "aurabridge/config.h"
#include "aurabridge/fs.h"
#include "aurabridge/tus.h"

#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define WORKERS_MAX   64u
#define OVERRIDES_MAX 32
#define CALLS_MAX     1000u /* of tus_upload_run for one file; a lossy line may want a few */

struct file {
    const char *path;
    int fd;
    double seconds; /* from the common start to the end of this one */
    unsigned calls, records;
    struct tus_upload upload;
    enum tus_outcome outcome;
};

struct job {
    const struct config *config;
    struct tus_way *way; /* to the one destination; nothing is known of it yet */
    struct file *files;
    size_t count;
    atomic_size_t next;
    pthread_barrier_t ready;
    struct timespec begun;
};

struct worker {
    struct job *job;
    struct http_client *http;
    pthread_t thread;
};

static const struct tus_metadata metadata[] = {{"upload_id", "bench"},
                                               {"bucket", "bench"},
                                               {"mode", "bulk"},
                                               {"filename", "bench.zip"},
                                               {"filetype", "application/zip"},
                                               {NULL, NULL}};

static double seconds_since(const struct timespec *begun)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)(now.tv_sec - begun->tv_sec) + (double)(now.tv_nsec - begun->tv_nsec) / 1e9;
}

static int read_file(void *context, uint64_t offset, void *bytes, size_t length, size_t *got,
                     struct error *err)
{
    const struct file *file = context;
    return fs_read_at(file->fd, bytes, length, offset, got, err);
}

/* The ledger's row is another part's business. */
static int count_record(void *context, const char *url, uint64_t offset)
{
    struct file *file = context;
    (void)url;
    (void)offset;
    file->records++;
    return 0;
}

static void send_file(const struct worker *worker, struct file *file)
{
    file->upload.http = worker->http;
    file->upload.way = worker->job->way;
    for (file->calls = 0; file->calls < CALLS_MAX; file->calls++) {
        file->outcome = tus_upload_run(&file->upload);
        if (file->outcome != TUS_RETRY && file->outcome != TUS_AWAY && file->outcome != TUS_GONE)
            break;
    }
    file->seconds = seconds_since(&worker->job->begun);
}

static void *work(void *context)
{
    struct worker *worker = context;
    struct job *job = worker->job;
    (void)pthread_barrier_wait(&job->ready); /* all are ready; the clock is set */
    (void)pthread_barrier_wait(&job->ready);
    for (;;) {
        size_t number = atomic_fetch_add(&job->next, 1);
        if (number >= job->count)
            return NULL;
        send_file(worker, &job->files[number]);
    }
}

static int open_file(struct file *file, const struct config *config, const char *endpoint,
                     const char *path)
{
    struct stat status;
    *file = (struct file){.path = path, .fd = open(path, O_RDONLY | O_CLOEXEC)};
    if (file->fd < 0 || fstat(file->fd, &status) != 0) {
        perror(path);
        return -1;
    }
    file->outcome = TUS_STOPPED;
    file->upload = (struct tus_upload){.endpoint = endpoint,
                                       .lift_token = "bench",
                                       .metadata = metadata,
                                       .length = (uint64_t)status.st_size,
                                       .chunk_size = config->upload.chunk_size,
                                       .timeout_ms = 30000,
                                       .body = {.context = file, .read = read_file},
                                       .recorded = count_record,
                                       .record_context = file};
    return 0;
}

static int run_workers(struct job *job)
{
    struct worker workers[WORKERS_MAX];
    struct error err = {""};
    unsigned count = job->config->upload.workers;
    unsigned started = 0;
    if (count > WORKERS_MAX)
        count = WORKERS_MAX;
    memset(workers, 0, sizeof workers);
    if (pthread_barrier_init(&job->ready, NULL, count + 1) != 0)
        return -1;
    for (; started < count; started++) {
        struct worker *worker = &workers[started];
        worker->job = job;
        if (http_client_new(&worker->http, NULL, &err) != 0 ||
            pthread_create(&worker->thread, NULL, work, worker) != 0) {
            (void)fprintf(stderr, "upload_send: no worker: %s\n", err.text);
            exit(EXIT_FAILURE); /* the others wait for it */
        }
    }
    (void)pthread_barrier_wait(&job->ready);
    (void)clock_gettime(CLOCK_MONOTONIC, &job->begun);
    (void)pthread_barrier_wait(&job->ready);
    for (unsigned number = 0; number < started; number++) {
        (void)pthread_join(workers[number].thread, NULL);
        http_client_free(workers[number].http);
    }
    (void)pthread_barrier_destroy(&job->ready);
    return 0;
}

/* Paths and URLs are those of the benchmark, and need no escapes. */
static int print_result(const struct job *job)
{
    int result = EXIT_SUCCESS;
    double seconds = 0;
    (void)printf("{\"uploads\":[");
    for (size_t number = 0; number < job->count; number++) {
        const struct file *file = &job->files[number];
        if (file->outcome != TUS_DONE) {
            (void)fprintf(stderr, "upload_send: %s: %s\n", file->path, file->upload.text);
            result = EXIT_FAILURE;
        }
        if (file->seconds > seconds)
            seconds = file->seconds;
        (void)printf("%s{\"file\":\"%s\",\"url\":\"%s\",\"bytes\":%" PRIu64
                     ",\"seconds\":%.6f,\"calls\":%u,\"records\":%u}",
                     number ? "," : "", file->path, file->upload.url, file->upload.length,
                     file->seconds, file->calls + 1, file->records);
    }
    (void)printf("],\"seconds\":%.6f}\n", seconds);
    return result;
}

int main(int argc, char **argv)
{
    static const struct option options[] = {{"set", required_argument, NULL, 's'},
                                            {NULL, 0, NULL, 0}};
    const char *overrides[OVERRIDES_MAX];
    size_t override_count = 0;
    struct job job = {.count = 0};
    struct config *config = NULL;
    struct error err = {""};
    int result = EXIT_FAILURE;
    while (getopt_long(argc, argv, "", options, NULL) == 's' && override_count < OVERRIDES_MAX)
        overrides[override_count++] = optarg;
    argv += optind;
    argc -= optind;
    if (argc < 3) {
        (void)fprintf(stderr, "usage: upload_send [--set KEY=VALUE]… CONFIG ENDPOINT FILE…\n");
        return 2;
    }
    if (http_global_init(&err) != 0 ||
        config_load_without_secrets(&config, argv[0], overrides, override_count, NULL, &err) != 0 ||
        tus_way_new(&job.way, &err) != 0) {
        (void)fprintf(stderr, "upload_send: %s\n", err.text);
        goto cleanup;
    }
    job.config = config;
    job.files = calloc((size_t)argc - 2, sizeof *job.files);
    for (; job.files && job.count < (size_t)argc - 2; job.count++)
        if (open_file(&job.files[job.count], config, argv[1], argv[job.count + 2]) != 0)
            goto cleanup;
    if (!job.files || run_workers(&job) != 0) {
        (void)fprintf(stderr, "upload_send: out of memory\n");
        goto cleanup;
    }
    result = print_result(&job);
cleanup:
    for (size_t number = 0; number < job.count; number++)
        if (close(job.files[number].fd) != 0)
            result = EXIT_FAILURE;
    free(job.files);
    tus_way_free(job.way);
    config_release(config);
    http_global_cleanup();
    return result;
}
