/* The calls that follow `init` (announce.c), in their strict order:
 *
 *   init → start → (Tus) → complete        error and cancel: after init, before complete
 *
 * Out of order: 409; unknown upload: 404; bad fields: 422. What may be a repetition of a lost
 * answer (init, start, error, cancel with the same content) is answered 200 again; a repeated
 * `complete` gets 409, as the real one's does. The state changes under the lock; files are written
 * outside it.
 */
#include "server.h"
#include "text.h"
#include "zip_check.h"

#include "aurabridge/log.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- start, complete, error, cancel ---- */

static bool field_is(struct call *call, const struct json *body, const char *field, bool good)
{
    if (!good) {
        char text[160];
        (void)snprintf(text, sizeof text, "The %s field is %s.", field,
                       json_get(body, field) ? "not valid" : "required");
        call_reply_invalid(call, field, text);
    }
    return good;
}

/* What the four have in common: headers, token, upload_id and mode. Null: the answer is given. */
static struct json *open_call(struct call *call)
{
    if (!auth_json_headers(call, true) || !auth_bearer(call, SCOPE_UPLOAD_MANAGE))
        return NULL;
    struct json *body = call_json(call);
    if (!body)
        return NULL;
    const char *upload_id = json_text(json_get(body, "upload_id"));
    const char *mode = json_text(json_get(body, "mode"));
    if (field_is(call, body, "upload_id", text_is_uuid_v4(upload_id))) {
        (void)snprintf(call->upload_id, sizeof call->upload_id, "%s", upload_id);
        if (field_is(call, body, "mode", mode && strcmp(mode, "uploader") == 0))
            return body;
    }
    json_free(body);
    return NULL;
}

/* The config's assembly id where it gives one, else whatever the client made up. */
static const char *assembly_of(struct call *call, const struct json *body)
{
    const char *given = call->sandbox->faults.assembly_id;
    const char *assembly_id = json_text(json_get(body, "assembly_id"));
    bool good = assembly_id && *assembly_id && strlen(assembly_id) < ASSEMBLY_ID_SIZE;
    if (!field_is(call, body, "assembly_id", good))
        return NULL;
    if (!*given || strcmp(given, assembly_id) == 0)
        return assembly_id;
    call_reply_invalid(call, "assembly_id", "The assembly id differs from the one of the config.");
    return NULL;
}

/* Under the lock. Null: the answer is given. */
static struct upload *find_upload(struct call *call)
{
    struct upload *upload = uploads_find(&call->sandbox->uploads, call->upload_id);
    if (!upload)
        call_reply_message(call, 404, "The upload is unknown.");
    return upload;
}

static void reply_order(struct call *call, const struct upload *upload, const char *attempted)
{
    call_reply_message(call, 409, "The upload is %s: %s is not possible.",
                       upload_state_name(upload->state), attempted);
}

static void reply_done(struct call *call, const struct upload *upload)
{
    struct json *reply = json_new_object();
    if (!reply || json_set_string(reply, "status", upload_state_name(upload->state)) != 0) {
        json_free(reply);
        reply = NULL;
    }
    call_reply_json(call, 200, reply);
}

void lifecycle_start(struct call *call)
{
    struct json *body = open_call(call);
    const char *assembly_id = body ? assembly_of(call, body) : NULL;
    if (assembly_id) {
        sandbox_lock(call->sandbox);
        struct upload *upload = find_upload(call);
        bool repeated = upload && upload->state == UPLOAD_STARTED &&
                        strcmp(upload->assembly_id, assembly_id) == 0;
        if (upload && upload->state == UPLOAD_ANNOUNCED) {
            upload->state = UPLOAD_STARTED;
            (void)snprintf(upload->assembly_id, ASSEMBLY_ID_SIZE, "%s", assembly_id);
            repeated = true;
        }
        if (repeated)
            reply_done(call, upload);
        else if (upload)
            reply_order(call, upload, "start");
        sandbox_unlock(call->sandbox);
    }
    json_free(body);
}

/* Whether the message names a patient of this upload. */
static bool names_patient(const struct upload *upload, const char *message)
{
    for (size_t i = 0; i < upload->study_count; i++) {
        const char *name = upload->studies[i].patient_name;
        if (*name && strstr(message, name))
            return true;
    }
    return false;
}

static void end_upload(struct call *call, enum upload_state state, const char *message)
{
    sandbox_lock(call->sandbox);
    struct upload *upload = find_upload(call);
    if (upload && message && names_patient(upload, message)) {
        call_reply_invalid(call, "message", "The message must not carry patient data.");
    } else if (upload &&
               (upload->state == state || upload->state == UPLOAD_ANNOUNCED ||
                upload->state == UPLOAD_STARTED) &&
               !upload->completing) {
        upload->state = state;
        reply_done(call, upload);
    } else if (upload) {
        reply_order(call, upload, state == UPLOAD_FAILED ? "error" : "cancel");
    }
    sandbox_unlock(call->sandbox);
}

void lifecycle_error(struct call *call)
{
    struct json *body = open_call(call);
    const char *message = json_text(json_get(body, "message"));
    if (body && field_is(call, body, "message", message && *message))
        end_upload(call, UPLOAD_FAILED, message);
    json_free(body);
}

void lifecycle_cancel(struct call *call)
{
    struct json *body = open_call(call);
    if (body)
        end_upload(call, UPLOAD_CANCELLED, NULL);
    json_free(body);
}

/* ---- complete ---- */

/* Under the lock. The upload, now completing, and its Tus file (null with a foreign Tus server);
 * null: the answer is given. */
static struct upload *begin_complete(struct call *call, const char *assembly_id,
                                     struct tus_file **file)
{
    struct upload *upload = find_upload(call);
    *file = NULL;
    if (!upload)
        return NULL;
    if (upload->state != UPLOAD_STARTED) {
        reply_order(call, upload, "complete");
        return NULL;
    }
    if (upload->completing) {
        call_reply_message(call, 423, "The upload is being completed.");
        return NULL;
    }
    if (strcmp(upload->assembly_id, assembly_id) != 0) {
        call_reply_invalid(call, "assembly_id", "The assembly id differs from the one of start.");
        return NULL;
    }
    if (!call->sandbox->tus_endpoint) {
        *file = tus_files_complete(&call->sandbox->tus_files, upload->id);
        if (!*file) {
            call_reply_message(call, 409, "The file has not arrived whole.");
            return NULL;
        }
        (*file)->busy = true;
    }
    upload->completing = true;
    return upload;
}

/* Checks the zip and gives it its name. 0, 422 for a bad one, 500. */
static unsigned take_zip(struct call *call, const struct upload *upload,
                         const struct tus_file *file, uint64_t *instances, struct error *err)
{
    char path[FS_PATH_MAX], kept[FS_PATH_MAX], name[UUID_SIZE + 8];
    (void)snprintf(name, sizeof name, "%s.zip", upload->id);
    if (tus_file_path(path, call->sandbox->directory, file->id, err) != 0 ||
        fs_join(kept, call->sandbox->directory, name, err) != 0)
        return 500;
    if (zip_check(instances, path, upload, err) != 0)
        return 422;
    if (rename(path, kept) != 0) {
        (void)error_errno(err, errno, "renaming %s", path);
        return 500;
    }
    return 0;
}

/* The line that people see. */
static void announce_arrival(const struct sandbox *sandbox, const struct upload *upload)
{
    double seconds = (double)(clock_monotonic_ms(sandbox->clock) - upload->announced_ms) / 1000.0;
    for (size_t i = 0; i < upload->study_count; i++)
        (void)printf("received study %s: %lld instances, %llu bytes, upload %s, %.1f s\n",
                     upload->studies[i].uid, (long long)upload->studies[i].images,
                     (unsigned long long)upload->bytes, upload->id, seconds);
    if (fflush(stdout) != 0)
        log_warning("sandbox", "writing to standard output: %s", strerror(errno));
}

void lifecycle_complete(struct call *call)
{
    struct sandbox *sandbox = call->sandbox;
    struct json *body = open_call(call);
    const char *assembly_id = body ? assembly_of(call, body) : NULL;
    struct tus_file *file = NULL;
    struct upload *upload = NULL;
    if (assembly_id) {
        sandbox_lock(sandbox);
        upload = begin_complete(call, assembly_id, &file);
        sandbox_unlock(sandbox);
    }
    json_free(body);
    if (!upload)
        return;
    struct error err = {""};
    uint64_t instances = 0;
    unsigned refused = file ? take_zip(call, upload, file, &instances, &err) : 0;
    sandbox_lock(sandbox);
    upload->completing = false;
    if (!refused) {
        upload->state = UPLOAD_COMPLETED;
        upload->instances = instances;
        upload->bytes = file ? file->length : 0;
        reply_done(call, upload);
    }
    if (file)
        file->busy = false; /* and HEAD goes on to show that all of it came */
    sandbox_unlock(sandbox);
    if (refused == 422)
        call_reply_invalid(call, "upload", err.text);
    else if (refused)
        call_reply(call, refused);
    if (refused)
        log_warning("sandbox", "upload %s is refused: %s", upload->id, err.text);
    else
        announce_arrival(sandbox, upload);
}
