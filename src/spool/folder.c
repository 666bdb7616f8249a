/* Publishing into and removing from study folders. Guarantees that a published file survives power
 * loss, its folder's own entry included, even when another thread made the folder a moment ago; and
 * that a folder removed under a publisher is made again. Holds no lock.
 */
#include "folder.h"

#include "name.h"

#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

/* How often a folder may vanish between mkdir and rename; each time needs another thread that
 * removed the last file of the same study just then. */
#define FOLDER_ATTEMPTS 256

static int fail(int errnum, struct error *err, const char *what, const char *path)
{
    (void)error_errno(err, errnum, "%s %s", what, path);
    return spool_failure(errnum);
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
            return fail(errno, err, "publishing", final_path);
        /* Counted before it can be seen, so that no other publisher takes it for durable. */
        atomic_fetch_add(&spool->unsynced_folders, 1);
        int errnum = mkdir(folder_path, 0700) == 0 ? 0 : errno;
        if (errnum == 0 && !*made) {
            *made = true;
            continue;
        }
        atomic_fetch_sub(&spool->unsynced_folders, 1);
        if (errnum != 0 && errnum != EEXIST)
            return fail(errnum, err, "making folder", folder_path);
    }
    return error_set(err, "publishing %s: its folder, or the received file, keeps vanishing",
                     final_path);
}

static int sync_folders(struct spool *spool, const char *folder_path, bool made, struct error *err)
{
    errno = 0;
    if (fs_sync_directory(folder_path, err) != 0)
        return spool_failure(errno);
    if (atomic_load(&spool->unsynced_folders) == 0)
        return 0;
    errno = 0;
    if (fs_sync_directory(spool->studies, err) != 0)
        return spool_failure(errno);
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

/* `*remains`: the folder holds other files still, and its entry for this one may not be durable. */
static int remove_file(struct spool *spool, const char *name, bool *remains,
                       char folder_path[FS_PATH_MAX], struct error *err)
{
    char folder[STORED_NAME_SIZE];
    char path[FS_PATH_MAX];
    if (spool_name_check(folder, name, err) != 0 || fs_join(path, spool->studies, name, err) != 0 ||
        fs_remove(path, err) != 0 || fs_join(folder_path, spool->studies, folder, err) != 0)
        return -1;
    *remains = false;
    if (rmdir(folder_path) != 0) {
        *remains = errno == ENOTEMPTY || errno == EEXIST;
        if (*remains || errno == ENOENT)
            return 0;
        return error_errno(err, errno, "removing folder %s", folder_path);
    }
    return fs_sync_directory(spool->studies, err);
}

int spool_remove(struct spool *spool, const char *name, struct error *err)
{
    /* Syncing once per study is enough here: a resent or superseded file that comes back after
     * power loss has a row still, and recovery knows it as a resend. */
    bool remains;
    char folder_path[FS_PATH_MAX];
    return remove_file(spool, name, &remains, folder_path, err);
}

int spool_remove_durably(struct spool *spool, const char *name, struct error *err)
{
    bool remains;
    char folder_path[FS_PATH_MAX];
    if (remove_file(spool, name, &remains, folder_path, err) != 0)
        return -1;
    return remains ? fs_sync_directory(folder_path, err) : 0;
}
