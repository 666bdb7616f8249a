/* `aurabridge retry|release|cancel|discard|forget STUDY`. */
#include "command.h"

#include <stdio.h>
#include <string.h>

struct answer {
    bool ok;
    struct error err;
};

static int take_answer(void *context, const struct json *reply)
{
    struct answer *answer = context;
    if (!json_get(reply, "ok"))
        return 0;
    command_tell_unsettled(reply);
    answer->ok = json_bool(json_get(reply, "ok"));
    const char *message = json_text(json_get(reply, "message"));
    const char *error = json_text(json_get(reply, "error"));
    if (answer->ok && message)
        (void)puts(message);
    if (!answer->ok)
        (void)error_set(&answer->err, "%s", error ? error : "refused without a reason");
    return 0;
}

int command_order(int argc, char **argv)
{
    bool releases = strcmp(argv[0], "release") == 0;
    struct option_spec options[] = {
        OPTION_CONFIG, OPTION_SET,
        OPTION("patient-id", "ID", "of two patients' instances, those of this one go")};
    char synopsis[128];
    (void)snprintf(synopsis, sizeof synopsis, "aurabridge %s [--config FILE]%s STUDY", argv[0],
                   releases ? " [--patient-id ID]" : "");
    struct command_line line = {
        .synopsis = synopsis, .options = options, .option_count = releases ? 3 : 2};
    int status = 0;
    if (command_line_read(&line, argc, argv, &status) != 0)
        return status;
    if (line.operand_count != 1)
        return command_misused(&line, "%s takes one study: its short id (S17) or its UID", argv[0]);
    struct config *config = NULL;
    struct error err;
    if (command_load_config_without_secrets(&config, &line, &err) != 0)
        return command_failed(&err);
    struct json *request = json_new_object();
    int failed = json_set_string(request, "command", argv[0]);
    failed |= json_set_string(request, "study", line.operands[0]);
    const char *patient_id = releases ? option_text(&line, "patient-id", NULL) : NULL;
    if (patient_id)
        failed |= json_set_string(request, "patient_id", patient_id);
    struct answer answer = {.ok = false};
    if (failed)
        (void)error_set(&err, "out of memory");
    else
        failed = command_operate_recovered(config, request, take_answer, &answer, &err);
    json_free(request);
    config_release(config);
    if (failed)
        return command_failed(&err);
    return answer.ok ? 0 : command_failed(&answer.err);
}
