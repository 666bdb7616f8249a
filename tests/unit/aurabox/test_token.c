/* The token cache: when a token is exchanged, and that threads share one exchange. */
#include "token.h"

#include "suite.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

struct server {
    atomic_int exchanges, inside, most_inside;
    atomic_bool held; /* exchanges wait while it is true */
    int64_t life_ms, max_uses;
    enum aurabox_outcome outcome;
};

static _Atomic int64_t now_ms;

static int64_t read_now(void *context)
{
    (void)context;
    return now_ms;
}

static const struct clock fake_clock = {NULL, read_now, read_now};

static enum aurabox_outcome exchange(void *context, struct token *out, struct aurabox_reply *reply)
{
    struct server *server = context;
    int inside = atomic_fetch_add(&server->inside, 1) + 1;
    if (inside > atomic_load(&server->most_inside))
        atomic_store(&server->most_inside, inside);
    int number = atomic_fetch_add(&server->exchanges, 1) + 1;
    while (atomic_load(&server->held))
        (void)usleep(1000);
    *reply = (struct aurabox_reply){.outcome = server->outcome, .retry_after_ms = 77};
    (void)snprintf(reply->text, sizeof reply->text, "failure %d", number);
    (void)snprintf(out->text, sizeof out->text, "aubt_%d", number);
    out->life_ms = server->life_ms;
    out->max_uses = server->max_uses;
    (void)atomic_fetch_sub(&server->inside, 1);
    return server->outcome;
}

static struct token_cache *new_cache(struct server *server)
{
    struct token_cache *cache = NULL;
    *server = (struct server){.life_ms = 3600000, .max_uses = -1, .outcome = AURABOX_OK};
    now_ms = 1000;
    CU_ASSERT_EQUAL_FATAL(token_cache_new(&cache, &fake_clock, NULL), 0);
    return cache;
}

static const char *take(struct token_cache *cache, struct server *server, struct token_grant *grant)
{
    const struct token_asker asker = {.context = server, .exchange = exchange};
    struct aurabox_reply reply;
    return token_take(cache, grant, &asker, &reply) == AURABOX_OK ? grant->text : "";
}

static void test_renewed_before_its_end(void)
{
    static const struct {
        int64_t life_ms, good_ms; /* until this age it is used */
    } rows[] = {{3600000, 3240000}, {86400000, 77760000}, {300000, 240000}, {60000, 30000}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct server server;
        struct token_grant grant;
        struct token_cache *cache = new_cache(&server);
        server.life_ms = rows[i].life_ms;
        CU_ASSERT_STRING_EQUAL(take(cache, &server, &grant), "aubt_1");
        now_ms += rows[i].good_ms - 1;
        CU_ASSERT_STRING_EQUAL(take(cache, &server, &grant), "aubt_1");
        now_ms += 1;
        CU_ASSERT_STRING_EQUAL(take(cache, &server, &grant), "aubt_2");
        token_cache_free(cache);
    }
}

static void test_uses_are_counted(void)
{
    struct server server;
    struct token_grant grant;
    struct token_cache *cache = new_cache(&server);
    server.max_uses = 2;
    CU_ASSERT_STRING_EQUAL(take(cache, &server, &grant), "aubt_1");
    CU_ASSERT_STRING_EQUAL(take(cache, &server, &grant), "aubt_1");
    token_return(cache, &grant);
    CU_ASSERT_STRING_EQUAL(take(cache, &server, &grant), "aubt_1");
    CU_ASSERT_STRING_EQUAL(take(cache, &server, &grant), "aubt_2");
    token_cache_free(cache);
}

static void test_refused_token_is_dropped_once(void)
{
    struct server server;
    struct token_grant first;
    struct token_grant second;
    struct token_cache *cache = new_cache(&server);
    CU_ASSERT_STRING_EQUAL(take(cache, &server, &first), "aubt_1");
    CU_ASSERT_STRING_EQUAL(take(cache, &server, &second), "aubt_1");
    token_reject(cache, &first);
    CU_ASSERT_STRING_EQUAL(take(cache, &server, &first), "aubt_2");
    token_reject(cache, &second); /* late news of the old one */
    CU_ASSERT_STRING_EQUAL(take(cache, &server, &first), "aubt_2");
    token_cache_free(cache);
}

struct taker {
    struct token_cache *cache;
    struct server *server;
    struct token_grant grant;
    struct aurabox_reply reply;
    enum aurabox_outcome outcome;
    atomic_bool cancelled;
    atomic_int looks; /* at whether it was cancelled: it waits */
};

static bool is_cancelled(void *context)
{
    struct taker *taker = context;
    (void)atomic_fetch_add(&taker->looks, 1);
    return atomic_load(&taker->cancelled);
}

static void *run_taker(void *context)
{
    struct taker *taker = context;
    const struct token_asker asker = {.context = taker->server,
                                      .exchange = exchange,
                                      .cancelled = is_cancelled,
                                      .cancel_context = taker};
    taker->outcome = token_take(taker->cache, &taker->grant, &asker, &taker->reply);
    return NULL;
}

#define TAKERS 6

static void share_an_exchange(enum aurabox_outcome outcome, bool cancel_last)
{
    struct server server;
    struct token_cache *cache = new_cache(&server);
    static struct taker takers[TAKERS];
    pthread_t threads[TAKERS];
    server.outcome = outcome;
    atomic_store(&server.held, true);
    memset(takers, 0, sizeof takers);
    for (size_t i = 0; i < TAKERS; i++) {
        takers[i].cache = cache;
        takers[i].server = &server;
        CU_ASSERT_EQUAL_FATAL(pthread_create(&threads[i], NULL, run_taker, &takers[i]), 0);
        while (atomic_load(&takers[i].looks) == 0)
            (void)usleep(1000);
    }
    if (cancel_last) {
        atomic_store(&takers[TAKERS - 1].cancelled, true);
        (void)pthread_join(threads[TAKERS - 1], NULL);
        CU_ASSERT_EQUAL(takers[TAKERS - 1].outcome, AURABOX_STOPPED);
    }
    atomic_store(&server.held, false);
    for (size_t i = 0; i < TAKERS - (cancel_last ? 1 : 0); i++) {
        (void)pthread_join(threads[i], NULL);
        CU_ASSERT_EQUAL(takers[i].outcome, outcome);
        if (outcome != AURABOX_OK) {
            CU_ASSERT_STRING_EQUAL(takers[i].reply.text, "failure 1");
            CU_ASSERT_EQUAL(takers[i].reply.retry_after_ms, 77);
        }
    }
    CU_ASSERT_EQUAL(atomic_load(&server.exchanges), 1);
    CU_ASSERT_EQUAL(atomic_load(&server.most_inside), 1);
    token_cache_free(cache);
}

static void test_threads_share_an_exchange(void)
{
    share_an_exchange(AURABOX_OK, false);
}

static void test_threads_share_its_failure(void)
{
    share_an_exchange(AURABOX_DESTINATION, false);
}

static void test_a_waiter_can_be_cancelled(void)
{
    share_an_exchange(AURABOX_OK, true);
}

static void test_failure_is_not_remembered(void)
{
    struct server server;
    struct token_grant grant;
    struct token_cache *cache = new_cache(&server);
    server.outcome = AURABOX_RETRY;
    CU_ASSERT_STRING_EQUAL(take(cache, &server, &grant), "");
    server.outcome = AURABOX_OK;
    CU_ASSERT_STRING_EQUAL(take(cache, &server, &grant), "aubt_2");
    token_forget(cache);
    CU_ASSERT_STRING_EQUAL(take(cache, &server, &grant), "aubt_3");
    token_cache_free(cache);
}

static CU_TestInfo cases[] = {
    SUITE_CASE(test_renewed_before_its_end),        SUITE_CASE(test_uses_are_counted),
    SUITE_CASE(test_refused_token_is_dropped_once), SUITE_CASE(test_threads_share_an_exchange),
    SUITE_CASE(test_threads_share_its_failure),     SUITE_CASE(test_a_waiter_can_be_cancelled),
    SUITE_CASE(test_failure_is_not_remembered),     CU_TEST_INFO_NULL};

SUITE_MAIN("aurabox_token", cases)
