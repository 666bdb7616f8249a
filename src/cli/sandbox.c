/* `aurabridge sandbox`: an Aurabox of one's own until a signal ends it. */
#include "command.h"

#include "aurabridge/sandbox.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int read_limit(const struct command_line *line, const char *name, unsigned otherwise,
                      unsigned *out)
{
    const char *text = option_text(line, name, NULL);
    *out = otherwise;
    if (!text)
        return 0;
    char *end = NULL;
    errno = 0;
    unsigned long number = strtoul(text, &end, 10);
    if (errno != 0 || *end != '\0' || number == 0 || number > 1000000)
        return -1;
    *out = (unsigned)number;
    return 0;
}

/* An address that a client can use: a wildcard is spoken of as loopback. */
static void print_address(const char *listen, unsigned port)
{
    size_t length = strlen(listen) - strlen(strrchr(listen, ':')); /* sandbox_open saw the colon */
    bool wildcard = length == 0 || strncmp(listen, "0.0.0.0:", 8) == 0;
    bool wildcard_6 = strncmp(listen, "[::]:", 5) == 0;
    printf("sandbox listening on http://%.*s:%u/api\n", wildcard || wildcard_6 ? 9 : (int)length,
           wildcard     ? "127.0.0.1"
           : wildcard_6 ? "[::1]"
                        : listen,
           port);
}

static int run(const struct sandbox_options *options)
{
    sigset_t signals;
    (void)sigemptyset(&signals);
    (void)sigaddset(&signals, SIGTERM);
    (void)sigaddset(&signals, SIGINT);
    (void)pthread_sigmask(SIG_BLOCK, &signals, NULL);
    (void)setvbuf(stdout, NULL, _IOLBF, 0);
    struct sandbox *sandbox = NULL;
    struct error err;
    if (sandbox_open(&sandbox, options, clock_system(), &err) != 0)
        return command_failed(&err);
    if (sandbox_start(sandbox, &err) != 0) {
        sandbox_free(sandbox);
        return command_failed(&err);
    }
    print_address(options->listen, sandbox_port(sandbox));
    int received = 0;
    while (sigwait(&signals, &received) != 0)
        continue;
    sandbox_stop(sandbox);
    sandbox_free(sandbox);
    return 0;
}

int command_sandbox(int argc, char **argv)
{
    struct option_spec specs[] = {
        OPTION("listen", "ADDRESS:PORT", "default 127.0.0.1:8080; port 0: any free one"),
        OPTION("directory", "DIR", "for what it receives (default ./aurabox-sandbox)"),
        OPTION("app-id", "ID", "default sandbox-app"),
        OPTION("app-secret", "SECRET", "default sandbox-secret"),
        OPTION("service-api-key", "KEY", "default sandbox-key"),
        OPTION("tus-endpoint", "URL", "hand out this Tus server instead of its own"),
        OPTION("limit-exchange", "N", "calls a minute (default 10)"),
        OPTION("limit-config", "N", "calls a minute (default 30)"),
        OPTION("limit-lifecycle", "N", "calls a minute (default 60)"),
        OPTION("fault", "FAULT", "misbehave: 'POST /uploader/upload/init:503:2' and others"),
    };
    struct command_line line = COMMAND_LINE("aurabridge sandbox [OPTIONS]", specs);
    int status = 0;
    if (command_line_read(&line, argc, argv, &status) != 0) {
        if (status == 0)
            (void)sandbox_fault_help(stdout);
        return status;
    }
    const struct option_spec *faults = option_find(&line, "fault");
    struct sandbox_options options = {
        .listen = option_text(&line, "listen", "127.0.0.1:8080"),
        .directory = option_text(&line, "directory", "aurabox-sandbox"),
        .app_id = option_text(&line, "app-id", "sandbox-app"),
        .app_secret = option_text(&line, "app-secret", "sandbox-secret"),
        .service_api_key = option_text(&line, "service-api-key", "sandbox-key"),
        .tus_endpoint = option_text(&line, "tus-endpoint", NULL),
        .faults = faults->given,
        .fault_count = faults->count,
    };
    if (read_limit(&line, "limit-exchange", 10, &options.limit_exchange) != 0 ||
        read_limit(&line, "limit-config", 30, &options.limit_config) != 0 ||
        read_limit(&line, "limit-lifecycle", 60, &options.limit_lifecycle) != 0)
        return command_misused(&line, "a limit is a number from 1 to 1000000");
    return run(&options);
}
