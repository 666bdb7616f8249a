/* Between the parts of the preloaded fault points. Thread-safe. */
#ifndef FAULT_POINTS_H
#define FAULT_POINTS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

enum fault_kind {
    FAULT_ANY,
    FAULT_ALLOC,
    FAULT_OPEN,
    FAULT_WRITE,
    FAULT_SYNC,
    FAULT_RENAME,
    FAULT_UNLINK,
    FAULT_MKDIR,
    FAULT_STATVFS,
    FAULT_SQLITE,
    FAULT_CONNECT,
    FAULT_SEND,
    FAULT_RECEIVE,
    FAULT_KINDS
};

/* Counts a call. True: it is to fail, with errno set. Does not return when the fault kills. */
bool fault_strikes(enum fault_kind kind);

/* As above for a call that writes `length` bytes: `*failed` says whether it is to fail, the answer
 * how many bytes to write. When that is fewer, fault_torn() is to follow the write. */
size_t fault_strikes_write(enum fault_kind kind, int *failed, size_t length);
void fault_torn(void);

/* Whether a file of that name counts; `directory` as for openat. */
bool fault_path_counts(int directory, const char *path);

void fault_mark_file(int fd);
void fault_mark_socket(int fd);
void fault_unmark(int fd);
bool fault_is_file(int fd); /* one that counts */
bool fault_is_socket(int fd);

/* The calls behind the interposed ones. */
long real_open(const char *path, int flags, mode_t mode);
ssize_t real_write(int fd, const void *bytes, size_t length);
int real_close(int fd);

/* ---- recorder.c: FAULT_RECORD=FILE gets every change below FAULT_SCOPE, in its order ---- */

void recorder_set_up(void);
/* Brackets one change, so that the record has the order in which changes took effect. */
void recorder_lock(void);
void recorder_unlock(void);
void record_opened(int fd, const char *path, bool created, bool truncated);
void record_written(int fd, long long offset, const void *bytes, size_t length);
void record_truncated(int fd, long long length);
void record_synced(int fd);
void record_all_synced(void);
void record_made_directory(const char *path);
void record_renamed(const char *from, const char *to);
void record_removed(const char *path, bool is_directory);
void record_sent(int fd, const void *bytes, size_t length);

#endif
