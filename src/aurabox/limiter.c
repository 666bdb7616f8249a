/* The rate limits on disk: one file per base URL and service API key, a window per bucket at a
 * fixed place in it, changed under flock so that threads and processes share it.
 *
 * The file is opened for each step, so there is no lock of our own and nothing goes stale. It is
 * not synced: after a power failure the worst is a 429. A damaged window counts as full for 60 s,
 * since nobody knows what was sent. */
#include "aurabridge/aurabox.h"

#include "window.h"

#include "aurabridge/digest.h"
#include "aurabridge/fs.h"
#include "aurabridge/log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAGIC      "AURALIM2"
#define MAX_SOURCE 16384 /* base URL and key */

#define FIRST_CLOSED_MS 1000 /* after a 429 that does not say for how long */

struct aurabox_limiter {
    char path[FS_PATH_MAX];
    unsigned limits[AURABOX_BUCKET_COUNT];
    /* 429s in a row that did not say for how long. Only the pace depends on it, so it need not
     * outlive the process. */
    atomic_uint silent_refusals[AURABOX_BUCKET_COUNT];
    const struct clock *clock;
};

/* A window as it stands in the file. */
struct record {
    char magic[8];
    uint32_t crc;
    uint32_t reserved;
    struct window window;
};

static size_t record_used(const struct record *record)
{
    return sizeof *record - sizeof record->window.calls +
           record->window.count * sizeof record->window.calls[0];
}

static uint32_t record_crc(const struct record *record)
{
    return crc32_update(0, &record->window, record_used(record) - offsetof(struct record, window));
}

static int name_file(char out[FS_PATH_MAX], const char *directory, const char *api_base_url,
                     const char *service_api_key, struct error *err)
{
    struct buffer source;
    char hex[SHA256_HEX_SIZE];
    char name[64];
    buffer_init(&source, MAX_SOURCE);
    int failed = buffer_append_format(&source, "%s\n%s", api_base_url, service_api_key) != 0 ||
                 sha256_hex_of(hex, source.data, source.length) != 0;
    explicit_bzero(source.data, source.length);
    buffer_free(&source);
    if (failed)
        return error_set(err, "the base URL or the service API key is too long");
    (void)snprintf(name, sizeof name, "%.32s.limits", hex);
    return fs_join(out, directory, name, err);
}

int aurabox_limiter_open(struct aurabox_limiter **out, const char *directory,
                         const char *api_base_url, const char *service_api_key,
                         const struct config_limits *limits, const struct clock *clock,
                         struct error *err)
{
    *out = NULL;
    struct aurabox_limiter *limiter = calloc(1, sizeof *limiter);
    if (!limiter)
        return error_set(err, "no memory for rate limits");
    limiter->clock = clock;
    limiter->limits[AURABOX_EXCHANGE] = limits->exchange;
    limiter->limits[AURABOX_CONFIG] = limits->config;
    limiter->limits[AURABOX_LIFECYCLE] = limits->lifecycle;
    if (fs_make_directory(directory, err) != 0 ||
        name_file(limiter->path, directory, api_base_url, service_api_key, err) != 0) {
        free(limiter);
        return error_wrap(err, "cannot keep rate limits in %s", directory);
    }
    *out = limiter;
    return 0;
}

void aurabox_limiter_close(struct aurabox_limiter *limiter)
{
    free(limiter);
}

/* ---- the file ---- */

static int open_locked(int *fd, const struct aurabox_limiter *limiter, struct error *err)
{
    *fd = open(limiter->path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600);
    if (*fd < 0)
        return error_errno(err, errno, "cannot open the rate limits %s", limiter->path);
    int locked = 0;
    do
        locked = flock(*fd, LOCK_EX);
    while (locked != 0 && errno == EINTR);
    if (locked == 0)
        return 0;
    int failed = error_errno(err, errno, "cannot lock the rate limits %s", limiter->path);
    (void)close(*fd); /* nothing was written */
    return failed;
}

static int write_record(int fd, enum aurabox_bucket bucket, struct record *record,
                        struct error *err)
{
    memcpy(record->magic, MAGIC, sizeof record->magic);
    record->reserved = 0;
    record->crc = record_crc(record);
    const char *at = (const char *)record;
    size_t left = record_used(record);
    off_t place = (off_t)(sizeof *record * bucket);
    while (left > 0) {
        ssize_t written = pwrite(fd, at, left, place);
        if (written < 0 && errno == EINTR)
            continue;
        if (written <= 0)
            return error_errno(err, written < 0 ? errno : EIO, "cannot write the rate limits");
        at += written;
        left -= (size_t)written;
        place += written;
    }
    return 0;
}

/* A new file gets its full size at once, with every window empty. */
static int lay_out(int fd, struct record *record, struct error *err)
{
    memset(record, 0, sizeof *record);
    if (ftruncate(fd, (off_t)(sizeof *record * AURABOX_BUCKET_COUNT)) != 0)
        return error_errno(err, errno, "cannot size the rate limits");
    for (unsigned bucket = 0; bucket < AURABOX_BUCKET_COUNT; bucket++) {
        if (write_record(fd, (enum aurabox_bucket)bucket, record, err) != 0)
            return -1;
    }
    return 0;
}

static int read_one(int fd, const struct aurabox_limiter *limiter, enum aurabox_bucket bucket,
                    struct record *record, bool *is_whole, struct error *err)
{
    size_t got = 0;
    memset(record, 0, sizeof *record);
    if (fs_read_at(fd, record, sizeof *record, sizeof *record * bucket, &got, err) != 0)
        return error_wrap(err, "reading the rate limits %s", limiter->path);
    *is_whole = got == sizeof *record && memcmp(record->magic, MAGIC, sizeof record->magic) == 0 &&
                window_is_sane(&record->window) && record->crc == record_crc(record);
    return 0;
}

/* All that are damaged at the same time, or a study would wait for one after the other. */
static int mend(int fd, const struct aurabox_limiter *limiter, struct record *record,
                int64_t now_ms, struct error *err)
{
    log_warning("aurabox",
                "the rate limits in %s are damaged; they are begun anew and count as full for "
                "60 seconds",
                limiter->path);
    if (ftruncate(fd, (off_t)(sizeof *record * AURABOX_BUCKET_COUNT)) != 0)
        return error_errno(err, errno, "cannot size the rate limits %s", limiter->path);
    for (unsigned bucket = 0; bucket < AURABOX_BUCKET_COUNT; bucket++) {
        bool is_whole = false;
        if (read_one(fd, limiter, (enum aurabox_bucket)bucket, record, &is_whole, err) != 0)
            return -1;
        if (is_whole)
            continue;
        memset(record, 0, sizeof *record);
        window_fill(&record->window, now_ms);
        if (write_record(fd, (enum aurabox_bucket)bucket, record, err) != 0)
            return -1;
    }
    return 0;
}

static int read_record(int fd, const struct aurabox_limiter *limiter, enum aurabox_bucket bucket,
                       struct record *record, int64_t now_ms, struct error *err)
{
    struct stat status;
    bool is_whole = false;
    if (fstat(fd, &status) != 0)
        return error_errno(err, errno, "cannot look at the rate limits %s", limiter->path);
    if (status.st_size == 0)
        return lay_out(fd, record, err);
    if (read_one(fd, limiter, bucket, record, &is_whole, err) != 0)
        return -1;
    if (is_whole)
        return 0;
    if (mend(fd, limiter, record, now_ms, err) != 0 ||
        read_one(fd, limiter, bucket, record, &is_whole, err) != 0)
        return -1;
    return is_whole ? 0
                    : error_set(err, "the rate limits %s cannot be written: remove the file",
                                limiter->path);
}

/* ---- the steps ---- */

struct step {
    enum aurabox_bucket bucket;
    bool looks; /* and changes nothing */
    unsigned left;
    bool takes; /* else: done */
    int64_t timeout_ms;
    int64_t wait_ms;
    int64_t closed_ms; /* with done: for how long the server wants none; else ≤ 0 */
    unsigned ticket;
};

static int run_step(struct aurabox_limiter *limiter, struct step *step, struct error *err)
{
    struct record *record = malloc(sizeof *record);
    int fd = -1;
    if (!record)
        return error_set(err, "no memory for rate limits");
    int failed = open_locked(&fd, limiter, err);
    if (!failed) {
        /* Under the lock, so that times in the file never run backwards. */
        int64_t now_ms = clock_wall_ms(limiter->clock);
        failed = read_record(fd, limiter, step->bucket, record, now_ms, err);
        if (!failed) {
            window_settle(&record->window, now_ms);
            if (step->looks)
                step->left = window_free(&record->window, limiter->limits[step->bucket], now_ms,
                                         &step->wait_ms);
            else if (step->takes)
                step->wait_ms = window_take(&record->window, limiter->limits[step->bucket], now_ms,
                                            step->timeout_ms, &step->ticket);
            else
                window_done(&record->window, step->ticket, now_ms);
            if (step->closed_ms > 0)
                window_close(&record->window, now_ms, step->closed_ms);
            if (!step->looks)
                failed = write_record(fd, step->bucket, record, err);
        }
        if (close(fd) != 0 && !failed)
            failed = error_errno(err, errno, "cannot close the rate limits %s", limiter->path);
    }
    free(record);
    return failed;
}

int aurabox_limiter_take(struct aurabox_limiter *limiter, enum aurabox_bucket bucket,
                         int64_t timeout_ms, int64_t *wait_ms, unsigned *ticket, struct error *err)
{
    struct step step = {.bucket = bucket, .takes = true, .timeout_ms = timeout_ms};
    if (run_step(limiter, &step, err) != 0)
        return -1;
    *wait_ms = step.wait_ms;
    *ticket = step.ticket;
    return 0;
}

int aurabox_limiter_done(struct aurabox_limiter *limiter, enum aurabox_bucket bucket,
                         unsigned ticket, struct error *err)
{
    struct step step = {.bucket = bucket, .ticket = ticket};
    atomic_store(&limiter->silent_refusals[bucket], 0);
    return run_step(limiter, &step, err);
}

int aurabox_limiter_refused(struct aurabox_limiter *limiter, enum aurabox_bucket bucket,
                            unsigned ticket, int64_t retry_after_ms, struct error *err)
{
    struct step step = {.bucket = bucket, .ticket = ticket, .closed_ms = retry_after_ms};
    if (retry_after_ms <= 0) {
        unsigned before = atomic_fetch_add(&limiter->silent_refusals[bucket], 1);
        step.closed_ms = FIRST_CLOSED_MS;
        for (unsigned i = 0; i < before && step.closed_ms < WINDOW_MS; i++)
            step.closed_ms *= 2;
        if (step.closed_ms > WINDOW_MS)
            step.closed_ms = WINDOW_MS;
    }
    return run_step(limiter, &step, err);
}

int aurabox_limiter_look(struct aurabox_limiter *limiter, enum aurabox_bucket bucket,
                         struct aurabox_budget *out, struct error *err)
{
    struct step step = {.bucket = bucket, .looks = true};
    if (run_step(limiter, &step, err) != 0)
        return -1;
    *out = (struct aurabox_budget){
        .limit = limiter->limits[bucket], .left = step.left, .next_ms = step.wait_ms};
    return 0;
}
