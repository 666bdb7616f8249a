/* The journal as a whole: opening, closing, and beginning anew once it was replayed. */
#include "segments.h"

#include "aurabridge/log.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct slot *journal_slot(struct journal *journal, uint64_t number)
{
    return &journal->slots[number % SLOTS];
}

struct segment *journal_segment(struct journal *journal, uint32_t id)
{
    for (size_t i = 0; i < journal->count; i++)
        if (journal->segments[i].id == id)
            return &journal->segments[i];
    return NULL;
}

/* ---- opening and closing ---- */

static int open_one(struct journal *journal, const char *name, struct error *err)
{
    unsigned id = 0;
    char ending[16] = "";
    if (sscanf(name, "%8u.%15s", &id, ending) != 2 || strcmp(ending, "segment") != 0 || id == 0)
        return 0; /* nothing of the journal's */
    if (journal->count == journal->capacity) {
        size_t capacity = journal->capacity + 16;
        struct segment *more = realloc(journal->segments, capacity * sizeof *more);
        if (!more)
            return error_set(err, "no memory for the journal's segments");
        journal->segments = more;
        journal->capacity = capacity;
    }
    if (segment_open(journal, &journal->segments[journal->count], id, err) != 0)
        return -1;
    journal->count++;
    return 0;
}

static int open_segments(struct journal *journal, struct error *err)
{
    DIR *directory = opendir(journal->directory);
    if (!directory)
        return error_errno(err, errno, "opening directory %s", journal->directory);
    int failed = 0;
    const struct dirent *entry;
    errno = 0;
    while (!failed && (entry = readdir(directory)) != NULL) {
        failed = open_one(journal, entry->d_name, err);
        errno = 0;
    }
    if (!failed && errno != 0)
        failed = error_errno(err, errno, "reading directory %s", journal->directory);
    (void)closedir(directory); /* only read from */
    return failed;
}

static void init_waiting(struct journal *journal)
{
    pthread_condattr_t attributes;
    (void)pthread_mutex_init(&journal->lock, NULL);
    (void)pthread_cond_init(&journal->changed, NULL);
    for (size_t i = 0; i < LANES_MAX; i++)
        (void)pthread_cond_init(&journal->lanes[i].durable, NULL);
    (void)pthread_condattr_init(&attributes);
    (void)pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&journal->work, &attributes);
    (void)pthread_condattr_destroy(&attributes);
}

/* A lane keeps a segment for itself. */
static size_t lanes_of(unsigned segments)
{
    return segments < 2 * LANES_MAX ? 1 : LANES_MAX;
}

int journal_open(struct journal **out, const struct journal_options *options, struct error *err)
{
    *out = NULL;
    struct journal *journal = calloc(1, sizeof *journal);
    if (!journal)
        return error_set(err, "no memory for the journal");
    journal->options = *options;
    journal->lane_count = lanes_of(options->segments);
    journal->capacity = options->segments;
    init_waiting(journal);
    journal->segments = calloc(journal->capacity, sizeof *journal->segments);
    int length = snprintf(journal->directory, sizeof journal->directory, "%s", options->directory);
    int failed = journal->segments && length < FS_PATH_MAX
                     ? 0
                     : error_set(err, "no memory for the journal, or its path is too long");
    if (!failed)
        failed = fs_make_directory(journal->directory, err);
    if (!failed)
        failed = open_segments(journal, err);
    if (failed) {
        journal_close(journal);
        return -1;
    }
    *out = journal;
    return 0;
}

void journal_close(struct journal *journal)
{
    if (!journal)
        return;
    for (size_t i = 0; i < journal->count; i++)
        (void)close(journal->segments[i].fd); /* what counts was synced */
    free(journal->segments);
    for (size_t i = 0; i < LANES_MAX; i++)
        (void)pthread_cond_destroy(&journal->lanes[i].durable);
    (void)pthread_cond_destroy(&journal->work);
    (void)pthread_cond_destroy(&journal->changed);
    (void)pthread_mutex_destroy(&journal->lock);
    free(journal);
}

/* ---- soundness and resuming ---- */

int journal_is_sound(struct journal *journal, struct error *err)
{
    (void)pthread_mutex_lock(&journal->lock);
    bool broken = journal->broken;
    (void)pthread_mutex_unlock(&journal->lock);
    return broken ? error_set(err, BROKEN_TEXT) : 0;
}

/* Too many, or of another size than configured now. */
static bool is_spare(const struct journal *journal, const struct segment *segment, size_t kept)
{
    struct stat status;
    return kept >= journal->options.segments || fstat(segment->fd, &status) != 0 ||
           (uint64_t)status.st_size != journal->options.segment_size;
}

void journal_resume(struct journal *journal, uint64_t settled)
{
    size_t kept = 0;
    for (size_t i = 0; i < journal->count; i++) {
        struct segment *segment = &journal->segments[i];
        struct error err;
        if (segment->has_unreadable) {
            if (segment_set_aside(journal, segment, &err) == 0)
                continue;
            log_error("journal", "it is written over: %s", err.text);
        }
        if (segment->state == SEGMENT_FULL)
            segment_retire(segment);
        segment->state = SEGMENT_FREE;
        if (is_spare(journal, segment, kept))
            segment_remove(journal, segment);
        else
            journal->segments[kept++] = *segment;
    }
    (void)pthread_mutex_lock(&journal->lock);
    journal->count = kept;
    journal->settled = settled > journal->replayed ? settled : journal->replayed;
    journal->next_number = journal->settled + 1;
    journal->resumed = true;
    (void)pthread_mutex_unlock(&journal->lock);
}
