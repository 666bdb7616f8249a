/* Commands that an administrator runs as root must not leave root's files in a spool that belongs
 * to the bridge's own user: the daemon could not open them any more. */
#include "command.h"

#include <errno.h>
#include <grp.h>
#include <sys/stat.h>
#include <unistd.h>

int command_become_owner(const struct config *config, struct error *err)
{
    const char *directory = config->spool.directory;
    struct stat status;
    if (geteuid() != 0)
        return 0;
    if (stat(directory, &status) != 0)
        return errno == ENOENT ? 0 : error_errno(err, errno, "looking at the spool %s", directory);
    if (status.st_uid == 0)
        return 0;
    if (setgroups(0, NULL) != 0 || setgid(status.st_gid) != 0 || setuid(status.st_uid) != 0)
        return error_errno(err, errno, "becoming the owner of the spool %s", directory);
    return 0;
}
