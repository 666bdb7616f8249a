/* The receipts' chain. Each receipt is held against its own hash, against the one before it and
 * against its study. Guarantees that whoever removes, alters or moves a receipt without making all
 * later ones anew is told by number; who does make them anew is told by the last hash, which the
 * log has of each. */
#include "audit.h"
#include "receipt.h"

#include <inttypes.h>
#include <string.h>

struct walk {
    struct audit *audit;
    int64_t expected;               /* number of the next receipt; 0: not known */
    char previous[SHA256_HEX_SIZE]; /* hash of the one before; "": not known */
    int64_t before;                 /* number of the one before, 0: none was seen */
};

struct link {
    int64_t number, study_id;
    bool is_trimmed;
    bool is_whole; /* its hash is that of its head, and it stands where it was made */
    char sha256[SHA256_HEX_SIZE];
    struct receipt_head head;
};

static void row_hash(char out[SHA256_HEX_SIZE], sqlite3_stmt *row, int column)
{
    const void *digest = sqlite3_column_blob(row, column);
    out[0] = '\0';
    if (digest && sqlite3_column_bytes(row, column) == SHA256_SIZE)
        hex_encode(out, digest, SHA256_SIZE);
}

static int read_end(const struct audit *audit, const char *place, int64_t *number,
                    char sha256[SHA256_HEX_SIZE], struct error *err)
{
    sqlite3_stmt *row = NULL;
    *number = 0;
    sha256[0] = '\0';
    int found = database_query(audit->database, &row,
                               "SELECT number,sha256 FROM receipt_chain WHERE place=?1",
                               VALUES(TEXT(place)), err);
    if (found > 0) {
        *number = sqlite3_column_int64(row, 0);
        row_hash(sha256, row, 1);
        row_done(row);
    }
    if (*number < 0 || *number > RECEIPT_NUMBER_MAX)
        sha256[0] = '\0';
    if (found >= 0 && !sha256[0])
        audit_found(audit, "receipt", 0, "the %s of the receipts' chain is not in the ledger",
                    strcmp(place, "tip") == 0 ? "end" : "beginning");
    return found < 0 ? -1 : 0;
}

/* Says what is wrong with the receipt itself. */
static int read_link(const struct audit *audit, struct link *out, sqlite3_stmt *row,
                     struct error *err)
{
    char hash[SHA256_HEX_SIZE];
    out->number = sqlite3_column_int64(row, 0);
    out->study_id = sqlite3_column_int64(row, 1);
    out->is_trimmed = sqlite3_column_int64(row, 2) != 0;
    const char *text = (const char *)sqlite3_column_text(row, 3);
    size_t length = text ? (size_t)sqlite3_column_bytes(row, 3) : 0;
    row_hash(out->sha256, row, 4);
    if (sha256_hex_of(hash, text ? text : "", length) != 0)
        return error_set(err, "SHA-256 failed");
    bool is_head = text && receipt_head_parse(&out->head, text, length) == 0;
    out->is_whole = false;
    if (strcmp(hash, out->sha256) != 0 || !is_head)
        audit_found(audit, "receipt", out->study_id,
                    "receipt %" PRId64 " has been altered: its hash is %s, and it was made as %s",
                    out->number, hash, out->sha256[0] ? out->sha256 : "(none)");
    else if (out->head.number != out->number)
        audit_found(audit, "receipt", out->study_id,
                    "the receipt in place %" PRId64 " of the chain was made as receipt %" PRId64,
                    out->number, out->head.number);
    else if (out->head.study_id != out->study_id)
        audit_found(audit, "receipt", out->study_id,
                    "receipt %" PRId64 " stands for S%" PRId64 ", and was made for S%" PRId64,
                    out->number, out->study_id, out->head.study_id);
    else
        out->is_whole = true;
    return 0;
}

static void tell_missing(const struct audit *audit, int64_t first, int64_t last)
{
    if (first == last)
        audit_found(audit, "receipt", 0, "receipt %" PRId64 " is missing", first);
    else
        audit_found(audit, "receipt", 0, "receipts %" PRId64 " to %" PRId64 " are missing", first,
                    last);
}

static void check_place(struct walk *walk, const struct link *link)
{
    const struct audit *audit = walk->audit;
    if (link->number < 1 || link->number > RECEIPT_NUMBER_MAX) {
        audit_found(audit, "receipt", link->study_id,
                    "receipt %" PRId64 " has no place in the chain", link->number);
        return;
    }
    if (walk->expected > 0 && link->number > walk->expected) {
        tell_missing(audit, walk->expected, link->number - 1);
    } else if (walk->expected > 0 && link->number < walk->expected) {
        audit_found(audit, "receipt", link->study_id,
                    "receipt %" PRId64 " stands before the beginning of the chain", link->number);
    } else if (link->is_whole && walk->previous[0] &&
               strcmp(link->head.previous, walk->previous) != 0) {
        if (walk->before > 0)
            audit_found(audit, "receipt", link->study_id,
                        "receipt %" PRId64 " does not follow from receipt %" PRId64
                        ": one of the two has been put in another's place",
                        link->number, walk->before);
        else
            audit_found(audit, "receipt", link->study_id,
                        "receipt %" PRId64 " does not follow from the last one that was trimmed",
                        link->number);
    }
    walk->expected = link->number + 1;
    walk->before = link->number;
    /* One fault is told once: what was altered says nothing of its neighbour. */
    memcpy(walk->previous, link->is_whole ? link->sha256 : "",
           link->is_whole ? SHA256_HEX_SIZE : 1);
}

static int check_contents(const struct audit *audit, const struct link *link, struct error *err)
{
    struct receipt_contents contents;
    if (receipt_contents_read(audit->database, &contents, link->study_id, err) != 0)
        return -1;
    const struct receipt_contents *noted = &link->head.contents;
    if (contents.instances != noted->instances || contents.bytes != noted->bytes ||
        strcmp(contents.sha256, noted->sha256) != 0)
        audit_found(audit, "receipt", link->study_id,
                    "receipt %" PRId64 " was made of %" PRIu64 " instances with digest %.16s…, and "
                    "the rows are %" PRIu64 " with digest %.16s…",
                    link->number, noted->instances, noted->sha256, contents.instances,
                    contents.sha256);
    return 0;
}

/* More than one study, or none, is told where the studies are counted. */
static int check_study(const struct audit *audit, const struct link *link, struct error *err)
{
    int64_t instances = -1;
    int found =
        database_number(audit->database, &instances, "SELECT instances FROM study WHERE id=?1",
                        VALUES(INTEGER(link->study_id)), err);
    if (found < 0)
        return -1;
    if ((found > 0) == link->is_trimmed)
        audit_found(audit, "receipt", link->study_id,
                    link->is_trimmed
                        ? "receipt %" PRId64 " says that its study is trimmed, and it is not"
                        : "receipt %" PRId64 " is of a study that is not in the ledger",
                    link->number);
    if (found == 0 || !link->is_whole)
        return 0;
    if (audit->auditor->deep)
        return check_contents(audit, link, err);
    if (instances < 0 || (uint64_t)instances != link->head.contents.instances)
        audit_found(audit, "receipt", link->study_id,
                    "receipt %" PRId64 " was made of %" PRIu64
                    " instances, and the study has %" PRId64,
                    link->number, link->head.contents.instances, instances);
    return 0;
}

static int walk_chain(struct walk *walk, struct error *err)
{
    struct audit *audit = walk->audit;
    sqlite3_stmt *row = NULL;
    int found = database_query(
        audit->database, &row,
        "SELECT number,study_id,trimmed,head,sha256 FROM receipt ORDER BY number", NO_VALUES, err);
    for (; found > 0; found = row_next(row, err)) {
        struct link link;
        if (audit_goes_on(audit, err) != 0 || read_link(audit, &link, row, err) != 0 ||
            check_study(audit, &link, err) != 0) {
            row_done(row);
            return -1;
        }
        check_place(walk, &link);
        if (audit->out->receipts++ == 0)
            audit->out->first_receipt = link.number;
        audit->out->last_receipt = link.number;
        memcpy(audit->out->chain_sha256, link.sha256, SHA256_HEX_SIZE);
    }
    return found;
}

int audit_chain(struct audit *audit, struct error *err)
{
    struct walk walk = {.audit = audit};
    struct ledger_audit *out = audit->out;
    int64_t anchor = 0, tip = 0;
    char tip_hash[SHA256_HEX_SIZE];
    if (read_end(audit, "anchor", &anchor, walk.previous, err) != 0 ||
        read_end(audit, "tip", &tip, tip_hash, err) != 0)
        return -1;
    walk.expected = walk.previous[0] ? anchor + 1 : 0;
    memcpy(out->chain_sha256, walk.previous, SHA256_HEX_SIZE);
    if (walk_chain(&walk, err) != 0)
        return -1;
    int64_t last = out->receipts > 0 ? out->last_receipt : anchor;
    if (!tip_hash[0])
        return 0;
    if (last < tip)
        tell_missing(audit, last + 1, tip);
    else if (last > tip)
        audit_found(audit, "receipt", 0,
                    "the chain is noted to end with receipt %" PRId64 ", and goes on to %" PRId64,
                    tip, last);
    else if (strcmp(out->chain_sha256, tip_hash) != 0)
        audit_found(audit, "receipt", 0,
                    "receipt %" PRId64 " is not the one that the chain was noted to end with", tip);
    return 0;
}
