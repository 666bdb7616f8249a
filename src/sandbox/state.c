/* GET /sandbox/state: what has happened so far, for tests and for the curious. Shows no token, no
 * key and no patient data.
 */
#include "server.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Puts `child` (owned in any case) into `object`, and remembers a failure. */
static void put(struct json *object, const char *key, struct json *child, bool *failed)
{
    *failed = json_set(object, key, child) != 0 || *failed;
}

static void put_number(struct json *object, const char *key, uint64_t number, bool *failed)
{
    *failed = json_set_int(object, key, (int64_t)number) != 0 || *failed;
}

static void put_text(struct json *object, const char *key, const char *text, bool *failed)
{
    *failed = json_set_string(object, key, text) != 0 || *failed;
}

static struct json *calls_of(const struct sandbox *sandbox, bool *failed)
{
    struct json *calls = json_new_object();
    for (size_t i = 0; i < sandbox->route_count; i++) {
        char name[128];
        const struct route *route = &sandbox->routes[i];
        (void)snprintf(name, sizeof name, "%s %s", route->method, route->path);
        put_number(calls, name, route->calls, failed);
    }
    put_number(calls, "tus", sandbox->tus_calls, failed);
    return calls;
}

static struct json *limits_of(const struct sandbox *sandbox, bool *failed)
{
    static const char *const names[AURABOX_BUCKET_COUNT] = {"exchange", "config", "lifecycle"};
    struct json *limits = json_new_object();
    for (size_t i = 0; i < AURABOX_BUCKET_COUNT; i++) {
        const struct limit_window *window = &sandbox->limits[i];
        struct json *limit = json_new_object();
        put_number(limit, "limit", window->limit, failed);
        put_number(limit, "maximum", window->maximum, failed);
        put_number(limit, "refused", window->refused, failed);
        put(limits, names[i], limit, failed);
    }
    return limits;
}

static struct json *upload_of(const struct upload *upload, bool *failed)
{
    struct json *object = json_new_object(), *studies = json_new_array();
    for (size_t i = 0; i < upload->study_count; i++)
        *failed = json_append_string(studies, upload->studies[i].uid) != 0 || *failed;
    put_text(object, "upload_id", upload->id, failed);
    put_text(object, "state", upload_state_name(upload->state), failed);
    put_text(object, "assembly_id", upload->assembly_id[0] ? upload->assembly_id : NULL, failed);
    put(object, "studies", studies, failed);
    put_number(object, "instances", upload->instances, failed);
    put_number(object, "bytes", upload->bytes, failed);
    put_number(object, "tus_creates", upload->tus_creates, failed);
    return object;
}

static struct json *tus_of(const struct tus_file *file, bool *failed)
{
    struct json *object = json_new_object();
    put_text(object, "upload_id", file->upload_id, failed);
    put_number(object, "upload_length", file->length, failed);
    put_number(object, "upload_offset", file->offset, failed);
    *failed = json_set_bool(object, "gone", file->gone) != 0 || *failed;
    *failed = json_set_bool(object, "busy", file->busy) != 0 || *failed;
    return object;
}

void state_show(struct call *call)
{
    struct sandbox *sandbox = call->sandbox;
    struct json *state = json_new_object();
    struct json *uploads = json_new_array(), *files = json_new_array();
    bool failed = !state;
    sandbox_lock(sandbox);
    put(state, "calls", calls_of(sandbox, &failed), &failed);
    put_number(state, "refused", sandbox->refused, &failed);
    put(state, "limits", limits_of(sandbox, &failed), &failed);
    for (size_t i = 0; i < sandbox->uploads.count; i++)
        failed = json_append(uploads, upload_of(sandbox->uploads.list[i], &failed)) != 0 || failed;
    for (size_t i = 0; i < sandbox->tus_files.count; i++)
        failed = json_append(files, tus_of(sandbox->tus_files.list[i], &failed)) != 0 || failed;
    sandbox_unlock(sandbox);
    put(state, "uploads", uploads, &failed);
    put(state, "tus_files", files, &failed);
    if (failed) {
        json_free(state);
        state = NULL;
    }
    call_reply_json(call, 200, state);
}
