/* The A-ASSOCIATE-RQ at the border. Guarantees that what passes has item lengths that nest, item
 * counts and texts within their limits, each singular item once, and nothing but what is used;
 * types that the standard does not know are skipped (PS3.8 9.3.1). The meaning is left to dcmtk.
 */
#include "associate_request.h"

#include "items.h"
#include "pdu.h"

#include <stdlib.h>
#include <string.h>

#define VERSION_OFFSET 6
#define CALLED_OFFSET  10
#define CALLING_OFFSET 26
#define USER_ITEMS_MAX 1024

/* Kinds of user identity, PS3.7 table D.3-14. */
#define IDENTITY_USER              1
#define IDENTITY_USER_AND_PASSCODE 2

static int bad_item(struct error *err, uint8_t type, const char *why)
{
    return error_set(err, "A-ASSOCIATE-RQ has an item %02X %s", type, why);
}

static int examine_context(const struct item *context, struct error *err)
{
    if (context->length < ITEM_HEADER_LENGTH)
        return bad_item(err, context->type, "that is too short");
    struct items items = {context->value + 4, context->length - 4};
    struct item item;
    unsigned abstract_syntaxes = 0, transfer_syntaxes = 0;
    int more;
    while ((more = items_next(&items, &item)) > 0) {
        bool is_known = item.type == ITEM_ABSTRACT || item.type == ITEM_TRANSFER;
        if (is_known && item.length > UID_MAX)
            return bad_item(err, item.type, "with a UID of more than 64 characters");
        abstract_syntaxes += item.type == ITEM_ABSTRACT;
        transfer_syntaxes += item.type == ITEM_TRANSFER;
    }
    if (more < 0)
        return bad_item(err, context->type, "whose inner lengths do not add up");
    if (abstract_syntaxes != 1)
        return bad_item(err, context->type, "without exactly one abstract syntax");
    if (transfer_syntaxes == 0)
        return bad_item(err, context->type, "without a transfer syntax");
    return 0;
}

/* A 16-bit length in front of a field, `count` times, and nothing behind it unless allowed. */
static bool fields_fit(const uint8_t *at, size_t left, unsigned count, bool open_end)
{
    for (unsigned i = 0; i < count; i++) {
        if (left < 2)
            return false;
        size_t length = big_endian_read(at, 2);
        if (length > left - 2)
            return false;
        at += 2 + length;
        left -= 2 + length;
    }
    return open_end || left == 0;
}

static bool user_item_fits(const struct item *item)
{
    switch (item->type) {
    case ITEM_MAX_LENGTH:
    case ITEM_WINDOW:
        return item->length == 4;
    case ITEM_IMPLEMENTATION:
        return item->length <= UID_MAX;
    case ITEM_VERSION_NAME:
        return item->length <= 16;
    case ITEM_ROLE: /* UID with its length, two roles */
        return item->length >= 4 && big_endian_read(item->value, 2) == item->length - 4 &&
               item->length - 4 <= UID_MAX;
    case ITEM_EXTENDED: /* UID with its length, information */
        return item->length >= 2 && big_endian_read(item->value, 2) <= UID_MAX &&
               fields_fit(item->value, item->length, 1, true);
    case ITEM_COMMON_EXTENDED: /* class, service class, related classes */
        return fields_fit(item->value, item->length, 2, true);
    case ITEM_IDENTITY: /* type, whether an answer is asked for, primary and secondary field */
        return item->length >= 2 && fields_fit(item->value + 2, item->length - 2, 2, false);
    default:
        return true;
    }
}

/* A user name, with or without passcode, is acknowledged where the peer asks for it (PS3.7
 * D.3.3.7): nothing is decided by it. Other kinds ask for a proof of ours in return, which there is
 * none of, so they stay unanswered. */
static bool asks_for_answer(const struct item *identity)
{
    uint8_t kind = identity->value[0];
    return (kind == IDENTITY_USER || kind == IDENTITY_USER_AND_PASSCODE) && identity->value[1] == 1;
}

/* The others are of a later standard and skipped, however many there are (PS3.8 9.3.1 and D.2). */
static bool is_known_user_item(uint8_t type)
{
    return type >= ITEM_MAX_LENGTH && type <= ITEM_IDENTITY;
}

static int examine_user(struct associate_request *request, const struct item *user,
                        struct error *err)
{
    struct items items = {user->value, user->length};
    struct item item;
    bool seen[256] = {false};
    unsigned count = 0;
    int more;
    while ((more = items_next(&items, &item)) > 0) {
        bool repeats = item.type == ITEM_ROLE || item.type == ITEM_EXTENDED ||
                       item.type == ITEM_COMMON_EXTENDED;
        if (!is_known_user_item(item.type))
            continue;
        if (!user_item_fits(&item))
            return bad_item(err, item.type, "whose inner lengths do not add up");
        if (seen[item.type] && !repeats)
            return bad_item(err, item.type, "more than once");
        if (++count > USER_ITEMS_MAX)
            return bad_item(err, user->type, "with too many items inside");
        seen[item.type] = true;
        if (item.type == ITEM_IDENTITY)
            request->asks_for_identity_answer = asks_for_answer(&item);
    }
    return more < 0 ? bad_item(err, user->type, "whose inner lengths do not add up") : 0;
}

static int examine_items(struct associate_request *request, struct error *err)
{
    struct items items = {request->bytes + ASSOCIATE_FIXED_LENGTH,
                          request->length - ASSOCIATE_FIXED_LENGTH};
    struct item item;
    unsigned contexts = 0, applications = 0, users = 0;
    int more;
    while ((more = items_next(&items, &item)) > 0) {
        int result = 0;
        if (item.type == ITEM_CONTEXT && ++contexts <= PRESENTATION_CONTEXTS_MAX)
            result = examine_context(&item, err);
        else if (item.type == ITEM_CONTEXT)
            result = bad_item(err, item.type, "more than 128 times");
        else if (item.type == ITEM_USER)
            result = ++users > 1 ? bad_item(err, item.type, "more than once")
                                 : examine_user(request, &item, err);
        else if (item.type == ITEM_APPLICATION && ++applications > 1)
            result = bad_item(err, item.type, "more than once");
        else if (item.type == ITEM_APPLICATION)
            (void)uid_from_field(request->application_context, item.value, item.length);
        else if (item.type == 0x21)
            result = bad_item(err, item.type, "that belongs to a response");
        if (result != 0)
            return -1;
    }
    if (more < 0)
        return error_set(err, "A-ASSOCIATE-RQ has an item that is longer than its PDU");
    if (applications != 1 || contexts == 0 || users != 1)
        return error_set(err, "A-ASSOCIATE-RQ lacks its %s",
                         applications != 1 ? "application context"
                         : contexts == 0   ? "presentation contexts"
                                           : "user information");
    return 0;
}

int associate_request_examine(struct associate_request *request, struct error *err)
{
    if (request->length < ASSOCIATE_FIXED_LENGTH)
        return error_set(err, "A-ASSOCIATE-RQ is too short");
    request->protocol_version = (uint16_t)big_endian_read(request->bytes + VERSION_OFFSET, 2);
    /* A title that is none stays "": the policy refuses it with the standard's reason. */
    (void)ae_title_from_field(request->called_ae_title, request->bytes + CALLED_OFFSET,
                              AE_TITLE_MAX);
    (void)ae_title_from_field(request->calling_ae_title, request->bytes + CALLING_OFFSET,
                              AE_TITLE_MAX);
    return examine_items(request, err);
}

static enum associate_request_result unread(const struct transport *transport)
{
    return transport_state(transport) == TRANSPORT_NO_MEMORY ? ASSOCIATE_REQUEST_NO_MEMORY
                                                             : ASSOCIATE_REQUEST_BROKEN;
}

enum associate_request_result associate_request_begin(struct associate_request *out,
                                                      size_t *received, struct transport *transport,
                                                      struct error *err)
{
    uint8_t header[PDU_HEADER_LENGTH];
    memset(out, 0, sizeof *out);
    *received = 0;
    if (transport_read_exactly(transport, header, 1) != 0)
        return unread(transport);
    *received = 1;
    if (header[0] != PDU_ASSOCIATE_RQ) {
        (void)error_set(err, "the first byte is %02X, not that of an A-ASSOCIATE-RQ", header[0]);
        return ASSOCIATE_REQUEST_UNSOUND;
    }
    if (transport_read_exactly(transport, header + 1, sizeof header - 1) != 0)
        return unread(transport);
    *received = sizeof header;
    size_t length = big_endian_read(header + 2, 4);
    out->length = PDU_HEADER_LENGTH + length;
    if (length <= ASSOCIATE_REQUEST_MAX - PDU_HEADER_LENGTH)
        return ASSOCIATE_REQUEST_SOUND;
    (void)error_set(err, "A-ASSOCIATE-RQ claims %zu bytes, more than 1 MiB", length);
    return ASSOCIATE_REQUEST_UNSOUND;
}

bool associate_request_is_large(const struct associate_request *request)
{
    return request->length > ASSOCIATE_REQUEST_LARGE;
}

enum associate_request_result associate_request_receive(struct associate_request *request,
                                                        struct transport *transport,
                                                        struct error *err)
{
    request->bytes = malloc(request->length);
    if (!request->bytes)
        return ASSOCIATE_REQUEST_NO_MEMORY;
    memset(request->bytes, 0, PDU_HEADER_LENGTH);
    request->bytes[0] = PDU_ASSOCIATE_RQ;
    big_endian_write(request->bytes + 2, request->length - PDU_HEADER_LENGTH, 4);
    if (transport_read_exactly(transport, request->bytes + PDU_HEADER_LENGTH,
                               request->length - PDU_HEADER_LENGTH) != 0)
        return unread(transport);
    if (associate_request_examine(request, err) != 0)
        return ASSOCIATE_REQUEST_UNSOUND;
    associate_request_condense(request);
    return ASSOCIATE_REQUEST_SOUND;
}

void associate_request_drop(struct associate_request *request)
{
    free(request->bytes);
    request->bytes = NULL;
}
