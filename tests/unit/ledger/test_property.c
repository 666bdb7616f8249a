/* Whatever happens in whatever order, what was acknowledged is accounted for: a seeded random
 * sequence of everything that moves counts, with a model that counts the arrivals. */
#include "bench.h"

#include <stdio.h>
#include <string.h>

enum { SEEDS = 8, STEPS = 600, MAX_STUDIES = 400 };

static uint32_t next_random(uint32_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 17;
    *state ^= *state << 5;
    return *state;
}

struct world {
    struct bench *bench;
    uint32_t random;
    int64_t newest; /* study id */
};

static uint32_t below(struct world *world, uint32_t bound)
{
    return next_random(&world->random) % bound;
}

static void arrive(struct world *world)
{
    static const char *const patients[] = {"A", "A", "A", "B"};
    char sop[32], study[32];
    uint32_t number = below(world, 40);
    (void)snprintf(sop, sizeof sop, "1.%u", number);
    (void)snprintf(study, sizeof study, "2.%u", number % 5);
    struct ledger_arrival_outcome outcome =
        SEND(world->bench, .sop = sop, .study = study, .version = below(world, 3),
             .policy = (enum changed_duplicate)below(world, 4), .size = 1 + below(world, 1000),
             .truncated = below(world, 10) == 0, .patient = patients[below(world, 4)]);
    if (outcome.study_id > world->newest)
        world->newest = outcome.study_id;
    world->bench->now += 100;
}

/* The counters of one study, held against its instance rows. */
struct recount {
    uint64_t stored, bytes, truncated, dropped, superseded, discarded;
};

static int recount_one(void *context, const struct ledger_instance *instance)
{
    struct recount *count = context;
    bool is_stored = instance->disposition == INSTANCE_STORED;
    count->stored += is_stored;
    count->bytes += is_stored ? instance->file_size : 0;
    count->truncated += is_stored && instance->ending.ending != DATASET_COMPLETE;
    count->dropped += instance->disposition == INSTANCE_DROPPED;
    count->superseded += instance->disposition == INSTANCE_SUPERSEDED;
    count->discarded += instance->disposition == INSTANCE_DISCARDED;
    return 0;
}

static int check_study(void *context, const struct ledger_study *study)
{
    struct world *world = context;
    struct recount count = {0};
    CU_ASSERT_EQUAL(
        ledger_instances(world->bench->ledger, study->id, -1, recount_one, &count, NULL), 0);
    CU_ASSERT_EQUAL(count.stored, study->instances);
    CU_ASSERT_EQUAL(count.bytes, study->bytes);
    CU_ASSERT_EQUAL(count.truncated, study->truncated);
    CU_ASSERT_EQUAL(count.dropped, study->dropped);
    CU_ASSERT_EQUAL(count.superseded, study->superseded);
    CU_ASSERT_EQUAL(count.discarded, study->discarded);
    return 0;
}

/* Within one upload each SOP Instance UID stands once. */
struct uniqueness {
    char seen[512][UID_SIZE];
    size_t count;
};

static int check_unique(void *context, const struct ledger_instance *instance)
{
    struct uniqueness *unique = context;
    for (size_t i = 0; i < unique->count; i++)
        CU_ASSERT_STRING_NOT_EQUAL(unique->seen[i], instance->request.sop_instance_uid);
    if (unique->count < 512)
        memcpy(unique->seen[unique->count++], instance->request.sop_instance_uid, UID_SIZE);
    return 0;
}

static int drop_one(void *context, const struct ledger_instance *instance)
{
    /* Refused when the study is past validation: then nothing may change. */
    int result = ledger_instance_drop(context, instance->id, "rule", NULL);
    return result == LEDGER_CONFLICT || result == 0 ? 1 : result;
}

static void move_along(struct world *world, int64_t id)
{
    struct ledger_study study;
    if (ledger_study(world->bench->ledger, &study, id, NULL) != 0)
        return; /* trimmed */
    enum study_state to = (enum study_state)below(world, STUDY_STATE_COUNT);
    if (study_state_allows(study.state, to))
        CU_ASSERT_EQUAL(ledger_advance(world->bench->ledger, id, study.state, to, "random", NULL),
                        0);
}

static void act(struct world *world)
{
    struct ledger *ledger = world->bench->ledger;
    int64_t id = 1 + below(world, (uint32_t)world->newest + 1), left = 0;
    struct ledger_to_clean due = {.id = 0};
    unsigned removed = 0;
    switch (below(world, 24)) {
    case 0:
        (void)ledger_study_discard(ledger, id, "random", NULL);
        break;
    case 1:
        (void)ledger_study_forget(ledger, id, NULL);
        break;
    case 2:
    case 3:
        (void)ledger_advance(ledger, id, STUDY_RECEIVING, STUDY_QUARANTINED, "random", NULL);
        if (ledger_study_release(ledger, id, below(world, 2) ? "A" : NULL, &left, NULL) == 0 &&
            left > world->newest)
            world->newest = left;
        break;
    case 4:
        (void)ledger_study_retry(ledger, id, NULL);
        break;
    case 5:
        (void)ledger_instances(ledger, id, INSTANCE_STORED, drop_one, ledger, NULL);
        break;
    case 6:
        (void)ledger_study_request_cancel(ledger, id, NULL);
        break;
    case 7:
        if (ledger_next_to_clean(ledger, &due, world->bench->now - 3000, NULL) == 0)
            CU_ASSERT_EQUAL(ledger_instances(ledger, due.id, -1, bench_remove_file, ledger, NULL),
                            0);
        break;
    case 8:
        CU_ASSERT_EQUAL(ledger_trim(ledger, world->bench->now - 5000, &removed, NULL), 0);
        break;
    case 9:
        (void)ledger_set_route(ledger, id, "bbbbbbbbbbbbbbbb", "b", "main", PRIORITY_NORMAL, NULL);
        break;
    case 10:
    case 11:
    case 12:
    case 13:
    case 14:
        move_along(world, id);
        break;
    default:
        arrive(world);
        break;
    }
}

static int check_uniqueness(void *context, const struct ledger_study *study)
{
    struct world *world = context;
    static struct uniqueness unique;
    unique.count = 0;
    return ledger_instances(world->bench->ledger, study->id, INSTANCE_STORED, check_unique, &unique,
                            NULL);
}

static void test_counts_add_up(void)
{
    for (uint32_t seed = 1; seed <= SEEDS; seed++) {
        struct world world = {.bench = bench_new(false), .random = seed * 2654435761U};
        unsigned failures = CU_get_number_of_failures();
        for (int step = 0; step < STEPS; step++) {
            act(&world);
            CU_ASSERT_TRUE(bench_adds_up(world.bench));
            if (step % 50 == 49) {
                CU_ASSERT_EQUAL(ledger_studies(world.bench->ledger, -1, check_study, &world, NULL),
                                0);
                CU_ASSERT_TRUE(bench_is_sound(world.bench));
            }
        }
        CU_ASSERT_EQUAL(ledger_studies(world.bench->ledger, -1, check_uniqueness, &world, NULL), 0);
        if (CU_get_number_of_failures() != failures)
            printf("\nseed %u\n", seed);
        bench_free(world.bench);
    }
}

static CU_TestInfo cases[] = {SUITE_CASE(test_counts_add_up), CU_TEST_INFO_NULL};
SUITE_MAIN("ledger: property", cases)
