/* The spool as a whole: its directories and its exclusive lock. Guarantees that one process at a
 * time changes things below the directory. Does not touch instance files.
 */
#include "place.h"

#include "aurabridge/log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#define HOLDER_SIZE 32

/* The pid that the holder wrote; "unknown" when it has not yet. */
static void read_holder(int fd, char holder[HOLDER_SIZE])
{
    ssize_t length = pread(fd, holder, HOLDER_SIZE - 1, 0);
    holder[length > 0 ? length : 0] = '\0';
    holder[strspn(holder, "0123456789")] = '\0';
    if (holder[0] == '\0')
        (void)snprintf(holder, HOLDER_SIZE, "unknown");
}

/* So that others can say whom to stop. A full disk, which takes no pid, must not keep the bridge
 * from starting: it is the bridge that frees space. */
static void write_holder(int fd, const char *path)
{
    char text[HOLDER_SIZE];
    struct error err;
    int length = snprintf(text, sizeof text, "%ld\n", (long)getpid());
    if (ftruncate(fd, 0) != 0 || fs_write_all(fd, text, (size_t)length, &err) != 0)
        log_warning("spool", "%s does not say who holds it: %s", path, strerror(errno));
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
    if (locked == 0) {
        write_holder(spool->lock_fd, path);
        return 0;
    }
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
    spool->studies_fd = open(spool->studies, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (spool->studies_fd < 0)
        return error_errno(err, errno, "opening %s", spool->studies);
    /* A run that was killed may have left folders that no fsync has covered. */
    return fs_sync_directory(spool->studies, err);
}

int spool_open(struct spool **out, const char *directory, uint64_t reserve, struct error *err)
{
    *out = NULL;
    struct spool *spool = calloc(1, sizeof *spool);
    if (!spool)
        return error_set(err, "opening the spool %s: out of memory", directory);
    spool->lock_fd = spool->studies_fd = -1;
    atomic_init(&spool->reserve, reserve);
    spool_room_init(spool);
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
    if (spool->studies_fd >= 0)
        (void)close(spool->studies_fd); /* a directory */
    if (spool->lock_fd >= 0)
        (void)close(spool->lock_fd); /* ends the lock; there is nothing to lose in the file */
    spool_room_destroy(spool);
    free(spool);
}

const char *spool_directory(const struct spool *spool)
{
    return spool->directory;
}
