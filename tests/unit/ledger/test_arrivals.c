/* Where arrivals go: new ones, resends, changed duplicates under each policy, supplements. */
#include "bench.h"

#include <stdio.h>
#include <string.h>

enum act {
    END,
    SEND_IT,     /* the instance `sop` in `version`, under `policy` */
    BRING,       /* study `study` to `state` */
    FORGET_STUDY /* study `study` */
};

struct step {
    enum act act;
    int sop;
    unsigned version;
    enum changed_duplicate policy;
    enum study_state state;
    int64_t study; /* acted on, or expected */
    enum ledger_arrival_kind kind;
    bool opened, supersedes;
};

#define STORED(sop_, version_, study_)                                                             \
    {                                                                                              \
        .act = SEND_IT, .sop = sop_, .version = version_, .study = study_, .kind = ARRIVAL_STORED  \
    }
#define OPENS(sop_, version_, study_)                                                              \
    {                                                                                              \
        .act = SEND_IT, .sop = sop_, .version = version_, .study = study_, .opened = true,         \
        .kind = ARRIVAL_STORED                                                                     \
    }
#define OPENS_BY(policy_, sop_, version_, study_)                                                  \
    {                                                                                              \
        .act = SEND_IT, .sop = sop_, .version = version_, .study = study_, .opened = true,         \
        .kind = ARRIVAL_STORED, .policy = policy_                                                  \
    }
#define RESEND(sop_, version_, study_)                                                             \
    {                                                                                              \
        .act = SEND_IT, .sop = sop_, .version = version_, .study = study_, .kind = ARRIVAL_RESEND  \
    }
#define SWALLOWED(sop_, version_, study_)                                                          \
    {                                                                                              \
        .act = SEND_IT, .sop = sop_, .version = version_, .study = study_,                         \
        .kind = ARRIVAL_SWALLOWED_RESEND                                                           \
    }
#define KEPT(sop_, version_, study_)                                                               \
    {                                                                                              \
        .act = SEND_IT, .sop = sop_, .version = version_, .study = study_,                         \
        .kind = ARRIVAL_KEPT_FIRST, .policy = CHANGED_DUPLICATE_KEEP_FIRST                         \
    }
#define REPLACES(sop_, version_, study_)                                                           \
    {                                                                                              \
        .act = SEND_IT, .sop = sop_, .version = version_, .study = study_, .kind = ARRIVAL_STORED, \
        .supersedes = true, .policy = CHANGED_DUPLICATE_REPLACE                                    \
    }
#define TO(study_, state_)                                                                         \
    {                                                                                              \
        .act = BRING, .study = study_, .state = state_                                             \
    }
#define FORGET(study_)                                                                             \
    {                                                                                              \
        .act = FORGET_STUDY, .study = study_                                                       \
    }

static const struct scenario {
    const char *name;
    struct step steps[12];
} scenarios[] = {
    {"instances gather in one study", {OPENS(1, 0, 1), STORED(2, 0, 1), STORED(3, 0, 1)}},
    {"a resend while receiving", {OPENS(1, 0, 1), RESEND(1, 0, 1), RESEND(1, 0, 1)}},
    {"a resend while validating", {OPENS(1, 0, 1), TO(1, STUDY_VALIDATING), RESEND(1, 0, 1)}},
    {"a resend while uploading", {OPENS(1, 0, 1), TO(1, STUDY_UPLOADING), RESEND(1, 0, 1)}},
    {"a resend to a failed study", {OPENS(1, 0, 1), TO(1, STUDY_FAILED), RESEND(1, 0, 1)}},
    {"a completed study swallows", {OPENS(1, 0, 1), TO(1, STUDY_COMPLETED), SWALLOWED(1, 0, 1)}},
    {"a late instance opens a supplement",
     {OPENS(1, 0, 1), TO(1, STUDY_VALIDATING), OPENS(2, 0, 2), STORED(3, 0, 2), RESEND(1, 0, 1)}},
    {"a supplement of a completed study",
     {OPENS(1, 0, 1), TO(1, STUDY_COMPLETED), OPENS(2, 0, 2), TO(2, STUDY_COMPLETED),
      OPENS(3, 0, 3), SWALLOWED(2, 0, 2)}},
    {"a quarantined study takes no more",
     {OPENS(1, 0, 1), TO(1, STUDY_QUARANTINED), OPENS(2, 0, 2), RESEND(1, 0, 1)}},
    {"supplement: a changed one goes up later",
     {OPENS(1, 0, 1), OPENS(1, 1, 2), STORED(2, 0, 1), RESEND(1, 0, 1), RESEND(1, 1, 2)}},
    {"supplement: each version in an upload of its own",
     {OPENS(1, 0, 1), OPENS(1, 1, 2), OPENS(1, 2, 3), STORED(2, 0, 1), STORED(2, 1, 2),
      STORED(2, 2, 3), OPENS(2, 3, 4), RESEND(1, 1, 2)}},
    {"supplement: not into an earlier upload",
     {OPENS(1, 0, 1), TO(1, STUDY_VALIDATING), OPENS(2, 0, 2), STORED(1, 1, 2), OPENS(1, 2, 3)}},
    {"supplement: of a completed study",
     {OPENS(1, 0, 1), TO(1, STUDY_COMPLETED), OPENS(1, 1, 2), SWALLOWED(1, 0, 1), RESEND(1, 1, 2)}},
    {"keep_first: the change is recorded only",
     {OPENS(1, 0, 1), KEPT(1, 1, 1), RESEND(1, 1, 1), KEPT(1, 2, 1), RESEND(1, 0, 1)}},
    {"keep_first: after completion",
     {OPENS(1, 0, 1), TO(1, STUDY_COMPLETED), KEPT(1, 1, 1), SWALLOWED(1, 1, 1)}},
    {"replace: while receiving",
     {OPENS(1, 0, 1), REPLACES(1, 1, 1), REPLACES(1, 2, 1), RESEND(1, 1, 1), RESEND(1, 0, 1)}},
    {"replace: too late, so a supplement",
     {OPENS(1, 0, 1), TO(1, STUDY_READY), OPENS_BY(CHANGED_DUPLICATE_REPLACE, 1, 1, 2),
      REPLACES(1, 2, 2), RESEND(1, 0, 1)}},
    {"quarantine: like supplement",
     {OPENS(1, 0, 1), OPENS_BY(CHANGED_DUPLICATE_QUARANTINE, 1, 1, 2), STORED(2, 0, 1)}},
    {"discarded instances are new",
     {OPENS(1, 0, 1), TO(1, STUDY_DISCARDED), OPENS(1, 0, 2), RESEND(1, 0, 2)}},
    {"cancelled instances are new",
     {OPENS(1, 0, 1), TO(1, STUDY_CANCELLED), OPENS(1, 0, 2), OPENS(1, 1, 3)}},
    {"forgotten instances are new",
     {OPENS(1, 0, 1), TO(1, STUDY_COMPLETED), SWALLOWED(1, 0, 1), FORGET(1), OPENS(1, 0, 2),
      RESEND(1, 0, 2)}},
};

static void take_step(struct bench *bench, const struct scenario *scenario, size_t at)
{
    const struct step *step = &scenario->steps[at];
    if (step->act == BRING) {
        bench_bring(bench, step->study, step->state);
        return;
    }
    if (step->act == FORGET_STUDY) {
        CU_ASSERT_EQUAL(ledger_study_forget(bench->ledger, step->study, &bench->err), 0);
        return;
    }
    char sop[32];
    (void)snprintf(sop, sizeof sop, "1.2.3.%d", step->sop);
    const struct sent sent = {.sop = sop, .version = step->version, .policy = step->policy};
    struct ledger_arrival_outcome outcome = bench_send(bench, &sent);
    bool is_right = outcome.kind == step->kind && outcome.study_id == step->study &&
                    outcome.study_opened == step->opened &&
                    (outcome.superseded_file[0] != 0) == step->supersedes;
    if (!is_right)
        printf("\n%s, step %zu: kind %d, study %lld, opened %d, superseded \"%s\"\n",
               scenario->name, at + 1, (int)outcome.kind, (long long)outcome.study_id,
               outcome.study_opened, outcome.superseded_file);
    CU_ASSERT_TRUE(is_right);
}

static void test_scenarios(void)
{
    for (size_t i = 0; i < sizeof scenarios / sizeof *scenarios; i++) {
        struct bench *bench = bench_new(false);
        for (size_t at = 0; scenarios[i].steps[at].act != END; at++)
            take_step(bench, &scenarios[i], at);
        CU_ASSERT_TRUE(bench_adds_up(bench));
        bench_free(bench);
    }
}

static void test_the_row_is_filled(void)
{
    struct bench *bench = bench_new(true);
    SEND(bench, .sop = "1.1", .size = 100);
    bench->now += 1000;
    SEND(bench, .sop = "1.2", .size = 50, .truncated = true);
    struct ledger_study study = bench_study(bench, 1);
    CU_ASSERT_STRING_EQUAL(study.route_key, "aaaaaaaaaaaaaaaa");
    CU_ASSERT_STRING_EQUAL(study.study_instance_uid, "1.2.3");
    CU_ASSERT_STRING_EQUAL(study.entry_name, "ct-rooms");
    CU_ASSERT_STRING_EQUAL(study.destination, "main");
    CU_ASSERT_EQUAL(study.state, STUDY_RECEIVING);
    CU_ASSERT_EQUAL(study.generation, 0);
    CU_ASSERT_EQUAL(study.first_id, 1);
    CU_ASSERT_EQUAL(study.first_received_ms, 1000000);
    CU_ASSERT_EQUAL(study.last_received_ms, 1001000);
    CU_ASSERT_EQUAL(study.due_ms, 1001000 + QUIET);
    CU_ASSERT_EQUAL(study.instances, 2);
    CU_ASSERT_EQUAL(study.bytes, 150);
    CU_ASSERT_EQUAL(study.truncated, 1);
    CU_ASSERT_FALSE(study.has_changed_duplicates);
    bench_free(bench);
}

static void test_the_route_is_kept(void)
{
    struct bench *bench = bench_new(false);
    SEND(bench, .sop = "1.1", .destination = "main");
    SEND(bench, .sop = "1.2", .destination = "other");
    CU_ASSERT_STRING_EQUAL(bench_study(bench, 1).destination, "main");
    /* Another key, or another study, is another row. */
    CU_ASSERT_EQUAL(SEND(bench, .sop = "1.1", .route = "bbbbbbbbbbbbbbbb").study_id, 2);
    CU_ASSERT_EQUAL(SEND(bench, .sop = "1.1", .study = "1.2.4").study_id, 3);
    bench_free(bench);
}

static void test_quiet_and_max_wait(void)
{
    struct bench *bench = bench_new(false);
    int64_t start = bench->now;
    SEND(bench, .sop = "1.1");
    bench->now = start + 20000;
    SEND(bench, .sop = "1.1"); /* a resend is activity too */
    CU_ASSERT_EQUAL(bench_study(bench, 1).due_ms, bench->now + QUIET);
    bench->now = start + 40000;
    SEND(bench, .sop = "1.1", .version = 1, .policy = CHANGED_DUPLICATE_KEEP_FIRST);
    CU_ASSERT_EQUAL(bench_study(bench, 1).due_ms, bench->now + QUIET);
    bench->now = start + MAX_WAIT - 5000;
    SEND(bench, .sop = "1.2");
    CU_ASSERT_EQUAL(bench_study(bench, 1).due_ms, start + MAX_WAIT);
    bench->now = start + 1000; /* the clock was set back */
    SEND(bench, .sop = "1.3");
    CU_ASSERT_EQUAL(bench_study(bench, 1).last_received_ms, start + MAX_WAIT - 5000);
    CU_ASSERT_EQUAL(bench_study(bench, 1).due_ms, start + MAX_WAIT);
    /* Once it is complete nothing moves it. */
    bench_bring(bench, 1, STUDY_READY);
    SEND(bench, .sop = "1.1");
    CU_ASSERT_EQUAL(bench_study(bench, 1).last_received_ms, start + MAX_WAIT - 5000);
    bench_free(bench);
}

static void test_generations_are_linked(void)
{
    struct bench *bench = bench_new(false);
    SEND(bench, .sop = "1.1");
    SEND(bench, .sop = "1.1", .version = 1);
    SEND(bench, .sop = "1.1", .version = 2, .policy = CHANGED_DUPLICATE_QUARANTINE);
    struct ledger_study second = bench_study(bench, 2), third = bench_study(bench, 3);
    CU_ASSERT_EQUAL(second.generation, 1);
    CU_ASSERT_EQUAL(second.first_id, 1);
    CU_ASSERT_TRUE(second.has_changed_duplicates);
    CU_ASSERT_FALSE(second.must_quarantine);
    CU_ASSERT_EQUAL(third.generation, 2);
    CU_ASSERT_EQUAL(third.first_id, 1);
    CU_ASSERT_TRUE(third.must_quarantine);
    CU_ASSERT_FALSE(bench_study(bench, 1).has_changed_duplicates);
    /* Forgotten rows do not count: the next is generation 0 again. */
    for (int64_t id = 1; id <= 3; id++) {
        bench_bring(bench, id, STUDY_COMPLETED);
        CU_ASSERT_EQUAL(ledger_study_forget(bench->ledger, id, &bench->err), 0);
    }
    CU_ASSERT_EQUAL(SEND(bench, .sop = "1.1").study_id, 4);
    CU_ASSERT_EQUAL(bench_study(bench, 4).generation, 0);
    CU_ASSERT_EQUAL(bench_study(bench, 4).first_id, 4);
    bench_free(bench);
}

static void test_replace_counts(void)
{
    struct bench *bench = bench_new(false);
    SEND(bench, .sop = "1.1", .size = 100, .truncated = true, .file = "old.dcm");
    struct ledger_arrival_outcome outcome =
        SEND(bench, .sop = "1.1", .version = 1, .size = 70, .policy = CHANGED_DUPLICATE_REPLACE);
    CU_ASSERT_STRING_EQUAL(outcome.superseded_file, "old.dcm");
    struct ledger_study study = bench_study(bench, 1);
    CU_ASSERT_EQUAL(study.instances, 1);
    CU_ASSERT_EQUAL(study.superseded, 1);
    CU_ASSERT_EQUAL(study.bytes, 70);
    CU_ASSERT_EQUAL(study.truncated, 0);
    CU_ASSERT_FALSE(study.has_changed_duplicates);
    bool known = true;
    CU_ASSERT_EQUAL(ledger_file_is_known(bench->ledger, "old.dcm", &known, &bench->err), 0);
    CU_ASSERT_FALSE(known);
    bench_free(bench);
}

static void test_a_file_belongs_to_one_row(void)
{
    struct bench *bench = bench_new(false);
    SEND(bench, .sop = "1.1", .file = "same.dcm");
    struct ledger_arrival_outcome outcome;
    const struct sent again = {.sop = "1.2", .file = "same.dcm"};
    CU_ASSERT_EQUAL(ledger_instance_received(bench->ledger, &outcome, bench_arrival(bench, &again),
                                             &bench->err),
                    -1);
    CU_ASSERT_EQUAL(bench_study(bench, 1).instances, 1);
    CU_ASSERT_EQUAL(bench_totals(bench).acknowledged, 1);
    /* What a failing arrival had begun is undone: no study without an instance. */
    const struct sent elsewhere = {.study = "1.9", .sop = "9.1", .file = "same.dcm"};
    CU_ASSERT_EQUAL(ledger_instance_received(bench->ledger, &outcome,
                                             bench_arrival(bench, &elsewhere), &bench->err),
                    -1);
    CU_ASSERT_EQUAL(bench_totals(bench).studies[STUDY_RECEIVING], 1);
    SEND(bench, .sop = "1.2");
    CU_ASSERT_TRUE(bench_adds_up(bench));
    bench_free(bench);
}

static CU_TestInfo cases[] = {SUITE_CASE(test_scenarios),
                              SUITE_CASE(test_the_row_is_filled),
                              SUITE_CASE(test_the_route_is_kept),
                              SUITE_CASE(test_quiet_and_max_wait),
                              SUITE_CASE(test_generations_are_linked),
                              SUITE_CASE(test_replace_counts),
                              SUITE_CASE(test_a_file_belongs_to_one_row),
                              CU_TEST_INFO_NULL};
SUITE_MAIN("ledger: arrivals", cases)
