/* The record of a run: every change below FAULT_SCOPE and every byte sent, in the order in which
 * they took effect. tests/faults/power_loss.py replays it.
 *
 * Format: a line of JSON for each change; the bytes of a write or a send follow its line raw.
 */
#include "fault_points.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static struct {
    int fd;
    pthread_mutex_t lock;
} recorder = {.fd = -1, .lock = PTHREAD_MUTEX_INITIALIZER};

void recorder_set_up(void)
{
    const char *path = getenv("FAULT_RECORD");
    if (!path)
        return;
    recorder.fd = (int)real_open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (recorder.fd < 0) {
        (void)fprintf(stderr, "fault points: cannot make the record %s\n", path);
        exit(99);
    }
}

void recorder_lock(void)
{
    if (recorder.fd >= 0)
        (void)pthread_mutex_lock(&recorder.lock);
}

void recorder_unlock(void)
{
    if (recorder.fd >= 0)
        (void)pthread_mutex_unlock(&recorder.lock);
}

static void put(const void *bytes, size_t length)
{
    const char *at = bytes;
    while (length > 0) {
        ssize_t written = real_write(recorder.fd, at, length);
        if (written <= 0) {
            (void)fputs("fault points: the record cannot be written\n", stderr);
            _Exit(99);
        }
        at += written;
        length -= (size_t)written;
    }
}

__attribute__((format(printf, 1, 2))) static void line(const char *format, ...)
{
    char text[9000];
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    put(text, (size_t)length);
}

static unsigned long long inode_of(int fd)
{
    struct stat status;
    return fstat(fd, &status) == 0 ? (unsigned long long)status.st_ino : 0;
}

static unsigned long long inode_at(const char *path)
{
    struct stat status;
    return lstat(path, &status) == 0 ? (unsigned long long)status.st_ino : 0;
}

void record_opened(int fd, const char *path, bool created, bool truncated)
{
    if (recorder.fd < 0)
        return;
    if (created)
        line("{\"op\":\"create\",\"inode\":%llu,\"path\":\"%s\"}\n", inode_of(fd), path);
    else if (truncated)
        record_truncated(fd, 0);
}

void record_written(int fd, long long offset, const void *bytes, size_t length)
{
    if (recorder.fd < 0)
        return;
    line("{\"op\":\"write\",\"inode\":%llu,\"offset\":%lld,\"length\":%zu}\n", inode_of(fd), offset,
         length);
    put(bytes, length);
}

void record_truncated(int fd, long long length)
{
    if (recorder.fd >= 0)
        line("{\"op\":\"truncate\",\"inode\":%llu,\"size\":%lld}\n", inode_of(fd), length);
}

void record_synced(int fd)
{
    if (recorder.fd >= 0)
        line("{\"op\":\"sync\",\"inode\":%llu}\n", inode_of(fd));
}

void record_all_synced(void)
{
    if (recorder.fd >= 0)
        line("{\"op\":\"sync_all\"}\n");
}

void record_made_directory(const char *path)
{
    if (recorder.fd >= 0)
        line("{\"op\":\"mkdir\",\"inode\":%llu,\"path\":\"%s\"}\n", inode_at(path), path);
}

void record_renamed(const char *from, const char *to)
{
    if (recorder.fd >= 0)
        line("{\"op\":\"rename\",\"from\":\"%s\",\"to\":\"%s\"}\n", from, to);
}

void record_removed(const char *path, bool is_directory)
{
    if (recorder.fd >= 0)
        line("{\"op\":\"%s\",\"path\":\"%s\"}\n", is_directory ? "rmdir" : "unlink", path);
}

void record_sent(int fd, const void *bytes, size_t length)
{
    if (recorder.fd < 0)
        return;
    line("{\"op\":\"send\",\"socket\":%d,\"length\":%zu}\n", fd, length);
    put(bytes, length);
}
