/* A packet as a TUN device with IFF_VNET_HDR hands it over: a virtio_net_hdr and an IPv4 packet,
 * which with TCP segmentation offload stands for many segments of the line. Pure; no I/O.
 */
#ifndef AURABRIDGE_BENCH_NET_PACKET_H
#define AURABRIDGE_BENCH_NET_PACKET_H

#include <stdbool.h>
#include <stddef.h>

/* The largest that the kernel hands over: the header and an IPv4 packet. */
#define NET_PACKET_MAX ((size_t)65536 + 64)

struct net_packet {
    const unsigned char *bytes; /* the caller's: header and packet */
    size_t length;
    size_t headers;      /* virtio_net_hdr, IPv4 and TCP; all of it when it is one segment */
    size_t segment;      /* bytes of payload in each segment but the last */
    size_t segments;     /* on the line; at least 1 */
    size_t ip_headers;   /* of each segment */
    size_t last_payload; /* of the last segment */
};

/* Returns whether it is an IPv4 packet that can be taken apart. */
bool net_packet_read(struct net_packet *out, const unsigned char *bytes, size_t length);

/* Bytes that segment `number` takes on an Ethernet line, preamble and gap included. */
size_t net_packet_wire_bytes(const struct net_packet *packet, size_t number);

/* Bytes that net_packet_cut writes for `count` segments from `first` on. */
size_t net_packet_cut_length(const struct net_packet *packet, size_t first, size_t count);

/* Writes these segments as one packet, with its own lengths, sequence number, flags and checksums,
 * as a line would have delivered them without the others. */
void net_packet_cut(unsigned char *out, const struct net_packet *packet, size_t first,
                    size_t count);

#endif
