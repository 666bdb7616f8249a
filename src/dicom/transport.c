/* One TCP connection of a peer. Guarantees that no call blocks beyond the deadline or the wake
 * descriptor, and that no write raises SIGPIPE. Knows nothing of PDUs.
 */
#include "transport.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define READ_BUFFER_SIZE  131072
#define DIRECT_READ_MIN   65536 /* larger reads skip the buffer */
#define WRITE_BUFFER_SIZE 4096
#define LINGER_BYTES_MAX  (8u << 20)
#define POLL_SLICE_MS     5000 /* the clock is asked again at least this often */

struct transport {
    int socket; /* owned */
    int wake;   /* -1: none */
    const struct clock *clock;
    int64_t deadline_ms;
    enum transport_state state;
    uint8_t *buffer; /* READ_BUFFER_SIZE, made at the first read */
    size_t buffered_at, buffered_end;
    const uint8_t *replay; /* the caller's */
    size_t replay_length;
    bool corked;
    size_t gathered;
    uint8_t gather[WRITE_BUFFER_SIZE];
};

int transport_open(struct transport **out, int socket, const struct clock *clock)
{
    *out = NULL;
    struct transport *transport = calloc(1, sizeof *transport);
    if (!transport) {
        (void)close(socket);
        return -1;
    }
    transport->socket = socket;
    transport->wake = -1;
    transport->clock = clock;
    transport->deadline_ms = INT64_MAX;
    /* Without it a reply waits for the sender's delayed acknowledgement; a refusal costs speed
     * only.
     */
    (void)setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
    (void)setsockopt(socket, SOL_SOCKET, SO_KEEPALIVE, &(int){1}, sizeof(int));
    *out = transport;
    return 0;
}

void transport_close(struct transport *transport)
{
    if (!transport)
        return;
    /* Nothing was promised about bytes in flight: an error here changes nothing. */
    (void)close(transport->socket);
    free(transport->buffer);
    free(transport);
}

int transport_socket(const struct transport *transport)
{
    return transport->socket;
}

void transport_set_deadline(struct transport *transport, int64_t deadline_ms)
{
    transport->deadline_ms = deadline_ms;
    if (transport->state == TRANSPORT_LATE)
        transport->state = TRANSPORT_OPEN;
}

void transport_set_wake(struct transport *transport, int wake_descriptor)
{
    transport->wake = wake_descriptor;
    if (transport->state == TRANSPORT_WOKEN)
        transport->state = TRANSPORT_OPEN;
}

enum transport_state transport_state(const struct transport *transport)
{
    return transport->state;
}

static enum transport_state poll_once(struct transport *transport, short events, int timeout_ms,
                                      bool *ready)
{
    struct pollfd descriptors[2] = {{transport->socket, events, 0}, {transport->wake, POLLIN, 0}};
    *ready = false;
    int count = poll(descriptors, 2, timeout_ms);
    if (count < 0)
        return errno == EINTR ? TRANSPORT_OPEN : TRANSPORT_BROKEN;
    if (descriptors[1].revents)
        return TRANSPORT_WOKEN;
    *ready = descriptors[0].revents != 0;
    return TRANSPORT_OPEN;
}

static enum transport_state wait_for(struct transport *transport, short events)
{
    bool ready = false;
    while (transport->state == TRANSPORT_OPEN && !ready) {
        int64_t left = transport->deadline_ms - clock_monotonic_ms(transport->clock);
        if (left <= 0) {
            transport->state = TRANSPORT_LATE;
            break;
        }
        int slice = left > POLL_SLICE_MS ? POLL_SLICE_MS : (int)left;
        transport->state = poll_once(transport, events, slice, &ready);
    }
    return transport->state;
}

enum transport_state transport_wait(struct transport *transport)
{
    if (transport->replay_length > 0 || transport->buffered_at < transport->buffered_end)
        return TRANSPORT_OPEN;
    return wait_for(transport, POLLIN);
}

/* One successful receive, however many waits it takes. */
static size_t receive(struct transport *transport, void *out, size_t length)
{
    while (transport->state == TRANSPORT_OPEN) {
        ssize_t got = recv(transport->socket, out, length, MSG_DONTWAIT);
        if (got > 0) {
            /* Acknowledging at once frees senders that leave Nagle's algorithm on. Linux forgets
             * the option after a while, so it is set each time. */
            (void)setsockopt(transport->socket, IPPROTO_TCP, TCP_QUICKACK, &(int){1}, sizeof(int));
            return (size_t)got;
        }
        if (got == 0)
            transport->state = TRANSPORT_CLOSED;
        else if (errno == EAGAIN || errno == EWOULDBLOCK)
            (void)wait_for(transport, POLLIN);
        else if (errno != EINTR)
            transport->state = TRANSPORT_BROKEN;
    }
    return 0;
}

static size_t take(uint8_t *out, const uint8_t *from, size_t available, size_t wanted)
{
    size_t length = available < wanted ? available : wanted;
    memcpy(out, from, length);
    return length;
}

size_t transport_read(struct transport *transport, void *out, size_t length)
{
    if (length == 0)
        return 0;
    if (transport->replay_length > 0) {
        size_t taken = take(out, transport->replay, transport->replay_length, length);
        transport->replay += taken;
        transport->replay_length -= taken;
        return taken;
    }
    if (transport->buffered_at == transport->buffered_end) {
        if (length >= DIRECT_READ_MIN)
            return receive(transport, out, length);
        if (!transport->buffer && !(transport->buffer = malloc(READ_BUFFER_SIZE))) {
            transport->state = TRANSPORT_NO_MEMORY;
            return 0;
        }
        transport->buffered_at = 0;
        transport->buffered_end = receive(transport, transport->buffer, READ_BUFFER_SIZE);
    }
    size_t taken = take(out, transport->buffer + transport->buffered_at,
                        transport->buffered_end - transport->buffered_at, length);
    transport->buffered_at += taken;
    return taken;
}

int transport_read_exactly(struct transport *transport, void *out, size_t length)
{
    uint8_t *at = out;
    while (length > 0) {
        size_t got = transport_read(transport, at, length);
        if (got == 0)
            return -1;
        at += got;
        length -= got;
    }
    return 0;
}

void transport_replay(struct transport *transport, const void *bytes, size_t length)
{
    transport->replay = bytes;
    transport->replay_length = length;
}

static int send_all(struct transport *transport, const uint8_t *bytes, size_t length)
{
    while (length > 0) {
        ssize_t sent = send(transport->socket, bytes, length, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (sent >= 0) {
            bytes += sent;
            length -= (size_t)sent;
        } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
            if (wait_for(transport, POLLOUT) != TRANSPORT_OPEN)
                return -1;
        } else if (errno != EINTR) {
            transport->state = TRANSPORT_BROKEN;
            return -1;
        }
    }
    return 0;
}

int transport_write(struct transport *transport, const void *bytes, size_t length)
{
    if (!transport->corked)
        return send_all(transport, bytes, length);
    if (transport->gathered + length > sizeof transport->gather) {
        if (send_all(transport, transport->gather, transport->gathered) != 0)
            return -1;
        transport->gathered = 0;
    }
    if (length > sizeof transport->gather)
        return send_all(transport, bytes, length);
    memcpy(transport->gather + transport->gathered, bytes, length);
    transport->gathered += length;
    return 0;
}

void transport_cork(struct transport *transport)
{
    transport->corked = true;
    transport->gathered = 0;
}

int transport_flush(struct transport *transport)
{
    transport->corked = false;
    size_t length = transport->gathered;
    transport->gathered = 0;
    return send_all(transport, transport->gather, length);
}

void transport_linger(struct transport *transport)
{
    uint8_t dropped[16384];
    size_t total = 0;
    free(transport->buffer);
    transport->buffer = NULL;
    transport->buffered_at = transport->buffered_end = 0;
    if (transport->state == TRANSPORT_NO_MEMORY)
        transport->state = TRANSPORT_OPEN;
    if (shutdown(transport->socket, SHUT_WR) != 0)
        return;
    while (total < LINGER_BYTES_MAX) {
        size_t got = receive(transport, dropped, sizeof dropped);
        if (got == 0)
            return;
        total += got;
    }
}
