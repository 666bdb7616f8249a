/* `aurabridge studies [--json] [STUDY]`: the list, or one study with all that is known of it. */
#include "command.h"

#include "aurabridge/units.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct listing {
    bool as_json, details, ended, ok;
    uint64_t count;
    struct error closed;    /* why senders are refused for now, or "" */
    struct error unsettled; /* why what was acknowledged may be missing, or "" */
    struct error err;
};

static const char *text_of(const struct json *study, const char *key)
{
    const char *text = json_text(json_get(study, key));
    return text ? text : "";
}

static int64_t number_of(const struct json *study, const char *key)
{
    int64_t number = 0;
    return json_int(json_get(study, key), &number) == 0 ? number : 0;
}

static int print_json(struct listing *listing, const struct json *study)
{
    char *text = json_print(study);
    if (!text)
        return -1;
    int written = printf("%s%s", listing->count > 0 ? ",\n" : "", text);
    free(text);
    return written < 0 ? -1 : 0;
}

/* Rounded down: 100 % is all of it. */
static double percent(int64_t part, int64_t whole)
{
    double figure = 100.0 * (double)part / (double)whole;
    return (double)(int64_t)figure;
}

static void print_progress(const struct json *study, char *out, size_t size)
{
    int64_t length = number_of(study, "upload_length");
    int64_t sent = number_of(study, "upload_sent");
    int64_t acknowledged = number_of(study, "upload_offset");
    out[0] = '\0';
    if (strcmp(text_of(study, "state"), "uploading") != 0 || length <= 0)
        return;
    if (sent > acknowledged)
        (void)snprintf(out, size, "%.0f%% sent, %.0f%% acknowledged. ", percent(sent, length),
                       percent(acknowledged, length));
    else
        (void)snprintf(out, size, "%.0f%% acknowledged. ", percent(acknowledged, length));
}

static void print_extras(const struct json *study)
{
    static const struct {
        const char *key, *words;
    } extras[] = {
        {"dropped_by_rule", "dropped by rule"},
        {"superseded", "superseded"},
        {"resends", "identical resends"},
        {"swallowed_resends", "swallowed resends"},
        {"discarded", "discarded"},
        {"truncated", "truncated"},
    };
    if (json_bool(json_get(study, "cancel_requested")))
        printf(" [being cancelled]");
    for (size_t i = 0; i < sizeof extras / sizeof *extras; i++) {
        int64_t count = number_of(study, extras[i].key);
        if (count > 0)
            printf(" [%" PRId64 " %s]", count, extras[i].words);
    }
}

static void print_row(struct listing *listing, const struct json *study)
{
    char size[UNITS_TEXT_SIZE];
    char progress[64];
    if (listing->count == 0)
        printf("%-6s %-11s %9s %11s  %-14s %-20s %s\n", "STUDY", "STATE", "INSTANCES", "SIZE",
               "DESTINATION", "LAST RECEIVED (UTC)", "STUDY INSTANCE UID / WHY");
    units_format_size(size, (uint64_t)number_of(study, "bytes"));
    print_progress(study, progress, sizeof progress);
    printf("%-6s %-11s %9" PRId64 " %11s  %-14s %.19s  %s", text_of(study, "id"),
           text_of(study, "state"), number_of(study, "instances"), size,
           text_of(study, "destination")[0] ? text_of(study, "destination") : "-",
           text_of(study, "last_received"), text_of(study, "study_instance_uid"));
    const char *supplement = text_of(study, "supplement_of");
    if (supplement[0])
        printf(" (supplement of %s)", supplement);
    print_extras(study);
    if (progress[0] || text_of(study, "reason")[0])
        printf("\n       %s%s", progress, text_of(study, "reason"));
    if (text_of(study, "warning")[0])
        printf("\n       warning: %s", text_of(study, "warning"));
    (void)putchar('\n');
}

static int print_details(const struct json *study)
{
    char *text = json_print_pretty(study);
    if (!text)
        return -1;
    int written = puts(text);
    free(text);
    return written < 0 ? -1 : 0;
}

static int take_line(void *context, const struct json *line)
{
    struct listing *listing = context;
    const struct json *study = json_get(line, "study");
    int failed = 0;
    if (!study) {
        listing->ok = json_bool(json_get(line, "ok"));
        (void)error_set(&listing->closed, "%s", text_of(line, "reception_closed"));
        command_tell_unsettled(line);
        (void)error_set(&listing->unsettled, "%s", text_of(line, "unsettled"));
        if (!listing->ok)
            (void)error_set(&listing->err, "%s", text_of(line, "error"));
        return 0;
    }
    if (listing->as_json)
        failed = print_json(listing, study);
    else if (listing->details)
        failed = print_details(study);
    else
        print_row(listing, study);
    listing->count++;
    return failed;
}

static int list(const struct config *config, struct listing *listing, const char *study,
                struct error *err)
{
    struct json *request = json_new_object();
    int failed = json_set_string(request, "command", "studies");
    if (study)
        failed |= json_set_string(request, "study", study);
    if (failed)
        (void)error_set(err, "out of memory");
    else
        failed = command_operate(config, request, take_line, listing, err);
    json_free(request);
    return failed;
}

static void print_reason(const char *key, const struct error *reason)
{
    struct json *value = json_new_string(reason->text);
    char *text = reason->text[0] ? json_print(value) : NULL;
    printf(",\"%s\":%s", key, text ? text : "null");
    free(text);
    json_free(value);
}

/* After the studies: whether some are missing, and whether new ones can come. */
static void print_end(const struct listing *listing, bool complete)
{
    if (listing->as_json) {
        (void)fputs("]", stdout);
        print_reason("unsettled", &listing->unsettled);
        print_reason("reception_closed", &listing->closed);
        (void)puts("}");
        return;
    }
    if (complete && listing->count == 0)
        (void)puts("no studies");
    if (complete && !listing->details && listing->closed.text[0])
        printf("\nreception is closed: %s\n", listing->closed.text);
}

int command_studies(int argc, char **argv)
{
    struct option_spec options[] = {OPTION_CONFIG, OPTION_SET,
                                    OPTION("json", NULL, "as JSON, for programs")};
    struct command_line line =
        COMMAND_LINE("aurabridge studies [--config FILE] [--json] [STUDY]", options);
    int status = 0;
    if (command_line_read(&line, argc, argv, &status) != 0)
        return status;
    if (line.operand_count > 1)
        return command_misused(&line, "studies takes one study at most");
    struct config *config = NULL;
    struct error err;
    if (command_load_config_to_ask(&config, &line, &err) != 0)
        return command_failed(&err);
    struct listing listing = {.as_json = option_flag(&line, "json"),
                              .details = line.operand_count == 1};
    if (listing.as_json)
        (void)fputs("{\"studies\":[", stdout);
    int failed = list(config, &listing, line.operand_count ? line.operands[0] : NULL, &err);
    print_end(&listing, !failed && listing.ok);
    config_release(config);
    if (failed)
        return command_failed(&err);
    return listing.ok ? 0 : command_failed(&listing.err);
}
