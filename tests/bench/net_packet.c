/* Takes segmentation offload apart again, so that what the emulator loses, queues and paces are the
 * segments of the line and not the 64 KiB units in which the kernel hands them over. */
#include "net_packet.h"

#include <linux/virtio_net.h>
#include <netinet/in.h>
#include <netinet/ip.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <string.h>

/* Preamble 8, addresses and type 14, checksum 4, gap 12 (IEEE 802.3). */
#define ETHERNET_BYTES 38

#define VNET sizeof(struct virtio_net_hdr)

bool net_packet_read(struct net_packet *out, const unsigned char *bytes, size_t length)
{
    struct virtio_net_hdr offload;
    struct iphdr ip;
    if (length < VNET + sizeof ip)
        return false;
    memcpy(&offload, bytes, sizeof offload);
    memcpy(&ip, bytes + VNET, sizeof ip);
    if (ip.version != 4)
        return false;
    *out = (struct net_packet){.bytes = bytes,
                               .length = length,
                               .headers = length,
                               .segments = 1,
                               .ip_headers = length - VNET};
    if ((offload.gso_type & ~VIRTIO_NET_HDR_GSO_ECN) == VIRTIO_NET_HDR_GSO_NONE)
        return true;
    size_t ip_length = (size_t)ip.ihl * 4;
    struct tcphdr tcp;
    if ((offload.gso_type & ~VIRTIO_NET_HDR_GSO_ECN) != VIRTIO_NET_HDR_GSO_TCPV4 ||
        ip.protocol != IPPROTO_TCP || length < VNET + ip_length + sizeof tcp)
        return false;
    memcpy(&tcp, bytes + VNET + ip_length, sizeof tcp);
    out->ip_headers = ip_length + (size_t)tcp.doff * 4;
    out->headers = VNET + out->ip_headers;
    out->segment = offload.gso_size;
    if (out->headers >= length || out->segment == 0)
        return false;
    size_t payload = length - out->headers;
    out->segments = (payload + out->segment - 1) / out->segment;
    out->last_payload = payload - (out->segments - 1) * out->segment;
    return true;
}

static size_t payload_of(const struct net_packet *packet, size_t first, size_t count)
{
    if (first + count == packet->segments)
        return (count - 1) * packet->segment + packet->last_payload;
    return count * packet->segment;
}

size_t net_packet_wire_bytes(const struct net_packet *packet, size_t number)
{
    return ETHERNET_BYTES + packet->ip_headers + payload_of(packet, number, 1);
}

size_t net_packet_cut_length(const struct net_packet *packet, size_t first, size_t count)
{
    return packet->headers + payload_of(packet, first, count);
}

/* RFC 1071, over bytes in network order. */
static uint32_t sum_of(const unsigned char *bytes, size_t length)
{
    uint32_t sum = 0;
    for (size_t at = 0; at + 1 < length; at += 2)
        sum += (uint32_t)bytes[at] << 8 | bytes[at + 1];
    return sum;
}

static uint16_t folded(uint32_t sum)
{
    while (sum >> 16)
        sum = (sum & 0xffff) + (sum >> 16);
    return htons((uint16_t)sum);
}

void net_packet_cut(unsigned char *out, const struct net_packet *packet, size_t first, size_t count)
{
    if (count == packet->segments) {
        memcpy(out, packet->bytes, packet->length);
        return;
    }
    size_t payload = payload_of(packet, first, count);
    memcpy(out, packet->bytes, packet->headers);
    memcpy(out + packet->headers, packet->bytes + packet->headers + first * packet->segment,
           payload);
    struct virtio_net_hdr offload;
    memcpy(&offload, out, sizeof offload);
    if (payload <= packet->segment) {
        offload.gso_type = VIRTIO_NET_HDR_GSO_NONE;
        offload.gso_size = 0;
    }
    memcpy(out, &offload, sizeof offload);

    struct iphdr ip;
    memcpy(&ip, out + VNET, sizeof ip);
    size_t ip_length = (size_t)ip.ihl * 4;
    ip.tot_len = htons((uint16_t)(packet->ip_headers + payload));
    ip.id = htons((uint16_t)(ntohs(ip.id) + first));
    ip.check = 0;
    memcpy(out + VNET, &ip, sizeof ip);
    ip.check = (uint16_t)~folded(sum_of(out + VNET, ip_length));
    memcpy(out + VNET, &ip, sizeof ip);

    struct tcphdr tcp;
    unsigned char *at = out + VNET + ip_length;
    memcpy(&tcp, at, sizeof tcp);
    tcp.seq = htonl((uint32_t)(ntohl(tcp.seq) + first * packet->segment));
    if (first + count != packet->segments) {
        tcp.fin = 0;
        tcp.psh = 0;
    }
    /* The checksum is offloaded: what stands here is the sum of the pseudo header (RFC 9293 3.1).
     */
    tcp.check = folded(sum_of(out + VNET + offsetof(struct iphdr, saddr), 8) + IPPROTO_TCP +
                       (uint32_t)(packet->ip_headers - ip_length + payload));
    memcpy(at, &tcp, sizeof tcp);
}
