/* A record as it stands in a segment: little endian, texts with their NUL, a checksum over all.
 *
 * Between two records stand bytes that a sender chose. What makes a record one is the segment's
 * nonce, which nobody outside knows and which changes each time the segment is written over.
 */
#ifndef AURABRIDGE_JOURNAL_RECORD_H
#define AURABRIDGE_JOURNAL_RECORD_H

#include "aurabridge/journal.h"

#define RECORD_NONCE_SIZE 16
#define RECORD_HEAD_SIZE  32 /* nonce, length, CRC-32, number */

/* Bytes that the entry's record takes with so many extents. */
size_t record_size(const struct journal_entry *entry, size_t extent_count);

/* Writes it to `out`, which has record_size bytes. */
void record_encode(uint8_t *out, const struct journal_entry *entry,
                   const struct journal_extent *extents, size_t extent_count, uint64_t number,
                   const uint8_t nonce[RECORD_NONCE_SIZE]);

/* The length that the first RECORD_HEAD_SIZE bytes tell, 0 when no record begins there. */
size_t record_length(const uint8_t *head, const uint8_t nonce[RECORD_NONCE_SIZE]);

/* Reads `record->bytes`, of which `length` are there. Returns 0, or -1 when it is torn. */
int record_decode(struct journal_record *record, size_t length);

#endif
