/* The spool's places, shared by the files of this room. Everything is set by spool_open and then
 * constant, but for the reserve and the room.
 */
#ifndef AURABRIDGE_SPOOL_PLACE_H
#define AURABRIDGE_SPOOL_PLACE_H

#include "aurabridge/fs.h"
#include "aurabridge/spool.h"

#include <pthread.h>
#include <stdatomic.h>

enum reception {
    RECEPTION_OPEN,
    RECEPTION_SHORT,  /* no more than the reserve was free */
    RECEPTION_REFUSED /* the disk refused a write, whatever it says of itself */
};

struct spool {
    char directory[FS_PATH_MAX];
    char incoming[FS_PATH_MAX];
    char studies[FS_PATH_MAX];
    int studies_fd; /* the directory */
    int lock_fd;    /* holds the exclusive lock while open */
    _Atomic uint64_t reserve;
    struct {
        pthread_mutex_t lock; /* guards what follows; never held over the disk */
        enum reception reception;
        int64_t closed_ms; /* monotonic clock */
        struct error why;
    } room;
};

/* ---- room.c ---- */

void spool_room_init(struct spool *spool);
void spool_room_destroy(struct spool *spool);

/* SPOOL_FULL when `errnum` says that the disk takes no more, which closes reception; else -1. */
int spool_failure(struct spool *spool, int errnum);

/* Whether an instance that has begun may grow, also while reception is closed to others. Returns
 * as spool_admit. */
int spool_room_grow(struct spool *spool, struct error *err);

#endif
