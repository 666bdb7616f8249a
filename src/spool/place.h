/* The spool's places, shared by the files of this room. Everything is set by spool_open and then
 * constant, but for the two atomics.
 */
#ifndef AURABRIDGE_SPOOL_PLACE_H
#define AURABRIDGE_SPOOL_PLACE_H

#include "aurabridge/fs.h"
#include "aurabridge/spool.h"

#include <stdatomic.h>

struct spool {
    char directory[FS_PATH_MAX];
    char incoming[FS_PATH_MAX];
    char studies[FS_PATH_MAX];
    int lock_fd; /* holds the exclusive lock while open */
    _Atomic uint64_t reserve;
    /* Study folders that were made and whose entry in studies/ may not be durable yet. While it is
     * not 0, whoever publishes syncs studies/ too. */
    atomic_uint unsynced_folders;
};

/* SPOOL_FULL when `errnum` says that the disk takes no more, else -1. */
int spool_failure(int errnum);

#endif
