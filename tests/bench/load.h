/* Sends instances over several connections at once, a thread each, and takes the time from the
 * first byte to the last answer. What a connection is, and what it sends, the caller says;
 * everything that costs is prepared before the clock starts. Opening connections is within it,
 * since some nodes take one at a time.
 */
#ifndef AURABRIDGE_BENCH_LOAD_H
#define AURABRIDGE_BENCH_LOAD_H

#include "aurabridge/error.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

/* Called from the connection's own thread. They return 0, or -1 with the reason, which ends all. */
struct load_line {
    /* Makes ready what connection `number` will send, `count` instances. What it leaves in `*line`
     * is closed in any case. */
    int (*prepare)(void *context, void **line, unsigned number, unsigned count, struct error *err);
    /* Connects. */
    int (*open)(void *line, struct error *err);
    /* Sends one and waits for its answer; `*bytes` is the size of its data set. */
    int (*send)(void *line, unsigned index, uint64_t *bytes, struct error *err);
    /* Ends and frees it, also after a failure (`failed`, then nothing counts any more). */
    int (*close)(void *line, bool failed, struct error *err);
};

struct load {
    const struct load_line *line;
    void *context;
    unsigned connections, instances;
    uint64_t touch; /* bytes of memory to write to and give back just before the clock starts: a
                     * virtual machine takes memory that lies free, and to get it back is slow */
    bool hold;      /* stay connected after the last answer until standard input ends */
};

/* Runs it and prints one line of JSON on standard output as soon as the last answer is there:
 * seconds, instances, bytes, connections, and percentiles of the time to an answer. */
int load_run(const struct load *load, struct error *err);

/* "<SOP Instance UID> <SHA-256> <size>" of each data set that is to be sent, for who checks what
 * was stored. Thread-safe; a null file is fine. Returns 0, or -1 with the reason. */
int load_note(FILE *file, const char *sop_instance_uid, const void *bytes, size_t size,
              struct error *err);

#endif
