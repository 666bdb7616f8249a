/* The deflated members of a study on disk: one file with their bytes, in whatever order they were
 * made, and beside it a table with one sealed record per member, at its place among the study's
 * instances. Neither is synced before a layout names them, so a record that somebody else wrote, in
 * an earlier life of the process say, is believed only after its bytes were looked at.
 * Thread-safe: members are written and looked up beside each other, and no lock is held meanwhile.
 */
#ifndef AURABRIDGE_PACKAGE_SCRATCH_H
#define AURABRIDGE_PACKAGE_SCRATCH_H

#include "aurabridge/error.h"
#include "aurabridge/fs.h"
#include "aurabridge/ledger.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define SCRATCH_FULL (-2) /* the disk refused a write */

struct scratch {
    int64_t study_id;
    uint64_t writer; /* random: which records are this one's own */
    char bytes_path[FS_PATH_MAX], table_path[FS_PATH_MAX];
    atomic_int bytes, table; /* descriptors; -1 while there is no file */
    atomic_ullong end;       /* in `bytes`, of what was given out */
    atomic_bool dirty;       /* written to since scratch_start_writing */
    atomic_bool is_doubted; /* somebody else has been at the files: own records are looked at too */

    /* press.c's, under its lock. */
    unsigned users;
    bool is_stale; /* not to be found any more */
    struct scratch *next;
};

/* A member, and where it stands among the study's instances. What was made of it holds for this
 * file of this instance alone. */
struct scratch_key {
    const struct ledger_member *member;
    uint64_t place;
};

/* What was made of it. */
struct scratch_record {
    unsigned method;       /* deflated; or stored: it does not get noticeably smaller */
    uint64_t packed;       /* bytes */
    uint32_t packed_crc32; /* of them */
    uint64_t offset;
};

/* Opens what is there; makes nothing. `*out` is the caller's. */
int scratch_open(struct scratch **out, const char *bytes_path, const char *table_path,
                 int64_t study_id, struct error *err);
void scratch_close(struct scratch *scratch);
/* Whether its files are still those that the paths name, or there are none. */
bool scratch_is_current(const struct scratch *scratch);

/* Room for `length` bytes that nobody else writes to. Makes the files. Returns 0, SCRATCH_FULL or
 * -1. */
int scratch_reserve(struct scratch *scratch, uint64_t length, uint64_t *offset, struct error *err);
int scratch_write(struct scratch *scratch, const void *bytes, size_t length, uint64_t offset,
                  struct error *err);
/* What was written there is not needed: the disk has it back, where the file system can do that. */
void scratch_give_back(struct scratch *scratch, uint64_t offset, uint64_t length);

/* Records the member, after its bytes are written. */
int scratch_record(struct scratch *scratch, const struct scratch_key *key,
                   const struct scratch_record *record, struct error *err);
/* Whether the member has been made, and what of it. */
bool scratch_recall(struct scratch *scratch, const struct scratch_key *key,
                    struct scratch_record *out);

/* Whether it has a record, for who works ahead: its bytes are not looked at. */
bool scratch_has_record(struct scratch *scratch, const struct scratch_key *key);

/* Lets the disk begin with what was written; waits for nothing. */
void scratch_start_writing(struct scratch *scratch);
/* Puts the bytes on stable storage. After a failure nothing of it may be used. */
int scratch_sync(struct scratch *scratch, struct error *err);

#endif
