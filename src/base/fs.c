/* Files. Every result is checked, close included; a failed fsync is final (the kernel may have
 * dropped the pages, so a second fsync proves nothing). */
#include "aurabridge/fs.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define FILE_MODE      0600
#define DIRECTORY_MODE 0700
#define TRIAL_SIZE     ((size_t)64 * 1024)

int fs_join(char out[FS_PATH_MAX], const char *directory, const char *name, struct error *err)
{
    int length = snprintf(out, FS_PATH_MAX, "%s/%s", directory, name);
    if (length < 0 || length >= FS_PATH_MAX)
        return error_set(err, "path %s/%s is longer than %d bytes", directory, name, FS_PATH_MAX);
    return 0;
}

static int parent_of(char out[FS_PATH_MAX], const char *path, struct error *err)
{
    const char *slash = strrchr(path, '/');
    if (!slash) {
        memcpy(out, ".", 2);
        return 0;
    }
    size_t length = slash == path ? 1 : (size_t)(slash - path);
    if (length >= FS_PATH_MAX)
        return error_set(err, "path %s is longer than %d bytes", path, FS_PATH_MAX);
    memcpy(out, path, length);
    out[length] = '\0';
    return 0;
}

int fs_sync_directory(const char *path, struct error *err)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return error_errno(err, errno, "opening directory %s", path);
    int failed = fsync(fd) != 0 ? errno : 0;
    if (close(fd) != 0 && !failed)
        failed = errno;
    return failed ? error_errno(err, failed, "syncing directory %s", path) : 0;
}

static int make_one(const char *path, struct error *err)
{
    if (mkdir(path, DIRECTORY_MODE) == 0) {
        char parent[FS_PATH_MAX];
        if (parent_of(parent, path, err) != 0)
            return -1;
        return fs_sync_directory(parent, err);
    }
    if (errno != EEXIST)
        return error_errno(err, errno, "making directory %s", path);
    struct stat status;
    if (stat(path, &status) != 0)
        return error_errno(err, errno, "looking at %s", path);
    if (!S_ISDIR(status.st_mode))
        return error_set(err, "%s is there and is no directory", path);
    return 0;
}

int fs_make_directory(const char *path, struct error *err)
{
    char partial[FS_PATH_MAX];
    size_t length = strlen(path);
    if (length == 0 || length >= sizeof partial)
        return error_set(err, "directory name is empty or longer than %d bytes", FS_PATH_MAX);
    memcpy(partial, path, length + 1);
    for (char *at = partial + 1; *at; at++) {
        if (*at != '/')
            continue;
        *at = '\0';
        if (make_one(partial, err) != 0)
            return -1;
        *at = '/';
    }
    return make_one(partial, err);
}

int fs_create(int *fd, const char *path, struct error *err)
{
    *fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, FILE_MODE);
    return *fd < 0 ? error_errno(err, errno, "making file %s", path) : 0;
}

int fs_write_all(int fd, const void *bytes, size_t length, struct error *err)
{
    const char *at = bytes;
    while (length > 0) {
        ssize_t written = write(fd, at, length);
        if (written < 0 && errno == EINTR)
            continue;
        if (written <= 0) {
            int failed = written < 0 ? errno : ENOSPC;
            (void)error_errno(err, failed, "writing %zu bytes", length);
            errno = failed;
            return -1;
        }
        at += written;
        length -= (size_t)written;
    }
    return 0;
}

int fs_write_at(int fd, const void *bytes, size_t length, uint64_t offset, struct error *err)
{
    const char *at = bytes;
    while (length > 0) {
        ssize_t written = pwrite(fd, at, length, (off_t)offset);
        if (written < 0 && errno == EINTR)
            continue;
        if (written <= 0) {
            int failed = written < 0 ? errno : ENOSPC;
            (void)error_errno(err, failed, "writing %zu bytes at offset %llu", length,
                              (unsigned long long)offset);
            errno = failed;
            return -1;
        }
        at += written;
        offset += (uint64_t)written;
        length -= (size_t)written;
    }
    return 0;
}

int fs_read_at(int fd, void *bytes, size_t length, uint64_t offset, size_t *got, struct error *err)
{
    char *at = bytes;
    *got = 0;
    while (*got < length) {
        ssize_t count = pread(fd, at + *got, length - *got, (off_t)(offset + *got));
        if (count < 0 && errno == EINTR)
            continue;
        if (count < 0) {
            int failed = errno;
            (void)error_errno(err, failed, "reading %zu bytes at offset %llu", length,
                              (unsigned long long)offset);
            errno = failed;
            return -1;
        }
        if (count == 0)
            break;
        *got += (size_t)count;
    }
    return 0;
}

int fs_publish(int fd, const char *part_path, const char *final_path, struct error *err)
{
    int failed = fsync(fd) != 0 ? errno : 0;
    if (close(fd) != 0 && !failed)
        failed = errno;
    if (failed)
        return error_errno(err, failed, "syncing %s", part_path);
    if (rename(part_path, final_path) != 0)
        return error_errno(err, errno, "renaming %s to %s", part_path, final_path);
    char parent[FS_PATH_MAX];
    if (parent_of(parent, final_path, err) != 0)
        return -1;
    return fs_sync_directory(parent, err);
}

int fs_write_atomic(const char *path, const void *bytes, size_t length, struct error *err)
{
    char part[FS_PATH_MAX];
    int size = snprintf(part, sizeof part, "%s.part", path);
    if (size < 0 || size >= FS_PATH_MAX)
        return error_set(err, "path %s is longer than %d bytes", path, FS_PATH_MAX);
    int fd = -1;
    if (fs_remove(part, err) != 0 || fs_create(&fd, part, err) != 0)
        return -1;
    if (fs_write_all(fd, bytes, length, err) != 0) {
        (void)close(fd);
        (void)unlink(part);
        return error_wrap(err, "writing %s", part);
    }
    if (fs_publish(fd, part, path, err) != 0) {
        (void)unlink(part);
        return -1;
    }
    return 0;
}

int fs_read_file(struct buffer *out, const char *path, struct error *err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return error_errno(err, errno, "opening %s", path);
    char chunk[4096];
    int result = 0;
    for (;;) {
        ssize_t count = read(fd, chunk, sizeof chunk);
        if (count < 0 && errno == EINTR)
            continue;
        if (count < 0)
            result = error_errno(err, errno, "reading %s", path);
        if (count <= 0)
            break;
        if (buffer_append(out, chunk, (size_t)count) != 0) {
            result = error_set(err, "%s is larger than %zu bytes", path, out->maximum);
            break;
        }
    }
    (void)close(fd);
    return result;
}

int fs_remove(const char *path, struct error *err)
{
    if (unlink(path) != 0 && errno != ENOENT)
        return error_errno(err, errno, "removing %s", path);
    return 0;
}

int fs_room(struct fs_room *out, const char *path, struct error *err)
{
    struct statvfs status;
    if (statvfs(path, &status) != 0)
        return error_errno(err, errno, "asking the free space of %s", path);
    out->bytes = (uint64_t)status.f_bavail * status.f_frsize;
    out->files = status.f_files > 0 ? (uint64_t)status.f_favail : UINT64_MAX;
    return 0;
}

/* Says the errno of what failed, or 0. */
static int take_room(int fd, uint64_t length)
{
    static const char little[TRIAL_SIZE];
    int answer;
    do
        answer = fallocate(fd, 0, 0, (off_t)length);
    while (answer != 0 && errno == EINTR);
    if (answer == 0 || (errno != EOPNOTSUPP && errno != ENOSYS))
        return answer == 0 ? 0 : errno;
    if (fs_write_all(fd, little, sizeof little, NULL) != 0 || fsync(fd) != 0)
        return errno;
    return 0;
}

int fs_try_room(const char *path, uint64_t length, struct error *err)
{
    int fd = -1;
    if (fs_remove(path, err) != 0 || fs_create(&fd, path, err) != 0)
        return -1;
    int failed = take_room(fd, length);
    (void)close(fd); /* the bytes are unwanted, so is the result */
    if (unlink(path) != 0 && !failed)
        failed = errno;
    return !failed ? 0 : error_errno(err, failed, "trying for room with %s", path);
}
