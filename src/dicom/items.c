/* The items of an A-ASSOCIATE PDU. Guarantees that no item reaches beyond its list. */
#include "items.h"

size_t big_endian_read(const uint8_t *at, size_t bytes)
{
    size_t value = 0;
    for (size_t i = 0; i < bytes; i++)
        value = value << 8 | at[i];
    return value;
}

void big_endian_write(uint8_t *at, size_t value, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++)
        at[i] = (uint8_t)(value >> (8 * (bytes - 1 - i)));
}

int items_next(struct items *items, struct item *out)
{
    if (items->left == 0)
        return 0;
    if (items->left < ITEM_HEADER_LENGTH)
        return -1;
    size_t length = big_endian_read(items->at + 2, 2);
    if (length > items->left - ITEM_HEADER_LENGTH)
        return -1;
    *out = (struct item){items->at[0], items->at + ITEM_HEADER_LENGTH, length};
    items->at += ITEM_HEADER_LENGTH + length;
    items->left -= ITEM_HEADER_LENGTH + length;
    return 1;
}
