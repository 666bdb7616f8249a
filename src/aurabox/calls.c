/* The calls of an upload: what each sends and what it takes from the answer. */
#include "client.h"

#include "redact.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#define LIFECYCLE_MODE "uploader"

/* ---- config ---- */

static enum aurabox_outcome missing(const struct aurabox_client *client, const char *field,
                                    const char *why, struct aurabox_reply *reply)
{
    const struct client_call call = {.endpoint = endpoint_of(ENDPOINT_CONFIG)};
    struct reply_question question = client_question(client, &call);
    return reply_set(reply, &question, AURABOX_DESTINATION,
                     "%s in the answer is %s; ask Aurabox to check the integration's upload "
                     "settings",
                     field, why);
}

static const char *take_text(char *out, size_t size, const struct json *value)
{
    const char *text = json_text(value);
    if (!text || !text[0])
        return "missing or empty";
    if (strlen(text) >= size)
        return "too long";
    (void)snprintf(out, size, "%s", text);
    return NULL;
}

static bool is_https(const char *url)
{
    return strncasecmp(url, "https://", strlen("https://")) == 0;
}

static enum aurabox_outcome read_lift(const struct aurabox_client *client, struct aurabox_lift *out,
                                      const struct json *answer, struct aurabox_reply *reply)
{
    const struct json *lift = json_get(answer, "lift");
    const struct {
        const char *name;
        char *to;
        size_t size;
        const struct json *value;
    } fields[] = {
        {"lift.endpoint", out->endpoint, sizeof out->endpoint, json_get(lift, "endpoint")},
        {"lift.token", out->token, sizeof out->token, json_get(lift, "token")},
        {"lift.bucket", out->bucket, sizeof out->bucket, json_get(lift, "bucket")},
        {"mode", out->mode, sizeof out->mode, json_get(answer, "mode")},
    };
    char host[300];
    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++) {
        const char *why = take_text(fields[i].to, fields[i].size, fields[i].value);
        if (why)
            return missing(client, fields[i].name, why, reply);
    }
    if (http_host_of(host, sizeof host, out->endpoint) != 0)
        return missing(client, "lift.endpoint", "no http or https URL", reply);
    if (is_https(client->destination->settings->api_base_url) && !is_https(out->endpoint))
        return missing(client, "lift.endpoint",
                       "not https, so the images would travel in the clear", reply);
    const struct json *assembly_id = json_get(lift, "assembly_id");
    if (json_text(assembly_id) && json_text(assembly_id)[0]) {
        const char *why = take_text(out->assembly_id, sizeof out->assembly_id, assembly_id);
        if (why)
            return missing(client, "lift.assembly_id", why, reply);
    }
    return AURABOX_OK;
}

enum aurabox_outcome aurabox_config(struct aurabox_client *client, struct aurabox_lift *out,
                                    struct aurabox_reply *reply)
{
    struct json *answer = NULL;
    memset(out, 0, sizeof *out);
    enum aurabox_outcome outcome =
        client_call(client, ENDPOINT_CONFIG, NULL, false, &answer, reply);
    if (outcome == AURABOX_OK)
        outcome = read_lift(client, out, answer, reply);
    json_free(answer);
    return outcome;
}

/* ---- init ---- */

/* The id is kept for the receipt; an answer without one is no reason to stop. */
static void read_study_id(char study_id[128], const struct json *answer)
{
    const struct json *id = json_get(json_first(json_get(answer, "studies")), "id");
    int64_t number = 0;
    if (json_text(id))
        (void)snprintf(study_id, 128, "%.127s", json_text(id));
    else if (json_int(id, &number) == 0)
        (void)snprintf(study_id, 128, "%" PRId64, number);
}

enum aurabox_outcome aurabox_init(struct aurabox_client *client, const struct json *body,
                                  bool repeated, char study_id[128], struct aurabox_reply *reply)
{
    struct json *answer = NULL;
    study_id[0] = '\0';
    enum aurabox_outcome outcome =
        client_call(client, ENDPOINT_INIT, body, repeated, &answer, reply);
    if (outcome == AURABOX_OK)
        read_study_id(study_id, answer);
    /* The text may be that of the token exchange on the way, which knows nothing of the body. */
    redact_patient_data(reply->text, body);
    json_free(answer);
    return outcome;
}

/* ---- the calls that carry ids alone ---- */

/* `name` null: no further field. */
static enum aurabox_outcome lifecycle(struct aurabox_client *client, enum endpoint_id id,
                                      const char *upload_id, const char *name, const char *value,
                                      bool repeated, struct aurabox_reply *reply)
{
    struct json *answer = NULL;
    struct json *request = json_new_object();
    enum aurabox_outcome outcome = AURABOX_RETRY;
    if (json_set_string(request, "upload_id", upload_id) != 0 ||
        (name && json_set_string(request, name, value) != 0) ||
        json_set_string(request, "mode", LIFECYCLE_MODE) != 0) {
        const struct client_call call = {.endpoint = endpoint_of(id)};
        struct reply_question question = client_question(client, &call);
        *reply = (struct aurabox_reply){.retry_after_ms = -1, .answered = true};
        outcome = reply_set(reply, &question, AURABOX_RETRY, "no memory for its body");
    } else {
        outcome = client_call(client, id, request, repeated, &answer, reply);
    }
    json_free(answer);
    json_free(request);
    return outcome;
}

enum aurabox_outcome aurabox_start(struct aurabox_client *client, const char *upload_id,
                                   const char *assembly_id, bool repeated,
                                   struct aurabox_reply *reply)
{
    return lifecycle(client, ENDPOINT_START, upload_id, "assembly_id", assembly_id, repeated,
                     reply);
}

enum aurabox_outcome aurabox_complete(struct aurabox_client *client, const char *upload_id,
                                      const char *assembly_id, bool repeated,
                                      struct aurabox_reply *reply)
{
    return lifecycle(client, ENDPOINT_COMPLETE, upload_id, "assembly_id", assembly_id, repeated,
                     reply);
}

enum aurabox_outcome aurabox_error(struct aurabox_client *client, const char *upload_id,
                                   const char *message, struct aurabox_reply *reply)
{
    return lifecycle(client, ENDPOINT_ERROR, upload_id, "message", message, false, reply);
}

enum aurabox_outcome aurabox_cancel(struct aurabox_client *client, const char *upload_id,
                                    struct aurabox_reply *reply)
{
    return lifecycle(client, ENDPOINT_CANCEL, upload_id, NULL, NULL, false, reply);
}
