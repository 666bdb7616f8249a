/* <directory>/requests.jsonl: every request as one line of JSON, so that tests can count calls. */
#ifndef SANDBOX_TRANSCRIPT_H
#define SANDBOX_TRANSCRIPT_H

#include "aurabridge/error.h"

#include <stdint.h>

struct transcript {
    int fd;
};

/* Opens the file for appending, making it when absent. */
int transcript_open(struct transcript *transcript, const char *directory, struct error *err);
void transcript_close(struct transcript *transcript);

struct transcript_entry {
    int64_t wall_ms;
    const char *method, *path; /* the path without its query */
    unsigned status;           /* 0: closed without an answer */
    const char *upload_id;     /* "" or null when unknown */
    uint64_t body_bytes;       /* that came */
};

/* Appends one line in one write. Holds no header and no body, hence no token. Thread-safe. */
void transcript_write(struct transcript *transcript, const struct transcript_entry *entry);

#endif
