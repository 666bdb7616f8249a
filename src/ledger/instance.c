/* Instance rows: writing one, visiting a study's, dropping one. Patient data goes in and out as
 * values of the row; nothing here prints it. */
#include "ledger.h"

#include "aurabridge/json.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define PAGE 32 /* instances read at a time; a struct ledger_instance has about 9 KiB */

static const char *const dispositions[] = {
    [INSTANCE_STORED] = "stored",
    [INSTANCE_DROPPED] = "dropped",
    [INSTANCE_SUPERSEDED] = "superseded",
    [INSTANCE_DISCARDED] = "discarded",
};
#define DISPOSITION_COUNT (sizeof dispositions / sizeof *dispositions)

const char *disposition_name(enum ledger_disposition disposition)
{
    return dispositions[disposition];
}

int disposition_parse(enum ledger_disposition *out, const char *name)
{
    for (size_t i = 0; i < DISPOSITION_COUNT; i++) {
        if (strcmp(dispositions[i], name) == 0) {
            *out = (enum ledger_disposition)i;
            return 0;
        }
    }
    return -1;
}

/* keyword → value, of those that are not empty. The caller frees it; null when memory is short. */
static char *attributes_print(const struct attributes *attributes)
{
    struct json *object = json_new_object();
    int failed = object ? 0 : -1;
    for (unsigned i = 0; i < ATTRIBUTE_COUNT && !failed; i++) {
        const char *value = attributes_get(attributes, (enum attribute)i);
        if (value[0])
            failed = json_set_string(object, attribute_keyword((enum attribute)i), value);
    }
    char *text = failed ? NULL : json_print(object);
    json_free(object);
    return text;
}

static int attributes_parse(struct attributes *out, const char *text, struct error *err)
{
    struct json *object = NULL;
    if (json_parse(&object, text, strlen(text), err) != 0)
        return -1;
    for (unsigned i = 0; i < ATTRIBUTE_COUNT; i++) {
        const char *value = json_text(json_get(object, attribute_keyword((enum attribute)i)));
        if (value)
            attributes_set(out, (enum attribute)i, value, strlen(value));
    }
    json_free(object);
    return 0;
}

int instance_insert(struct database *database, int64_t study_id,
                    enum ledger_disposition disposition, const struct ledger_arrival *arrival,
                    struct error *err)
{
    static const char insert[] =
        "INSERT INTO instance(study_id,disposition,sop_class_uid,sop_instance_uid,"
        "transfer_syntax_uid,series_instance_uid,calling_ae_title,called_ae_title,peer_address,"
        "file_name,data_set_sha256,file_crc32,file_size,data_set_offset,received_ms,ending,"
        "ending_tag,ending_missing,ending_offset,patient_id,issuer,attributes) VALUES("
        "?1,?2,?3,?4,?5,?6,?7,?8,?9,nullif(?10,''),?11,?12,?13,?14,?15,?16,?17,?18,?19,?20,?21,"
        "?22)";
    const struct stored_instance *stored = arrival->instance;
    const struct instance_request *request = arrival->request;
    const struct association *from = arrival->association;
    char *attributes = attributes_print(stored->attributes);
    if (!attributes)
        return error_set(err, "out of memory");
    int changed = database_change(
        database, insert,
        VALUES(INTEGER(study_id), TEXT(disposition_name(disposition)), TEXT(request->sop_class_uid),
               TEXT(request->sop_instance_uid), TEXT(request->transfer_syntax_uid),
               TEXT(arrival->series_instance_uid), TEXT(from->calling_ae_title),
               TEXT(from->called_ae_title), TEXT(from->peer_address), TEXT(arrival->file_name),
               BLOB(stored->data_set_sha256, SHA256_SIZE), INTEGER(stored->file_crc32),
               INTEGER(stored->file_size), INTEGER(stored->data_set_offset),
               INTEGER(arrival->received_ms), INTEGER(stored->ending.ending),
               INTEGER(stored->ending.tag), INTEGER(stored->ending.missing),
               INTEGER(stored->ending.offset),
               TEXT(attributes_get(stored->attributes, ATTRIBUTE_PATIENT_ID)),
               TEXT(attributes_get(stored->attributes, ATTRIBUTE_ISSUER_OF_PATIENT_ID)),
               TEXT(attributes)),
        err);
    free(attributes);
    return changed < 0 ? -1 : 0;
}

#define INSTANCE_COLUMNS                                                                           \
    "id,study_id,disposition,sop_class_uid,sop_instance_uid,transfer_syntax_uid,"                  \
    "series_instance_uid,calling_ae_title,called_ae_title,peer_address,file_name,"                 \
    "data_set_sha256,file_crc32,file_size,data_set_offset,received_ms,ending,ending_tag,"          \
    "ending_missing,ending_offset,attributes"

static int row_instance(struct ledger_instance *out, sqlite3_stmt *row, struct error *err)
{
    memset(out, 0, sizeof *out);
    char disposition[16];
    out->id = sqlite3_column_int64(row, 0);
    out->study_id = sqlite3_column_int64(row, 1);
    row_text(disposition, sizeof disposition, row, 2);
    row_text(out->request.sop_class_uid, UID_SIZE, row, 3);
    row_text(out->request.sop_instance_uid, UID_SIZE, row, 4);
    row_text(out->request.transfer_syntax_uid, UID_SIZE, row, 5);
    row_text(out->series_instance_uid, UID_SIZE, row, 6);
    row_text(out->association.calling_ae_title, AE_TITLE_SIZE, row, 7);
    row_text(out->association.called_ae_title, AE_TITLE_SIZE, row, 8);
    row_text(out->association.peer_address, NETWORK_ADDRESS_SIZE, row, 9);
    row_text(out->file_name, sizeof out->file_name, row, 10);
    const void *digest = sqlite3_column_blob(row, 11);
    bool is_whole = digest && sqlite3_column_bytes(row, 11) == SHA256_SIZE;
    if (is_whole)
        memcpy(out->data_set_sha256, digest, SHA256_SIZE);
    out->file_crc32 = (uint32_t)sqlite3_column_int64(row, 12);
    out->file_size = row_count(row, 13);
    out->data_set_offset = row_count(row, 14);
    out->received_ms = row_time(row, 15);
    out->ending.ending = (enum dataset_ending)sqlite3_column_int(row, 16);
    out->ending.tag = (uint32_t)sqlite3_column_int64(row, 17);
    out->ending.missing = row_count(row, 18);
    out->ending.offset = row_count(row, 19);
    const char *attributes = (const char *)sqlite3_column_text(row, 20);
    if (!is_whole || !attributes || out->ending.ending > DATASET_NOT_UNDERSTOOD ||
        disposition_parse(&out->disposition, disposition) != 0 ||
        attributes_parse(&out->attributes, attributes, NULL) != 0)
        return error_set(
            err, "the ledger file is damaged: an instance of study S%" PRId64 " cannot be read",
            out->study_id);
    return 0;
}

struct page {
    int64_t study_id, after;
    int disposition;
    size_t count;
    struct ledger_instance instances[PAGE];
};

static int read_page(struct ledger *ledger, struct database *database, void *argument,
                     struct error *err)
{
    (void)ledger;
    struct page *page = argument;
    const char *wanted =
        page->disposition < 0 ? "" : disposition_name((enum ledger_disposition)page->disposition);
    page->count = 0;
    sqlite3_stmt *row = NULL;
    int found = database_query(
        database, &row,
        "SELECT " INSTANCE_COLUMNS " FROM instance WHERE study_id=?1 AND id>?2 AND "
        "(?3='' OR disposition=?3) ORDER BY id LIMIT ?4",
        VALUES(INTEGER(page->study_id), INTEGER(page->after), TEXT(wanted), INTEGER(PAGE)), err);
    for (; found > 0; found = row_next(row, err)) {
        if (row_instance(&page->instances[page->count], row, err) != 0 ||
            (page->instances[page->count].id <= page->after && database_disorder(err))) {
            row_done(row);
            return -1;
        }
        page->after = page->instances[page->count++].id;
    }
    return found;
}

int ledger_instances(struct ledger *ledger, int64_t study_id, int disposition,
                     int (*visit)(void *context, const struct ledger_instance *instance),
                     void *context, struct error *err)
{
    struct page *page = calloc(1, sizeof *page);
    if (!page)
        return error_set(err, "out of memory");
    page->study_id = study_id;
    page->disposition = disposition;
    int result = 0;
    do {
        result = ledger_read(ledger, read_page, page, err);
        for (size_t i = 0; i < page->count && result == 0; i++)
            result = visit(context, &page->instances[i]);
    } while (result == 0 && page->count == PAGE);
    free(page);
    return result;
}

struct drop {
    int64_t id;
    const char *reason;
};

static int drop(struct ledger *ledger, struct database *database, void *argument, struct error *err)
{
    (void)ledger;
    const struct drop *wanted = argument;
    sqlite3_stmt *row = NULL;
    int found = database_query(database, &row,
                               "SELECT study_id,disposition,file_size,ending FROM instance "
                               "WHERE id=?1",
                               VALUES(INTEGER(wanted->id)), err);
    if (found < 0)
        return -1;
    if (found == 0) {
        (void)error_set(err, "there is no instance %" PRId64, wanted->id);
        return LEDGER_NOT_FOUND;
    }
    char disposition[16];
    int64_t study_id = sqlite3_column_int64(row, 0), size = sqlite3_column_int64(row, 2);
    bool is_truncated = sqlite3_column_int64(row, 3) != DATASET_COMPLETE;
    row_text(disposition, sizeof disposition, row, 1);
    row_done(row);
    struct study_row study;
    int failed = study_read(database, &study, study_id, err);
    if (failed)
        return failed;
    enum study_state state = study.study.state;
    bool is_judged = state == STUDY_RECEIVING || state == STUDY_VALIDATING ||
                     state == STUDY_QUARANTINED || state == STUDY_UNROUTED;
    if (!is_judged || strcmp(disposition, disposition_name(INSTANCE_STORED)) != 0) {
        (void)error_set(err, "instance %" PRId64 " is %s in study S%" PRId64 ", which is %s",
                        wanted->id, disposition, study_id, study_state_name(state));
        return LEDGER_CONFLICT;
    }
    if (database_change(database, "UPDATE instance SET disposition='dropped',reason=?2 WHERE id=?1",
                        VALUES(INTEGER(wanted->id), TEXT(wanted->reason)), err) < 0 ||
        database_change(database,
                        "UPDATE study SET instances=instances-1,dropped=dropped+1,bytes=bytes-?2,"
                        "truncated=truncated-?3 WHERE id=?1",
                        VALUES(INTEGER(study_id), INTEGER(size), INTEGER(is_truncated)), err) < 0)
        return -1;
    return 0;
}

int ledger_instance_drop(struct ledger *ledger, int64_t instance_id, const char *reason,
                         struct error *err)
{
    struct drop wanted = {.id = instance_id, .reason = reason};
    return ledger_change(ledger, drop, &wanted, err);
}
