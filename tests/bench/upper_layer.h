/* The requestor's side of the DICOM upper layer (PS3.8), as much as C-STORE needs, without a copy
 * and without a decision while it sends: an instance is cut into P-DATA-TFs beforehand and goes out
 * in one write. One thread at a time for each association.
 */
#ifndef AURABRIDGE_BENCH_UPPER_LAYER_H
#define AURABRIDGE_BENCH_UPPER_LAYER_H

#include "aurabridge/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct upper_layer_peer {
    const char *host; /* an IPv4 address */
    uint16_t port;
    const char *called, *calling;
    uint32_t max_pdu; /* that we send: instances are cut before the peer is asked */
    bool no_delay;    /* TCP_NODELAY at our end */
};

#define UPPER_LAYER_INPUT 1024 /* answers are short; what is longer fails */

struct upper_layer {
    int fd;
    uint32_t max_pdu; /* bytes behind the PDU header */
    uint8_t context_id;
    uint8_t input[UPPER_LAYER_INPUT];
    size_t input_length;
};

/* One that is not open: instances can be cut for it. */
void upper_layer_init(struct upper_layer *association, uint32_t max_pdu);
/* Opens an association for one SOP class in explicit VR little endian. A peer that does not take
 * PDUs of our size is a failure. Returns 0, or -1 with what was in the way; nothing is open then.
 */
int upper_layer_associate(struct upper_layer *association, const struct upper_layer_peer *peer,
                          const char *sop_class_uid, struct error *err);
/* A-RELEASE, and closes. */
int upper_layer_release(struct upper_layer *association, struct error *err);
/* Closes without a word. */
void upper_layer_drop(struct upper_layer *association);

struct upper_layer_store {
    const char *sop_class_uid, *sop_instance_uid;
    uint16_t message_id;
};

/* The C-STORE-RQ as a whole PDU; returns its length. */
#define UPPER_LAYER_COMMAND_MAX 512
size_t upper_layer_command(const struct upper_layer *association,
                           const struct upper_layer_store *store,
                           uint8_t out[UPPER_LAYER_COMMAND_MAX]);

/* The head of a P-DATA-TF with one PDV of so many bytes of a data set. */
#define UPPER_LAYER_PDV_HEAD 12
void upper_layer_pdv_head(const struct upper_layer *association, size_t length, bool is_last,
                          uint8_t out[UPPER_LAYER_PDV_HEAD]);
/* Bytes of a data set that fit into one PDU. */
size_t upper_layer_pdv_room(const struct upper_layer *association);

/* An instance, command and data set, cut into PDUs; the caller frees it. Null when memory is short.
 */
uint8_t *upper_layer_cut(const struct upper_layer *association,
                         const struct upper_layer_store *store, const uint8_t *data_set,
                         size_t size, size_t *length);

int upper_layer_write(struct upper_layer *association, const void *bytes, size_t length,
                      struct error *err);
/* Waits for the C-STORE-RSP to that message. */
int upper_layer_answer(struct upper_layer *association, uint16_t message_id, uint16_t *status,
                       struct error *err);

#endif
