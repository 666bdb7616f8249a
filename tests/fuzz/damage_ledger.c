/* See the header. */
#include "damage_ledger.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <sqlite3.h>

#define WAL_HEADER   32
#define FRAME_HEADER 24
#define WAL_MAX      (4 << 20)

static void ledger_path(char out[800], const char *ending)
{
    (void)snprintf(out, 800, "%s/ledger.sqlite%s", world_spool(), ending);
}

static const char *const endings[] = {"", "-wal"};

void damage_ledger_lose(struct damage *out, struct fuzz_input *input)
{
    char path[800];
    uint8_t how = fuzz_byte(input);
    const uint8_t *bytes;
    bool was_touched = out->ledger;
    out->ledger = true;
    out->is_lost = out->restored = false;
    ledger_path(path, endings[how & 1]);
    switch (how / 2 % 4) {
    case 0: /* as an operator does who was told to move it away */
        ledger_path(path, "");
        (void)unlink(path);
        ledger_path(path, "-wal");
        (void)unlink(path);
        out->is_lost = true;
        break;
    case 1:
        (void)unlink(path);
        /* Without its log the ledger is what it was at the last checkpoint. */
        out->restored = !was_touched && (how & 1);
        break;
    case 2:
        if (truncate(path, (off_t)fuzz_number(input, 3)) != 0)
            return; /* it is not there any more */
        break;
    default: {
        size_t length = fuzz_take(input, &bytes, fuzz_number(input, 2) % 600);
        fuzz_write_file(path, bytes, length);
        break;
    }
    }
}

/* ---- bytes ---- */

static uint32_t big_endian(const uint8_t *at)
{
    return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

static void put_big_endian(uint8_t *at, uint32_t value)
{
    for (unsigned i = 0; i < 4; i++)
        at[i] = (uint8_t)(value >> (24 - 8 * i));
}

/* The checksum of https://www.sqlite.org/fileformat2.html#checksum_algorithm, in little endian, as
 * the log of a little-endian machine has it. */
static void add_checksum(uint32_t sum[2], const uint8_t *at, size_t length)
{
    for (size_t i = 0; i + 8 <= length; i += 8) {
        uint32_t first;
        uint32_t second;
        memcpy(&first, at + i, 4);
        memcpy(&second, at + i + 4, 4);
        sum[0] += first + sum[1];
        sum[1] += second + sum[0];
    }
}

/* Makes the checksums of the log right, so that what was changed in it is believed. */
static void seal_log(uint8_t *bytes, size_t length)
{
    uint32_t sum[2] = {0, 0};
    if (length < WAL_HEADER)
        return;
    uint32_t page_size = big_endian(bytes + 8);
    add_checksum(sum, bytes, 24);
    put_big_endian(bytes + 24, sum[0]);
    put_big_endian(bytes + 28, sum[1]);
    if (page_size < 512 || page_size > 65536)
        return;
    for (size_t at = WAL_HEADER; at + FRAME_HEADER + page_size <= length;
         at += FRAME_HEADER + page_size) {
        add_checksum(sum, bytes + at, 8);
        add_checksum(sum, bytes + at + FRAME_HEADER, page_size);
        put_big_endian(bytes + at + 16, sum[0]);
        put_big_endian(bytes + at + 20, sum[1]);
    }
}

void damage_ledger_bytes(struct damage *out, struct fuzz_input *input)
{
    char path[800];
    struct stat status;
    uint8_t how = fuzz_byte(input);
    out->ledger = true;
    out->is_lost = out->restored = false;
    ledger_path(path, endings[how & 1]);
    int fd = open(path, O_RDWR | O_CLOEXEC);
    static uint8_t bytes[WAL_MAX];
    if (fd < 0 || fstat(fd, &status) != 0 || status.st_size == 0 || status.st_size > WAL_MAX)
        goto cleanup;
    ssize_t length = read(fd, bytes, (size_t)status.st_size);
    FUZZ_CHECK(length == (ssize_t)status.st_size);
    for (unsigned i = how / 8 % 8 + 1U; i > 0 && input->left > 0; i--) {
        uint32_t place = fuzz_number(input, 3);
        /* Half of the changes fall on the first bytes of a page, where its structure stands. */
        size_t at =
            (place & 1 ? place >> 1 : (place >> 13) * 4096 + (place >> 1) % 128) % (size_t)length;
        const uint8_t *change;
        size_t size = fuzz_take(input, &change, fuzz_byte(input) % 9U);
        if (size > (size_t)length - at)
            size = (size_t)length - at;
        memcpy(bytes + at, change, size);
    }
    if (how & 1 && how & 2)
        seal_log(bytes, (size_t)length);
    FUZZ_CHECK(pwrite(fd, bytes, (size_t)length, 0) == length);
cleanup:
    if (fd >= 0)
        (void)close(fd);
}

/* ---- rows ---- */

static const char *const study_columns[] = {"route_key",
                                            "study_instance_uid",
                                            "generation",
                                            "first_id",
                                            "entry_name",
                                            "destination",
                                            "state",
                                            "reason",
                                            "warning",
                                            "first_received_ms",
                                            "last_received_ms",
                                            "changed_ms",
                                            "completed_ms",
                                            "due_ms",
                                            "retry_at_ms",
                                            "attempt",
                                            "lease_owner",
                                            "lease_until_ms",
                                            "released",
                                            "passed",
                                            "cancel_requested",
                                            "forgotten",
                                            "instances",
                                            "bytes",
                                            "dropped",
                                            "files",
                                            "upload_id",
                                            "step",
                                            "upload_url",
                                            "upload_length",
                                            "upload_offset",
                                            "id"};
static const char *const instance_columns[] = {"study_id",
                                               "disposition",
                                               "sop_class_uid",
                                               "sop_instance_uid",
                                               "file_name",
                                               "data_set_sha256",
                                               "file_size",
                                               "file_crc32",
                                               "received_ms",
                                               "ending",
                                               "ending_missing",
                                               "attributes",
                                               "patient_id",
                                               "id",
                                               "transfer_syntax_uid",
                                               "series_instance_uid"};
static const char *const statements[] = {
    "DROP INDEX instance_file",
    "DROP INDEX instance_uid",
    "DROP TABLE instance",
    "DROP TABLE counter",
    "DELETE FROM counter",
    "DELETE FROM instance WHERE id%3=1",
    "DELETE FROM instance",
    "DELETE FROM study WHERE id%3=1",
    "DELETE FROM study",
    "PRAGMA user_version=99",
    "PRAGMA user_version=-1",
    "PRAGMA application_id=7",
    "CREATE TABLE more(x)",
    "CREATE VIEW more AS SELECT * FROM study",
    "CREATE TRIGGER more AFTER UPDATE ON study BEGIN DELETE FROM instance; END",
    "UPDATE instance SET file_name=NULL WHERE id%3=1",
    "UPDATE instance SET study_id=study_id+1",
    "UPDATE study SET state='completed'",
    "UPDATE study SET state='receiving'",
    "UPDATE study SET forgotten=1",
    "PRAGMA journal_mode=DELETE",
    "PRAGMA wal_checkpoint(TRUNCATE)",
    "VACUUM",
    "ALTER TABLE study ADD COLUMN more",
    "PRAGMA writable_schema=ON;UPDATE sqlite_schema SET sql=replace(sql,'TEXT','BLOB')",
    "PRAGMA writable_schema=ON;DELETE FROM sqlite_schema WHERE type='index'",
    "PRAGMA writable_schema=ON;UPDATE sqlite_schema SET rootpage=rootpage+1 WHERE name='instance'",
    "INSERT INTO study SELECT NULL,route_key,study_instance_uid,generation+1,first_id,entry_name,"
    "destination,state,reason,warning,first_received_ms,last_received_ms,changed_ms,completed_ms,"
    "due_ms,retry_at_ms,attempt,lease_owner,lease_until_ms,has_changed_duplicates,must_quarantine,"
    "released,passed,cancel_requested,forgotten,instances,bytes,dropped,superseded,resends,"
    "swallowed_resends,discarded,truncated,files,upload_id,assembly_id,step,upload_url,"
    "upload_length,upload_offset,package_digest,aurabox_study_id,complete_unanswered FROM study"};

#define PICK(list, number) ((list)[(number) % (sizeof(list) / sizeof *(list))])

static void bind_value(sqlite3_stmt *statement, struct fuzz_input *input)
{
    static const int64_t figures[] = {0, 1, -1, 2, INT64_MAX, INT64_MIN, UINT32_MAX, 1760000000000};
    static const char *const texts[] = {"",
                                        "receiving",
                                        "validating",
                                        "quarantined",
                                        "ready",
                                        "uploading",
                                        "completed",
                                        "discarded",
                                        "stored",
                                        "superseded",
                                        "../../outside/precious",
                                        "1.2.3.1",
                                        "nonsense",
                                        "{}",
                                        "[",
                                        "1.2.5@0123456789abcdef/1.2.5.1.0123456789abcdef.dcm"};
    uint8_t kind = fuzz_byte(input);
    const uint8_t *bytes;
    switch (kind % 5) {
    case 0:
        (void)sqlite3_bind_int64(statement, 1, PICK(figures, kind / 5));
        break;
    case 1:
        (void)sqlite3_bind_text(statement, 1, PICK(texts, kind / 5), -1, SQLITE_STATIC);
        break;
    case 2: {
        size_t length = fuzz_take(input, &bytes, kind / 5U);
        (void)sqlite3_bind_text(statement, 1, (const char *)bytes, (int)length, SQLITE_TRANSIENT);
        break;
    }
    case 3: {
        size_t length = fuzz_take(input, &bytes, kind / 5U);
        (void)sqlite3_bind_blob(statement, 1, bytes, (int)length, SQLITE_TRANSIENT);
        break;
    }
    default:
        /* The file of an instance, for the rows of others. */
        (void)sqlite3_bind_text(statement, 1,
                                strchr(world_file(WORLD_SMALL, kind)->name, '/')
                                    ? strchr(world_file(WORLD_SMALL, kind)->name, '/') + 1
                                    : "",
                                -1, SQLITE_TRANSIENT);
        break;
    }
}

static void change_row(sqlite3 *database, struct fuzz_input *input)
{
    char sql[256];
    uint8_t where = fuzz_byte(input);
    uint8_t column = fuzz_byte(input);
    uint8_t row = fuzz_byte(input);
    sqlite3_stmt *statement = NULL;
    bool of_study = where & 1;
    (void)snprintf(sql, sizeof sql, "UPDATE OR IGNORE %s SET %s=?1 WHERE id=%u",
                   of_study ? "study" : "instance",
                   of_study ? PICK(study_columns, column) : PICK(instance_columns, column),
                   row % 24U + 1);
    if (sqlite3_prepare_v2(database, sql, -1, &statement, NULL) != SQLITE_OK)
        return;
    bind_value(statement, input);
    (void)sqlite3_step(statement);
    (void)sqlite3_finalize(statement);
}

void damage_ledger_rows(struct damage *out, struct fuzz_input *input)
{
    char path[800];
    sqlite3 *database = NULL;
    uint8_t how = fuzz_byte(input);
    ledger_path(path, "");
    out->ledger = true;
    out->is_lost = out->restored = false;
    if (sqlite3_open_v2(path, &database, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL) ==
        SQLITE_OK) {
        (void)sqlite3_db_config(database, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
        (void)sqlite3_exec(database, "PRAGMA synchronous=OFF", NULL, NULL, NULL);
        if (how % 8 == 7)
            (void)sqlite3_exec(database, PICK(statements, fuzz_byte(input)), NULL, NULL, NULL);
        else
            change_row(database, input);
    }
    (void)sqlite3_close(database);
}
