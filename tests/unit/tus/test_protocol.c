/* The pure protocol: a row for every status and failure, per question. */
#include "protocol.h"

#include "suite.h"

#include <stdio.h>
#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof *(array))
#define MIB          (UINT64_C(1024) * 1024)
#define LENGTH       (100 * MIB)

static const struct tus_answer plain = {
    .failure = HTTP_OK, .speaks_tus = true, .retry_after_ms = -1};

static void check(const char *table, size_t row, const struct tus_decision *got,
                  enum tus_action action, enum tus_outcome outcome)
{
    bool as_expected = got->action == action &&
                       (action != TUS_ACTION_END || got->outcome == outcome) &&
                       (action == TUS_ACTION_SEND || got->outcome == TUS_DONE ||
                        (got->reason != NULL && got->reason[0] != '\0'));
    if (!as_expected)
        (void)printf("\n%s, row %zu: action %d outcome %d (%s)\n", table, row, (int)got->action,
                     (int)got->outcome, got->reason != NULL ? got->reason : "-");
    CU_ASSERT(as_expected);
}

/* ---- statuses ---- */

struct status_case {
    enum tus_question question;
    int status;
    bool renewed;
    enum tus_action action;
    enum tus_outcome outcome;
};

#define C            TUS_QUESTION_CREATE
#define H            TUS_QUESTION_OFFSET
#define P            TUS_QUESTION_SEND
#define D            TUS_QUESTION_TERMINATE
#define END(outcome) TUS_ACTION_END, outcome
#define WAIT         TUS_ACTION_WAIT, TUS_RETRY

static const struct status_case status_cases[] = {
    /* Creation */
    {C, 200, false, END(TUS_DESTINATION)},
    {C, 204, false, END(TUS_DESTINATION)},
    {C, 201, false, END(TUS_DESTINATION)}, /* no Location */
    {C, 301, false, END(TUS_DESTINATION)},
    {C, 302, false, END(TUS_DESTINATION)},
    {C, 307, false, END(TUS_DESTINATION)},
    {C, 400, false, WAIT},
    {C, 401, false, END(TUS_RENEW_TOKEN)},
    {C, 401, true, END(TUS_DESTINATION)},
    {C, 403, false, END(TUS_RENEW_TOKEN)},
    {C, 403, true, END(TUS_DESTINATION)},
    {C, 404, false, END(TUS_DESTINATION)},
    {C, 405, false, END(TUS_DESTINATION)},
    {C, 407, false, END(TUS_DESTINATION)},
    {C, 408, false, WAIT},
    {C, 409, false, END(TUS_RETRY)},
    {C, 410, false, END(TUS_DESTINATION)},
    {C, 412, false, END(TUS_DESTINATION)},
    {C, 413, false, END(TUS_TOO_LARGE)},
    {C, 415, false, END(TUS_DESTINATION)},
    {C, 422, false, END(TUS_RETRY)},
    {C, 423, false, WAIT},
    {C, 425, false, WAIT},
    {C, 429, false, TUS_ACTION_WAIT, TUS_AWAY},
    {C, 500, false, WAIT},
    {C, 501, false, WAIT},
    {C, 502, false, WAIT},
    {C, 503, false, WAIT},
    {C, 504, false, WAIT},
    {C, 505, false, END(TUS_DESTINATION)},
    {C, 507, false, WAIT},
    {C, 511, false, END(TUS_DESTINATION)},
    {C, 0, false, END(TUS_DESTINATION)},
    {C, 999, false, END(TUS_DESTINATION)},
    /* HEAD */
    {H, 200, false, WAIT}, /* no Upload-Offset */
    {H, 204, false, WAIT},
    {H, 201, false, END(TUS_DESTINATION)},
    {H, 302, false, END(TUS_DESTINATION)},
    {H, 400, false, WAIT},
    {H, 401, false, END(TUS_RENEW_TOKEN)},
    {H, 401, true, END(TUS_DESTINATION)},
    {H, 403, false, END(TUS_RENEW_TOKEN)},
    {H, 403, true, END(TUS_GONE)},
    {H, 404, false, END(TUS_GONE)},
    {H, 405, false, END(TUS_DESTINATION)},
    {H, 408, false, WAIT},
    {H, 410, false, END(TUS_GONE)},
    {H, 412, false, END(TUS_DESTINATION)},
    {H, 423, false, WAIT},
    {H, 429, false, TUS_ACTION_WAIT, TUS_AWAY},
    {H, 500, false, WAIT},
    {H, 502, false, WAIT},
    {H, 503, false, WAIT},
    {H, 504, false, WAIT},
    {H, 511, false, END(TUS_DESTINATION)},
    /* PATCH */
    {P, 200, false, TUS_ACTION_ASK, TUS_RETRY},
    {P, 204, false, TUS_ACTION_ASK, TUS_RETRY}, /* no Upload-Offset */
    {P, 308, false, END(TUS_DESTINATION)},
    {P, 400, false, WAIT},
    {P, 401, false, END(TUS_RENEW_TOKEN)},
    {P, 401, true, END(TUS_DESTINATION)},
    {P, 403, false, END(TUS_RENEW_TOKEN)},
    {P, 403, true, END(TUS_GONE)},
    {P, 404, false, END(TUS_GONE)},
    {P, 405, false, TUS_ACTION_OVERRIDE, TUS_RETRY},
    {P, 408, false, WAIT},
    {P, 409, false, TUS_ACTION_ASK, TUS_RETRY},
    {P, 410, false, END(TUS_GONE)},
    {P, 412, false, END(TUS_DESTINATION)},
    {P, 413, false, TUS_ACTION_HALVE, TUS_RETRY},
    {P, 415, false, END(TUS_DESTINATION)},
    {P, 423, false, WAIT},
    {P, 429, false, TUS_ACTION_WAIT, TUS_AWAY},
    {P, 460, false, TUS_ACTION_RESEND, TUS_RETRY},
    {P, 500, false, WAIT},
    {P, 501, false, TUS_ACTION_OVERRIDE, TUS_RETRY},
    {P, 502, false, WAIT},
    {P, 503, false, WAIT},
    {P, 504, false, WAIT},
    /* DELETE */
    {D, 200, false, END(TUS_DONE)},
    {D, 204, false, END(TUS_DONE)},
    {D, 404, false, END(TUS_DONE)},
    {D, 410, false, END(TUS_DONE)},
    {D, 401, false, END(TUS_RENEW_TOKEN)},
    {D, 403, true, END(TUS_DESTINATION)},
    {D, 405, false, END(TUS_DESTINATION)},
    {D, 423, false, WAIT},
    {D, 500, false, WAIT},
};

static void test_status(void)
{
    for (size_t i = 0; i < COUNT(status_cases); i++) {
        const struct status_case *row = &status_cases[i];
        struct tus_asked asked = {.question = row->question,
                                  .length = LENGTH,
                                  .sent = 8 * MIB,
                                  .token_renewed = row->renewed};
        struct tus_answer answer = plain;
        answer.status = row->status;
        struct tus_decision got = tus_next(&asked, &answer);
        check("status", i, &got, row->action, row->outcome);
    }
}

/* No status at all may leave the driver without an answer or make it believe in progress. */
static void test_every_status_is_answered(void)
{
    for (int question = C; question <= D; question++)
        for (int status = 0; status < 1000; status++) {
            struct tus_asked asked = {
                .question = (enum tus_question)question, .length = LENGTH, .sent = 8 * MIB};
            struct tus_answer answer = plain;
            answer.status = status;
            struct tus_decision got = tus_next(&asked, &answer);
            CU_ASSERT(got.action != TUS_ACTION_SEND);
            CU_ASSERT(got.action != TUS_ACTION_END || got.outcome != TUS_DONE || question == D);
            CU_ASSERT(got.reason != NULL || got.outcome == TUS_DONE);
        }
}

static void test_failure(void)
{
    static const struct {
        enum http_failure failure;
        bool reached;
        enum tus_action action;
        enum tus_outcome outcome;
    } rows[] = {
        {HTTP_UNREACHABLE, true, WAIT},
        {HTTP_UNREACHABLE, false, TUS_ACTION_WAIT, TUS_AWAY},
        {HTTP_TIMEOUT, true, WAIT},
        {HTTP_TIMEOUT, false, TUS_ACTION_WAIT, TUS_AWAY},
        {HTTP_TOO_LARGE, true, WAIT},
        {HTTP_TLS, false, END(TUS_DESTINATION)},
        {HTTP_READ_FAILED, false, END(TUS_RETRY)},
        {HTTP_CANCELLED, false, END(TUS_STOPPED)},
        {HTTP_LOCAL, false, END(TUS_RETRY)},
        {(enum http_failure)99, false, END(TUS_RETRY)},
    };
    for (int question = C; question <= D; question++)
        for (size_t i = 0; i < COUNT(rows); i++) {
            struct tus_asked asked = {.question = (enum tus_question)question, .length = LENGTH};
            struct tus_answer answer = {
                .failure = rows[i].failure, .reached = rows[i].reached, .retry_after_ms = -1};
            struct tus_decision got = tus_next(&asked, &answer);
            check("failure", i, &got, rows[i].action, rows[i].outcome);
        }
}

/* ---- figures ---- */

static void test_figures(void)
{
    static const struct {
        enum tus_question question;
        int status;
        bool has_offset;
        uint64_t offset;
        bool has_length;
        uint64_t length;
        bool expired;
        enum tus_action action;
        enum tus_outcome outcome;
    } rows[] = {
        /* HEAD: the server's figure is the truth */
        {H, 200, true, 0, true, LENGTH, false, TUS_ACTION_SEND, TUS_RETRY},
        {H, 204, true, 7, false, 0, false, TUS_ACTION_SEND, TUS_RETRY},
        {H, 200, true, 60 * MIB, true, LENGTH, false, TUS_ACTION_SEND, TUS_RETRY},
        {H, 200, true, LENGTH - 1, true, LENGTH, false, TUS_ACTION_SEND, TUS_RETRY},
        {H, 200, true, LENGTH, true, LENGTH, false, END(TUS_DONE)},
        {H, 200, true, LENGTH, true, LENGTH, true, END(TUS_DONE)},
        {H, 200, true, LENGTH + 1, false, 0, false, END(TUS_GONE)},
        {H, 200, true, UINT64_MAX, false, 0, false, END(TUS_GONE)},
        {H, 200, true, 5, true, LENGTH + 1, false, END(TUS_GONE)},
        {H, 200, true, 5, true, LENGTH, true, END(TUS_GONE)},
        /* PATCH of 8 MiB from 40 MiB */
        {P, 204, true, 48 * MIB, false, 0, false, TUS_ACTION_SEND, TUS_RETRY},
        {P, 200, true, 48 * MIB, false, 0, false, TUS_ACTION_SEND, TUS_RETRY},
        {P, 204, true, 40 * MIB + 1, false, 0, false, TUS_ACTION_SEND, TUS_RETRY},
        {P, 204, true, 40 * MIB, false, 0, false, TUS_ACTION_ASK, TUS_RETRY},
        {P, 204, true, 0, false, 0, false, TUS_ACTION_ASK, TUS_RETRY},
        {P, 204, true, 48 * MIB + 1, false, 0, false, TUS_ACTION_ASK, TUS_RETRY},
        {P, 204, true, LENGTH, false, 0, false, TUS_ACTION_ASK, TUS_RETRY},
        {P, 204, true, UINT64_MAX, false, 0, false, TUS_ACTION_ASK, TUS_RETRY},
        {P, 204, true, 48 * MIB, false, 0, true, END(TUS_GONE)},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct tus_asked asked = {
            .question = rows[i].question, .length = LENGTH, .offset = 40 * MIB, .sent = 8 * MIB};
        struct tus_answer answer = plain;
        answer.status = rows[i].status;
        answer.has_offset = rows[i].has_offset;
        answer.offset = rows[i].offset;
        answer.has_length = rows[i].has_length;
        answer.length = rows[i].length;
        answer.expired = rows[i].expired;
        struct tus_decision got = tus_next(&asked, &answer);
        check("figures", i, &got, rows[i].action, rows[i].outcome);
        if (got.action == TUS_ACTION_SEND)
            CU_ASSERT_EQUAL(got.offset, rows[i].offset);
    }
}

static void test_last_chunk(void)
{
    struct tus_asked asked = {.question = P, .length = LENGTH, .offset = LENGTH - 3, .sent = 3};
    struct tus_answer answer = plain;
    answer.status = 204;
    answer.has_offset = true;
    answer.offset = LENGTH;
    struct tus_decision got = tus_next(&asked, &answer);
    check("last", 0, &got, END(TUS_DONE));
    CU_ASSERT_EQUAL(got.offset, LENGTH);
}

/* ---- who is it that answers ---- */

static void test_foreign_answers(void)
{
    static const struct {
        enum tus_question question;
        int status;
        bool html, speaks_tus, has_offset;
        enum tus_action action;
        enum tus_outcome outcome;
    } rows[] = {
        {C, 200, true, false, false, END(TUS_DESTINATION)},
        {C, 201, true, false, false, END(TUS_DESTINATION)},
        {C, 403, true, false, false, END(TUS_DESTINATION)},
        {C, 401, true, false, false, END(TUS_DESTINATION)},
        {H, 200, true, false, true, END(TUS_DESTINATION)},
        {H, 200, false, false, false, END(TUS_DESTINATION)},
        {H, 403, true, true, false, END(TUS_RENEW_TOKEN)},
        {P, 200, true, false, false, END(TUS_DESTINATION)},
        {P, 200, false, false, false, END(TUS_DESTINATION)},
        {P, 204, false, false, false, TUS_ACTION_ASK, TUS_RETRY}, /* HEAD settles it */
        {P, 204, false, false, true, TUS_ACTION_SEND, TUS_RETRY}, /* headers stripped */
        /* A gateway's error page is HTML as well */
        {P, 413, true, false, false, TUS_ACTION_HALVE, TUS_RETRY},
        {P, 502, true, false, false, WAIT},
        {P, 504, true, false, false, WAIT},
        {C, 503, true, false, false, WAIT},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct tus_asked asked = {.question = rows[i].question, .length = LENGTH, .sent = 8 * MIB};
        struct tus_answer answer = {.failure = HTTP_OK,
                                    .status = rows[i].status,
                                    .is_html = rows[i].html,
                                    .speaks_tus = rows[i].speaks_tus,
                                    .has_offset = rows[i].has_offset,
                                    .offset = 1 * MIB,
                                    .has_location = true,
                                    .retry_after_ms = -1};
        struct tus_decision got = tus_next(&asked, &answer);
        check("foreign", i, &got, rows[i].action, rows[i].outcome);
    }
}

static void test_location(void)
{
    struct tus_asked asked = {.question = C, .length = LENGTH, .secure = true};
    struct tus_answer answer = plain;
    answer.status = 201;
    answer.has_location = true;
    struct tus_decision got = tus_next(&asked, &answer);
    check("location", 0, &got, TUS_ACTION_SEND, TUS_RETRY);
    CU_ASSERT_EQUAL(got.offset, 0);

    answer.location_insecure = true;
    got = tus_next(&asked, &answer);
    check("location", 1, &got, END(TUS_DESTINATION));

    asked.secure = false;
    got = tus_next(&asked, &answer);
    check("location", 2, &got, TUS_ACTION_SEND, TUS_RETRY);
}

/* ---- limits ---- */

static void test_chunk_limit(void)
{
    static const struct {
        uint64_t sent;
        enum tus_action action;
        enum tus_outcome outcome;
        uint64_t smaller, first;
    } rows[] = {
        {64 * MIB, TUS_ACTION_HALVE, TUS_RETRY, 32 * MIB, 0},
        {12 * MIB, TUS_ACTION_HALVE, TUS_RETRY, 6 * MIB, 16 * MIB},
        {8 * MIB, TUS_ACTION_HALVE, TUS_RETRY, 5 * MIB, 0},
        {5 * MIB + 1, TUS_ACTION_HALVE, TUS_RETRY, 5 * MIB, 0},
        {5 * MIB, END(TUS_TOO_LARGE), 0, 8 * MIB},
        {1, END(TUS_TOO_LARGE), 0, 0},
        {5 * MIB, TUS_ACTION_HALVE, TUS_RETRY, 5 * MIB / 2, MIB},
        {3 * MIB / 2, TUS_ACTION_HALVE, TUS_RETRY, MIB, MIB},
        {MIB, END(TUS_TOO_LARGE), 0, MIB},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct tus_asked asked = {
            .question = P, .length = LENGTH, .sent = rows[i].sent, .first = rows[i].first};
        struct tus_answer answer = plain;
        answer.status = 413;
        struct tus_decision got = tus_next(&asked, &answer);
        check("chunk", i, &got, rows[i].action, rows[i].outcome);
        CU_ASSERT_EQUAL(tus_smaller_chunk(rows[i].sent, rows[i].first), rows[i].smaller);
        CU_ASSERT(rows[i].smaller < rows[i].sent);
    }
}

static void test_override_once(void)
{
    static const int statuses[] = {405, 501};
    for (size_t i = 0; i < COUNT(statuses); i++) {
        struct tus_asked asked = {.question = P, .length = LENGTH, .sent = 1, .overrides = true};
        struct tus_answer answer = plain;
        answer.status = statuses[i];
        struct tus_decision got = tus_next(&asked, &answer);
        check("override", i, &got, END(TUS_DESTINATION));
    }
}

/* A server that names a long wait gets it: from the caller, not by holding a worker. */
static void test_retry_after(void)
{
    static const struct {
        int64_t retry_after_ms;
        enum tus_action action;
    } rows[] = {{-1, TUS_ACTION_WAIT},
                {0, TUS_ACTION_WAIT},
                {1000, TUS_ACTION_WAIT},
                {2000, TUS_ACTION_END},
                {INT64_MAX, TUS_ACTION_END}};
    static const int statuses[] = {423, 429, 503};
    for (size_t s = 0; s < COUNT(statuses); s++)
        for (size_t i = 0; i < COUNT(rows); i++) {
            struct tus_asked asked = {.question = P, .length = LENGTH, .sent = 1};
            struct tus_answer answer = plain;
            answer.status = statuses[s];
            answer.retry_after_ms = rows[i].retry_after_ms;
            struct tus_decision got = tus_next(&asked, &answer);
            check("retry-after", i, &got, rows[i].action,
                  statuses[s] == 429 ? TUS_AWAY : TUS_RETRY);
        }
}

/* ---- parsers ---- */

static void test_figure_text(void)
{
    static const struct {
        const char *text;
        int result;
        uint64_t figure;
    } rows[] = {
        {"0", 0, 0},
        {"1048576", 0, 1048576},
        {"18446744073709551615", 0, UINT64_MAX},
        {"18446744073709551616", -1, 0},
        {"99999999999999999999999", -1, 0},
        {"", -1, 0},
        {"-1", -1, 0},
        {"+1", -1, 0},
        {" 1", -1, 0},
        {"1 ", -1, 0},
        {"0x10", -1, 0},
        {"1,2", -1, 0},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        uint64_t figure = 0;
        CU_ASSERT_EQUAL(tus_parse_figure(&figure, rows[i].text), rows[i].result);
        CU_ASSERT_EQUAL(figure, rows[i].figure);
    }
}

static void test_list(void)
{
    CU_ASSERT(tus_list_names("creation,termination", "creation"));
    CU_ASSERT(tus_list_names("creation, termination", "termination"));
    CU_ASSERT(tus_list_names("Creation", "creation"));
    CU_ASSERT(!tus_list_names("creation-with-upload", "creation"));
    CU_ASSERT(!tus_list_names("", "creation"));
    CU_ASSERT(!tus_list_names(" , ,", "creation"));
    CU_ASSERT(!tus_list_names("creatio", "creation"));
}

static CU_TestInfo cases[] = {SUITE_CASE(test_status),
                              SUITE_CASE(test_every_status_is_answered),
                              SUITE_CASE(test_failure),
                              SUITE_CASE(test_figures),
                              SUITE_CASE(test_last_chunk),
                              SUITE_CASE(test_foreign_answers),
                              SUITE_CASE(test_location),
                              SUITE_CASE(test_chunk_limit),
                              SUITE_CASE(test_override_once),
                              SUITE_CASE(test_retry_after),
                              SUITE_CASE(test_figure_text),
                              SUITE_CASE(test_list),
                              CU_TEST_INFO_NULL};

SUITE_MAIN("tus_protocol", cases)
