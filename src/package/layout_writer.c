/* Writing a layout. Guarantees that its final name appears only when it is whole and synced. */
#include "layout.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* Part of the digest: another way of writing headers is another archive. */
#define ARCHIVE_FORMAT "aurabridge zip 1"

int layout_writer_open(struct layout_writer *writer, const char *path,
                       const char *study_instance_uid, struct error *err)
{
    writer->fd = -1;
    writer->window_count = 0;
    writer->digest = sha256_new();
    writer->checksum = sha256_new();
    int length = snprintf(writer->path, sizeof writer->path, "%s", path);
    int part_length = snprintf(writer->part, sizeof writer->part, "%s.part", path);
    if (length < 0 || part_length < 0 || (size_t)part_length >= sizeof writer->part)
        return error_set(err, "path %s is too long", path);
    if (!writer->digest || !writer->checksum ||
        sha256_update(writer->digest, ARCHIVE_FORMAT, sizeof ARCHIVE_FORMAT) != 0 ||
        sha256_update(writer->digest, study_instance_uid, strlen(study_instance_uid) + 1) != 0)
        return error_set(err, "no SHA-256 to be had");
    if (fs_remove(writer->part, err) != 0 || fs_create(&writer->fd, writer->part, err) != 0)
        return -1;
    /* The header comes last: until then the file says nothing. */
    uint8_t nothing[LAYOUT_HEADER_SIZE] = {0};
    if (fs_write_all(writer->fd, nothing, sizeof nothing, err) != 0)
        return error_wrap(err, "writing %s", writer->part);
    return 0;
}

static int flush_window(struct layout_writer *writer, struct error *err)
{
    size_t length = writer->window_count * LAYOUT_RECORD_SIZE;
    writer->window_count = 0;
    if (sha256_update(writer->checksum, writer->window, length) != 0)
        return error_set(err, "SHA-256 failed");
    if (fs_write_all(writer->fd, writer->window, length, err) != 0)
        return error_wrap(err, "writing %s", writer->part);
    return 0;
}

/* What determines the archive's bytes: everything but where the bytes lie on our disk. */
static int digest_record(struct layout_writer *writer, const struct layout_record *record)
{
    struct layout_record meaning = *record;
    uint8_t bytes[LAYOUT_RECORD_SIZE];
    meaning.file_name[0] = '\0';
    meaning.scratch_offset = 0;
    layout_encode_record(bytes, &meaning);
    return sha256_update(writer->digest, bytes, sizeof bytes);
}

int layout_writer_add(struct layout_writer *writer, const struct layout_record *record,
                      struct error *err)
{
    if (digest_record(writer, record) != 0)
        return error_set(err, "SHA-256 failed");
    layout_encode_record(writer->window + writer->window_count * LAYOUT_RECORD_SIZE, record);
    writer->window_count++;
    return writer->window_count == LAYOUT_WINDOW ? flush_window(writer, err) : 0;
}

int layout_writer_finish(struct layout_writer *writer, struct layout_header *header,
                         struct error *err)
{
    uint8_t bytes[LAYOUT_HEADER_SIZE];
    if (flush_window(writer, err) != 0)
        return -1;
    if (sha256_finish(writer->digest, header->digest) != 0 ||
        sha256_finish(writer->checksum, header->checksum) != 0)
        return error_set(err, "SHA-256 failed");
    layout_encode_header(bytes, header);
    if (sha256_of(bytes + LAYOUT_HEADER_SIZE - SHA256_SIZE, bytes,
                  LAYOUT_HEADER_SIZE - SHA256_SIZE) != 0)
        return error_set(err, "SHA-256 failed");
    if (lseek(writer->fd, 0, SEEK_SET) != 0)
        return error_errno(err, errno, "rewinding %s", writer->part);
    if (fs_write_all(writer->fd, bytes, sizeof bytes, err) != 0)
        return error_wrap(err, "writing %s", writer->part);
    int fd = writer->fd;
    writer->fd = -1;
    if (fs_publish(fd, writer->part, writer->path, err) == 0)
        return 0;
    (void)unlink(writer->part);
    (void)unlink(writer->path);
    return -1;
}

void layout_writer_close(struct layout_writer *writer)
{
    if (writer->fd >= 0) {
        (void)close(writer->fd); /* unwanted, so is the result */
        (void)unlink(writer->part);
    }
    writer->fd = -1;
    sha256_free(writer->digest);
    sha256_free(writer->checksum);
    writer->digest = NULL;
    writer->checksum = NULL;
}
