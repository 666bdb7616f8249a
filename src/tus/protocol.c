/* The pure part of Tus 1.0.0.
 *
 * Guarantees: every status and every failure has an answer; TUS_ACTION_SEND after a PATCH always
 * stands further on than the PATCH began, and TUS_ACTION_HALVE always leads to smaller bodies, so
 * that only actions that count as fruitless can repeat themselves. Does not do any I/O, and does
 * not count: the driver does.
 */
#include "protocol.h"

#include <string.h>
#include <strings.h>

/* ---- what an answer means, whatever was asked ---- */

static struct tus_decision end_with(enum tus_outcome outcome, const char *reason)
{
    return (struct tus_decision){.action = TUS_ACTION_END, .outcome = outcome, .reason = reason};
}

static struct tus_decision go_with(enum tus_action action, const char *reason)
{
    return (struct tus_decision){.action = action, .outcome = TUS_RETRY, .reason = reason};
}

#define NOT_TUS                                                                                    \
    "this is no Tus server's answer; a proxy or captive portal stands in between, or the lift "    \
    "endpoint is wrong"

#define LOOK_IN_BETWEEN "look for a proxy or captive portal in between"

struct failure_row {
    enum http_failure failure;
    enum tus_action action;
    enum tus_outcome outcome;
    const char *reason;
};

static const struct failure_row failures[] = {
    {HTTP_UNREACHABLE, TUS_ACTION_WAIT, TUS_RETRY, "the connection failed"},
    {HTTP_TIMEOUT, TUS_ACTION_WAIT, TUS_RETRY, "no answer in time"},
    {HTTP_TOO_LARGE, TUS_ACTION_WAIT, TUS_RETRY,
     "the answer was longer than a Tus server's; " LOOK_IN_BETWEEN},
    {HTTP_TLS, TUS_ACTION_END, TUS_DESTINATION, "TLS failed"},
    {HTTP_READ_FAILED, TUS_ACTION_END, TUS_RETRY, "the archive could not be read"},
    {HTTP_CANCELLED, TUS_ACTION_END, TUS_STOPPED, "stopped"},
    {HTTP_LOCAL, TUS_ACTION_END, TUS_RETRY, "the request could not be made"},
};

/* What never came to the server says nothing about the upload. */
static bool is_away(const struct tus_answer *answer)
{
    return !answer->reached &&
           (answer->failure == HTTP_UNREACHABLE || answer->failure == HTTP_TIMEOUT);
}

static struct tus_decision after_failure(const struct tus_answer *answer)
{
    enum http_failure failure = answer->failure;
    for (size_t i = 0; i < sizeof failures / sizeof failures[0]; i++) {
        const struct failure_row *row = &failures[i];
        if (row->failure == failure)
            return (struct tus_decision){.action = row->action,
                                         .outcome = is_away(answer) ? TUS_AWAY : row->outcome,
                                         .reason = row->reason};
    }
    return end_with(TUS_RETRY, "the request failed in an unknown way");
}

/* Statuses that mean the same for every question. The first match counts; `from` ≤ status ≤ `to`.
 */
struct status_row {
    int from, to;
    enum tus_action action;
    enum tus_outcome outcome;
    const char *reason;
};

static const struct status_row statuses[] = {
    {300, 399, TUS_ACTION_END, TUS_DESTINATION,
     "it redirects, which Tus does not; correct the lift endpoint, or look for a proxy or captive "
     "portal in between"},
    {400, 400, TUS_ACTION_WAIT, TUS_RETRY, "the request broke off or was not understood"},
    {407, 407, TUS_ACTION_END, TUS_DESTINATION, "the proxy wants credentials"},
    {408, 408, TUS_ACTION_WAIT, TUS_RETRY, "the server waited too long for the request"},
    {412, 412, TUS_ACTION_END, TUS_DESTINATION, "the server does not speak Tus " TUS_VERSION},
    {423, 423, TUS_ACTION_WAIT, TUS_RETRY, "the upload is locked by another request"},
    {425, 425, TUS_ACTION_WAIT, TUS_RETRY, "the server takes no early request"},
    {429, 429, TUS_ACTION_WAIT, TUS_AWAY, "too many requests"},
    {505, 505, TUS_ACTION_END, TUS_DESTINATION, "the server does not take HTTP/1.1"},
    {511, 511, TUS_ACTION_END, TUS_DESTINATION, "a captive portal wants a login"},
    {500, 599, TUS_ACTION_WAIT, TUS_RETRY, "the server failed for the moment"},
};

static struct tus_decision after_status(int status)
{
    for (size_t i = 0; i < sizeof statuses / sizeof statuses[0]; i++) {
        const struct status_row *row = &statuses[i];
        if (status >= row->from && status <= row->to)
            return (struct tus_decision){
                .action = row->action, .outcome = row->outcome, .reason = row->reason};
    }
    return end_with(TUS_DESTINATION, "this answer has no meaning in Tus; check the lift endpoint");
}

static bool is_success(int status)
{
    return status >= 200 && status <= 299;
}

/* 401 and 403 while no upload is at stake, or the token is stale. */
static struct tus_decision after_refusal(const struct tus_asked *asked, int status)
{
    if (!asked->token_renewed)
        return end_with(TUS_RENEW_TOKEN, "the lift token is not accepted");
    if (status == 403 &&
        (asked->question == TUS_QUESTION_OFFSET || asked->question == TUS_QUESTION_SEND))
        return end_with(TUS_GONE, "the upload is refused to a fresh lift token");
    return end_with(TUS_DESTINATION, "a fresh lift token is not accepted; check the lift endpoint "
                                     "and the service API key's rights");
}

/* ---- one question each ---- */

static struct tus_decision after_create(const struct tus_asked *asked,
                                        const struct tus_answer *answer)
{
    switch (answer->status) {
    case 201:
        if (!answer->has_location)
            return end_with(TUS_DESTINATION, "it named no usable Location for the upload");
        if (asked->secure && answer->location_insecure)
            return end_with(TUS_DESTINATION,
                            "its Location is not https, so the lift token would travel in the "
                            "clear; the Tus server must be told that it stands behind TLS");
        return (struct tus_decision){.action = TUS_ACTION_SEND};
    case 404:
    case 405:
    case 410:
        return end_with(TUS_DESTINATION, "there is no Tus creation here; check the lift endpoint");
    case 409:
    case 422:
        return end_with(TUS_RETRY, "it refuses to make this upload: ask Aurabox whether it was "
                                   "ended there; cancel and retry sends it as a new one");
    case 413:
        return end_with(TUS_TOO_LARGE, "the upload is longer than the server takes");
    default:
        return is_success(answer->status) ? end_with(TUS_DESTINATION, NOT_TUS)
                                          : after_status(answer->status);
    }
}

/* The server's figure, from HEAD. */
static struct tus_decision after_figure(const struct tus_asked *asked,
                                        const struct tus_answer *answer)
{
    if (!answer->speaks_tus && !answer->has_offset)
        return end_with(TUS_DESTINATION, NOT_TUS);
    if (!answer->has_offset)
        return go_with(TUS_ACTION_WAIT, "it named no Upload-Offset");
    if (answer->has_length && answer->length != asked->length)
        return end_with(TUS_GONE, "the upload there has another length than ours");
    if (answer->offset > asked->length)
        return end_with(TUS_GONE, "its Upload-Offset lies beyond the upload's length");
    if (answer->offset == asked->length)
        return (struct tus_decision){
            .action = TUS_ACTION_END, .outcome = TUS_DONE, .offset = answer->offset};
    if (answer->expired)
        return end_with(TUS_GONE, "the upload has expired there");
    return (struct tus_decision){.action = TUS_ACTION_SEND, .offset = answer->offset};
}

static struct tus_decision after_offset(const struct tus_asked *asked,
                                        const struct tus_answer *answer)
{
    switch (answer->status) {
    case 200:
    case 204:
        return after_figure(asked, answer);
    case 404:
    case 410:
        return end_with(TUS_GONE, "the upload is not there any more");
    default:
        return is_success(answer->status) ? end_with(TUS_DESTINATION, NOT_TUS)
                                          : after_status(answer->status);
    }
}

/* A PATCH was taken. Only a figure that lies within what was sent is believed; HEAD settles the
 * others. */
static struct tus_decision after_acknowledgement(const struct tus_asked *asked,
                                                 const struct tus_answer *answer)
{
    if (!answer->speaks_tus && !answer->has_offset && answer->status != 204)
        return end_with(TUS_DESTINATION, NOT_TUS);
    if (!answer->has_offset)
        return go_with(TUS_ACTION_ASK, "it acknowledged without an Upload-Offset");
    if (answer->offset <= asked->offset)
        return go_with(TUS_ACTION_ASK, "it acknowledged no byte of what was sent");
    if (answer->offset > asked->length || answer->offset - asked->offset > asked->sent)
        return go_with(TUS_ACTION_ASK, "it acknowledged more than was sent");
    if (answer->offset == asked->length)
        return (struct tus_decision){
            .action = TUS_ACTION_END, .outcome = TUS_DONE, .offset = answer->offset};
    if (answer->expired)
        return end_with(TUS_GONE, "the upload has expired there");
    return (struct tus_decision){.action = TUS_ACTION_SEND, .offset = answer->offset};
}

static struct tus_decision after_send(const struct tus_asked *asked,
                                      const struct tus_answer *answer)
{
    switch (answer->status) {
    case 404:
    case 410:
        return end_with(TUS_GONE, "the upload is not there any more");
    case 405:
    case 501:
        if (!asked->overrides)
            return go_with(TUS_ACTION_OVERRIDE, "PATCH is not let through");
        return end_with(TUS_DESTINATION, "PATCH is not let through, nor a POST in its place; look "
                                         "for a proxy in between");
    case 409:
        return go_with(TUS_ACTION_ASK, "it stands at another offset");
    case 413:
        if (tus_smaller_chunk(asked->sent, asked->first) > 0)
            return go_with(TUS_ACTION_HALVE, "the chunk is too large for it");
        return end_with(TUS_TOO_LARGE, "even the smallest chunk is too large for it; raise the "
                                       "request size limit of the server or the proxy before it");
    case 460:
        return go_with(TUS_ACTION_RESEND, "the chunk arrived damaged");
    default:
        return is_success(answer->status) ? after_acknowledgement(asked, answer)
                                          : after_status(answer->status);
    }
}

static struct tus_decision after_terminate(const struct tus_answer *answer)
{
    if (is_success(answer->status) || answer->status == 404 || answer->status == 410)
        return end_with(TUS_DONE, NULL);
    return after_status(answer->status);
}

/* A gateway's error page is HTML too, and no reason to doubt the endpoint; a page where Tus should
 * have answered is. */
static bool is_foreign_page(const struct tus_answer *answer)
{
    return answer->is_html && !answer->speaks_tus &&
           (is_success(answer->status) || answer->status == 401 || answer->status == 403);
}

struct tus_decision tus_next(const struct tus_asked *asked, const struct tus_answer *answer)
{
    if (answer->failure != HTTP_OK)
        return after_failure(answer);
    if (is_foreign_page(answer))
        return end_with(TUS_DESTINATION, NOT_TUS);
    if (answer->status == 401 || answer->status == 403)
        return after_refusal(asked, answer->status);

    struct tus_decision decision = end_with(TUS_RETRY, "unknown question");
    switch (asked->question) {
    case TUS_QUESTION_CREATE:
        decision = after_create(asked, answer);
        break;
    case TUS_QUESTION_OFFSET:
        decision = after_offset(asked, answer);
        break;
    case TUS_QUESTION_SEND:
        decision = after_send(asked, answer);
        break;
    case TUS_QUESTION_TERMINATE:
        decision = after_terminate(answer);
        break;
    }
    if (decision.action == TUS_ACTION_WAIT && answer->retry_after_ms > TUS_PATIENCE_MS)
        decision.action = TUS_ACTION_END;
    return decision;
}

/* ---- small parsers ---- */

uint64_t tus_smaller_chunk(uint64_t sent, uint64_t first)
{
    uint64_t smallest = first > 0 && first < TUS_SMALLEST_CHUNK ? first : TUS_SMALLEST_CHUNK;
    uint64_t half = sent / 2;
    return sent <= smallest ? 0 : half > smallest ? half : smallest;
}

bool tus_refuses_creation(int status)
{
    static const int others[] = {401, 407, 408, 413, 423, 425, 429}; /* of token, way, size, pace */
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        if (status == others[i])
            return false;
    }
    return status >= 400 && status <= 499;
}

bool tus_list_names(const char *list, const char *item)
{
    size_t wanted = strlen(item);
    while (*list != '\0') {
        list += strspn(list, " \t,");
        size_t length = strcspn(list, " \t,");
        if (length == wanted && strncasecmp(list, item, length) == 0)
            return true;
        list += length;
    }
    return false;
}

int tus_parse_figure(uint64_t *out, const char *text)
{
    uint64_t figure = 0;
    if (*text == '\0')
        return -1;
    for (; *text != '\0'; text++) {
        if (*text < '0' || *text > '9')
            return -1;
        uint64_t digit = (uint64_t)(*text - '0');
        if (figure > (UINT64_MAX - digit) / 10)
            return -1;
        figure = figure * 10 + digit;
    }
    *out = figure;
    return 0;
}
