/* Any byte range of a study's archive, from its layout. Guarantees constant memory, one open member
 * file, and that a member read from its start to its end had the bytes it was received with. Makes
 * no archive on disk.
 */
#include "aurabridge/package.h"

#include "build.h"
#include "layout.h"

#include "aurabridge/log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define NO_MEMBER    UINT64_MAX
#define CATCH_UP_MAX (UINT64_C(64) * 1024 * 1024)

struct package {
    struct spool *spool;
    struct layout layout;
    int scratch; /* -1: no member is deflated */
    char digest[SHA256_HEX_SIZE];

    /* The member at hand. */
    uint64_t index; /* NO_MEMBER: none */
    struct layout_record record;
    size_t header_length; /* of its local header */
    uint8_t header[ZIP_HEADER_MAX];
    int fd;           /* its file in the spool, -1 when not open or deflated */
    uint64_t checked; /* bytes from its start that `running_crc32` covers */
    uint32_t running_crc32;
};

static bool has_scratch(const struct package *package, const char *path)
{
    struct stat status;
    uint64_t wanted = package->layout.header.scratch_size;
    return wanted == 0 || (lstat(path, &status) == 0 && S_ISREG(status.st_mode) &&
                           (uint64_t)status.st_size == wanted);
}

/* Opens what an earlier run made. Returns 0, or LAYOUT_UNUSABLE. */
static int open_existing(struct package *package, const struct package_paths *paths,
                         const struct ledger_study *study)
{
    struct error why;
    if (access(paths->layout, F_OK) != 0)
        return LAYOUT_UNUSABLE;
    if (layout_open(&package->layout, paths->layout, &why) != 0) {
        log_warning("package", "S%lld is packed anew: %s", (long long)study->id, why.text);
        return LAYOUT_UNUSABLE;
    }
    const struct layout_header *header = &package->layout.header;
    if (header->count == study->instances && header->source_bytes == study->bytes &&
        strcmp(header->study_instance_uid, study->study_instance_uid) == 0 &&
        has_scratch(package, paths->scratch))
        return 0;
    log_warning("package", "S%lld is packed anew: what is there does not match the ledger",
                (long long)study->id);
    layout_close(&package->layout);
    return LAYOUT_UNUSABLE;
}

static int open_scratch(struct package *package, const char *path, struct error *err)
{
    if (package->layout.header.scratch_size == 0)
        return 0;
    package->scratch = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    return package->scratch < 0 ? error_errno(err, errno, "opening %s", path) : 0;
}

int package_open(struct package **out, struct spool *spool, struct ledger *ledger,
                 const struct ledger_study *study, enum config_compression compression,
                 bool (*cancelled)(void *context), void *context, struct error *err)
{
    const struct package_source source = {.spool = spool,
                                          .ledger = ledger,
                                          .study = study,
                                          .compression = compression,
                                          .cancelled = cancelled,
                                          .context = context};
    struct package_paths paths;
    *out = NULL;
    if (package_paths(&paths, spool, study->id, err) != 0)
        return -1;
    struct package *package = calloc(1, sizeof *package);
    if (!package)
        return error_set(err, "packing S%lld: out of memory", (long long)study->id);
    package->spool = spool;
    package->layout.fd = package->scratch = package->fd = -1;
    package->index = NO_MEMBER;
    if (open_existing(package, &paths, study) != 0) {
        if (package_build(&source, &paths, err) != 0)
            goto failed;
        if (layout_open(&package->layout, paths.layout, err) != 0)
            goto failed;
    }
    if (open_scratch(package, paths.scratch, err) != 0)
        goto failed;
    hex_encode(package->digest, package->layout.header.digest, SHA256_SIZE);
    *out = package;
    return 0;
failed:
    package_close(package);
    return -1;
}

static void close_member(struct package *package)
{
    if (package->fd >= 0)
        (void)close(package->fd); /* only read from */
    package->fd = -1;
    package->index = NO_MEMBER;
}

void package_close(struct package *package)
{
    if (!package)
        return;
    close_member(package);
    if (package->scratch >= 0)
        (void)close(package->scratch); /* only read from */
    layout_close(&package->layout);
    free(package);
}

uint64_t package_length(const struct package *package)
{
    return package->layout.header.archive_length;
}

const char *package_digest(const struct package *package)
{
    return package->digest;
}

static uint64_t member_end(const struct package *package)
{
    return package->record.header_offset + package->header_length + package->record.packed;
}

/* Makes the member that holds `offset` the one at hand. */
static int take_member(struct package *package, uint64_t offset, struct error *err)
{
    uint64_t index;
    if (package->index != NO_MEMBER && offset >= package->record.header_offset) {
        if (offset < member_end(package))
            return 0;
        index = package->index + 1; /* read on: nearly always the next one */
    } else if (layout_find(&package->layout, &index, offset, false, err) != 0) {
        return -1;
    }
    close_member(package);
    for (int attempt = 0; attempt < 2; attempt++) {
        char name[ZIP_NAME_MAX];
        if (layout_record(&package->layout, &package->record, index, err) != 0)
            return -1;
        struct zip_entry entry =
            layout_entry(&package->record, package->layout.header.study_instance_uid, name);
        package->header_length = zip_local_header(package->header, &entry);
        if (offset >= package->record.header_offset && offset < member_end(package)) {
            package->index = index;
            package->checked = 0;
            package->running_crc32 = 0;
            return 0;
        }
        if (layout_find(&package->layout, &index, offset, false, err) != 0)
            return -1;
    }
    return error_set(err, "the archive's layout has no member at offset %llu",
                     (unsigned long long)offset);
}

static int open_member(struct package *package, struct error *err)
{
    const struct layout_record *record = &package->record;
    struct stat status;
    int fd;
    if (package->fd >= 0)
        return 0;
    if (spool_read(&fd, package->spool, record->file_name, err) != 0)
        return -1;
    if (fstat(fd, &status) != 0) {
        (void)error_errno(err, errno, "looking at %s", record->file_name);
    } else if ((uint64_t)status.st_size != record->size) {
        (void)error_set(err, "the file %s has %llu bytes and had %llu when received",
                        record->file_name, (unsigned long long)status.st_size,
                        (unsigned long long)record->size);
    } else {
        /* Only advice: an upload reads on from here. */
        (void)posix_fadvise(fd, 0, 0, POSIX_FADV_SEQUENTIAL);
        package->fd = fd;
        return 0;
    }
    (void)close(fd); /* only read from */
    return -1;
}

/* Content of the member at hand, packed as it stands in the archive. */
static int fetch(struct package *package, uint64_t position, void *bytes, size_t length,
                 struct error *err)
{
    const struct layout_record *record = &package->record;
    bool deflated = record->method == ZIP_METHOD_DEFLATED;
    size_t got;
    if (!deflated && open_member(package, err) != 0)
        return -1;
    if (fs_read_at(deflated ? package->scratch : package->fd, bytes, length,
                   deflated ? record->scratch_offset + position : position, &got, err) != 0)
        return error_wrap(err, "reading %s", record->file_name);
    if (got != length)
        return error_set(err, "the file %s became shorter while it was read", record->file_name);
    return 0;
}

/* Takes the checksum along to `position` when a read does not start where the last one ended, as
 * after a resumed upload. */
static int catch_up(struct package *package, uint64_t position, struct error *err)
{
    uint8_t bytes[16384];
    if (position < package->checked) {
        package->checked = 0;
        package->running_crc32 = 0;
    }
    while (package->checked < position) {
        uint64_t left = position - package->checked;
        size_t length = left < sizeof bytes ? (size_t)left : sizeof bytes;
        if (fetch(package, package->checked, bytes, length, err) != 0)
            return -1;
        package->running_crc32 = crc32_update(package->running_crc32, bytes, length);
        package->checked += length;
    }
    return 0;
}

/* Refuses the last bytes of a member that is not what was received. A read that starts far inside a
 * large one is let pass: whoever unpacks the archive has the checksum too. */
static int check_bytes(struct package *package, uint64_t position, const void *bytes, size_t length,
                       struct error *err)
{
    const struct layout_record *record = &package->record;
    if (position != package->checked && position > CATCH_UP_MAX)
        return 0;
    if (catch_up(package, position, err) != 0)
        return -1;
    package->running_crc32 = crc32_update(package->running_crc32, bytes, length);
    package->checked += length;
    if (package->checked < record->packed || package->running_crc32 == record->packed_crc32)
        return 0;
    return error_set(err,
                     "the bytes of %s on disk are not those received (CRC-32 %08x, was %08x): the "
                     "disk is damaged, or someone changed the file",
                     record->file_name, package->running_crc32, record->packed_crc32);
}

static int read_content(struct package *package, uint64_t position, void *bytes, size_t length,
                        struct error *err)
{
    if (fetch(package, position, bytes, length, err) != 0)
        return -1;
    return check_bytes(package, position, bytes, length, err);
}

static size_t shorter(uint64_t available, size_t wanted)
{
    return available < wanted ? (size_t)available : wanted;
}

/* Each of the three reads some bytes at `offset` and says how many. */
static int read_member(struct package *package, uint64_t offset, void *bytes, size_t length,
                       size_t *got, struct error *err)
{
    if (take_member(package, offset, err) != 0)
        return -1;
    uint64_t position = offset - package->record.header_offset;
    if (position < package->header_length) {
        *got = shorter(package->header_length - position, length);
        memcpy(bytes, package->header + position, *got);
        return 0;
    }
    position -= package->header_length;
    *got = shorter(package->record.packed - position, length);
    return read_content(package, position, bytes, *got, err);
}

static int read_central(struct package *package, uint64_t offset, uint8_t *bytes, size_t length,
                        size_t *got, struct error *err)
{
    const struct layout_header *header = &package->layout.header;
    uint64_t position = offset - header->central_offset;
    uint64_t index;
    *got = 0;
    if (layout_find(&package->layout, &index, position, true, err) != 0)
        return -1;
    for (; index < header->count && *got < length; index++) {
        struct layout_record record;
        char name[ZIP_NAME_MAX];
        uint8_t central[ZIP_HEADER_MAX];
        if (layout_record(&package->layout, &record, index, err) != 0)
            return -1;
        struct zip_entry entry = layout_entry(&record, header->study_instance_uid, name);
        size_t size = zip_central_header(central, &entry);
        uint64_t skip = position + *got - record.central_offset;
        if (skip >= size)
            return error_set(err, "the archive's layout contradicts itself");
        size_t taken = shorter(size - skip, length - *got);
        memcpy(bytes + *got, central + skip, taken);
        *got += taken;
    }
    return 0;
}

static int read_tail(struct package *package, uint64_t offset, void *bytes, size_t length,
                     size_t *got)
{
    const struct layout_header *header = &package->layout.header;
    uint8_t tail[ZIP_TAIL_MAX];
    size_t size = zip_tail(tail, header->count, header->central_offset, header->central_size);
    size_t skip = (size_t)(offset - header->central_offset - header->central_size);
    *got = shorter(size - skip, length);
    memcpy(bytes, tail + skip, *got);
    return 0;
}

int package_read(struct package *package, uint64_t offset, void *bytes, size_t length, size_t *got,
                 struct error *err)
{
    const struct layout_header *header = &package->layout.header;
    uint8_t *out = bytes;
    *got = 0;
    while (*got < length && offset < header->archive_length) {
        size_t piece;
        int result;
        if (offset < header->central_offset)
            result = read_member(package, offset, out + *got, length - *got, &piece, err);
        else if (offset < header->central_offset + header->central_size)
            result = read_central(package, offset, out + *got, length - *got, &piece, err);
        else
            result = read_tail(package, offset, out + *got, length - *got, &piece);
        if (result != 0)
            return error_wrap(err, "reading the archive at offset %llu",
                              (unsigned long long)offset);
        *got += piece;
        offset += piece;
    }
    return 0;
}

int package_remove(struct spool *spool, int64_t study_id, struct error *err)
{
    struct package_paths paths;
    return package_paths(&paths, spool, study_id, err) == 0 ? package_clear(&paths, err) : -1;
}
