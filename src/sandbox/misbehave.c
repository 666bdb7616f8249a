/* Finds the fault that stands in a call's way, and does to the call what it says. A call meets one
 * fault at most. Whose study a call is of, its upload tells: by the path or the metadata of a Tus
 * call before its body has come, by the body of the others. */
#include "misbehave.h"

#include "server.h"
#include "text.h"
#include "tus_metadata.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

#define MAX_DELAY_MS 600000

/* ---- whose it is ---- */

static void set_study(struct call *call, const char *uid)
{
    (void)snprintf(call->study, sizeof call->study, "%s", uid);
}

/* Under the lock. */
static void find_study(struct call *call)
{
    const struct upload *upload = uploads_find(&call->sandbox->uploads, call->upload_id);
    if (upload && upload->study_count > 0)
        set_study(call, upload->studies[0].uid);
}

/* Under the lock. */
static void find_study_of_tus(struct call *call)
{
    struct error err;
    const char *id = call->path + strlen(SANDBOX_TUS_PATH);
    const struct tus_file *file =
        *id == '/' ? tus_files_find(&call->sandbox->tus_files, id + 1) : NULL;
    if (file)
        (void)snprintf(call->upload_id, sizeof call->upload_id, "%s", file->upload_id);
    else
        (void)tus_metadata_check(call->upload_id, call_header(call, "Upload-Metadata"),
                                 SANDBOX_BUCKET, SANDBOX_UPLOAD_MODE, &err);
    find_study(call);
}

/* From the body of a lifecycle call; what is wrong with it, its handler says. */
static void read_names(struct call *call)
{
    struct json *body = NULL;
    if (call->body.length == 0 || json_parse(&body, call->body.data, call->body.length, NULL) != 0)
        return;
    const char *upload_id = json_text(json_get(body, "upload_id"));
    const char *first = json_key(json_first(json_get(body, "studies")));
    if (upload_id && text_is_uuid_v4(upload_id))
        (void)snprintf(call->upload_id, sizeof call->upload_id, "%s", upload_id);
    if (first)
        set_study(call, first);
    json_free(body);
}

/* ---- what is done to it ---- */

/* The answer of a fault, in the shape that the real server would give it. Under the lock. */
static void reply_status(struct call *call, unsigned status)
{
    int64_t retry_after_s = call->sandbox->faults.retry_after_s;
    if ((status == 429 || status == 503) && retry_after_s > 0)
        call_add_header(call, "Retry-After", "%lld", (long long)retry_after_s);
    if (status == 204 || status == 304)
        call_reply(call, status);
    else if (status == 422)
        call_reply_invalid(call, "upload_id", "A fault was asked for.");
    else if (call->route && call->route->bucket == AURABOX_EXCHANGE)
        call_reply_error(call, status, "A fault was asked for: %u.", status);
    else
        call_reply_message(call, status, "A fault was asked for: %u.", status);
}

/* Under the lock. */
static void forget(struct call *call)
{
    struct upload *upload = uploads_find(&call->sandbox->uploads, call->upload_id);
    if (upload)
        upload->forgotten = true;
    tus_files_forget(&call->sandbox->tus_files, call->upload_id);
}

static unsigned milliseconds(const struct fault *fault)
{
    return fault->number < MAX_DELAY_MS ? (unsigned)fault->number : MAX_DELAY_MS;
}

/* Under the lock. */
static void apply(struct call *call, const struct fault *fault)
{
    switch (fault->action) {
    case FAULT_STATUS:
        call->faulted = true;
        reply_status(call, (unsigned)fault->number);
        break;
    case FAULT_HTML:
        call->faulted = true;
        call_reply_text(call, 200, "text/html; charset=utf-8",
                        "<!DOCTYPE html><html><body>Please sign in.</body></html>");
        break;
    case FAULT_ENDLESS:
    case FAULT_DRIP:
        call->faulted = true;
        call->endless = true;
        call->drip_ms = fault->action == FAULT_DRIP ? milliseconds(fault) : 0;
        call_reply_text(call, 200, "application/json", "");
        break;
    case FAULT_TRUNCATE:
        call->truncate_at = fault->number;
        break;
    case FAULT_DROP:
        call->close_unanswered = true;
        break;
    case FAULT_CUT:
        call->cut_after = fault->number > 0 ? fault->number : 1;
        break;
    case FAULT_SLOW:
        call->delay_ms = milliseconds(fault);
        break;
    case FAULT_HANG:
        call->hung = true;
        break;
    case FAULT_REVOKE:
        auth_revoke(call);
        break;
    case FAULT_FORGET:
        call->forget = true;
        break;
    case FAULT_NONE:
    case FAULT_LOSE:
    case FAULT_REWIND:
    case FAULT_CONFIG_WITHOUT:
        break;
    }
}

static void hang(struct call *call)
{
    while (call_wait(call, INT_MAX))
        continue;
}

static const char *fault_path(const struct call *call, bool tus)
{
    size_t base = strlen(SANDBOX_BASE_PATH);
    if (tus)
        return SANDBOX_TUS_PATH;
    return strncmp(call->path, SANDBOX_BASE_PATH "/", base + 1) == 0 ? call->path + base
                                                                     : call->path;
}

static void meet(struct call *call, bool tus)
{
    struct sandbox *sandbox = call->sandbox;
    sandbox_lock(sandbox);
    struct fault fault =
        faults_take(&sandbox->faults, call->method, fault_path(call, tus), call->study);
    apply(call, &fault);
    call->met_fault = fault.action != FAULT_NONE;
    sandbox_unlock(sandbox);
    if (call->hung)
        hang(call);
}

void misbehave_begin(struct call *call, bool tus)
{
    if (call->route && call->route->bucket < 0)
        return;
    sandbox_lock(call->sandbox);
    if (tus)
        find_study_of_tus(call);
    sandbox_unlock(call->sandbox);
    meet(call, tus);
    if (!tus || !call->forget)
        return;
    sandbox_lock(call->sandbox);
    forget(call);
    sandbox_unlock(call->sandbox);
}

void misbehave_finish(struct call *call)
{
    read_names(call);
    sandbox_lock(call->sandbox);
    if (!call->study[0])
        find_study(call);
    sandbox_unlock(call->sandbox);
    if (!call->met_fault && call->study[0])
        meet(call, false);
    if (!call->forget)
        return;
    sandbox_lock(call->sandbox);
    forget(call);
    sandbox_unlock(call->sandbox);
}

/* ---- while it runs ---- */

static bool may_change(struct call *call)
{
    if (auth_api_key(call))
        return true;
    call_reply_message(call, 401, "X-Api-Key is missing or unknown.");
    return false;
}

/* The faults of the body, one a line; settings are for the start. */
void misbehave_add(struct call *call)
{
    struct error err = {""};
    int failed = 0;
    if (!may_change(call))
        return;
    sandbox_lock(call->sandbox);
    for (char *line = call->body.data, *next = NULL; !failed && line && *line; line = next) {
        size_t length = strcspn(line, "\n");
        next = line[length] ? line + length + 1 : NULL;
        line[length] = '\0';
        if (*line)
            failed = faults_add_running(&call->sandbox->faults, line, &err);
    }
    sandbox_unlock(call->sandbox);
    if (failed)
        call_reply_message(call, 400, "%s", err.text);
    else
        call_reply(call, 204);
}

void misbehave_end(struct call *call)
{
    if (!may_change(call))
        return;
    sandbox_lock(call->sandbox);
    faults_clear(&call->sandbox->faults);
    sandbox_unlock(call->sandbox);
    call_reply(call, 204);
}
