/* One direction of a line: a bottleneck with a bounded queue, random loss, then a delay; and the
 * packets that are on their way over it. Times are monotonic nanoseconds, given by the caller.
 */
#ifndef AURABRIDGE_BENCH_NET_LINE_H
#define AURABRIDGE_BENCH_NET_LINE_H

#include "net_packet.h"

#include <stdint.h>

struct net_line_options {
    int64_t delay_ns;     /* one way */
    double ns_per_byte;   /* 0: as fast as it goes */
    uint64_t queue_bytes; /* before the bottleneck; what does not fit is dropped */
    double loss;          /* of a segment, 0 to 1 */
    uint64_t seed;
};

struct net_line_count { /* segments of the line */
    uint64_t segments, bytes, lost, dropped, overflowed;
    uint64_t longest_queue; /* bytes */
    uint64_t ignored;       /* packets that are not IPv4 */
};

struct net_line {
    struct net_line_options options;
    struct net_line_count count;
    int64_t free_at; /* when the bottleneck has sent what it took */
    uint64_t random;
    unsigned char *ring; /* entries in order of arrival; see net_line.c */
    size_t size, head, tail, used;
};

/* Returns 0, or -1 without memory. net_line_free ends it. */
int net_line_init(struct net_line *line, const struct net_line_options *options);
void net_line_free(struct net_line *line);

/* Takes a packet as it was read from a TUN device. */
void net_line_put(struct net_line *line, const unsigned char *bytes, size_t length, int64_t now);

/* The packet that arrives first, null when none is on its way; it stays until net_line_pop. */
const unsigned char *net_line_first(const struct net_line *line, size_t *length, int64_t *due);
void net_line_pop(struct net_line *line);

#endif
