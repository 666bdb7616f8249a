/* `aurabridge receipt STUDY [--json]`: what was delivered of a completed study, instance by
 * instance, as it comes: its length does not matter. */
#include "command.h"

#include "aurabridge/units.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct showing {
    bool as_json, begun, ok;
    uint64_t instances;
    struct error err;
};

static const char *text_of(const struct json *object, const char *key)
{
    const char *text = json_text(json_get(object, key));
    return text && text[0] ? text : "-";
}

static int64_t number_of(const struct json *object, const char *key)
{
    int64_t number = 0;
    return json_int(json_get(object, key), &number) == 0 ? number : 0;
}

/* The bytes that are hashed stand on a line of their own. */
static int print_json(const char *before, const struct json *value, const char *after)
{
    char *text = json_print(value);
    int written = text ? printf("%s%s%s", before, text, after) : -1;
    free(text);
    return written < 0 ? -1 : 0;
}

static int print_head_json(const struct json *line)
{
    if (print_json("{\"receipt\":\n", json_get(line, "receipt"), ",\n") != 0)
        return -1;
    return printf("\"sha256\":\"%s\",\n\"instances\":[", text_of(line, "sha256")) < 0 ? -1 : 0;
}

static void print_line(const char *name, const char *text)
{
    printf("  %-20s %s\n", name, text);
}

static void print_delivery(const struct json *head)
{
    char text[256];
    (void)snprintf(text, sizeof text, "%s, map entry %s", text_of(head, "destination"),
                   text_of(head, "entry"));
    print_line("destination", text);
    print_line("upload", text_of(head, "upload_id"));
    for (const struct json *id = json_first(json_get(head, "aurabox_study_ids")); id;
         id = json_next(id))
        print_line("Aurabox study", json_text(id) ? json_text(id) : "-");
    (void)snprintf(text, sizeof text, "%" PRId64, number_of(head, "attempts"));
    print_line("attempts",
               number_of(head, "attempts") > 0 ? text : "not counted when it was uploaded");
    (void)snprintf(text, sizeof text, "%s to %s", text_of(head, "first_received"),
                   text_of(head, "last_received"));
    print_line("received", text);
    (void)snprintf(text, sizeof text, "%s (%s)", text_of(head, "completed"),
                   text_of(head, "outcome"));
    print_line("completed", text);
}

static void print_head(const struct json *line)
{
    const struct json *head = json_get(line, "receipt");
    char size[UNITS_TEXT_SIZE];
    char text[256];
    printf("Receipt %" PRId64 " of study %s\n", number_of(head, "number"), text_of(head, "study"));
    print_line("Study Instance UID", text_of(head, "study_instance_uid"));
    if (number_of(head, "generation") > 0)
        print_line("supplement of", text_of(head, "supplement_of"));
    print_delivery(head);
    units_format_size(size, (uint64_t)number_of(head, "bytes"));
    (void)snprintf(text, sizeof text, "%" PRId64 " with %s of data sets",
                   number_of(head, "instances"), size);
    print_line("instances", text);
    (void)snprintf(text, sizeof text, "%" PRId64, number_of(head, "dropped_by_rule"));
    if (number_of(head, "dropped_by_rule") > 0)
        print_line("dropped by rule", text);
    print_line("SHA-256", text_of(line, "sha256"));
    print_line("of the one before", text_of(head, "previous"));
    printf("\n%-16s %-16s %-24s %12s  %-64s %s\n", "CALLING", "CALLED", "RECEIVED", "BYTES",
           "SHA-256 OF THE DATA SET", "SOP INSTANCE UID");
}

static int print_instance(struct showing *showing, const struct json *instance)
{
    bool is_first = showing->instances++ == 0;
    if (showing->as_json)
        return print_json(is_first ? "\n" : ",\n", instance, "");
    return printf("%-16s %-16s %-24s %12" PRId64 "  %-64s %s\n",
                  text_of(instance, "calling_ae_title"), text_of(instance, "called_ae_title"),
                  text_of(instance, "received"), number_of(instance, "data_set_bytes"),
                  text_of(instance, "data_set_sha256"), text_of(instance, "sop_instance_uid")) < 0
               ? -1
               : 0;
}

static int take_line(void *context, const struct json *line)
{
    struct showing *showing = context;
    const struct json *instance = json_get(line, "instance");
    if (instance)
        return print_instance(showing, instance);
    if (json_get(line, "receipt")) {
        showing->begun = true;
        if (showing->as_json)
            return print_head_json(line);
        print_head(line);
        return 0;
    }
    showing->ok = json_bool(json_get(line, "ok"));
    if (!showing->ok)
        (void)error_set(&showing->err, "%s", text_of(line, "error"));
    return 0;
}

int command_receipt(int argc, char **argv)
{
    struct option_spec options[] = {OPTION_CONFIG, OPTION_SET,
                                    OPTION("json", NULL, "as JSON, for programs")};
    struct command_line line =
        COMMAND_LINE("aurabridge receipt [--config FILE] [--json] STUDY", options);
    int status = 0;
    if (command_line_read(&line, argc, argv, &status) != 0)
        return status;
    if (line.operand_count != 1)
        return command_misused(&line, "receipt takes one study: its short id (S17) or its UID");
    struct config *config = NULL;
    struct error err;
    if (command_load_config_to_ask(&config, &line, &err) != 0)
        return command_failed(&err);
    struct showing showing = {.as_json = option_flag(&line, "json")};
    struct json *request = json_new_object();
    int failed = json_set_string(request, "command", "receipt");
    failed |= json_set_string(request, "study", line.operands[0]);
    if (failed)
        (void)error_set(&err, "out of memory");
    else
        failed = command_operate(config, request, take_line, &showing, &err);
    if (showing.as_json && showing.begun)
        (void)puts("\n]}");
    json_free(request);
    config_release(config);
    if (failed)
        return command_failed(&err);
    return showing.ok ? 0 : command_failed(&showing.err);
}
