/* Making receipts, and trimming them. Guarantees that a receipt is made in the transaction that
 * completes its study, that it is linked to the one before it, and that nothing of it changes
 * afterwards: the columns it is made of are never written again. No patient data goes in. */
#include "receipt.h"

#include "aurabridge/clock.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FORMAT 1 /* of the head and of the instances' lines */

static const char instances_sql[] = "SELECT " RECEIPT_LINE_COLUMNS " FROM instance INDEXED BY "
                                    "instance_study WHERE study_id=?1 AND disposition='stored' "
                                    "ORDER BY id";

int receipt_contents_read(struct database *database, struct receipt_contents *out, int64_t study_id,
                          struct error *err)
{
    *out = (struct receipt_contents){0};
    uint8_t digest[SHA256_SIZE];
    sqlite3_stmt *row = NULL;
    struct sha256 *running = sha256_new();
    if (!running)
        return error_set(err, "no SHA-256 to be had for a receipt");
    int found = database_query(database, &row, instances_sql, VALUES(INTEGER(study_id)), err);
    for (; found > 0; found = row_next(row, err)) {
        char *line = receipt_line(row, &out->bytes);
        int failed = line ? sha256_update(running, line, strlen(line)) : -1;
        failed |= sha256_update(running, "\n", 1);
        free(line);
        if (failed) {
            row_done(row);
            found = error_set(err, "no memory for a receipt");
            break;
        }
        out->instances++;
    }
    if (found == 0 && sha256_finish(running, digest) != 0)
        found = error_set(err, "SHA-256 failed");
    sha256_free(running);
    if (found == 0)
        hex_encode(out->sha256, digest, sizeof digest);
    return found;
}

struct link {
    int64_t number;
    uint8_t sha256[SHA256_SIZE];
};

/* Both should agree; where one was tampered with, a study must be completed all the same. */
static int chain_end(struct database *database, struct link *out, struct error *err)
{
    *out = (struct link){0};
    sqlite3_stmt *row = NULL;
    int found = database_query(database, &row,
                               "SELECT number,sha256 FROM receipt_chain WHERE place='tip' "
                               "AND number BETWEEN 0 AND ?1 "
                               "UNION ALL SELECT * FROM (SELECT number,sha256 FROM receipt WHERE "
                               "number BETWEEN 0 AND ?1 ORDER BY number DESC LIMIT 1) "
                               "ORDER BY 1 DESC LIMIT 1",
                               VALUES(INTEGER(RECEIPT_NUMBER_MAX)), err);
    if (found <= 0)
        return found;
    out->number = sqlite3_column_int64(row, 0);
    const void *digest = sqlite3_column_blob(row, 1);
    if (digest && sqlite3_column_bytes(row, 1) == SHA256_SIZE)
        memcpy(out->sha256, digest, SHA256_SIZE);
    row_done(row);
    return 0;
}

static int set_time(struct json *head, const char *key, int64_t wall_ms)
{
    char text[CLOCK_RFC3339_SIZE];
    clock_format_rfc3339(text, wall_ms);
    return json_set_string(head, key, text);
}

static int set_id(struct json *head, const char *key, int64_t id)
{
    char text[24];
    (void)snprintf(text, sizeof text, "S%" PRId64, id);
    return json_set_string(head, key, text);
}

static int set_origin(struct json *head, const struct ledger_study *study)
{
    int failed = set_id(head, "study", study->id);
    failed |= json_set_string(head, "study_instance_uid", study->study_instance_uid);
    failed |= json_set_int(head, "generation", study->generation);
    failed |= study->generation > 0 ? set_id(head, "supplement_of", study->first_id)
                                    : json_set_null(head, "supplement_of");
    failed |= json_set_string(head, "entry", study->entry_name);
    failed |= json_set_string(head, "destination", study->destination);
    failed |= set_time(head, "first_received", study->first_received_ms);
    failed |= set_time(head, "last_received", study->last_received_ms);
    return failed;
}

static int set_delivery(struct json *head, const struct ledger_study *study)
{
    const struct ledger_upload *upload = &study->upload;
    struct json *ids = json_new_array();
    int failed = json_set_string(head, "upload_id", upload->upload_id);
    failed |= json_set_string(head, "assembly_id", upload->assembly_id);
    if (upload->aurabox_study_id[0])
        failed |= json_append_string(ids, upload->aurabox_study_id);
    failed |= json_set(head, "aurabox_study_ids", ids);
    failed |= json_set_int(head, "archive_bytes", (int64_t)upload->upload_length);
    /* 0: it was completed before attempts were counted. */
    failed |= study->attempts > 0 ? json_set_int(head, "attempts", study->attempts)
                                  : json_set_null(head, "attempts");
    failed |= set_time(head, "completed", study->completed_ms);
    failed |= json_set_string(head, "outcome", study->reason);
    return failed;
}

static char *print_head(const struct ledger_study *study, const struct receipt_contents *contents,
                        const struct link *before)
{
    char previous[SHA256_HEX_SIZE];
    hex_encode(previous, before->sha256, SHA256_SIZE);
    struct json *head = json_new_object();
    int failed = json_set_int(head, "format", FORMAT);
    failed |= json_set_int(head, "number", before->number + 1);
    failed |= json_set_string(head, "previous", previous);
    failed |= set_origin(head, study);
    failed |= set_delivery(head, study);
    failed |= json_set_int(head, "instances", (int64_t)contents->instances);
    failed |= json_set_int(head, "bytes", (int64_t)contents->bytes);
    failed |= json_set_string(head, "instances_sha256", contents->sha256);
    failed |= json_set_int(head, "dropped_by_rule", (int64_t)study->dropped);
    failed |= json_set_int(head, "superseded", (int64_t)study->superseded);
    char *text = failed ? NULL : json_print(head);
    json_free(head);
    return text;
}

int receipt_append(struct database *database, int64_t study_id,
                   const struct receipt_contents *contents, int64_t *number,
                   char sha256[SHA256_HEX_SIZE], struct error *err)
{
    struct link before;
    struct study_row row;
    uint8_t digest[SHA256_SIZE];
    if (chain_end(database, &before, err) != 0 || study_read(database, &row, study_id, err) != 0)
        return -1;
    char *head = print_head(&row.study, contents, &before);
    if (!head || sha256_of(digest, head, strlen(head)) != 0) {
        free(head);
        return error_set(err, "no memory for the receipt of study S%" PRId64, study_id);
    }
    *number = before.number + 1;
    hex_encode(sha256, digest, sizeof digest);
    int changed = database_change(
        database, "INSERT INTO receipt(number,study_id,head,sha256) VALUES(?1,?2,?3,?4)",
        VALUES(INTEGER(*number), INTEGER(study_id), TEXT(head), BLOB(digest, sizeof digest)), err);
    free(head);
    if (changed < 0)
        return -1;
    changed = database_change(database, "INSERT OR REPLACE INTO receipt_chain VALUES('tip',?1,?2)",
                              VALUES(INTEGER(*number), BLOB(digest, sizeof digest)), err);
    return changed < 0 ? -1 : 0;
}

int receipt_make_missing(struct database *database, struct error *err)
{
    int64_t id = 0;
    int found;
    while ((found = database_number(database, &id,
                                    "SELECT id FROM study WHERE state='completed' AND id>?1 AND "
                                    "NOT EXISTS(SELECT 1 FROM receipt WHERE study_id=study.id) "
                                    "ORDER BY id LIMIT 1",
                                    VALUES(INTEGER(id)), err)) > 0) {
        struct receipt_contents contents;
        char sha256[SHA256_HEX_SIZE];
        int64_t number;
        if (receipt_contents_read(database, &contents, id, err) != 0 ||
            receipt_append(database, id, &contents, &number, sha256, err) != 0)
            return -1;
    }
    return found;
}

int receipt_mark_trimmed(struct database *database, int64_t study_id, struct error *err)
{
    return database_change(database, "UPDATE receipt SET trimmed=1 WHERE study_id=?1",
                           VALUES(INTEGER(study_id)), err) < 0
               ? -1
               : 0;
}

int receipt_trim(struct database *database, int most, struct error *err)
{
    int removed = 0;
    for (; removed < most; removed++) {
        sqlite3_stmt *row = NULL;
        int found = database_query(database, &row,
                                   "SELECT number,trimmed FROM receipt ORDER BY number LIMIT 1",
                                   NO_VALUES, err);
        if (found < 0)
            return -1;
        int64_t number = found > 0 ? sqlite3_column_int64(row, 0) : 0;
        bool may_go = found > 0 && sqlite3_column_int64(row, 1) != 0;
        if (found > 0)
            row_done(row);
        if (!may_go)
            break;
        if (database_change(database,
                            "INSERT OR REPLACE INTO receipt_chain SELECT 'anchor',number,sha256 "
                            "FROM receipt WHERE number=?1",
                            VALUES(INTEGER(number)), err) < 0 ||
            database_change(database, "DELETE FROM receipt WHERE number=?1",
                            VALUES(INTEGER(number)), err) < 0)
            return -1;
    }
    return removed;
}
