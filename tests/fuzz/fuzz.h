/* What the fuzzers share: a check that says what it found, an input that is eaten from the front,
 * a log that is judged in the place of the real one, and a directory in memory to play in.
 * Everything is for one thread.
 */
#ifndef AURABRIDGE_FUZZ_FUZZ_H
#define AURABRIDGE_FUZZ_FUZZ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
/* Optional in a target; replay.c and libFuzzer call it once where it is there. */
int LLVMFuzzerInitialize(int *argc, char ***argv);

/* A finding: prints the place and the condition, then aborts, which the fuzzer keeps. */
#define FUZZ_CHECK(condition)                                                                      \
    ((condition) ? (void)0 : fuzz_fail(__FILE__, __LINE__, #condition, NULL))
/* The same, with a text that helps to see why. */
#define FUZZ_CHECK_TEXT(condition, text)                                                           \
    ((condition) ? (void)0 : fuzz_fail(__FILE__, __LINE__, #condition, (text)))
void fuzz_fail(const char *file, int line, const char *condition, const char *text)
    __attribute__((noreturn));

/* ---- the input ---- */

struct fuzz_input {
    const uint8_t *at;
    size_t left;
};

/* 0 when nothing is left, like all below. */
uint8_t fuzz_byte(struct fuzz_input *input);
uint32_t fuzz_number(struct fuzz_input *input, unsigned bytes); /* big endian, at most 4 */
/* At most `wanted` bytes; says where they stand and returns how many there are. */
size_t fuzz_take(struct fuzz_input *input, const uint8_t **out, size_t wanted);

/* Takes the text up to a line that is "%%%", or the rest, as a copy with a NUL behind it; the
 * caller frees it. A NUL in the text ends it early. `*length` may be null. */
char *fuzz_section(struct fuzz_input *input, size_t *length);

/* ---- texts ---- */

/* One line for a person: not empty, terminated within `size`, without control characters. */
bool fuzz_is_line(const char *text, size_t size);
bool fuzz_is_utf8(const char *text);

/* ---- the log, in the place of log_write (linked with --wrap=log_write) ---- */

/* A line that holds this text is a finding; null: any line will do. */
void fuzz_log_must_not_hold(const char *secret);
/* Lines so far. */
unsigned fuzz_log_count(void);

/* ---- files ---- */

/* A directory of this process, below FUZZ_DIRECTORY, or in memory where the system has that; it
 * goes when the process ends, though not with a finding. */
const char *fuzz_directory(void);
/* Removes whatever stands below a path, and it itself. */
void fuzz_remove_tree(const char *path);
void fuzz_write_file(const char *path, const void *bytes, size_t length);

#endif
