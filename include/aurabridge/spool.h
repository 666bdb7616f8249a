/* The spool: instance files on disk, named so that the ledger's rows could be rebuilt from them.
 *
 *   <directory>/lock                     held by the one process that may change things
 *   <directory>/incoming/<random>.part   on their way in; deleted at start
 *   <directory>/studies/<study folder>/<SOP Instance UID>.<random>.dcm
 *
 * The study folder is "<StudyInstanceUID>@<route key>". A published file never changes. Thread-safe
 * but for one writer being used by one thread at a time.
 */
#ifndef AURABRIDGE_SPOOL_H
#define AURABRIDGE_SPOOL_H

#include "aurabridge/attribute.h"
#include "aurabridge/dataset.h"
#include "aurabridge/digest.h"
#include "aurabridge/error.h"
#include "aurabridge/instance.h"
#include "aurabridge/part10.h"
#include "aurabridge/stored_instance.h"

#include <stdbool.h>
#include <stdint.h>

struct spool;
struct spool_writer; /* one instance on its way in */

#define SPOOL_FULL (-2) /* below the reserve, or the disk refused a write */

/* Opens, and makes it when absent, with 0700 directories. `reserve` bytes are kept free. Takes the
 * exclusive lock; another holder is an error that says so. `*out` is the caller's. */
int spool_open(struct spool **out, const char *directory, uint64_t reserve, struct error *err);
void spool_close(struct spool *spool);
const char *spool_directory(const struct spool *spool);
void spool_set_reserve(struct spool *spool, uint64_t reserve);

/* Returns 0 when there is more than the reserve (plus `wanted` bytes) free, SPOOL_FULL with a text
 * that names both figures, -1 when the question failed. */
int spool_check_space(struct spool *spool, uint64_t wanted, struct error *err);

/* The same of a directory that another process has open. */
int spool_check_directory(const char *directory, uint64_t reserve, uint64_t wanted,
                          struct error *err);

/* Starts an instance: makes its file and writes the Part 10 header. Returns 0, SPOOL_FULL or -1. */
int spool_writer_new(struct spool_writer **out, struct spool *spool,
                     const struct association *association, const struct instance_request *request,
                     const char *default_character_set, struct error *err);

/* Takes bytes of the data set: one pass writes, digests and scans. Returns 0, SPOOL_FULL or -1. */
int spool_writer_write(struct spool_writer *writer, const void *bytes, size_t length,
                       struct error *err);

/* Ends the data set; nothing is durable yet. `out` is valid until the writer is freed. */
int spool_writer_finish(struct spool_writer *writer, struct stored_instance *out,
                        struct error *err);

/* Publishes durably (file and directory synced) in the study's folder, and writes the published
 * name, relative to studies/, to `name`. Returns 0, SPOOL_FULL or -1; on failure nothing is left
 * under the final name. */
int spool_writer_publish(struct spool_writer *writer, const char *study_instance_uid,
                         const char *route_key, char name[STORED_NAME_SIZE], struct error *err);

/* Frees the writer; what was not published is removed. Null is fine. */
void spool_writer_free(struct spool_writer *writer);

/* Opens a published file for reading. `*fd` is the caller's. */
int spool_read(int *fd, const struct spool *spool, const char *name, struct error *err);

/* Whether a published file is there with `size` bytes. */
bool spool_has(const struct spool *spool, const char *name, uint64_t size);
/* Whether it is there, with whatever size. */
bool spool_has_any(const struct spool *spool, const char *name);

/* Removes a published file, and its folder when that is empty; an absent one is fine. After power
 * loss it may be there again. */
int spool_remove(struct spool *spool, const char *name, struct error *err);

/* As spool_remove, and for good: when it returns 0, no power loss brings the file back. */
int spool_remove_durably(struct spool *spool, const char *name, struct error *err);

/* Reads the attributes of a published file again; `tags` are `count` (≤ 16) further elements whose
 * UTF-8 texts go to values[i]. */
int spool_read_values(const struct spool *spool, const char *name, const uint32_t *tags,
                      size_t count, char (*values)[ATTRIBUTE_VALUE_SIZE],
                      const char *default_character_set, struct error *err);

/* Recovery. Removes what is left in incoming/; `*removed` counts. */
int spool_clear_incoming(struct spool *spool, unsigned *removed, struct error *err);

/* A published file looked at anew, as if it had just been received. */
struct spool_found {
    const char *name;
    char study_instance_uid[UID_SIZE]; /* from the folder's name */
    char route_key[ROUTE_KEY_SIZE];
    int64_t modified_ms; /* wall clock */
};

/* Calls `visit` for each published file; a non-zero answer stops the walk and is returned. For
 * recovery, which is alone: syncs what it shows, and removes folders that are empty. */
int spool_walk(struct spool *spool, int (*visit)(void *context, const struct spool_found *found),
               void *context, struct error *err);

/* As spool_walk, beside whatever goes on, and changing nothing. A file that comes or goes meanwhile
 * may be shown or not. */
int spool_list(struct spool *spool, int (*visit)(void *context, const struct spool_found *found),
               void *context, struct error *err);

/* Reads a published file whole and fills what reception would have known of it. `*writer` keeps
 * the attributes alive and is the caller's to free; freeing it leaves the file. */
int spool_examine(struct spool_writer **writer, struct spool *spool, const char *name,
                  const char *default_character_set, struct part10_header *header,
                  struct stored_instance *out, struct error *err);

#endif
