/* What the ledger's tests share: a ledger on a clock that stands still, and arrivals by a few
 * short words. */
#ifndef AURABRIDGE_TESTS_LEDGER_BENCH_H
#define AURABRIDGE_TESTS_LEDGER_BENCH_H

#include "suite.h"

#include "aurabridge/ledger_audit.h"

#define QUIET    30000
#define MAX_WAIT 1800000

struct bench {
    struct ledger *ledger;
    struct clock clock;
    int64_t now;
    char directory[64]; /* "" for a ledger in memory */
    char path[96];
    struct error err;
    _Atomic unsigned files; /* made so far: names are unique */
};

/* A ledger in memory, or in a directory of its own. Ends the test program when that fails. */
struct bench *bench_new(bool on_disk);
void bench_reopen(struct bench *bench);
void bench_free(struct bench *bench);

/* An instance as tests write it; what is null or 0 has a default. */
struct sent {
    const char *route, *study, *series, *sop, *patient, *issuer, *destination;
    unsigned version; /* of the data set: makes its digest */
    enum changed_duplicate policy;
    uint64_t size;
    bool truncated;
    const char *file;
    enum study_priority priority;
};

/* Fills an arrival; it points into static memory of the calling thread. */
const struct ledger_arrival *bench_arrival(struct bench *bench, const struct sent *sent);

/* Sends it and asserts that the ledger took it. */
struct ledger_arrival_outcome bench_send(struct bench *bench, const struct sent *sent);
#define SEND(bench, ...) bench_send((bench), &(const struct sent){__VA_ARGS__})

struct ledger_study bench_study(struct bench *bench, int64_t id);
/* Goes from state to state on a path of the table. */
void bench_bring(struct bench *bench, int64_t id, enum study_state to);
struct ledger_totals bench_totals(struct bench *bench);
/* Whether what was acknowledged is where the totals say. */
bool bench_adds_up(struct bench *bench);

/* For ledger_instances: the instance's file is gone. The context is the ledger. */
int bench_remove_file(void *ledger, const struct ledger_instance *instance);

/* What a deep audit finds: how many things, and the words of the first ones, a line each. */
struct found {
    unsigned count;
    char words[4096];
    struct ledger_audit audit;
};
struct found bench_audit(struct bench *bench);
/* Whether it finds nothing; else it prints what. */
bool bench_is_sound(struct bench *bench);

#endif
