/* Any byte range of a study's archive, from its layout. Guarantees constant memory and the same
 * bytes whichever way a range is asked for. Makes no archive on disk.
 */
#include "aurabridge/package.h"

#include "build.h"
#include "member.h"

#include "aurabridge/log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* It may be longer: by members that the archive does not name. */
static bool has_scratch(const struct package *package, const char *path)
{
    struct stat status;
    uint64_t wanted = package->layout.header.scratch_size;
    return wanted == 0 || (lstat(path, &status) == 0 && S_ISREG(status.st_mode) &&
                           (uint64_t)status.st_size >= wanted);
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

int package_open(struct package **out, struct spool *spool, struct press *press,
                 struct ledger *ledger, const struct ledger_study *study,
                 enum config_compression compression, bool (*cancelled)(void *context),
                 void *context, struct error *err)
{
    const struct package_source source = {.spool = spool,
                                          .press = press,
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

void package_close(struct package *package)
{
    if (!package)
        return;
    member_close(package);
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

static size_t shorter(uint64_t available, size_t wanted)
{
    return available < wanted ? (size_t)available : wanted;
}

/* Like member_read, each reads some bytes at `offset` and says how many. */
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
    return *got > 0 ? 0 : error_set(err, "the archive's layout contradicts itself");
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
            result = member_read(package, offset, out + *got, length - *got, &piece, err);
        else if (offset < header->central_offset + header->central_size)
            result = read_central(package, offset, out + *got, length - *got, &piece, err);
        else
            result = read_tail(package, offset, out + *got, length - *got, &piece);
        if (result != 0) {
            (void)error_wrap(err, "reading the archive at offset %llu", (unsigned long long)offset);
            return result;
        }
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
