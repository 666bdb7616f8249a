/* The A-ASSOCIATE-RQ PDU (PS3.8 9.3.2) as it comes from a stranger: read whole under the ARTIM
 * deadline, looked over, and cut down to what is used before dcmtk's parser sees it.
 */
#ifndef AURABRIDGE_DICOM_ASSOCIATE_REQUEST_H
#define AURABRIDGE_DICOM_ASSOCIATE_REQUEST_H

#include "presentation.h"
#include "transport.h"

#include "aurabridge/ae_title.h"
#include "aurabridge/error.h"
#include "aurabridge/uid.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ASSOCIATE_REQUEST_MAX   (1u << 20) /* bytes, header included */
#define ASSOCIATE_REQUEST_LARGE 65536 /* bytes; few need more, see associate_request_is_large */

struct associate_request {
    uint8_t *bytes; /* owned: the whole PDU, null before it is read and once it was dropped */
    size_t length;  /* of the PDU */
    uint16_t protocol_version;
    bool asks_for_identity_answer;
    char called_ae_title[AE_TITLE_SIZE];  /* "" when it is none */
    char calling_ae_title[AE_TITLE_SIZE]; /* "" when it is none */
    char application_context[UID_SIZE];   /* "" when it is none */
};

enum associate_request_result {
    ASSOCIATE_REQUEST_SOUND,
    ASSOCIATE_REQUEST_BROKEN,   /* the connection ended, or the deadline passed: transport_state */
    ASSOCIATE_REQUEST_UNSOUND,  /* no A-ASSOCIATE-RQ, or one whose lengths lie: reason in err */
    ASSOCIATE_REQUEST_NO_MEMORY /* none to read it into: not the sender's fault */
};

/* Reads the PDU's header, which tells its length. `*received` is set to the bytes that came. */
enum associate_request_result associate_request_begin(struct associate_request *out,
                                                      size_t *received, struct transport *transport,
                                                      struct error *err);

/* Whether the rest takes so much memory that few connections may read one at a time. */
bool associate_request_is_large(const struct associate_request *request);

/* Reads the rest, checks it and cuts it down. Call after associate_request_begin. Free the request
 * with associate_request_drop whatever the result. */
enum associate_request_result associate_request_receive(struct associate_request *request,
                                                        struct transport *transport,
                                                        struct error *err);

/* Frees the bytes; what was read from them stays. Twice is fine. */
void associate_request_drop(struct associate_request *request);

/* Checks the structure of a whole PDU and takes the fixed fields from it. Pure. Returns 0 or -1. */
int associate_request_examine(struct associate_request *request, struct error *err);

/* Cuts a request that passed down, in place, to what the negotiation uses: the application context,
 * the presentation contexts with their first transfer syntax each, the sizes and names among the
 * user information. So dcmtk's parser, which makes an object of each item, sees few of them. Pure.
 */
void associate_request_condense(struct associate_request *request);

#endif
