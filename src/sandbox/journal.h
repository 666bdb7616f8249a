/* <directory>/requests.jsonl: every request as one line of JSON, so that tests can count calls. */
#ifndef SANDBOX_JOURNAL_H
#define SANDBOX_JOURNAL_H

#include "aurabridge/error.h"

#include <stdint.h>

struct journal {
    int fd;
};

/* Opens the file for appending, making it when absent. */
int journal_open(struct journal *journal, const char *directory, struct error *err);
void journal_close(struct journal *journal);

struct journal_entry {
    int64_t wall_ms;
    const char *method, *path; /* the path without its query */
    unsigned status;           /* 0: closed without an answer */
    const char *upload_id;     /* "" or null when unknown */
    uint64_t body_bytes;       /* that came */
};

/* Appends one line in one write. Holds no header and no body, hence no token. Thread-safe. */
void journal_write(struct journal *journal, const struct journal_entry *entry);

#endif
