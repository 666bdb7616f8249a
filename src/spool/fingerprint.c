/* The fingerprint of the study folders. Guarantees that a file which came or went gives another
 * one: it changes its folder's times. */
#include "place.h"

#include "aurabridge/digest.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

/* A sum does not depend on the order in which the folders are found. */
static int add_folder(uint64_t *sum, int studies_fd, const char *name)
{
    struct stat status;
    char text[512];
    uint8_t digest[SHA256_SIZE];
    uint64_t part;
    if (fstatat(studies_fd, name, &status, AT_SYMLINK_NOFOLLOW) != 0)
        return errno;
    int length =
        snprintf(text, sizeof text, "%s %ju %jd.%09ld %jd.%09ld", name, (uintmax_t)status.st_ino,
                 (intmax_t)status.st_mtim.tv_sec, status.st_mtim.tv_nsec,
                 (intmax_t)status.st_ctim.tv_sec, status.st_ctim.tv_nsec);
    if (length < 0 || (size_t)length >= sizeof text || sha256_of(digest, text, (size_t)length) != 0)
        return EINVAL;
    memcpy(&part, digest, sizeof part); /* read by this machine alone */
    *sum += part;
    return 0;
}

int spool_fingerprint(const struct spool *spool, uint64_t *out, struct error *err)
{
    DIR *directory = opendir(spool->studies);
    if (!directory)
        return error_errno(err, errno, "opening directory %s", spool->studies);
    const struct dirent *entry;
    int errnum = 0;
    *out = 0;
    errno = 0;
    while (errnum == 0 && (entry = readdir(directory)) != NULL) {
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            errnum = add_folder(out, dirfd(directory), entry->d_name);
        if (errnum == 0)
            errno = 0;
    }
    if (errnum == 0)
        errnum = errno;
    (void)closedir(directory); /* only read from */
    *out = *out >> 1 | 1;      /* fits a signed column, and is not 0 */
    return errnum == 0 ? 0 : error_errno(err, errnum, "looking at %s", spool->studies);
}
