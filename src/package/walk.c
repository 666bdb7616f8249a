/* What stands in packages/: found by its name, "S<id>.<something>". */
#include "build.h"
#include "press_state.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static bool parse(int64_t *study_id, const char *name, const char *ending)
{
    char *end;
    if (name[0] != 'S' || name[1] < '1' || name[1] > '9')
        return false;
    errno = 0;
    *study_id = strtoll(name + 1, &end, 10);
    return errno == 0 && *end == '.' && (!ending || strcmp(end + 1, ending) == 0);
}

static int walk(struct spool *spool, const char *ending,
                bool (*visit)(void *context, int64_t study_id), void *context, struct error *err)
{
    char path[FS_PATH_MAX];
    if (fs_join(path, spool_directory(spool), "packages", err) != 0)
        return -1;
    DIR *directory = opendir(path);
    if (!directory)
        return errno == ENOENT ? 0 : error_errno(err, errno, "opening %s", path);
    struct dirent *entry;
    bool goes_on = true;
    errno = 0;
    while (goes_on && (entry = readdir(directory))) {
        int64_t study_id;
        if (parse(&study_id, entry->d_name, ending))
            goes_on = visit(context, study_id);
        errno = 0;
    }
    int result = goes_on && errno != 0 ? error_errno(err, errno, "reading %s", path) : 0;
    (void)closedir(directory); /* only read from */
    return result;
}

struct walker {
    void (*visit)(void *context, int64_t study_id);
    void *context;
};

static bool pass_on(void *context, int64_t study_id)
{
    const struct walker *walker = context;
    walker->visit(walker->context, study_id);
    return true;
}

int package_walk(struct spool *spool, void (*visit)(void *context, int64_t study_id), void *context,
                 struct error *err)
{
    struct walker walker = {.visit = visit, .context = context};
    return walk(spool, NULL, pass_on, &walker, err);
}

struct return_of_room {
    struct press *press;
    uint64_t wanted, given;
    struct error *err;
    int result;
};

static bool give_back(void *context, int64_t study_id)
{
    struct return_of_room *room = context;
    struct package_paths paths;
    struct stat status;
    if (package_paths(&paths, room->press->spool, study_id, room->err) != 0 ||
        access(paths.layout, F_OK) == 0 || press_is_used(room->press, study_id) ||
        lstat(paths.scratch, &status) != 0)
        return true;
    if (fs_remove(paths.members, room->err) != 0 || fs_remove(paths.scratch, room->err) != 0) {
        room->result = -1;
        return true;
    }
    room->given += (uint64_t)status.st_blocks * 512;
    return room->given < room->wanted;
}

int press_give_back(struct press *press, uint64_t wanted, uint64_t *given, struct error *err)
{
    struct return_of_room room = {.press = press, .wanted = wanted, .err = err};
    int failed = wanted > 0 ? walk(press->spool, "members", give_back, &room, err) : 0;
    *given += room.given;
    return failed ? failed : room.result;
}
