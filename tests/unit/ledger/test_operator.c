/* What a person asks for: release, cancel, retry, discard, forget. */
#include "bench.h"

#include "aurabridge/ledger_due.h"

#include <string.h>

static void test_release(void)
{
    struct bench *bench = bench_new(false);
    int64_t left = -1;
    SEND(bench, .sop = "1");
    CU_ASSERT_EQUAL(ledger_study_release(bench->ledger, 1, NULL, &left, NULL), LEDGER_CONFLICT);
    bench_bring(bench, 1, STUDY_QUARANTINED);
    CU_ASSERT_EQUAL(ledger_study_release(bench->ledger, 1, NULL, &left, NULL), 0);
    CU_ASSERT_EQUAL(left, 0);
    CU_ASSERT_EQUAL(bench_study(bench, 1).state, STUDY_VALIDATING);
    CU_ASSERT_TRUE(bench_study(bench, 1).released);
    CU_ASSERT_EQUAL(ledger_study_release(bench->ledger, 9, NULL, &left, NULL), LEDGER_NOT_FOUND);
    bench_free(bench);
}

static void send_two_patients(struct bench *bench)
{
    SEND(bench, .sop = "1", .patient = "A", .size = 100);
    SEND(bench, .sop = "2", .patient = "B", .size = 30, .truncated = true);
    SEND(bench, .sop = "3", .patient = "A", .size = 100);
    SEND(bench, .sop = "4", .patient = "C", .size = 7);
    SEND(bench, .sop = "1", .patient = "A"); /* a resend */
    bench_bring(bench, 1, STUDY_QUARANTINED);
}

static void test_release_one_patient(void)
{
    struct bench *bench = bench_new(true);
    int64_t left = 0;
    send_two_patients(bench);
    CU_ASSERT_EQUAL(ledger_study_release(bench->ledger, 1, "A", &left, NULL), 0);
    CU_ASSERT_EQUAL(left, 2);
    struct ledger_study gone = bench_study(bench, 1), kept = bench_study(bench, 2);
    CU_ASSERT_EQUAL(gone.state, STUDY_VALIDATING);
    CU_ASSERT_EQUAL(gone.instances, 2);
    CU_ASSERT_EQUAL(gone.bytes, 200);
    CU_ASSERT_EQUAL(gone.truncated, 0);
    CU_ASSERT_EQUAL(gone.resends, 1);
    CU_ASSERT_EQUAL(kept.state, STUDY_QUARANTINED);
    CU_ASSERT_EQUAL(kept.instances, 2);
    CU_ASSERT_EQUAL(kept.bytes, 37);
    CU_ASSERT_EQUAL(kept.truncated, 1);
    CU_ASSERT_EQUAL(kept.generation, 1);
    CU_ASSERT_EQUAL(kept.first_id, 1);
    CU_ASSERT_FALSE(kept.released);
    CU_ASSERT_STRING_EQUAL(kept.destination, "main");
    CU_ASSERT_STRING_EQUAL(kept.reason, "left behind when S1 was released");
    CU_ASSERT_TRUE(bench_adds_up(bench));
    /* What was left behind is known, and can be released by itself. */
    CU_ASSERT_EQUAL(SEND(bench, .sop = "2", .patient = "B").study_id, 2);
    CU_ASSERT_EQUAL(ledger_study_release(bench->ledger, 2, "B", &left, NULL), 0);
    CU_ASSERT_EQUAL(left, 3);
    CU_ASSERT_EQUAL(bench_study(bench, 3).instances, 1);
    CU_ASSERT_EQUAL(bench_study(bench, 1).acknowledged, 3); /* with the resend */
    CU_ASSERT_EQUAL(bench_study(bench, 2).acknowledged, 2);
    CU_ASSERT_EQUAL(bench_study(bench, 3).acknowledged, 1);
    CU_ASSERT_TRUE(bench_adds_up(bench));
    CU_ASSERT_TRUE(bench_is_sound(bench));
    bench_free(bench);
}

static void test_release_of_nobody(void)
{
    struct bench *bench = bench_new(true);
    int64_t left = 0;
    send_two_patients(bench);
    CU_ASSERT_EQUAL(ledger_study_release(bench->ledger, 1, "SECRET", &left, &bench->err), -1);
    CU_ASSERT_PTR_NULL(strstr(bench->err.text, "SECRET"));
    CU_ASSERT_EQUAL(bench_study(bench, 1).state, STUDY_QUARANTINED);
    CU_ASSERT_EQUAL(bench_study(bench, 1).instances, 4);
    CU_ASSERT_FALSE(bench_study(bench, 1).released);
    /* Everyone is that patient: nothing is left behind. */
    SEND(bench, .study = "1.9", .sop = "9", .patient = "A");
    bench_bring(bench, 2, STUDY_QUARANTINED);
    CU_ASSERT_EQUAL(ledger_study_release(bench->ledger, 2, "A", &left, NULL), 0);
    CU_ASSERT_EQUAL(left, 0);
    bench_free(bench);
}

static void test_cancel_and_retry(void)
{
    struct bench *bench = bench_new(false);
    SEND(bench, .sop = "1");
    bench_bring(bench, 1, STUDY_UPLOADING);
    struct ledger_upload upload = {.upload_id = "id", .step = STEP_START_DONE, .upload_url = "u"};
    CU_ASSERT_EQUAL(ledger_upload_put(bench->ledger, 1, &upload, NULL), 0);
    CU_ASSERT_EQUAL(ledger_defer(bench->ledger, 1, STUDY_UPLOADING, 9000000, "down", true, NULL),
                    0);
    CU_ASSERT_EQUAL(ledger_study_request_cancel(bench->ledger, 1, NULL), 0);
    CU_ASSERT_TRUE(bench_study(bench, 1).cancel_requested);
    CU_ASSERT_EQUAL(bench_study(bench, 1).retry_at_ms, 0);
    CU_ASSERT_EQUAL(bench_study(bench, 1).state, STUDY_UPLOADING);
    bench_bring(bench, 1, STUDY_CANCELLED);
    CU_ASSERT_FALSE(bench_study(bench, 1).cancel_requested);
    CU_ASSERT_EQUAL(ledger_study_request_cancel(bench->ledger, 1, NULL), LEDGER_CONFLICT);
    CU_ASSERT_EQUAL(ledger_study_retry(bench->ledger, 1, NULL), 0);
    struct ledger_study study = bench_study(bench, 1);
    CU_ASSERT_EQUAL(study.state, STUDY_READY);
    CU_ASSERT_STRING_EQUAL(study.upload.upload_id, "");
    CU_ASSERT_STRING_EQUAL(study.upload.upload_url, "");
    CU_ASSERT_EQUAL(study.upload.step, STEP_NONE);
    CU_ASSERT_EQUAL(ledger_study_retry(bench->ledger, 9, NULL), LEDGER_NOT_FOUND);
    CU_ASSERT_EQUAL(ledger_study_request_cancel(bench->ledger, 9, NULL), LEDGER_NOT_FOUND);
    bench_free(bench);
}

/* A paused destination lets no worker come, so what nobody has heard of needs none. */
static void test_cancel_before_anyone_has_heard_of_it(void)
{
    static const struct {
        enum study_state state;
        enum ledger_step step;
        bool is_leased, is_done;
    } rows[] = {{STUDY_READY, STEP_NONE, false, true},
                {STUDY_READY, STEP_NONE, true, false},
                {STUDY_READY, STEP_INIT_SENT, false, false},
                {STUDY_PACKAGING, STEP_NONE, false, true},
                {STUDY_QUARANTINED, STEP_START_DONE, false, false},
                {STUDY_UPLOADING, STEP_ERROR_DONE, false, true}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct bench *bench = bench_new(false);
        int64_t next = 0;
        struct ledger_study study;
        SEND(bench, .sop = "1");
        bench_bring(bench, 1, rows[i].state);
        struct ledger_upload upload = {.upload_id = "id", .step = rows[i].step};
        CU_ASSERT_EQUAL(ledger_upload_put(bench->ledger, 1, &upload, NULL), 0);
        if (rows[i].is_leased)
            CU_ASSERT_EQUAL(
                ledger_claim(bench->ledger, &study, "main", "w", bench->now, 1000, &next, NULL), 0);
        CU_ASSERT_EQUAL(ledger_study_request_cancel(bench->ledger, 1, NULL), 0);
        study = bench_study(bench, 1);
        CU_ASSERT_EQUAL(study.state, rows[i].is_done ? STUDY_CANCELLED : rows[i].state);
        CU_ASSERT_EQUAL(study.cancel_requested, !rows[i].is_done);
        if (!rows[i].is_done) {
            CU_ASSERT_EQUAL(ledger_study_retry(bench->ledger, 1, &bench->err), LEDGER_CONFLICT);
            CU_ASSERT_PTR_NOT_NULL(strstr(bench->err.text, rows[i].state == STUDY_QUARANTINED
                                                               ? "nothing to retry"
                                                               : "being cancelled"));
        }
        if (!rows[i].is_done && rows[i].step != STEP_NONE) {
            CU_ASSERT_EQUAL(ledger_study_discard(bench->ledger, 1, "x", &bench->err),
                            LEDGER_CONFLICT);
            CU_ASSERT_PTR_NOT_NULL(strstr(bench->err.text, "being cancelled"));
        }
        bench_free(bench);
    }
}

static void test_retry_by_state(void)
{
    for (unsigned state = 0; state < STUDY_STATE_COUNT; state++) {
        struct bench *bench = bench_new(false);
        SEND(bench, .sop = "1");
        /* A delivery that failed or was withdrawn had passed validation. */
        if (state == STUDY_CANCELLED)
            bench_bring(bench, 1, STUDY_READY);
        bench_bring(bench, 1, (enum study_state)state);
        bool in_flight = study_state_is_in_flight((enum study_state)state);
        bool restarts = state == STUDY_FAILED || state == STUDY_CANCELLED;
        struct ledger_upload upload = {.upload_id = "id"};
        CU_ASSERT_EQUAL(ledger_upload_put(bench->ledger, 1, &upload, NULL), 0);
        if (in_flight)
            CU_ASSERT_EQUAL(ledger_defer(bench->ledger, 1, (enum study_state)state, 9000000, "down",
                                         true, NULL),
                            0);
        CU_ASSERT_EQUAL(ledger_study_retry(bench->ledger, 1, &bench->err),
                        in_flight || restarts ? 0 : LEDGER_CONFLICT);
        struct ledger_study study = bench_study(bench, 1);
        CU_ASSERT_EQUAL(study.state, restarts ? STUDY_READY : state);
        CU_ASSERT_EQUAL(study.retry_at_ms, 0);
        CU_ASSERT_STRING_EQUAL(study.upload.upload_id, restarts ? "" : "id");
        bench_free(bench);
    }
}

/* What was cancelled before it passed validation never goes up by a retry. */
static void test_retry_never_skips_validation(void)
{
    static const enum study_state before[] = {STUDY_VALIDATING, STUDY_QUARANTINED, STUDY_UNROUTED};
    for (size_t i = 0; i < sizeof before / sizeof *before; i++) {
        struct bench *bench = bench_new(false);
        SEND(bench, .sop = "1");
        bench_bring(bench, 1, before[i]);
        bench_bring(bench, 1, STUDY_CANCELLED);
        bool may = study_state_allows(STUDY_CANCELLED, STUDY_VALIDATING);
        CU_ASSERT_EQUAL(ledger_study_retry(bench->ledger, 1, NULL), may ? 0 : LEDGER_CONFLICT);
        CU_ASSERT_NOT_EQUAL(bench_study(bench, 1).state, STUDY_READY);
        bench_free(bench);
    }
}

static void test_discard(void)
{
    for (unsigned state = 0; state < STUDY_STATE_COUNT; state++) {
        struct bench *bench = bench_new(false);
        SEND(bench, .sop = "1", .truncated = true);
        SEND(bench, .sop = "2");
        SEND(bench, .sop = "2");
        CU_ASSERT_EQUAL(ledger_instance_drop(bench->ledger, 1, "rule", NULL), 0);
        bench_bring(bench, 1, (enum study_state)state);
        bool may = study_state_allows((enum study_state)state, STUDY_DISCARDED);
        CU_ASSERT_EQUAL(ledger_study_discard(bench->ledger, 1, "wrong patient", NULL),
                        may ? 0 : LEDGER_CONFLICT);
        struct ledger_study study = bench_study(bench, 1);
        if (may) {
            CU_ASSERT_EQUAL(study.state, STUDY_DISCARDED);
            CU_ASSERT_STRING_EQUAL(study.reason, "wrong patient");
            CU_ASSERT_EQUAL(study.instances, 0);
            CU_ASSERT_EQUAL(study.bytes, 0);
            CU_ASSERT_EQUAL(study.discarded, 1);
            CU_ASSERT_EQUAL(study.dropped, 1);
            CU_ASSERT_EQUAL(study.resends, 1);
        }
        CU_ASSERT_TRUE(bench_adds_up(bench));
        bench_free(bench);
    }
}

/* After a cancel its instances are new when they come again: one of the two uploads is enough. */
static void test_retry_repeats_no_later_upload(void)
{
    struct bench *bench = bench_new(false);
    SEND(bench, .sop = "1");
    bench_bring(bench, 1, STUDY_CANCELLED);
    CU_ASSERT_EQUAL(SEND(bench, .sop = "1").study_id, 2);
    CU_ASSERT_EQUAL(ledger_study_retry(bench->ledger, 1, &bench->err), LEDGER_CONFLICT);
    CU_ASSERT_PTR_NOT_NULL(strstr(bench->err.text, "S2"));
    CU_ASSERT_EQUAL(bench_study(bench, 1).state, STUDY_CANCELLED);
    bench_bring(bench, 2, STUDY_DISCARDED);
    CU_ASSERT_EQUAL(ledger_study_retry(bench->ledger, 1, NULL), 0);
    bench_free(bench);
}

static void test_forget_only_what_is_final(void)
{
    for (unsigned state = 0; state < STUDY_STATE_COUNT; state++) {
        struct bench *bench = bench_new(false);
        SEND(bench, .sop = "1");
        bench_bring(bench, 1, (enum study_state)state);
        bool may = study_state_is_final((enum study_state)state);
        CU_ASSERT_EQUAL(ledger_study_forget(bench->ledger, 1, NULL), may ? 0 : LEDGER_CONFLICT);
        CU_ASSERT_EQUAL(SEND(bench, .sop = "1").kind == ARRIVAL_STORED, may);
        bench_free(bench);
    }
}

static CU_TestInfo cases[] = {SUITE_CASE(test_release),
                              SUITE_CASE(test_release_one_patient),
                              SUITE_CASE(test_release_of_nobody),
                              SUITE_CASE(test_cancel_and_retry),
                              SUITE_CASE(test_cancel_before_anyone_has_heard_of_it),
                              SUITE_CASE(test_retry_by_state),
                              SUITE_CASE(test_retry_never_skips_validation),
                              SUITE_CASE(test_retry_repeats_no_later_upload),
                              SUITE_CASE(test_discard),
                              SUITE_CASE(test_forget_only_what_is_final),
                              CU_TEST_INFO_NULL};
SUITE_MAIN("ledger: operator", cases)
