/* What the node hands to whoever keeps instances: the association, the instance on its way, and
 * the sink that makes it durable. The pipeline implements the sink; main wires it to the node.
 */
#ifndef AURABRIDGE_INSTANCE_H
#define AURABRIDGE_INSTANCE_H

#include "aurabridge/ae_title.h"
#include "aurabridge/network.h"
#include "aurabridge/uid.h"

#include <stddef.h>
#include <stdint.h>

/* DIMSE status of a C-STORE-RSP (PS3.7 annex C, PS3.4 table B.2-1). */
#define DIMSE_SUCCESS                 0x0000
#define DIMSE_INVALID_SOP_INSTANCE    0x0117
#define DIMSE_SOP_CLASS_NOT_SUPPORTED 0x0122
#define DIMSE_NOT_AUTHORIZED          0x0124
#define DIMSE_UNRECOGNIZED_OPERATION  0x0211
#define DIMSE_MISTYPED_ARGUMENT       0x0212
#define DIMSE_OUT_OF_RESOURCES        0xA700
#define DIMSE_DATA_SET_DOES_NOT_MATCH 0xA900
#define DIMSE_CANNOT_UNDERSTAND       0xC000

#define ERROR_COMMENT_MAX 64 /* (0000,0902), VR LO */

struct dimse_answer {
    uint16_t status;
    char comment[ERROR_COMMENT_MAX + 1]; /* no patient data; "" only with DIMSE_SUCCESS */
};

struct association {
    uint64_t id; /* unique within this run of the process */
    char calling_ae_title[AE_TITLE_SIZE];
    char called_ae_title[AE_TITLE_SIZE];
    char peer_address[NETWORK_ADDRESS_SIZE];
};

struct instance_request {
    char sop_class_uid[UID_SIZE]; /* all three checked by the node */
    char sop_instance_uid[UID_SIZE];
    char transfer_syntax_uid[UID_SIZE];
};

struct instance; /* one instance on its way, of the sink's making */

struct instance_sink {
    void *context;

    /* Starts an instance. Returns 0, or -1 with the refusal in `*answer` and `*out` null. Called
     * from the association's thread, as are all others; one instance at a time per association.
     * Whatever the sink refuses, here or later, it logs itself: it knows why. */
    int (*begin)(void *context, struct instance **out, const struct association *association,
                 const struct instance_request *request, struct dimse_answer *answer);

    /* Takes the next bytes of the data set, as on the wire. Returns 0, or -1 with the refusal;
     * the node then reads the rest of the data set, aborts the instance and answers. */
    int (*write)(struct instance *instance, const void *bytes, size_t length,
                 struct dimse_answer *answer);

    /* Ends the instance and frees it. `*answer` is DIMSE_SUCCESS only when its bytes and the
     * record that names them are on stable storage. May wait for a shared commit. */
    void (*commit)(struct instance *instance, struct dimse_answer *answer);

    /* Drops it and frees it: the association broke or the instance was refused. */
    void (*abort)(struct instance *instance);

    /* The association has ended, however it did. */
    void (*association_ended)(void *context, const struct association *association);
};

#endif
