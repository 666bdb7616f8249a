/* From the ledger's rows to a layout. Guarantees that every file was there with its size, that the
 * layout appears last (so that whoever finds one finds its scratch file too), and that one record
 * and one piece of a file are in memory. Deflating gives way to storing when there is no room.
 */
#include "build.h"

#include "deflator.h"
#include "layout.h"

#include "aurabridge/log.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* PS3.5 annex A: the transfer syntaxes whose data sets are neither encapsulated nor deflated. */
static const char *const native_transfer_syntaxes[] = {"1.2.840.10008.1.2", "1.2.840.10008.1.2.1",
                                                       "1.2.840.10008.1.2.2", "1.2.840.113619.5.2"};

struct build {
    const struct package_source *source;
    const struct package_paths *paths;
    struct error *err;
    struct layout_writer layout;
    struct layout_header header;
    struct deflator *deflator; /* null until the first member that is deflated */
    int scratch;               /* -1 until then */
    bool no_room;              /* for deflated members: the rest is stored */
};

int package_paths(struct package_paths *out, const struct spool *spool, int64_t study_id,
                  struct error *err)
{
    char name[48];
    if (fs_join(out->directory, spool_directory(spool), "packages", err) != 0)
        return -1;
    const struct {
        char *path;
        const char *ending;
    } rows[] = {{out->layout, "layout"},
                {out->layout_part, "layout.part"},
                {out->scratch, "deflated"},
                {out->scratch_part, "deflated.part"}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        (void)snprintf(name, sizeof name, "S%lld.%s", (long long)study_id, rows[i].ending);
        if (fs_join(rows[i].path, out->directory, name, err) != 0)
            return -1;
    }
    return 0;
}

int package_clear(const struct package_paths *paths, struct error *err)
{
    /* The layout first: without it the others mean nothing. */
    if (fs_remove(paths->layout, err) != 0 || fs_remove(paths->layout_part, err) != 0 ||
        fs_remove(paths->scratch, err) != 0 || fs_remove(paths->scratch_part, err) != 0)
        return -1;
    return 0;
}

static bool is_native(const char *transfer_syntax_uid)
{
    size_t count = sizeof native_transfer_syntaxes / sizeof *native_transfer_syntaxes;
    for (size_t i = 0; i < count; i++) {
        if (strcmp(transfer_syntax_uid, native_transfer_syntaxes[i]) == 0)
            return true;
    }
    return false;
}

static bool wants_deflate(const struct build *build, const struct ledger_instance *instance)
{
    switch (build->source->compression) {
    case COMPRESSION_DEFLATE:
        return true;
    case COMPRESSION_AUTO:
        return is_native(instance->request.transfer_syntax_uid);
    case COMPRESSION_STORE:
        break;
    }
    return false;
}

static void do_without(struct build *build, const char *why)
{
    log_warning("package", "S%lld is stored, not compressed: %s",
                (long long)build->source->study->id, why);
    build->no_room = true;
}

/* Asks for room and opens the scratch file, once. Returns 0 also when there is no room. */
static int start_scratch(struct build *build)
{
    struct error why;
    if (build->no_room || build->scratch >= 0)
        return 0;
    int code = spool_check_space(build->source->spool, build->source->study->bytes, &why);
    if (code == SPOOL_FULL) {
        do_without(build, why.text);
        return 0;
    }
    if (code != 0)
        return error_set(build->err, "%s", why.text);
    if (deflator_new(&build->deflator, build->err) != 0)
        return -1;
    errno = 0;
    if (fs_create(&build->scratch, build->paths->scratch_part, &why) == 0)
        return 0;
    if (errno != ENOSPC && errno != EDQUOT)
        return error_set(build->err, "%s", why.text);
    do_without(build, why.text);
    return 0;
}

static bool has_room(void *context, uint64_t bytes)
{
    return spool_check_space(context, bytes, NULL) == 0;
}

/* What stands behind the last member is of one that did not shrink, or found no room: its space
 * goes back at once, the rest of the study may take long. */
static int cut_scratch(struct build *build)
{
    if (ftruncate(build->scratch, (off_t)build->header.scratch_size) != 0)
        return error_errno(build->err, errno, "cutting %s", build->paths->scratch_part);
    return 0;
}

static int give_way(struct build *build)
{
    log_warning("package",
                "the rest of S%lld is stored, not compressed: the disk has no room beside what is "
                "kept for reception",
                (long long)build->source->study->id);
    build->no_room = true;
    return cut_scratch(build);
}

static int deflate_file(struct build *build, int in, struct layout_record *record)
{
    struct deflator_job job = {.in = in,
                               .out = build->scratch,
                               .out_offset = build->header.scratch_size,
                               .size = record->size,
                               .crc32 = record->crc32,
                               .cancelled = build->source->cancelled,
                               .context = build->source->context,
                               .has_room = has_room,
                               .room_context = build->source->spool};
    int code = deflator_run(build->deflator, &job, build->err);
    if (code == DEFLATOR_NO_GAIN)
        return cut_scratch(build);
    if (code == DEFLATOR_DISK_FULL)
        return give_way(build);
    if (code != 0)
        return error_wrap(build->err, "compressing %s", record->file_name);
    record->method = ZIP_METHOD_DEFLATED;
    record->packed = job.packed;
    record->packed_crc32 = job.packed_crc32;
    record->scratch_offset = build->header.scratch_size;
    build->header.scratch_size += job.packed;
    return 0;
}

/* Leaves the record stored when deflating brings nothing or finds no room. */
static int try_deflate(struct build *build, struct layout_record *record)
{
    if (start_scratch(build) != 0)
        return -1;
    if (build->no_room)
        return 0;
    int in;
    if (spool_read(&in, build->source->spool, record->file_name, build->err) != 0)
        return -1;
    int result = deflate_file(build, in, record);
    (void)close(in); /* only read from */
    return result;
}

static int check_instance(struct build *build, const struct ledger_instance *instance)
{
    if (build->source->cancelled && build->source->cancelled(build->source->context))
        return error_set(build->err, "cancelled");
    if (!uid_is_valid(instance->request.sop_instance_uid))
        return error_set(build->err, "instance row %lld has no valid SOP Instance UID",
                         (long long)instance->id);
    if (!spool_has(build->source->spool, instance->file_name, instance->file_size))
        return error_set(build->err,
                         "the file \"%s\" of instance %s is not in the spool with its %llu bytes: "
                         "restore it, or discard the study and send it again",
                         instance->file_name, instance->request.sop_instance_uid,
                         (unsigned long long)instance->file_size);
    return 0;
}

static int add_instance(void *context, const struct ledger_instance *instance)
{
    struct build *build = context;
    struct layout_header *header = &build->header;
    if (check_instance(build, instance) != 0)
        return -1;
    struct layout_record record = {.size = instance->file_size,
                                   .packed = instance->file_size,
                                   .crc32 = instance->file_crc32,
                                   .packed_crc32 = instance->file_crc32,
                                   .method = ZIP_METHOD_STORED,
                                   .header_offset = header->central_offset,
                                   .central_offset = header->central_size};
    memcpy(record.sop_instance_uid, instance->request.sop_instance_uid, UID_SIZE);
    memcpy(record.file_name, instance->file_name, STORED_NAME_SIZE);
    if (wants_deflate(build, instance) && try_deflate(build, &record) != 0)
        return -1;
    char name[ZIP_NAME_MAX];
    uint8_t bytes[ZIP_HEADER_MAX];
    struct zip_entry entry = layout_entry(&record, header->study_instance_uid, name);
    header->count++;
    header->source_bytes += record.size;
    header->central_offset += zip_local_header(bytes, &entry) + record.packed;
    header->central_size += zip_central_header(bytes, &entry);
    return layout_writer_add(&build->layout, &record, build->err);
}

/* Publishes the scratch file, or removes it when nothing ended up in it. */
static int finish_scratch(struct build *build)
{
    if (build->scratch < 0)
        return 0;
    int fd = build->scratch;
    build->scratch = -1;
    if (build->header.scratch_size > 0)
        return fs_publish(fd, build->paths->scratch_part, build->paths->scratch, build->err);
    (void)close(fd); /* empty */
    return fs_remove(build->paths->scratch_part, build->err);
}

static int lay_out(struct build *build)
{
    struct layout_header *header = &build->header;
    const struct ledger_study *study = build->source->study;
    if (ledger_instances(build->source->ledger, study->id, INSTANCE_STORED, add_instance, build,
                         build->err) != 0)
        return -1;
    if (header->count == 0)
        return error_set(build->err, "the study has no instance to upload");
    if (header->count != study->instances || header->source_bytes != study->bytes)
        log_warning("package", "S%lld has %llu instances with %llu bytes, its row says %llu, %llu",
                    (long long)study->id, (unsigned long long)header->count,
                    (unsigned long long)header->source_bytes, (unsigned long long)study->instances,
                    (unsigned long long)study->bytes);
    uint8_t tail[ZIP_TAIL_MAX];
    header->archive_length =
        header->central_offset + header->central_size +
        zip_tail(tail, header->count, header->central_offset, header->central_size);
    if (finish_scratch(build) != 0)
        return -1;
    return layout_writer_finish(&build->layout, header, build->err);
}

int package_build(const struct package_source *source, const struct package_paths *paths,
                  struct error *err)
{
    const struct ledger_study *study = source->study;
    if (!uid_is_valid(study->study_instance_uid))
        return error_set(err, "packing S%lld: its Study Instance UID is not valid",
                         (long long)study->id);
    struct build *build = calloc(1, sizeof *build);
    if (!build)
        return error_set(err, "packing S%lld: out of memory", (long long)study->id);
    build->source = source;
    build->paths = paths;
    build->err = err;
    build->scratch = -1;
    build->layout.fd = -1;
    memcpy(build->header.study_instance_uid, study->study_instance_uid, UID_SIZE);
    int result = fs_make_directory(paths->directory, err);
    if (result == 0)
        result = package_clear(paths, err);
    if (result == 0)
        result = layout_writer_open(&build->layout, paths->layout, study->study_instance_uid, err);
    if (result == 0)
        result = lay_out(build);
    if (build->scratch >= 0)
        (void)close(build->scratch); /* unwanted, so is the result */
    layout_writer_close(&build->layout);
    deflator_free(build->deflator);
    free(build);
    if (result == 0)
        return 0;
    (void)package_clear(paths, NULL);
    return error_wrap(err, "packing S%lld", (long long)study->id);
}
