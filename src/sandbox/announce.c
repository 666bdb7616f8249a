/* `config`, which says where the zip goes, and `init`, which announces what it holds. A repeated
 * `init` with the same content is answered as the first one was, as long as the upload is open.
 */
#include "manifest.h"
#include "server.h"

#include "aurabridge/log.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define INTERNAL_ID_SIZE 40

/* ---- config ---- */

static int set_field(struct sandbox *sandbox, struct json *object, const char *name,
                     const char *value)
{
    sandbox_lock(sandbox);
    bool without = faults_take_without(&sandbox->faults, name);
    sandbox_unlock(sandbox);
    return without ? 0 : json_set_string(object, name, value);
}

void lifecycle_config(struct call *call)
{
    struct sandbox *sandbox = call->sandbox;
    if (!auth_json_headers(call, false) || !auth_bearer(call, SCOPE_INTEGRATION_READ))
        return;
    const char *host = call_header(call, "Host");
    char token[AUTH_TOKEN_SIZE], endpoint[1024];
    if (auth_issue_lift(sandbox, token) != 0) {
        call_reply(call, 500);
        return;
    }
    (void)snprintf(endpoint, sizeof endpoint, "%s://%s%s/", call_scheme(call), host ? host : "",
                   SANDBOX_TUS_PATH);
    struct json *reply = json_new_object(), *lift = json_new_object();
    bool failed = !reply || !lift;
    failed = failed ||
             set_field(sandbox, lift, "endpoint",
                       sandbox->tus_endpoint ? sandbox->tus_endpoint : endpoint) != 0 ||
             set_field(sandbox, lift, "token", token) != 0 ||
             set_field(sandbox, lift, "bucket", SANDBOX_BUCKET) != 0;
    if (!failed && sandbox->faults.assembly_id[0])
        failed = json_set_string(lift, "assembly_id", sandbox->faults.assembly_id) != 0;
    failed = json_set(reply, "lift", lift) != 0 || failed;
    failed = failed || set_field(sandbox, reply, "mode", SANDBOX_UPLOAD_MODE) != 0;
    if (failed) {
        json_free(reply);
        reply = NULL;
    }
    call_reply_json(call, 200, reply);
}

/* ---- init ---- */

static struct json *init_reply(const struct upload *upload)
{
    struct json *reply = json_new_object(), *studies = json_new_array();
    bool failed = !reply || !studies;
    for (size_t i = 0; i < upload->study_count && !failed; i++) {
        char id[INTERNAL_ID_SIZE];
        (void)snprintf(id, sizeof id, "study-%.8s-%zu", upload->id, i + 1);
        struct json *study = json_new_object();
        failed = !study || json_set_string(study, "id", id) != 0;
        failed = json_append(studies, study) != 0 || failed;
    }
    failed = json_set(reply, "studies", studies) != 0 || failed;
    if (failed) {
        json_free(reply);
        return NULL;
    }
    return reply;
}

static void reply_errors(struct call *call, struct json *errors)
{
    struct json *reply = errors ? json_new_object() : NULL;
    if (!reply || json_set(reply, "errors", errors) != 0) {
        if (!reply)
            json_free(errors);
        json_free(reply);
        reply = NULL;
    }
    call_reply_json(call, 422, reply);
}

/* Under the lock. Null: there was one already, and the answer is given. Owns `*studies` when it
 * gives one, and clears it. */
static struct upload *announce(struct call *call, const uint8_t digest[SHA256_SIZE],
                               struct announced_study **studies, size_t count)
{
    struct sandbox *sandbox = call->sandbox;
    struct upload *upload = uploads_find(&sandbox->uploads, call->upload_id);
    if (upload) {
        bool same = memcmp(upload->init_digest, digest, SHA256_SIZE) == 0;
        bool open = upload->state == UPLOAD_ANNOUNCED || upload->state == UPLOAD_STARTED;
        if (same && open)
            call_reply_json(call, 200, init_reply(upload));
        else
            call_reply_message(call, 409, same ? "The upload is %s." : "The upload id is taken.",
                               upload_state_name(upload->state));
        return NULL;
    }
    upload = uploads_add(&sandbox->uploads, call->upload_id, *studies, count);
    if (!upload) {
        call_reply_message(call, 507, "The sandbox is full.");
        return NULL;
    }
    *studies = NULL;
    memcpy(upload->init_digest, digest, SHA256_SIZE);
    upload->announced_ms = clock_monotonic_ms(sandbox->clock);
    call_reply_json(call, 200, init_reply(upload));
    return upload;
}

/* Keeps the body as <upload_id>.json for those who want to look. */
static void keep_body(struct call *call, const struct json *body)
{
    char name[UUID_SIZE + 8], path[FS_PATH_MAX];
    struct error err = {""};
    char *text = json_print_pretty(body);
    (void)snprintf(name, sizeof name, "%s.json", call->upload_id);
    if (!text || fs_join(path, call->sandbox->directory, name, &err) != 0 ||
        fs_write_atomic(path, text, strlen(text), &err) != 0)
        log_error("sandbox", "%s is not kept: %s", name, text ? err.text : "memory is short");
    free(text);
}

void lifecycle_init(struct call *call)
{
    struct sandbox *sandbox = call->sandbox;
    if (!auth_json_headers(call, true) || !auth_bearer(call, SCOPE_UPLOAD_INIT))
        return;
    struct json *body = call_json(call), *errors = NULL;
    if (!body)
        return;
    struct announced_study *studies = NULL;
    size_t count = 0;
    uint8_t digest[SHA256_SIZE];
    if (manifest_check(body, &errors, &studies, &count) != 0) {
        reply_errors(call, errors);
        json_free(body);
        return;
    }
    json_free(errors);
    char *text = json_print(body);
    if (!text || sha256_of(digest, text, strlen(text)) != 0) {
        call_reply(call, 500);
    } else {
        (void)snprintf(call->upload_id, sizeof call->upload_id, "%s",
                       json_text(json_get(body, "upload_id")));
        sandbox_lock(sandbox);
        struct upload *made = announce(call, digest, &studies, count);
        sandbox_unlock(sandbox);
        if (made)
            keep_body(call, body);
    }
    free(text);
    free(studies);
    json_free(body);
}
