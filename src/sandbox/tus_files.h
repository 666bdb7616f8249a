/* The uploads of the sandbox's Tus server: their offsets, and their files under <directory>/tus.
 * The caller locks, except for tus_file_path. */
#ifndef SANDBOX_TUS_FILES_H
#define SANDBOX_TUS_FILES_H

#include "aurabridge/error.h"
#include "aurabridge/fs.h"
#include "aurabridge/identifier.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TUS_FILE_ID_SIZE 33
#define MAX_TUS_FILES    65536

/* Stays at its address until tus_files_free. `offset` ≤ `length`; only the call that made it `busy`
 * moves the offset. */
struct tus_file {
    char id[TUS_FILE_ID_SIZE];
    char upload_id[UUID_SIZE];
    uint64_t length, offset;
    bool busy;          /* a call writes, moves or deletes it */
    bool gone;          /* terminated, lost, expired or taken by `complete` */
    int64_t expires_ms; /* wall clock; 0: never */
};

struct tus_files {
    struct tus_file **list; /* owned */
    size_t count, capacity;
};

void tus_files_free(struct tus_files *files);
struct tus_file *tus_files_find(const struct tus_files *files, const char *id);
/* Null when memory, randomness or room is short. */
struct tus_file *tus_files_add(struct tus_files *files, const char *upload_id, uint64_t length);
/* The newest one of this upload that has all its bytes and is neither gone nor busy; null: none. */
struct tus_file *tus_files_complete(const struct tus_files *files, const char *upload_id);

/* The upload's files are gone. */
void tus_files_forget(struct tus_files *files, const char *upload_id);

int tus_file_path(char out[FS_PATH_MAX], const char *directory, const char *id, struct error *err);

#endif
