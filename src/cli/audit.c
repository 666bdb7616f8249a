/* `aurabridge audit [--json]`: every acknowledged instance recounted, and what does not add up.
 * Exit 0 when everything does. */
#include "command.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct showing {
    struct json *findings; /* in the order they came */
    struct json *audit;
    bool ok;
    struct error err;
};

static int64_t number_of(const struct json *object, const char *key)
{
    int64_t number = 0;
    return json_int(json_get(object, key), &number) == 0 ? number : 0;
}

static const char *text_of(const struct json *object, const char *key)
{
    const char *text = json_text(json_get(object, key));
    return text ? text : "";
}

static int take_line(void *context, const struct json *line)
{
    struct showing *showing = context;
    const struct json *finding = json_get(line, "finding");
    const struct json *audit = json_get(line, "audit");
    if (finding)
        return json_append(showing->findings, json_copy(finding));
    if (audit) {
        json_free(showing->audit);
        showing->audit = json_copy(audit);
        return showing->audit ? 0 : -1;
    }
    command_tell_unsettled(line);
    showing->ok = json_bool(json_get(line, "ok"));
    if (!showing->ok)
        (void)error_set(&showing->err, "%s", text_of(line, "error"));
    return 0;
}

/* "waiting" has several states behind it: which. */
static void print_states(const struct json *states)
{
    static const char *const waiting[] = {"validating", "unrouted", "ready",
                                          "packaging",  "failed",   "cancelled"};
    const char *separator = "   ";
    for (size_t i = 0; i < sizeof waiting / sizeof *waiting; i++) {
        int64_t count = number_of(states, waiting[i]);
        if (count > 0) {
            printf("%s%" PRId64 " %s", separator, count, waiting[i]);
            separator = ", ";
        }
    }
}

static void print_places(const struct json *audit)
{
    static const struct {
        const char *key, *words;
    } places[] = {
        {"receiving", "receiving"},
        {"waiting", "waiting"},
        {"uploading", "uploading"},
        {"quarantined", "quarantined"},
        {"completed", "completed"},
        {"superseded", "superseded"},
        {"resends", "resends"},
        {"swallowed_resends", "swallowed resends"},
        {"dropped_by_rule", "dropped by rule"},
        {"discarded", "discarded"},
    };
    printf("%-20s %12" PRId64 "\n", "acknowledged", number_of(audit, "acknowledged"));
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        printf("  %-18s %12" PRId64, places[i].words,
               number_of(json_get(audit, "places"), places[i].key));
        if (strcmp(places[i].key, "waiting") == 0)
            print_states(json_get(audit, "stored_by_state"));
        (void)putchar('\n');
    }
    printf("%-20s %12" PRId64 "\n", "found", number_of(audit, "found"));
}

static void print_rest(const struct json *audit)
{
    const struct json *receipts = json_get(audit, "receipts");
    int64_t arriving = number_of(audit, "files_arriving");
    printf("\n%" PRId64 " studies. %" PRId64 " files are named by rows, %" PRId64
           " are in the spool.\n",
           number_of(audit, "studies"), number_of(audit, "files_named"),
           number_of(audit, "files_there"));
    if (arriving > 0)
        printf("%" PRId64 " files are still being received.\n", arriving);
    if (number_of(audit, "trimmed") > 0)
        printf("%" PRId64 " instances went with their studies' rows after retention.receipts.\n",
               number_of(audit, "trimmed"));
    if (number_of(receipts, "count") > 0)
        printf("Receipts %" PRId64 " to %" PRId64 "; the last has SHA-256 %s.\n",
               number_of(receipts, "first"), number_of(receipts, "last"),
               text_of(receipts, "sha256"));
}

static void print_for_people(const struct showing *showing)
{
    int64_t count = number_of(showing->audit, "findings_count");
    print_places(showing->audit);
    print_rest(showing->audit);
    if (count == 0) {
        (void)puts("Everything adds up.");
        return;
    }
    printf("%" PRId64 " %s not add up:\n", count, count == 1 ? "thing does" : "things do");
    for (const struct json *at = json_first(showing->findings); at; at = json_next(at)) {
        const char *study = text_of(at, "study");
        printf("  %s%s%s\n", study, study[0] ? ": " : "", text_of(at, "text"));
    }
    int64_t told = (int64_t)json_size(showing->findings);
    if (told < count)
        printf("  and %" PRId64 " more\n", count - told);
}

static int print_json(struct showing *showing)
{
    if (json_set(showing->audit, "findings", json_copy(showing->findings)) != 0)
        return -1;
    char *text = json_print_pretty(showing->audit);
    int written = text ? puts(text) : -1;
    free(text);
    return written < 0 ? -1 : 0;
}

static int show(struct showing *showing, bool as_json, struct error *err)
{
    if (!showing->ok)
        return error_set(err, "%s", showing->err.text);
    if (!showing->audit)
        return error_set(err, "the answer has no figures");
    if (!as_json)
        print_for_people(showing);
    else if (print_json(showing) != 0)
        return error_set(err, "the audit could not be written");
    return 0;
}

int command_audit(int argc, char **argv)
{
    struct option_spec options[] = {OPTION_CONFIG, OPTION_SET,
                                    OPTION("json", NULL, "as JSON, for programs")};
    struct command_line line = COMMAND_LINE("aurabridge audit [--config FILE] [--json]", options);
    int status = 0;
    if (command_line_read(&line, argc, argv, &status) != 0)
        return status;
    if (line.operand_count > 0)
        return command_misused(&line, "audit takes no operand");
    struct config *config = NULL;
    struct error err;
    if (command_load_config_to_ask(&config, &line, &err) != 0)
        return command_failed(&err);
    struct showing showing = {.findings = json_new_array()};
    struct json *request = json_new_object();
    int failed = !showing.findings || json_set_string(request, "command", "audit") != 0
                     ? error_set(&err, "out of memory")
                     : command_operate_recovered(config, request, take_line, &showing, &err);
    if (!failed)
        failed = show(&showing, option_flag(&line, "json"), &err);
    bool adds_up = json_bool(json_get(showing.audit, "adds_up"));
    json_free(request);
    json_free(showing.findings);
    json_free(showing.audit);
    config_release(config);
    if (failed)
        return command_failed(&err);
    return adds_up ? 0 : EXIT_FAILED;
}
