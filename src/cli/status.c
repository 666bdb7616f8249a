/* `aurabridge status [--json|--metrics]`: what holds up each destination at this moment. With
 * --metrics in the text format of Prometheus, for a textfile collector. */
#include "command.h"

#include "aurabridge/units.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct status {
    struct json *destinations; /* a list */
    struct json *journal;
    bool ok;
    struct error err, closed, unsettled;
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
    struct status *status = context;
    const struct json *destination = json_get(line, "destination");
    if (destination)
        return json_append(status->destinations, json_copy(destination));
    const struct json *journal = json_get(line, "journal");
    if (journal && !status->journal) {
        status->journal = json_copy(journal);
        return status->journal ? 0 : -1;
    }
    status->ok = json_bool(json_get(line, "ok"));
    if (!status->ok)
        (void)error_set(&status->err, "%s", text_of(line, "error"));
    (void)error_set(&status->closed, "%s", text_of(line, "reception_closed"));
    command_tell_unsettled(line);
    (void)error_set(&status->unsettled, "%s", text_of(line, "unsettled"));
    return 0;
}

/* ---- for people ---- */

static const char *brake_words(const char *brake)
{
    static const struct {
        const char *brake, *words;
    } rows[] = {{"away", "it is away"},
                {"calls", "the rate limits: waiting for a call"},
                {"bytes", "the line: bytes are on their way"}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        if (strcmp(rows[i].brake, brake) == 0)
            return rows[i].words;
    }
    return "nothing";
}

static void print_destination(const struct json *destination)
{
    char rate[UNITS_TEXT_SIZE];
    char limit[UNITS_TEXT_SIZE];
    int64_t most = number_of(destination, "bytes_per_second_limit");
    int64_t next = number_of(destination, "next_call_in_s");
    units_format_rate(rate, (uint64_t)number_of(destination, "bytes_per_second"));
    units_format_rate(limit, (uint64_t)most);
    printf("%s: held up by %s\n", text_of(destination, "name"),
           brake_words(text_of(destination, "brake")));
    if (text_of(destination, "reason")[0])
        printf("  %s; next try at %s\n", text_of(destination, "reason"),
               text_of(destination, "next_try"));
    printf("  studies: %" PRId64 " waiting, %" PRId64 " in hand, %" PRId64 " sending\n",
           number_of(destination, "studies_waiting"), number_of(destination, "studies_in_hand"),
           number_of(destination, "uploads_sending"));
    printf("  calls: %" PRId64 " of %" PRId64 " left in this minute",
           number_of(destination, "calls_left"), number_of(destination, "calls_limit"));
    if (next > 0)
        printf(", the next one in %" PRId64 " s", next);
    printf("\n  bytes: %s%s%s\n", rate, most > 0 ? " of " : "", most > 0 ? limit : "");
}

/* ---- for machines ---- */

static const struct {
    const char *key, *name, *type, *help;
} metrics[] = {
    {"studies_waiting", "studies_waiting", "gauge", "Studies that wait to be delivered."},
    {"studies_in_hand", "studies_in_hand", "gauge", "Studies that a worker has in hand."},
    {"uploads_sending", "uploads_sending", "gauge", "Uploads whose bytes are on their way."},
    {"calls_limit", "calls_limit", "gauge", "Lifecycle calls in any 60 seconds."},
    {"calls_left", "calls_left", "gauge", "Lifecycle calls that are free now."},
    {"next_call_in_s", "next_call_seconds", "gauge", "Seconds until a lifecycle call is free."},
    {"waiting_for_calls", "waiting_for_calls", "gauge", "Workers that wait for a call."},
    {"bytes_per_second", "upload_bytes_per_second", "gauge", "Mean of the last seconds."},
    {"bytes_sent", "upload_bytes_total", "counter", "Bytes sent since the bridge began."},
};

/* Names are letters, digits, - and _: nothing to escape. */
static void print_metric(const struct json *destinations, size_t at)
{
    printf("# HELP aurabridge_%s %s\n# TYPE aurabridge_%s %s\n", metrics[at].name, metrics[at].help,
           metrics[at].name, metrics[at].type);
    for (const struct json *one = json_first(destinations); one; one = json_next(one))
        printf("aurabridge_%s{destination=\"%s\"} %" PRId64 "\n", metrics[at].name,
               text_of(one, "name"), number_of(one, metrics[at].key));
}

static void print_journal_metrics(const struct json *journal)
{
    static const struct {
        const char *key, *name, *help;
    } rows[] = {
        {"instances", "journal_instances", "Acknowledged ones that are not in study folders yet."},
        {"bytes", "journal_bytes", "What these take of the journal."},
        {"bytes_limit", "journal_bytes_limit", "What the journal may take: spool.journal."},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        printf("# HELP aurabridge_%s %s\n# TYPE aurabridge_%s gauge\naurabridge_%s %" PRId64 "\n",
               rows[i].name, rows[i].help, rows[i].name, rows[i].name,
               number_of(journal, rows[i].key));
}

static void print_metrics(const struct json *destinations)
{
    static const char *const brakes[] = {"none", "away", "calls", "bytes"};
    (void)fputs("# HELP aurabridge_brake What holds up a destination: 1 for the one that does.\n"
                "# TYPE aurabridge_brake gauge\n",
                stdout);
    for (const struct json *one = json_first(destinations); one; one = json_next(one)) {
        for (size_t i = 0; i < sizeof brakes / sizeof *brakes; i++)
            printf("aurabridge_brake{destination=\"%s\",brake=\"%s\"} %d\n", text_of(one, "name"),
                   brakes[i], strcmp(text_of(one, "brake"), brakes[i]) == 0);
    }
    for (size_t i = 0; i < sizeof metrics / sizeof *metrics; i++)
        print_metric(destinations, i);
}

static int set_reason(struct json *root, const char *key, const struct error *reason)
{
    return reason->text[0] ? json_set_string(root, key, reason->text) : json_set_null(root, key);
}

static int print_json(struct status *status)
{
    struct json *root = json_new_object();
    int failed = json_set(root, "destinations", json_copy(status->destinations));
    failed |= json_set(root, "journal", json_copy(status->journal));
    failed |= set_reason(root, "unsettled", &status->unsettled);
    failed |= set_reason(root, "reception_closed", &status->closed);
    char *text = failed ? NULL : json_print(root);
    failed |= !text || puts(text) < 0;
    free(text);
    json_free(root);
    return failed ? -1 : 0;
}

static int print_all(struct status *status, const struct command_line *line)
{
    if (option_flag(line, "json"))
        return print_json(status);
    if (option_flag(line, "metrics")) {
        print_metrics(status->destinations);
        print_journal_metrics(status->journal);
        return 0;
    }
    for (const struct json *one = json_first(status->destinations); one; one = json_next(one))
        print_destination(one);
    if (status->closed.text[0])
        printf("\nreception is closed: %s\n", status->closed.text);
    return 0;
}

static int ask(const struct config *config, struct status *status, struct error *err)
{
    struct json *request = json_new_object();
    status->destinations = json_new_array();
    int failed = -1;
    if (!status->destinations || json_set_string(request, "command", "status") != 0)
        (void)error_set(err, "out of memory");
    else
        failed = command_operate(config, request, take_line, status, err);
    json_free(request);
    return failed;
}

int command_status(int argc, char **argv)
{
    struct option_spec options[] = {OPTION_CONFIG, OPTION_SET,
                                    OPTION("json", NULL, "as JSON, for programs"),
                                    OPTION("metrics", NULL, "in the text format of Prometheus")};
    struct command_line line =
        COMMAND_LINE("aurabridge status [--config FILE] [--json|--metrics]", options);
    int exit_status = 0;
    if (command_line_read(&line, argc, argv, &exit_status) != 0)
        return exit_status;
    if (line.operand_count > 0)
        return command_misused(&line, "status takes no operand %s", line.operands[0]);
    struct config *config = NULL;
    struct error err;
    if (command_load_config_to_ask(&config, &line, &err) != 0)
        return command_failed(&err);
    struct status status = {.ok = false};
    int failed = ask(config, &status, &err);
    config_release(config);
    if (!failed && status.ok && print_all(&status, &line) != 0)
        failed = error_set(&err, "the status could not be shown");
    json_free(status.destinations);
    json_free(status.journal);
    if (failed)
        return command_failed(&err);
    return status.ok ? 0 : command_failed(&status.err);
}
