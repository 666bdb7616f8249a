/* What a connection's socket is told before it connects. Private to this room. */
#ifndef AURABRIDGE_NET_SOCKET_H
#define AURABRIDGE_NET_SOCKET_H

#include <stdint.h>

/* Looks up, once per process and before threads start, how large this machine lets send buffers
 * be. */
void socket_learn(void);

/* Congestion control, send buffer, what may wait unsent. What the kernel refuses stays as it is.
 * Thread-safe. */
void socket_tune(int socket);

/* Pure. The SO_SNDBUF to ask for, from net.core.wmem_max and the last figure of net.ipv4.tcp_wmem;
 * 0: none, the kernel's own tuning goes further. */
int socket_send_buffer(uint64_t wmem_max, uint64_t tcp_wmem_max);

#endif
