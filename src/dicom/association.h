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

/* PDUs that are sent without dcmtk, to peers that it never hears of. */
#define ASSOCIATION_PDU_LENGTH 10
void association_write_rejection(uint8_t out[ASSOCIATION_PDU_LENGTH],
                                 const struct rejection *rejection);
void association_write_abort(uint8_t out[ASSOCIATION_PDU_LENGTH]);

#endif
