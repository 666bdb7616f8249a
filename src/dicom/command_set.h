/* DIMSE command sets (PS3.7 6.3, E.1): implicit VR little endian, group 0000 alone. Pure and
 * thread-safe; allocates nothing and never recurses.
 */
#ifndef AURABRIDGE_DICOM_COMMAND_SET_H
#define AURABRIDGE_DICOM_COMMAND_SET_H

#include "aurabridge/error.h"
#include "aurabridge/instance.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define COMMAND_SET_MAX 16384 /* bytes of a request that are taken, over all its PDVs */

/* Command fields, PS3.7 E.1-1. A response has the highest bit set. */
#define COMMAND_C_STORE      0x0001
#define COMMAND_C_ECHO       0x0030
#define COMMAND_C_CANCEL     0x0FFF
#define COMMAND_RESPONSE_BIT 0x8000

/* A UID as the command has it. */
enum command_uid_state { COMMAND_UID_ABSENT, COMMAND_UID_VALID, COMMAND_UID_BAD };

struct command_set {
    uint16_t command_field;
    bool has_message_id;
    uint16_t message_id;
    bool has_data_set;
    enum command_uid_state sop_class_state, sop_instance_state;
    char sop_class_uid[UID_SIZE];    /* affected, else requested; "" unless valid */
    char sop_instance_uid[UID_SIZE]; /* likewise */
};

/* Reads a whole command set. Returns 0, or -1 with the reason when it is no sound one: another
 * group, an undefined or lying length, no command field or no data set type. */
int command_set_decode(struct command_set *out, const void *bytes, size_t length,
                       struct error *err);

#define COMMAND_RESPONSE_MAX 512

/* Writes the response to `request`: its command field with the response bit, its message id, the
 * UIDs that were valid, the status, and the Error Comment when the status is not success. Returns
 * the length in bytes. */
size_t command_set_encode_response(uint8_t out[COMMAND_RESPONSE_MAX],
                                   const struct command_set *request,
                                   const struct dimse_answer *answer);

#endif
