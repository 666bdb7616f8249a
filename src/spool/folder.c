/* Putting into and removing from study folders. Guarantees that a file which was put there, and all
 * that leads to it, survives a loss of power once spool_sync has answered 0; and that a folder
 * removed under a file on its way is made again. Holds no lock.
 */
#include "place.h"

#include "name.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* How often a folder may vanish between mkdir and the file's arrival; each time needs another
 * thread that removed the last file of the same study just then. */
#define FOLDER_ATTEMPTS 256

static int fail(struct spool *spool, int errnum, struct error *err, const char *what,
                const char *path)
{
    (void)error_errno(err, errnum, "%s %s", what, path);
    return spool_failure(spool, errnum);
}

struct arrival {
    const char *folder_path, *final_path;
    const char *part_path; /* of the received file; null: a new one is made */
    int fd;                /* of the new one */
};

/* Returns 0, or -1 with errno. */
static int try_arrival(struct arrival *arrival)
{
    if (arrival->part_path)
        return rename(arrival->part_path, arrival->final_path);
    /* One that stands there is of this instance, from before a crash, and may be torn. */
    arrival->fd =
        open(arrival->final_path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    return arrival->fd < 0 ? -1 : 0;
}

/* Makes the folder as often as it is missing. */
static int arrive(struct spool *spool, struct arrival *arrival, struct error *err)
{
    for (int attempt = 0; attempt < FOLDER_ATTEMPTS; attempt++) {
        if (try_arrival(arrival) == 0)
            return 0;
        if (errno != ENOENT)
            return fail(spool, errno, err, "putting in place", arrival->final_path);
        if (arrival->part_path && access(arrival->part_path, F_OK) != 0) {
            (void)error_errno(err, errno, "looking for %s", arrival->part_path);
            return SPOOL_GONE;
        }
        if (mkdir(arrival->folder_path, 0700) != 0 && errno != EEXIST)
            return fail(spool, errno, err, "making folder", arrival->folder_path);
    }
    return error_set(err, "putting %s in place: its folder keeps vanishing", arrival->final_path);
}

static int copy_out(struct spool *spool, struct journal *journal,
                    const struct journal_record *record, struct arrival *arrival, uint32_t *crc32,
                    struct error *err)
{
    errno = 0;
    int errnum = 0;
    int result =
        journal_copy(journal, record->extents, record->extent_count, arrival->fd, crc32, err);
    if (result != 0)
        errnum = errno;
    if (close(arrival->fd) != 0 && result == 0) {
        errnum = errno;
        result = error_errno(err, errnum, "closing %s", arrival->final_path);
    }
    if (result == 0)
        return 0;
    (void)unlink(arrival->final_path); /* what it was made from is still in the journal */
    if (result == JOURNAL_UNREADABLE)
        return SPOOL_GONE;
    return spool_failure(spool, errnum);
}

bool spool_has_part(const struct spool *spool, const struct journal_record *record)
{
    char path[FS_PATH_MAX];
    struct stat status;
    if (strchr(record->entry.part_name, '/') ||
        fs_join(path, spool->incoming, record->entry.part_name, NULL) != 0)
        return false;
    if (lstat(path, &status) == 0)
        return S_ISREG(status.st_mode) && (uint64_t)status.st_size == record->stored.file_size;
    return spool_has(spool, record->entry.file_name, record->stored.file_size);
}

int spool_place(struct spool *spool, struct journal *journal, const struct journal_record *record,
                uint32_t *crc32, struct error *err)
{
    char folder[STORED_NAME_SIZE];
    char folder_path[FS_PATH_MAX], final_path[FS_PATH_MAX], part_path[FS_PATH_MAX];
    const char *name = record->entry.file_name;
    const char *part_name = record->entry.part_name;
    struct arrival arrival = {.folder_path = folder_path, .final_path = final_path, .fd = -1};
    if (spool_name_check(folder, name, err) != 0 ||
        fs_join(folder_path, spool->studies, folder, err) != 0 ||
        fs_join(final_path, spool->studies, name, err) != 0)
        return -1;
    *crc32 = record->stored.file_crc32;
    if (part_name[0]) {
        if (strchr(part_name, '/') || fs_join(part_path, spool->incoming, part_name, err) != 0)
            return error_set(err, "\"%s\" is not the name of a received file", part_name);
        if (spool_has(spool, name, record->stored.file_size))
            return 0; /* it was moved before a crash */
        arrival.part_path = part_path;
    }
    /* From before a crash, and perhaps all that is left of it. */
    if (!part_name[0] && spool_check_file(spool, name, record->stored.file_size, *crc32, NULL) == 0)
        return 0;
    int result = arrive(spool, &arrival, err);
    return result == 0 && arrival.fd >= 0 ? copy_out(spool, journal, record, &arrival, crc32, err)
                                          : result;
}

int spool_sync(struct spool *spool, struct error *err)
{
    /* One descriptor for good: it hears of each failed write since it was opened. */
    if (syncfs(spool->studies_fd) == 0)
        return 0;
    int errnum = errno;
    (void)error_errno(err, errnum, "syncing the spool %s", spool->directory);
    return spool_failure(spool, errnum);
}

int spool_remove(struct spool *spool, const char *name, struct error *err)
{
    char folder[STORED_NAME_SIZE];
    char path[FS_PATH_MAX];
    if (spool_name_check(folder, name, err) != 0 || fs_join(path, spool->studies, name, err) != 0 ||
        fs_remove(path, err) != 0 || fs_join(path, spool->studies, folder, err) != 0)
        return -1;
    if (rmdir(path) != 0) {
        if (errno == ENOTEMPTY || errno == EEXIST || errno == ENOENT)
            return 0;
        return error_errno(err, errno, "removing folder %s", path);
    }
    /* Syncing once per study is enough here: a resent or superseded file that comes back after
     * power loss has a row still, and recovery knows it as a resend. */
    return fs_sync_directory(spool->studies, err);
}

/* The folder goes when it is empty; else what was unlinked in it is made durable. */
static int settle_folder(struct spool *spool, const char *folder, struct error *err)
{
    char path[FS_PATH_MAX];
    if (fs_join(path, spool->studies, folder, err) != 0)
        return -1;
    if (rmdir(path) == 0 || errno == ENOENT)
        return fs_sync_directory(spool->studies, err);
    if (errno == ENOTEMPTY || errno == EEXIST)
        return fs_sync_directory(path, err);
    return error_errno(err, errno, "removing folder %s", path);
}

static int remove_one(const struct spool *spool, const char *name, char folder[STORED_NAME_SIZE],
                      struct error *err)
{
    char path[FS_PATH_MAX];
    if (spool_name_check(folder, name, err) != 0 || fs_join(path, spool->studies, name, err) != 0)
        return -1;
    return fs_remove(path, err);
}

int spool_remove_all(struct spool *spool, const char *const *names, size_t count, struct error *err)
{
    char folder[STORED_NAME_SIZE];
    char settled[STORED_NAME_SIZE] = "";
    struct error later;
    int result = 0;
    for (size_t i = 0; i < count; i++) {
        int failed = remove_one(spool, names[i], folder, result == 0 ? err : &later);
        if (failed) {
            result = -1;
            continue;
        }
        /* A study's files stand together: once per folder is enough. */
        if (settled[0] && strcmp(folder, settled) != 0)
            result |= settle_folder(spool, settled, result == 0 ? err : &later);
        memcpy(settled, folder, sizeof settled);
    }
    if (settled[0])
        result |= settle_folder(spool, settled, result == 0 ? err : &later);
    return result;
}
