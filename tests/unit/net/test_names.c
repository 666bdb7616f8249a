/* Names that nobody knows, and a name server that is silent. This program's own getaddrinfo stands
 * in the place of the system's: no question leaves the machine. */
#include "aurabridge/clock.h"
#include "aurabridge/http.h"

#include "suite.h"

#include <netdb.h>
#include <pthread.h>
#include <string.h>
#include <time.h>

#define SILENCE_S 20 /* of the name server, for a caller that waits for it */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static bool answers; /* the name server does */
static unsigned asked, answered;

int getaddrinfo(const char *restrict name, const char *restrict service,
                const struct addrinfo *restrict hints, struct addrinfo **restrict result)
{
    (void)name;
    (void)service;
    (void)hints;
    *result = NULL;
    pthread_mutex_lock(&lock);
    asked++;
    struct timespec end;
    (void)clock_gettime(CLOCK_REALTIME, &end);
    end.tv_sec += SILENCE_S;
    while (!answers && pthread_cond_timedwait(&changed, &lock, &end) == 0)
        continue;
    answered++;
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&lock);
    return EAI_NONAME;
}

static void let_answer(bool now)
{
    pthread_mutex_lock(&lock);
    answers = now;
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&lock);
}

/* Those who ask are libcurl's threads, which it left behind. */
static void wait_for_answers(void)
{
    pthread_mutex_lock(&lock);
    while (answered < asked)
        pthread_cond_wait(&changed, &lock);
    pthread_mutex_unlock(&lock);
}

struct outcome {
    enum http_failure failure;
    bool sent;
    int64_t took_ms;
    struct error err;
};

static struct outcome call(const char *url, bool (*cancelled)(void *context))
{
    struct outcome out = {.err = {""}};
    struct http_client *client = NULL;
    struct http_reply reply;
    const struct http_request request = {.method = "GET",
                                         .url = url,
                                         .timeout_ms = cancelled ? 600000 : 300,
                                         .max_reply = 100,
                                         .cancelled = cancelled};
    int64_t before_ms = clock_monotonic_ms(clock_system());
    http_reply_init(&reply);
    CU_ASSERT_EQUAL_FATAL(http_client_new(&client, "", &out.err), 0);
    CU_ASSERT_EQUAL(http_call(client, &reply, &request, &out.err), -1);
    out.failure = reply.failure;
    out.sent = reply.sent;
    http_reply_free(&reply);
    http_client_free(client);
    out.took_ms = clock_monotonic_ms(clock_system()) - before_ms;
    return out;
}

static void test_unknown_name(void)
{
    let_answer(true);
    struct outcome out = call("http://aurabox.invalid/api", NULL);
    CU_ASSERT_EQUAL(out.failure, HTTP_UNREACHABLE);
    CU_ASSERT_FALSE(out.sent);
    CU_ASSERT_PTR_NOT_NULL(strstr(out.err.text, "http://aurabox.invalid cannot be found"));
    CU_ASSERT_PTR_NOT_NULL(strstr(out.err.text, "DNS"));
}

static void test_unknown_proxy(void)
{
    let_answer(true);
    CU_ASSERT_EQUAL(setenv("https_proxy", "http://proxy.invalid:3128", 1), 0);
    struct outcome out = call("https://aurabox.invalid/api", NULL);
    CU_ASSERT_EQUAL(unsetenv("https_proxy"), 0);
    CU_ASSERT_EQUAL(out.failure, HTTP_UNREACHABLE);
    CU_ASSERT_FALSE(out.sent);
    CU_ASSERT_PTR_NOT_NULL(strstr(out.err.text, "the proxy for https://aurabox.invalid"));
}

static void test_silent_name_server(void)
{
    let_answer(false);
    struct outcome out = call("http://aurabox.invalid/api", NULL);
    CU_ASSERT_EQUAL(out.failure, HTTP_TIMEOUT);
    CU_ASSERT_FALSE(out.sent);
    CU_ASSERT(out.took_ms < SILENCE_S * 1000 / 2);
    CU_ASSERT_PTR_NOT_NULL(strstr(out.err.text, "Resolving timed out"));
    let_answer(true);
    wait_for_answers();
}

static bool always(void *context)
{
    (void)context;
    return true;
}

static void test_silent_name_server_and_cancel(void)
{
    let_answer(false);
    struct outcome out = call("http://aurabox.invalid/api", always);
    CU_ASSERT_EQUAL(out.failure, HTTP_CANCELLED);
    CU_ASSERT(out.took_ms < SILENCE_S * 1000 / 2);
    let_answer(true);
    wait_for_answers();
}

static CU_TestInfo cases[] = {SUITE_CASE(test_unknown_name), SUITE_CASE(test_unknown_proxy),
                              SUITE_CASE(test_silent_name_server),
                              SUITE_CASE(test_silent_name_server_and_cancel), CU_TEST_INFO_NULL};

int main(void)
{
    struct error err;
    if (http_global_init(&err) != 0)
        return EXIT_FAILURE;
    int status = suite_run("net_names", cases);
    http_global_cleanup();
    return status;
}
