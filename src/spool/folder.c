/* Publishing into and removing from study folders. Guarantees that a published file survives power
 * loss, its folder's own entry included, even when another thread made the folder a moment ago; and
 * that a folder removed under a publisher is made again. Holds no lock.
 */
#include "folder.h"

#include "name.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* How often a folder may vanish between mkdir and rename; each time needs another thread that
 * removed the last file of the same study just then. */
#define FOLDER_ATTEMPTS 256

static int fail(struct spool *spool, int errnum, struct error *err, const char *what,
                const char *path)
{
    (void)error_errno(err, errnum, "%s %s", what, path);
    return spool_failure(spool, errnum);
}

/* Renames, making the folder as often as it is missing. `*made`: this call made it and counts in
 * unsynced_folders. */
static int move_in(struct spool *spool, const char *part_path, const char *folder_path,
                   const char *final_path, bool *made, struct error *err)
{
    for (int attempt = 0; attempt < FOLDER_ATTEMPTS; attempt++) {
        if (rename(part_path, final_path) == 0)
            return 0;
        if (errno != ENOENT)
            return fail(spool, errno, err, "publishing", final_path);
        /* Counted before it can be seen, so that no other publisher takes it for durable. */
        atomic_fetch_add(&spool->unsynced_folders, 1);
        int errnum = mkdir(folder_path, 0700) == 0 ? 0 : errno;
        if (errnum == 0 && !*made) {
            *made = true;
            continue;
        }
        atomic_fetch_sub(&spool->unsynced_folders, 1);
        if (errnum != 0 && errnum != EEXIST)
            return fail(spool, errnum, err, "making folder", folder_path);
    }
    return error_set(err, "publishing %s: its folder, or the received file, keeps vanishing",
                     final_path);
}

static int sync_folders(struct spool *spool, const char *folder_path, bool made, struct error *err)
{
    errno = 0;
    if (fs_sync_directory(folder_path, err) != 0)
        return spool_failure(spool, errno);
    if (atomic_load(&spool->unsynced_folders) == 0)
        return 0;
    errno = 0;
    if (fs_sync_directory(spool->studies, err) != 0)
        return spool_failure(spool, errno);
    if (made)
        atomic_fetch_sub(&spool->unsynced_folders, 1);
    return 0;
}

int spool_folder_take(struct spool *spool, const char *part_path, const char *folder,
                      const char *name, struct error *err)
{
    char folder_path[FS_PATH_MAX];
    char final_path[FS_PATH_MAX];
    bool made = false;
    if (fs_join(folder_path, spool->studies, folder, err) != 0 ||
        fs_join(final_path, spool->studies, name, err) != 0) {
        (void)unlink(part_path);
        return -1;
    }
    int result = move_in(spool, part_path, folder_path, final_path, &made, err);
    bool moved = result == 0;
    if (moved)
        result = sync_folders(spool, folder_path, made, err);
    if (result == 0)
        return 0;
    /* Nobody was told of the file. Should the folder stay, unsynced_folders stays up too, and later
     * publishers sync studies/ for it. */
    (void)unlink(moved ? final_path : part_path);
    if (rmdir(folder_path) == 0 && made)
        atomic_fetch_sub(&spool->unsynced_folders, 1);
    return result;
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
