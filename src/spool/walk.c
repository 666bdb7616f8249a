/* What is left in incoming/, what stands in studies/. Guarantees that whatever recovery's walk
 * shows is on stable storage; the list for an audit changes nothing. What is not named like the
 * spool's own is left alone, and recovery logs it.
 */
#include "name.h"
#include "place.h"

#include "aurabridge/log.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAX_SECONDS 253402300799 /* the end of the year 9999 */

/* The next entry that is not "." or ".."; null at the end, or with `*errnum` set. */
static const char *next_entry(DIR *directory, int *errnum)
{
    for (;;) {
        errno = 0;
        const struct dirent *entry = readdir(directory);
        *errnum = errno;
        if (!entry)
            return NULL;
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            return entry->d_name;
    }
}

int spool_clear_incoming(struct spool *spool, unsigned *removed, struct error *err)
{
    *removed = 0;
    DIR *directory = opendir(spool->incoming);
    if (!directory)
        return error_errno(err, errno, "opening directory %s", spool->incoming);
    int result = 0;
    int errnum = 0;
    const char *name;
    while (result == 0 && (name = next_entry(directory, &errnum)) != NULL) {
        if (unlinkat(dirfd(directory), name, 0) == 0)
            ++*removed;
        else if (errno == EISDIR || errno == EPERM)
            log_warning("spool", "%s/%s is nothing of the spool's and is left alone",
                        spool->incoming, name);
        else if (errno != ENOENT)
            result = error_errno(err, errno, "removing %s/%s", spool->incoming, name);
    }
    if (result == 0 && errnum != 0)
        result = error_errno(err, errnum, "reading directory %s", spool->incoming);
    if (closedir(directory) != 0 && result == 0)
        result = error_errno(err, errno, "closing directory %s", spool->incoming);
    return result;
}

struct walk {
    struct spool *spool;
    bool recovers; /* alone in the spool: it may tidy up, and says what it leaves alone */
    int (*visit)(void *context, const struct spool_found *found);
    void *context;
    struct error *err;
};

/* Some file systems keep any 64-bit figure as a time; one that is none reads as 1970. */
static int64_t time_of(const struct stat *status)
{
    int64_t seconds = (int64_t)status->st_mtim.tv_sec;
    if (seconds < 0 || seconds > MAX_SECONDS)
        return 0;
    return seconds * 1000 + (int64_t)status->st_mtim.tv_nsec / 1000000;
}

static int visit_file(const struct walk *walk, int folder_fd, const char *folder, const char *file,
                      struct spool_found *found)
{
    char name[STORED_NAME_SIZE];
    struct stat status;
    if (!spool_name_is_file(file)) {
        if (walk->recovers)
            log_warning("spool", "%s/%s/%s is not a file of the spool and is left alone",
                        walk->spool->studies, folder, file);
        return 0;
    }
    if (fstatat(folder_fd, file, &status, AT_SYMLINK_NOFOLLOW) != 0) {
        if (errno == ENOENT)
            return 0;
        return error_errno(walk->err, errno, "looking at %s/%s", folder, file);
    }
    int length = snprintf(name, sizeof name, "%s/%s", folder, file);
    if (!S_ISREG(status.st_mode) || length < 0 || (size_t)length >= sizeof name)
        return 0;
    found->name = name;
    found->modified_ms = time_of(&status);
    int answer = walk->visit(walk->context, found);
    found->name = NULL;
    return answer;
}

static int walk_folder(const struct walk *walk, int studies_fd, const char *folder)
{
    struct spool_found found = {0};
    if (spool_name_parse_folder(found.study_instance_uid, found.route_key, folder) != 0) {
        if (walk->recovers)
            log_warning("spool", "%s/%s is not a folder of the spool and is left alone",
                        walk->spool->studies, folder);
        return 0;
    }
    int fd = openat(studies_fd, folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0 && (errno == ENOTDIR || errno == ELOOP)) {
        log_warning("spool", "%s/%s is no folder and is left alone", walk->spool->studies, folder);
        return 0;
    }
    if (fd < 0)
        return errno == ENOENT ? 0 : error_errno(walk->err, errno, "opening folder %s", folder);
    DIR *directory = fdopendir(fd);
    if (!directory) {
        int errnum = errno;
        (void)close(fd);
        return error_errno(walk->err, errnum, "reading folder %s", folder);
    }
    bool empty = true;
    int answer = 0;
    int errnum = 0;
    const char *file;
    while (answer == 0 && (file = next_entry(directory, &errnum)) != NULL) {
        empty = false;
        answer = visit_file(walk, dirfd(directory), folder, file, &found);
    }
    if (answer == 0 && errnum != 0)
        answer = error_errno(walk->err, errnum, "reading folder %s", folder);
    (void)closedir(directory); /* only read from */
    /* Left by a run that ended between making the folder and its first file; fails harmlessly when
     * a file came meanwhile. */
    if (empty && walk->recovers)
        (void)unlinkat(studies_fd, folder, AT_REMOVEDIR);
    return answer;
}

static int walk_studies(const struct walk *walk)
{
    struct spool *spool = walk->spool;
    DIR *directory = opendir(spool->studies);
    if (!directory)
        return error_errno(walk->err, errno, "opening directory %s", spool->studies);
    int answer = 0;
    int errnum = 0;
    const char *folder;
    /* A killed run may have renamed files whose folder it did not sync any more; once the ledger
     * names such a file it must be durable. One call covers them all. */
    if (walk->recovers && syncfs(dirfd(directory)) != 0)
        answer = error_errno(walk->err, errno, "syncing %s", spool->studies);
    while (answer == 0 && (folder = next_entry(directory, &errnum)) != NULL)
        answer = walk_folder(walk, dirfd(directory), folder);
    if (answer == 0 && errnum != 0)
        answer = error_errno(walk->err, errnum, "reading directory %s", spool->studies);
    (void)closedir(directory); /* only read from */
    return answer;
}

int spool_walk(struct spool *spool, int (*visit)(void *context, const struct spool_found *found),
               void *context, struct error *err)
{
    const struct walk walk = {
        .spool = spool, .recovers = true, .visit = visit, .context = context, .err = err};
    return walk_studies(&walk);
}

int spool_list(struct spool *spool, int (*visit)(void *context, const struct spool_found *found),
               void *context, struct error *err)
{
    const struct walk walk = {.spool = spool, .visit = visit, .context = context, .err = err};
    return walk_studies(&walk);
}
