/* Reads fault texts and hands the faults out, first match first, each as often as it was asked for.
 * Does nothing by itself: the rooms that answer ask whether something stands in the way.
 */
#include "faults.h"

#include "text.h"

#include "aurabridge/sandbox.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_FIELDS 4

int sandbox_fault_help(FILE *out)
{
    static const char text[] =
        "A fault is [METHOD] [PATH][@STUDY]:ACTION[:TIMES], with the path below /api; the path of\n"
        "every Tus request is /files. STUDY is a Study Instance UID: only calls of its uploads.\n"
        "TIMES is 1 unless given, * for always; first match first.\n"
        "  POST /uploader/upload/init:503:2        answer 503 twice, without doing the work\n"
        "  POST /uploader/upload/complete:drop     do the work, then close without an answer\n"
        "  GET /uploader/config:html               answer 200 with a page of HTML\n"
        "  PATCH:cut:65536[:TIMES]                 cut the connection after so many body bytes\n"
        "  POST /auth/exchange:slow:1500[:TIMES]   answer after so many milliseconds\n"
        "  HEAD:404                                any method, any status\n"
        "  GET /uploader/config:truncate:20        do the work, close after so many bytes of the\n"
        "                                          answer's body\n"
        "  PATCH:endless                           answer 200 with a body that does not end\n"
        "  PATCH:drip:100                          the same, a byte in so many milliseconds\n"
        "  HEAD@1.2.3:hang:*                       no work and no answer until the peer gives up\n"
        "  PATCH:revoke                            the token of the call is not valid any more\n"
        "  POST /uploader/upload/start:forget      its upload was never announced; Tus has no "
        "file\n"
        "  tus-lose:1048576[:TIMES]                forget the upload once its offset got there\n"
        "  tus-rewind:1048576[:TIMES]              set its offset to 0 once it got there\n"
        "  config-without:endpoint[:TIMES]         or token, bucket, mode\n"
        "POST /sandbox/faults (X-Api-Key) adds those of its body, one a line, to a sandbox that "
        "runs;\n"
        "DELETE /sandbox/faults takes all away. Settings, for the start, without place or count:\n"
        "  retry-after:1                           seconds that 429 and 503 of faults say; 0: "
        "none\n"
        "  skew:+600                               the sandbox's clock is off by so many seconds\n"
        "  lift-ttl:5                              lift tokens live so many seconds\n"
        "  tus-expires:60                          uploads expire so many seconds after creation\n"
        "  tus-max-size:1048576                    Tus-Max-Size\n"
        "  tus-location:absolute                   Location with scheme and host\n"
        "  config-assembly:ID                      the config gives lift.assembly_id\n"
        "  token-prefix:xyz_                       upload tokens begin with this\n";
    return fputs(text, out) < 0 || fflush(out) != 0 ? -1 : 0;
}

void faults_init(struct faults *faults)
{
    *faults =
        (struct faults){.lift_ttl_s = 3600, .retry_after_s = 1, .tus_max_size = UINT64_C(1) << 40};
    (void)snprintf(faults->token_prefix, sizeof faults->token_prefix, "aubt_");
}

static int copy(char out[FAULT_TEXT_SIZE], const char *text)
{
    int length = snprintf(out, FAULT_TEXT_SIZE, "%s", text);
    return length > 0 && length < FAULT_TEXT_SIZE ? 0 : -1;
}

static int parse_times(uint64_t *out, const char *text)
{
    if (!text)
        *out = 1;
    else if (strcmp(text, "*") == 0)
        *out = UINT64_MAX;
    else
        return text_to_number(out, text) == 0 && *out > 0 ? 0 : -1;
    return 0;
}

static int parse_seconds(int64_t *out, const char *text)
{
    bool negative = *text == '-';
    uint64_t number;
    if (text_to_number(&number, text + (negative || *text == '+')) != 0 || number > 1000000000)
        return -1;
    *out = negative ? -(int64_t)number : (int64_t)number;
    return 0;
}

/* Settings: 1 when `field[0]` names one, 0 when not, -1 when its value is bad. */
static int parse_setting(struct faults *faults, char **field, size_t count)
{
    struct {
        const char *name;
        int64_t *seconds;
        char *text;
    } settings[] = {{"skew", &faults->skew_s, NULL},
                    {"lift-ttl", &faults->lift_ttl_s, NULL},
                    {"tus-expires", &faults->tus_expires_s, NULL},
                    {"retry-after", &faults->retry_after_s, NULL},
                    {"config-assembly", NULL, faults->assembly_id},
                    {"token-prefix", NULL, faults->token_prefix},
                    {"tus-max-size", NULL, NULL},
                    {"tus-location", NULL, NULL}};
    for (size_t i = 0; i < sizeof settings / sizeof settings[0]; i++) {
        if (strcmp(field[0], settings[i].name) != 0)
            continue;
        if (count != 2)
            return -1;
        if (settings[i].seconds)
            return parse_seconds(settings[i].seconds, field[1]) == 0 ? 1 : -1;
        if (settings[i].text)
            return copy(settings[i].text, field[1]) == 0 ? 1 : -1;
        if (strcmp(field[0], "tus-max-size") == 0)
            return text_to_number(&faults->tus_max_size, field[1]) == 0 ? 1 : -1;
        faults->absolute_location = strcmp(field[1], "absolute") == 0;
        return faults->absolute_location ? 1 : -1;
    }
    return 0;
}

static int parse_place(struct fault *fault, const char *place)
{
    (void)snprintf(fault->method, sizeof fault->method, "*");
    (void)snprintf(fault->path, sizeof fault->path, "*");
    size_t length = strcspn(place, " ");
    if (length > 0 && *place != '/') {
        if (length >= sizeof fault->method)
            return -1;
        memcpy(fault->method, place, length);
        fault->method[length] = '\0';
        place += length;
    }
    place += strspn(place, " ");
    return *place ? copy(fault->path, place) : 0;
}

/* What stands behind the "@" of the place, which is cut there. */
static int parse_study(struct fault *fault, char *place)
{
    char *at = strchr(place, '@');
    if (!at)
        return 0;
    *at++ = '\0';
    return *at && strlen(at) < sizeof fault->study &&
                   snprintf(fault->study, sizeof fault->study, "%s", at) > 0
               ? 0
               : -1;
}

/* The fields after the place: ACTION[:NUMBER][:TIMES]. */
static int parse_action(struct fault *fault, char **field, size_t count)
{
    static const struct {
        const char *name;
        enum fault_action action;
        bool number;
    } actions[] = {{"html", FAULT_HTML, false},        {"drop", FAULT_DROP, false},
                   {"cut", FAULT_CUT, true},           {"slow", FAULT_SLOW, true},
                   {"truncate", FAULT_TRUNCATE, true}, {"endless", FAULT_ENDLESS, false},
                   {"drip", FAULT_DRIP, true},         {"hang", FAULT_HANG, false},
                   {"revoke", FAULT_REVOKE, false},    {"forget", FAULT_FORGET, false}};
    if (count == 0)
        return -1;
    size_t used = 1;
    for (size_t i = 0; i < sizeof actions / sizeof actions[0]; i++) {
        if (strcmp(field[0], actions[i].name) != 0)
            continue;
        fault->action = actions[i].action;
        if (actions[i].number && (count < 2 || text_to_number(&fault->number, field[used++]) != 0))
            return -1;
    }
    if (fault->action == FAULT_NONE) {
        fault->action = FAULT_STATUS;
        if (text_to_number(&fault->number, field[0]) != 0 || fault->number < 200 ||
            fault->number > 599)
            return -1;
    }
    return count > used + 1 ? -1
                            : parse_times(&fault->remaining, count > used ? field[used] : NULL);
}

static int parse_fault(struct fault *fault, char **field, size_t count)
{
    static const struct {
        const char *name;
        enum fault_action action;
    } kinds[] = {{"tus-lose", FAULT_LOSE},
                 {"tus-rewind", FAULT_REWIND},
                 {"config-without", FAULT_CONFIG_WITHOUT}};
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        if (strcmp(field[0], kinds[i].name) != 0)
            continue;
        if (count < 2 || count > 3)
            return -1;
        fault->action = kinds[i].action;
        if (fault->action == FAULT_CONFIG_WITHOUT ? copy(fault->text, field[1]) != 0
                                                  : text_to_number(&fault->number, field[1]) != 0)
            return -1;
        return parse_times(&fault->remaining, count == 3 ? field[2] : NULL);
    }
    if (parse_study(fault, field[0]) != 0 || parse_place(fault, field[0]) != 0)
        return -1;
    return parse_action(fault, field + 1, count - 1);
}

static int add(struct faults *faults, const char *text, bool running, struct error *err)
{
    char copied[2 * FAULT_TEXT_SIZE];
    char *field[MAX_FIELDS];
    size_t count = 0;
    int length = snprintf(copied, sizeof copied, "%s", text);
    if (length < 0 || (size_t)length >= sizeof copied || faults->count == MAX_FAULTS)
        return error_set(err, "fault '%.60s' is too long, or one of more than %d", text,
                         MAX_FAULTS);
    for (char *p = copied; p; count++) {
        if (count == MAX_FIELDS)
            return error_set(err, "fault '%s' has more than %d parts", text, MAX_FIELDS);
        field[count] = p;
        p = strchr(p, ':');
        if (p)
            *p++ = '\0';
    }
    int setting = running ? 0 : parse_setting(faults, field, count);
    struct fault fault = {0};
    if (setting < 0 || (setting == 0 && parse_fault(&fault, field, count) != 0))
        return error_set(err, "fault '%s' is not understood; `sandbox --help` lists them", text);
    if (setting == 0)
        faults->list[faults->count++] = fault;
    return 0;
}

int faults_add(struct faults *faults, const char *text, struct error *err)
{
    return add(faults, text, false, err);
}

int faults_add_running(struct faults *faults, const char *text, struct error *err)
{
    return add(faults, text, true, err);
}

void faults_clear(struct faults *faults)
{
    faults->count = 0;
}

static struct fault take(struct fault *fault)
{
    if (fault->remaining != UINT64_MAX)
        fault->remaining--;
    return *fault;
}

static bool stands_in_the_way(const struct fault *fault)
{
    return fault->remaining > 0 && fault->action != FAULT_LOSE && fault->action != FAULT_REWIND &&
           fault->action != FAULT_CONFIG_WITHOUT;
}

struct fault faults_take(struct faults *faults, const char *method, const char *path,
                         const char *study)
{
    for (size_t i = 0; i < faults->count; i++) {
        struct fault *fault = &faults->list[i];
        if (!stands_in_the_way(fault) || (fault->study[0] && strcmp(fault->study, study) != 0))
            continue;
        if ((strcmp(fault->method, "*") == 0 || strcmp(fault->method, method) == 0) &&
            (strcmp(fault->path, "*") == 0 || strcmp(fault->path, path) == 0))
            return take(fault);
    }
    return (struct fault){.action = FAULT_NONE};
}

bool faults_take_at(struct faults *faults, enum fault_action action, uint64_t offset)
{
    for (size_t i = 0; i < faults->count; i++) {
        struct fault *fault = &faults->list[i];
        if (fault->action == action && fault->remaining > 0 && offset >= fault->number)
            return take(fault).action == action;
    }
    return false;
}

bool faults_take_without(struct faults *faults, const char *field)
{
    for (size_t i = 0; i < faults->count; i++) {
        struct fault *fault = &faults->list[i];
        if (fault->action == FAULT_CONFIG_WITHOUT && fault->remaining > 0 &&
            strcmp(fault->text, field) == 0)
            return take(fault).action == FAULT_CONFIG_WITHOUT;
    }
    return false;
}
