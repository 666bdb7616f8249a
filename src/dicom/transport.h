/* One TCP connection of a peer: every wait has a deadline and can be woken. Not thread-safe; a
 * transport belongs to its association's thread.
 */
#ifndef AURABRIDGE_DICOM_TRANSPORT_H
#define AURABRIDGE_DICOM_TRANSPORT_H

#include "aurabridge/clock.h"

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct transport;

/* Why reading or writing came to an end; TRANSPORT_OPEN while it has not. */
enum transport_state {
    TRANSPORT_OPEN,
    TRANSPORT_CLOSED,   /* by the peer */
    TRANSPORT_BROKEN,   /* by the network */
    TRANSPORT_LATE,     /* the deadline passed */
    TRANSPORT_WOKEN,    /* the wake descriptor became readable: the node stops */
    TRANSPORT_NO_MEMORY /* none to read into: not the peer's fault; writing still works */
};

/* Takes the connected socket: it is closed by transport_close, or here on failure. `clock` must
 * outlive the transport. Returns 0, or -1 when memory is short. */
int transport_open(struct transport **out, int socket, const struct clock *clock);
void transport_close(struct transport *transport);

int transport_socket(const struct transport *transport);

/* Monotonic milliseconds after which waits fail. Clears TRANSPORT_LATE. */
void transport_set_deadline(struct transport *transport, int64_t deadline_ms);

/* A descriptor that ends all waits once it is readable; it stays the caller's. */
void transport_set_wake(struct transport *transport, int wake_descriptor);

/* Waits for something to read. */
enum transport_state transport_wait(struct transport *transport);

/* What the last wait, read or write ended in. */
enum transport_state transport_state(const struct transport *transport);

/* Reads at least one byte. Returns their number, or 0 with the reason in transport_state. */
size_t transport_read(struct transport *transport, void *out, size_t length);

/* Reads exactly `length` bytes. Returns 0, or -1 with the reason in transport_state. */
int transport_read_exactly(struct transport *transport, void *out, size_t length);

/* The next reads take from these bytes, which stay the caller's and must outlive them. */
void transport_replay(struct transport *transport, const void *bytes, size_t length);

/* Writes all bytes; between cork and flush they are gathered into one packet. Returns 0 or -1. */
int transport_write(struct transport *transport, const void *bytes, size_t length);
void transport_cork(struct transport *transport);
int transport_flush(struct transport *transport);

/* Says that nothing more will be written and waits, within the deadline, for the peer to close, so
 * that the last PDU is not lost to a reset. What had been read ahead is dropped. Takes no memory,
 * so it works after TRANSPORT_NO_MEMORY. */
void transport_linger(struct transport *transport);

#endif
