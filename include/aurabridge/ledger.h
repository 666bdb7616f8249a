/* The ledger: what is where, and what is due. It names what the bridge needs, not how a database
 * does it; SQLite lives in src/ledger alone. Thread-safe. Each changing call is one atomic, durable
 * step: when it returns 0 its effect survives power loss. Concurrent changes share one commit.
 *
 * A study row is one upload's worth of a study ("generation"): a study is known by route key and
 * Study Instance UID; generation 0 is the first upload, later ones are supplements. Patient data
 * stands in instance attributes only; reasons never carry any.
 *
 * What is due and who takes it: ledger_due.h. Receipts: ledger_receipt.h. Law 2, recounted:
 * ledger_audit.h.
 */
#ifndef AURABRIDGE_LEDGER_H
#define AURABRIDGE_LEDGER_H

#include "aurabridge/attribute.h"
#include "aurabridge/clock.h"
#include "aurabridge/digest.h"
#include "aurabridge/error.h"
#include "aurabridge/identifier.h"
#include "aurabridge/instance.h"
#include "aurabridge/stored_instance.h"
#include "aurabridge/study_state.h"

#include <stdbool.h>
#include <stdint.h>

struct ledger;

#define LEDGER_NOT_FOUND (-2) /* no such study, or nothing due */
#define LEDGER_CONFLICT  (-3) /* the state is not the expected one any more; nothing changed */
#define LEDGER_FULL      (-4) /* the disk is full: nothing changed; later it may be taken */

#define LEDGER_REASON_SIZE 512
#define LEDGER_NAME_SIZE   128 /* map entry and destination names */
#define LEDGER_URL_SIZE    2048

/* Reads the whole file and says what is wrong with it: no ledger, of a newer schema, damaged. None
 * is fine. Changes nothing. Only the holder of the spool's lock may ask. Takes seconds for a
 * million instances. */
int ledger_examine(const char *path, struct error *err);

/* Opens the ledger file, making it when absent (0600). A file of a newer schema is refused with a
 * text that says so; an older one is migrated. Only the holder of the spool's lock may open it.
 * ":memory:" is for tests. */
int ledger_open(struct ledger **out, const char *path, const struct clock *clock,
                struct error *err);
void ledger_close(struct ledger *ledger);

/* Whether it takes changes: a full disk is no obstacle that stays, a write that failed in another
 * way is, until a restart. Returns 0, or -1 with a text. */
int ledger_is_sound(struct ledger *ledger, struct error *err);

/* ---- reception ---- */

/* An instance whose file is published. All pointers are the caller's and only read. */
struct ledger_arrival {
    const char *route_key;
    const char *entry_name;  /* of the map entry, "" when it has none or none matches */
    const char *destination; /* "" when none matches: the study will be unrouted */
    const struct association *association;
    const struct instance_request *request;
    const char *study_instance_uid;
    const char *series_instance_uid;
    const struct stored_instance *instance;
    const char *file_name; /* spool name */
    int64_t received_ms;   /* wall clock */
    int64_t quiet_period_ms;
    int64_t max_wait_ms;
    enum changed_duplicate changed_duplicate;
    enum study_priority priority; /* of the map entry: a study that this arrival opens keeps it */
};

enum ledger_arrival_kind {
    ARRIVAL_STORED,           /* the row names the file */
    ARRIVAL_RESEND,           /* identical to one of a study not completed yet; remove the file */
    ARRIVAL_SWALLOWED_RESEND, /* identical to one that is completed; remove the file */
    ARRIVAL_KEPT_FIRST        /* changed, recorded as superseded; remove the file */
};

struct ledger_arrival_outcome {
    enum ledger_arrival_kind kind;
    int64_t study_id;                       /* that it belongs to, or that it resends */
    bool study_opened;                      /* this arrival opened the study row */
    int64_t supplement, first_id;           /* study_opened: its generation, and that of which */
    char superseded_file[STORED_NAME_SIZE]; /* replaced by this one; remove it. "" when none */
    /* ARRIVAL_RESEND of a stored instance: its row and its file, else 0 and "". */
    int64_t resent_id;
    uint64_t resent_size;
    uint32_t resent_crc32;
    char resent_file[STORED_NAME_SIZE];
};

/* Records an arrival. Identical means the same SOP Instance UID and data set digest as any version
 * under this route key and Study Instance UID that is not discarded, cancelled or forgotten. */
int ledger_instance_received(struct ledger *ledger, struct ledger_arrival_outcome *out,
                             const struct ledger_arrival *arrival, struct error *err);

/* Arrivals that are recorded in one step, together with how far the journal is settled by it. */
struct ledger_arrivals {
    size_t count;
    /* Fills in the arrival; what it points to has to last until the next call. Returns 0 or -1. */
    int (*arrival)(void *context, size_t index, struct ledger_arrival *out, struct error *err);
    void *context;
    uint64_t settled; /* the journal's number of the last of them */
    /* Out: `count` of each. One that the ledger cannot record harms no other: its result is -1, and
     * its text is in the log. */
    struct ledger_arrival_outcome *outcomes;
    int *results;
};
int ledger_instances_received(struct ledger *ledger, const struct ledger_arrivals *arrivals,
                              struct error *err);
/* Up to which number of the journal everything is recorded; 0: nothing was yet. */
int ledger_settled(struct ledger *ledger, uint64_t *out, struct error *err);

/* What was noted at the last stop, of the spool's files as they were then; 0: nothing, or somebody
 * has begun to work since. Durable when ledger_set_clean answers 0. */
int ledger_clean(struct ledger *ledger, uint64_t *out, struct error *err);
int ledger_set_clean(struct ledger *ledger, uint64_t fingerprint, struct error *err);

/* ---- studies ---- */

/* How far the delivery of an upload has come; each is recorded before and after it is done. */
enum ledger_step {
    STEP_NONE,
    STEP_INIT_SENT,
    STEP_INIT_DONE,
    STEP_START_SENT,
    STEP_START_DONE,
    STEP_UPLOAD_CREATED, /* upload_url is known */
    STEP_UPLOAD_DONE,    /* the server holds every byte */
    STEP_COMPLETE_SENT,
    STEP_COMPLETE_DONE,
    STEP_ERROR_SENT, /* `error` or `cancel`, see state */
    STEP_ERROR_DONE
};

struct ledger_upload {
    char upload_id[UUID_SIZE]; /* "" before the first attempt */
    char assembly_id[128];
    enum ledger_step step;
    char upload_url[LEDGER_URL_SIZE];
    uint64_t upload_length;               /* bytes of the archive; 0 when unknown */
    uint64_t upload_offset;               /* that the server acknowledged */
    char package_digest[SHA256_HEX_SIZE]; /* of the archive's layout */
    char aurabox_study_id[128];           /* from init's reply */
    bool complete_unanswered; /* the answer to a `complete` was lost: any further one repeats it */
};

struct ledger_study {
    int64_t id; /* printed as "S<id>" */
    char route_key[ROUTE_KEY_SIZE];
    char study_instance_uid[UID_SIZE];
    unsigned generation; /* 0: first upload */
    int64_t first_id;    /* of generation 0; its own id there */
    char entry_name[LEDGER_NAME_SIZE];
    char destination[LEDGER_NAME_SIZE];
    enum study_priority priority;
    enum study_state state;
    char reason[LEDGER_REASON_SIZE]; /* why it is in this state, or why it waits */
    char warning[LEDGER_REASON_SIZE];
    int64_t first_received_ms, last_received_ms, changed_ms, completed_ms;
    int64_t due_ms;      /* receiving: when it is complete if nothing comes */
    int64_t retry_at_ms; /* 0: at once */
    unsigned attempt;    /* that failed in this state: for the backoff */
    unsigned attempts;   /* times a worker took this upload up to send it, or to have it confirmed
                          * again; 0: none yet, or before they were counted */
    bool has_changed_duplicates; /* holds versions of instances of an earlier generation */
    bool must_quarantine;        /* on_changed_duplicate: quarantine */
    bool released;               /* a person let it pass validation */
    bool cancel_requested;
    uint64_t acknowledged; /* arrivals that were counted on this row */
    /* Law 2: where they are. */
    uint64_t instances;  /* with a file, or uploaded: stored, not dropped, not superseded */
    uint64_t bytes;      /* of their files */
    uint64_t dropped;    /* by rule */
    uint64_t superseded; /* kept_first and replace */
    uint64_t resends, swallowed_resends;
    uint64_t discarded; /* stored ones, when the study was */
    uint64_t truncated; /* of `instances`, those with a warning */
    struct ledger_upload upload;
};

int ledger_study(struct ledger *ledger, struct ledger_study *out, int64_t id, struct error *err);

/* Visits studies in order of id. `state` -1: all. A non-zero answer stops and is returned. */
int ledger_studies(struct ledger *ledger, int state,
                   int (*visit)(void *context, const struct ledger_study *study), void *context,
                   struct error *err);

/* Finds by short id ("S17", "17") or Study Instance UID. LEDGER_NOT_FOUND, or -1 with a text that
 * lists the candidates when a UID is ambiguous. */
int ledger_resolve(struct ledger *ledger, int64_t *id, const char *text, struct error *err);

/* Compare-and-set by the transition table. Clears lease, attempt and retry_at; logs old → new with
 * the reason. Into completed it makes the study's receipt in the same step. LEDGER_CONFLICT when
 * the study is not in `from`. */
int ledger_advance(struct ledger *ledger, int64_t id, enum study_state from, enum study_state to,
                   const char *reason, struct error *err);

/* Keeps the state, which has to be `in` (else LEDGER_CONFLICT: by now it is another's); not before
 * `retry_at_ms` (wall clock), for `reason`. Ends the lease. For a study in receiving it moves
 * due_ms. `count_attempt` adds one to attempt. */
int ledger_defer(struct ledger *ledger, int64_t id, enum study_state in, int64_t retry_at_ms,
                 const char *reason, bool count_attempt, struct error *err);
int ledger_set_warning(struct ledger *ledger, int64_t id, const char *warning, struct error *err);
/* For unrouted, quarantined and validating studies, else LEDGER_CONFLICT. Under another key the
 * study becomes the latest generation there. */
int ledger_set_route(struct ledger *ledger, int64_t id, const char *route_key,
                     const char *entry_name, const char *destination, enum study_priority priority,
                     struct error *err);

/* Records the upload's progress as a whole. The offset alone need not be durable at once. */
int ledger_upload_put(struct ledger *ledger, int64_t id, const struct ledger_upload *upload,
                      struct error *err);

/* ---- instances ---- */

enum ledger_disposition {
    INSTANCE_STORED,
    INSTANCE_DROPPED,    /* by rule */
    INSTANCE_SUPERSEDED, /* keep_first: this one; replace: the earlier one */
    INSTANCE_DISCARDED
};

struct ledger_instance {
    int64_t id;
    int64_t study_id;
    enum ledger_disposition disposition;
    struct instance_request request;
    struct association association; /* id 0 */
    char series_instance_uid[UID_SIZE];
    char file_name[STORED_NAME_SIZE]; /* "" when there is no file any more */
    uint8_t data_set_sha256[SHA256_SIZE];
    uint32_t file_crc32;
    uint64_t file_size;
    uint64_t data_set_offset;
    int64_t received_ms;
    struct dataset_result ending;
    struct attributes attributes;
};

/* Visits a study's instances in order of receipt, of one disposition, or all with -1. Holds no lock
 * during `visit`, which may call the ledger. A non-zero answer stops and is returned. */
int ledger_instances(struct ledger *ledger, int64_t study_id, int disposition,
                     int (*visit)(void *context, const struct ledger_instance *instance),
                     void *context, struct error *err);

/* What an archive has to know of an instance: a fraction of the row, and much cheaper to read. */
struct ledger_member {
    int64_t id;
    int64_t study_id;
    enum ledger_disposition disposition;
    char sop_instance_uid[UID_SIZE];
    char transfer_syntax_uid[UID_SIZE];
    char file_name[STORED_NAME_SIZE]; /* "" when there is no file */
    uint64_t file_size;
    uint32_t file_crc32;
    enum study_state study_state; /* ledger_members_since only, as what follows */
    bool has_destination;
};

/* Up to `size` instances of the study, of any disposition, in order of receipt from the row after
 * `after_id` on. */
int ledger_members(struct ledger *ledger, int64_t study_id, int64_t after_id,
                   struct ledger_member *members, size_t size, size_t *count, struct error *err);

/* Likewise of all studies, with their states, and moves `*after_id` on: to the last one read or,
 * where there is none, to where the next will come after. */
int ledger_members_since(struct ledger *ledger, int64_t *after_id, struct ledger_member *members,
                         size_t size, size_t *count, struct error *err);

/* The `after_id` from which every instance of a study in receiving is found. */
int ledger_members_open(struct ledger *ledger, int64_t *after_id, struct error *err);

/* How many instances, of any disposition, the study had before this row: its place among them. */
int ledger_member_place(struct ledger *ledger, uint64_t *place, int64_t study_id,
                        int64_t instance_id, struct error *err);

/* stored → dropped for the reason; counts move with it. Its file stays until discarded or trimmed.
 * LEDGER_CONFLICT when it is not stored, or its study is past validation. */
int ledger_instance_drop(struct ledger *ledger, int64_t instance_id, const char *reason,
                         struct error *err);

/* Whether other studies hold instances of this series UID under another Study Instance UID and the
 * same route key. */
int ledger_series_elsewhere(struct ledger *ledger, bool *elsewhere, int64_t study_id,
                            const char *series_instance_uid, struct error *err);

/* Whether another generation of the study, not discarded, uploaded or holds an instance of another
 * patient: its PatientID differs, or both name an issuer and those differ. As within a study, an
 * instance without PatientID, or without issuer, contradicts nobody. */
int ledger_other_patient(struct ledger *ledger, bool *differs, int64_t study_id,
                         const char *patient_id, const char *issuer, struct error *err);

/* ---- the operator ---- */

/* Lets a quarantined study pass: → validating, released set, so that of the rules only those count
 * which say what is never uploaded; a study without a destination finds its route then.
 * With `patient_id`, the instances of other patients move to a new quarantined generation first;
 * *left_id is its id, or 0. */
int ledger_study_release(struct ledger *ledger, int64_t id, const char *patient_id,
                         int64_t *left_id, struct error *err);
/* Whether Aurabox may have heard of the upload, and not yet of its end. Pure. */
bool ledger_upload_is_announced(const struct ledger_upload *upload);
/* Asks the worker to stop; ledger_advance to cancelled is done by whoever holds the study. One that
 * nobody holds and Aurabox has not heard of is cancelled at once. LEDGER_CONFLICT when it is final.
 */
int ledger_study_request_cancel(struct ledger *ledger, int64_t id, struct error *err);
/* failed, cancelled → ready with a fresh upload, or, when it was cancelled before it had passed
 * validation, → validating; a study in flight → due at once. Else, and where a later upload has
 * one of its instances by now, LEDGER_CONFLICT. */
int ledger_study_retry(struct ledger *ledger, int64_t id, struct error *err);
/* → discarded; its instances become discarded and are unknown to later arrivals. */
int ledger_study_discard(struct ledger *ledger, int64_t id, const char *reason, struct error *err);
/* Only for final studies: its instances become unknown to later arrivals. */
int ledger_study_forget(struct ledger *ledger, int64_t id, struct error *err);

/* ---- recovery and retention ---- */

/* Whether a row names the file. Fails also while the ledger is not sound: then nobody can say
 * before it is opened again. */
int ledger_file_is_known(struct ledger *ledger, const char *file_name, bool *known,
                         struct error *err);
/* Visits rows that name a file (all studies). */
int ledger_files(struct ledger *ledger,
                 int (*visit)(void *context, int64_t study_id, int64_t instance_id,
                              const char *file_name, uint64_t file_size),
                 void *context, struct error *err);
/* The instance's file `lost` ("": it has none) is gone from the spool, and the same data set has
 * come again in the arrival's file: the row names that one from now on, and an upload of its study
 * that is not whole yet begins anew. LEDGER_CONFLICT when the row does not name `lost` any more,
 * has another data set, or is superseded or discarded. */
int ledger_file_replaced(struct ledger *ledger, int64_t instance_id, const char *lost,
                         const struct ledger_arrival *arrival, struct error *err);
/* A version of the instance that arrives, under its route key and Study Instance UID. */
struct ledger_version {
    int64_t instance_id, study_id;
    enum ledger_disposition disposition;
    enum study_state state; /* of its study */
    bool is_identical;      /* the same data set */
    bool is_let_go;         /* discarded, cancelled or forgotten: later arrivals do not know it */
    int64_t let_go_ms;      /* since then, by the wall clock */
    char file_name[STORED_NAME_SIZE]; /* "" when it has no file any more */
    uint64_t file_size;
    uint32_t file_crc32;
};
/* The next one after the given row id (0: the first). LEDGER_NOT_FOUND: no more. */
int ledger_version_next(struct ledger *ledger, struct ledger_version *out,
                        const struct ledger_arrival *arrival, int64_t after_instance_id,
                        struct error *err);
/* Ends all leases; studies found in validating stay there and are due at once, so that
 * ledger_study_due hands them out. Called once at start (ledger_open does it too). */
int ledger_recover(struct ledger *ledger, struct error *err);

/* The first study, in the order in which they came to their end, that is completed or discarded,
 * changed before `before_ms`, still names files, and comes after `*at` (zeroed: the very first);
 * it is written there. LEDGER_NOT_FOUND: none. */
struct ledger_to_clean {
    int64_t id, changed_ms;
    uint64_t bytes; /* of its stored instances */
};
int ledger_next_to_clean(struct ledger *ledger, struct ledger_to_clean *at, int64_t before_ms,
                         struct error *err);

/* Up to `size` of the files that the study's rows name, from the row after `after_id` on. */
struct ledger_file {
    int64_t instance_id;
    char name[STORED_NAME_SIZE];
};
int ledger_study_files(struct ledger *ledger, int64_t study_id, int64_t after_id,
                       struct ledger_file *files, size_t size, size_t *count, struct error *err);
/* These files are gone for good, or not needed any more; the rows stay. One step for all. */
int ledger_files_removed(struct ledger *ledger, const struct ledger_file *files, size_t count,
                         struct error *err);

/* Removes the rows of completed and discarded studies changed before `before_ms` and without
 * files; `*removed` counts studies. A study's receipt goes with them, once no older one stands; the
 * chain then begins at the hash of the last one that went. */
int ledger_trim(struct ledger *ledger, int64_t before_ms, unsigned *removed, struct error *err);

#endif
