/* Counts what is open, in all and for each peer address, against limits. Thread-safe. */
#ifndef AURABRIDGE_DICOM_SLOTS_H
#define AURABRIDGE_DICOM_SLOTS_H

#include "aurabridge/network.h"

#include <pthread.h>

/* One place taken; lies in the taker's own memory until it is released. */
struct slot {
    struct slot *next, *previous; /* null both when not taken and when alone */
    char address[NETWORK_ADDRESS_SIZE];
    int taken;
};

struct slots {
    pthread_mutex_t lock;
    struct slot *first;
    unsigned count;
};

enum slots_result { SLOTS_TAKEN, SLOTS_FULL, SLOTS_FULL_FOR_PEER };

void slots_init(struct slots *slots);
void slots_destroy(struct slots *slots);

/* Takes a place unless `limit` are taken, or `limit_per_peer` by this address. */
enum slots_result slots_take(struct slots *slots, struct slot *slot, const char *address,
                             unsigned limit, unsigned limit_per_peer);

/* Gives the place back; one that is not taken is fine. */
void slots_release(struct slots *slots, struct slot *slot);

unsigned slots_count(struct slots *slots);

#endif
