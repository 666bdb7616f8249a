/* The ledger file's tables. Guarantees that a file which is not a ledger, or of a newer version,
 * is refused untouched, and that an older one is migrated in one transaction. States and
 * dispositions stand there by name, so that the file outlives a reordered enum. */
#include "receipt.h"

#include "aurabridge/log.h"

#include <inttypes.h>

#define APPLICATION_ID 1098207810 /* "AuRB" */

/* The n-th brings a file of version n to n + 1; none is ever changed once released. */
struct migration {
    const char *sql;
    int (*finish)(struct database *database, struct error *err); /* what SQL cannot; may be null */
};

static const char version_1[] =
    "CREATE TABLE study("
    " id INTEGER PRIMARY KEY AUTOINCREMENT," /* a printed id never means another study */
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
    " changed_ms INTEGER NOT NULL," /* of the state */
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
    " files INTEGER NOT NULL DEFAULT 0," /* instance rows that name one */
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
    " WHERE state IN " SQL_DELIVERING ";"
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
    " file_name TEXT," /* NULL: there is no file */
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
    " attributes TEXT NOT NULL);" /* JSON: keyword → value, of those that are not empty */
    "CREATE INDEX instance_study ON instance(study_id);"
    "CREATE INDEX instance_uid ON instance(sop_instance_uid);"
    "CREATE INDEX instance_series ON instance(series_instance_uid,study_id);"
    "CREATE UNIQUE INDEX instance_file ON instance(file_name) WHERE file_name IS NOT NULL;"
    "CREATE TABLE counter(name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;"
    "INSERT INTO counter VALUES('acknowledged',0);";

/* Receipts; and per study what was acknowledged, counted apart from where it went. */
static const char version_2[] =
    "ALTER TABLE study ADD COLUMN acknowledged INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE study ADD COLUMN attempts INTEGER NOT NULL DEFAULT 0;" /* of the upload */
    "UPDATE study SET "
    "acknowledged=instances+dropped+superseded+resends+swallowed_resends+discarded,"
    "attempts=state IN ('uploading','confirming');"
    "INSERT INTO counter VALUES('trimmed',0);"
    "CREATE TABLE receipt("
    " number INTEGER PRIMARY KEY," /* its place in the chain, from 1 */
    " study_id INTEGER NOT NULL,"
    " trimmed INTEGER NOT NULL DEFAULT 0," /* its study's rows are past retention and gone */
    " head TEXT NOT NULL,"
    " sha256 BLOB NOT NULL);" /* of the head */
    "CREATE INDEX receipt_study ON receipt(study_id);"
    /* anchor: the last receipt that was trimmed; tip: the last one that was made */
    "CREATE TABLE receipt_chain(place TEXT PRIMARY KEY,number INTEGER NOT NULL,"
    "sha256 BLOB NOT NULL) WITHOUT ROWID;"
    "INSERT INTO receipt_chain VALUES('anchor',0,zeroblob(32)),('tip',0,zeroblob(32));";

/* Priorities. A head start for good, not an order of classes: what waits grows older, and nobody is
 * passed for ever. */
static const char version_3[] =
    "ALTER TABLE study ADD COLUMN priority TEXT NOT NULL DEFAULT 'normal';"
    "ALTER TABLE study ADD COLUMN turn_ms INTEGER GENERATED ALWAYS AS (first_received_ms+"
    "CASE priority WHEN 'urgent' THEN -604800000 WHEN 'low' THEN 86400000 ELSE 0 END) VIRTUAL;"
    "DROP INDEX study_delivering;"
    "CREATE INDEX study_turns ON study(destination,free_at_ms,turn_ms)"
    " WHERE state IN " SQL_DELIVERING ";"
    "CREATE INDEX study_urgent ON study(destination,free_at_ms,turn_ms)"
    " WHERE priority='urgent' AND state IN " SQL_DELIVERING ";";

/* How far the journal is settled, and how the last stop left the files. */
static const char version_4[] = "INSERT INTO counter VALUES('settled',0),('clean',0);";

static const struct migration migrations[] = {
    {version_1, NULL},
    {version_2, receipt_make_missing},
    {version_3, NULL},
    {version_4, NULL},
};
#define SCHEMA_VERSION ((int64_t)(sizeof migrations / sizeof *migrations))

static int migrate(struct database *database, int64_t version, struct error *err)
{
    if (database_run(database, "BEGIN IMMEDIATE", err) != 0)
        return -1;
    for (int64_t at = version; at < SCHEMA_VERSION; at++)
        if (database_run(database, migrations[at].sql, err) != 0)
            goto undo;
    /* In C the tables are known as they are now. */
    for (int64_t at = version; at < SCHEMA_VERSION; at++)
        if (migrations[at].finish && migrations[at].finish(database, err) != 0)
            goto undo;
    char stamp[96];
    (void)sqlite3_snprintf((int)sizeof stamp, stamp,
                           "PRAGMA application_id=%d;PRAGMA user_version=%lld;", APPLICATION_ID,
                           (long long)SCHEMA_VERSION);
    if (database_run(database, stamp, err) == 0 && database_run(database, "COMMIT", err) == 0) {
        if (version > 0)
            log_info("ledger",
                     "its file was of schema %" PRId64 " and is of schema %" PRId64 " now", version,
                     SCHEMA_VERSION);
        return 0;
    }
undo:
    if (!sqlite3_get_autocommit(database->handle))
        (void)database_run(database, "ROLLBACK", NULL);
    return error_wrap(err, "cannot make the ledger's tables");
}

int schema_read_version(int64_t *out, struct database *database, const char *path,
                        struct error *err)
{
    int64_t application = 0, version = 0, objects = 0, foreign = 0;
    if (database_number(database, &application, "PRAGMA application_id", NO_VALUES, err) < 0 ||
        database_number(database, &version, "PRAGMA user_version", NO_VALUES, err) < 0 ||
        database_number(database, &objects, "SELECT count(*) FROM sqlite_schema", NO_VALUES, err) <
            0 ||
        database_number(database, &foreign,
                        "SELECT count(*) FROM sqlite_schema WHERE type NOT IN ('table','index')",
                        NO_VALUES, err) < 0)
        return error_wrap(err, "cannot open ledger %s", path);
    bool fresh = application == 0 && version == 0 && objects == 0;
    if (!fresh && application != APPLICATION_ID)
        return error_set(err, "%s is no ledger of AuraBridge; move it away or name another spool",
                         path);
    if (version > SCHEMA_VERSION)
        return error_set(err,
                         "ledger %s was written by a newer AuraBridge (schema %" PRId64
                         ", this one knows up to %" PRId64 "); run that version or a later one",
                         path, version, SCHEMA_VERSION);
    if (version < 0 || foreign > 0)
        return error_set(err, "ledger %s holds things that AuraBridge never made; restore it",
                         path);
    *out = version;
    return 0;
}

int schema_prepare(struct database *database, const char *path, struct error *err)
{
    int64_t version = 0;
    if (schema_read_version(&version, database, path, err) != 0)
        return -1;
    if (version < SCHEMA_VERSION && migrate(database, version, err) != 0)
        return -1;
    int64_t tables = 0;
    if (database_number(database, &tables,
                        "SELECT count(*) FROM sqlite_schema WHERE type='table' AND name IN "
                        "('study','instance','counter','receipt','receipt_chain')",
                        NO_VALUES, err) < 0)
        return error_wrap(err, "cannot open ledger %s", path);
    if (tables != 5)
        return error_set(err, "ledger %s lacks tables; restore it or move it away", path);
    return 0;
}
