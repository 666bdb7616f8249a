/* A ledger file of schema version 1 opens in this version: nothing of it is lost or changed, and it
 * gains what the version has. The SQL of version 1 stands here as it was released, apart from the
 * one in the source. */
#include "bench.h"
#include "tamper.h"

#include "aurabridge/json.h"
#include "aurabridge/ledger_due.h"
#include "aurabridge/ledger_receipt.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const char version_1[] =
    "CREATE TABLE study("
    " id INTEGER PRIMARY KEY AUTOINCREMENT,"
    " route_key TEXT NOT NULL,"
    " study_instance_uid TEXT NOT NULL,"
    " generation INTEGER NOT NULL,"
    " first_id INTEGER NOT NULL,"
    " entry_name TEXT NOT NULL,"
    " destination TEXT NOT NULL,"
    " state TEXT NOT NULL,"
    " reason TEXT NOT NULL DEFAULT '',"
    " warning TEXT NOT NULL DEFAULT '',"
    " first_received_ms INTEGER NOT NULL,"
    " last_received_ms INTEGER NOT NULL,"
    " changed_ms INTEGER NOT NULL,"
    " completed_ms INTEGER NOT NULL DEFAULT 0,"
    " due_ms INTEGER NOT NULL DEFAULT 0,"
    " retry_at_ms INTEGER NOT NULL DEFAULT 0,"
    " attempt INTEGER NOT NULL DEFAULT 0,"
    " lease_owner TEXT NOT NULL DEFAULT '',"
    " lease_until_ms INTEGER NOT NULL DEFAULT 0,"
    " free_at_ms INTEGER GENERATED ALWAYS AS (max(retry_at_ms,lease_until_ms)) VIRTUAL,"
    " has_changed_duplicates INTEGER NOT NULL DEFAULT 0,"
    " must_quarantine INTEGER NOT NULL DEFAULT 0,"
    " released INTEGER NOT NULL DEFAULT 0,"
    " passed INTEGER NOT NULL DEFAULT 0,"
    " cancel_requested INTEGER NOT NULL DEFAULT 0,"
    " forgotten INTEGER NOT NULL DEFAULT 0,"
    " instances INTEGER NOT NULL DEFAULT 0,"
    " bytes INTEGER NOT NULL DEFAULT 0,"
    " dropped INTEGER NOT NULL DEFAULT 0,"
    " superseded INTEGER NOT NULL DEFAULT 0,"
    " resends INTEGER NOT NULL DEFAULT 0,"
    " swallowed_resends INTEGER NOT NULL DEFAULT 0,"
    " discarded INTEGER NOT NULL DEFAULT 0,"
    " truncated INTEGER NOT NULL DEFAULT 0,"
    " files INTEGER NOT NULL DEFAULT 0,"
    " upload_id TEXT NOT NULL DEFAULT '',"
    " assembly_id TEXT NOT NULL DEFAULT '',"
    " step INTEGER NOT NULL DEFAULT 0,"
    " upload_url TEXT NOT NULL DEFAULT '',"
    " upload_length INTEGER NOT NULL DEFAULT 0,"
    " upload_offset INTEGER NOT NULL DEFAULT 0,"
    " package_digest TEXT NOT NULL DEFAULT '',"
    " aurabox_study_id TEXT NOT NULL DEFAULT '',"
    " complete_unanswered INTEGER NOT NULL DEFAULT 0);"
    "CREATE UNIQUE INDEX study_generation ON study(route_key,study_instance_uid,generation)"
    " WHERE forgotten=0;"
    "CREATE INDEX study_open ON study(route_key,study_instance_uid,generation)"
    " WHERE state='receiving' AND forgotten=0;"
    "CREATE INDEX study_uid ON study(study_instance_uid);"
    "CREATE INDEX study_by_state ON study(state);"
    "CREATE INDEX study_receiving ON study(due_ms) WHERE state='receiving';"
    "CREATE INDEX study_validating ON study(free_at_ms) WHERE state='validating';"
    "CREATE INDEX study_delivering ON study(destination,free_at_ms,first_received_ms)"
    " WHERE state IN ('ready','packaging','uploading','confirming');"
    "CREATE INDEX study_leased ON study(lease_until_ms) WHERE lease_until_ms>0;"
    "CREATE INDEX study_to_clean ON study(changed_ms)"
    " WHERE files>0 AND state IN ('completed','discarded');"
    "CREATE INDEX study_to_trim ON study(changed_ms)"
    " WHERE files=0 AND state IN ('completed','discarded');"
    "CREATE TABLE instance("
    " id INTEGER PRIMARY KEY,"
    " study_id INTEGER NOT NULL,"
    " disposition TEXT NOT NULL,"
    " reason TEXT NOT NULL DEFAULT '',"
    " sop_class_uid TEXT NOT NULL,"
    " sop_instance_uid TEXT NOT NULL,"
    " transfer_syntax_uid TEXT NOT NULL,"
    " series_instance_uid TEXT NOT NULL,"
    " calling_ae_title TEXT NOT NULL,"
    " called_ae_title TEXT NOT NULL,"
    " peer_address TEXT NOT NULL,"
    " file_name TEXT,"
    " data_set_sha256 BLOB NOT NULL,"
    " file_crc32 INTEGER NOT NULL,"
    " file_size INTEGER NOT NULL,"
    " data_set_offset INTEGER NOT NULL,"
    " received_ms INTEGER NOT NULL,"
    " ending INTEGER NOT NULL,"
    " ending_tag INTEGER NOT NULL,"
    " ending_missing INTEGER NOT NULL,"
    " ending_offset INTEGER NOT NULL,"
    " patient_id TEXT NOT NULL,"
    " issuer TEXT NOT NULL,"
    " attributes TEXT NOT NULL);"
    "CREATE INDEX instance_study ON instance(study_id);"
    "CREATE INDEX instance_uid ON instance(sop_instance_uid);"
    "CREATE INDEX instance_series ON instance(series_instance_uid,study_id);"
    "CREATE UNIQUE INDEX instance_file ON instance(file_name) WHERE file_name IS NOT NULL;"
    "CREATE TABLE counter(name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;"
    "INSERT INTO counter VALUES('acknowledged',0);";

#define COMMON                                                                                     \
    "route_key,study_instance_uid,generation,first_id,entry_name,destination,state,"               \
    "first_received_ms,last_received_ms,changed_ms,completed_ms,instances,bytes,"                  \
    "dropped,superseded,resends,swallowed_resends,discarded,files,upload_id,step"

/* One of each that matters: completed with files, completed and cleaned and forgotten, its
 * supplement, one being received, one whose upload was under way, one quarantined, one discarded.
 */
static const char rows_of_version_1[] =
    "INSERT INTO study(id," COMMON ") VALUES"
    "(1,'aaaaaaaaaaaaaaaa','2.1',0,1,'ct-rooms','main','completed',1000,2000,9000,9000,2,2600,1,1,"
    "3,4,0,3,'up-1',8),"
    "(2,'aaaaaaaaaaaaaaaa','2.2',0,2,'','main','completed',1000,2000,8000,8000,1,1000,0,0,0,0,0,0,"
    "'up-2',8),"
    "(4,'aaaaaaaaaaaaaaaa','2.1',1,1,'ct-rooms','main','receiving',9500,9500,9500,0,1,1000,0,0,0,0,"
    "0,1,'',0),"
    "(5,'aaaaaaaaaaaaaaaa','2.5',0,5,'ct-rooms','main','uploading',1000,2000,9600,0,1,1000,0,0,2,0,"
    "0,1,'up-5',5),"
    "(6,'bbbbbbbbbbbbbbbb','2.6',0,6,'','','quarantined',1000,2000,9700,0,1,1000,0,0,0,0,0,1,'',0),"
    "(7,'aaaaaaaaaaaaaaaa','2.7',0,7,'','main','discarded',1000,2000,9800,0,0,0,0,0,1,0,1,0,'',0);"
    "UPDATE study SET forgotten=1 WHERE id=2;"
    "UPDATE study SET passed=1 WHERE id=5;"
    "INSERT INTO instance(study_id,disposition,sop_class_uid,sop_instance_uid,transfer_syntax_uid,"
    "series_instance_uid,calling_ae_title,called_ae_title,peer_address,file_name,data_set_sha256,"
    "file_crc32,file_size,data_set_offset,received_ms,ending,ending_tag,ending_missing,"
    "ending_offset,patient_id,issuer,attributes) "
    "SELECT column1,column2,'1.2.840.10008.5.1.4.1.1.2',column3,'1.2.840.10008.1.2.1','3.1','CT1',"
    "'AURABRIDGE','10.1.2.3',column4,column5,1,column6,300,1500,0,0,0,0,'PAT1','',"
    "'{\"PatientID\":\"PAT1\"}' FROM (VALUES"
    "(1,'stored','1.1','a',randomblob(32),1300),(1,'stored','1.2','b',randomblob(32),1300),"
    "(1,'dropped','1.3','c',randomblob(32),500),(1,'superseded','1.1',NULL,randomblob(32),900),"
    "(2,'stored','2.1',NULL,randomblob(32),1000),(4,'stored','1.1','d',randomblob(32),1000),"
    "(5,'stored','5.1','e',randomblob(32),1000),(6,'stored','6.1','f',randomblob(32),1000),"
    "(7,'discarded','7.1',NULL,randomblob(32),1000));"
    "UPDATE counter SET value=19 WHERE name='acknowledged';";

static const char stamp_of_version_1[] = "PRAGMA application_id=1098207810;PRAGMA user_version=1;";

/* A bench whose ledger is closed and whose file is of version 1. */
static struct bench *make_version_1(void)
{
    struct bench *bench = bench_new(true);
    ledger_close(bench->ledger);
    bench->ledger = NULL;
    CU_ASSERT_EQUAL(unlink(bench->path), 0);
    tamper(bench->path, "PRAGMA journal_mode=WAL");
    tamper(bench->path, version_1);
    tamper(bench->path, rows_of_version_1);
    tamper(bench->path, stamp_of_version_1);
    return bench;
}

static void open_again(struct bench *bench)
{
    CU_ASSERT_EQUAL_FATAL(ledger_open(&bench->ledger, bench->path, &bench->clock, &bench->err), 0);
}

static const char old_columns[] = "SELECT id," COMMON ",passed,forgotten FROM study ORDER BY id";
static const char old_instances[] =
    "SELECT id,study_id,disposition,sop_instance_uid,file_name,hex(data_set_sha256),file_size,"
    "received_ms,attributes FROM instance ORDER BY id";

static void test_nothing_is_lost(void)
{
    struct bench *bench = make_version_1();
    char studies[4096], instances[4096];
    (void)snprintf(studies, sizeof studies, "%s", tamper_texts(bench->path, old_columns));
    (void)snprintf(instances, sizeof instances, "%s", tamper_texts(bench->path, old_instances));
    CU_ASSERT_PTR_NOT_NULL(strstr(studies, "quarantined"));
    open_again(bench);
    CU_ASSERT_EQUAL(tamper_number(bench->path, "PRAGMA user_version"), 4);
    CU_ASSERT_STRING_EQUAL(tamper_texts(bench->path, old_columns), studies);
    CU_ASSERT_STRING_EQUAL(tamper_texts(bench->path, old_instances), instances);
    CU_ASSERT_TRUE(bench_adds_up(bench));
    bench_free(bench);
}

static void test_what_is_gained(void)
{
    static const uint64_t acknowledged[] = {[1] = 11, [2] = 1, [4] = 1, [5] = 3, [6] = 1, [7] = 2};
    struct bench *bench = make_version_1();
    open_again(bench);
    for (int64_t id = 1; id <= 7; id++) {
        if (id != 3)
            CU_ASSERT_EQUAL(bench_study(bench, id).acknowledged, acknowledged[id]);
    }
    CU_ASSERT_EQUAL(bench_study(bench, 5).attempts, 1); /* the one that is under way */
    CU_ASSERT_EQUAL(bench_study(bench, 5).priority, PRIORITY_NORMAL);
    CU_ASSERT_EQUAL(tamper_number(bench->path, "SELECT count(*) FROM study WHERE "
                                               "turn_ms<>first_received_ms OR priority<>'normal'"),
                    0);
    struct ledger_study due;
    CU_ASSERT_EQUAL(
        ledger_claim(bench->ledger, &due, "main", "w", bench->now, 1000, NULL, &bench->err), 0);
    CU_ASSERT_EQUAL(due.id, 5);
    /* Receipts of what was completed before there were any, forgotten or not. */
    struct ledger_receipt receipt;
    CU_ASSERT_EQUAL(ledger_receipt(bench->ledger, &receipt, 1, NULL), 0);
    CU_ASSERT_EQUAL(receipt.number, 1);
    CU_ASSERT_PTR_NOT_NULL(strstr(receipt.head, "\"upload_id\":\"up-1\""));
    CU_ASSERT_PTR_NOT_NULL(strstr(receipt.head, "\"attempts\":null")); /* nobody counted */
    CU_ASSERT_PTR_NOT_NULL(strstr(receipt.head, "\"completed\":\"1970-01-01T00:00:09.000Z\""));
    CU_ASSERT_PTR_NOT_NULL(strstr(receipt.head, "\"instances\":2,\"bytes\":2000"));
    CU_ASSERT_EQUAL(ledger_receipt(bench->ledger, &receipt, 2, NULL), 0);
    CU_ASSERT_EQUAL(receipt.number, 2);
    CU_ASSERT_EQUAL(ledger_receipt(bench->ledger, &receipt, 5, NULL), LEDGER_NOT_FOUND);
    struct found found = bench_audit(bench);
    if (found.count > 0)
        printf("\n%s", found.words);
    CU_ASSERT_EQUAL(found.count, 0);
    CU_ASSERT_EQUAL(found.audit.receipts, 2);
    bench_free(bench);
}

static void test_it_goes_on(void)
{
    struct bench *bench = make_version_1();
    unsigned removed = 0;
    open_again(bench);
    bench_bring(bench, 5, STUDY_COMPLETED);
    SEND(bench, .study = "2.1", .sop = "1.9"); /* into the supplement */
    CU_ASSERT_EQUAL(bench_study(bench, 4).instances, 2);
    CU_ASSERT_EQUAL(SEND(bench, .study = "2.9", .sop = "9").study_id, 8);
    bench_bring(bench, 4, STUDY_COMPLETED);
    bench_reopen(bench); /* of version 2 now: nothing is made twice */
    CU_ASSERT_TRUE(bench_is_sound(bench));
    for (int64_t id = 1; id <= 5; id++) {
        if (id != 3)
            CU_ASSERT_EQUAL(
                ledger_instances(bench->ledger, id, -1, bench_remove_file, bench->ledger, NULL), 0);
    }
    CU_ASSERT_EQUAL(ledger_trim(bench->ledger, 9900, &removed, NULL), 0);
    CU_ASSERT_EQUAL(removed, 3);
    struct found found = bench_audit(bench);
    CU_ASSERT_EQUAL(found.count, 0);
    CU_ASSERT_EQUAL(found.audit.trimmed, 14);
    CU_ASSERT_EQUAL(found.audit.first_receipt, 3);
    bench_free(bench);
}

/* Whichever way a file has come, it has the same tables. */
static void test_same_as_a_new_one(void)
{
    static const char schema[] = "SELECT type,name,sql FROM sqlite_schema ORDER BY name";
    static char migrated[65536];
    struct bench *bench = make_version_1();
    open_again(bench);
    (void)snprintf(migrated, sizeof migrated, "%s", tamper_texts(bench->path, schema));
    bench_free(bench);
    bench = bench_new(true);
    CU_ASSERT_STRING_EQUAL(tamper_texts(bench->path, schema), migrated);
    CU_ASSERT_TRUE(strlen(migrated) > 1000);
    bench_free(bench);
}

/* What fails in the middle leaves the file as it was, to be opened by the version that made it. */
static void test_all_or_nothing(void)
{
    struct bench *bench = make_version_1();
    tamper(bench->path, "CREATE TABLE receipt_chain(place TEXT)");
    char before[4096];
    (void)snprintf(before, sizeof before, "%s",
                   tamper_texts(bench->path, "SELECT name,sql FROM sqlite_schema"));
    CU_ASSERT_EQUAL(ledger_open(&bench->ledger, bench->path, &bench->clock, &bench->err), -1);
    CU_ASSERT_PTR_NOT_NULL(strstr(bench->err.text, "tables"));
    CU_ASSERT_EQUAL(tamper_number(bench->path, "PRAGMA user_version"), 1);
    CU_ASSERT_STRING_EQUAL(tamper_texts(bench->path, "SELECT name,sql FROM sqlite_schema"), before);
    tamper(bench->path, "DROP TABLE receipt_chain");
    open_again(bench);
    CU_ASSERT_TRUE(bench_is_sound(bench));
    bench_free(bench);
}

static void test_a_newer_one_is_left_alone(void)
{
    struct bench *bench = make_version_1();
    tamper(bench->path, "PRAGMA user_version=5");
    CU_ASSERT_EQUAL(ledger_open(&bench->ledger, bench->path, &bench->clock, &bench->err), -1);
    CU_ASSERT_PTR_NOT_NULL(strstr(bench->err.text, "newer AuraBridge (schema 5, this one knows up "
                                                   "to 4); run that version or a later one"));
    CU_ASSERT_EQUAL(tamper_number(bench->path, "PRAGMA user_version"), 5);
    CU_ASSERT_EQUAL(tamper_number(bench->path, "SELECT count(*) FROM sqlite_schema WHERE name "
                                               "LIKE 'receipt%'"),
                    0);
    bench_free(bench);
}

static CU_TestInfo cases[] = {SUITE_CASE(test_nothing_is_lost),
                              SUITE_CASE(test_what_is_gained),
                              SUITE_CASE(test_it_goes_on),
                              SUITE_CASE(test_same_as_a_new_one),
                              SUITE_CASE(test_all_or_nothing),
                              SUITE_CASE(test_a_newer_one_is_left_alone),
                              CU_TEST_INFO_NULL};
SUITE_MAIN("ledger: migration", cases)
