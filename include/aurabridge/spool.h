/* The spool: instance files on disk, named so that the ledger's rows could be rebuilt from them.
 *
 *   <directory>/lock                     held by the one process that may change things
 *   <directory>/incoming/<random>.part   large ones on their way in; deleted at start
 *   <directory>/journal/                 what came just now: aurabridge/journal.h
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
#include "aurabridge/journal.h"
#include "aurabridge/part10.h"
#include "aurabridge/stored_instance.h"

#include <stdbool.h>
#include <stdint.h>

struct spool;
struct spool_writer; /* one instance on its way in */

#define SPOOL_FULL (-2) /* below the reserve, or the disk refused a write */
#define SPOOL_GONE (-3) /* what was received is missing, or not what the disk gives back */

/* Opens, and makes it when absent, with 0700 directories. `reserve` bytes are kept free. Takes the
 * exclusive lock; another holder is an error that says so. `*out` is the caller's. */
int spool_open(struct spool **out, const char *directory, uint64_t reserve, struct error *err);
void spool_close(struct spool *spool);
const char *spool_directory(const struct spool *spool);

/* ---- room: docs/decisions/0011-levels-of-the-spool.md ---- */

/* Reception, which is open at first, closes when someone finds no more than the reserve free or the
 * disk refuses a write for lack of space. Only spool_look and spool_set_reserve open it. Each
 * change is logged once. */

/* Whether an instance may begin, or an association. Returns 0, SPOOL_FULL with the figures and the
 * remedy, or -1 when the disk does not answer. */
int spool_admit(struct spool *spool, struct error *why_not);

/* Whether reception is closed, and why, without asking the disk. `why` may be null. */
bool spool_is_closed(struct spool *spool, struct error *why);

/* Somebody else's write to the spool's file system failed for lack of space. */
void spool_refused(struct spool *spool, const char *reason);

/* Whether next to nothing can be written: what fails now is the disk's fault. */
bool spool_is_full(struct spool *spool);

/* To be called every second or so: closes reception too, and opens it when the reserve and a margin
 * are free and, when the disk had refused a write, it takes one. */
struct spool_look {
    bool opened;     /* by this look */
    uint64_t wanted; /* bytes that copies which nobody needs should give back; 0: none */
};
void spool_look(struct spool *spool, struct spool_look *out);

/* Takes over another reserve, and looks. */
void spool_set_reserve(struct spool *spool, uint64_t reserve);

/* Whether `wanted` bytes can go to copies (archives) without touching what reception was promised.
 * Returns 0, SPOOL_FULL with the figures, or -1 when the disk does not answer. */
int spool_check_space(struct spool *spool, uint64_t wanted, struct error *err);

/* Whether they can go to copies that are a mere convenience: there is so much room that nobody
 * would be asked to give any back. False also when the disk does not answer. */
bool spool_is_ample(struct spool *spool, uint64_t wanted);

/* Whether a spool in the directory would be open. Returns as spool_admit. */
int spool_check_directory(const char *directory, uint64_t reserve, struct error *err);

/* ---- instances ---- */

/* Starts an instance: its Part 10 header, then its bytes, go to the journal, and when it grows
 * large to a file of its own. Returns 0, SPOOL_FULL or -1. */
int spool_writer_new(struct spool_writer **out, struct spool *spool, struct journal *journal,
                     const struct association *association, const struct instance_request *request,
                     const char *default_character_set, struct error *err);

/* Takes bytes of the data set: one pass writes, digests and scans. Returns 0, SPOOL_FULL or -1. */
int spool_writer_write(struct spool_writer *writer, const void *bytes, size_t length,
                       struct error *err);

/* Ends the data set; nothing is durable yet. `out` is valid until the writer is freed. */
int spool_writer_finish(struct spool_writer *writer, struct stored_instance *out,
                        struct error *err);

/* Commits it: its bytes, and `entry` beside them, are on stable storage when this answers 0. `name`
 * is what its file will be, relative to studies/; the entry points to it afterwards. Returns 0,
 * SPOOL_FULL or -1. */
int spool_writer_commit(struct spool_writer *writer, struct journal_entry *entry,
                        char name[STORED_NAME_SIZE], struct error *err);

/* Makes the file of a committed instance in its study's folder; durable with the next spool_sync.
 * May be called again, as after a crash. `*crc32` is that of the bytes that the journal had.
 * Returns 0, SPOOL_FULL, SPOOL_GONE or -1. */
int spool_place(struct spool *spool, struct journal *journal, const struct journal_record *record,
                uint32_t *crc32, struct error *err);

/* Whether the file of its own that the record names is there, or in its place already. */
bool spool_has_part(const struct spool *spool, const struct journal_record *record);

/* Everything that was put in place before the call is on stable storage when it answers 0. Returns
 * 0, SPOOL_FULL or -1. */
int spool_sync(struct spool *spool, struct error *err);

/* Frees the writer; what was not committed is removed. Null is fine. */
void spool_writer_free(struct spool_writer *writer);

/* Opens a published file for reading. `*fd` is the caller's. */
int spool_read(int *fd, const struct spool *spool, const char *name, struct error *err);

/* Whether `name`, whatever it is, names a file of this SOP instance. Touches no disk. */
bool spool_name_is_of(const char *name, const char *sop_instance_uid);

/* Whether a published file is there with `size` bytes. */
bool spool_has(const struct spool *spool, const char *name, uint64_t size);
/* Whether it is, and is this SOP instance's: a damaged ledger may name another's. */
bool spool_has_instance(const struct spool *spool, const char *name, uint64_t size,
                        const char *sop_instance_uid);
/* Whether it is there with these bytes; reads it whole. Returns 0, SPOOL_GONE when it is missing or
 * has others, or -1 when nobody can tell. */
int spool_check_file(const struct spool *spool, const char *name, uint64_t size, uint32_t crc32,
                     struct error *err);
/* Whether it is there, with whatever size. */
bool spool_has_any(const struct spool *spool, const char *name);

/* Removes a published file, and its folder when that is empty; an absent one is fine. After power
 * loss it may be there again. */
int spool_remove(struct spool *spool, const char *name, struct error *err);

/* Removes published files for good: when it returns 0, no power loss brings one of them back.
 * Absent ones are fine. Tries all of them, also after a failure. */
int spool_remove_all(struct spool *spool, const char *const *names, size_t count,
                     struct error *err);

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

/* A figure, not 0, that is the same again only if no study folder, and no file in one, has come or
 * gone. Says nothing of what is in the files. Returns 0 or -1. */
int spool_fingerprint(const struct spool *spool, uint64_t *out, struct error *err);

/* Reads a published file whole and fills what reception would have known of it. `*writer` keeps
 * the attributes alive and is the caller's to free; freeing it leaves the file. */
int spool_examine(struct spool_writer **writer, struct spool *spool, const char *name,
                  const char *default_character_set, struct part10_header *header,
                  struct stored_instance *out, struct error *err);

#endif
