/* From the ledger's rows to a layout. Guarantees that every file was there with its size, that the
 * layout appears last, once all that it names is on stable storage, and that a page of rows and one
 * member at most are in memory. What was compressed ahead is taken over, what is missing is
 * compressed now. That gives way to storing when there is no room.
 */
#include "build.h"

#include "layout.h"
#include "press_state.h"

#include "aurabridge/log.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PAGE 32 /* instances read at a time */

struct build {
    const struct package_source *source;
    const struct package_paths *paths;
    struct error *err;
    struct layout_writer layout;
    struct layout_header header;
    struct scratch *scratch;   /* null until the first member that is to be deflated */
    struct deflator *deflator; /* null until the first that has to be deflated now */
    bool was_asked;            /* for room for the whole study */
    bool no_room;              /* for more deflated members: the rest is stored */
    bool was_cancelled;
    uint64_t ahead; /* members that were compressed already */
    struct ledger_member page[PAGE];
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
                {out->members, "members"},
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
        fs_remove(paths->members, err) != 0 || fs_remove(paths->scratch, err) != 0 ||
        fs_remove(paths->scratch_part, err) != 0)
        return -1;
    return 0;
}

static void do_without(struct build *build, const char *why)
{
    log_warning("package", "S%lld is stored, not compressed: %s",
                (long long)build->source->study->id, why);
    build->no_room = true;
}

/* Asks for room for the study, once, and makes what compressing needs. Returns 0 also when there is
 * no room. */
static int start_deflating(struct build *build)
{
    struct error why;
    if (build->no_room || build->was_asked)
        return 0;
    build->was_asked = true;
    int code = spool_check_space(build->source->spool, build->source->study->bytes, &why);
    if (code == SPOOL_FULL) {
        do_without(build, why.text);
        return 0;
    }
    if (code != 0)
        return error_set(build->err, "%s", why.text);
    return deflator_new(&build->deflator, build->err);
}

static void take(struct build *build, struct layout_record *record,
                 const struct scratch_record *made)
{
    uint64_t end = made->offset + made->packed;
    if (made->method != ZIP_METHOD_DEFLATED)
        return;
    record->method = made->method;
    record->packed = made->packed;
    record->packed_crc32 = made->packed_crc32;
    record->scratch_offset = made->offset;
    if (build->header.scratch_size < end)
        build->header.scratch_size = end;
}

/* Leaves the record stored when deflating brings nothing or finds no room. */
static int deflate(struct build *build, const struct scratch_key *key, struct layout_record *record)
{
    struct press *press = build->source->press;
    struct press_job job = {.key = *key,
                            .is_patient = true,
                            .cancelled = build->source->cancelled,
                            .context = build->source->context};
    if (!build->scratch &&
        press_enter(press, &build->scratch, build->source->study->id, build->err) != 0)
        return -1;
    job.scratch = build->scratch;
    if (scratch_recall(job.scratch, key, &job.made)) {
        build->ahead++;
        take(build, record, &job.made);
        return 0;
    }
    if (start_deflating(build) != 0)
        return -1;
    if (build->no_room)
        return 0;
    job.deflator = build->deflator;
    int code = press_make(press, &job, build->err);
    if (code == 0)
        take(build, record, &job.made);
    else if (code == PRESS_NO_ROOM)
        do_without(build, "the disk has no room beside what is kept for reception");
    else
        return -1;
    return 0;
}

static bool is_cancelled(struct build *build)
{
    const struct package_source *source = build->source;
    build->was_cancelled |= source->cancelled && source->cancelled(source->context);
    return build->was_cancelled;
}

static int check_member(struct build *build, const struct ledger_member *member)
{
    if (is_cancelled(build))
        return error_set(build->err, "cancelled");
    if (!uid_is_valid(member->sop_instance_uid))
        return error_set(build->err, "instance row %lld has no valid SOP Instance UID",
                         (long long)member->id);
    if (!spool_has(build->source->spool, member->file_name, member->file_size))
        return error_set(build->err,
                         "the file \"%s\" of instance %s is not in the spool with its %llu bytes: "
                         "restore it, or discard the study and send it again",
                         member->file_name, member->sop_instance_uid,
                         (unsigned long long)member->file_size);
    return 0;
}

static int add_member(struct build *build, const struct scratch_key *key)
{
    const struct ledger_member *member = key->member;
    struct layout_header *header = &build->header;
    if (check_member(build, member) != 0)
        return -1;
    struct layout_record record = {.size = member->file_size,
                                   .packed = member->file_size,
                                   .crc32 = member->file_crc32,
                                   .packed_crc32 = member->file_crc32,
                                   .method = ZIP_METHOD_STORED,
                                   .header_offset = header->central_offset,
                                   .central_offset = header->central_size};
    memcpy(record.sop_instance_uid, member->sop_instance_uid, UID_SIZE);
    memcpy(record.file_name, member->file_name, STORED_NAME_SIZE);
    if (press_wants(build->source->compression, member->transfer_syntax_uid) &&
        deflate(build, key, &record) != 0)
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

static int add_members(struct build *build)
{
    const struct package_source *source = build->source;
    int64_t after_id = 0;
    uint64_t place = 0;
    size_t count;
    do {
        if (ledger_members(source->ledger, source->study->id, after_id, build->page, PAGE, &count,
                           build->err) != 0)
            return -1;
        for (size_t i = 0; i < count; i++, place++) {
            struct scratch_key key = {.member = &build->page[i], .place = place};
            after_id = key.member->id;
            if (key.member->disposition == INSTANCE_STORED && add_member(build, &key) != 0)
                return -1;
        }
    } while (count == PAGE);
    return 0;
}

/* Before the layout names it: puts the scratch on stable storage, name and bytes, or removes it
 * when the archive needs nothing of it. */
static int settle_scratch(struct build *build)
{
    const struct package_paths *paths = build->paths;
    if (build->header.scratch_size == 0)
        return fs_remove(paths->members, build->err) == 0 ? fs_remove(paths->scratch, build->err)
                                                          : -1;
    if (scratch_sync(build->scratch, build->err) != 0)
        return -1;
    return fs_sync_directory(paths->directory, build->err);
}

static int lay_out(struct build *build)
{
    struct layout_header *header = &build->header;
    const struct ledger_study *study = build->source->study;
    if (add_members(build) != 0)
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
    if (settle_scratch(build) != 0)
        return -1;
    if (layout_writer_finish(&build->layout, header, build->err) != 0)
        return -1;
    log_debug("package", "S%lld: of %llu members, %llu had been compressed ahead",
              (long long)study->id, (unsigned long long)header->count,
              (unsigned long long)build->ahead);
    return 0;
}

/* What no layout names any more, or an older version left. */
static int clear_layout(const struct package_paths *paths, struct error *err)
{
    if (fs_remove(paths->layout, err) != 0 || fs_remove(paths->layout_part, err) != 0)
        return -1;
    return fs_remove(paths->scratch_part, err);
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
    build->layout.fd = -1;
    memcpy(build->header.study_instance_uid, study->study_instance_uid, UID_SIZE);
    int result = fs_make_directory(paths->directory, err);
    if (result == 0)
        result = clear_layout(paths, err);
    if (result == 0)
        result = layout_writer_open(&build->layout, paths->layout, study->study_instance_uid, err);
    if (result == 0)
        result = lay_out(build);
    bool was_cancelled = is_cancelled(build);
    if (build->scratch)
        press_leave(source->press, build->scratch);
    layout_writer_close(&build->layout);
    deflator_free(build->deflator);
    free(build);
    if (result == 0)
        return 0;
    /* What was compressed before an interruption is there the next time. */
    if (!was_cancelled)
        (void)package_clear(paths, NULL);
    return error_wrap(err, "packing S%lld", (long long)study->id);
}
