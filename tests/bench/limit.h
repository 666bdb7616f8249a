/* The durable limit: what this machine can take over TCP, digest (SHA-256, CRC-32) and have on
 * stable storage before it answers, with nothing else to do. No DICOM, no database, no files per
 * instance.
 *
 * Protocol: 8 bytes of length (little endian), so many bytes; the answer is one byte. In place of a
 * length LIMIT_LIST asks for what came since it was asked last: lines "SEGMENT OFFSET LENGTH
 * SHA-256", and the connection ends.
 */
#ifndef AURABRIDGE_BENCH_LIMIT_H
#define AURABRIDGE_BENCH_LIMIT_H

#include "load.h"
#include "synthetic.h"

#include <stdbool.h>
#include <stdint.h>

#define LIMIT_LENGTH 8 /* bytes of a length */
#define LIMIT_LIST   UINT64_MAX
#define LIMIT_DONE   0x06

struct limit_serve {
    const char *directory;
    uint16_t port;        /* 0: any */
    unsigned connections; /* at most, when each has its segment; else all share one */
    uint64_t segment_size;
    bool each;      /* a segment for each connection */
    uint64_t early; /* start writing out each time that many bytes have come, and at the last one,
                     * before they are digested; 0: the commit starts it */
    bool direct;    /* O_DIRECT */
};

/* Prints "listening on PORT" and serves until it is killed. Returns -1 with the reason. */
int limit_serve(const struct limit_serve *orders, struct error *err);

struct limit_send {
    const char *host;
    uint16_t port;
    struct synthetic_plan plan;
    FILE *digests;
};

/* The context is a struct limit_send. */
extern const struct load_line limit_line;

#endif
