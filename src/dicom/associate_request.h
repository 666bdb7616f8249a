/* The A-ASSOCIATE-RQ PDU (PS3.8 9.3.2) as it comes from a stranger: read whole under the ARTIM
 * deadline, and looked over before dcmtk's parser sees it.
 */
#ifndef AURABRIDGE_DICOM_ASSOCIATE_REQUEST_H
#define AURABRIDGE_DICOM_ASSOCIATE_REQUEST_H

#include "presentation.h"
#include "transport.h"

#include "aurabridge/ae_title.h"
#include "aurabridge/error.h"
#include "aurabridge/uid.h"

#include <stddef.h>
#include <stdint.h>

#define ASSOCIATE_REQUEST_MAX (1u << 20) /* bytes, header included */

struct associate_request {
    uint8_t *bytes; /* owned: the whole PDU */
    size_t length;
    char called_ae_title[AE_TITLE_SIZE];  /* "" when it is none */
    char calling_ae_title[AE_TITLE_SIZE]; /* "" when it is none */
    char application_context[UID_SIZE];   /* "" when it is none */
};

enum associate_request_result {
    ASSOCIATE_REQUEST_SOUND,
    ASSOCIATE_REQUEST_NONE,   /* the connection ended without a byte */
    ASSOCIATE_REQUEST_BROKEN, /* it ended, or the deadline passed: transport_state tells */
    ASSOCIATE_REQUEST_UNSOUND /* no A-ASSOCIATE-RQ, or one whose lengths lie: reason in err */
};

/* Reads the PDU. Free `out` with associate_request_free whatever the result. */
enum associate_request_result associate_request_receive(struct associate_request *out,
                                                        struct transport *transport,
                                                        struct error *err);
void associate_request_free(struct associate_request *request);

/* Checks the structure of a whole PDU and takes the fixed fields from it. Pure. Returns 0 or -1. */
int associate_request_examine(struct associate_request *request, struct error *err);

#endif
