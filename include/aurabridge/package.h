/* A study's archive (APPNOTE.TXT of the zip format, zip64 where needed), as a length and any byte
 * range of it: stored members are read from the spool, deflated ones from a scratch file. The
 * layout stands on disk as fixed-size records, so memory does not grow with the study.
 * Deterministic: the same instances in the same order give the same bytes. One package per thread.
 */
#ifndef AURABRIDGE_PACKAGE_H
#define AURABRIDGE_PACKAGE_H

#include "aurabridge/config.h"
#include "aurabridge/digest.h"
#include "aurabridge/error.h"
#include "aurabridge/ledger.h"
#include "aurabridge/press.h"
#include "aurabridge/spool.h"

#include <stdint.h>

struct package;

/* Opens the study's package, made from the stored instances in order of receipt unless it is there
 * already; what the press has compressed of it is taken over. Entries are
 * "<StudyInstanceUID>/<SOPInstanceUID>.dcm"; sizes and CRCs are in the local headers. Deflated
 * members need room in the spool beside what is kept for reception, and are stored from where there
 * is none. `press` may be null with COMPRESSION_STORE. Returns 0, or -1. `*out` is the caller's.
 * `cancelled` (may be null) is asked now and then; a true answer ends the work with -1. */
int package_open(struct package **out, struct spool *spool, struct press *press,
                 struct ledger *ledger, const struct ledger_study *study,
                 enum config_compression compression, bool (*cancelled)(void *context),
                 void *context, struct error *err);
void package_close(struct package *package);

/* Bytes of the whole archive. */
uint64_t package_length(const struct package *package);

/* Digest of the layout: equal digests mean equal archives. */
const char *package_digest(const struct package *package);

/* A member that ends here is not what was received, and what was read of it before is not either:
 */
#define PACKAGE_DAMAGED      (-2) /* what was made of its file; making it again will do */
#define PACKAGE_FILE_DAMAGED (-3) /* its file */

/* Reads up to `length` bytes at `offset`; `*got` is less only at the end. Returns 0, one of these
 * or -1. */
int package_read(struct package *package, uint64_t offset, void *bytes, size_t length, size_t *got,
                 struct error *err);

/* Calls `visit` for studies that something was made of, at least once for each; it may remove what
 * was made. */
int package_walk(struct spool *spool, void (*visit)(void *context, int64_t study_id), void *context,
                 struct error *err);

/* Removes what package_open and the press made for the study; none is fine. */
int package_remove(struct spool *spool, int64_t study_id, struct error *err);

#endif
