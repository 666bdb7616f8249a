/* The items of an A-ASSOCIATE PDU (PS3.8 9.3.2): type, length and value, nested in lists; and the
 * numbers of all PDUs, which are big endian. Pure. */
#ifndef AURABRIDGE_DICOM_ITEMS_H
#define AURABRIDGE_DICOM_ITEMS_H

#include <stddef.h>
#include <stdint.h>

#define ASSOCIATE_FIXED_LENGTH 74 /* header, version, titles, reserved bytes */
#define ITEM_HEADER_LENGTH     4
#define ITEM_APPLICATION       0x10
#define ITEM_CONTEXT           0x20
#define ITEM_ABSTRACT          0x30
#define ITEM_TRANSFER          0x40
#define ITEM_USER              0x50
#define ITEM_MAX_LENGTH        0x51
#define ITEM_IMPLEMENTATION    0x52
#define ITEM_WINDOW            0x53
#define ITEM_ROLE              0x54
#define ITEM_VERSION_NAME      0x55
#define ITEM_EXTENDED          0x56
#define ITEM_COMMON_EXTENDED   0x57
#define ITEM_IDENTITY          0x58

struct item {
    uint8_t type;
    const uint8_t *value;
    size_t length;
};

struct items { /* what is left of a list of items */
    const uint8_t *at;
    size_t left;
};

/* `bytes`: 1 to 4. */
size_t big_endian_read(const uint8_t *at, size_t bytes);
void big_endian_write(uint8_t *at, size_t value, size_t bytes);

/* 1: the next item; 0: no more; -1: its length lies. */
int items_next(struct items *items, struct item *out);

#endif
