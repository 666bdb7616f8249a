/* Receipts and their chain, as the files of this room see them. A receipt is a row with a head (one
 * line of JSON) and its SHA-256; the head names the hash of the receipt before it. What the study's
 * instance rows say stands in the head as one digest, so that no receipt is larger than another.
 */
#ifndef AURABRIDGE_SRC_LEDGER_RECEIPT_H
#define AURABRIDGE_SRC_LEDGER_RECEIPT_H

#include "ledger.h"

#include "aurabridge/json.h"

/* One instance's line, the caller's to free; null when memory is short. Adds its data set's size to
 * `*bytes`. Only columns that never change once a row is there: a file that is replaced has the
 * same data set. */
#define RECEIPT_LINE_COLUMNS                                                                       \
    "id,sop_instance_uid,sop_class_uid,series_instance_uid,data_set_sha256,file_size,"             \
    "data_set_offset,calling_ae_title,called_ae_title,peer_address,received_ms"
char *receipt_line(sqlite3_stmt *row, uint64_t *bytes);

/* A receipt's number is from 1 to this; what stands elsewhere in a file was put there by others,
 * and is not counted on from. */
#define RECEIPT_NUMBER_MAX 999999999999

/* The instances of a receipt: of the stored rows in order of receipt, one line of JSON each. */
struct receipt_contents {
    uint64_t instances;
    uint64_t bytes; /* of their data sets */
    char sha256[SHA256_HEX_SIZE];
};

/* Memory does not grow with the study. */
int receipt_contents_read(struct database *database, struct receipt_contents *out, int64_t study_id,
                          struct error *err);

/* Within the step that completes the study: adds the receipt to the chain's end. `*number` and
 * `sha256` are for the log. */
int receipt_append(struct database *database, int64_t study_id,
                   const struct receipt_contents *contents, int64_t *number,
                   char sha256[SHA256_HEX_SIZE], struct error *err);

/* For completed studies that have none: those of a ledger from before there were receipts. */
int receipt_make_missing(struct database *database, struct error *err);

/* The study's rows are gone: so may its receipt, once no older one stands. */
int receipt_mark_trimmed(struct database *database, int64_t study_id, struct error *err);
/* Removes at most `most` receipts from the chain's beginning and moves the anchor along. Returns
 * how many, or -1. */
int receipt_trim(struct database *database, int most, struct error *err);

/* What a receipt says of itself; texts are "" and numbers 0 where it says nothing. */
struct receipt_head {
    int64_t number, study_id;
    char previous[SHA256_HEX_SIZE];
    struct receipt_contents contents;
};
/* -1 when it is no receipt's head. */
int receipt_head_parse(struct receipt_head *out, const char *text, size_t length);

#endif
