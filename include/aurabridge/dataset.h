/* The data set as it streams past (PS3.5 chapter 7): an iterative scanner that reads the header
 * attributes at the top level, follows element lengths to the end without buffering values, and
 * never recurses. Knows implicit and explicit VR, both byte orders, and deflated (PS3.5 A.5).
 * One scanner per instance, one thread at a time; fixed memory.
 */
#ifndef AURABRIDGE_DATASET_H
#define AURABRIDGE_DATASET_H

#include "aurabridge/attribute.h"
#include "aurabridge/error.h"
#include "aurabridge/uid.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct dataset_scanner;

/* Nesting that the scanner still follows; deeper ones are "not understood" (dataset_result). */
#define DATASET_DEPTH_MAX 2048

enum dataset_ending {
    DATASET_COMPLETE,      /* ended at an element border */
    DATASET_TRUNCATED,     /* ended inside an element: `tag`, `missing` */
    DATASET_NOT_UNDERSTOOD /* from `tag` or `offset` on the structure made no sense */
};

struct dataset_result {
    enum dataset_ending ending;
    uint32_t tag;     /* the top-level element it ended in (the last one when complete) */
    uint64_t missing; /* bytes its value lacks; 0 when its length is undefined */
    uint64_t offset;  /* bytes of the (inflated) data set that were understood */
};

/* Makes a scanner for a data set in the transfer syntax (an unknown UID is read as explicit little
 * endian, as PS3.5 A.4 has it for encapsulated ones). `default_character_set` is the DICOM defined
 * term for data sets that name none, e.g. "ISO_IR 100"; null: ASCII, then Latin-1. `*out` is the
 * caller's. Returns 0, or -1 when memory is short. */
int dataset_scanner_new(struct dataset_scanner **out, const char *transfer_syntax_uid,
                        const char *default_character_set, struct error *err);

/* Also wants this top-level element's text (at most ATTRIBUTE_VALUE_MAX bytes of it); at most 16.
 * Call before the first bytes. Returns 0, or -1 when there are too many. */
int dataset_scanner_want(struct dataset_scanner *scanner, uint32_t tag);

/* Feeds the next bytes. Never fails: what is not understood ends the reading, not the reception. */
void dataset_scanner_feed(struct dataset_scanner *scanner, const void *bytes, size_t length);

/* Whether all wanted attributes have been passed (pixel data reached, or structure lost). */
bool dataset_scanner_header_done(const struct dataset_scanner *scanner);

/* Ends the data set and converts the text. */
void dataset_scanner_finish(struct dataset_scanner *scanner, struct dataset_result *out);

/* The values read so far converted to UTF-8; complete after finish. Belongs to the scanner. */
const struct attributes *dataset_scanner_attributes(struct dataset_scanner *scanner);

/* The value of a tag asked for by dataset_scanner_want, "" when absent. Belongs to the scanner. */
const char *dataset_scanner_value(struct dataset_scanner *scanner, uint32_t tag);

void dataset_scanner_free(struct dataset_scanner *scanner);

#endif
