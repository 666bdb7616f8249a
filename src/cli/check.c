/* `aurabridge check`: would it work? One line each, with the remedy where it would not. Touches
 * nothing but the spool directory, and spends one exchange and one config call a destination. */
#include "command.h"

#include "aurabridge/aurabox.h"
#include "aurabridge/control.h"
#include "aurabridge/fs.h"
#include "aurabridge/http.h"
#include "aurabridge/node.h"
#include "aurabridge/spool.h"
#include "aurabridge/text.h"
#include "aurabridge/units.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define LONGEST_WAIT_MS 120000

struct checking {
    struct config *config;
    bool daemon_runs;
    char daemon_listens[64];    /* "" when no daemon says so */
    struct error daemon_closed; /* why the daemon refuses senders for now, or "" */
    bool failed;
};

static void say(struct checking *checking, bool good, const char *what, const char *text)
{
    if (!good)
        checking->failed = true;
    printf("%-4s  %-12s %s\n", good ? "ok" : "FAIL", what, text);
}

static int take_place(void *context, const struct json *line)
{
    struct checking *checking = context;
    const char *listen = json_text(json_get(line, "listen"));
    text_copy(checking->daemon_listens, sizeof checking->daemon_listens, listen ? listen : "");
    const char *closed = json_text(json_get(line, "reception_closed"));
    text_copy(checking->daemon_closed.text, sizeof checking->daemon_closed.text,
              closed ? closed : "");
    return 0;
}

/* Asks whether a daemon is there, and where it listens. */
static void find_daemon(struct checking *checking)
{
    struct json *request = json_new_object();
    checking->daemon_runs =
        json_set_string(request, "command", "about") == 0 &&
        control_ask(checking->config->spool.directory, request, take_place, checking, NULL) == 0;
    json_free(request);
}

static void check_config(struct checking *checking)
{
    char text[256];
    const struct config *config = checking->config;
    (void)snprintf(text, sizeof text, "%s: %zu AE titles, %zu destinations, %zu map entries",
                   config->path, config->dicom.ae_title_count, config->destination_count,
                   config->entry_count);
    say(checking, true, "config", text);
}

/* Opens and tries the spool; leaves nothing of it open. */
static int try_spool(const struct checking *checking, struct error *err)
{
    const struct config *config = checking->config;
    struct spool *spool = NULL;
    char ledger[FS_PATH_MAX];
    if (checking->daemon_closed.text[0])
        return error_set(err, "the running bridge refuses senders: %s",
                         checking->daemon_closed.text);
    if (!checking->daemon_runs) {
        int failed = spool_open(&spool, config->spool.directory, config->spool.reserve, err);
        if (!failed)
            failed = fs_join(ledger, config->spool.directory, "ledger.sqlite", err);
        if (!failed)
            failed = ledger_examine(ledger, err);
        spool_close(spool);
        if (failed)
            return -1;
    }
    return spool_check_directory(config->spool.directory, config->spool.reserve, err);
}

static void check_spool(struct checking *checking)
{
    const struct config *config = checking->config;
    struct error err;
    char text[FS_PATH_MAX + 256];
    char reserve[UNITS_TEXT_SIZE];
    bool is_new = access(config->spool.directory, F_OK) != 0;
    units_format_size(reserve, config->spool.reserve);
    if (try_spool(checking, &err) != 0) {
        say(checking, false, "spool", err.text);
        return;
    }
    (void)snprintf(text, sizeof text, "%s is %s and has more than its reserve of %s free%s",
                   config->spool.directory,
                   checking->daemon_runs ? "in use by the running bridge" : "writable", reserve,
                   is_new && geteuid() == 0
                       ? "; it was made now and belongs to root: chown it when "
                         "the bridge runs as another user"
                       : "");
    say(checking, true, "spool", text);
}

/* Whether the place is free: also while a bridge runs that was started with another one. */
static void check_port(struct checking *checking)
{
    static const struct instance_sink nobody = {.context = NULL};
    const char *listen = checking->config->dicom.listen;
    struct node *node = NULL;
    struct error err;
    char text[256];
    if (checking->daemon_runs && strcmp(checking->daemon_listens, listen) == 0) {
        (void)snprintf(text, sizeof text, "%s is in use by the running bridge", listen);
        say(checking, true, "dicom.listen", text);
        return;
    }
    (void)snprintf(text, sizeof text, "%s is free", listen);
    if (checking->daemon_runs)
        (void)snprintf(text, sizeof text,
                       "%s is free; the running bridge listens on %s until it is restarted", listen,
                       checking->daemon_listens);
    bool good = node_open(&node, checking->config, &nobody, NULL, clock_system(), &err) == 0;
    say(checking, good, "dicom.listen", good ? text : err.text);
    if (node)
        node_free(node);
}

/* The running bridge may have used up what the cloud allows: wait for a place, as it would. */
static bool wait_for_limit(const char *what, const struct aurabox_reply *reply)
{
    if (reply->outcome != AURABOX_LIMITED || reply->retry_after_ms > LONGEST_WAIT_MS)
        return false;
    int64_t ms = reply->retry_after_ms > 0 ? reply->retry_after_ms : 1;
    printf("wait  %-12s %" PRId64 " s, to stay within the calls a minute that Aurabox allows\n",
           what, (ms + 999) / 1000);
    struct timespec pause = {.tv_sec = (time_t)(ms / 1000), .tv_nsec = (long)(ms % 1000) * 1000000};
    (void)nanosleep(&pause, NULL);
    return true;
}

static void check_calls(struct checking *checking, struct aurabox_client *client, const char *name)
{
    struct aurabox_reply reply;
    struct aurabox_lift lift;
    char text[LEDGER_URL_SIZE + 64];
    do
        (void)aurabox_exchange(client, &reply);
    while (wait_for_limit(name, &reply));
    if (reply.outcome != AURABOX_OK) {
        say(checking, false, name, reply.text);
        return;
    }
    say(checking, true, name, "credentials are accepted and the clocks agree");
    do
        (void)aurabox_config(client, &lift, &reply);
    while (wait_for_limit(name, &reply));
    if (reply.outcome != AURABOX_OK) {
        say(checking, false, name, reply.text);
        return;
    }
    (void)snprintf(text, sizeof text, "uploads go to %s", lift.endpoint);
    say(checking, true, name, text);
}

static void check_destination(struct checking *checking, const struct config_destination *settings)
{
    struct aurabox_destination *destination = NULL;
    struct aurabox_client *client = NULL;
    struct error err;
    if (aurabox_destination_new(&destination, checking->config, settings->name,
                                checking->config->spool.directory, clock_system(), &err) != 0 ||
        aurabox_client_new(&client, destination, NULL, NULL, &err) != 0)
        say(checking, false, settings->name, err.text);
    else
        check_calls(checking, client, settings->name);
    aurabox_client_free(client);
    aurabox_destination_free(destination);
}

int command_check(int argc, char **argv)
{
    struct option_spec options[] = {OPTION_CONFIG, OPTION_SET};
    struct command_line line =
        COMMAND_LINE("aurabridge check [--config FILE] [--set KEY=VALUE]...", options);
    int status = 0;
    if (command_line_read(&line, argc, argv, &status) != 0)
        return status;
    if (line.operand_count > 0)
        return command_misused(&line, "check takes no operand %s", line.operands[0]);
    struct checking checking = {.config = NULL};
    struct error err;
    if (command_load_config(&checking.config, &line, &err) != 0) {
        say(&checking, false, "config", err.text);
        return EXIT_FAILED;
    }
    if (command_become_owner(checking.config, &err) != 0 || http_global_init(&err) != 0) {
        config_release(checking.config);
        return command_failed(&err);
    }
    find_daemon(&checking);
    check_config(&checking);
    check_spool(&checking);
    check_port(&checking);
    for (size_t i = 0; i < checking.config->destination_count; i++)
        check_destination(&checking, &checking.config->destinations[i]);
    http_global_cleanup();
    config_release(checking.config);
    return checking.failed ? EXIT_FAILED : 0;
}
