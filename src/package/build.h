/* Makes a study's package: its layout and, where members are deflated, its scratch file. */
#ifndef AURABRIDGE_PACKAGE_BUILD_H
#define AURABRIDGE_PACKAGE_BUILD_H

#include "aurabridge/fs.h"
#include "aurabridge/package.h"
#include "aurabridge/press.h"

struct package_paths {
    char directory[FS_PATH_MAX];
    char layout[FS_PATH_MAX];
    char layout_part[FS_PATH_MAX];
    char scratch[FS_PATH_MAX];      /* deflated members */
    char members[FS_PATH_MAX];      /* the table of them */
    char scratch_part[FS_PATH_MAX]; /* of versions that made it whole */
};

int package_paths(struct package_paths *out, const struct spool *spool, int64_t study_id,
                  struct error *err);

/* Removes all of them; absent ones are fine. */
int package_clear(const struct package_paths *paths, struct error *err);

struct package_source {
    struct spool *spool;
    struct press *press;
    struct ledger *ledger;
    const struct ledger_study *study;
    enum config_compression compression;
    bool (*cancelled)(void *context); /* may be null */
    void *context;
};

/* Makes the layout anew. Returns 0, or -1 with nothing left behind but, after `cancelled`, what was
 * compressed. */
int package_build(const struct package_source *source, const struct package_paths *paths,
                  struct error *err);

#endif
