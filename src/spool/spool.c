/* The spool as a whole: its directories, its exclusive lock, its reserve. Guarantees that one
 * process at a time changes things below the directory. Does not touch instance files.
 */
#include "place.h"

#include "aurabridge/units.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#define HOLDER_SIZE 32

int spool_failure(int errnum)
{
    switch (errnum) {
    case ENOSPC:
    case EDQUOT:
    case EFBIG: /* a limit on file size is one more kind of full */
        return SPOOL_FULL;
    default:
        return -1;
    }
}

/* The pid that the holder wrote; "unknown" when it has not yet. */
static void read_holder(int fd, char holder[HOLDER_SIZE])
{
    ssize_t length = pread(fd, holder, HOLDER_SIZE - 1, 0);
    holder[length > 0 ? length : 0] = '\0';
    holder[strspn(holder, "0123456789")] = '\0';
    if (holder[0] == '\0')
        (void)snprintf(holder, HOLDER_SIZE, "unknown");
}

static int write_holder(int fd, const char *path, struct error *err)
{
    char text[HOLDER_SIZE];
    int length = snprintf(text, sizeof text, "%ld\n", (long)getpid());
    if (ftruncate(fd, 0) != 0)
        return error_errno(err, errno, "emptying %s", path);
    if (fs_write_all(fd, text, (size_t)length, err) != 0)
        return error_wrap(err, "writing %s", path);
    return 0;
}

static int take_lock(struct spool *spool, struct error *err)
{
    char path[FS_PATH_MAX];
    if (fs_join(path, spool->directory, "lock", err) != 0)
        return -1;
    spool->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (spool->lock_fd < 0)
        return error_errno(err, errno, "opening the spool's lock %s", path);
    int locked;
    do
        locked = flock(spool->lock_fd, LOCK_EX | LOCK_NB);
    while (locked != 0 && errno == EINTR);
    if (locked == 0)
        return write_holder(spool->lock_fd, path, err);
    if (errno != EWOULDBLOCK)
        return error_errno(err, errno, "locking %s", path);
    char holder[HOLDER_SIZE];
    read_holder(spool->lock_fd, holder);
    return error_set(err,
                     "the spool %s is in use by another aurabridge (process %s): stop that one, or "
                     "give this one another spool directory",
                     spool->directory, holder);
}

static int make_places(struct spool *spool, struct error *err)
{
    if (fs_join(spool->incoming, spool->directory, "incoming", err) != 0 ||
        fs_join(spool->studies, spool->directory, "studies", err) != 0 ||
        fs_make_directory(spool->incoming, err) != 0 || fs_make_directory(spool->studies, err) != 0)
        return -1;
    /* A run that was killed may have left folders that no fsync has covered. */
    return fs_sync_directory(spool->studies, err);
}

int spool_open(struct spool **out, const char *directory, uint64_t reserve, struct error *err)
{
    *out = NULL;
    struct spool *spool = calloc(1, sizeof *spool);
    if (!spool)
        return error_set(err, "opening the spool %s: out of memory", directory);
    spool->lock_fd = -1;
    atomic_init(&spool->reserve, reserve);
    atomic_init(&spool->unsynced_folders, 0);
    int length = snprintf(spool->directory, sizeof spool->directory, "%s", directory);
    if (length <= 0 || length >= FS_PATH_MAX) {
        (void)error_set(err, "the spool directory's name is empty or too long");
        goto failed;
    }
    if (fs_make_directory(spool->directory, err) != 0 || take_lock(spool, err) != 0 ||
        make_places(spool, err) != 0)
        goto failed;
    *out = spool;
    return 0;
failed:
    spool_close(spool);
    return -1;
}

void spool_close(struct spool *spool)
{
    if (!spool)
        return;
    if (spool->lock_fd >= 0)
        (void)close(spool->lock_fd); /* ends the lock; there is nothing to lose in the file */
    free(spool);
}

const char *spool_directory(const struct spool *spool)
{
    return spool->directory;
}

void spool_set_reserve(struct spool *spool, uint64_t reserve)
{
    atomic_store(&spool->reserve, reserve);
}

int spool_check_directory(const char *directory, uint64_t reserve, uint64_t wanted,
                          struct error *err)
{
    uint64_t free_bytes;
    if (fs_free_bytes(&free_bytes, directory, err) != 0)
        return -1;
    if (free_bytes > reserve && free_bytes - reserve > wanted)
        return 0;
    char free_text[UNITS_TEXT_SIZE];
    char reserve_text[UNITS_TEXT_SIZE];
    char wanted_text[UNITS_TEXT_SIZE];
    units_format_size(free_text, free_bytes);
    units_format_size(reserve_text, reserve);
    units_format_size(wanted_text, wanted);
    if (wanted == 0)
        (void)error_set(err,
                        "the spool %s has %s free, and %s are its reserve: senders are refused; "
                        "free disk space, or lower spool.reserve",
                        directory, free_text, reserve_text);
    else
        (void)error_set(err,
                        "the spool %s has %s free, of which %s are the reserve, and needs %s more: "
                        "free disk space, or lower spool.reserve",
                        directory, free_text, reserve_text, wanted_text);
    return SPOOL_FULL;
}

int spool_check_space(struct spool *spool, uint64_t wanted, struct error *err)
{
    return spool_check_directory(spool->directory, atomic_load(&spool->reserve), wanted, err);
}
