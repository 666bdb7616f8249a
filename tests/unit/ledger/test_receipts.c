/* Receipts: what they hold, how they hang together, and what may happen to a study afterwards
 * without one of them changing. The hashes are made here once more, from what is printed. */
#include "bench.h"

#include "aurabridge/digest.h"
#include "aurabridge/json.h"
#include "aurabridge/ledger_due.h"
#include "aurabridge/ledger_receipt.h"

#include <stdio.h>
#include <string.h>

static const char no_hash[] = "0000000000000000000000000000000000000000000000000000000000000000";

struct parsed {
    struct ledger_receipt receipt;
    struct json *head;
};

static struct parsed read_receipt(struct bench *bench, int64_t id)
{
    struct parsed parsed = {0};
    char hash[SHA256_HEX_SIZE];
    CU_ASSERT_EQUAL_FATAL(ledger_receipt(bench->ledger, &parsed.receipt, id, &bench->err), 0);
    const char *head = parsed.receipt.head;
    CU_ASSERT_EQUAL_FATAL(json_parse(&parsed.head, head, strlen(head), NULL), 0);
    CU_ASSERT_EQUAL(sha256_hex_of(hash, head, strlen(head)), 0);
    CU_ASSERT_STRING_EQUAL(hash, parsed.receipt.sha256);
    CU_ASSERT_TRUE(parsed.receipt.is_intact);
    return parsed;
}

static const char *text_of(const struct parsed *parsed, const char *key)
{
    const char *text = json_text(json_get(parsed->head, key));
    return text ? text : "(none)";
}

static int64_t number_of(const struct parsed *parsed, const char *key)
{
    int64_t number = -1;
    (void)json_int(json_get(parsed->head, key), &number);
    return number;
}

struct lines {
    struct sha256 *digest;
    unsigned count;
    char first[1024];
};

static int take_line(void *context, const char *line)
{
    struct lines *lines = context;
    if (lines->count++ == 0)
        (void)snprintf(lines->first, sizeof lines->first, "%s", line);
    return sha256_update(lines->digest, line, strlen(line)) | sha256_update(lines->digest, "\n", 1);
}

/* The digest of the lines that are printed is the one of the head. */
static struct lines check_lines(struct bench *bench, int64_t id)
{
    struct parsed parsed = read_receipt(bench, id);
    struct lines lines = {.digest = sha256_new()};
    uint8_t digest[SHA256_SIZE];
    char hash[SHA256_HEX_SIZE];
    CU_ASSERT_EQUAL(ledger_receipt_instances(bench->ledger, id, take_line, &lines, &bench->err), 0);
    CU_ASSERT_EQUAL(sha256_finish(lines.digest, digest), 0);
    hex_encode(hash, digest, sizeof digest);
    CU_ASSERT_STRING_EQUAL(hash, text_of(&parsed, "instances_sha256"));
    CU_ASSERT_EQUAL(number_of(&parsed, "instances"), lines.count);
    sha256_free(lines.digest);
    json_free(parsed.head);
    return lines;
}

static void test_what_it_holds(void)
{
    struct bench *bench = bench_new(true);
    SEND(bench, .study = "1.2.3", .sop = "1.1", .size = 1300);
    SEND(bench, .study = "1.2.3", .sop = "1.2", .size = 2300);
    SEND(bench, .study = "1.2.3", .sop = "1.3", .size = 9999);
    CU_ASSERT_EQUAL(ledger_instance_drop(bench->ledger, 3, "rule", NULL), 0);
    bench_bring(bench, 1, STUDY_CONFIRMING);
    const struct ledger_upload upload = {.upload_id = "up-1",
                                         .assembly_id = "as-1",
                                         .step = STEP_COMPLETE_DONE,
                                         .upload_url = "http://secret.place/token",
                                         .upload_length = 4000,
                                         .aurabox_study_id = "aurabox \"77\""};
    CU_ASSERT_EQUAL(ledger_upload_put(bench->ledger, 1, &upload, NULL), 0);
    struct ledger_receipt none;
    CU_ASSERT_EQUAL(ledger_receipt(bench->ledger, &none, 1, &bench->err), LEDGER_NOT_FOUND);
    bench->now = 2000000;
    CU_ASSERT_EQUAL(ledger_advance(bench->ledger, 1, STUDY_CONFIRMING, STUDY_COMPLETED,
                                   "Aurabox confirmed", NULL),
                    0);
    struct parsed parsed = read_receipt(bench, 1);
    CU_ASSERT_EQUAL(parsed.receipt.number, 1);
    CU_ASSERT_EQUAL(number_of(&parsed, "number"), 1);
    CU_ASSERT_STRING_EQUAL(text_of(&parsed, "previous"), no_hash);
    CU_ASSERT_STRING_EQUAL(text_of(&parsed, "study"), "S1");
    CU_ASSERT_STRING_EQUAL(text_of(&parsed, "study_instance_uid"), "1.2.3");
    CU_ASSERT_EQUAL(number_of(&parsed, "generation"), 0);
    CU_ASSERT_TRUE(json_is_null(json_get(parsed.head, "supplement_of")));
    CU_ASSERT_STRING_EQUAL(text_of(&parsed, "entry"), "ct-rooms");
    CU_ASSERT_STRING_EQUAL(text_of(&parsed, "destination"), "main");
    CU_ASSERT_STRING_EQUAL(text_of(&parsed, "upload_id"), "up-1");
    CU_ASSERT_STRING_EQUAL(text_of(&parsed, "assembly_id"), "as-1");
    CU_ASSERT_STRING_EQUAL(json_text(json_first(json_get(parsed.head, "aurabox_study_ids"))),
                           "aurabox \"77\"");
    CU_ASSERT_EQUAL(number_of(&parsed, "archive_bytes"), 4000);
    CU_ASSERT_STRING_EQUAL(text_of(&parsed, "first_received"), "1970-01-01T00:16:40.000Z");
    CU_ASSERT_STRING_EQUAL(text_of(&parsed, "completed"), "1970-01-01T00:33:20.000Z");
    CU_ASSERT_STRING_EQUAL(text_of(&parsed, "outcome"), "Aurabox confirmed");
    CU_ASSERT_EQUAL(number_of(&parsed, "instances"), 2);
    CU_ASSERT_EQUAL(number_of(&parsed, "bytes"), 3000); /* of the data sets */
    CU_ASSERT_EQUAL(number_of(&parsed, "dropped_by_rule"), 1);
    /* Neither patient nor secret. */
    CU_ASSERT_PTR_NULL(strstr(parsed.receipt.head, "PAT1"));
    CU_ASSERT_PTR_NULL(strstr(parsed.receipt.head, "secret"));
    json_free(parsed.head);
    struct lines lines = check_lines(bench, 1);
    CU_ASSERT_STRING_EQUAL(
        lines.first,
        "{\"sop_instance_uid\":\"1.1\",\"sop_class_uid\":\"1.2.840.10008.5.1.4.1.1.2\","
        "\"series_instance_uid\":\"1.2.3.9\",\"data_set_sha256\":"
        "\"81a0af2f638659df5fcf102f8007fcda645fa3375f0cc2876c0a94fdde33bb14\",\"data_set_bytes\":"
        "1000,"
        "\"calling_ae_title\":\"CT1\",\"called_ae_title\":\"AURABRIDGE\","
        "\"peer_address\":\"10.1.2.3\",\"received\":\"1970-01-01T00:16:40.000Z\"}");
    bench_free(bench);
}

static void test_pages(void)
{
    static const int counts[] = {1, 63, 64, 65, 128, 200};
    struct bench *bench = bench_new(false);
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
        char study[32], sop[32];
        (void)snprintf(study, sizeof study, "2.%zu", i);
        for (int k = 0; k < counts[i]; k++) {
            (void)snprintf(sop, sizeof sop, "1.%zu.%d", i, k);
            SEND(bench, .study = study, .sop = sop);
        }
        bench_bring(bench, (int64_t)i + 1, STUDY_COMPLETED);
        CU_ASSERT_EQUAL(check_lines(bench, (int64_t)i + 1).count, counts[i]);
    }
    CU_ASSERT_TRUE(bench_is_sound(bench));
    bench_free(bench);
}

/* Each names the one before; a supplement names its study. */
static void test_chain(void)
{
    struct bench *bench = bench_new(true);
    char previous[SHA256_HEX_SIZE];
    memcpy(previous, no_hash, sizeof previous);
    for (int64_t id = 1; id <= 3; id++) {
        SEND(bench, .study = "1.2.3", .sop = "1.1", .version = (unsigned)id);
        bench_bring(bench, id, STUDY_COMPLETED);
        struct parsed parsed = read_receipt(bench, id);
        CU_ASSERT_EQUAL(parsed.receipt.number, id);
        CU_ASSERT_STRING_EQUAL(text_of(&parsed, "previous"), previous);
        CU_ASSERT_EQUAL(number_of(&parsed, "generation"), id - 1);
        CU_ASSERT_STRING_EQUAL(text_of(&parsed, "supplement_of"), id > 1 ? "S1" : "(none)");
        memcpy(previous, parsed.receipt.sha256, sizeof previous);
        json_free(parsed.head);
        bench_reopen(bench);
    }
    struct found found = bench_audit(bench);
    CU_ASSERT_EQUAL(found.count, 0);
    CU_ASSERT_EQUAL(found.audit.receipts, 3);
    CU_ASSERT_STRING_EQUAL(found.audit.chain_sha256, previous);
    bench_free(bench);
}

static void test_no_receipt_without_completion(void)
{
    struct bench *bench = bench_new(true);
    struct ledger_receipt receipt;
    SEND(bench, .sop = "1");
    bench_bring(bench, 1, STUDY_UPLOADING);
    /* The worker is late: the study is not confirming any more. */
    CU_ASSERT_EQUAL(
        ledger_advance(bench->ledger, 1, STUDY_CONFIRMING, STUDY_COMPLETED, "late", NULL),
        LEDGER_CONFLICT);
    CU_ASSERT_EQUAL(ledger_advance(bench->ledger, 1, STUDY_UPLOADING, STUDY_COMPLETED, "no", NULL),
                    -1);
    bench_bring(bench, 1, STUDY_FAILED);
    CU_ASSERT_EQUAL(ledger_receipt(bench->ledger, &receipt, 1, &bench->err), LEDGER_NOT_FOUND);
    CU_ASSERT_EQUAL(ledger_receipt(bench->ledger, &receipt, 9, &bench->err), LEDGER_NOT_FOUND);
    struct found found = bench_audit(bench);
    CU_ASSERT_EQUAL(found.count, 0);
    CU_ASSERT_EQUAL(found.audit.receipts, 0);
    CU_ASSERT_STRING_EQUAL(found.audit.chain_sha256, no_hash);
    bench_free(bench);
}

static void forget_file_names(struct bench *bench, int64_t id)
{
    CU_ASSERT_EQUAL(ledger_instances(bench->ledger, id, -1, bench_remove_file, bench->ledger, NULL),
                    0);
}

static void test_what_comes_after_changes_nothing(void)
{
    struct bench *bench = bench_new(true);
    SEND(bench, .sop = "1");
    SEND(bench, .sop = "2");
    bench_bring(bench, 1, STUDY_COMPLETED);
    struct parsed before = read_receipt(bench, 1);
    SEND(bench, .sop = "1");
    SEND(bench, .sop = "1", .version = 7, .policy = CHANGED_DUPLICATE_KEEP_FIRST);
    CU_ASSERT_EQUAL(bench_study(bench, 1).superseded, 1);
    CU_ASSERT_EQUAL(bench_study(bench, 1).swallowed_resends, 1);
    forget_file_names(bench, 1);
    CU_ASSERT_EQUAL(ledger_set_warning(bench->ledger, 1, "late", NULL), 0);
    CU_ASSERT_EQUAL(ledger_study_forget(bench->ledger, 1, NULL), 0);
    SEND(bench, .sop = "1");
    bench_bring(bench, 2, STUDY_COMPLETED);
    struct parsed after = read_receipt(bench, 1);
    CU_ASSERT_STRING_EQUAL(before.receipt.head, after.receipt.head);
    CU_ASSERT_EQUAL(check_lines(bench, 1).count, 2);
    CU_ASSERT_TRUE(bench_is_sound(bench));
    json_free(before.head);
    json_free(after.head);
    bench_free(bench);
}

static void trim(struct bench *bench, int64_t before_ms, unsigned studies)
{
    unsigned removed = 99;
    CU_ASSERT_EQUAL(ledger_trim(bench->ledger, before_ms, &removed, &bench->err), 0);
    CU_ASSERT_EQUAL(removed, studies);
}

static void complete(struct bench *bench, int64_t id, int64_t at)
{
    char uid[32];
    (void)snprintf(uid, sizeof uid, "5.%lld", (long long)id);
    SEND(bench, .study = uid, .sop = uid);
    bench->now = at;
    bench_bring(bench, id, STUDY_COMPLETED);
    forget_file_names(bench, id);
}

static void test_trimming_keeps_an_anchor(void)
{
    struct bench *bench = bench_new(true);
    struct ledger_receipt second, gone;
    for (int64_t id = 1; id <= 4; id++)
        complete(bench, id, 1000000 + id * 1000);
    CU_ASSERT_EQUAL(ledger_receipt(bench->ledger, &second, 2, NULL), 0);
    trim(bench, 1002500, 2);
    CU_ASSERT_EQUAL(ledger_receipt(bench->ledger, &gone, 2, NULL), LEDGER_NOT_FOUND);
    struct parsed third = read_receipt(bench, 3);
    CU_ASSERT_STRING_EQUAL(text_of(&third, "previous"), second.sha256);
    json_free(third.head);
    struct found found = bench_audit(bench);
    CU_ASSERT_EQUAL(found.count, 0);
    CU_ASSERT_EQUAL(found.audit.receipts, 2);
    CU_ASSERT_EQUAL(found.audit.first_receipt, 3);
    CU_ASSERT_EQUAL(found.audit.trimmed, 2);
    CU_ASSERT_EQUAL(found.audit.acknowledged, 2);
    trim(bench, INT64_MAX, 2);
    CU_ASSERT_TRUE(bench_is_sound(bench));
    complete(bench, 5, 1009000); /* the chain goes on from its anchor */
    found = bench_audit(bench);
    CU_ASSERT_EQUAL(found.count, 0);
    CU_ASSERT_EQUAL(found.audit.first_receipt, 5);
    CU_ASSERT_EQUAL(found.audit.trimmed, 4);
    bench_free(bench);
}

/* The clock ran ahead when the first was completed: its rows stay for long, and its receipt; the
 * others' rows go in time, and their receipts wait for it. */
static void test_trimming_out_of_order(void)
{
    struct bench *bench = bench_new(true);
    complete(bench, 1, 900000000);
    complete(bench, 2, 1002000);
    complete(bench, 3, 1003000);
    trim(bench, 2000000, 2);
    struct found found = bench_audit(bench);
    CU_ASSERT_EQUAL(found.count, 0);
    CU_ASSERT_EQUAL(found.audit.studies, 1);
    CU_ASSERT_EQUAL(found.audit.receipts, 3);
    complete(bench, 4, 1004000);
    trim(bench, 900000001, 2);
    found = bench_audit(bench);
    CU_ASSERT_EQUAL(found.count, 0);
    CU_ASSERT_EQUAL(found.audit.receipts, 0);
    CU_ASSERT_EQUAL(found.audit.trimmed, 4);
    bench_free(bench);
}

/* Takes the study up in its state, as a worker does. */
static void claim(struct bench *bench)
{
    struct ledger_study study;
    int64_t next;
    CU_ASSERT_EQUAL(
        ledger_claim(bench->ledger, &study, "main", "w", bench->now, 1000, &next, &bench->err), 0);
}

static void end(struct bench *bench, enum study_state from, enum study_state to)
{
    claim(bench);
    CU_ASSERT_EQUAL(ledger_advance(bench->ledger, 1, from, to, "test", &bench->err), 0);
}

static void put_off(struct bench *bench, bool counts)
{
    claim(bench);
    CU_ASSERT_EQUAL(ledger_defer(bench->ledger, 1, bench_study(bench, 1).state, bench->now, "away",
                                 counts, &bench->err),
                    0);
}

static void test_attempts(void)
{
    struct bench *bench = bench_new(true);
    SEND(bench, .sop = "1");
    bench_bring(bench, 1, STUDY_READY);
    end(bench, STUDY_READY, STUDY_PACKAGING);
    put_off(bench, true); /* a full disk here is no attempt to upload */
    end(bench, STUDY_PACKAGING, STUDY_UPLOADING);
    CU_ASSERT_EQUAL(bench_study(bench, 1).attempts, 0);
    put_off(bench, false);
    put_off(bench, true);
    claim(bench); /* killed in the middle */
    bench_reopen(bench);
    CU_ASSERT_EQUAL(bench_study(bench, 1).attempts, 3);
    end(bench, STUDY_UPLOADING, STUDY_CONFIRMING);
    CU_ASSERT_EQUAL(bench_study(bench, 1).attempts, 4);
    put_off(bench, true); /* part of the attempt that is under way */
    CU_ASSERT_EQUAL(bench_study(bench, 1).attempts, 4);
    end(bench, STUDY_CONFIRMING, STUDY_COMPLETED);
    struct parsed parsed = read_receipt(bench, 1);
    CU_ASSERT_EQUAL(number_of(&parsed, "attempts"), 5);
    json_free(parsed.head);
    bench_free(bench);
}

static void test_a_new_upload_counts_anew(void)
{
    struct bench *bench = bench_new(true);
    SEND(bench, .sop = "1");
    bench_bring(bench, 1, STUDY_UPLOADING);
    put_off(bench, true);
    end(bench, STUDY_UPLOADING, STUDY_FAILED);
    CU_ASSERT_EQUAL(ledger_study_retry(bench->ledger, 1, NULL), 0);
    CU_ASSERT_EQUAL(bench_study(bench, 1).attempts, 0);
    end(bench, STUDY_READY, STUDY_PACKAGING);
    end(bench, STUDY_PACKAGING, STUDY_UPLOADING);
    end(bench, STUDY_UPLOADING, STUDY_CONFIRMING);
    end(bench, STUDY_CONFIRMING, STUDY_COMPLETED);
    struct parsed parsed = read_receipt(bench, 1);
    CU_ASSERT_EQUAL(number_of(&parsed, "attempts"), 1);
    json_free(parsed.head);
    bench_free(bench);
}

static CU_TestInfo cases[] = {SUITE_CASE(test_what_it_holds),
                              SUITE_CASE(test_pages),
                              SUITE_CASE(test_chain),
                              SUITE_CASE(test_no_receipt_without_completion),
                              SUITE_CASE(test_what_comes_after_changes_nothing),
                              SUITE_CASE(test_trimming_keeps_an_anchor),
                              SUITE_CASE(test_trimming_out_of_order),
                              SUITE_CASE(test_attempts),
                              SUITE_CASE(test_a_new_upload_counts_anew),
                              CU_TEST_INFO_NULL};
SUITE_MAIN("ledger: receipts", cases)
