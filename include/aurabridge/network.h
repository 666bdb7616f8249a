/* Source networks: "10.1.2.0/24", "192.168.1.7", "fd00::/8". Pure functions, IPv4 and IPv6. An
 * IPv4-mapped IPv6 address counts as IPv4.
 */
#ifndef AURABRIDGE_NETWORK_H
#define AURABRIDGE_NETWORK_H

#include <stdbool.h>
#include <stdint.h>

#define NETWORK_ADDRESS_SIZE 46 /* INET6_ADDRSTRLEN */

struct network {
    uint8_t address[16]; /* IPv4 as ::ffff:a.b.c.d */
    uint8_t prefix;      /* bits, 0 … 128 */
};

/* Returns 0, or -1 when the text is no address or network, or has bits set behind the prefix. */
int network_parse(struct network *out, const char *text);

/* Whether the address (text, without port or zone) lies in the network; false for no address. */
bool network_contains(const struct network *network, const char *address);

/* Whether every address of `narrow` lies in `wide`. */
bool network_covers(const struct network *wide, const struct network *narrow);

#endif
