/* The ledger: law 2, recounted from the rows. As ledger.h says of its calls. */
#ifndef AURABRIDGE_LEDGER_AUDIT_H
#define AURABRIDGE_LEDGER_AUDIT_H

#include "aurabridge/ledger.h"

/* What was acknowledged is in exactly one of these places. */
struct ledger_audit {
    uint64_t acknowledged;              /* the ledger's own counter */
    uint64_t stored[STUDY_STATE_COUNT]; /* instance rows, by the state of their study */
    uint64_t dropped, superseded, discarded;
    uint64_t resends, swallowed_resends; /* of which nothing is kept but their number */
    uint64_t trimmed; /* went with their studies' rows; not among the acknowledged any more */
    uint64_t studies;
    uint64_t files; /* that rows name */
    uint64_t receipts;
    int64_t first_receipt, last_receipt;
    char chain_sha256[SHA256_HEX_SIZE]; /* of the last one, or of the anchor */
};

enum ledger_place {
    PLACE_RECEIVING,
    PLACE_WAITING,   /* validating, unrouted, ready, packaging, failed, cancelled */
    PLACE_UPLOADING, /* confirming too */
    PLACE_QUARANTINED,
    PLACE_COMPLETED,
    PLACE_SUPERSEDED,
    PLACE_RESENDS,
    PLACE_SWALLOWED_RESENDS,
    PLACE_DROPPED,
    PLACE_DISCARDED,
    LEDGER_PLACE_COUNT
};
/* The name as programs know it ("dropped_by_rule"). */
const char *ledger_place_name(enum ledger_place place);
uint64_t ledger_audit_at(const struct ledger_audit *audit, enum ledger_place place);
/* Of all places; equal to `acknowledged` when everything adds up. */
uint64_t ledger_audit_sum(const struct ledger_audit *audit);

/* Something that does not add up, in words. Its texts are valid during the call. */
struct ledger_finding {
    const char *kind; /* "study", "total", "receipt", "file" */
    int64_t study_id; /* 0: of no single study */
    const char *text;
};

struct ledger_auditor {
    bool deep; /* also holds each receipt against its instance rows */
    void (*found)(void *context, const struct ledger_finding *finding); /* must not wait */
    bool (*stops)(void *context); /* asked now and then; may be null */
    void *context;
};

/* Recounts everything at one moment, while other calls go on. Finding something is no failure. The
 * cost grows with the instance rows, the memory does not. */
int ledger_audit(struct ledger *ledger, struct ledger_audit *out,
                 const struct ledger_auditor *auditor, struct error *err);

/* What the study rows themselves count, at one moment. */
struct ledger_totals {
    uint64_t studies[STUDY_STATE_COUNT];
    uint64_t instances[STUDY_STATE_COUNT]; /* stored, by the state of their study */
    uint64_t bytes[STUDY_STATE_COUNT];
    uint64_t dropped, superseded, resends, swallowed_resends, discarded;
    uint64_t acknowledged; /* arrivals recorded since the ledger was made, less trimmed */
};
int ledger_totals(struct ledger *ledger, struct ledger_totals *out, struct error *err);

#endif
