/* The one pass over an instance's bytes, shared by reception and by examination of a published
 * file (which is in no journal and has no part file).
 */
#ifndef AURABRIDGE_SPOOL_WRITER_H
#define AURABRIDGE_SPOOL_WRITER_H

#include "place.h"

#include "aurabridge/journal.h"

#define WRITER_BUFFER_SIZE ((size_t)128 * 1024)

#define PART_NAME_SIZE 40

enum writer_state { WRITER_OPEN, WRITER_FINISHED, WRITER_ENDED };

struct spool_writer {
    struct spool *spool;
    enum writer_state state;
    int failure; /* what the first failed call returned, 0 when none did */
    struct journal *journal;
    struct journal_writer pieces; /* that stand in the journal */
    int fd;                       /* of the part file, -1 when there is none */
    char part_name[PART_NAME_SIZE];
    char part_path[FS_PATH_MAX];
    char sop_instance_uid[UID_SIZE];
    struct sha256 *data_set_digest;
    struct dataset_scanner *scanner;
    uint32_t file_crc32;
    uint64_t file_size;
    uint64_t data_set_offset;
    uint64_t space_check_at; /* file size at which the reserve is looked at again */
    size_t buffered;
    /* WRITER_BUFFER_SIZE and JOURNAL_COMMIT_ROOM; last, so that making a writer does not touch it
     */
    uint8_t buffer[];
};

/* A writer without file. Returns 0 or -1. */
int spool_writer_make(struct spool_writer **out, struct spool *spool,
                      const char *transfer_syntax_uid, const char *default_character_set,
                      struct error *err);

/* Digests and scans bytes of the data set. Returns 0 or -1. */
int spool_writer_look(struct spool_writer *writer, const void *bytes, size_t length,
                      struct error *err);

/* Ends the pass and says what it found. Returns 0 or -1. */
int spool_writer_conclude(struct spool_writer *writer, struct stored_instance *out,
                          struct error *err);

#endif
