/* A bridge without node and network, on a clock of the test's own: instances are handed to its sink
 * as the node does, threads run only where a test starts them. */
#ifndef AURABRIDGE_TESTS_BRIDGE_BENCH_H
#define AURABRIDGE_TESTS_BRIDGE_BENCH_H

#include "bridge_state.h"

#include "suite.h"

#include <stdatomic.h>

#define BENCH_QUIET_MS 30000
#define BENCH_HOLD_MS  120000
#define BENCH_WAIT_MS  1800000

struct bench {
    char directory[64];
    char spool[96];
    struct clock clock;
    atomic_llong wall_ms, monotonic_ms;
    struct bridge *bridge;
    pthread_t assembler;
    bool assembles;
    struct error err;
};

/* `map` is the text of the AE-title map; null: everything called AURABRIDGE goes to main. */
void bench_open(struct bench *bench, const char *map);
void bench_close(struct bench *bench);
/* The process ends and starts again; with another map where one is given. The start after
 * bench_stop compares all files, as after a kill; after bench_stop_clean it need not. */
void bench_stop(struct bench *bench);
void bench_stop_clean(struct bench *bench);
void bench_start(struct bench *bench, const char *map);
/* The reference is the caller's. */
struct config *bench_config(struct bench *bench, const char *map);

/* Takes over another map, as SIGHUP does; without workers. */
void bench_reload(struct bench *bench, const char *map);

void bench_assemble(struct bench *bench); /* starts the assembler's thread */
void bench_pass(struct bench *bench, int64_t ms);
/* Waits for the state; false when it does not come within some seconds. */
bool bench_becomes(struct bench *bench, int64_t id, enum study_state state);
struct ledger_study bench_study(struct bench *bench, int64_t id);
/* Waits until the study's reason begins so. */
bool bench_reasons(struct bench *bench, int64_t id, const char *beginning);

/* An instance as tests write it; null: a default. */
struct sent {
    uint64_t association;
    const char *study, *series, *sop, *patient;
    const char *calling;
    const char *accession, *other_patient_id;
    const char *sop_class;
    /* What is told in the command, where that differs. */
    const char *command_sop, *command_class;
    const char *pixels;
    size_t cut; /* bytes taken off the end */
};
struct dimse_answer bench_send(struct bench *bench, const struct sent *sent);
#define SEND(bench, ...) bench_send((bench), &(const struct sent){__VA_ARGS__})
void bench_hang_up(struct bench *bench, uint64_t association);

/* Files below a place of the spool ("incoming", "studies"). */
unsigned bench_files(struct bench *bench, const char *place);

#endif
