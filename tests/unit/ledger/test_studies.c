/* Studies: states, deferring, routes, finding and listing, and what is due. */
#include "bench.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "aurabridge/ledger_due.h"
#include "aurabridge/log.h"

/* What the ledger logged while `run` ran. */
static void capture_log(char *out, size_t size, void (*run)(struct bench *), struct bench *bench)
{
    FILE *file = tmpfile();
    CU_ASSERT_PTR_NOT_NULL_FATAL(file);
    int saved = dup(STDERR_FILENO);
    (void)dup2(fileno(file), STDERR_FILENO);
    log_set_level(LOG_LEVEL_INFO);
    run(bench);
    log_set_level(LOG_LEVEL_WARNING);
    (void)dup2(saved, STDERR_FILENO);
    (void)close(saved);
    rewind(file);
    out[fread(out, 1, size - 1, file)] = '\0';
    (void)fclose(file);
}

static unsigned occurrences(const char *text, const char *part)
{
    unsigned count = 0;
    for (const char *at = text; (at = strstr(at, part)); at++)
        count++;
    return count;
}

static void advance_some(struct bench *bench)
{
    struct ledger *ledger = bench->ledger;
    CU_ASSERT_EQUAL(ledger_advance(ledger, 1, STUDY_VALIDATING, STUDY_READY, "valid", NULL), 0);
    CU_ASSERT_EQUAL(ledger_advance(ledger, 1, STUDY_VALIDATING, STUDY_READY, "valid", NULL),
                    LEDGER_CONFLICT);
    CU_ASSERT_EQUAL(ledger_advance(ledger, 1, STUDY_READY, STUDY_COMPLETED, "skipped", NULL), -1);
    CU_ASSERT_EQUAL(ledger_advance(ledger, 99, STUDY_READY, STUDY_PACKAGING, "none", NULL),
                    LEDGER_NOT_FOUND);
}

static void test_a_change_is_logged_once(void)
{
    struct bench *bench = bench_new(false);
    char log[4096];
    SEND(bench, .patient = "SECRET");
    bench_bring(bench, 1, STUDY_VALIDATING);
    capture_log(log, sizeof log, advance_some, bench);
    CU_ASSERT_EQUAL(occurrences(log, "\n"), 1);
    CU_ASSERT_EQUAL(occurrences(log, "study S1 1.2.3: validating → ready (valid)\n"), 1);
    CU_ASSERT_PTR_NULL(strstr(log, "SECRET"));
    bench_free(bench);
}

/* Every pair of states: only what the table has happens, and the rest leaves all as it was. */
static void test_advance_follows_the_table(void)
{
    for (unsigned from = 0; from < STUDY_STATE_COUNT; from++) {
        for (unsigned to = 0; to < STUDY_STATE_COUNT; to++) {
            struct bench *bench = bench_new(false);
            SEND(bench, .sop = "1.1");
            bench_bring(bench, 1, (enum study_state)from);
            bool allowed = study_state_allows((enum study_state)from, (enum study_state)to);
            int result = ledger_advance(bench->ledger, 1, (enum study_state)from,
                                        (enum study_state)to, "why", &bench->err);
            CU_ASSERT_EQUAL(result, allowed ? 0 : -1);
            struct ledger_study study = bench_study(bench, 1);
            CU_ASSERT_EQUAL(study.state, allowed ? to : from);
            if (!allowed) {
                CU_ASSERT_PTR_NOT_NULL(
                    strstr(bench->err.text, study_state_name((enum study_state)from)));
                CU_ASSERT_PTR_NOT_NULL(
                    strstr(bench->err.text, study_state_name((enum study_state)to)));
            } else {
                CU_ASSERT_STRING_EQUAL(study.reason, "why");
            }
            CU_ASSERT_TRUE(bench_adds_up(bench));
            bench_free(bench);
        }
    }
}

/* One who has looked earlier takes no lease away from who has the study now. */
static void test_defer_is_for_the_state_that_was_seen(void)
{
    struct bench *bench = bench_new(false);
    int64_t next = 0;
    struct ledger_study study;
    SEND(bench, .sop = "1.1");
    bench_bring(bench, 1, STUDY_READY);
    CU_ASSERT_EQUAL(ledger_claim(bench->ledger, &study, "main", "w", bench->now, 1000, &next, NULL),
                    0);
    CU_ASSERT_EQUAL(ledger_defer(bench->ledger, 1, STUDY_RECEIVING, 1, "held", false, NULL),
                    LEDGER_CONFLICT);
    CU_ASSERT_EQUAL(ledger_claim(bench->ledger, &study, "main", "v", bench->now, 1000, &next, NULL),
                    LEDGER_NOT_FOUND);
    bench_free(bench);
}

static void test_advance_clears_the_wait(void)
{
    struct bench *bench = bench_new(false);
    struct ledger_study study;
    SEND(bench, .sop = "1.1");
    bench_bring(bench, 1, STUDY_READY);
    CU_ASSERT_EQUAL(ledger_defer(bench->ledger, 1, bench_study(bench, 1).state, 5000, "server down",
                                 true, NULL),
                    0);
    CU_ASSERT_EQUAL(ledger_defer(bench->ledger, 1, bench_study(bench, 1).state, 6000, "server down",
                                 true, NULL),
                    0);
    study = bench_study(bench, 1);
    CU_ASSERT_EQUAL(study.attempt, 2);
    CU_ASSERT_EQUAL(study.retry_at_ms, 6000);
    CU_ASSERT_STRING_EQUAL(study.reason, "server down");
    CU_ASSERT_EQUAL(study.state, STUDY_READY);
    bench->now = 2000000;
    bench_bring(bench, 1, STUDY_PACKAGING);
    study = bench_study(bench, 1);
    CU_ASSERT_EQUAL(study.attempt, 0);
    CU_ASSERT_EQUAL(study.retry_at_ms, 0);
    CU_ASSERT_EQUAL(study.changed_ms, 2000000);
    CU_ASSERT_EQUAL(study.completed_ms, 0);
    bench->now = 3000000;
    bench_bring(bench, 1, STUDY_COMPLETED);
    CU_ASSERT_EQUAL(bench_study(bench, 1).completed_ms, 3000000);
    CU_ASSERT_EQUAL(
        ledger_defer(bench->ledger, 1, bench_study(bench, 1).state, 1, "no", false, NULL),
        LEDGER_CONFLICT);
    CU_ASSERT_EQUAL(ledger_defer(bench->ledger, 9, STUDY_READY, 1, "no", false, NULL),
                    LEDGER_NOT_FOUND);
    bench_free(bench);
}

static void expect_due(struct bench *bench, int64_t now, int64_t study, int64_t next)
{
    int64_t id = 0, next_ms = 0;
    int result = ledger_study_due(bench->ledger, &id, now, &next_ms, &bench->err);
    CU_ASSERT_EQUAL(result, study ? 0 : LEDGER_NOT_FOUND);
    CU_ASSERT_EQUAL(id, study);
    CU_ASSERT_EQUAL(next_ms, next);
}

static void test_due(void)
{
    struct bench *bench = bench_new(true);
    int64_t start = bench->now, due = start + QUIET;
    expect_due(bench, start, 0, INT64_MAX);
    SEND(bench, .study = "1.1");
    bench->now += 10;
    SEND(bench, .study = "1.2");
    expect_due(bench, due - 1, 0, due);
    expect_due(bench, due, 1, due);
    /* Held: it is due later. */
    CU_ASSERT_EQUAL(ledger_defer(bench->ledger, 1, bench_study(bench, 1).state, due + 5000, "held",
                                 false, NULL),
                    0);
    CU_ASSERT_EQUAL(bench_study(bench, 1).due_ms, due + 5000);
    expect_due(bench, due + 10, 2, due + 10);
    bench_bring(bench, 2, STUDY_READY);
    expect_due(bench, due + 10, 0, due + 5000);
    /* In validating: at once, or after its wait. */
    bench_bring(bench, 1, STUDY_VALIDATING);
    expect_due(bench, start, 1, 0);
    CU_ASSERT_EQUAL(ledger_defer(bench->ledger, 1, bench_study(bench, 1).state, due + 7000, "disk",
                                 false, NULL),
                    0);
    expect_due(bench, due, 0, due + 7000);
    CU_ASSERT_EQUAL(ledger_recover(bench->ledger, &bench->err), 0);
    expect_due(bench, start, 1, 0);
    bench_free(bench);
}

/* The even ones for five seconds; the others stay as they are. */
static int64_t five_seconds(void *context, const struct ledger_study *study)
{
    const struct bench *bench = context;
    return study->id % 2 == 0 ? bench->now + 5000 : bench->now;
}

static void test_put_off(void)
{
    struct bench *bench = bench_new(true);
    unsigned moved = 9;
    SEND(bench, .study = "1.1");
    SEND(bench, .study = "1.2");
    SEND(bench, .study = "1.3");
    SEND(bench, .study = "1.4");
    SEND(bench, .study = "1.6");
    SEND(bench, .study = "1.7");
    bench_bring(bench, 4, STUDY_READY);
    int64_t due = bench->now + QUIET;
    bench->now = due - 1;
    CU_ASSERT_EQUAL(
        ledger_put_off(bench->ledger, &moved, bench->now, five_seconds, bench, "late", &bench->err),
        0);
    CU_ASSERT_EQUAL(moved, 0); /* none was due */
    bench->now = due;
    CU_ASSERT_EQUAL(
        ledger_put_off(bench->ledger, &moved, bench->now, five_seconds, bench, "late", &bench->err),
        0);
    CU_ASSERT_EQUAL(moved, 2);
    for (int64_t id = 1; id <= 6; id++) {
        struct ledger_study study = bench_study(bench, id);
        bool is_moved = id == 2 || id == 6;
        CU_ASSERT_EQUAL(study.due_ms, is_moved ? due + 5000 : due);
        CU_ASSERT_EQUAL(strcmp(study.reason, "late") == 0, is_moved);
    }
    expect_due(bench, due, 1, due);
    bench_free(bench);
}

static void expect_later(struct bench *bench, int64_t due_after, int64_t retry_after, bool expected)
{
    bool found = !expected;
    CU_ASSERT_EQUAL(ledger_waits_later(bench->ledger, &found, due_after, retry_after, &bench->err),
                    0);
    CU_ASSERT_EQUAL(found, expected);
}

static void test_waits_later(void)
{
    struct bench *bench = bench_new(true);
    int64_t due = bench->now + QUIET, retry = bench->now + 100000;
    SEND(bench, .study = "1.1");
    expect_later(bench, due, 0, false);
    expect_later(bench, due - 1, INT64_MAX, true);
    static const enum study_state states[] = {STUDY_VALIDATING, STUDY_READY, STUDY_PACKAGING,
                                              STUDY_UPLOADING, STUDY_CONFIRMING};
    for (size_t i = 0; i < sizeof states / sizeof *states; i++) {
        bench_bring(bench, 1, states[i]);
        expect_later(bench, 0, 0, false);
        CU_ASSERT_EQUAL(ledger_defer(bench->ledger, 1, states[i], retry, "away", false, NULL), 0);
        expect_later(bench, INT64_MAX, retry, false);
        expect_later(bench, INT64_MAX, retry - 1, true);
    }
    bench_free(bench);
}

static void test_resolve(void)
{
    struct bench *bench = bench_new(true);
    SEND(bench, .study = "1.2.7");
    SEND(bench, .study = "1.2.8");
    SEND(bench, .study = "1.2.8", .version = 1);
    static const struct {
        const char *text;
        int result;
        int64_t id;
    } rows[] = {
        {"S1", 0, 1},
        {"s2", 0, 2},
        {"3", 0, 3},
        {"1.2.7", 0, 1},
        {"1.2.8", -1, 0},
        {"S4", LEDGER_NOT_FOUND, 0},
        {"1.2.9", LEDGER_NOT_FOUND, 0},
        {"", LEDGER_NOT_FOUND, 0},
        {"S", LEDGER_NOT_FOUND, 0},
        {"S1x", LEDGER_NOT_FOUND, 0},
        {"-1", LEDGER_NOT_FOUND, 0},
        {"99999999999999999999", LEDGER_NOT_FOUND, 0},
        {"' OR 1=1 --", LEDGER_NOT_FOUND, 0},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        int64_t id = 0;
        bench->err.text[0] = '\0';
        CU_ASSERT_EQUAL(ledger_resolve(bench->ledger, &id, rows[i].text, &bench->err),
                        rows[i].result);
        CU_ASSERT_EQUAL(id, rows[i].id);
        CU_ASSERT_EQUAL(bench->err.text[0] == '\0', rows[i].result == 0);
    }
    int64_t id;
    (void)ledger_resolve(bench->ledger, &id, "1.2.8", &bench->err);
    CU_ASSERT_PTR_NOT_NULL(strstr(bench->err.text, "S2 (receiving), S3 (receiving)"));
    bench_free(bench);
}

struct visit {
    struct bench *bench;
    int64_t seen, stop_at;
    unsigned count;
};

static int note_study(void *context, const struct ledger_study *study)
{
    struct visit *visit = context;
    CU_ASSERT_TRUE(study->id > visit->seen);
    visit->seen = study->id;
    visit->count++;
    /* The ledger may be called, also to change the very study. */
    CU_ASSERT_EQUAL(ledger_set_warning(visit->bench->ledger, study->id, "seen", NULL), 0);
    return study->id == visit->stop_at ? 42 : 0;
}

static void test_list(void)
{
    struct bench *bench = bench_new(true);
    for (int i = 0; i < 40; i++) {
        char uid[32];
        (void)snprintf(uid, sizeof uid, "1.2.%d", i);
        SEND(bench, .study = uid);
        if (i % 2)
            bench_bring(bench, i + 1, STUDY_READY);
    }
    struct visit visit = {.bench = bench};
    CU_ASSERT_EQUAL(ledger_studies(bench->ledger, -1, note_study, &visit, NULL), 0);
    CU_ASSERT_EQUAL(visit.count, 40);
    visit = (struct visit){.bench = bench};
    CU_ASSERT_EQUAL(ledger_studies(bench->ledger, STUDY_READY, note_study, &visit, NULL), 0);
    CU_ASSERT_EQUAL(visit.count, 20);
    visit = (struct visit){.bench = bench, .stop_at = 17};
    CU_ASSERT_EQUAL(ledger_studies(bench->ledger, -1, note_study, &visit, NULL), 42);
    CU_ASSERT_EQUAL(visit.count, 17);
    CU_ASSERT_STRING_EQUAL(bench_study(bench, 3).warning, "seen");
    CU_ASSERT_EQUAL(ledger_set_warning(bench->ledger, 99, "x", NULL), LEDGER_NOT_FOUND);
    bench_free(bench);
}

static void test_long_texts_are_cut_between_characters(void)
{
    struct bench *bench = bench_new(false);
    char text[1200];
    SEND(bench, .sop = "1.1");
    for (size_t i = 0; i + 3 < sizeof text; i += 3)
        memcpy(text + i, "→", 4);
    CU_ASSERT_EQUAL(ledger_set_warning(bench->ledger, 1, text, NULL), 0);
    CU_ASSERT_EQUAL(strlen(bench_study(bench, 1).warning), 510);
    CU_ASSERT_EQUAL(
        ledger_defer(bench->ledger, 1, bench_study(bench, 1).state, 1, text, false, NULL), 0);
    CU_ASSERT_EQUAL(strlen(bench_study(bench, 1).reason), 510);
    bench_free(bench);
}

#define KEY_B "bbbbbbbbbbbbbbbb"

static void test_set_route(void)
{
    struct bench *bench = bench_new(false);
    struct ledger *ledger = bench->ledger;
    SEND(bench, .sop = "1.1", .destination = "");
    SEND(bench, .sop = "1.1", .route = KEY_B, .version = 1);
    CU_ASSERT_EQUAL(ledger_set_route(ledger, 1, KEY_B, "b", "other", PRIORITY_NORMAL, NULL),
                    LEDGER_CONFLICT);
    bench_bring(bench, 1, STUDY_UNROUTED);
    CU_ASSERT_EQUAL(ledger_set_route(ledger, 1, KEY_B, "b", "other", PRIORITY_NORMAL, NULL), 0);
    struct ledger_study study = bench_study(bench, 1);
    CU_ASSERT_STRING_EQUAL(study.route_key, KEY_B);
    CU_ASSERT_STRING_EQUAL(study.entry_name, "b");
    CU_ASSERT_STRING_EQUAL(study.destination, "other");
    CU_ASSERT_EQUAL(study.generation, 1);
    CU_ASSERT_EQUAL(study.first_id, 2);
    CU_ASSERT_TRUE(study.has_changed_duplicates);
    /* Nothing of the study was there yet: it is the first. */
    SEND(bench, .study = "1.9", .sop = "9.1", .destination = "");
    bench_bring(bench, 3, STUDY_UNROUTED);
    CU_ASSERT_EQUAL(ledger_set_route(ledger, 3, KEY_B, "b", "other", PRIORITY_NORMAL, NULL), 0);
    CU_ASSERT_EQUAL(bench_study(bench, 3).generation, 0);
    CU_ASSERT_EQUAL(bench_study(bench, 3).first_id, 3);
    CU_ASSERT_FALSE(bench_study(bench, 3).has_changed_duplicates);
    /* The same key: only the destination changes. */
    CU_ASSERT_EQUAL(ledger_set_route(ledger, 3, KEY_B, "b", "third", PRIORITY_NORMAL, NULL), 0);
    CU_ASSERT_EQUAL(bench_study(bench, 3).generation, 0);
    CU_ASSERT_STRING_EQUAL(bench_study(bench, 3).destination, "third");
    CU_ASSERT_EQUAL(ledger_set_route(ledger, 99, KEY_B, "b", "x", PRIORITY_NORMAL, NULL),
                    LEDGER_NOT_FOUND);
    /* Arrivals under the new key know what it brought along. */
    CU_ASSERT_EQUAL(SEND(bench, .study = "1.9", .sop = "9.1", .route = KEY_B).kind, ARRIVAL_RESEND);
    bench_free(bench);
}

static CU_TestInfo cases[] = {SUITE_CASE(test_a_change_is_logged_once),
                              SUITE_CASE(test_advance_follows_the_table),
                              SUITE_CASE(test_defer_is_for_the_state_that_was_seen),
                              SUITE_CASE(test_advance_clears_the_wait),
                              SUITE_CASE(test_due),
                              SUITE_CASE(test_put_off),
                              SUITE_CASE(test_waits_later),
                              SUITE_CASE(test_resolve),
                              SUITE_CASE(test_list),
                              SUITE_CASE(test_long_texts_are_cut_between_characters),
                              SUITE_CASE(test_set_route),
                              CU_TEST_INFO_NULL};
SUITE_MAIN("ledger: studies", cases)
