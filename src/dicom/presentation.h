/* What is negotiated: presentation contexts and rejections, as plain data (PS3.8 9.3). */
#ifndef AURABRIDGE_DICOM_PRESENTATION_H
#define AURABRIDGE_DICOM_PRESENTATION_H

#include "aurabridge/uid.h"

#include <stdint.h>

#define PRESENTATION_CONTEXTS_MAX 128 /* odd numbers of one byte, PS3.8 7.1.1.13 */

enum sop_class_kind {
    SOP_CLASS_STORAGE,
    SOP_CLASS_VERIFICATION,
    SOP_CLASS_OTHER,  /* in the dictionary, and neither of these */
    SOP_CLASS_UNKNOWN /* not in the dictionary: newer than it, or private */
};

/* Results of a presentation context, PS3.8 table 9-18. */
enum context_result {
    CONTEXT_ACCEPTED = 0,
    CONTEXT_ABSTRACT_SYNTAX_REFUSED = 3,
    CONTEXT_TRANSFER_SYNTAXES_REFUSED = 4
};

struct presentation_context {
    uint8_t id;
    enum sop_class_kind kind;
    char abstract_syntax[UID_SIZE];     /* "" when it was no UID */
    char transfer_syntax_uid[UID_SIZE]; /* the first proposed one; "" when that was no UID */
    enum context_result result;
};

/* The fields of an A-ASSOCIATE-RJ. */
struct rejection {
    uint8_t result, source, reason;
};

/* Transient, service provider (presentation), local limit exceeded. */
#define REJECTION_LOCAL_LIMIT ((struct rejection){2, 3, 2})

#endif
