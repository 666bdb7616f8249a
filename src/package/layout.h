/* A package's layout on disk: a header and one fixed-size record per member, in archive order. All
 * numbers are little endian. A layout is written once, published whole, and then only read.
 */
#ifndef AURABRIDGE_PACKAGE_LAYOUT_H
#define AURABRIDGE_PACKAGE_LAYOUT_H

#include "zip.h"

#include "aurabridge/digest.h"
#include "aurabridge/error.h"
#include "aurabridge/fs.h"
#include "aurabridge/stored_instance.h"
#include "aurabridge/uid.h"

#include <stdbool.h>

#define LAYOUT_HEADER_SIZE 256
#define LAYOUT_RECORD_SIZE 448
#define LAYOUT_WINDOW      32 /* records held in memory */

#define LAYOUT_UNUSABLE (-2) /* absent, of another version, or damaged */

struct layout_record {
    char sop_instance_uid[UID_SIZE];
    char file_name[STORED_NAME_SIZE]; /* in the spool */
    uint64_t size;                    /* of the file */
    uint64_t packed;                  /* in the archive */
    uint64_t header_offset;           /* of the local header, in the archive */
    uint64_t central_offset;          /* of the central header, in the central directory */
    uint64_t scratch_offset;          /* deflated: of the bytes in the scratch file */
    uint32_t crc32;                   /* of the file */
    uint32_t packed_crc32;            /* of the bytes in the archive */
    unsigned method;
};

struct layout_header {
    char study_instance_uid[UID_SIZE];
    uint64_t count;          /* members, at least 1 */
    uint64_t source_bytes;   /* of all files */
    uint64_t central_offset; /* in the archive */
    uint64_t central_size;
    uint64_t archive_length;
    uint64_t scratch_size;         /* 0: no scratch file */
    uint8_t digest[SHA256_SIZE];   /* of what determines the archive's bytes */
    uint8_t checksum[SHA256_SIZE]; /* of all records as they stand in the file */
};

void layout_encode_header(uint8_t out[LAYOUT_HEADER_SIZE], const struct layout_header *header);
void layout_encode_record(uint8_t out[LAYOUT_RECORD_SIZE], const struct layout_record *record);

/* The entry as zip knows it; `name` gets "<StudyInstanceUID>/<SOPInstanceUID>.dcm". */
struct zip_entry layout_entry(const struct layout_record *record, const char *study_instance_uid,
                              char name[ZIP_NAME_MAX]);

/* ---- reading ---- */

struct layout {
    int fd; /* owned; -1 when closed */
    struct layout_header header;
    uint64_t window_first; /* index of the first record in `window` */
    size_t window_count;
    uint8_t window[LAYOUT_WINDOW * LAYOUT_RECORD_SIZE];
};

/* Opens and checks it whole. Returns 0, or LAYOUT_UNUSABLE with the reason. layout_close is fine
 * after a failure. */
int layout_open(struct layout *layout, const char *path, struct error *err);
void layout_close(struct layout *layout);

int layout_record(struct layout *layout, struct layout_record *out, uint64_t index,
                  struct error *err);

/* The member whose local header and content hold `offset` of the archive, or, with `central`, whose
 * central header holds `offset` of the central directory. */
int layout_find(struct layout *layout, uint64_t *index, uint64_t offset, bool central,
                struct error *err);

/* ---- writing ---- */

struct layout_writer {
    int fd;                 /* owned; -1 when closed */
    char path[FS_PATH_MAX]; /* final */
    char part[FS_PATH_MAX];
    struct sha256 *digest;   /* owned */
    struct sha256 *checksum; /* owned */
    size_t window_count;
    uint8_t window[LAYOUT_WINDOW * LAYOUT_RECORD_SIZE];
};

int layout_writer_open(struct layout_writer *writer, const char *path,
                       const char *study_instance_uid, struct error *err);
int layout_writer_add(struct layout_writer *writer, const struct layout_record *record,
                      struct error *err);
/* Completes `header` with the digests and publishes. */
int layout_writer_finish(struct layout_writer *writer, struct layout_header *header,
                         struct error *err);
/* Frees; removes what was not published. Fine after a failed open. */
void layout_writer_close(struct layout_writer *writer);

#endif
