/* What the files of this room share. All fields of the journal but the options are guarded by its
 * lock, which is never held over the disk.
 */
#ifndef AURABRIDGE_JOURNAL_SEGMENTS_H
#define AURABRIDGE_JOURNAL_SEGMENTS_H

#include "record.h"

#include "aurabridge/fs.h"

#include <pthread.h>

#define PAGE_SIZE  4096
#define BLOCK_SIZE 512 /* a record begins at a multiple of this */
#define SLOTS      65536

enum segment_state {
    SEGMENT_FREE,     /* nothing in it is needed */
    SEGMENT_ACTIVE,   /* takes what comes */
    SEGMENT_FULL,     /* takes nothing, and something in it is needed */
    SEGMENT_RETIRING, /* nothing in it is needed, and its header is about to say so */
};

struct segment {
    uint32_t id; /* its file's name */
    int fd;      /* owned */
    enum segment_state state;
    struct lane *lane; /* that wrote to it last */
    uint8_t nonce[RECORD_NONCE_SIZE];
    uint64_t cursor;      /* where the next piece goes */
    unsigned open;        /* pieces of instances that are not committed yet */
    uint64_t last_number; /* of those that were, the newest that has something here */
    bool dirty;           /* written to since its last sync began */
    uint64_t freed;       /* the higher, the later: the warmest is taken first */
    bool has_unreadable;  /* pages, which replay met */
};

/* Associations that store at the same time write and sync beside each other, each in a lane, as
 * long as there are lanes; then they share. */
struct lane {
    struct segment *active; /* null: none */
    unsigned writers;       /* instances on their way in it */
    pthread_cond_t durable; /* a sync has ended */
    bool syncing;
    uint64_t written, synced; /* commits whose bytes were handed to the kernel; that are durable */
};
#define LANES_MAX 4

#define BROKEN_TEXT                                                                                \
    "the journal takes nothing more since a sync of its disk failed; check the disk and restart "  \
    "the bridge"

enum slot_state { SLOT_WRITING, SLOT_DURABLE, SLOT_VOID };

struct slot {
    enum slot_state state;
    uint32_t segment, block;
    uint32_t blocks; /* that the instance takes, together with its record */
};

struct journal {
    struct journal_options options;
    char directory[FS_PATH_MAX];
    pthread_mutex_t lock;
    pthread_cond_t
        changed;         /* a segment is there, room was made; who awaits it: a commit has ended */
    pthread_cond_t work; /* there is something to settle */
    bool wanted;         /* somebody waits for what is there to be settled */
    unsigned awaiting;   /* threads that wait for commits to end */
    struct segment *segments;
    size_t count, capacity;
    size_t lane_count;
    struct lane lanes[LANES_MAX];
    uint64_t frees;     /* so far */
    int64_t grow_at_ms; /* monotonic: the disk has refused a segment, and is not asked before */
    bool rotating, broken, resumed;
    uint64_t next_number, settled;
    uint64_t replayed; /* the highest number seen at start */
    uint64_t backlog_blocks, backlog_instances;
    int64_t oldest_ms, newest_ms;
    struct slot slots[SLOTS];
};

/* Room in a segment, which is open until the piece is committed or let go of. */
struct reservation {
    struct segment *segment;
    uint64_t offset;
};

/* With the lock, which it lets go of while it waits: room in the lane's segment. `numbered`: a
 * number follows. Returns 0, JOURNAL_FULL, JOURNAL_CROWDED, JOURNAL_BROKEN or
 * -1. */
int journal_reserve(struct journal *journal, struct lane *lane, uint64_t length, bool numbered,
                    struct reservation *out, struct error *err);

/* With the lock: whether a segment that nobody uses can be had without settling. */
bool journal_can_rotate(const struct journal *journal);

/* With the lock: whether pieces of instances on their way already keep so many segments that
 * others have to go without. */
bool journal_is_crowded(const struct journal *journal);

/* With the lock, which it lets go of meanwhile: frees what nothing needs any more. */
void journal_retire(struct journal *journal);

/* With the lock: whether so many blocks are at least half of what the journal may hold. */
bool journal_is_half_full(const struct journal *journal, uint64_t blocks);

/* With the lock: ends the next, or the present, journal_wait. */
void journal_want(struct journal *journal);

/* With the lock: numbers that came to nothing are settled. */
void journal_skip_void(struct journal *journal);

/* With the lock, which it lets go of meanwhile: waits until some commit has ended. */
void journal_await_any(struct journal *journal);

struct slot *journal_slot(struct journal *journal, uint64_t number);

/* The segment of that id, null when there is none. With or without the lock: the array changes only
 * while nobody else can hold one of its ids. */
struct segment *journal_segment(struct journal *journal, uint32_t id);

/* What a failed write means: JOURNAL_FULL or -1. */
int journal_failure_of(int errnum);

/* Writes the header of a segment that is to be written over. Returns 0 or -1. Without the lock. */
int segment_begin(const struct journal *journal, struct segment *segment, struct error *err);
/* Its header says that nothing in it counts. Without the lock. */
void segment_retire(struct segment *segment);
/* Makes one more. Returns 0, JOURNAL_FULL or -1. Without the lock; one caller at a time. */
int segment_make(struct journal *journal, struct segment *out, struct error *err);
/* Opens one that is there; its state says whether something in it may count. */
int segment_open(struct journal *journal, struct segment *out, uint32_t id, struct error *err);
void segment_remove(struct journal *journal, struct segment *segment);
/* Likewise, under another name, for whoever may get the bytes back. Returns 0 or -1. */
int segment_set_aside(struct journal *journal, struct segment *segment, struct error *err);

/* All of `bytes` at `offset`. Returns 0, or -1 with errno kept. */
int segment_write(const struct segment *segment, const void *bytes, size_t length, uint64_t offset,
                  struct error *err);

#endif
