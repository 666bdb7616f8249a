/* The press as the room knows it: who works on what, and the studies whose scratch is open. */
#ifndef AURABRIDGE_PACKAGE_PRESS_STATE_H
#define AURABRIDGE_PACKAGE_PRESS_STATE_H

#include "deflator.h"
#include "scratch.h"

#include "aurabridge/press.h"

#include <pthread.h>

#define PRESS_CLAIMS 64 /* members being compressed at once; more only do some work twice */
#define PRESS_IDLE   16 /* scratches that stay open though nobody uses them */

struct press {
    struct spool *spool;
    pthread_mutex_t lock;         /* guards what follows; never held over I/O */
    pthread_cond_t freed;         /* a claim, or the large buffer */
    struct scratch *scratches;    /* last used first */
    int64_t claims[PRESS_CLAIMS]; /* instance ids; 0: free */
    bool is_large_taken;
};

/* A member to be compressed, by whom, and how long to wait for another who is at it. */
struct press_job {
    struct scratch *scratch;
    struct scratch_key key;
    struct deflator *deflator;
    bool is_patient; /* waits for who is at it, as long as the work takes; else PRESS_BUSY */
    bool (*cancelled)(void *context);
    void *context;
    struct scratch_record made; /* result */
};

/* The study's scratch, for as long as it is not left. */
int press_enter(struct press *press, struct scratch **out, int64_t study_id, struct error *err);
void press_leave(struct press *press, struct scratch *scratch);

bool press_is_used(struct press *press, int64_t study_id);

/* Makes the member and its record, unless another thread does. Returns 0, PRESS_NO_ROOM, PRESS_BUSY
 * or -1. */
int press_make(struct press *press, struct press_job *job, struct error *err);

#endif
