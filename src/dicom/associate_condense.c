/* Cuts an A-ASSOCIATE-RQ down. Guarantees that what it leaves is sound when what it got was. */
#include "associate_request.h"

#include "items.h"
#include "pdu.h"

#include <string.h>

/* The item with its header, moved down to `out`. Returns what follows it. */
static uint8_t *keep_item(uint8_t *out, const struct item *item)
{
    memmove(out, item->value - ITEM_HEADER_LENGTH, ITEM_HEADER_LENGTH + item->length);
    return out + ITEM_HEADER_LENGTH + item->length;
}

/* What a type means hangs on the item around: one that does not belong there is not used. */
static bool is_used(uint8_t around, uint8_t type, bool *transfer_syntax)
{
    if (around == ITEM_USER)
        return type == ITEM_MAX_LENGTH || type == ITEM_IMPLEMENTATION || type == ITEM_VERSION_NAME;
    if (type != ITEM_TRANSFER)
        return type == ITEM_ABSTRACT;
    bool is_first = !*transfer_syntax;
    *transfer_syntax = true;
    return is_first;
}

/* The item without those inside that are not used; `fixed` bytes stand before the first. */
static uint8_t *condense_item(uint8_t *out, const struct item *item, size_t fixed)
{
    uint8_t *begin = out;
    struct items items = {item->value + fixed, item->length - fixed};
    struct item inner;
    bool transfer_syntax = false;
    memmove(out, item->value - ITEM_HEADER_LENGTH, ITEM_HEADER_LENGTH + fixed);
    out += ITEM_HEADER_LENGTH + fixed;
    while (items_next(&items, &inner) > 0) {
        if (is_used(item->type, inner.type, &transfer_syntax))
            out = keep_item(out, &inner);
    }
    big_endian_write(begin + 2, (size_t)(out - begin) - ITEM_HEADER_LENGTH, 2);
    return out;
}

void associate_request_condense(struct associate_request *request)
{
    struct items items = {request->bytes + ASSOCIATE_FIXED_LENGTH,
                          request->length - ASSOCIATE_FIXED_LENGTH};
    struct item item;
    uint8_t *out = request->bytes + ASSOCIATE_FIXED_LENGTH;
    while (items_next(&items, &item) > 0) {
        if (item.type == ITEM_CONTEXT)
            out = condense_item(out, &item, 4);
        else if (item.type == ITEM_USER)
            out = condense_item(out, &item, 0);
        else if (item.type == ITEM_APPLICATION)
            out = keep_item(out, &item);
    }
    request->length = (size_t)(out - request->bytes);
    big_endian_write(request->bytes + 2, request->length - PDU_HEADER_LENGTH, 4);
}
