/* What the subcommands share. */
#ifndef AURABRIDGE_CLI_COMMAND_H
#define AURABRIDGE_CLI_COMMAND_H

#include "aurabridge/config.h"
#include "aurabridge/error.h"
#include "aurabridge/json.h"
#include "aurabridge/operate.h"

#include <stdbool.h>
#include <stddef.h>

#define EXIT_FAILED 1
#define EXIT_USAGE  2

#define OPTION_VALUES_MAX 64
#define DEFAULT_CONFIG    "/etc/aurabridge/aurabridge.yaml"

/* One option of a command: `--name VALUE` or `--name=VALUE`, or `--name` alone when it has no
 * `value`. What was given stands in `given`, in order. */
struct option_spec {
    const char *name;
    const char *value; /* its placeholder in the help; null: a flag */
    const char *help;
    const char *given[OPTION_VALUES_MAX];
    size_t count;
};

#define OPTION(name_, value_, help_)                                                               \
    {                                                                                              \
        .name = (name_), .value = (value_), .help = (help_)                                        \
    }
#define OPTION_CONFIG OPTION("config", "FILE", "configuration file (default " DEFAULT_CONFIG ")")
#define OPTION_SET    OPTION("set", "KEY=VALUE", "override a key, e.g. dicom.max_associations=8")

struct command_line {
    const char *synopsis; /* "aurabridge route --calling X --called Y FILE.dcm" */
    struct option_spec *options;
    size_t option_count;
    const char *operands[OPTION_VALUES_MAX];
    size_t operand_count;
};
#define COMMAND_LINE(synopsis_, options_)                                                          \
    {                                                                                              \
        .synopsis = (synopsis_), .options = (options_),                                            \
        .option_count = sizeof(options_) / sizeof *(options_)                                      \
    }

/* Reads argv[1..]. Returns 0 to go on; else the command is over and *exit_status says how
 * (--help, or wrong use, both already printed). */
int command_line_read(struct command_line *line, int argc, char **argv, int *exit_status);

/* The last value given for the option, or `otherwise`. */
const char *option_text(const struct command_line *line, const char *name, const char *otherwise);
bool option_flag(const struct command_line *line, const char *name);
const struct option_spec *option_find(const struct command_line *line, const char *name);

/* Says "aurabridge: …" on standard error and returns EXIT_FAILED or EXIT_USAGE. */
int command_failed(const struct error *err);
int command_misused(const struct command_line *line, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Loads --config with --set. */
int command_load_config(struct config **out, const struct command_line *line, struct error *err);

/* The same for commands that talk to no server: they need no credentials. */
int command_load_config_without_secrets(struct config **out, const struct command_line *line,
                                        struct error *err);

/* The same for those that only ask, and that a running bridge answers. It goes on with its last
 * good configuration when that in the file is broken: then this says so, and where the spool is
 * will do to ask it. */
int command_load_config_to_ask(struct config **out, const struct command_line *line,
                               struct error *err);

/* What a command is for, in one line; "" when there is none of that name. */
const char *command_about(const char *name);

/* As root, becomes the user who owns the spool, for good; else does nothing. Call once the
 * configuration and its credentials are read. */
int command_become_owner(const struct config *config, struct error *err);

/* Sends a request to the daemon that has the spool, or does it here, under the spool's lock, which
 * needs a configuration that is whole. */
int command_operate(const struct config *config, const struct json *request, operate_emit *emit,
                    void *context, struct error *err);
/* The same; without a daemon the spool is recovered first, as serve does. */
int command_operate_recovered(struct config *config, const struct json *request, operate_emit *emit,
                              void *context, struct error *err);

/* Says on standard error that acknowledged instances are in no study folder yet, and why, when the
 * last line of an answer says so. */
void command_tell_unsettled(const struct json *last);

int command_serve(int argc, char **argv);
int command_check(int argc, char **argv);
int command_route(int argc, char **argv);
int command_sign(int argc, char **argv);
int command_status(int argc, char **argv);
int command_studies(int argc, char **argv);
int command_receipt(int argc, char **argv);
int command_audit(int argc, char **argv);
int command_order(int argc, char **argv); /* retry, release, cancel, discard, forget */
int command_sandbox(int argc, char **argv);

#endif
