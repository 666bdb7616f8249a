/* One instance on its way in: header, data set, commit. It goes to the journal, and when it grows
 * large, to a file of its own. Guarantees that nothing is left of it after a failure, that the
 * reserve is looked at while a large one grows, and that the digests are those of the bytes that
 * were handed to the disk. Allocates only when made. Does not judge content.
 */
#include "writer.h"

#include "name.h"
#include "place.h"

#include "aurabridge/identifier.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SPACE_CHECK_STEP (UINT64_C(4) * 1024 * 1024)
#define DIRECT_LEAST     ((size_t)64 * 1024) /* smaller pieces are gathered */
/* Larger ones gain nothing from sharing a sync, and would fill the journal. */
#define JOURNALED_MOST (UINT64_C(8) * 1024 * 1024)

int spool_writer_make(struct spool_writer **out, struct spool *spool,
                      const char *transfer_syntax_uid, const char *default_character_set,
                      struct error *err)
{
    *out = NULL;
    struct spool_writer *writer = malloc(sizeof *writer + WRITER_BUFFER_SIZE + JOURNAL_COMMIT_ROOM);
    if (!writer)
        return error_set(err, "storing an instance: out of memory");
    *writer = (struct spool_writer){.spool = spool, .fd = -1, .space_check_at = SPACE_CHECK_STEP};
    writer->data_set_digest = sha256_new();
    if (!writer->data_set_digest) {
        spool_writer_free(writer);
        return error_set(err, "storing an instance: no SHA-256 to be had");
    }
    if (dataset_scanner_new(&writer->scanner, transfer_syntax_uid, default_character_set, err) !=
        0) {
        writer->scanner = NULL;
        spool_writer_free(writer);
        return -1;
    }
    *out = writer;
    return 0;
}

static void drop_bytes(struct spool_writer *writer)
{
    if (writer->journal)
        journal_abort(writer->journal, &writer->pieces);
    if (writer->fd < 0)
        return;
    (void)close(writer->fd); /* the bytes are unwanted, so is the result */
    writer->fd = -1;
    (void)unlink(writer->part_path);
}

/* Gives the disk space back at once: the rest of the instance may take minutes to drain. */
static int fail(struct spool_writer *writer, int code, struct error *err)
{
    drop_bytes(writer);
    writer->failure = code;
    (void)error_wrap(err, "storing instance %s in the spool %s", writer->sop_instance_uid,
                     writer->spool->directory);
    return code;
}

static int check_open(const struct spool_writer *writer, enum writer_state state, struct error *err)
{
    if (writer->failure != 0) {
        (void)error_set(err, "storing instance %s has failed before", writer->sop_instance_uid);
        return writer->failure;
    }
    if (writer->state != state)
        return error_set(err, "storing instance %s: called out of order", writer->sop_instance_uid);
    return 0;
}

/* What the journal answered, in the words of the spool. */
static int journal_failure(struct spool_writer *writer, int code, const struct error *err)
{
    if (code != JOURNAL_FULL)
        return -1;
    spool_refused(writer->spool, err ? err->text : "the journal is full");
    return SPOOL_FULL;
}

/* ---- a file of its own ---- */

static int write_out(struct spool_writer *writer, const void *bytes, size_t length,
                     struct error *err)
{
    if (fs_write_all(writer->fd, bytes, length, err) != 0)
        return spool_failure(writer->spool, errno);
    if (writer->file_size < writer->space_check_at)
        return 0;
    writer->space_check_at = writer->file_size + SPACE_CHECK_STEP;
    return spool_room_grow(writer->spool, err);
}

static int create_part(struct spool_writer *writer, struct error *err)
{
    char random[2 * 16 + 1];
    if (random_hex(random, 16) != 0)
        return error_set(err, "the system gave no random bytes for a file name");
    (void)snprintf(writer->part_name, sizeof writer->part_name, "%s.part", random);
    if (fs_join(writer->part_path, writer->spool->incoming, writer->part_name, err) != 0)
        return -1;
    errno = 0;
    if (fs_create(&writer->fd, writer->part_path, err) != 0)
        return spool_failure(writer->spool, errno);
    return 0;
}

/* Takes what stands in the journal along. */
static int spill(struct spool_writer *writer, struct error *err)
{
    uint32_t crc32;
    int code = create_part(writer, err);
    errno = 0;
    if (code == 0 && journal_copy(writer->journal, writer->pieces.extents, writer->pieces.count,
                                  writer->fd, &crc32, err) != 0)
        code = spool_failure(writer->spool, errno);
    journal_abort(writer->journal, &writer->pieces);
    return code;
}

/* ---- pieces ---- */

static int put_piece(struct spool_writer *writer, const void *bytes, size_t length,
                     struct error *err)
{
    size_t buffered = writer->buffered;
    int code = 0;
    if (writer->fd < 0) {
        if (writer->file_size <= JOURNALED_MOST)
            code = journal_append(writer->journal, &writer->pieces, writer->buffer, buffered, bytes,
                                  length, err);
        else
            code = JOURNAL_SPILL;
        if (code != 0 && code != JOURNAL_SPILL)
            return journal_failure(writer, code, err);
        if (code == JOURNAL_SPILL)
            code = spill(writer, err);
        else
            buffered = length = 0; /* it is where it belongs */
        if (code != 0)
            return code;
    }
    writer->buffered = 0;
    if (buffered > 0)
        code = write_out(writer, writer->buffer, buffered, err);
    if (code == 0 && length > 0)
        code = write_out(writer, bytes, length, err);
    return code;
}

/* Appends to the file, gathering small pieces. */
static int append(struct spool_writer *writer, const uint8_t *bytes, size_t length,
                  struct error *err)
{
    writer->file_size += length;
    if (length >= DIRECT_LEAST)
        return put_piece(writer, bytes, length, err);
    while (length > 0) {
        size_t room = WRITER_BUFFER_SIZE - writer->buffered;
        size_t taken = length < room ? length : room;
        memcpy(writer->buffer + writer->buffered, bytes, taken);
        writer->buffered += taken;
        bytes += taken;
        length -= taken;
        if (writer->buffered < WRITER_BUFFER_SIZE)
            return 0;
        int code = put_piece(writer, NULL, 0, err);
        if (code != 0)
            return code;
    }
    return 0;
}

int spool_writer_new(struct spool_writer **out, struct spool *spool, struct journal *journal,
                     const struct association *association, const struct instance_request *request,
                     const char *default_character_set, struct error *err)
{
    *out = NULL;
    if (!uid_is_valid(request->sop_instance_uid))
        return error_set(err, "the SOP Instance UID is not a valid UID, so it names no file");
    int code = spool_admit(spool, err);
    if (code != 0)
        return code;
    struct spool_writer *writer;
    if (spool_writer_make(&writer, spool, request->transfer_syntax_uid, default_character_set,
                          err) != 0)
        return -1;
    writer->journal = journal;
    memcpy(writer->sop_instance_uid, request->sop_instance_uid, UID_SIZE);
    uint8_t header[PART10_HEADER_MAX];
    size_t length = part10_write_header(header, association, request);
    writer->data_set_offset = length;
    writer->file_crc32 = crc32_update(0, header, length);
    code = append(writer, header, length, err);
    if (code != 0) {
        (void)fail(writer, code, err);
        spool_writer_free(writer);
        return code;
    }
    *out = writer;
    return 0;
}

int spool_writer_look(struct spool_writer *writer, const void *bytes, size_t length,
                      struct error *err)
{
    if (sha256_update(writer->data_set_digest, bytes, length) != 0)
        return error_set(err, "SHA-256 failed");
    writer->file_crc32 = crc32_update(writer->file_crc32, bytes, length);
    dataset_scanner_feed(writer->scanner, bytes, length);
    return 0;
}

int spool_writer_write(struct spool_writer *writer, const void *bytes, size_t length,
                       struct error *err)
{
    int code = check_open(writer, WRITER_OPEN, err);
    if (code != 0 || length == 0)
        return code;
    code = spool_writer_look(writer, bytes, length, err);
    if (code == 0)
        code = append(writer, bytes, length, err);
    return code == 0 ? 0 : fail(writer, code, err);
}

int spool_writer_conclude(struct spool_writer *writer, struct stored_instance *out,
                          struct error *err)
{
    *out = (struct stored_instance){.file_crc32 = writer->file_crc32,
                                    .file_size = writer->file_size,
                                    .data_set_offset = writer->data_set_offset};
    if (sha256_finish(writer->data_set_digest, out->data_set_sha256) != 0)
        return error_set(err, "SHA-256 failed");
    dataset_scanner_finish(writer->scanner, &out->ending);
    out->attributes = dataset_scanner_attributes(writer->scanner);
    writer->state = WRITER_FINISHED;
    return 0;
}

int spool_writer_finish(struct spool_writer *writer, struct stored_instance *out, struct error *err)
{
    int code = check_open(writer, WRITER_OPEN, err);
    if (code != 0)
        return code;
    if (writer->fd >= 0 && writer->buffered > 0)
        code = put_piece(writer, NULL, 0, err);
    if (code == 0)
        code = spool_writer_conclude(writer, out, err);
    return code == 0 ? 0 : fail(writer, code, err);
}

/* Puts the bytes, and the name under which recovery finds them, on stable storage. A failed fsync
 * is not tried again: the kernel may have dropped the pages. */
static int sync_part(struct spool_writer *writer, struct error *err)
{
    int errnum = fsync(writer->fd) != 0 ? errno : 0;
    if (close(writer->fd) != 0 && errnum == 0)
        errnum = errno;
    writer->fd = -1;
    if (errnum != 0) {
        (void)error_errno(err, errnum, "syncing %s", writer->part_path);
    } else {
        errno = 0;
        if (fs_sync_directory(writer->spool->incoming, err) == 0)
            return 0;
        errnum = errno;
    }
    (void)unlink(writer->part_path);
    return spool_failure(writer->spool, errnum);
}

int spool_writer_commit(struct spool_writer *writer, struct journal_entry *entry,
                        char name[STORED_NAME_SIZE], struct error *err)
{
    char folder[STORED_NAME_SIZE];
    name[0] = '\0';
    int code = check_open(writer, WRITER_FINISHED, err);
    if (code != 0)
        return code;
    if (!writer->journal)
        return error_set(err, "an examined file is published already");
    if (spool_name_folder(folder, entry->study_instance_uid, entry->route_key, err) != 0 ||
        spool_name_new(name, folder, writer->sop_instance_uid, err) != 0)
        return fail(writer, -1, err);
    bool has_file = writer->fd >= 0;
    if (has_file)
        code = sync_part(writer, err);
    entry->file_name = name;
    entry->part_name = has_file ? writer->part_name : "";
    if (code == 0) {
        int committed = journal_commit(writer->journal, &writer->pieces, writer->buffer,
                                       writer->buffered, entry, err);
        if (committed != 0)
            code = journal_failure(writer, committed, err);
        /* After a failed sync its record may be on the disk all the same, and names the file. */
        if (code != 0 && has_file && committed != JOURNAL_BROKEN)
            (void)unlink(writer->part_path);
    }
    if (code != 0)
        return fail(writer, code, err);
    writer->state = WRITER_ENDED;
    return 0;
}

void spool_writer_free(struct spool_writer *writer)
{
    if (!writer)
        return;
    drop_bytes(writer);
    sha256_free(writer->data_set_digest);
    dataset_scanner_free(writer->scanner);
    free(writer);
}
