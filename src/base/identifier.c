/* Random identifiers. getrandom(2) does not fail once the kernel has seeded; the result is checked
 * all the same. */
#include "aurabridge/identifier.h"

#include "aurabridge/digest.h"

#include <stdint.h>
#include <stdio.h>
#include <sys/random.h>

int random_bytes(void *bytes, size_t length)
{
    return getrandom(bytes, length, 0) == (ssize_t)length ? 0 : -1;
}

int uuid_v4(char out[UUID_SIZE])
{
    uint8_t bytes[16];
    if (random_bytes(bytes, sizeof bytes) != 0)
        return -1;
    bytes[6] = (uint8_t)((bytes[6] & 0x0F) | 0x40);
    bytes[8] = (uint8_t)((bytes[8] & 0x3F) | 0x80);
    char hex[33];
    hex_encode(hex, bytes, sizeof bytes);
    (void)snprintf(out, UUID_SIZE, "%.8s-%.4s-%.4s-%.4s-%.12s", hex, hex + 8, hex + 12, hex + 16,
                   hex + 20);
    return 0;
}

int random_hex(char *out, size_t bytes)
{
    uint8_t chunk[64];
    if (bytes > sizeof chunk || random_bytes(chunk, bytes) != 0)
        return -1;
    hex_encode(out, chunk, bytes);
    return 0;
}

unsigned random_below(unsigned bound)
{
    uint32_t value = 0;
    if (random_bytes(&value, sizeof value) != 0)
        return bound / 2;
    return value % bound;
}
