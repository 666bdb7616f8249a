/* The interposed calls of the system: each asks the fault points, does what it is named after, and
 * tells the recorder. */
#include "fault_points.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

/* ---- opening and closing ---- */

long real_open(const char *path, int flags, mode_t mode)
{
    return syscall(SYS_openat, AT_FDCWD, path, flags, mode);
}

int real_close(int fd)
{
    return (int)syscall(SYS_close, fd);
}

static int open_counted(int directory, const char *path, int flags, mode_t mode)
{
    if (!fault_path_counts(directory, path))
        return (int)syscall(SYS_openat, directory, path, flags, mode);
    if (fault_strikes(FAULT_OPEN))
        return -1;
    recorder_lock();
    struct stat before;
    bool existed = fstatat(directory, path, &before, 0) == 0;
    int fd = (int)syscall(SYS_openat, directory, path, flags, mode);
    if (fd >= 0) {
        fault_mark_file(fd);
        record_opened(fd, path, !existed, existed && (flags & O_TRUNC));
    }
    recorder_unlock();
    return fd;
}

static mode_t mode_of(int flags, va_list *arguments)
{
    return flags & (O_CREAT | __O_TMPFILE) ? va_arg(*arguments, mode_t) : 0;
}

#define OPENED(directory)                                                                          \
    va_list arguments;                                                                             \
    va_start(arguments, flags);                                                                    \
    mode_t mode = mode_of(flags, &arguments);                                                      \
    va_end(arguments);                                                                             \
    return open_counted(directory, path, flags, mode)

int open(const char *path, int flags, ...)
{
    OPENED(AT_FDCWD);
}

int open64(const char *path, int flags, ...)
{
    OPENED(AT_FDCWD);
}

int openat(int directory, const char *path, int flags, ...)
{
    OPENED(directory);
}

int __open_2(const char *path, int flags)
{
    return open_counted(AT_FDCWD, path, flags, 0);
}

int __openat_2(int directory, const char *path, int flags)
{
    return open_counted(directory, path, flags, 0);
}

int close(int fd)
{
    fault_unmark(fd);
    return real_close(fd);
}

/* ---- writing ---- */

ssize_t real_write(int fd, const void *bytes, size_t length)
{
    return syscall(SYS_write, fd, bytes, length);
}

static ssize_t write_file(int fd, const void *bytes, size_t length, off_t offset, bool at_offset)
{
    int failed = 0;
    size_t part = fault_strikes_write(FAULT_WRITE, &failed, length);
    if (failed)
        return -1;
    recorder_lock();
    long long at = at_offset ? offset : lseek(fd, 0, SEEK_CUR);
    ssize_t written = at_offset ? (ssize_t)syscall(SYS_pwrite64, fd, bytes, part, offset)
                                : real_write(fd, bytes, part);
    if (written > 0)
        record_written(fd, at, bytes, (size_t)written);
    recorder_unlock();
    if (part < length)
        fault_torn();
    return written;
}

static ssize_t send_counted(int fd, const void *bytes, size_t length, int flags)
{
    int failed = 0;
    size_t part = fault_strikes_write(FAULT_SEND, &failed, length);
    if (failed)
        return -1;
    recorder_lock();
    record_sent(fd, bytes, part); /* before the peer can see it: what it says must be true by now */
    recorder_unlock();
    ssize_t sent = (ssize_t)syscall(SYS_sendto, fd, bytes, part, flags, NULL, 0);
    if (part < length)
        fault_torn();
    return sent;
}

ssize_t write(int fd, const void *bytes, size_t length)
{
    if (fault_is_file(fd))
        return write_file(fd, bytes, length, 0, false);
    if (fault_is_socket(fd))
        return send_counted(fd, bytes, length, MSG_NOSIGNAL);
    return real_write(fd, bytes, length);
}

static ssize_t pwrite_counted(int fd, const void *bytes, size_t length, off_t offset)
{
    if (fault_is_file(fd))
        return write_file(fd, bytes, length, offset, true);
    return (ssize_t)syscall(SYS_pwrite64, fd, bytes, length, offset);
}

ssize_t pwrite(int fd, const void *bytes, size_t length, off_t offset)
{
    return pwrite_counted(fd, bytes, length, offset);
}

ssize_t pwrite64(int fd, const void *bytes, size_t length, off_t offset)
{
    return pwrite_counted(fd, bytes, length, offset);
}

/* As one call, in whatever pieces it is done. */
static ssize_t pwritev_counted(int fd, const struct iovec *pieces, int count, off_t offset)
{
    size_t length = 0;
    if (!fault_is_file(fd))
        return (ssize_t)syscall(SYS_pwritev, fd, pieces, count, offset, 0);
    for (int i = 0; i < count; i++)
        length += pieces[i].iov_len;
    int failed = 0;
    size_t part = fault_strikes_write(FAULT_WRITE, &failed, length);
    if (failed)
        return -1;
    size_t done = 0;
    recorder_lock();
    for (int i = 0; i < count && done < part; i++) {
        size_t wanted = part - done < pieces[i].iov_len ? part - done : pieces[i].iov_len;
        ssize_t written =
            (ssize_t)syscall(SYS_pwrite64, fd, pieces[i].iov_base, wanted, offset + (off_t)done);
        if (written < 0)
            break;
        record_written(fd, offset + (long long)done, pieces[i].iov_base, (size_t)written);
        done += (size_t)written;
    }
    recorder_unlock();
    if (part < length)
        fault_torn();
    return (ssize_t)done;
}

ssize_t pwritev(int fd, const struct iovec *pieces, int count, off_t offset)
{
    return pwritev_counted(fd, pieces, count, offset);
}

ssize_t pwritev64(int fd, const struct iovec *pieces, int count, off_t offset)
{
    return pwritev_counted(fd, pieces, count, offset);
}

/* Answers with the error itself. The record knows it as the length that the file gets. */
static int allocate_counted(int fd, off_t offset, off_t length)
{
    if (!fault_is_file(fd))
        return syscall(SYS_fallocate, fd, 0, offset, length) == 0 ? 0 : errno;
    if (fault_strikes(FAULT_WRITE))
        return errno;
    recorder_lock();
    int failed = syscall(SYS_fallocate, fd, 0, offset, length) == 0 ? 0 : errno;
    if (!failed)
        record_truncated(fd, offset + length);
    recorder_unlock();
    return failed;
}

int posix_fallocate(int fd, off_t offset, off_t length)
{
    return allocate_counted(fd, offset, length);
}

int posix_fallocate64(int fd, off_t offset, off_t length)
{
    return allocate_counted(fd, offset, length);
}

static int truncate_counted(int fd, off_t length)
{
    if (!fault_is_file(fd))
        return (int)syscall(SYS_ftruncate, fd, length);
    if (fault_strikes(FAULT_WRITE))
        return -1;
    recorder_lock();
    int failed = (int)syscall(SYS_ftruncate, fd, length);
    if (!failed)
        record_truncated(fd, length);
    recorder_unlock();
    return failed;
}

int ftruncate(int fd, off_t length)
{
    return truncate_counted(fd, length);
}

int ftruncate64(int fd, off_t length)
{
    return truncate_counted(fd, length);
}

/* ---- syncing ---- */

static int sync_counted(int fd, long call)
{
    if (!fault_is_file(fd))
        return (int)syscall(call, fd);
    if (fault_strikes(FAULT_SYNC))
        return -1;
    /* The record says "synced" when it is; what was written meanwhile by others is not covered. */
    recorder_lock();
    int failed = (int)syscall(call, fd);
    if (!failed)
        record_synced(fd);
    recorder_unlock();
    return failed;
}

int fsync(int fd)
{
    return sync_counted(fd, SYS_fsync);
}

int fdatasync(int fd)
{
    return sync_counted(fd, SYS_fdatasync);
}

int syncfs(int fd)
{
    if (!fault_is_file(fd))
        return (int)syscall(SYS_syncfs, fd);
    if (fault_strikes(FAULT_SYNC))
        return -1;
    recorder_lock();
    int failed = (int)syscall(SYS_syncfs, fd);
    if (!failed)
        record_all_synced();
    recorder_unlock();
    return failed;
}

/* ---- names ---- */

int rename(const char *from, const char *to)
{
    if (!fault_path_counts(AT_FDCWD, to))
        return (int)syscall(SYS_rename, from, to);
    if (fault_strikes(FAULT_RENAME))
        return -1;
    recorder_lock();
    int failed = (int)syscall(SYS_rename, from, to);
    if (!failed)
        record_renamed(from, to);
    recorder_unlock();
    return failed;
}

/* The record has full names, so it wants the directory's. */
static const char *full_path(char out[4096], int directory, const char *path)
{
    char link[64];
    if (path[0] == '/' || directory == AT_FDCWD)
        return path;
    (void)snprintf(link, sizeof link, "/proc/self/fd/%d", directory);
    ssize_t length = readlink(link, out, 2048);
    if (length <= 0)
        return path;
    (void)snprintf(out + length, 4096 - (size_t)length, "/%s", path);
    return out;
}

static int remove_counted(int directory, const char *path, int flags)
{
    char full[4096];
    if (!fault_path_counts(directory, path))
        return (int)syscall(SYS_unlinkat, directory, path, flags);
    if (fault_strikes(FAULT_UNLINK))
        return -1;
    recorder_lock();
    int failed = (int)syscall(SYS_unlinkat, directory, path, flags);
    if (!failed)
        record_removed(full_path(full, directory, path), (flags & AT_REMOVEDIR) != 0);
    recorder_unlock();
    return failed;
}

int unlink(const char *path)
{
    return remove_counted(AT_FDCWD, path, 0);
}

int rmdir(const char *path)
{
    return remove_counted(AT_FDCWD, path, AT_REMOVEDIR);
}

int unlinkat(int directory, const char *path, int flags)
{
    return remove_counted(directory, path, flags);
}

int mkdir(const char *path, mode_t mode)
{
    if (!fault_path_counts(AT_FDCWD, path))
        return (int)syscall(SYS_mkdir, path, mode);
    if (fault_strikes(FAULT_MKDIR))
        return -1;
    recorder_lock();
    int failed = (int)syscall(SYS_mkdir, path, mode);
    if (!failed)
        record_made_directory(path);
    recorder_unlock();
    return failed;
}

/* ---- sockets ---- */

int socket(int domain, int type, int protocol)
{
    int fd = (int)syscall(SYS_socket, domain, type, protocol);
    if (fd >= 0 && (domain == AF_INET || domain == AF_INET6))
        fault_mark_socket(fd);
    return fd;
}

int accept4(int fd, struct sockaddr *address, socklen_t *length, int flags)
{
    int accepted = (int)syscall(SYS_accept4, fd, address, length, flags);
    if (accepted >= 0 && fault_is_socket(fd))
        fault_mark_socket(accepted);
    return accepted;
}

int accept(int fd, struct sockaddr *address, socklen_t *length)
{
    return accept4(fd, address, length, 0);
}

int connect(int fd, const struct sockaddr *address, socklen_t length)
{
    if (fault_is_socket(fd) && fault_strikes(FAULT_CONNECT))
        return -1;
    return (int)syscall(SYS_connect, fd, address, length);
}

ssize_t send(int fd, const void *bytes, size_t length, int flags)
{
    if (fault_is_socket(fd))
        return send_counted(fd, bytes, length, flags);
    return (ssize_t)syscall(SYS_sendto, fd, bytes, length, flags, NULL, 0);
}

static ssize_t receive_counted(int fd, void *bytes, size_t length, int flags)
{
    if (fault_is_socket(fd) && fault_strikes(FAULT_RECEIVE))
        return -1;
    return (ssize_t)syscall(SYS_recvfrom, fd, bytes, length, flags, NULL, NULL);
}

ssize_t recv(int fd, void *bytes, size_t length, int flags)
{
    return receive_counted(fd, bytes, length, flags);
}

ssize_t __recv_chk(int fd, void *bytes, size_t length, size_t size, int flags)
{
    return receive_counted(fd, bytes, length < size ? length : size, flags);
}

static ssize_t read_counted(int fd, void *bytes, size_t length)
{
    if (fault_is_socket(fd) && fault_strikes(FAULT_RECEIVE))
        return -1;
    return (ssize_t)syscall(SYS_read, fd, bytes, length);
}

ssize_t read(int fd, void *bytes, size_t length)
{
    return read_counted(fd, bytes, length);
}

ssize_t __read_chk(int fd, void *bytes, size_t length, size_t size)
{
    return read_counted(fd, bytes, length < size ? length : size);
}
