/* The control socket. A few threads serve one connection each, so that an audit of a large spool
 * keeps no other command waiting; a client that says nothing or takes nothing is dropped after a
 * bound. */
#include "aurabridge/control.h"

#include "aurabridge/clock.h"
#include "aurabridge/fs.h"
#include "aurabridge/log.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define MAX_LINE           65536
#define REQUEST_TIMEOUT_MS 3000 /* for the whole request */
#define CLIENT_TIMEOUT_S   10   /* in which some byte of an answer is taken */
#define THREADS            4
#define REFUSED_DELAY_MS   200 /* when no connection can be had: no descriptor is free, say */

struct control {
    struct operate_target target;
    int listener;
    int stop; /* eventfd */
    char path[FS_PATH_MAX];
    pthread_t threads[THREADS];
    unsigned running;
};

static int socket_address(struct sockaddr_un *out, const char *directory, struct error *err)
{
    *out = (struct sockaddr_un){.sun_family = AF_UNIX};
    int length = snprintf(out->sun_path, sizeof out->sun_path, "%s/control", directory);
    if (length > 0 && (size_t)length < sizeof out->sun_path)
        return 0;
    return error_set(err, "the spool's path %s is too long for its control socket (at most %zu)",
                     directory, sizeof out->sun_path - sizeof "/control");
}

static void limit_patience(int fd)
{
    struct timeval patience = {.tv_sec = CLIENT_TIMEOUT_S};
    (void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
}

/* Waits until there is something to read before the deadline and nobody wants us to stop. */
static bool is_readable(const struct control *control, int fd, int64_t deadline_ms)
{
    const struct clock *clock = clock_system();
    for (;;) {
        struct pollfd waits[] = {{.fd = fd, .events = POLLIN},
                                 {.fd = control->stop, .events = POLLIN}};
        int64_t left = deadline_ms - clock_monotonic_ms(clock);
        int ready = poll(waits, 2, left > 0 ? (int)left : 0);
        if (ready < 0 && errno == EINTR)
            continue;
        return ready > 0 && !waits[1].revents && waits[0].revents;
    }
}

static int send_all(int fd, const char *bytes, size_t length)
{
    while (length > 0) {
        ssize_t sent = send(fd, bytes, length, MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR)
            continue;
        if (sent <= 0)
            return -1;
        bytes += sent;
        length -= (size_t)sent;
    }
    return 0;
}

static int send_line(void *context, const struct json *line)
{
    char *text = json_print(line);
    if (!text)
        return -1;
    int fd = *(int *)context;
    int failed = send_all(fd, text, strlen(text)) != 0 || send_all(fd, "\n", 1) != 0;
    free(text);
    return failed ? -1 : 0;
}

/* Reads up to and with the next line feed, keeping what follows in `buffer`. A daemon (`control`
 * not null) has no more patience than the deadline. Returns the line's length, or -1 at the end. */
static long read_line(const struct control *control, int fd, int64_t deadline_ms,
                      struct buffer *buffer)
{
    for (;;) {
        char *end = memchr(buffer->data, '\n', buffer->length);
        if (end)
            return end - buffer->data;
        char chunk[4096];
        if (control && !is_readable(control, fd, deadline_ms))
            return -1;
        ssize_t got = recv(fd, chunk, sizeof chunk, 0);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0 || buffer_append(buffer, chunk, (size_t)got) != 0)
            return -1;
    }
}

static void drop_line(struct buffer *buffer, size_t length)
{
    size_t rest = buffer->length - length - 1;
    memmove(buffer->data, buffer->data + length + 1, rest);
    buffer->length = rest;
    buffer->data[rest] = '\0';
}

static void refuse(int fd, const char *why)
{
    struct json *line = json_new_object();
    if (json_set_bool(line, "ok", false) == 0 && json_set_string(line, "error", why) == 0)
        (void)send_line(&fd, line);
    json_free(line);
}

static void serve_client(struct control *control, int fd)
{
    struct buffer buffer;
    struct json *request = NULL;
    buffer_init(&buffer, MAX_LINE);
    limit_patience(fd);
    int64_t deadline = clock_monotonic_ms(clock_system()) + REQUEST_TIMEOUT_MS;
    long length = read_line(control, fd, deadline, &buffer);
    if (length < 0)
        refuse(fd, "no whole request came: it is one line of JSON of at most 64 KiB, at once");
    else if (json_parse(&request, buffer.data, (size_t)length, NULL) != 0)
        refuse(fd, "the request is no JSON");
    else
        (void)operate(&control->target, request, send_line, &fd);
    json_free(request);
    buffer_free(&buffer);
}

static void *serve(void *context)
{
    struct control *control = context;
    for (;;) {
        struct pollfd waits[] = {{.fd = control->listener, .events = POLLIN},
                                 {.fd = control->stop, .events = POLLIN}};
        if (poll(waits, 2, -1) < 0 && errno != EINTR)
            break;
        if (waits[1].revents)
            break;
        if (!(waits[0].revents & POLLIN))
            continue;
        int fd = accept4(control->listener, NULL, NULL, SOCK_CLOEXEC);
        if (fd < 0) {
            /* EAGAIN: another of the threads has it. */
            if (errno != EINTR && errno != ECONNABORTED && errno != EAGAIN)
                (void)poll(&waits[1], 1, REFUSED_DELAY_MS);
            continue;
        }
        serve_client(control, fd);
        (void)close(fd);
    }
    return NULL;
}

static int listen_at(struct control *control, const char *directory, struct error *err)
{
    struct sockaddr_un address;
    if (socket_address(&address, directory, err) != 0)
        return -1;
    (void)snprintf(control->path, sizeof control->path, "%s", address.sun_path);
    /* The caller holds the spool's lock: a socket that is there is nobody's any more. */
    if (fs_remove(control->path, err) != 0)
        return -1;
    control->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (control->listener < 0)
        return error_errno(err, errno, "making the control socket");
    if (fchmod(control->listener, 0600) != 0 ||
        bind(control->listener, (struct sockaddr *)&address, sizeof address) != 0 ||
        chmod(control->path, 0600) != 0 || listen(control->listener, 8) != 0)
        return error_errno(err, errno, "opening the control socket %s", control->path);
    return 0;
}

static void end_threads(struct control *control)
{
    uint64_t one = 1;
    if (control->running == 0)
        return;
    if (write(control->stop, &one, sizeof one) != (ssize_t)sizeof one)
        log_error("control", "the control threads could not be told to stop");
    for (unsigned i = 0; i < control->running; i++)
        pthread_join(control->threads[i], NULL);
}

static void control_free(struct control *control)
{
    end_threads(control);
    if (control->listener >= 0) {
        (void)close(control->listener);
        (void)unlink(control->path);
    }
    if (control->stop >= 0)
        (void)close(control->stop);
    free(control);
}

int control_start(struct control **out, const struct operate_target *target, struct error *err)
{
    *out = NULL;
    struct control *control = calloc(1, sizeof *control);
    if (!control)
        return error_set(err, "no memory for the control socket");
    control->target = *target;
    control->listener = -1;
    control->stop = eventfd(0, EFD_CLOEXEC);
    int failed = control->stop < 0 ? error_errno(err, errno, "making an event descriptor") : 0;
    if (!failed)
        failed = listen_at(control, spool_directory(target->spool), err);
    while (!failed && control->running < THREADS) {
        int refused = pthread_create(&control->threads[control->running], NULL, serve, control);
        if (refused)
            failed = error_errno(err, refused, "starting a control thread");
        else
            control->running++;
    }
    if (failed) {
        control_free(control);
        return -1;
    }
    *out = control;
    return 0;
}

void control_stop(struct control *control)
{
    if (control)
        control_free(control);
}

static int connect_to(int *fd, const char *directory, struct error *err)
{
    struct sockaddr_un address;
    if (socket_address(&address, directory, err) != 0)
        return -1;
    *fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (*fd < 0)
        return error_errno(err, errno, "making a socket");
    if (connect(*fd, (struct sockaddr *)&address, sizeof address) == 0)
        return 0;
    int refused = errno;
    (void)close(*fd);
    *fd = -1;
    (void)error_errno(err, refused, "%sconnecting to %s",
                      refused == EACCES ? "run this as root, or as the user of the bridge: " : "",
                      address.sun_path);
    return refused == ENOENT || refused == ECONNREFUSED ? CONTROL_ABSENT : -1;
}

static int relay_replies(int fd, operate_emit *emit, void *context, struct error *err)
{
    struct buffer buffer;
    buffer_init(&buffer, MAX_LINE);
    bool ended = false;
    int failed = 0;
    while (!failed && !ended) {
        long length = read_line(NULL, fd, 0, &buffer);
        struct json *line = NULL;
        if (length < 0) {
            failed = error_set(err, "the daemon closed the connection in the middle of its answer");
            break;
        }
        failed = json_parse(&line, buffer.data, (size_t)length, err);
        if (!failed) {
            ended = json_get(line, "ok") != NULL;
            failed = emit(context, line);
        }
        json_free(line);
        drop_line(&buffer, (size_t)length);
    }
    buffer_free(&buffer);
    return failed ? -1 : 0;
}

int control_ask(const char *directory, const struct json *request, operate_emit *emit,
                void *context, struct error *err)
{
    int fd = -1;
    int failed = connect_to(&fd, directory, err);
    if (failed)
        return failed;
    if (send_line(&fd, request) != 0)
        failed = error_errno(err, errno, "asking the daemon");
    else
        failed = relay_replies(fd, emit, context, err);
    (void)close(fd);
    return failed;
}
