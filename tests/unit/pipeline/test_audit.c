/* The audit of files: what is missing, what nobody knows, and what is only under way. The test
 * stands between the audit and its look at a file, so that something can happen just then. */
#include "bridge_bench.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static struct bench *replaces_before_the_look;

static void replace_once(void)
{
    struct bench *bench = replaces_before_the_look;
    replaces_before_the_look = NULL;
    if (bench)
        CU_ASSERT_EQUAL(SEND(bench, .sop = "1.2.3.1", .pixels = "other").status, DIMSE_SUCCESS);
}

int lstat(const char *restrict path, struct stat *restrict status)
{
    replace_once();
    return (int)syscall(SYS_newfstatat, AT_FDCWD, path, status, AT_SYMLINK_NOFOLLOW);
}

struct found {
    struct bridge_audit audit;
    int failed;
    unsigned count;
    char words[2048];
};

static void note(void *context, const struct ledger_finding *finding)
{
    struct found *found = context;
    size_t used = strlen(found->words);
    found->count++;
    (void)snprintf(found->words + used, sizeof found->words - used, "%s S%lld: %s\n", finding->kind,
                   (long long)finding->study_id, finding->text);
}

static struct found audit(struct bench *bench)
{
    struct found found = {0};
    found.failed = bridge_audit(bench->bridge, &found.audit, note, &found, &bench->err);
    CU_ASSERT_EQUAL(found.count, found.audit.findings);
    return found;
}

/* The folder of the one study, below studies/. */
static void only_folder(struct bench *bench, char out[400])
{
    (void)snprintf(out, 400, "%s/studies", bench->spool);
    DIR *entries = opendir(out);
    CU_ASSERT_PTR_NOT_NULL_FATAL(entries);
    struct dirent *entry = readdir(entries);
    while (entry && entry->d_name[0] == '.')
        entry = readdir(entries);
    CU_ASSERT_PTR_NOT_NULL_FATAL(entry);
    size_t used = strlen(out);
    (void)snprintf(out + used, 400 - used, "/%s", entry->d_name);
    CU_ASSERT_EQUAL(closedir(entries), 0);
}

static void file_of(struct bench *bench, const char *sop, char out[700])
{
    char folder[400];
    only_folder(bench, folder);
    DIR *entries = opendir(folder);
    CU_ASSERT_PTR_NOT_NULL_FATAL(entries);
    out[0] = '\0';
    for (struct dirent *entry = readdir(entries); entry; entry = readdir(entries))
        if (strncmp(entry->d_name, sop, strlen(sop)) == 0)
            (void)snprintf(out, 700, "%s/%s", folder, entry->d_name);
    CU_ASSERT_EQUAL(closedir(entries), 0);
    CU_ASSERT_TRUE_FATAL(out[0] != '\0');
}

/* A file named as the spool names them, that no row knows. */
static void put_stranger(struct bench *bench, char out[700])
{
    char folder[400];
    only_folder(bench, folder);
    (void)snprintf(out, 700, "%s/1.2.3.99.0123456789abcdef.dcm", folder);
    int file = open(out, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    CU_ASSERT_FATAL(file >= 0);
    CU_ASSERT_EQUAL(close(file), 0);
}

static void test_nothing_to_find(void)
{
    struct bench bench;
    bench_open(&bench, NULL);
    CU_ASSERT_EQUAL(audit(&bench).count, 0);
    (void)SEND(&bench, .sop = "1.2.3.1");
    (void)SEND(&bench, .sop = "1.2.3.2");
    (void)SEND(&bench, .sop = "1.2.3.2");
    struct found found = audit(&bench);
    CU_ASSERT_EQUAL(found.failed, 0);
    CU_ASSERT_EQUAL(found.count, 0);
    CU_ASSERT_EQUAL(found.audit.files, 2);
    CU_ASSERT_EQUAL(found.audit.ledger.files, 2);
    CU_ASSERT_EQUAL(found.audit.ledger.acknowledged, 3);
    CU_ASSERT_EQUAL(ledger_audit_at(&found.audit.ledger, PLACE_RECEIVING), 2);
    CU_ASSERT_EQUAL(ledger_audit_at(&found.audit.ledger, PLACE_RESENDS), 1);
    /* Each reception that has ended says so. */
    CU_ASSERT_EQUAL(bench.bridge->receptions.under_way[0], 0);
    CU_ASSERT_EQUAL(bench.bridge->receptions.under_way[1], 0);
    bench_close(&bench);
}

static void test_missing_and_short_files(void)
{
    struct bench bench;
    char path[700];
    bench_open(&bench, NULL);
    (void)SEND(&bench, .sop = "1.2.3.1");
    (void)SEND(&bench, .sop = "1.2.3.2");
    file_of(&bench, "1.2.3.1", path);
    CU_ASSERT_EQUAL(unlink(path), 0);
    file_of(&bench, "1.2.3.2", path);
    CU_ASSERT_EQUAL(truncate(path, 10), 0);
    struct found found = audit(&bench);
    CU_ASSERT_EQUAL(found.count, 2);
    CU_ASSERT_PTR_NOT_NULL(
        strstr(found.words, "file S1: an instance's file is missing or short: "));
    CU_ASSERT_PTR_NOT_NULL(strstr(found.words, "/1.2.3.1."));
    CU_ASSERT_PTR_NOT_NULL(strstr(found.words, "/1.2.3.2."));
    /* The study is done with: a kill while its files were removed leaves just this. */
    CU_ASSERT_EQUAL(ledger_study_discard(bench.bridge->ledger, 1, "test", &bench.err), 0);
    CU_ASSERT_EQUAL(audit(&bench).count, 0);
    bench_close(&bench);
}

static void test_start_tells_of_missing_files(void)
{
    struct bench bench;
    char path[700];
    bench_open(&bench, NULL);
    (void)SEND(&bench, .sop = "1.2.3.1");
    file_of(&bench, "1.2.3.1", path);
    CU_ASSERT_EQUAL(unlink(path), 0);
    bench_stop(&bench);
    bench_start(&bench, NULL);
    CU_ASSERT_EQUAL(bench.bridge->missing_at_start, 1);
    bridge_audit_at_start(bench.bridge);
    CU_ASSERT_EQUAL(audit(&bench).count, 1); /* as long as nobody has decided */
    bench_close(&bench);
}

static void test_a_file_that_no_row_names(void)
{
    struct bench bench;
    char path[700];
    bench_open(&bench, NULL);
    (void)SEND(&bench, .sop = "1.2.3.1");
    put_stranger(&bench, path);
    struct found found = audit(&bench);
    CU_ASSERT_EQUAL(found.count, 1);
    CU_ASSERT_EQUAL(found.audit.arriving, 0);
    CU_ASSERT_PTR_NOT_NULL(strstr(found.words, "file S0: no row names the file "));
    CU_ASSERT_PTR_NOT_NULL(strstr(found.words, "/1.2.3.99.0123456789abcdef.dcm"));
    CU_ASSERT_EQUAL(access(path, F_OK), 0); /* an audit changes nothing */
    bench_close(&bench);
}

/* More than are looked at again at a time. */
static void test_many_strangers(void)
{
    struct bench bench;
    char folder[400], path[700];
    bench_open(&bench, NULL);
    (void)SEND(&bench, .sop = "1.2.3.1");
    only_folder(&bench, folder);
    for (int i = 0; i < 150; i++) {
        (void)snprintf(path, sizeof path, "%s/1.2.3.99.%016x.dcm", folder, (unsigned)i);
        int file = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
        CU_ASSERT_FATAL(file >= 0);
        CU_ASSERT_EQUAL(close(file), 0);
    }
    struct found found = audit(&bench);
    CU_ASSERT_EQUAL(found.count, 150);
    CU_ASSERT_EQUAL(found.audit.files, 151);
    bench_close(&bench);
}

struct auditing {
    struct bench *bench;
    struct found found;
};

static void *audit_aside(void *context)
{
    struct auditing *auditing = context;
    auditing->found = audit(auditing->bench);
    return NULL;
}

/* Until the audit has begun to wait for those who were under way. */
static void wait_for_the_turn(struct receptions *receptions, unsigned phase)
{
    const struct timespec moment = {.tv_nsec = 1000000};
    for (int i = 0; i < 20000; i++) {
        pthread_mutex_lock(&receptions->lock);
        bool has_turned = receptions->phase != phase;
        pthread_mutex_unlock(&receptions->lock);
        if (has_turned)
            return;
        (void)nanosleep(&moment, NULL);
    }
    CU_FAIL_FATAL("the audit does not wait for a reception that is under way");
}

/* The file is there, its row is not yet (or never will be): told only once the reception that has
 * published it has ended. One that begins meanwhile is not waited for. */
static void test_a_reception_under_way_is_waited_for(void)
{
    for (int stays = 0; stays < 2; stays++) {
        struct bench bench;
        char path[700];
        bench_open(&bench, NULL);
        (void)SEND(&bench, .sop = "1.2.3.1");
        struct receptions *receptions = &bench.bridge->receptions;
        unsigned mine = receptions_enter(receptions);
        put_stranger(&bench, path);
        struct auditing auditing = {.bench = &bench};
        pthread_t thread;
        CU_ASSERT_EQUAL_FATAL(pthread_create(&thread, NULL, audit_aside, &auditing), 0);
        wait_for_the_turn(receptions, mine);
        unsigned later = receptions_enter(receptions);
        CU_ASSERT_EQUAL(bridge_audit(bench.bridge, &(struct bridge_audit){0}, note,
                                     &(struct found){0}, &bench.err),
                        -1);
        CU_ASSERT_PTR_NOT_NULL(strstr(bench.err.text, "another audit runs"));
        if (!stays)
            CU_ASSERT_EQUAL(unlink(path), 0); /* it was a resend */
        receptions_leave(receptions, mine);
        CU_ASSERT_EQUAL(pthread_join(thread, NULL), 0);
        CU_ASSERT_EQUAL(auditing.found.failed, 0);
        CU_ASSERT_EQUAL(auditing.found.count, stays);
        CU_ASSERT_EQUAL(auditing.found.audit.arriving, 0);
        receptions_leave(receptions, later);
        bench_close(&bench);
    }
}

/* The row was read, then another version took its place and the file went: nothing is missing. */
static void test_a_file_that_is_replaced_meanwhile(void)
{
    struct bench bench;
    bench_open(&bench, NULL);
    struct config *config = bench_config(&bench, NULL);
    size_t count = config->destination_count;
    config->destination_count = 0; /* no destination, no worker */
    config->study.on_changed_duplicate = CHANGED_DUPLICATE_REPLACE;
    CU_ASSERT_EQUAL(bridge_reconfigure(bench.bridge, config, &bench.err), 0);
    (void)SEND(&bench, .sop = "1.2.3.1");
    replaces_before_the_look = &bench;
    CU_ASSERT_EQUAL(audit(&bench).count, 0);
    CU_ASSERT_PTR_NULL(replaces_before_the_look);
    CU_ASSERT_EQUAL(bench_study(&bench, 1).superseded, 1);
    struct found found = audit(&bench);
    CU_ASSERT_EQUAL(found.count, 0);
    CU_ASSERT_EQUAL(found.audit.files, 1);
    bench_close(&bench);
    config->destination_count = count;
    config_release(config);
}

static bool never(void *context)
{
    (void)context;
    return false;
}

static bool at_once(void *context)
{
    (void)context;
    return true;
}

static void test_phases(void)
{
    struct receptions receptions;
    receptions_init(&receptions);
    CU_ASSERT_TRUE(receptions_settle(&receptions, 0, never, NULL)); /* nobody is there */
    unsigned first = receptions_enter(&receptions);
    CU_ASSERT_FALSE(receptions_settle(&receptions, 20, never, NULL));
    CU_ASSERT_FALSE(receptions_settle(&receptions, 60000, at_once, NULL));
    /* The wait that was given up does not hide the first from the next one. */
    unsigned second = receptions_enter(&receptions);
    CU_ASSERT_NOT_EQUAL(first, second);
    CU_ASSERT_FALSE(receptions_settle(&receptions, 20, never, NULL));
    receptions_leave(&receptions, second);
    CU_ASSERT_FALSE(receptions_settle(&receptions, 20, never, NULL));
    receptions_leave(&receptions, first);
    CU_ASSERT_TRUE(receptions_settle(&receptions, 0, never, NULL));
    receptions_destroy(&receptions);
}

static CU_TestInfo cases[] = {
    SUITE_CASE(test_nothing_to_find),
    SUITE_CASE(test_missing_and_short_files),
    SUITE_CASE(test_start_tells_of_missing_files),
    SUITE_CASE(test_a_file_that_no_row_names),
    SUITE_CASE(test_many_strangers),
    SUITE_CASE(test_a_reception_under_way_is_waited_for),
    SUITE_CASE(test_a_file_that_is_replaced_meanwhile),
    SUITE_CASE(test_phases),
    CU_TEST_INFO_NULL,
};
SUITE_MAIN("pipeline_audit", cases)
