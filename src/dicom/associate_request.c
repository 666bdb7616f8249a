/* The A-ASSOCIATE-RQ at the border. Guarantees that what passes has item lengths that nest, item
 * counts and texts within their limits, and each singular item once; the meaning is left to dcmtk.
 */
#include "associate_request.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define PDU_HEADER_LENGTH    6
#define PDU_ASSOCIATE_RQ     0x01
#define FIXED_LENGTH         74 /* header, version, titles, reserved bytes */
#define CALLED_OFFSET        10
#define CALLING_OFFSET       26
#define ITEM_HEADER_LENGTH   4
#define ITEM_APPLICATION     0x10
#define ITEM_CONTEXT         0x20
#define ITEM_ABSTRACT        0x30
#define ITEM_TRANSFER        0x40
#define ITEM_USER            0x50
#define ITEM_MAX_LENGTH      0x51
#define ITEM_IMPLEMENTATION  0x52
#define ITEM_WINDOW          0x53
#define ITEM_ROLE            0x54
#define ITEM_VERSION_NAME    0x55
#define ITEM_EXTENDED        0x56
#define ITEM_COMMON_EXTENDED 0x57
#define ITEM_IDENTITY        0x58
#define USER_ITEMS_MAX       1024

struct item {
    uint8_t type;
    const uint8_t *value;
    size_t length;
};

struct items { /* what is left of a list of items */
    const uint8_t *at;
    size_t left;
};

static size_t read_big(const uint8_t *at, size_t bytes)
{
    size_t value = 0;
    for (size_t i = 0; i < bytes; i++)
        value = value << 8 | at[i];
    return value;
}

/* 1: the next item; 0: no more; -1: its length lies. */
static int next_item(struct items *items, struct item *out)
{
    if (items->left == 0)
        return 0;
    if (items->left < ITEM_HEADER_LENGTH)
        return -1;
    size_t length = read_big(items->at + 2, 2);
    if (length > items->left - ITEM_HEADER_LENGTH)
        return -1;
    *out = (struct item){items->at[0], items->at + ITEM_HEADER_LENGTH, length};
    items->at += ITEM_HEADER_LENGTH + length;
    items->left -= ITEM_HEADER_LENGTH + length;
    return 1;
}

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
    unsigned abstract_syntaxes = 0;
    int more;
    while ((more = next_item(&items, &item)) > 0) {
        if (item.type != ITEM_ABSTRACT && item.type != ITEM_TRANSFER)
            return bad_item(err, item.type, "inside a presentation context");
        if (item.length > UID_MAX)
            return bad_item(err, item.type, "with a UID of more than 64 characters");
        abstract_syntaxes += item.type == ITEM_ABSTRACT;
    }
    if (more < 0)
        return bad_item(err, context->type, "whose inner lengths do not add up");
    if (abstract_syntaxes != 1)
        return bad_item(err, context->type, "without exactly one abstract syntax");
    return 0;
}

/* A 16-bit length in front of a field, `count` times, and nothing behind it unless allowed. */
static bool fields_fit(const uint8_t *at, size_t left, unsigned count, bool open_end)
{
    for (unsigned i = 0; i < count; i++) {
        if (left < 2)
            return false;
        size_t length = read_big(at, 2);
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
        return item->length >= 4 && read_big(item->value, 2) == item->length - 4 &&
               item->length - 4 <= UID_MAX;
    case ITEM_EXTENDED: /* UID with its length, information */
        return item->length >= 2 && read_big(item->value, 2) <= UID_MAX &&
               fields_fit(item->value, item->length, 1, true);
    case ITEM_COMMON_EXTENDED: /* class, service class, related classes */
        return fields_fit(item->value, item->length, 2, true);
    case ITEM_IDENTITY: /* type, whether an answer is asked for, primary and secondary field */
        return item->length >= 2 && fields_fit(item->value + 2, item->length - 2, 2, false);
    default:
        return true;
    }
}

static int examine_user(const struct item *user, struct error *err)
{
    struct items items = {user->value, user->length};
    struct item item;
    bool seen[256] = {false};
    unsigned count = 0;
    int more;
    while ((more = next_item(&items, &item)) > 0) {
        bool repeats = item.type == ITEM_ROLE || item.type == ITEM_EXTENDED ||
                       item.type == ITEM_COMMON_EXTENDED;
        if (!user_item_fits(&item))
            return bad_item(err, item.type, "whose inner lengths do not add up");
        if (seen[item.type] && !repeats)
            return bad_item(err, item.type, "more than once");
        if (++count > USER_ITEMS_MAX)
            return bad_item(err, user->type, "with too many items inside");
        seen[item.type] = true;
    }
    return more < 0 ? bad_item(err, user->type, "whose inner lengths do not add up") : 0;
}

static int examine_items(struct associate_request *request, struct error *err)
{
    struct items items = {request->bytes + FIXED_LENGTH, request->length - FIXED_LENGTH};
    struct item item;
    unsigned contexts = 0, applications = 0, users = 0;
    int more;
    while ((more = next_item(&items, &item)) > 0) {
        int result = 0;
        if (item.type == ITEM_CONTEXT && ++contexts <= PRESENTATION_CONTEXTS_MAX)
            result = examine_context(&item, err);
        else if (item.type == ITEM_CONTEXT)
            result = bad_item(err, item.type, "more than 128 times");
        else if (item.type == ITEM_USER)
            result =
                ++users > 1 ? bad_item(err, item.type, "more than once") : examine_user(&item, err);
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
    if (request->length < FIXED_LENGTH)
        return error_set(err, "A-ASSOCIATE-RQ is too short");
    /* A title that is none stays "": the policy refuses it with the standard's reason. */
    (void)ae_title_from_field(request->called_ae_title, request->bytes + CALLED_OFFSET,
                              AE_TITLE_MAX);
    (void)ae_title_from_field(request->calling_ae_title, request->bytes + CALLING_OFFSET,
                              AE_TITLE_MAX);
    return examine_items(request, err);
}

enum associate_request_result associate_request_receive(struct associate_request *out,
                                                        struct transport *transport,
                                                        struct error *err)
{
    memset(out, 0, sizeof *out);
    uint8_t header[PDU_HEADER_LENGTH];
    if (transport_read_exactly(transport, header, 1) != 0)
        return ASSOCIATE_REQUEST_NONE;
    if (header[0] != PDU_ASSOCIATE_RQ) {
        (void)error_set(err, "the first byte is %02X, not that of an A-ASSOCIATE-RQ", header[0]);
        return ASSOCIATE_REQUEST_UNSOUND;
    }
    if (transport_read_exactly(transport, header + 1, sizeof header - 1) != 0)
        return ASSOCIATE_REQUEST_BROKEN;
    size_t length = read_big(header + 2, 4);
    if (length > ASSOCIATE_REQUEST_MAX - PDU_HEADER_LENGTH) {
        (void)error_set(err, "A-ASSOCIATE-RQ claims %zu bytes, more than 1 MiB", length);
        return ASSOCIATE_REQUEST_UNSOUND;
    }
    out->bytes = malloc(PDU_HEADER_LENGTH + length);
    if (!out->bytes) {
        (void)error_set(err, "out of memory for an A-ASSOCIATE-RQ");
        return ASSOCIATE_REQUEST_UNSOUND;
    }
    memcpy(out->bytes, header, sizeof header);
    out->length = PDU_HEADER_LENGTH + length;
    if (transport_read_exactly(transport, out->bytes + PDU_HEADER_LENGTH, length) != 0)
        return ASSOCIATE_REQUEST_BROKEN;
    return associate_request_examine(out, err) == 0 ? ASSOCIATE_REQUEST_SOUND
                                                    : ASSOCIATE_REQUEST_UNSOUND;
}

void associate_request_free(struct associate_request *request)
{
    free(request->bytes);
    memset(request, 0, sizeof *request);
}
