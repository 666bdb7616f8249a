/* A config with its count of references; nobody outside the room sees the count. */
#ifndef AURABRIDGE_CONFIG_SHARED_H
#define AURABRIDGE_CONFIG_SHARED_H

#include "aurabridge/config.h"

#include <stdatomic.h>

struct shared_config {
    struct config config; /* first, so that a pointer to it is one to the whole */
    atomic_uint references;
};

/* One reference, the caller's; all else zero. Null when memory is short. */
struct config *config_new(const char *path);

#endif
