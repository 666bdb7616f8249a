/* A network namespace of its own with one TUN device, which is the way to the other end. Both are
 * gone when the process that made them, and those inside, are. Linux only.
 */
#ifndef AURABRIDGE_BENCH_NET_TUN_H
#define AURABRIDGE_BENCH_NET_TUN_H

#include <stdbool.h>

struct net_end {
    int namespace_fd; /* open: /proc/PID/fd/N is what nsenter --net takes */
    int tun_fd;       /* non-blocking; each read and write is a virtio_net_hdr and a packet */
};

/* Makes a namespace with loopback and the device up, `address` being its own in a /24, and moves
 * the process into it. `offload`: packets may be TCP segments yet to be cut. Returns 0, or -1 with
 * a line on stderr. */
int net_end_open(struct net_end *out, const char *address, unsigned mtu, bool offload);

#endif
