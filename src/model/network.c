/* Source networks. Everything is compared as IPv6; IPv4 lives in ::ffff:0:0/96. */
#include "aurabridge/network.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#define MAPPED_BITS 96
#define BITS        128

static int parse_address(uint8_t out[16], const char *text, bool *is_ipv4)
{
    uint8_t ipv4[4];
    static const uint8_t mapped[12] = {[10] = 0xFF, [11] = 0xFF};
    *is_ipv4 = inet_pton(AF_INET, text, ipv4) == 1;
    if (*is_ipv4) {
        memcpy(out, mapped, sizeof mapped);
        memcpy(out + sizeof mapped, ipv4, sizeof ipv4);
        return 0;
    }
    return inet_pton(AF_INET6, text, out) == 1 ? 0 : -1;
}

static bool same_prefix(const uint8_t a[16], const uint8_t b[16], unsigned bits)
{
    unsigned whole = bits / 8;
    unsigned rest = bits % 8;
    if (memcmp(a, b, whole) != 0)
        return false;
    return rest == 0 || ((a[whole] ^ b[whole]) >> (8 - rest)) == 0;
}

static bool has_host_bits(const struct network *network)
{
    for (unsigned bit = network->prefix; bit < BITS; bit++) {
        if (network->address[bit / 8] & (0x80U >> bit % 8))
            return true;
    }
    return false;
}

int network_parse(struct network *out, const char *text)
{
    char address[NETWORK_ADDRESS_SIZE];
    const char *slash = strchr(text, '/');
    size_t length = slash ? (size_t)(slash - text) : strlen(text);
    if (length >= sizeof address)
        return -1;
    memcpy(address, text, length);
    address[length] = '\0';
    bool is_ipv4 = false;
    if (parse_address(out->address, address, &is_ipv4) != 0)
        return -1;
    out->prefix = BITS;
    if (!slash)
        return 0;
    char *end = NULL;
    if (slash[1] < '0' || slash[1] > '9')
        return -1;
    unsigned long bits = strtoul(slash + 1, &end, 10);
    if (*end != '\0' || bits > (is_ipv4 ? 32UL : 128UL))
        return -1;
    out->prefix = (uint8_t)(is_ipv4 ? MAPPED_BITS + bits : bits);
    return has_host_bits(out) ? -1 : 0;
}

bool network_contains(const struct network *network, const char *address)
{
    uint8_t bytes[16];
    bool is_ipv4 = false;
    return parse_address(bytes, address, &is_ipv4) == 0 &&
           same_prefix(network->address, bytes, network->prefix);
}

bool network_covers(const struct network *wide, const struct network *narrow)
{
    return wide->prefix <= narrow->prefix &&
           same_prefix(wide->address, narrow->address, wide->prefix);
}
