/* Audit and receipt as the control socket answers them; and that an audit, however long, keeps no
 * other command waiting. */
#include "bridge_bench.h"

#include "aurabridge/control.h"
#include "aurabridge/digest.h"
#include "aurabridge/ledger_receipt.h"
#include "aurabridge/operate.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* What came back: how many lines of each sort, and the last one. */
struct replies {
    unsigned findings, instances, others;
    int64_t findings_count;
    char head[2048], lines_digest[SHA256_HEX_SIZE];
    struct sha256 *digest;
    bool ok, stops_early;
    char error[256];
};

static int take(void *context, const struct json *line)
{
    struct replies *replies = context;
    const struct json *instance = json_get(line, "instance");
    const struct json *receipt = json_get(line, "receipt");
    if (json_get(line, "ok")) {
        const char *error = json_text(json_get(line, "error"));
        replies->ok = json_bool(json_get(line, "ok"));
        (void)snprintf(replies->error, sizeof replies->error, "%s", error ? error : "");
        return 0;
    }
    if (replies->stops_early)
        return -1;
    if (instance || receipt) {
        char *text = json_print(instance ? instance : receipt);
        CU_ASSERT_PTR_NOT_NULL_FATAL(text);
        if (receipt)
            (void)snprintf(replies->head, sizeof replies->head, "%s", text);
        else
            CU_ASSERT_EQUAL(sha256_update(replies->digest, text, strlen(text)) |
                                sha256_update(replies->digest, "\n", 1),
                            0);
        free(text);
    }
    replies->findings += json_get(line, "finding") != NULL;
    replies->instances += instance != NULL;
    replies->others += json_get(line, "study") != NULL;
    (void)json_int(json_get(json_get(line, "audit"), "findings_count"), &replies->findings_count);
    return 0;
}

static struct operate_target target_of(struct bench *bench)
{
    return (struct operate_target){.ledger = bridge_ledger(bench->bridge),
                                   .spool = bridge_spool(bench->bridge),
                                   .bridge = bench->bridge};
}

static struct json *request_of(const char *command, const char *study)
{
    struct json *request = json_new_object();
    CU_ASSERT_EQUAL(json_set_string(request, "command", command), 0);
    if (study)
        CU_ASSERT_EQUAL(json_set_string(request, "study", study), 0);
    return request;
}

static struct replies ask(const struct operate_target *target, const char *command,
                          const char *study)
{
    struct replies replies = {.findings_count = -1, .digest = sha256_new()};
    uint8_t digest[SHA256_SIZE];
    struct json *request = request_of(command, study);
    CU_ASSERT_EQUAL(operate(target, request, take, &replies), 0);
    json_free(request);
    CU_ASSERT_EQUAL(sha256_finish(replies.digest, digest), 0);
    hex_encode(replies.lines_digest, digest, sizeof digest);
    sha256_free(replies.digest);
    return replies;
}

static void complete(struct bench *bench, int64_t id)
{
    static const enum study_state way[] = {STUDY_RECEIVING, STUDY_VALIDATING, STUDY_READY,
                                           STUDY_PACKAGING, STUDY_UPLOADING,  STUDY_CONFIRMING,
                                           STUDY_COMPLETED};
    for (size_t i = 0; i + 1 < sizeof way / sizeof *way; i++)
        CU_ASSERT_EQUAL(
            ledger_advance(bench->bridge->ledger, id, way[i], way[i + 1], "test", &bench->err), 0);
}

static void test_receipt(void)
{
    struct bench bench;
    bench_open(&bench, NULL);
    struct operate_target target = target_of(&bench);
    (void)SEND(&bench, .sop = "1.2.3.1");
    (void)SEND(&bench, .sop = "1.2.3.2");
    struct replies replies = ask(&target, "receipt", "S1");
    CU_ASSERT_FALSE(replies.ok);
    CU_ASSERT_PTR_NOT_NULL(strstr(replies.error, "S1 is receiving: a receipt is made when"));
    complete(&bench, 1);
    replies = ask(&target, "receipt", "S1");
    CU_ASSERT_TRUE(replies.ok);
    CU_ASSERT_EQUAL(replies.instances, 2);
    /* What a program reads, and prints again, has the digest of the head. */
    CU_ASSERT_PTR_NOT_NULL(strstr(replies.head, replies.lines_digest));
    struct ledger_receipt receipt;
    CU_ASSERT_EQUAL(ledger_receipt(bench.bridge->ledger, &receipt, 1, &bench.err), 0);
    CU_ASSERT_STRING_EQUAL(replies.head, receipt.head);
    CU_ASSERT_PTR_NOT_NULL(strstr(ask(&target, "receipt", NULL).error, "needs a study"));
    CU_ASSERT_PTR_NOT_NULL(strstr(ask(&target, "receipt", "S7").error, "no study S7"));
    /* A client that has gone ends it. */
    struct replies gone = {.stops_early = true};
    struct json *request = request_of("receipt", "S1");
    CU_ASSERT_EQUAL(operate(&target, request, take, &gone), 0);
    CU_ASSERT_FALSE(gone.ok);
    json_free(request);
    bench_close(&bench);
}

/* As a file of the spool is named, without a row; the first study's folder has it. */
static void put_stranger(struct bench *bench, unsigned number)
{
    char path[700];
    (void)snprintf(path, sizeof path, "%s/studies", bench->spool);
    DIR *entries = opendir(path);
    CU_ASSERT_PTR_NOT_NULL_FATAL(entries);
    struct dirent *entry = readdir(entries);
    while (entry && entry->d_name[0] == '.')
        entry = readdir(entries);
    CU_ASSERT_PTR_NOT_NULL_FATAL(entry);
    (void)snprintf(path, sizeof path, "%s/studies/%s/1.2.3.99.%016x.dcm", bench->spool,
                   entry->d_name, number);
    CU_ASSERT_EQUAL(closedir(entries), 0);
    int file = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    CU_ASSERT_FATAL(file >= 0);
    CU_ASSERT_EQUAL(close(file), 0);
}

static void test_audit(void)
{
    struct bench bench;
    bench_open(&bench, NULL);
    struct operate_target target = target_of(&bench);
    (void)SEND(&bench, .sop = "1.2.3.1");
    struct replies replies = ask(&target, "audit", NULL);
    CU_ASSERT_TRUE(replies.ok);
    CU_ASSERT_EQUAL(replies.findings_count, 0);
    CU_ASSERT_EQUAL(replies.findings, 0);
    enum { STRANGERS = 1003 }; /* more than are told one by one */
    for (unsigned i = 0; i < STRANGERS; i++)
        put_stranger(&bench, i);
    replies = ask(&target, "audit", NULL);
    CU_ASSERT_TRUE(replies.ok);
    CU_ASSERT_EQUAL(replies.findings_count, STRANGERS);
    CU_ASSERT_EQUAL(replies.findings, 1000);
    target.bridge = NULL;
    CU_ASSERT_FALSE(ask(&target, "audit", NULL).ok);
    bench_close(&bench);
}

struct client {
    struct bench *bench;
    struct replies replies;
    int failed;
};

static void *ask_for_audit(void *context)
{
    struct client *client = context;
    struct error err;
    struct json *request = request_of("audit", NULL);
    client->failed = control_ask(client->bench->spool, request, take, &client->replies, &err);
    json_free(request);
    return NULL;
}

static void wait_for_the_turn(struct receptions *receptions, unsigned phase)
{
    const struct timespec moment = {.tv_nsec = 1000000};
    bool has_turned = false;
    for (int i = 0; i < 20000 && !has_turned; i++) {
        pthread_mutex_lock(&receptions->lock);
        has_turned = receptions->phase != phase;
        pthread_mutex_unlock(&receptions->lock);
        (void)nanosleep(&moment, NULL);
    }
    CU_ASSERT_TRUE_FATAL(has_turned);
}

/* The audit waits for a reception that does not end; the other command is answered. */
static void test_an_audit_keeps_nobody_waiting(void)
{
    struct bench bench;
    struct control *control = NULL;
    bench_open(&bench, NULL);
    struct operate_target target = target_of(&bench);
    (void)SEND(&bench, .sop = "1.2.3.1");
    CU_ASSERT_EQUAL_FATAL(control_start(&control, &target, &bench.err), 0);
    struct receptions *receptions = &bench.bridge->receptions;
    unsigned phase = receptions_enter(receptions);
    put_stranger(&bench, 1);
    struct client client = {.bench = &bench};
    pthread_t thread;
    CU_ASSERT_EQUAL_FATAL(pthread_create(&thread, NULL, ask_for_audit, &client), 0);
    wait_for_the_turn(receptions, phase);
    struct replies replies = {0};
    struct json *request = request_of("studies", NULL);
    CU_ASSERT_EQUAL(control_ask(bench.spool, request, take, &replies, &bench.err), 0);
    json_free(request);
    CU_ASSERT_TRUE(replies.ok);
    CU_ASSERT_EQUAL(replies.others, 1);
    struct client second = {.bench = &bench};
    (void)ask_for_audit(&second);
    CU_ASSERT_FALSE(second.replies.ok);
    CU_ASSERT_PTR_NOT_NULL(strstr(second.replies.error, "another audit runs"));
    receptions_leave(receptions, phase);
    CU_ASSERT_EQUAL(pthread_join(thread, NULL), 0);
    CU_ASSERT_EQUAL(client.failed, 0);
    CU_ASSERT_TRUE(client.replies.ok);
    CU_ASSERT_EQUAL(client.replies.findings, 1);
    control_stop(control);
    bench_close(&bench);
}

/* SIGTERM does not wait for an audit. */
static void test_stopping_ends_an_audit(void)
{
    struct bench bench;
    struct control *control = NULL;
    bench_open(&bench, NULL);
    struct operate_target target = target_of(&bench);
    (void)SEND(&bench, .sop = "1.2.3.1");
    CU_ASSERT_EQUAL_FATAL(control_start(&control, &target, &bench.err), 0);
    struct receptions *receptions = &bench.bridge->receptions;
    unsigned phase = receptions_enter(receptions);
    put_stranger(&bench, 1);
    struct client client = {.bench = &bench};
    pthread_t thread;
    CU_ASSERT_EQUAL_FATAL(pthread_create(&thread, NULL, ask_for_audit, &client), 0);
    wait_for_the_turn(receptions, phase);
    bridge_stop(bench.bridge);
    control_stop(control); /* joins the thread that has the audit */
    CU_ASSERT_EQUAL(pthread_join(thread, NULL), 0);
    CU_ASSERT_FALSE(client.replies.ok);
    CU_ASSERT_PTR_NOT_NULL(strstr(client.replies.error, "the bridge stops"));
    receptions_leave(receptions, phase);
    bench_close(&bench);
}

static CU_TestInfo cases[] = {
    SUITE_CASE(test_receipt),
    SUITE_CASE(test_audit),
    SUITE_CASE(test_an_audit_keeps_nobody_waiting),
    SUITE_CASE(test_stopping_ends_an_audit),
    CU_TEST_INFO_NULL,
};
SUITE_MAIN("admin: account", cases)
