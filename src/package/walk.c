/* What stands in packages/: found by its name, "S<id>.<something>". */
#include "build.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

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
