/* Reading what was published. Guarantees constant memory whatever the file's size. Changes nothing.
 */
#include "name.h"
#include "writer.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define WANTED_MAX 16

int spool_read(int *fd, const struct spool *spool, const char *name, struct error *err)
{
    char folder[STORED_NAME_SIZE];
    char path[FS_PATH_MAX];
    *fd = -1;
    if (spool_name_check(folder, name, err) != 0 || fs_join(path, spool->studies, name, err) != 0)
        return -1;
    *fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    return *fd < 0 ? error_errno(err, errno, "opening %s", path) : 0;
}

static bool look_at(struct stat *status, const struct spool *spool, const char *name)
{
    char folder[STORED_NAME_SIZE];
    char path[FS_PATH_MAX];
    return spool_name_check(folder, name, NULL) == 0 &&
           fs_join(path, spool->studies, name, NULL) == 0 && lstat(path, status) == 0 &&
           S_ISREG(status->st_mode);
}

bool spool_has(const struct spool *spool, const char *name, uint64_t size)
{
    struct stat status;
    return look_at(&status, spool, name) && (uint64_t)status.st_size == size;
}

bool spool_has_instance(const struct spool *spool, const char *name, uint64_t size,
                        const char *sop_instance_uid)
{
    return spool_name_is_of(name, sop_instance_uid) && spool_has(spool, name, size);
}

bool spool_has_any(const struct spool *spool, const char *name)
{
    struct stat status;
    return look_at(&status, spool, name);
}

/* Returns 0, SPOOL_GONE when the disk does not give it back, or -1. */
static int sum_up(int fd, uint32_t *crc32, uint8_t *block, struct error *err)
{
    size_t got = 1;
    *crc32 = 0;
    for (uint64_t offset = 0; got > 0; offset += got) {
        if (fs_read_at(fd, block, WRITER_BUFFER_SIZE, offset, &got, err) != 0)
            return errno == EIO ? SPOOL_GONE : -1;
        *crc32 = crc32_update(*crc32, block, got);
    }
    return 0;
}

int spool_check_file(const struct spool *spool, const char *name, uint64_t size, uint32_t crc32,
                     struct error *err)
{
    int fd = -1;
    uint32_t found;
    if (!spool_has(spool, name, size)) {
        (void)error_set(err, "%s is missing or short", name);
        return SPOOL_GONE;
    }
    uint8_t *block = malloc(WRITER_BUFFER_SIZE);
    int result =
        block ? spool_read(&fd, spool, name, err) : error_set(err, "no memory to look at %s", name);
    if (result == 0)
        result = sum_up(fd, &found, block, err);
    if (result == 0 && found != crc32) {
        (void)error_set(err, "%s is not what was received", name);
        result = SPOOL_GONE;
    }
    if (fd >= 0)
        (void)close(fd); /* only read from */
    free(block);
    return result;
}

/* The first block of a file, and what its header says. */
static int read_start(int fd, uint8_t *block, size_t *got, struct part10_header *header,
                      const char *name, struct error *err)
{
    if (fs_read_at(fd, block, WRITER_BUFFER_SIZE, 0, got, err) != 0 ||
        part10_read_header(header, block, *got, err) != 0)
        return error_wrap(err, "reading %s", name);
    return 0;
}

/* Feeds from the data set on until nothing wanted can come any more. */
static int scan_header(int fd, struct dataset_scanner *scanner, uint8_t *block, size_t got,
                       size_t skip, const char *name, struct error *err)
{
    uint64_t offset = 0;
    while (got > 0) {
        dataset_scanner_feed(scanner, block + skip, got - skip);
        if (dataset_scanner_header_done(scanner))
            return 0;
        skip = 0;
        offset += got;
        if (fs_read_at(fd, block, WRITER_BUFFER_SIZE, offset, &got, err) != 0)
            return error_wrap(err, "reading %s", name);
    }
    return 0;
}

static int scan_values(int fd, const char *name, const uint32_t *tags, size_t count,
                       char (*values)[ATTRIBUTE_VALUE_SIZE], const char *default_character_set,
                       uint8_t *block, struct error *err)
{
    struct part10_header header;
    struct dataset_scanner *scanner = NULL;
    struct dataset_result ending;
    size_t got;
    int result = -1;
    if (read_start(fd, block, &got, &header, name, err) != 0 ||
        dataset_scanner_new(&scanner, header.request.transfer_syntax_uid, default_character_set,
                            err) != 0)
        return -1;
    for (size_t i = 0; i < count; i++) {
        if (dataset_scanner_want(scanner, tags[i]) != 0) {
            (void)error_set(err, "reading %s: too many attributes asked for", name);
            goto cleanup;
        }
    }
    if (scan_header(fd, scanner, block, got, header.data_set_offset, name, err) != 0)
        goto cleanup;
    dataset_scanner_finish(scanner, &ending);
    for (size_t i = 0; i < count; i++)
        (void)snprintf(values[i], ATTRIBUTE_VALUE_SIZE, "%s",
                       dataset_scanner_value(scanner, tags[i]));
    result = 0;
cleanup:
    dataset_scanner_free(scanner);
    return result;
}

int spool_read_values(const struct spool *spool, const char *name, const uint32_t *tags,
                      size_t count, char (*values)[ATTRIBUTE_VALUE_SIZE],
                      const char *default_character_set, struct error *err)
{
    if (count > WANTED_MAX)
        return error_set(err, "reading %s: %zu attributes asked for, at most %d can be", name,
                         count, WANTED_MAX);
    int fd;
    if (spool_read(&fd, spool, name, err) != 0)
        return -1;
    uint8_t *block = malloc(WRITER_BUFFER_SIZE);
    int result = block
                     ? scan_values(fd, name, tags, count, values, default_character_set, block, err)
                     : error_set(err, "reading %s: out of memory", name);
    free(block);
    (void)close(fd);
    return result;
}

/* `writer->buffer` holds the file's first `got` bytes. */
static int look_at_all(int fd, struct spool_writer *writer, size_t got, struct error *err)
{
    size_t skip = (size_t)writer->data_set_offset;
    writer->file_crc32 = crc32_update(0, writer->buffer, skip);
    while (got > 0) {
        if (spool_writer_look(writer, writer->buffer + skip, got - skip, err) != 0)
            return -1;
        skip = 0;
        writer->file_size += got;
        if (fs_read_at(fd, writer->buffer, WRITER_BUFFER_SIZE, writer->file_size, &got, err) != 0)
            return -1;
    }
    return 0;
}

static int examine(struct spool_writer **out, struct spool *spool, int fd, const char *name,
                   const char *default_character_set, struct part10_header *header,
                   struct stored_instance *found, struct error *err)
{
    /* The header decides how the scanner is made, and the scanner comes with the writer. */
    uint8_t *block = malloc(WRITER_BUFFER_SIZE);
    if (!block)
        return error_set(err, "examining %s: out of memory", name);
    struct spool_writer *writer = NULL;
    size_t got;
    int result = read_start(fd, block, &got, header, name, err);
    if (result == 0)
        result = spool_writer_make(&writer, spool, header->request.transfer_syntax_uid,
                                   default_character_set, err);
    if (result == 0) {
        memcpy(writer->buffer, block, got);
        memcpy(writer->sop_instance_uid, header->request.sop_instance_uid, UID_SIZE);
        writer->data_set_offset = header->data_set_offset;
    }
    free(block);
    if (result != 0)
        return -1;
    if (look_at_all(fd, writer, got, err) != 0 || spool_writer_conclude(writer, found, err) != 0) {
        spool_writer_free(writer);
        return error_wrap(err, "examining %s", name);
    }
    *out = writer;
    return 0;
}

int spool_examine(struct spool_writer **writer, struct spool *spool, const char *name,
                  const char *default_character_set, struct part10_header *header,
                  struct stored_instance *out, struct error *err)
{
    int fd;
    *writer = NULL;
    if (spool_read(&fd, spool, name, err) != 0)
        return -1;
    int result = examine(writer, spool, fd, name, default_character_set, header, out, err);
    (void)close(fd);
    return result;
}
