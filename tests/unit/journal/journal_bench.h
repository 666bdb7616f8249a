/* A journal in a temporary directory, and instances to put in it. */
#ifndef AURABRIDGE_TESTS_JOURNAL_BENCH_H
#define AURABRIDGE_TESTS_JOURNAL_BENCH_H

#include "aurabridge/journal.h"

#define BENCH_SEGMENT JOURNAL_LEAST_SEGMENT
#define BENCH_BUFFER  ((size_t)256 * 1024)

struct journal_bench {
    char directory[64]; /* removed at the end */
    struct journal *journal;
    struct journal_options options;
    struct error err;
};

/* Opens one of `segments` segments that begins empty and takes commits; ends the program when even
 * that fails. */
void journal_bench_open(struct journal_bench *bench, unsigned segments);
/* As a crash would leave it: what is there is what the next one finds. */
void journal_bench_crash(struct journal_bench *bench);
void journal_bench_start(struct journal_bench *bench); /* after a crash; takes no commits yet */
void journal_bench_close(struct journal_bench *bench);

/* The file's path. */
void journal_bench_segment(const struct journal_bench *bench, unsigned id, char out[96]);

/* An instance of `length` bytes, all made from its number; committed in pieces of `piece` bytes,
 * the last of them with the record. Returns what journal_commit, or the append that failed, did. */
int journal_bench_commit(struct journal_bench *bench, unsigned instance, size_t length,
                         size_t piece);
/* The entry of that instance; lasts until the next call in the same thread. */
const struct journal_entry *journal_bench_entry(unsigned instance, size_t length);
uint8_t journal_bench_byte(unsigned instance, size_t at);

/* Whether the record is that instance's, and its bytes are there. */
bool journal_bench_is(struct journal_bench *bench, const struct journal_record *record,
                      unsigned instance, size_t length);

/* Those that replay shows, in its order, as numbers of instances; at most `size`. */
size_t journal_bench_replay(struct journal_bench *bench, uint64_t settled, unsigned *instances,
                            size_t size);

#endif
