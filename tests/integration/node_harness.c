/* The DICOM node alone, in front of a sink that keeps data sets as files: what the node's
 * integration tests drive. Prints "port N" when ready and the counters when SIGTERM ends it; SIGHUP
 * reloads. In its directory: <n>.data and the files index (one line for each committed instance),
 * events (ended associations, aborted instances).
 */
#include "aurabridge/clock.h"
#include "aurabridge/config.h"
#include "aurabridge/log.h"
#include "aurabridge/node.h"

#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define OVERRIDES_MAX 32
#define HASTE         10

struct arguments {
    const char *config_path;
    const char *overrides[OVERRIDES_MAX];
    size_t override_count;
};

struct harness {
    const char *directory;
    uint64_t refuse_after; /* bytes; UINT64_MAX never */
    bool refuse_begin, commit_to_disk, full, hasten;
    pthread_mutex_t lock;
    unsigned number;
    FILE *index, *events;
};

struct instance {
    struct harness *harness;
    struct association association;
    struct instance_request request;
    uint64_t length;
    unsigned number;
    FILE *file; /* null: only counted */
};

static void refuse(struct dimse_answer *answer, const char *comment)
{
    answer->status = DIMSE_OUT_OF_RESOURCES;
    (void)snprintf(answer->comment, sizeof answer->comment, "%s", comment);
}

static int sink_begin(void *context, struct instance **out, const struct association *association,
                      const struct instance_request *request, struct dimse_answer *answer)
{
    struct harness *harness = context;
    *out = NULL;
    if (harness->refuse_begin) {
        refuse(answer, "storage is full, try again later");
        return -1;
    }
    struct instance *instance = calloc(1, sizeof *instance);
    if (!instance)
        abort();
    instance->harness = harness;
    instance->association = *association;
    instance->request = *request;
    (void)pthread_mutex_lock(&harness->lock);
    instance->number = ++harness->number;
    (void)pthread_mutex_unlock(&harness->lock);
    if (harness->commit_to_disk) {
        char path[4096];
        (void)snprintf(path, sizeof path, "%s/%u.data", harness->directory, instance->number);
        instance->file = fopen(path, "wbx");
        if (!instance->file)
            abort();
    }
    *out = instance;
    return 0;
}

static int sink_write(struct instance *instance, const void *bytes, size_t length,
                      struct dimse_answer *answer)
{
    instance->length += length;
    if (instance->length > instance->harness->refuse_after) {
        refuse(answer, "disk became full");
        return -1;
    }
    if (instance->file && fwrite(bytes, 1, length, instance->file) != length)
        abort();
    return 0;
}

static void instance_free(struct instance *instance)
{
    if (instance->file && fclose(instance->file) != 0)
        abort();
    free(instance);
}

static void sink_commit(struct instance *instance, struct dimse_answer *answer)
{
    struct harness *harness = instance->harness;
    if (instance->file && fflush(instance->file) != 0)
        abort();
    (void)pthread_mutex_lock(&harness->lock);
    (void)fprintf(harness->index, "%u %s %s %s %" PRIu64 " %s %s %s\n", instance->number,
                  instance->request.sop_class_uid, instance->request.sop_instance_uid,
                  instance->request.transfer_syntax_uid, instance->length,
                  instance->association.calling_ae_title, instance->association.called_ae_title,
                  instance->association.peer_address);
    (void)fflush(harness->index);
    (void)pthread_mutex_unlock(&harness->lock);
    answer->status = DIMSE_SUCCESS;
    answer->comment[0] = '\0';
    instance_free(instance);
}

static void note(struct harness *harness, const char *event, uint64_t id)
{
    (void)pthread_mutex_lock(&harness->lock);
    (void)fprintf(harness->events, "%s %" PRIu64 "\n", event, id);
    (void)fflush(harness->events);
    (void)pthread_mutex_unlock(&harness->lock);
}

static void sink_abort(struct instance *instance)
{
    note(instance->harness, "aborted", instance->association.id);
    instance_free(instance);
}

static void sink_ended(void *context, const struct association *association)
{
    note(context, "ended", association->id);
}

static bool may_accept(void *context, struct error *why_not)
{
    struct harness *harness = context;
    if (harness->full)
        (void)error_set(why_not, "the spool is below its reserve; free some space");
    return !harness->full;
}

/* A clock on which timeouts of minutes are waited for in seconds. */
static int64_t hastened_ms(void *context)
{
    (void)context;
    return clock_monotonic_ms(clock_system()) * HASTE;
}

static bool take_switch(struct harness *harness, const char *argument)
{
    if (strcmp(argument, "--refuse-begin") == 0)
        harness->refuse_begin = true;
    else if (strcmp(argument, "--full") == 0)
        harness->full = true;
    else if (strcmp(argument, "--no-files") == 0)
        harness->commit_to_disk = false;
    else if (strcmp(argument, "--hasten") == 0)
        harness->hasten = true;
    else if (strcmp(argument, "--debug") == 0)
        log_set_level(LOG_LEVEL_DEBUG);
    else
        return false;
    return true;
}

/* Ends the program on what it does not know. */
static void read_arguments(int argc, char **argv, struct harness *harness, struct arguments *out)
{
    if (argc < 3) {
        (void)fprintf(stderr, "usage: node_harness CONFIG DIRECTORY [--set KEY=VALUE] …\n");
        exit(2);
    }
    out->config_path = argv[1];
    harness->directory = argv[2];
    for (int i = 3; i < argc; i++) {
        if (take_switch(harness, argv[i]))
            continue;
        if (strcmp(argv[i], "--set") == 0 && i + 1 < argc && out->override_count < OVERRIDES_MAX) {
            out->overrides[out->override_count++] = argv[++i];
        } else if (strcmp(argv[i], "--refuse-after") == 0 && i + 1 < argc) {
            harness->refuse_after = strtoull(argv[++i], NULL, 10);
        } else {
            (void)fprintf(stderr, "node_harness: unknown option %s\n", argv[i]);
            exit(2);
        }
    }
}

static FILE *open_in(const char *directory, const char *name)
{
    char path[4096];
    (void)snprintf(path, sizeof path, "%s/%s", directory, name);
    FILE *file = fopen(path, "w");
    if (!file) {
        perror(path);
        exit(2);
    }
    return file;
}

static void handled_signals(sigset_t *out)
{
    (void)sigemptyset(out);
    (void)sigaddset(out, SIGTERM);
    (void)sigaddset(out, SIGINT);
    (void)sigaddset(out, SIGHUP);
}

static int wait_for_signal(void)
{
    sigset_t handled;
    int signal_number = SIGTERM;
    handled_signals(&handled);
    (void)sigwait(&handled, &signal_number);
    return signal_number;
}

static void block_signals(void)
{
    sigset_t handled;
    handled_signals(&handled);
    (void)pthread_sigmask(SIG_BLOCK, &handled, NULL);
}

static void reload(struct node *node, const struct arguments *arguments)
{
    struct config *config = NULL;
    struct error err = {""};
    if (config_load(&config, arguments->config_path, arguments->overrides,
                    arguments->override_count, NULL, &err) != 0) {
        (void)fprintf(stderr, "node_harness: %s\n", err.text);
        return;
    }
    node_reconfigure(node, config);
    config_release(config);
    (void)printf("reloaded\n");
    (void)fflush(stdout);
}

static int serve(struct config *config, struct harness *harness, const struct arguments *arguments)
{
    const struct instance_sink sink = {harness,     sink_begin, sink_write,
                                       sink_commit, sink_abort, sink_ended};
    const struct node_events events = {harness, may_accept};
    struct clock clock = *clock_system();
    struct error err = {""};
    struct node *node = NULL;
    if (harness->hasten)
        clock.monotonic_ms = hastened_ms;
    if (node_open(&node, config, &sink, &events, &clock, &err) != 0 ||
        node_start(node, &err) != 0) {
        (void)fprintf(stderr, "node_harness: %s\n", err.text);
        node_free(node);
        return 1;
    }
    (void)printf("port %u\n", node_port(node));
    (void)fflush(stdout);
    while (wait_for_signal() == SIGHUP)
        reload(node, arguments);
    node_stop(node);
    struct node_counters counters;
    node_counters(node, &counters);
    (void)printf("accepted=%" PRIu64 " rejected=%" PRIu64 " aborted=%" PRIu64 " released=%" PRIu64
                 " stored=%" PRIu64 " refused=%" PRIu64 " echoes=%" PRIu64 " open=%u\n",
                 counters.accepted, counters.rejected, counters.aborted, counters.released,
                 counters.stored, counters.refused, counters.echoes, counters.open);
    node_free(node);
    return 0;
}

int main(int argc, char **argv)
{
    struct harness harness = {
        .refuse_after = UINT64_MAX, .commit_to_disk = true, .lock = PTHREAD_MUTEX_INITIALIZER};
    struct arguments arguments = {.override_count = 0};
    struct config *config = NULL;
    struct error err = {""};
    read_arguments(argc, argv, &harness, &arguments);
    if (config_load(&config, arguments.config_path, arguments.overrides, arguments.override_count,
                    NULL, &err) != 0) {
        (void)fprintf(stderr, "node_harness: %s\n", err.text);
        return 2;
    }
    harness.index = open_in(harness.directory, "index");
    harness.events = open_in(harness.directory, "events");
    block_signals();
    int result = serve(config, &harness, &arguments);
    config_release(config);
    return fclose(harness.index) == 0 && fclose(harness.events) == 0 ? result : 1;
}
