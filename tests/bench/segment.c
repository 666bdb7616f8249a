/* See segment.h. */
#include "segment.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { PREWRITE = 1024 * 1024 };

static int prewrite(const struct segment *segment, struct error *err)
{
    void *block = NULL;
    int result = 0;
    if (posix_memalign(&block, SEGMENT_BLOCK, PREWRITE) != 0)
        return error_set(err, "no memory");
    memset(block, 0x5a, PREWRITE);
    for (uint64_t at = 0; result == 0 && at < segment->size; at += PREWRITE) {
        if (pwrite(segment->fd, block, PREWRITE, (off_t)at) != PREWRITE)
            result = error_errno(err, errno, "cannot write a segment");
    }
    if (result == 0 && fsync(segment->fd) != 0)
        result = error_errno(err, errno, "cannot sync a segment");
    free(block);
    return result;
}

int segment_open(struct segment *segment, const char *directory, unsigned number, uint64_t size,
                 bool direct, struct error *err)
{
    char path[4096];
    (void)snprintf(path, sizeof path, "%s/segment.%u", directory, number);
    *segment = (struct segment){.number = number};
    segment->size = (size + PREWRITE - 1) / PREWRITE * PREWRITE;
    segment->fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | (direct ? O_DIRECT : 0), 0600);
    if (segment->fd < 0)
        return error_errno(err, errno, "cannot make %s", path);
    (void)pthread_mutex_init(&segment->lock, NULL);
    (void)pthread_cond_init(&segment->committed, NULL);
    return prewrite(segment, err);
}

void segment_close(struct segment *segment)
{
    (void)close(segment->fd);
    (void)pthread_mutex_destroy(&segment->lock);
    (void)pthread_cond_destroy(&segment->committed);
}

int segment_reserve(struct segment *segment, uint64_t length, uint64_t *offset, struct error *err)
{
    length = (length + SEGMENT_BLOCK - 1) / SEGMENT_BLOCK * SEGMENT_BLOCK;
    if (length > segment->size)
        return error_set(err, "an instance is larger than a segment");
    (void)pthread_mutex_lock(&segment->lock);
    if (length > segment->size - segment->next)
        segment->next = 0;
    *offset = segment->next;
    segment->next += length;
    (void)pthread_mutex_unlock(&segment->lock);
    return 0;
}

/* The first to find nobody syncing does it, for all who have asked by then; who asks later waits
 * for the next one, which one of them leads. */
int segment_commit(struct segment *segment, struct error *err)
{
    (void)pthread_mutex_lock(&segment->lock);
    uint64_t mine = ++segment->asked;
    while (segment->done < mine && !segment->failed) {
        if (segment->is_syncing) {
            (void)pthread_cond_wait(&segment->committed, &segment->lock);
            continue;
        }
        uint64_t covered = segment->asked;
        segment->is_syncing = true;
        (void)pthread_mutex_unlock(&segment->lock);
        int failed = fdatasync(segment->fd) == 0 ? 0 : errno;
        (void)pthread_mutex_lock(&segment->lock);
        segment->is_syncing = false;
        segment->failed = failed;
        segment->done = covered;
        (void)pthread_cond_broadcast(&segment->committed);
    }
    int failed = segment->failed;
    (void)pthread_mutex_unlock(&segment->lock);
    return failed ? error_errno(err, failed, "cannot sync a segment") : 0;
}
