/* `aurabridge serve`: the daemon in the foreground. Opens everything, waits for signals, closes
 * everything in the reverse order. */
#include "command.h"

#include "aurabridge/bridge.h"
#include "aurabridge/control.h"
#include "aurabridge/http.h"
#include "aurabridge/log.h"
#include "aurabridge/node.h"
#include "aurabridge/route.h"

#include <errno.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

/* Heaps of the C library that threads share. By default there are eight for each processor, and
 * each keeps what the largest association took of it. */
#define HEAPS 4

struct daemon {
    const struct command_line *line;
    struct config *config;
    struct config *started; /* what only a restart takes over is as it stands here */
    struct bridge *bridge;
    struct node *node;
    struct node_events events;
    struct control *control;
    char listen[64]; /* with the bound port */
};

static void name_place(struct daemon *daemon)
{
    const char *listen = daemon->config->dicom.listen;
    const char *colon = strrchr(listen, ':');
    int address_length = colon ? (int)(colon - listen) : (int)strlen(listen);
    (void)snprintf(daemon->listen, sizeof daemon->listen, "%.*s:%u", address_length, listen,
                   node_port(daemon->node));
}

static int daemon_open(struct daemon *daemon, struct error *err)
{
    const struct clock *clock = clock_system();
    if (command_load_config(&daemon->config, daemon->line, err) != 0)
        return -1;
    daemon->started = config_retain(daemon->config);
    if (http_global_init(err) != 0 || bridge_open(&daemon->bridge, daemon->config, clock, err) != 0)
        return -1;
    daemon->events =
        (struct node_events){.context = daemon->bridge, .may_accept = bridge_may_accept};
    if (node_open(&daemon->node, daemon->config, bridge_sink(daemon->bridge), &daemon->events,
                  clock, err) != 0)
        return -1;
    name_place(daemon);
    struct operate_target target = {.listen = daemon->listen,
                                    .ledger = bridge_ledger(daemon->bridge),
                                    .spool = bridge_spool(daemon->bridge),
                                    .bridge = daemon->bridge};
    if (control_start(&daemon->control, &target, err) != 0 ||
        bridge_start(daemon->bridge, err) != 0)
        return -1;
    return node_start(daemon->node, err);
}

static void daemon_close(struct daemon *daemon)
{
    if (daemon->node)
        node_stop(daemon->node);
    if (daemon->bridge)
        bridge_stop(daemon->bridge);
    control_stop(daemon->control);
    if (daemon->node)
        node_free(daemon->node);
    bridge_free(daemon->bridge);
    http_global_cleanup();
    config_release(daemon->started);
    config_release(daemon->config);
}

static void reload(struct daemon *daemon)
{
    struct config *config = NULL;
    struct error err;
    if (command_load_config(&config, daemon->line, &err) != 0) {
        log_error("serve", "reload refused, the last good configuration stays: %s", err.text);
        return;
    }
    char restart[256];
    config_restart_keys(daemon->started, config, restart, sizeof restart);
    if (restart[0])
        log_warning("serve", "changed, but only a restart takes it over: %s", restart);
    if (bridge_reconfigure(daemon->bridge, config, &err) != 0) {
        log_error("serve", "reload incomplete, send SIGHUP again when it is mended: %s", err.text);
        config_release(config);
        return;
    }
    node_reconfigure(daemon->node, config);
    config_release(daemon->config);
    daemon->config = config;
    log_info("serve", "configuration reloaded: %zu destinations, %zu map entries",
             config->destination_count, config->entry_count);
}

static void log_start(const struct daemon *daemon)
{
    log_info("serve", "listening on %s", daemon->listen);
    log_info("serve", "AuraBridge %s is ready: %zu AE titles, %zu map entries", AURABRIDGE_VERSION,
             daemon->config->dicom.ae_title_count, daemon->config->entry_count);
}

static void wait_for_signals(struct daemon *daemon, const sigset_t *signals)
{
    for (;;) {
        int received = 0;
        if (sigwait(signals, &received) != 0)
            continue;
        if (received == SIGHUP) {
            reload(daemon);
            continue;
        }
        log_info("serve", "stopping on %s", received == SIGTERM ? "SIGTERM" : "SIGINT");
        return;
    }
}

int command_serve(int argc, char **argv)
{
    struct option_spec options[] = {OPTION_CONFIG, OPTION_SET,
                                    OPTION("debug", NULL, "log more, still without patient data")};
    struct command_line line =
        COMMAND_LINE("aurabridge serve [--config FILE] [--set KEY=VALUE]...", options);
    int status = 0;
    if (command_line_read(&line, argc, argv, &status) != 0)
        return status;
    if (line.operand_count > 0)
        return command_misused(&line, "serve takes no operand %s", line.operands[0]);
    if (option_flag(&line, "debug"))
        log_set_level(LOG_LEVEL_DEBUG);
    /* Blocked before any thread starts, so that only sigwait takes them. */
    sigset_t signals;
    (void)sigemptyset(&signals);
    (void)sigaddset(&signals, SIGTERM);
    (void)sigaddset(&signals, SIGINT);
    (void)sigaddset(&signals, SIGHUP);
    (void)pthread_sigmask(SIG_BLOCK, &signals, NULL);

    (void)mallopt(M_ARENA_MAX, HEAPS);

    struct daemon daemon = {.line = &line};
    struct error err;
    if (daemon_open(&daemon, &err) == 0) {
        log_start(&daemon);
        bridge_audit_at_start(daemon.bridge); /* senders do not wait for it */
        wait_for_signals(&daemon, &signals);
    } else {
        status = command_failed(&err);
    }
    daemon_close(&daemon);
    if (status == 0)
        log_info("serve", "stopped");
    return status;
}
