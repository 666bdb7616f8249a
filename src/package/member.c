/* Reading members. Guarantees one open file, constant memory, and that the last bytes of a member
 * are given out only when all of it is what was received.
 */
#include "member.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define CATCH_UP_MAX (UINT64_C(64) * 1024 * 1024)

void member_close(struct package *package)
{
    if (package->fd >= 0)
        (void)close(package->fd); /* only read from */
    package->fd = -1;
    package->index = NO_MEMBER;
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
    member_close(package);
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
    (void)error_set(err,
                    "the bytes of %s on disk are not those received (CRC-32 %08x, was %08x): the "
                    "disk is damaged, or someone changed the file",
                    record->file_name, package->running_crc32, record->packed_crc32);
    return record->method == ZIP_METHOD_DEFLATED ? PACKAGE_DAMAGED : PACKAGE_FILE_DAMAGED;
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

int member_read(struct package *package, uint64_t offset, void *bytes, size_t length, size_t *got,
                struct error *err)
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
