/* Reading receipts: one instance's line, a head, and both for who asks for a study's receipt. */
#include "receipt.h"

#include "aurabridge/clock.h"
#include "aurabridge/ledger_receipt.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define PAGE 64 /* lines read at a time */

static int set_column(struct json *line, const char *key, sqlite3_stmt *row, int column)
{
    char text[UID_SIZE]; /* the longest of these */
    row_text(text, sizeof text, row, column);
    return json_set_string(line, key, text);
}

char *receipt_line(sqlite3_stmt *row, uint64_t *bytes)
{
    char digest[SHA256_HEX_SIZE] = "";
    char received[CLOCK_RFC3339_SIZE];
    const void *sha256 = sqlite3_column_blob(row, 4);
    if (sha256 && sqlite3_column_bytes(row, 4) == SHA256_SIZE)
        hex_encode(digest, sha256, SHA256_SIZE);
    uint64_t size = row_count(row, 5) - row_count(row, 6);
    clock_format_rfc3339(received, sqlite3_column_int64(row, 10));
    struct json *line = json_new_object();
    int failed = set_column(line, "sop_instance_uid", row, 1);
    failed |= set_column(line, "sop_class_uid", row, 2);
    failed |= set_column(line, "series_instance_uid", row, 3);
    failed |= json_set_string(line, "data_set_sha256", digest);
    failed |= json_set_int(line, "data_set_bytes", (int64_t)size);
    failed |= set_column(line, "calling_ae_title", row, 7);
    failed |= set_column(line, "called_ae_title", row, 8);
    failed |= set_column(line, "peer_address", row, 9);
    failed |= json_set_string(line, "received", received);
    char *text = failed ? NULL : json_print(line);
    json_free(line);
    *bytes += size;
    return text;
}

static void head_text(char *out, size_t size, const struct json *head, const char *key)
{
    const char *text = json_text(json_get(head, key));
    size_t length = text ? strlen(text) : 0;
    out[0] = '\0';
    if (length > 0 && length < size)
        memcpy(out, text, length + 1);
}

static int64_t head_number(const struct json *head, const char *key)
{
    int64_t number = 0;
    return json_int(json_get(head, key), &number) == 0 ? number : 0;
}

int receipt_head_parse(struct receipt_head *out, const char *text, size_t length)
{
    *out = (struct receipt_head){0};
    struct json *head = NULL;
    if (json_parse(&head, text, length, NULL) != 0)
        return -1;
    out->number = head_number(head, "number");
    head_text(out->previous, sizeof out->previous, head, "previous");
    const char *study = json_text(json_get(head, "study"));
    out->study_id = study && study[0] == 'S' ? strtoll(study + 1, NULL, 10) : 0;
    out->contents.instances = (uint64_t)head_number(head, "instances");
    out->contents.bytes = (uint64_t)head_number(head, "bytes");
    head_text(out->contents.sha256, sizeof out->contents.sha256, head, "instances_sha256");
    json_free(head);
    return out->number > 0 && out->study_id > 0 ? 0 : -1;
}

static int read_receipt(struct ledger *ledger, struct database *database, void *argument,
                        struct error *err)
{
    (void)ledger;
    struct ledger_receipt *out = argument;
    sqlite3_stmt *row = NULL;
    int found = database_query(database, &row,
                               "SELECT number,head,sha256 FROM receipt WHERE study_id=?1 "
                               "ORDER BY number DESC LIMIT 1",
                               VALUES(INTEGER(out->study_id)), err);
    if (found < 0)
        return -1;
    if (found == 0) {
        (void)error_set(err, "study S%" PRId64 " has no receipt", out->study_id);
        return LEDGER_NOT_FOUND;
    }
    uint8_t digest[SHA256_SIZE];
    out->number = sqlite3_column_int64(row, 0);
    row_text(out->head, sizeof out->head, row, 1);
    const void *noted = sqlite3_column_blob(row, 2);
    bool is_whole = noted && sqlite3_column_bytes(row, 2) == SHA256_SIZE;
    if (is_whole)
        hex_encode(out->sha256, noted, SHA256_SIZE);
    out->is_intact = is_whole && sha256_of(digest, out->head, strlen(out->head)) == 0 &&
                     memcmp(digest, noted, SHA256_SIZE) == 0;
    row_done(row);
    return 0;
}

int ledger_receipt(struct ledger *ledger, struct ledger_receipt *out, int64_t study_id,
                   struct error *err)
{
    *out = (struct ledger_receipt){.study_id = study_id};
    return ledger_read(ledger, read_receipt, out, err);
}

struct page {
    int64_t study_id, after;
    size_t count;
    char *lines[PAGE];
};

static int read_page(struct ledger *ledger, struct database *database, void *argument,
                     struct error *err)
{
    (void)ledger;
    struct page *page = argument;
    uint64_t bytes = 0;
    sqlite3_stmt *row = NULL;
    int found =
        database_query(database, &row,
                       "SELECT " RECEIPT_LINE_COLUMNS " FROM instance INDEXED BY "
                       "instance_study WHERE study_id=?1 AND id>?2 AND "
                       "disposition='stored' ORDER BY id LIMIT ?3",
                       VALUES(INTEGER(page->study_id), INTEGER(page->after), INTEGER(PAGE)), err);
    for (; found > 0; found = row_next(row, err)) {
        int64_t id = sqlite3_column_int64(row, 0);
        bool is_next = id > page->after;
        char *line = is_next ? receipt_line(row, &bytes) : NULL;
        if (!line) {
            row_done(row);
            return is_next ? error_set(err, "no memory for a receipt") : database_disorder(err);
        }
        page->after = id;
        page->lines[page->count++] = line;
    }
    return found;
}

int ledger_receipt_instances(struct ledger *ledger, int64_t study_id,
                             int (*visit)(void *context, const char *line), void *context,
                             struct error *err)
{
    struct page page = {.study_id = study_id};
    size_t had;
    int result;
    do {
        page.count = 0;
        result = ledger_read(ledger, read_page, &page, err);
        had = page.count;
        for (size_t i = 0; i < page.count; i++) {
            if (result == 0)
                result = visit(context, page.lines[i]);
            free(page.lines[i]);
        }
    } while (result == 0 && had == PAGE);
    return result;
}
