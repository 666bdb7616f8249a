/* The sandbox's Tus server. The body of a PATCH goes to disk piece by piece, and the offset moves
 * with it, so that what came before a connection broke is kept. One call at a time works on an
 * upload: another one gets 423. Not offered: checksum, concatenation, deferred length.
 */
#include "tus_server.h"

#include "server.h"
#include "text.h"
#include "tus_metadata.h"

#include "aurabridge/log.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#define TUS_VERSION "1.0.0"
#define PATCH_TYPE  "application/offset+octet-stream"

static void reply_refused(struct call *call, unsigned status, const char *text)
{
    call_reply_text(call, status, "text/plain; charset=utf-8", text);
}

static void add_expires(struct call *call, int64_t expires_ms)
{
    char date[TEXT_HTTP_DATE_SIZE];
    text_http_date(date, expires_ms);
    if (expires_ms != 0)
        call_add_header(call, "Upload-Expires", "%s", date);
}

/* ---- creation ---- */

static struct tus_file *add_file(struct call *call, uint64_t length)
{
    struct sandbox *sandbox = call->sandbox;
    struct tus_file *file = NULL;
    sandbox_lock(sandbox);
    struct upload *upload = uploads_find(&sandbox->uploads, call->upload_id);
    if (!upload || upload->state != UPLOAD_STARTED) {
        reply_refused(call, upload ? 409 : 400,
                      upload ? "the upload is not in the state started" : "unknown upload_id");
    } else {
        file = tus_files_add(&sandbox->tus_files, call->upload_id, length);
        if (file && sandbox->faults.tus_expires_s > 0)
            file->expires_ms = sandbox_wall_ms(sandbox) + sandbox->faults.tus_expires_s * 1000;
        if (file) {
            file->busy = true; /* until its file is there */
            upload->tus_creates++;
        } else {
            reply_refused(call, 507, "the sandbox is full");
        }
    }
    sandbox_unlock(sandbox);
    return file;
}

static void make_file(struct call *call, struct tus_file *file)
{
    struct sandbox *sandbox = call->sandbox;
    struct error err = {""};
    char path[FS_PATH_MAX];
    int fd = -1;
    bool failed = tus_file_path(path, sandbox->directory, file->id, &err) != 0 ||
                  fs_create(&fd, path, &err) != 0;
    if (!failed && close(fd) != 0) {
        failed = true;
        (void)error_errno(&err, errno, "closing %s", path);
    }
    sandbox_lock(sandbox);
    file->busy = false;
    file->gone = failed;
    sandbox_unlock(sandbox);
    if (failed) {
        log_error("sandbox", "%s", err.text);
        reply_refused(call, 500, "the file cannot be made");
        return;
    }
    const char *host = call_header(call, "Host");
    bool absolute = sandbox->faults.absolute_location && host;
    call_add_header(call, "Location", "%s%s%s%s/%s", absolute ? call_scheme(call) : "",
                    absolute ? "://" : "", absolute ? host : "", SANDBOX_TUS_PATH, file->id);
    add_expires(call, file->expires_ms);
    call_reply(call, 201);
}

static void create(struct call *call)
{
    uint64_t length;
    struct error err = {""};
    if (text_to_number(&length, call_header(call, "Upload-Length")) != 0 || length > INT64_MAX) {
        reply_refused(call, 400, "Upload-Length is missing or no number");
    } else if (length > call->sandbox->faults.tus_max_size) {
        reply_refused(call, 413, "Upload-Length exceeds Tus-Max-Size");
    } else if (tus_metadata_check(call->upload_id, call_header(call, "Upload-Metadata"),
                                  SANDBOX_BUCKET, SANDBOX_UPLOAD_MODE, &err) != 0) {
        reply_refused(call, 400, err.text);
    } else {
        struct tus_file *file = add_file(call, length);
        if (file)
            make_file(call, file);
    }
}

/* ---- an upload that is there ---- */

/* Under the lock. Null: the answer is given. `take`: it becomes busy for this call. */
static struct tus_file *find_file(struct call *call, bool take)
{
    struct sandbox *sandbox = call->sandbox;
    const char *id = call->path + strlen(SANDBOX_TUS_PATH) + 1;
    struct tus_file *file = tus_files_find(&sandbox->tus_files, id);
    if (file)
        memcpy(call->upload_id, file->upload_id, sizeof call->upload_id);
    if (file && file->expires_ms != 0 && sandbox_wall_ms(sandbox) >= file->expires_ms)
        file->gone = true;
    if (!file || file->gone) {
        reply_refused(call, file ? 410 : 404, "no such upload");
        return NULL;
    }
    if (file->busy) {
        reply_refused(call, 423, "another request works on this upload");
        return NULL;
    }
    if (take)
        file->busy = true;
    return file;
}

static void show(struct call *call)
{
    sandbox_lock(call->sandbox);
    struct tus_file *file = find_file(call, false);
    if (file) {
        call_add_header(call, "Upload-Offset", "%llu", (unsigned long long)file->offset);
        call_add_header(call, "Upload-Length", "%llu", (unsigned long long)file->length);
        add_expires(call, file->expires_ms);
        call_reply(call, 200);
    }
    sandbox_unlock(call->sandbox);
    call_add_header(call, "Cache-Control", "no-store");
}

static void terminate(struct call *call)
{
    struct sandbox *sandbox = call->sandbox;
    struct error err = {""};
    char path[FS_PATH_MAX];
    sandbox_lock(sandbox);
    struct tus_file *file = find_file(call, true);
    sandbox_unlock(sandbox);
    if (!file)
        return;
    bool failed =
        tus_file_path(path, sandbox->directory, file->id, &err) != 0 || fs_remove(path, &err) != 0;
    sandbox_lock(sandbox);
    file->busy = false;
    file->gone = true;
    sandbox_unlock(sandbox);
    if (failed)
        log_warning("sandbox", "%s", err.text);
    call_reply(call, 204);
}

/* ---- PATCH ---- */

static void begin_patch(struct call *call)
{
    struct sandbox *sandbox = call->sandbox;
    uint64_t offset, announced;
    const char *type = call_header(call, "Content-Type");
    const char *content_length = call_header(call, "Content-Length");
    if (!type || strcmp(type, PATCH_TYPE) != 0) {
        reply_refused(call, 415, "Content-Type must be " PATCH_TYPE);
        return;
    }
    if (text_to_number(&offset, call_header(call, "Upload-Offset")) != 0) {
        reply_refused(call, 400, "Upload-Offset is missing or no number");
        return;
    }
    sandbox_lock(sandbox);
    struct tus_file *file = find_file(call, true);
    if (file && file->offset != offset)
        reply_refused(call, 409, "Upload-Offset is not the server's");
    else if (file && text_to_number(&announced, content_length) == 0 &&
             announced > file->length - offset)
        reply_refused(call, 413, "the body is longer than the rest of the upload");
    if (file && call->status != 0)
        file->busy = false;
    else
        call->patch = file;
    sandbox_unlock(sandbox);
    if (!call->patch)
        return;
    struct error err = {""};
    char path[FS_PATH_MAX];
    if (tus_file_path(path, sandbox->directory, file->id, &err) == 0)
        call->patch_fd = open(path, O_WRONLY | O_CLOEXEC);
    if (call->patch_fd < 0) {
        log_error("sandbox", "opening the file of upload %s: %s", call->upload_id, strerror(errno));
        reply_refused(call, 500, "the file cannot be opened");
    }
}

void tus_server_data(struct call *call, const void *bytes, size_t length)
{
    struct tus_file *file = call->patch;
    if (!file || call->status != 0)
        return;
    struct error err = {""};
    if (length > file->length - file->offset)
        reply_refused(call, 413, "the body is longer than the rest of the upload");
    else if (lseek(call->patch_fd, (off_t)file->offset, SEEK_SET) < 0 ||
             fs_write_all(call->patch_fd, bytes, length, &err) != 0)
        reply_refused(call, 500, "the file cannot be written");
    if (call->status != 0)
        return;
    sandbox_lock(call->sandbox);
    file->offset += length;
    sandbox_unlock(call->sandbox);
}

void tus_server_release(struct call *call)
{
    struct tus_file *file = call->patch;
    if (!file)
        return;
    if (call->patch_fd >= 0 && close(call->patch_fd) != 0)
        log_warning("sandbox", "closing the file of upload %s: %s", call->upload_id,
                    strerror(errno));
    call->patch_fd = -1;
    call->patch = NULL;
    sandbox_lock(call->sandbox);
    file->busy = false;
    if (faults_take_at(&call->sandbox->faults, FAULT_LOSE, file->offset))
        file->gone = true;
    if (faults_take_at(&call->sandbox->faults, FAULT_REWIND, file->offset))
        file->offset = 0;
    sandbox_unlock(call->sandbox);
}

static void finish_patch(struct call *call)
{
    struct tus_file *file = call->patch;
    if (file && call->status == 0) {
        call_add_header(call, "Upload-Offset", "%llu", (unsigned long long)file->offset);
        add_expires(call, file->expires_ms);
        call_reply(call, 204);
    }
    tus_server_release(call);
}

/* ---- the whole ---- */

static void show_capabilities(struct call *call)
{
    call_add_header(call, "Tus-Version", TUS_VERSION);
    call_add_header(call, "Tus-Extension", "creation,termination,expiration");
    call_add_header(call, "Tus-Max-Size", "%llu",
                    (unsigned long long)call->sandbox->faults.tus_max_size);
    call_reply(call, 204);
}

void tus_server_begin(struct call *call)
{
    const char *version = call_header(call, "Tus-Resumable");
    call_add_header(call, "Tus-Resumable", TUS_VERSION);
    if (strcmp(call->method, "OPTIONS") != 0 && (!version || strcmp(version, TUS_VERSION) != 0)) {
        call_add_header(call, "Tus-Version", TUS_VERSION);
        reply_refused(call, 412, "Tus-Resumable must be " TUS_VERSION);
        return;
    }
    if (auth_lift(call) && strcmp(call->method, "PATCH") == 0)
        begin_patch(call);
}

void tus_server_finish(struct call *call)
{
    const char *rest = call->path + strlen(SANDBOX_TUS_PATH);
    bool collection = *rest == '\0' || strcmp(rest, "/") == 0;
    if (strcmp(call->method, "PATCH") == 0)
        finish_patch(call);
    else if (call->status != 0)
        return;
    else if (strcmp(call->method, "OPTIONS") == 0)
        show_capabilities(call);
    else if (strcmp(call->method, "POST") == 0 && collection)
        create(call);
    else if (strcmp(call->method, "HEAD") == 0 && !collection)
        show(call);
    else if (strcmp(call->method, "DELETE") == 0 && !collection)
        terminate(call);
    else
        reply_refused(call, 405, "no such method here");
}
