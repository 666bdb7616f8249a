/* The audit finds nothing where nothing is wrong, and names what is: each counter, each row, each
 * link of the receipts' chain, changed one at a time behind the ledger's back. */
#include "bench.h"
#include "tamper.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

/* Something of everything:
 * S1 completed: 2 stored, 1 resend, 1 swallowed, 1 superseded · S2, S3, S4 completed: 1 each
 * S5 receiving: 2 stored · S6 discarded: 1 · S7 failed: 1 stored, 1 dropped · S8 uploading: 1 */
static struct bench *make_world(void)
{
    struct bench *bench = bench_new(true);
    SEND(bench, .study = "2.1", .sop = "1.1", .truncated = true);
    SEND(bench, .study = "2.1", .sop = "1.2");
    SEND(bench, .study = "2.1", .sop = "1.2");
    bench_bring(bench, 1, STUDY_COMPLETED);
    SEND(bench, .study = "2.1", .sop = "1.2");
    SEND(bench, .study = "2.1", .sop = "1.2", .version = 1, .policy = CHANGED_DUPLICATE_KEEP_FIRST);
    for (int64_t id = 2; id <= 4; id++) {
        char uid[32];
        (void)snprintf(uid, sizeof uid, "2.%lld", (long long)id);
        SEND(bench, .study = uid, .sop = uid);
        bench_bring(bench, id, STUDY_COMPLETED);
    }
    SEND(bench, .study = "2.5", .sop = "5.1");
    SEND(bench, .study = "2.5", .sop = "5.2");
    SEND(bench, .study = "2.6", .sop = "6.1");
    bench_bring(bench, 6, STUDY_DISCARDED);
    SEND(bench, .study = "2.7", .sop = "7.1");
    SEND(bench, .study = "2.7", .sop = "7.2");
    CU_ASSERT_EQUAL(
        ledger_instance_drop(
            bench->ledger,
            tamper_number(bench->path, "SELECT id FROM instance WHERE sop_instance_uid='7.2'"),
            "rule", NULL),
        0);
    bench_bring(bench, 7, STUDY_FAILED);
    SEND(bench, .study = "2.8", .sop = "8.1");
    bench_bring(bench, 8, STUDY_UPLOADING);
    return bench;
}

static void test_sound(void)
{
    struct bench *bench = make_world();
    struct found found = bench_audit(bench);
    const struct ledger_audit *audit = &found.audit;
    CU_ASSERT_EQUAL(found.count, 0);
    CU_ASSERT_EQUAL(audit->acknowledged, 14);
    CU_ASSERT_EQUAL(ledger_audit_sum(audit), 14);
    CU_ASSERT_EQUAL(audit->stored[STUDY_COMPLETED], 5);
    CU_ASSERT_EQUAL(audit->stored[STUDY_RECEIVING], 2);
    CU_ASSERT_EQUAL(audit->stored[STUDY_FAILED], 1);
    CU_ASSERT_EQUAL(audit->stored[STUDY_UPLOADING], 1);
    CU_ASSERT_EQUAL(audit->stored[STUDY_DISCARDED], 0);
    CU_ASSERT_EQUAL(audit->resends, 1);
    CU_ASSERT_EQUAL(audit->swallowed_resends, 1);
    CU_ASSERT_EQUAL(audit->superseded, 1);
    CU_ASSERT_EQUAL(audit->dropped, 1);
    CU_ASSERT_EQUAL(audit->discarded, 1);
    CU_ASSERT_EQUAL(audit->studies, 8);
    CU_ASSERT_EQUAL(audit->files, 11); /* the superseded one has none */
    CU_ASSERT_EQUAL(audit->receipts, 4);
    CU_ASSERT_EQUAL(audit->first_receipt, 1);
    CU_ASSERT_EQUAL(audit->last_receipt, 4);
    bench_reopen(bench);
    CU_ASSERT_TRUE(bench_is_sound(bench));
    bench_free(bench);
}

/* `sql` behind the ledger's back, and what must be said. `count` is how many findings that one
 * deed makes: no more are told than there are faults. */
static const struct deed {
    const char *sql;
    unsigned count;
    const char *words;
} deeds[] = {
    /* counters of a study */
    {"UPDATE study SET instances=3 WHERE id=5", 1,
     "study S5: its counter says 3 stored instances, its instance rows say 2"},
    {"UPDATE study SET bytes=bytes+1 WHERE id=7", 1, "S7: its counter says 1001 bytes"},
    {"UPDATE study SET truncated=0 WHERE id=1", 1, "S1: its counter says 0 truncated instances"},
    {"UPDATE study SET dropped=0 WHERE id=7", 1, "S7: its counter says 0 dropped ones"},
    {"UPDATE study SET superseded=2 WHERE id=1", 1, "S1: its counter says 2 superseded"},
    {"UPDATE study SET discarded=0 WHERE id=6", 1, "S6: its counter says 0 discarded ones"},
    {"UPDATE study SET files=5 WHERE id=5", 1, "S5: its counter says 5 files"},
    /* Of resends nothing but a number is kept: the sum tells, of the study and in total. */
    {"UPDATE study SET resends=resends+1 WHERE id=1", 2,
     "study S1: 5 instances were acknowledged, and 6 are found: 2 completed, 1 superseded, "
     "2 resends, 1 swallowed resends, 0 dropped by rule, 0 discarded"},
    {"UPDATE study SET swallowed_resends=0 WHERE id=1", 2,
     "S1: 5 instances were acknowledged, and 4 are found"},
    {"UPDATE study SET resends=-1,acknowledged=3 WHERE id=1", 3, "below zero"},
    {"UPDATE study SET acknowledged=9 WHERE id=5", 2,
     "S5: 9 instances were acknowledged, and 2 are found: 2 receiving"},
    /* the whole */
    {"UPDATE counter SET value=15 WHERE name='acknowledged'", 2,
     "total S0: the counter \"acknowledged\" says 15, the studies together were acknowledged 14"},
    {"UPDATE counter SET value=13 WHERE name='acknowledged'", 2,
     "13 instances were acknowledged, and 14 are found"},
    {"DELETE FROM counter WHERE name='acknowledged'", 3, "\"acknowledged\" is not in the ledger"},
    {"DELETE FROM counter WHERE name='trimmed'", 1, "\"trimmed\" is not in the ledger"},
    /* rows */
    {"DELETE FROM instance WHERE sop_instance_uid='5.1'", 5,
     "S5: 2 instances were acknowledged, and 1 are found"},
    {"UPDATE instance SET study_id=7 WHERE sop_instance_uid='5.1'", 8,
     "S5: its counter says 2 stored instances, its instance rows say 1"},
    {"UPDATE instance SET disposition='superseded' WHERE sop_instance_uid='5.1'", 3,
     "S5: its counter says 0 superseded, its instance rows say 1"},
    {"UPDATE instance SET file_name=NULL WHERE sop_instance_uid='8.1'", 2,
     "S8: 1 of its instances name no file, and it is uploading"},
    {"UPDATE instance SET file_size=7 WHERE sop_instance_uid='8.1'", 1,
     "S8: its counter says 1000 bytes, its instance rows say 7"},
    {"DELETE FROM study WHERE id=5", 3,
     "S5: it is not in the ledger, and 2 instance rows are of it"},
    {"DELETE FROM study WHERE id=8;DELETE FROM instance WHERE study_id=8", 2,
     "the studies together were acknowledged 13 instances"},
    {"UPDATE study SET state='elsewhere' WHERE id=5", 2,
     "S5: it is \"elsewhere\", which is no state"},
    {"UPDATE study SET state='discarded' WHERE id=7", 1,
     "S7: it is discarded, and 1 of its instances are not"},
    {"UPDATE study SET state='failed' WHERE id=6", 1, "S6: 1 of its instances are discarded"},
    /* receipts: removed, altered, moved */
    {"DELETE FROM receipt WHERE number=2", 2, "receipt S0: receipt 2 is missing"},
    {"DELETE FROM receipt WHERE number=2", 2, "receipt S2: it is completed and has 0 receipts"},
    {"DELETE FROM receipt WHERE number IN (2,3)", 3, "receipts 2 to 3 are missing"},
    {"DELETE FROM receipt WHERE number=1", 2, "receipt 1 is missing"},
    {"DELETE FROM receipt WHERE number=4", 2, "receipt 4 is missing"},
    {"DELETE FROM receipt", 5, "receipts 1 to 4 are missing"},
    {"UPDATE receipt SET head=replace(head,'\"destination\":\"main\"','\"destination\":\"mine\"') "
     "WHERE number=2",
     1, "receipt S2: receipt 2 has been altered"},
    {"UPDATE receipt SET head=replace(head,'\"destination\":\"main\"','\"destination\":\"mine\"') "
     "WHERE number=4",
     1, "receipt S4: receipt 4 has been altered"},
    {"UPDATE receipt SET head='' WHERE number=1", 1, "receipt 1 has been altered"},
    {"UPDATE receipt SET head=x'FF00' WHERE number=1", 1, "receipt 1 has been altered"},
    {"UPDATE receipt SET sha256=zeroblob(32) WHERE number=3", 1, "receipt 3 has been altered"},
    {"UPDATE receipt SET sha256=x'00' WHERE number=3", 1, "receipt 3 has been altered"},
    {"UPDATE receipt SET sha256=zeroblob(32) WHERE number=4", 2, "receipt 4 has been altered"},
    {"UPDATE receipt SET study_id=3 WHERE number=2", 3,
     "receipt 2 stands for S3, and was made for S2"},
    {"UPDATE receipt SET number=-number WHERE number IN (2,3);"
     "UPDATE receipt SET number=5+number WHERE number<0",
     2, "the receipt in place 2 of the chain was made as receipt 3"},
    {"UPDATE receipt SET number=9 WHERE number=4", 3, "goes on to 9"},
    {"UPDATE receipt SET number=0 WHERE number=1", 3, "was made as receipt 1"},
    {"UPDATE receipt SET number=9223372036854775807 WHERE number=4", 3,
     "receipt 9223372036854775807 has no place in the chain"},
    {"UPDATE receipt_chain SET number=-9223372036854775807-1 WHERE place='anchor'", 1,
     "the beginning of the receipts' chain is not in the ledger"},
    {"UPDATE study SET resends=9223372036854775807,swallowed_resends=9223372036854775807 WHERE "
     "id=1",
     2, "S1: 5 instances were acknowledged, and 1 are found"},
    {"UPDATE receipt SET trimmed=1 WHERE number=2", 1,
     "receipt 2 says that its study is trimmed, and it is not"},
    {"INSERT INTO receipt(number,study_id,head,sha256) SELECT 5,study_id,head,sha256 FROM receipt "
     "WHERE number=4",
     3, "receipt in place 5 of the chain was made as receipt 4"},
    {"DELETE FROM receipt_chain WHERE place='tip'", 1, "the end of the receipts' chain is not"},
    {"DELETE FROM receipt_chain WHERE place='anchor'", 1,
     "the beginning of the receipts' chain is"},
    {"UPDATE receipt_chain SET sha256=zeroblob(32) WHERE place='tip'", 1,
     "receipt 4 is not the one that the chain was noted to end with"},
    {"UPDATE receipt_chain SET sha256=randomblob(32) WHERE place='anchor'", 1,
     "receipt 1 does not follow from the last one that was trimmed"},
    {"UPDATE receipt_chain SET number=2 WHERE place='anchor'", 1,
     "receipt 1 stands before the beginning of the chain"},
    /* what receipts were made of */
    {"UPDATE instance SET data_set_sha256=randomblob(32) WHERE sop_instance_uid='2.3'", 1,
     "receipt S3: receipt 3 was made of 1 instances with digest"},
    {"UPDATE instance SET received_ms=received_ms+1 WHERE sop_instance_uid='2.3'", 1,
     "receipt S3: receipt 3 was made of"},
    {"UPDATE instance SET calling_ae_title='CT9' WHERE sop_instance_uid='1.1'", 1,
     "receipt S1: receipt 1 was made of 2 instances"},
    {"UPDATE instance SET id=1000 WHERE sop_instance_uid='1.1'", 1,
     "receipt S1: receipt 1 was made of"},
    {"DELETE FROM study WHERE id=3;DELETE FROM instance WHERE study_id=3;"
     "UPDATE counter SET value=value-1",
     1, "receipt S3: receipt 3 is of a study that is not in the ledger"},
};

static void test_each_deed_is_named(void)
{
    for (size_t i = 0; i < sizeof deeds / sizeof *deeds; i++) {
        struct bench *bench = make_world();
        tamper(bench->path, deeds[i].sql);
        struct found found = bench_audit(bench);
        bool is_named = strstr(found.words, deeds[i].words) != NULL;
        if (!is_named || found.count != deeds[i].count)
            printf("\n%s\n%u findings:\n%s", deeds[i].sql, found.count, found.words);
        CU_ASSERT_TRUE(is_named);
        CU_ASSERT_EQUAL(found.count, deeds[i].count);
        bench_free(bench);
    }
}

/* Whoever makes a receipt anew, hash and all, is told by the next one; the newest by the end that
 * was noted. */
static void test_a_forged_receipt_is_named(void)
{
    for (int64_t number = 3; number <= 4; number++) {
        struct bench *bench = make_world();
        char sql[4096], head[2048], hash[SHA256_HEX_SIZE];
        (void)snprintf(sql, sizeof sql,
                       "SELECT replace(head,'\"destination\":\"main\"','\"destination\":\"mine\"') "
                       "FROM receipt WHERE number=%lld",
                       (long long)number);
        (void)snprintf(head, sizeof head, "%s", tamper_texts(bench->path, sql));
        head[strcspn(head, "\n")] = '\0';
        CU_ASSERT_EQUAL(sha256_hex_of(hash, head, strlen(head)), 0);
        (void)snprintf(sql, sizeof sql,
                       "UPDATE receipt SET head='%s',sha256=x'%s' WHERE number=%lld", head, hash,
                       (long long)number);
        tamper(bench->path, sql);
        struct found found = bench_audit(bench);
        CU_ASSERT_EQUAL(found.count, 1);
        CU_ASSERT_PTR_NOT_NULL(strstr(
            found.words, number == 3 ? "receipt 4 does not follow from receipt 3"
                                     : "receipt 4 is not the one that the chain was noted to end"));
        bench_free(bench);
    }
}

/* A ledger that was tampered with goes on completing studies. */
static void test_a_broken_chain_wedges_nothing(void)
{
    static const char *const deeds_of_chain[] = {
        "DELETE FROM receipt_chain",
        "DELETE FROM receipt",
        "DELETE FROM receipt;DELETE FROM receipt_chain",
        "UPDATE receipt_chain SET number=1,sha256=x'00'",
        "UPDATE receipt SET number=number+100,sha256=x''",
        "UPDATE receipt SET number=9223372036854775807 WHERE number=4",
        "UPDATE receipt SET number=-9223372036854775807-1 WHERE number=4",
        "UPDATE receipt_chain SET number=9223372036854775807",
    };
    for (size_t i = 0; i < sizeof deeds_of_chain / sizeof *deeds_of_chain; i++) {
        struct bench *bench = make_world();
        unsigned removed;
        tamper(bench->path, deeds_of_chain[i]);
        bench_bring(bench, 8, STUDY_COMPLETED);
        CU_ASSERT_TRUE(bench_audit(bench).count > 0);
        CU_ASSERT_EQUAL(ledger_trim(bench->ledger, INT64_MAX, &removed, NULL), 0);
        bench_free(bench);
    }
}

static bool stops_at_once(void *context)
{
    ++*(unsigned *)context;
    return true;
}

static void ignore(void *context, const struct ledger_finding *finding)
{
    (void)context;
    (void)finding;
}

static void test_it_stops_when_asked(void)
{
    struct bench *bench = make_world();
    unsigned asked = 0;
    struct ledger_audit audit;
    const struct ledger_auditor auditor = {
        .found = ignore, .stops = stops_at_once, .context = &asked};
    CU_ASSERT_EQUAL(ledger_audit(bench->ledger, &audit, &auditor, &bench->err), -1);
    CU_ASSERT_PTR_NOT_NULL(strstr(bench->err.text, "stopped"));
    CU_ASSERT_EQUAL(asked, 1);
    CU_ASSERT_TRUE(bench_is_sound(bench)); /* the reader is free again */
    bench_free(bench);
}

struct busy {
    struct bench *bench;
    int number;
    atomic_bool *stop;
};

/* Arrivals, resends, completions and discards, as fast as it goes. */
static void *keep_busy(void *context)
{
    struct busy *busy = context;
    char study[32], sop[48];
    for (int i = 0; !atomic_load(busy->stop); i++) {
        int64_t id = 0;
        (void)snprintf(study, sizeof study, "3.%d.%d", busy->number, i);
        for (int k = 0; k < 4; k++) {
            (void)snprintf(sop, sizeof sop, "%s.%d", study, k % 3);
            id = SEND(busy->bench, .study = study, .sop = sop, .series = study).study_id;
        }
        if (i % 2)
            bench_bring(busy->bench, id, i % 4 == 1 ? STUDY_COMPLETED : STUDY_DISCARDED);
    }
    return NULL;
}

static void test_one_moment_while_much_happens(void)
{
    enum { THREADS = 4, AUDITS = 40, ARRIVALS = 100 };
    struct bench *bench = make_world();
    atomic_bool stop = false;
    pthread_t threads[THREADS];
    struct busy busy[THREADS];
    for (int i = 0; i < THREADS; i++) {
        busy[i] = (struct busy){bench, i, &stop};
        CU_ASSERT_EQUAL_FATAL(pthread_create(&threads[i], NULL, keep_busy, &busy[i]), 0);
    }
    uint64_t before = 0, last = 0;
    for (int i = 0; i < AUDITS || last < before + ARRIVALS; i++) {
        struct found found = bench_audit(bench);
        if (found.count > 0)
            printf("\n%s", found.words);
        CU_ASSERT_EQUAL(found.count, 0);
        before = before ? before : found.audit.acknowledged;
        last = found.audit.acknowledged;
    }
    atomic_store(&stop, true);
    for (int i = 0; i < THREADS; i++)
        CU_ASSERT_EQUAL(pthread_join(threads[i], NULL), 0);
    CU_ASSERT_TRUE(bench_is_sound(bench));
    bench_free(bench);
}

static CU_TestInfo cases[] = {SUITE_CASE(test_sound),
                              SUITE_CASE(test_each_deed_is_named),
                              SUITE_CASE(test_a_forged_receipt_is_named),
                              SUITE_CASE(test_a_broken_chain_wedges_nothing),
                              SUITE_CASE(test_it_stops_when_asked),
                              SUITE_CASE(test_one_moment_while_much_happens),
                              CU_TEST_INFO_NULL};
SUITE_MAIN("ledger: audit", cases)
