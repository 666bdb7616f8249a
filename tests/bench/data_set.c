/* See data_set.h. PS3.5 section 7.1. */
#include "data_set.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void put(struct data_set *set, const void *bytes, size_t length)
{
    if (length > set->size - set->length)
        abort();
    memcpy(set->bytes + set->length, bytes, length);
    set->length += length;
}

static void put_head(struct data_set *set, uint32_t tag, const char *vr)
{
    const uint8_t head[6] = {(uint8_t)(tag >> 16), (uint8_t)(tag >> 24), (uint8_t)tag,
                             (uint8_t)(tag >> 8),  (uint8_t)vr[0],       (uint8_t)vr[1]};
    put(set, head, sizeof head);
}

static void put_length(struct data_set *set, size_t length)
{
    put(set, (const uint8_t[2]){(uint8_t)length, (uint8_t)(length >> 8)}, 2);
}

void data_set_put_text(struct data_set *set, uint32_t tag, const char *vr, const char *value)
{
    size_t length = strlen(value);
    put_head(set, tag, vr);
    put_length(set, length + length % 2);
    put(set, value, length);
    if (length % 2)
        put(set, strcmp(vr, "UI") == 0 ? "\0" : " ", 1);
}

void data_set_put_number(struct data_set *set, uint32_t tag, unsigned value)
{
    char text[12];
    (void)snprintf(text, sizeof text, "%u", value);
    data_set_put_text(set, tag, "IS", text);
}

void data_set_put_u16(struct data_set *set, uint32_t tag, uint16_t value)
{
    put_head(set, tag, "US");
    put_length(set, 2);
    put_length(set, value);
}

void data_set_put_long(struct data_set *set, uint32_t tag, const char *vr, uint32_t length)
{
    put_head(set, tag, vr);
    put_length(set, 0);
    put_length(set, length & 0xffff);
    put_length(set, length >> 16);
}
