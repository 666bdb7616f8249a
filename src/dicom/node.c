/* The node: one thread that accepts, one for each connection. Guarantees that threads are joined
 * and their number is bounded, and that node_stop returns only when all of them have ended.
 */
#include "aurabridge/node.h"

#include "association.h"
#include "ending.h"
#include "listener.h"

#include "aurabridge/log.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define THREAD_STACK_SIZE     (1u << 20)
#define ACCEPT_RETRY_MS       200
#define UNREAD_DROP_MAX_READS 16

struct connection {
    struct connection *next; /* in node->finished */
    struct node *node;
    pthread_t thread;
    struct association_arrival arrival;
};

struct node {
    struct association_service service;
    int listener; /* -1 once stopped */
    uint16_t port;
    int reap; /* readable when a thread has ended */
    pthread_t accepting;
    bool started, stopped;

    pthread_mutex_t lock; /* guards what follows */
    pthread_cond_t ended;
    struct config *config;
    struct connection *finished;
    unsigned live;
    uint64_t last_id;
};

static void signal_event(int descriptor)
{
    /* Fails only when the counter is full, and then it is readable anyway. */
    ssize_t written = write(descriptor, &(uint64_t){1}, sizeof(uint64_t));
    (void)written;
}

static void *run_connection(void *argument)
{
    struct connection *connection = argument;
    struct node *node = connection->node;
    association_run(&node->service, &connection->arrival);
    config_release(connection->arrival.config);
    (void)pthread_mutex_lock(&node->lock);
    connection->next = node->finished;
    node->finished = connection;
    node->live--;
    (void)pthread_cond_signal(&node->ended);
    (void)pthread_mutex_unlock(&node->lock);
    signal_event(node->reap);
    return NULL;
}

static void reap(struct node *node)
{
    uint64_t ignored;
    ssize_t got = read(node->reap, &ignored, sizeof ignored);
    (void)got;
    (void)pthread_mutex_lock(&node->lock);
    struct connection *connection = node->finished;
    node->finished = NULL;
    (void)pthread_mutex_unlock(&node->lock);
    while (connection) {
        struct connection *next = connection->next;
        (void)pthread_join(connection->thread, NULL);
        free(connection);
        connection = next;
    }
}

/* Last resort when even the waiting places are taken, or memory is: the answer is sent unasked. */
static void turn_away(struct node *node, int descriptor)
{
    uint8_t pdu[PDU_SHORT_LENGTH], dropped[4096];
    pdu_write_rejection(pdu, &REJECTION_LOCAL_LIMIT);
    atomic_fetch_add(&node->service.counters.rejected, 1);
    if (send(descriptor, pdu, sizeof pdu, MSG_DONTWAIT | MSG_NOSIGNAL) == (ssize_t)sizeof pdu &&
        shutdown(descriptor, SHUT_WR) == 0) {
        /* What lies unread would turn the close into a reset that overtakes the answer. */
        for (int i = 0; i < UNREAD_DROP_MAX_READS; i++) {
            if (recv(descriptor, dropped, sizeof dropped, MSG_DONTWAIT) <= 0)
                break;
        }
    }
    (void)close(descriptor);
}

static int start_thread(struct connection *connection)
{
    pthread_attr_t attributes;
    int code = pthread_attr_init(&attributes);
    if (code != 0)
        return code;
    code = pthread_attr_setstacksize(&attributes, THREAD_STACK_SIZE);
    if (code == 0)
        code = pthread_create(&connection->thread, &attributes, run_connection, connection);
    (void)pthread_attr_destroy(&attributes);
    return code;
}

static struct connection *new_connection(struct node *node, int descriptor, const char *address)
{
    struct connection *connection = calloc(1, sizeof *connection);
    if (!connection)
        return NULL;
    connection->node = node;
    connection->arrival.socket = descriptor;
    memcpy(connection->arrival.address, address, sizeof connection->arrival.address);
    return connection;
}

static void serve(struct node *node, int descriptor, const char *address)
{
    struct connection *connection = new_connection(node, descriptor, address);
    if (!connection) {
        ending_log_no_memory(address);
        turn_away(node, descriptor);
        return;
    }
    if (slots_take(&node->service.pending, &connection->arrival.pending, address, PENDING_MAX,
                   PENDING_PER_PEER_MAX) != SLOTS_TAKEN) {
        free(connection);
        log_warning("node",
                    "connection from %s turned away: too many connections wait with no "
                    "association; look for senders that connect and stay silent, or release and "
                    "do not close",
                    address);
        turn_away(node, descriptor);
        return;
    }
    /* Held until the thread is on record, so that it cannot end before. */
    (void)pthread_mutex_lock(&node->lock);
    connection->arrival.id = ++node->last_id;
    connection->arrival.config = config_retain(node->config);
    int code = start_thread(connection);
    if (code == 0)
        node->live++;
    (void)pthread_mutex_unlock(&node->lock);
    if (code != 0) {
        log_error("node",
                  "no thread for the connection from %s: %s; raise the limit of tasks, or give the "
                  "bridge more memory",
                  address, strerror(code));
        slots_release(&node->service.pending, &connection->arrival.pending);
        config_release(connection->arrival.config);
        free(connection);
        (void)close(descriptor);
    }
}

static void accept_one(struct node *node, bool *short_of_resources)
{
    int descriptor = -1;
    char address[NETWORK_ADDRESS_SIZE];
    if (listener_accept(&descriptor, address, node->listener) == 0) {
        *short_of_resources = false;
        serve(node, descriptor, address);
        return;
    }
    if (errno != EMFILE && errno != ENFILE && errno != ENOBUFS && errno != ENOMEM)
        return; /* the connection is gone already */
    if (!*short_of_resources)
        log_error("node", "cannot accept connections: %s; raise the limit of open files",
                  strerror(errno));
    *short_of_resources = true;
}

static void *accept_connections(void *argument)
{
    struct node *node = argument;
    bool short_of_resources = false;
    for (;;) {
        struct pollfd descriptors[] = {
            {node->service.drain, POLLIN, 0}, {node->reap, POLLIN, 0}, {node->listener, POLLIN, 0}};
        /* While short of resources the socket stays readable: look again only after a while. */
        nfds_t count = short_of_resources ? 2 : 3;
        int ready = poll(descriptors, count, short_of_resources ? ACCEPT_RETRY_MS : -1);
        if (ready > 0 && descriptors[0].revents)
            return NULL;
        if (ready > 0 && descriptors[1].revents)
            reap(node);
        if (short_of_resources || descriptors[2].revents)
            accept_one(node, &short_of_resources);
    }
}

static int open_parts(struct node *node, const char *listen_at, struct error *err)
{
    node->service.drain = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    node->service.abort = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    node->reap = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (node->service.drain < 0 || node->service.abort < 0 || node->reap < 0)
        return error_errno(err, errno, "make an event descriptor for the DICOM node");
    if (listener_open(&node->listener, listen_at, err) != 0)
        return -1;
    node->port = listener_port(node->listener);
    return dul_network_open(&node->service.network, err);
}

static void init_locks(struct node *node)
{
    pthread_condattr_t attributes;
    (void)pthread_mutex_init(&node->lock, NULL);
    (void)pthread_condattr_init(&attributes);
    (void)pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&node->ended, &attributes);
    (void)pthread_condattr_destroy(&attributes);
    slots_init(&node->service.pending);
    slots_init(&node->service.large);
    slots_init(&node->service.open);
}

int node_open(struct node **out, struct config *config, const struct instance_sink *sink,
              const struct node_events *events, const struct clock *clock, struct error *err)
{
    *out = NULL;
    struct node *node = calloc(1, sizeof *node);
    if (!node)
        return error_set(err, "out of memory for the DICOM node");
    node->listener = node->reap = node->service.drain = node->service.abort = -1;
    node->service.sink = sink;
    node->service.events = events;
    node->service.clock = clock;
    node->config = config_retain(config);
    init_locks(node);
    if (open_parts(node, config->dicom.listen, err) != 0) {
        node_free(node);
        return -1;
    }
    *out = node;
    return 0;
}

uint16_t node_port(const struct node *node)
{
    return node->port;
}

int node_start(struct node *node, struct error *err)
{
    /* Signals are the main thread's: the node's threads inherit the mask. Those that a fault of
     * the program raises stay open, so that whoever watches for crashes sees them. */
    const int of_faults[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGTRAP};
    sigset_t blocked, before;
    (void)sigfillset(&blocked);
    for (size_t i = 0; i < sizeof of_faults / sizeof of_faults[0]; i++)
        (void)sigdelset(&blocked, of_faults[i]);
    (void)pthread_sigmask(SIG_SETMASK, &blocked, &before);
    int code = pthread_create(&node->accepting, NULL, accept_connections, node);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (code != 0)
        return error_errno(err, code, "start the DICOM node's thread");
    node->started = true;
    return 0;
}

void node_reconfigure(struct node *node, struct config *config)
{
    (void)pthread_mutex_lock(&node->lock);
    struct config *before = node->config;
    node->config = config_retain(config);
    (void)pthread_mutex_unlock(&node->lock);
    config_release(before);
}

static void wait_for_threads(struct node *node, const struct timespec *until)
{
    int code = 0;
    (void)pthread_mutex_lock(&node->lock);
    while (node->live > 0 && code == 0)
        code = until ? pthread_cond_timedwait(&node->ended, &node->lock, until)
                     : pthread_cond_wait(&node->ended, &node->lock);
    (void)pthread_mutex_unlock(&node->lock);
}

void node_stop(struct node *node)
{
    if (!node->started || node->stopped)
        return;
    node->stopped = true;
    signal_event(node->service.drain);
    (void)pthread_join(node->accepting, NULL);
    (void)close(node->listener);
    node->listener = -1;
    (void)pthread_mutex_lock(&node->lock);
    int64_t grace_ms = node->config->dicom.shutdown_timeout_ms;
    (void)pthread_mutex_unlock(&node->lock);
    struct timespec until;
    (void)clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += (time_t)(grace_ms / 1000);
    until.tv_nsec += (long)(grace_ms % 1000) * 1000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000;
    }
    wait_for_threads(node, &until);
    signal_event(node->service.abort);
    wait_for_threads(node, NULL);
    reap(node);
}

void node_free(struct node *node)
{
    if (!node)
        return;
    node_stop(node);
    const int descriptors[] = {node->listener, node->reap, node->service.drain,
                               node->service.abort};
    for (size_t i = 0; i < sizeof descriptors / sizeof descriptors[0]; i++) {
        if (descriptors[i] >= 0)
            (void)close(descriptors[i]);
    }
    dul_network_close(node->service.network);
    config_release(node->config);
    slots_destroy(&node->service.pending);
    slots_destroy(&node->service.large);
    slots_destroy(&node->service.open);
    (void)pthread_cond_destroy(&node->ended);
    (void)pthread_mutex_destroy(&node->lock);
    free(node);
}

void node_counters(struct node *node, struct node_counters *out)
{
    struct service_counters *counters = &node->service.counters;
    out->accepted = atomic_load(&counters->accepted);
    out->rejected = atomic_load(&counters->rejected);
    out->aborted = atomic_load(&counters->aborted);
    out->released = atomic_load(&counters->released);
    out->stored = atomic_load(&counters->stored);
    out->refused = atomic_load(&counters->refused);
    out->echoes = atomic_load(&counters->echoes);
    out->open = slots_count(&node->service.open);
}
