/* From a finished writer to a file in its study's folder, as reception and settling do it one after
 * the other. */
#ifndef AURABRIDGE_TESTS_SPOOL_PUBLISH_H
#define AURABRIDGE_TESTS_SPOOL_PUBLISH_H

#include "aurabridge/journal.h"
#include "aurabridge/spool.h"

#include <pthread.h>
#include <stdio.h>

/* A small journal in the spool's directory that takes commits. Returns 0 or -1. */
static inline int spool_publish_open(struct journal **out, const struct spool *spool,
                                     struct error *err)
{
    char path[512];
    (void)snprintf(path, sizeof path, "%s/journal", spool_directory(spool));
    const struct journal_options options = {
        .directory = path, .segment_size = JOURNAL_LEAST_SEGMENT, .segments = 4};
    if (journal_open(out, &options, err) != 0)
        return -1;
    journal_resume(*out, 0);
    return 0;
}

static inline int spool_publish_settle_alone(struct spool *spool, struct journal *journal,
                                             struct error *err)
{
    static struct journal_record record;
    struct journal_place place;
    size_t count;
    uint64_t through;
    uint32_t crc32;
    int code = 0;
    for (;;) {
        (void)journal_due(journal, &place, 1, &count, &through);
        if (count == 0)
            return code == 0 ? spool_sync(spool, err) : code;
        if (journal_read(journal, &record, &place, err) != 0)
            return -1;
        code = spool_place(spool, journal, &record, &crc32, err);
        if (code != 0)
            return code;
        journal_settle(journal, through);
    }
}

/* One at a time, as in the bridge, until everything that was committed before is in its place. */
static inline int spool_publish_settle(struct spool *spool, struct journal *journal,
                                       struct error *err)
{
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    struct journal_backlog backlog;
    journal_backlog(journal, &backlog);
    uint64_t wanted = backlog.last;
    int code = 0;
    while (code == 0 && backlog.bytes > 0 && backlog.settled < wanted) {
        (void)pthread_mutex_lock(&lock);
        code = spool_publish_settle_alone(spool, journal, err);
        (void)pthread_mutex_unlock(&lock);
        journal_backlog(journal, &backlog);
    }
    return code;
}

/* Returns 0, SPOOL_FULL or -1. */
static inline int spool_publish(struct spool *spool, struct journal *journal,
                                struct spool_writer *writer, const struct stored_instance *stored,
                                const struct association *association,
                                const struct instance_request *request,
                                const char *study_instance_uid, const char *route_key,
                                char name[STORED_NAME_SIZE], struct error *err)
{
    struct journal_entry entry = {.association = association,
                                  .request = request,
                                  .study_instance_uid = study_instance_uid,
                                  .series_instance_uid = "1.2",
                                  .route_key = route_key,
                                  .entry_name = "",
                                  .destination = "",
                                  .stored = stored};
    int code = spool_writer_commit(writer, &entry, name, err);
    return code == 0 ? spool_publish_settle(spool, journal, err) : code;
}

#endif
