/* The journal: instances that were acknowledged a moment ago. Their bytes and the record that names
 * them go to stable storage in one sequential write and one sync, which associations share; files
 * in study folders and rows of the ledger follow in bulk. docs/decisions/0016-journal.md.
 *
 *   <directory>/<number>.segment   of one size, made when needed, written over again and again
 *
 * An instance that was committed is in the journal until journal_settle says that it is elsewhere.
 * Thread-safe, but for one writer being used by one thread at a time.
 */
#ifndef AURABRIDGE_JOURNAL_H
#define AURABRIDGE_JOURNAL_H

#include "aurabridge/error.h"
#include "aurabridge/instance.h"
#include "aurabridge/stored_instance.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct journal;

#define JOURNAL_FULL       (-2) /* the disk takes no more */
#define JOURNAL_BROKEN     (-3) /* a sync failed: what the disk holds is not known until a restart */
#define JOURNAL_SPILL      (-4) /* the instance has to go on in a file of its own */
#define JOURNAL_CROWDED    (-5) /* all of it is in use, and nothing could be settled to make room */
#define JOURNAL_UNREADABLE (-6) /* the disk does not give back what it took */

#define JOURNAL_LEAST_SEGMENT (UINT64_C(1) << 20)

struct journal_options {
    const char *directory;
    uint64_t segment_size; /* bytes, at least JOURNAL_LEAST_SEGMENT, a multiple of 4096 */
    unsigned segments;     /* at most; at least 2 */
    /* Called without locks, from a committing thread, when all segments hold what is not settled:
     * settles some. Returns 0, or non-zero with the reason when it cannot. */
    int (*make_room)(void *context, struct error *err);
    void *context;
};

/* Opens, and makes the directory when absent (0700). Commits are refused until journal_resume.
 * `*out` is the caller's. Returns 0 or -1. */
int journal_open(struct journal **out, const struct journal_options *options, struct error *err);
void journal_close(struct journal *journal);

/* ---- one instance on its way in ---- */

/* Where a piece of an instance's file stands. */
struct journal_extent {
    uint32_t segment;
    uint32_t length; /* bytes */
    uint64_t offset;
};
#define JOURNAL_EXTENTS_MAX 160

/* Zeroed before its first use. */
struct journal_writer {
    unsigned lane; /* 0: none yet */
    size_t count;
    struct journal_extent extents[JOURNAL_EXTENTS_MAX];
};

/* The instance, as the ledger will know it. Everything belongs to whoever filled it. */
struct journal_entry {
    const struct association *association;
    const struct instance_request *request;
    const char *study_instance_uid, *series_instance_uid;
    const char *route_key, *entry_name, *destination;
    const char *file_name; /* that it gets below studies/ */
    const char *part_name; /* of the file below incoming/ that holds its bytes; "": extents do */
    int64_t received_ms;   /* wall clock */
    int64_t quiet_period_ms, max_wait_ms;
    unsigned changed_duplicate; /* enum changed_duplicate */
    unsigned priority;          /* enum priority */
    const struct stored_instance *stored;
};

#define JOURNAL_RECORD_MAX 20480
/* What a buffer needs behind the `tail` that journal_commit is given. */
#define JOURNAL_COMMIT_ROOM (JOURNAL_RECORD_MAX + 2 * 4096)

/* Appends a piece of the file, of two parts (either may be empty); nothing is durable yet. Returns
 * 0, JOURNAL_FULL, JOURNAL_CROWDED, JOURNAL_BROKEN, JOURNAL_SPILL (the piece is too large, the
 * writer has all extents that it can have, or slow senders have so much room that others would have
 * none) or -1.
 */
int journal_append(struct journal *journal, struct journal_writer *writer, const void *head,
                   size_t head_length, const void *bytes, size_t length, struct error *err);

/* Appends the last piece, which stands at the start of `buffer` and has `tail` bytes, and the
 * record, and waits for the sync that both share with what others commit. The buffer has
 * JOURNAL_COMMIT_ROOM bytes more, which are written to. Returns 0, JOURNAL_FULL, JOURNAL_CROWDED,
 * JOURNAL_BROKEN or -1; the writer is over, whatever comes of it. */
int journal_commit(struct journal *journal, struct journal_writer *writer, uint8_t *buffer,
                   size_t tail, const struct journal_entry *entry, struct error *err);

/* Whether commits have a chance: no sync has failed. Returns 0, or -1 with the reason. */
int journal_is_sound(struct journal *journal, struct error *err);

/* Lets go of what was appended. */
void journal_abort(struct journal *journal, struct journal_writer *writer);

/* ---- settling ---- */

struct journal_place {
    uint64_t number; /* of the commit: later ones are higher, also across restarts */
    uint32_t segment;
    uint32_t block; /* of 512 bytes */
};

/* Committed ones that are not settled, oldest first, at most `size`; `*through` is what to settle
 * once they are elsewhere. None: `*count` 0. Returns the bytes that all of them have together. */
uint64_t journal_due(struct journal *journal, struct journal_place *places, size_t size,
                     size_t *count, uint64_t *through);

/* All up to this number are elsewhere, durably: their room may be written over. */
void journal_settle(struct journal *journal, uint64_t through);

/* What is not settled yet, without looking at any of it. */
struct journal_backlog {
    uint64_t instances;
    uint64_t bytes, capacity; /* of what is there, and of what it may be */
    uint64_t last;            /* the newest number committed; 0: none ever */
    uint64_t settled;
    int64_t oldest_ms, newest_ms; /* monotonic clock: when the oldest and the newest of it came */
};
void journal_backlog(struct journal *journal, struct journal_backlog *out);

/* Waits until all commits up to this number, which was given out, have ended: are due, or came to
 * nothing. */
void journal_await(struct journal *journal, uint64_t through);

/* Waits until there is something to settle where there was nothing, half of the journal is in use,
 * somebody calls journal_wake, or the time (ms, at most) has passed. What happened since the last
 * wait ends it at once. One thread's. */
void journal_wait(struct journal *journal, int64_t at_most_ms);
void journal_wake(struct journal *journal);

/* A record read back. `entry` points into it. */
struct journal_record {
    uint64_t number;
    struct journal_entry entry;
    size_t extent_count;
    struct journal_extent extents[JOURNAL_EXTENTS_MAX];
    struct association association;
    struct instance_request request;
    struct stored_instance stored;
    struct attributes attributes;
    uint8_t bytes[JOURNAL_RECORD_MAX];
};

/* Returns 0 or -1. */
int journal_read(struct journal *journal, struct journal_record *out,
                 const struct journal_place *place, struct error *err);

/* Copies an instance's bytes to a file, from its position on; `*crc32` is theirs. Returns 0,
 * JOURNAL_UNREADABLE, or -1 with errno kept when the file took no more. */
int journal_copy(struct journal *journal, const struct journal_extent *extents, size_t count,
                 int fd, uint32_t *crc32, struct error *err);

/* Whether the bytes that stand in the journal are those that the record was written for. Returns 0,
 * JOURNAL_UNREADABLE or -1. */
int journal_check(struct journal *journal, const struct journal_record *record, bool *is_whole,
                  struct error *err);

/* ---- at start ---- */

/* Calls `visit` for what was committed with a number above `settled`, oldest first. A record that
 * was torn was never acknowledged and is not shown; the bytes behind one may be torn too, which
 * their CRC-32 tells. What the disk does not give back is logged and passed over. A non-zero answer
 * stops it and is returned. */
int journal_replay(struct journal *journal, uint64_t settled,
                   int (*visit)(void *context, const struct journal_place *place), void *context,
                   struct error *err);

/* Everything up to `settled`, and all that was replayed, is elsewhere: the journal begins anew and
 * takes commits. */
void journal_resume(struct journal *journal, uint64_t settled);

#endif
