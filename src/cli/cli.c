/* argv → command. */
#include "aurabridge/cli.h"

#include "command.h"

#include "aurabridge/bridge.h"
#include "aurabridge/control.h"
#include "aurabridge/fs.h"
#include "aurabridge/log.h"
#include "aurabridge/route.h"

#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const struct {
    const char *name;
    int (*run)(int argc, char **argv);
    const char *help;
} commands[] = {
    {"serve", command_serve, "receive studies and deliver them (the daemon)"},
    {"check", command_check, "test configuration, spool, port, credentials and clock"},
    {"route", command_route, "show which map entry takes a file, and the context it gives"},
    {"sign", command_sign, "sign a request with AURA-HMAC-SHA256 and show every step"},
    {"status", command_status, "show what holds up each destination: calls, bytes, or a pause"},
    {"studies", command_studies, "list the studies, or one with its details"},
    {"receipt", command_receipt, "show what was delivered of a completed study"},
    {"audit", command_audit, "recount every acknowledged instance and say what does not add up"},
    {"retry", command_order, "try a failed, cancelled or waiting study again now"},
    {"release", command_order, "let a quarantined study pass"},
    {"cancel", command_order, "withdraw a study from Aurabox; its instances are kept"},
    {"discard", command_order, "throw a study away"},
    {"forget", command_order, "treat a finished study's instances as new when they come again"},
    {"sandbox", command_sandbox, "run an Aurabox of one's own, for trials and tests"},
};

static void print_usage(FILE *out)
{
    (void)fputs("AuraBridge " AURABRIDGE_VERSION
                ": receives studies by DICOM C-STORE and delivers them to Aurabox.\n\n"
                "usage: aurabridge COMMAND [OPTIONS]     (aurabridge COMMAND --help)\n\n",
                out);
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++)
        (void)fprintf(out, "  %-8s  %s\n", commands[i].name, commands[i].help);
    (void)fputs(
        "\nSTUDY is a short id as printed by `aurabridge studies` (S17), or a Study Instance "
        "UID.\nExit status: 0 done, 1 failed, 2 wrongly called.\n",
        out);
}

const char *command_about(const char *name)
{
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++) {
        if (strcmp(commands[i].name, name) == 0)
            return commands[i].help;
    }
    return "";
}

static int run(int argc, char **argv)
{
    if (argc < 2) {
        print_usage(stderr);
        return EXIT_USAGE;
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 ||
        strcmp(argv[1], "help") == 0) {
        print_usage(stdout);
        return 0;
    }
    if (strcmp(argv[1], "--version") == 0) {
        (void)puts("aurabridge " AURABRIDGE_VERSION);
        return 0;
    }
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++) {
        if (strcmp(argv[1], commands[i].name) == 0)
            return commands[i].run(argc - 1, argv + 1);
    }
    (void)fprintf(stderr, "aurabridge: there is no command %s\n\n", argv[1]);
    print_usage(stderr);
    return EXIT_USAGE;
}

/* What could not be written was not said: a script must not take half a list for the whole. A
 * reader that has seen enough (`| head`) needs no message. */
static int end_output(int status)
{
    bool failed = ferror(stdout) != 0;
    errno = 0;
    failed |= fflush(stdout) != 0;
    if (!failed)
        return status;
    if (errno != EPIPE)
        (void)fprintf(stderr, "aurabridge: the output could not be written whole%s%s\n",
                      errno ? ": " : "", errno ? strerror(errno) : "");
    return status ? status : EXIT_FAILED;
}

int cli_run(int argc, char **argv)
{
    (void)umask(0077);
    (void)signal(SIGPIPE, SIG_IGN);
    return end_output(run(argc, argv));
}

int command_failed(const struct error *err)
{
    (void)fprintf(stderr, "aurabridge: %s\n", err->text);
    return EXIT_FAILED;
}

void command_tell_unsettled(const struct json *last)
{
    const char *why = json_text(json_get(last, "unsettled"));
    if (why)
        (void)fprintf(stderr, "not shown are acknowledged instances in the journal: %s\n", why);
}

int command_load_config(struct config **out, const struct command_line *line, struct error *err)
{
    const struct option_spec *set = option_find(line, "set");
    return config_load(out, option_text(line, "config", DEFAULT_CONFIG), set ? set->given : NULL,
                       set ? set->count : 0, route_check_entries, err);
}

int command_load_config_without_secrets(struct config **out, const struct command_line *line,
                                        struct error *err)
{
    const struct option_spec *set = option_find(line, "set");
    return config_load_without_secrets(out, option_text(line, "config", DEFAULT_CONFIG),
                                       set ? set->given : NULL, set ? set->count : 0,
                                       route_check_entries, err);
}

int command_load_config_to_ask(struct config **out, const struct command_line *line,
                               struct error *err)
{
    const struct option_spec *set = option_find(line, "set");
    if (command_load_config_without_secrets(out, line, err) == 0)
        return 0;
    if (config_load_spool(out, option_text(line, "config", DEFAULT_CONFIG), set ? set->given : NULL,
                          set ? set->count : 0, NULL) != 0)
        return -1;
    (void)fprintf(stderr,
                  "aurabridge: the configuration is broken: %s\n"
                  "aurabridge: a bridge that runs with the spool %s has its last good one\n",
                  err->text, (*out)->spool.directory);
    return 0;
}

/* Whether there is a study's folder in it: then a bridge has run. */
static bool holds_studies(const char *spool)
{
    char path[FS_PATH_MAX];
    bool found = false;
    if (fs_join(path, spool, "studies", NULL) != 0)
        return false;
    DIR *folder = opendir(path);
    for (struct dirent *entry; folder && !found && (entry = readdir(folder));)
        found = entry->d_name[0] != '.';
    if (folder)
        (void)closedir(folder);
    return found;
}

/* A command makes no spool: where there is none, the configuration is not the bridge's. */
static int spool_must_be_there(const struct config *config, struct error *err)
{
    const char *spool = config->spool.directory;
    char ledger[FS_PATH_MAX];
    if (fs_join(ledger, spool, "ledger.sqlite", err) != 0)
        return -1;
    if (access(spool, F_OK) != 0 && errno == ENOENT)
        return error_set(err,
                         "there is no spool %s: no bridge has run with this configuration; look at "
                         "spool.directory",
                         spool);
    if (access(ledger, F_OK) != 0 && errno == ENOENT && holds_studies(spool))
        return error_set(
            err,
            "%s is lost, there are studies beside it: restore it, or start the bridge, "
            "which takes up the files",
            ledger);
    return 0;
}

/* Without a daemon: the same function over the same ledger, under the spool's lock. */
static int operate_here(const struct config *config, const struct json *request, operate_emit *emit,
                        void *context, struct error *err)
{
    struct operate_target target = {.bridge = NULL};
    char path[FS_PATH_MAX];
    if (spool_must_be_there(config, err) != 0)
        return -1;
    int failed = spool_open(&target.spool, config->spool.directory, config->spool.reserve, err);
    if (failed)
        return -1;
    failed = fs_join(path, config->spool.directory, "ledger.sqlite", err);
    if (!failed)
        failed = ledger_open(&target.ledger, path, clock_system(), err);
    if (!failed)
        failed = bridge_count_unsettled(&target.unsettled, config, target.ledger, err);
    if (!failed)
        failed = operate(&target, request, emit, context)
                     ? error_set(err, "the answer could not be shown")
                     : 0;
    ledger_close(target.ledger);
    spool_close(target.spool);
    return failed;
}

/* As serve begins: what a kill left half done is put right first. */
static int operate_recovered(struct config *config, const struct json *request, operate_emit *emit,
                             void *context, struct error *err)
{
    struct bridge *bridge = NULL;
    if (spool_must_be_there(config, err) != 0 ||
        bridge_open(&bridge, config, clock_system(), err) != 0)
        return -1;
    struct operate_target target = {
        .ledger = bridge_ledger(bridge), .spool = bridge_spool(bridge), .bridge = bridge};
    int failed = operate(&target, request, emit, context)
                     ? error_set(err, "the answer could not be shown")
                     : 0;
    bridge_free(bridge);
    return failed;
}

static int ask_daemon(const struct config *config, const struct json *request, operate_emit *emit,
                      void *context, struct error *err)
{
    if (command_become_owner(config, err) != 0)
        return -1;
    int asked = control_ask(config->spool.directory, request, emit, context, err);
    if (asked == CONTROL_ABSENT && !config->is_whole)
        return error_set(err, "no bridge runs with the spool %s; correct the configuration first",
                         config->spool.directory);
    if (asked == CONTROL_ABSENT)
        log_set_level(LOG_LEVEL_WARNING);
    return asked;
}

int command_operate(const struct config *config, const struct json *request, operate_emit *emit,
                    void *context, struct error *err)
{
    int asked = ask_daemon(config, request, emit, context, err);
    return asked == CONTROL_ABSENT ? operate_here(config, request, emit, context, err) : asked;
}

int command_operate_recovered(struct config *config, const struct json *request, operate_emit *emit,
                              void *context, struct error *err)
{
    int asked = ask_daemon(config, request, emit, context, err);
    return asked == CONTROL_ABSENT ? operate_recovered(config, request, emit, context, err) : asked;
}
