/* One connection from its first byte to its last. */
#ifndef AURABRIDGE_DICOM_ASSOCIATION_H
#define AURABRIDGE_DICOM_ASSOCIATION_H

#include "conversation.h"

struct association_arrival {
    int socket; /* taken by association_run */
    char address[NETWORK_ADDRESS_SIZE];
    uint64_t id;
    struct config *config; /* stays the caller's reference */
    struct slot pending;   /* taken in service->pending; given back by association_run */
};

/* Serves the connection until it ends, and logs how it did. Runs in the connection's own thread. */
void association_run(struct association_service *service, struct association_arrival *arrival);

#endif
