/* See the header. */
#include "journal_bench.h"

#include "suite.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void die(const char *what, const char *why)
{
    (void)fprintf(stderr, "%s: %s\n", what, why);
    exit(EXIT_FAILURE);
}

void journal_bench_start(struct journal_bench *bench)
{
    if (journal_open(&bench->journal, &bench->options, &bench->err) != 0)
        die("journal_open", bench->err.text);
}

void journal_bench_open(struct journal_bench *bench, unsigned segments)
{
    memset(bench, 0, sizeof *bench);
    (void)snprintf(bench->directory, sizeof bench->directory, "/tmp/aurabridge-journal-XXXXXX");
    if (!mkdtemp(bench->directory))
        die("mkdtemp", bench->directory);
    bench->options = (struct journal_options){
        .directory = bench->directory, .segment_size = BENCH_SEGMENT, .segments = segments};
    journal_bench_start(bench);
    journal_resume(bench->journal, 0);
}

void journal_bench_crash(struct journal_bench *bench)
{
    journal_close(bench->journal);
    bench->journal = NULL;
}

void journal_bench_close(struct journal_bench *bench)
{
    char command[96];
    journal_close(bench->journal);
    (void)snprintf(command, sizeof command, "rm -rf '%s'", bench->directory);
    if (system(command) != 0)
        die("removing", bench->directory);
}

void journal_bench_segment(const struct journal_bench *bench, unsigned id, char out[96])
{
    (void)snprintf(out, 96, "%s/%08u.segment", bench->directory, id);
}

uint8_t journal_bench_byte(unsigned instance, size_t at)
{
    return (uint8_t)(instance * 31 + at + at / 251);
}

const struct journal_entry *journal_bench_entry(unsigned instance, size_t length)
{
    static _Thread_local struct association association;
    static _Thread_local struct instance_request request;
    static _Thread_local struct stored_instance stored;
    static _Thread_local struct attributes attributes;
    static _Thread_local struct journal_entry entry;
    static _Thread_local char file_name[64];
    memset(&attributes, 0, sizeof attributes);
    attributes_set(&attributes, ATTRIBUTE_MODALITY, "CT", 2);
    attributes_set(&attributes, ATTRIBUTE_PATIENT_NAME, "A\xC3\x96=B^C", 7);
    association = (struct association){.id = instance,
                                       .calling_ae_title = "CT1",
                                       .called_ae_title = "AURABRIDGE",
                                       .peer_address = "10.1.2.3"};
    request = (struct instance_request){.sop_class_uid = "1.2.840.10008.5.1.4.1.1.2",
                                        .transfer_syntax_uid = "1.2.840.10008.1.2.1"};
    (void)snprintf(request.sop_instance_uid, UID_SIZE, "1.2.3.%u", instance);
    (void)snprintf(file_name, sizeof file_name, "1.2@0123456789abcdef/1.2.3.%u.x.dcm", instance);
    stored = (struct stored_instance){.file_size = length,
                                      .data_set_offset = 3,
                                      .ending = {.ending = DATASET_TRUNCATED,
                                                 .tag = 0x7FE00010,
                                                 .missing = UINT64_C(1) << 40,
                                                 .offset = 9},
                                      .attributes = &attributes};
    memset(stored.data_set_sha256, (int)(instance & 0xFF), SHA256_SIZE);
    for (size_t at = 0; at < length; at++) {
        uint8_t byte = journal_bench_byte(instance, at);
        stored.file_crc32 = crc32_update(stored.file_crc32, &byte, 1);
    }
    entry = (struct journal_entry){.association = &association,
                                   .request = &request,
                                   .study_instance_uid = "1.2",
                                   .series_instance_uid = "1.2.4",
                                   .route_key = "0123456789abcdef",
                                   .entry_name = "ct",
                                   .destination = "main",
                                   .file_name = file_name,
                                   .part_name = "",
                                   .received_ms = 1000 + instance,
                                   .quiet_period_ms = 30000,
                                   .max_wait_ms = INT64_C(1) << 41,
                                   .changed_duplicate = 2,
                                   .priority = 1,
                                   .stored = &stored};
    return &entry;
}

int journal_bench_commit(struct journal_bench *bench, unsigned instance, size_t length,
                         size_t piece)
{
    struct journal_writer writer = {.count = 0};
    uint8_t *buffer = malloc(BENCH_BUFFER + JOURNAL_COMMIT_ROOM);
    if (!buffer || piece > BENCH_BUFFER)
        die("committing", "no memory, or pieces too large");
    size_t at = 0;
    int code = 0;
    while (code == 0 && length - at > piece) {
        for (size_t i = 0; i < piece; i++)
            buffer[i] = journal_bench_byte(instance, at + i);
        code = journal_append(bench->journal, &writer, buffer, piece / 3, buffer + piece / 3,
                              piece - piece / 3, &bench->err);
        at += piece;
    }
    for (size_t i = 0; code == 0 && i < length - at; i++)
        buffer[i] = journal_bench_byte(instance, at + i);
    if (code == 0)
        code = journal_commit(bench->journal, &writer, buffer, length - at,
                              journal_bench_entry(instance, length), &bench->err);
    else
        journal_abort(bench->journal, &writer);
    free(buffer);
    return code;
}

bool journal_bench_is(struct journal_bench *bench, const struct journal_record *record,
                      unsigned instance, size_t length)
{
    char path[] = "/tmp/aurabridge-copy-XXXXXX";
    int fd = mkstemp(path);
    uint32_t crc32 = 0;
    bool is = fd >= 0 && journal_copy(bench->journal, record->extents, record->extent_count, fd,
                                      &crc32, &bench->err) == 0;
    const struct journal_entry *entry = journal_bench_entry(instance, length);
    uint8_t *bytes = calloc(1, length + 1);
    is = is && pread(fd, bytes, length + 1, 0) == (ssize_t)length;
    for (size_t at = 0; is && at < length; at++)
        is = bytes[at] == journal_bench_byte(instance, at);
    free(bytes);
    (void)close(fd);
    (void)unlink(path);
    return is && crc32 == entry->stored->file_crc32 &&
           strcmp(record->request.sop_instance_uid, entry->request->sop_instance_uid) == 0;
}

struct shown {
    struct journal_bench *bench;
    unsigned *instances;
    size_t count, size;
    struct journal_record record;
};

static int note(void *context, const struct journal_place *place)
{
    struct shown *shown = context;
    if (journal_read(shown->bench->journal, &shown->record, place, &shown->bench->err) != 0)
        return -1;
    if (shown->count < shown->size)
        shown->instances[shown->count] = (unsigned)shown->record.association.id;
    shown->count++;
    return 0;
}

size_t journal_bench_replay(struct journal_bench *bench, uint64_t settled, unsigned *instances,
                            size_t size)
{
    struct shown *shown = calloc(1, sizeof *shown);
    if (!shown)
        die("replaying", "no memory");
    *shown = (struct shown){.bench = bench, .instances = instances, .size = size};
    if (journal_replay(bench->journal, settled, note, shown, &bench->err) != 0)
        die("journal_replay", bench->err.text);
    size_t count = shown->count;
    free(shown);
    return count;
}
