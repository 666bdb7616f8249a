/* The sandbox as a whole: what its rooms share, and who owns what. */
#ifndef SANDBOX_SERVER_H
#define SANDBOX_SERVER_H

#include "auth.h"
#include "call.h"
#include "faults.h"
#include "rate_limits.h"
#include "transcript.h"
#include "tus_files.h"
#include "uploads.h"

#include "aurabridge/aurabox.h"
#include "aurabridge/sandbox.h"

#include <pthread.h>
#include <stdatomic.h>

#define SANDBOX_BUCKET "sandbox-bucket"

/* One row of the table of calls. */
struct route {
    const char *method, *path; /* below the base path */
    int bucket;                /* enum aurabox_bucket, or -1: not limited */
    void (*handle)(struct call *call);
    uint64_t calls; /* counted under the lock */
};

struct MHD_Daemon;

/* `lock` guards everything from `limits` down. It is never held over disk or network I/O. */
struct sandbox {
    const struct clock *clock;
    char *directory, *app_id, *app_secret, *service_api_key, *tus_endpoint; /* owned */
    int listen_fd;
    uint16_t port;
    struct MHD_Daemon *daemon; /* null while not started */
    struct transcript transcript;
    pthread_mutex_t lock;
    struct limit_window limits[AURABOX_BUCKET_COUNT];
    struct auth auth;
    struct uploads uploads;
    struct tus_files tus_files;
    struct faults faults;
    struct route *routes; /* owned */
    size_t route_count;
    uint64_t tus_calls, refused; /* refused: answered 4xx, and not because of a fault */
    atomic_bool stopping;        /* outside the lock */
};

/* With the skew. */
int64_t sandbox_wall_ms(const struct sandbox *sandbox);

void sandbox_lock(struct sandbox *sandbox);
void sandbox_unlock(struct sandbox *sandbox);

/* The calls of the table; each gives the answer. */
void auth_exchange(struct call *call);
void lifecycle_config(struct call *call);
void lifecycle_init(struct call *call);
void lifecycle_start(struct call *call);
void lifecycle_complete(struct call *call);
void lifecycle_error(struct call *call);
void lifecycle_cancel(struct call *call);
void state_show(struct call *call);
void misbehave_add(struct call *call);
void misbehave_end(struct call *call);

#endif
