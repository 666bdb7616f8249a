/* Files: atomic publication and the few operations whose failure must not be overlooked. Files are
 * made 0600, directories 0700, descriptors close on exec. Thread-safe.
 */
#ifndef AURABRIDGE_FS_H
#define AURABRIDGE_FS_H

#include "aurabridge/buffer.h"
#include "aurabridge/error.h"

#include <stddef.h>
#include <stdint.h>

#define FS_PATH_MAX 4096

/* Joins with one "/". Returns 0, or -1 when the result does not fit. */
int fs_join(char out[FS_PATH_MAX], const char *directory, const char *name, struct error *err);

/* Makes the directory and its parents (0700); one that exists is fine. A new entry is synced. */
int fs_make_directory(const char *path, struct error *err);

int fs_sync_directory(const char *path, struct error *err);

/* Makes a new file for writing that must not exist yet. `*fd` is the caller's. */
int fs_create(int *fd, const char *path, struct error *err);

/* Writes all bytes, across EINTR and short writes. Returns 0, or -1 with errno kept. */
int fs_write_all(int fd, const void *bytes, size_t length, struct error *err);

/* Likewise at `offset`, whatever the file's own position. Threads may write beside each other. */
int fs_write_at(int fd, const void *bytes, size_t length, uint64_t offset, struct error *err);

/* Reads at `offset` until `length` bytes or the end; `*got` says how many. Returns 0, or -1 with
 * errno kept. */
int fs_read_at(int fd, void *bytes, size_t length, uint64_t offset, size_t *got, struct error *err);

/* Durable publication of a complete file: fsync `fd`, close it (always, also on failure), rename
 * `part_path` to `final_path`, fsync the parent of `final_path`. A failed fsync is never retried.
 */
int fs_publish(int fd, const char *part_path, const char *final_path, struct error *err);

/* Replaces the whole content of `path` durably and atomically. */
int fs_write_atomic(const char *path, const void *bytes, size_t length, struct error *err);

/* Appends the file's content to `out`; fails when it is larger than the buffer's room. */
int fs_read_file(struct buffer *out, const char *path, struct error *err);

/* Removes a file; one that is not there is fine. */
int fs_remove(const char *path, struct error *err);

/* What an unprivileged process may still take of a file system. */
struct fs_room {
    uint64_t bytes;
    uint64_t files; /* UINT64_MAX where the file system does not count them */
};
int fs_room(struct fs_room *out, const char *path, struct error *err);

/* Whether the file system would take `length` bytes more, whatever it says of itself (a quota shows
 * in no figure): takes them for a moment, in a file that it makes at `path` and removes. Where that
 * cannot be asked it writes a little. Returns 0 or -1. */
int fs_try_room(const char *path, uint64_t length, struct error *err);

#endif
