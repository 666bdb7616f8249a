/* Classification of replies.
 *
 * Guarantees that every status and every failure has an outcome, that only JSON from the API can
 * condemn a study (a proxy's page never does), and that `answered` is true only where it is known
 * whether the call had its effect. Does not decide when to call again. */
#include "reply.h"

#include "failure_text.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#define MAX_SKEW_MS        120000
#define MAX_RETRY_AFTER_MS 3600000 /* a server may not silence us for longer than an hour */
#define SERVER_TEXT_SIZE   300

static enum aurabox_outcome set_text(struct aurabox_reply *out,
                                     const struct reply_question *question,
                                     enum aurabox_outcome outcome, const char *format,
                                     va_list arguments)
{
    char text[sizeof out->text];
    (void)vsnprintf(text, sizeof text, format, arguments);
    out->outcome = outcome;
    int length = snprintf(out->text, sizeof out->text, "%s at %.150s: %s", question->endpoint->name,
                          question->base_url, text);
    if (length >= (int)sizeof out->text) {
        /* The cut may not leave half a character. */
        size_t end = sizeof out->text - 1;
        while (end > 0 && ((unsigned char)out->text[end - 1] & 0xC0) == 0x80)
            end--;
        if (end > 0 && (unsigned char)out->text[end - 1] >= 0xC0)
            out->text[end - 1] = '\0';
    }
    return outcome;
}

enum aurabox_outcome reply_set(struct aurabox_reply *out, const struct reply_question *question,
                               enum aurabox_outcome outcome, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    (void)set_text(out, question, outcome, format, arguments);
    va_end(arguments);
    return outcome;
}

/* ---- no answer ---- */

static enum aurabox_outcome after_failure(struct aurabox_reply *out,
                                          const struct reply_question *question,
                                          const struct http_reply *reply, const char *failure)
{
    out->answered = !reply->sent;
    switch (reply->failure) {
    case HTTP_CANCELLED:
        return reply_set(out, question, AURABOX_STOPPED, "%s", failure);
    case HTTP_TLS:
        return reply_set(out, question, AURABOX_DESTINATION, "%s", failure);
    case HTTP_TOO_LARGE:
        return reply_set(out, question, AURABOX_DESTINATION,
                         "%s; this is not Aurabox: look for a captive portal or proxy, or correct "
                         "api_base_url",
                         failure);
    case HTTP_OK:
    case HTTP_UNREACHABLE:
    case HTTP_TIMEOUT:
    case HTTP_READ_FAILED:
    case HTTP_LOCAL:
        break;
    }
    return reply_set(out, question, AURABOX_RETRY, "%s", failure);
}

/* ---- an answer that is none of Aurabox's ---- */

static bool is_html(const struct http_reply *reply)
{
    char type[128];
    if (http_reply_header(reply, "Content-Type", type, sizeof type) == 0 &&
        (strncasecmp(type, "text/html", 9) == 0 || strncasecmp(type, "application/xhtml", 17) == 0))
        return true;
    const char *text = reply->body.data;
    return text[strspn(text, " \t\r\n")] == '<';
}

static enum aurabox_outcome not_aurabox(struct aurabox_reply *out,
                                        const struct reply_question *question,
                                        const struct http_reply *reply)
{
    return reply_set(out, question, AURABOX_DESTINATION,
                     "answered %d with %s instead of JSON: a captive portal or proxy stands "
                     "between, or api_base_url is wrong",
                     out->status,
                     is_html(reply)            ? "a web page"
                     : reply->body.length == 0 ? "an empty body"
                                               : "something");
}

/* ---- refusals ---- */

/* A validator's way to say that it knows the upload_id already, or does not know it. */
static bool is_about_upload_id(int status, const struct json *body)
{
    return status == 422 && json_get(json_get(body, "errors"), "upload_id");
}

/* The call was made before, and this is what came of it. */
static bool is_conflict(const struct reply_question *question, int status, bool about_upload_id)
{
    if (!question->repeated)
        return false;
    if (question->endpoint == endpoint_of(ENDPOINT_INIT))
        return status == 409 || about_upload_id;
    if (question->endpoint == endpoint_of(ENDPOINT_START))
        return status == 409 || (status == 422 && !about_upload_id);
    return status == 404 || status == 409 || status == 410 || status == 422;
}

static bool is_forgotten(const struct reply_question *question, int status, bool about_upload_id)
{
    return question->endpoint->of_announced && (status == 404 || status == 410 || about_upload_id);
}

static bool clocks_differ(const struct reply_question *question, const struct http_reply *reply)
{
    int64_t apart = reply->date_ms - question->now_ms;
    bool refused = reply->status == 400 || reply->status == 401 || reply->status == 403;
    /* Only a signed call carries our time. */
    return refused && !question->endpoint->scope && reply->date_ms != 0 &&
           (apart > MAX_SKEW_MS || apart < -MAX_SKEW_MS);
}

static enum aurabox_outcome clock_skew(struct aurabox_reply *out,
                                       const struct reply_question *question,
                                       const struct http_reply *reply)
{
    char here[CLOCK_RFC3339_SIZE];
    char there[CLOCK_RFC3339_SIZE];
    clock_format_rfc3339(here, question->now_ms);
    clock_format_rfc3339(there, reply->date_ms);
    return reply_set(out, question, AURABOX_DESTINATION,
                     "refused with %d: the clocks differ, here it is %s, at the server %s; set "
                     "this machine's clock (NTP)",
                     out->status, here, there);
}

struct status_row {
    int from, to;
    enum aurabox_outcome outcome;
    bool uncertain;     /* the call may have had its effect */
    const char *remedy; /* null: none */
};

/* The first match counts. 400 and 422 are looked at before. */
static const struct status_row statuses[] = {
    {300, 399, AURABOX_DESTINATION, false,
     "it redirects, which the API does not: correct api_base_url, or look for a captive portal"},
    {401, 401, AURABOX_DESTINATION, false,
     "check app_id, app_secret and service_api_key of the destination"},
    {403, 403, AURABOX_DESTINATION, false,
     "check that service_api_key and app_id belong together and that the app may upload"},
    {404, 404, AURABOX_DESTINATION, false, "check api_base_url"},
    {405, 405, AURABOX_DESTINATION, false, "check api_base_url"},
    {407, 407, AURABOX_DESTINATION, false, "the proxy asks for credentials: check HTTPS_PROXY"},
    {408, 408, AURABOX_RETRY, true, NULL},
    {410, 410, AURABOX_DESTINATION, false, "check api_base_url"},
    {413, 413, AURABOX_RETRY, false,
     "raise the request size limit of the server or the proxy before it"},
    {429, 429, AURABOX_RETRY, false,
     "no call before it takes some again; when this goes on, lower the destination's limits"},
    {400, 499, AURABOX_RETRY, false, NULL},
    {511, 511, AURABOX_DESTINATION, false, "a captive portal wants a login"},
    {500, 599, AURABOX_RETRY, true, NULL},
};

static enum aurabox_outcome by_status(struct aurabox_reply *out,
                                      const struct reply_question *question, const char *text)
{
    static const struct status_row unknown = {0, 0, AURABOX_RETRY, true, NULL};
    const struct status_row *row = &unknown;
    for (size_t i = 0; i < sizeof statuses / sizeof statuses[0]; i++) {
        if (out->status >= statuses[i].from && out->status <= statuses[i].to) {
            row = &statuses[i];
            break;
        }
    }
    out->answered = !row->uncertain;
    return reply_set(out, question, row->outcome, "HTTP %d%s%s%s%s", out->status, *text ? ": " : "",
                     text, row->remedy ? "; " : "", row->remedy ? row->remedy : "");
}

static enum aurabox_outcome refused(struct aurabox_reply *out,
                                    const struct reply_question *question,
                                    const struct http_reply *reply, const struct json *body)
{
    char text[SERVER_TEXT_SIZE];
    int status = out->status;
    bool of_api = json_is_object(body);
    bool about_upload_id = is_about_upload_id(status, body);
    failure_text_read(text, sizeof text, body, &question->sent);
    if (clocks_differ(question, reply))
        return clock_skew(out, question, reply);
    if (of_api && is_conflict(question, status, about_upload_id))
        return reply_set(out, question, AURABOX_CONFLICT, "HTTP %d to a repeated call%s%s", status,
                         *text ? ": " : "", text);
    if (of_api && is_forgotten(question, status, about_upload_id))
        return reply_set(out, question, AURABOX_FORGOTTEN,
                         "HTTP %d%s%s; it does not know the upload, though it took `init` for it",
                         status, *text ? ": " : "", text);
    if (status == 400 || status == 422) {
        if (!of_api)
            return not_aurabox(out, question, reply);
        return reply_set(out, question,
                         question->endpoint->of_study ? AURABOX_REJECTED : AURABOX_DESTINATION,
                         "HTTP %d%s%s", status, *text ? ": " : "", text);
    }
    return by_status(out, question, text);
}

/* ---- all ---- */

static enum aurabox_outcome accepted(struct aurabox_reply *out,
                                     const struct reply_question *question,
                                     const struct http_reply *reply, const struct json *body)
{
    bool foreign = question->endpoint->answers_json ? !json_is_object(body) : is_html(reply);
    if (foreign) {
        out->answered = false; /* whoever took the call, Aurabox may not have seen it */
        return not_aurabox(out, question, reply);
    }
    out->outcome = AURABOX_OK;
    return AURABOX_OK;
}

enum aurabox_outcome reply_read(struct aurabox_reply *out, struct json **body,
                                const struct reply_question *question,
                                const struct http_reply *reply, const char *failure)
{
    *body = NULL;
    *out = (struct aurabox_reply){.status = reply->status,
                                  .retry_after_ms = reply->retry_after_ms < MAX_RETRY_AFTER_MS
                                                        ? reply->retry_after_ms
                                                        : MAX_RETRY_AFTER_MS,
                                  .answered = true};
    if (reply->failure != HTTP_OK)
        return after_failure(out, question, reply, failure);
    struct json *parsed = NULL;
    (void)json_parse(&parsed, reply->body.data, reply->body.length, NULL);
    if (out->status < 200 || out->status > 299)
        (void)refused(out, question, reply, parsed);
    else if (accepted(out, question, reply, parsed) == AURABOX_OK) {
        *body = parsed;
        return AURABOX_OK;
    }
    json_free(parsed);
    return out->outcome;
}
