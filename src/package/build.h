/* Makes a study's package: its layout and, where members are deflated, its scratch file. */
#ifndef AURABRIDGE_PACKAGE_BUILD_H
#define AURABRIDGE_PACKAGE_BUILD_H

#include "aurabridge/fs.h"
#include "aurabridge/package.h"

struct package_paths {
    char directory[FS_PATH_MAX];
    char layout[FS_PATH_MAX];
    char layout_part[FS_PATH_MAX];
    char scratch[FS_PATH_MAX];
    char scratch_part[FS_PATH_MAX];
};

int package_paths(struct package_paths *out, const struct spool *spool, int64_t study_id,
                  struct error *err);

/* Removes all four files; absent ones are fine. */
int package_clear(const struct package_paths *paths, struct error *err);

struct package_source {
    struct spool *spool;
    struct ledger *ledger;
    const struct ledger_study *study;
    enum config_compression compression;
    bool (*cancelled)(void *context); /* may be null */
    void *context;
};

/* Replaces what is there. Returns 0, or -1 with nothing left behind. */
int package_build(const struct package_source *source, const struct package_paths *paths,
                  struct error *err);

#endif
