/* Sockets for uploads over long and bad lines. */
#include "socket.h"

#include "aurabridge/log.h"

#include <errno.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

/* What waits unsent in the kernel: on a slow line its megabytes would drain for longer than a call
 * may be without progress, and a bandwidth limit would be met in lumps. */
#define MAX_UNSENT (128 << 10)
/* More than 10 Gbit/s at 40 ms, or 1 Gbit/s at 400 ms, has in flight. Bytes. */
#define MOST_SEND_BUFFER (32U << 20)

static int send_buffer; /* written before threads start */

int socket_send_buffer(uint64_t wmem_max, uint64_t tcp_wmem_max)
{
    /* A figure that is set is doubled by the kernel, for its own bookkeeping, and ends the tuning;
     * a tuned buffer grows to tcp_wmem, bookkeeping included. */
    uint64_t wanted = wmem_max < MOST_SEND_BUFFER ? wmem_max : MOST_SEND_BUFFER;
    return 2 * wanted > tcp_wmem_max ? (int)wanted : 0;
}

static uint64_t last_figure(const char *path)
{
    uint64_t figure = 0;
    FILE *file = fopen(path, "re");
    if (!file)
        return 0;
    while (fscanf(file, "%" SCNu64, &figure) == 1)
        ;
    (void)fclose(file); /* only read from */
    return figure;
}

void socket_learn(void)
{
    uint64_t wmem_max = last_figure("/proc/sys/net/core/wmem_max");
    uint64_t tuned = last_figure("/proc/sys/net/ipv4/tcp_wmem");
    if (wmem_max > 0 && tuned > 0)
        send_buffer = socket_send_buffer(wmem_max, tuned);
}

static void choose_congestion_control(int socket)
{
    static const char name[] = "bbr";
    static atomic_bool told;
    if (setsockopt(socket, IPPROTO_TCP, TCP_CONGESTION, name, sizeof name - 1) == 0 ||
        atomic_exchange(&told, true))
        return;
    log_debug("net",
              "this kernel gives no BBR (%s): uploads over lossy lines are slower than they could "
              "be; modprobe tcp_bbr, and allow it in net.ipv4.tcp_allowed_congestion_control",
              strerror(errno));
}

void socket_tune(int socket)
{
    const int unsent = MAX_UNSENT;
    /* Holds its speed where the usual cubic falls by an order of magnitude. */
    choose_congestion_control(socket);
    (void)setsockopt(socket, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &unsent, sizeof unsent);
    if (send_buffer > 0)
        (void)setsockopt(socket, SOL_SOCKET, SO_SNDBUF, &send_buffer, sizeof send_buffer);
}
