/* What a stranger's bytes meet first: the A-ASSOCIATE-RQ, the PDVs of a P-DATA-TF, the command set.
 * The first byte chooses: 'r' the request (what follows its header), 'p' a P-DATA-TF's body, any
 * other a command set.
 */
#include "associate_request.h"
#include "command_set.h"
#include "fuzz.h"
#include "pdu.h"

#include <stdlib.h>
#include <string.h>

#define FIXED_LENGTH 74

/* A copy with exact borders, for the sanitizer. */
static uint8_t *copy_of(const uint8_t *data, size_t size, size_t before)
{
    uint8_t *copy = calloc(1, before + size);
    FUZZ_CHECK(copy || before + size == 0);
    if (size > 0)
        memcpy(copy + before, data, size);
    return copy;
}

static size_t count_contexts(const struct associate_request *request)
{
    size_t count = 0;
    for (size_t at = FIXED_LENGTH; at < request->length;) {
        FUZZ_CHECK(request->length - at >= 4);
        count += request->bytes[at] == 0x20;
        at += 4 + ((size_t)request->bytes[at + 2] << 8 | request->bytes[at + 3]);
        FUZZ_CHECK(at <= request->length);
    }
    return count;
}

static bool lengths_agree(const struct associate_request *request)
{
    const uint8_t *at = request->bytes + 2;
    size_t length = (size_t)at[0] << 24 | (size_t)at[1] << 16 | (size_t)at[2] << 8 | at[3];
    return length + PDU_HEADER_LENGTH == request->length;
}

/* What was cut down is sound, says the same, and cannot be cut down further. */
static void check_condensed(struct associate_request *request)
{
    struct associate_request before = *request, again;
    size_t contexts = count_contexts(request);
    associate_request_condense(request);
    FUZZ_CHECK(request->length <= before.length && lengths_agree(request));
    FUZZ_CHECK(count_contexts(request) == contexts && contexts <= PRESENTATION_CONTEXTS_MAX);
    again = *request;
    again.asks_for_identity_answer = false;
    FUZZ_CHECK(associate_request_examine(&again, NULL) == 0);
    FUZZ_CHECK(strcmp(again.called_ae_title, before.called_ae_title) == 0 &&
               strcmp(again.calling_ae_title, before.calling_ae_title) == 0 &&
               strcmp(again.application_context, before.application_context) == 0 &&
               again.protocol_version == before.protocol_version &&
               !again.asks_for_identity_answer);
    uint8_t *kept = copy_of(request->bytes, request->length, 0);
    associate_request_condense(&again);
    FUZZ_CHECK(again.length == request->length && memcmp(kept, again.bytes, again.length) == 0);
    free(kept);
}

static void try_request(const uint8_t *data, size_t size)
{
    struct associate_request request = {.length = PDU_HEADER_LENGTH + size};
    struct error err = {""};
    request.bytes = copy_of(data, size, PDU_HEADER_LENGTH);
    if (associate_request_examine(&request, &err) == 0)
        check_condensed(&request);
    else
        FUZZ_CHECK(err.text[0] != '\0');
    associate_request_drop(&request);
}

static void try_data(const uint8_t *data, size_t size)
{
    struct error err = {""};
    uint8_t *body = copy_of(data, size, 0);
    if (pdu_examine(body, size, &err) == 0) {
        size_t at = 0;
        while (at < size) {
            FUZZ_CHECK(size - at >= 6);
            at += 4 + ((size_t)body[at] << 24 | (size_t)body[at + 1] << 16 |
                       (size_t)body[at + 2] << 8 | body[at + 3]);
        }
        FUZZ_CHECK(at == size && size > 0);
    } else {
        FUZZ_CHECK(err.text[0] != '\0');
    }
    free(body);
}

static void try_command(const uint8_t *data, size_t size)
{
    struct command_set command, response;
    struct error err = {""};
    struct dimse_answer answer = {DIMSE_CANNOT_UNDERSTAND, "a comment \\ with \x01"};
    uint8_t out[COMMAND_RESPONSE_MAX];
    uint8_t *bytes = copy_of(data, size, 0);
    if (command_set_decode(&command, bytes, size, &err) == 0) {
        FUZZ_CHECK(command.sop_class_uid[0] == '\0' || uid_is_valid(command.sop_class_uid));
        FUZZ_CHECK(command.sop_instance_uid[0] == '\0' || uid_is_valid(command.sop_instance_uid));
        size_t length = command_set_encode_response(out, &command, &answer);
        FUZZ_CHECK(length <= sizeof out && length % 2 == 0);
        FUZZ_CHECK(command_set_decode(&response, out, length, NULL) == 0 && !response.has_data_set);
        FUZZ_CHECK(response.command_field == (command.command_field | COMMAND_RESPONSE_BIT) &&
                   strcmp(response.sop_instance_uid, command.sop_instance_uid) == 0);
    } else {
        FUZZ_CHECK(err.text[0] != '\0');
    }
    free(bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    if (data[0] == 'r')
        try_request(data + 1, size - 1);
    else if (data[0] == 'p')
        try_data(data + 1, size - 1);
    else
        try_command(data + 1, size - 1);
    return 0;
}
