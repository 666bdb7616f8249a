/* The scripted server. Everything is bounded: requests, their sizes, and connections. */
#include "http_script.h"

#include <openssl/ssl.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#define MAX_CONNECTIONS 128
#define MAX_REQUESTS    512
#define MAX_HEADERS     65536
#define MAX_BODY        (64U << 20)

struct connection {
    struct http_script *script;
    pthread_t thread;
    int fd;
    SSL *tls;
    unsigned number;
    bool open;
};

struct http_script {
    const struct http_script_step *steps;
    SSL_CTX *ssl_context;
    int listener;
    uint16_t port;
    pthread_t thread;
    pthread_mutex_t lock; /* for all below */
    bool stopping;
    unsigned step_count, request_count, connection_count;
    struct http_script_request requests[MAX_REQUESTS];
    struct connection connections[MAX_CONNECTIONS];
};

/* ---- bytes ---- */

static ssize_t receive(struct connection *connection, void *bytes, size_t length)
{
    if (connection->tls)
        return SSL_read(connection->tls, bytes, (int)length);
    return recv(connection->fd, bytes, length, 0);
}

static bool transmit(struct connection *connection, const char *bytes, size_t length)
{
    while (length > 0) {
        ssize_t sent = connection->tls ? SSL_write(connection->tls, bytes, (int)length)
                                       : send(connection->fd, bytes, length, MSG_NOSIGNAL);
        if (sent <= 0)
            return false;
        bytes += sent;
        length -= (size_t)sent;
    }
    return true;
}

/* ---- a request ---- */

static const char *find_header(const struct buffer *headers, const char *name, size_t *length)
{
    size_t name_length = strlen(name);
    for (const char *line = headers->data; line && *line;) {
        const char *end = strstr(line, "\r\n");
        if (!end)
            return NULL;
        if (strncasecmp(line, name, name_length) == 0 && line[name_length] == ':') {
            const char *value = line + name_length + 1;
            value += strspn(value, " ");
            *length = (size_t)(end - value);
            return value;
        }
        line = end + 2;
    }
    return NULL;
}

const char *http_script_header(const struct http_script_request *request, const char *name,
                               char *out, size_t size)
{
    size_t length = 0;
    const char *value = request ? find_header(&request->headers, name, &length) : NULL;
    (void)snprintf(out, size, "%.*s", (int)length, value ? value : "");
    return out;
}

/* Reads to the empty line, byte by byte, so that nothing of the body is taken. */
static bool read_head(struct connection *connection, struct http_script_request *request)
{
    char byte = 0;
    while (receive(connection, &byte, 1) == 1) {
        if (buffer_append(&request->headers, &byte, 1) != 0)
            return false;
        size_t length = request->headers.length;
        if (length >= 4 && memcmp(request->headers.data + length - 4, "\r\n\r\n", 4) == 0)
            return sscanf(request->headers.data, "%15s %2047s", request->method, request->target) ==
                   2;
    }
    return false;
}

static bool read_body(struct connection *connection, struct http_script_request *request,
                      uint64_t most, unsigned rate)
{
    static const size_t block_size = 65536;
    size_t digits = 0;
    const char *figure = find_header(&request->headers, "Content-Length", &digits);
    uint64_t left = figure ? strtoull(figure, NULL, 10) : 0;
    if (most > 0 && most < left)
        left = most;
    char *block = malloc(block_size);
    while (block && left > 0) {
        ssize_t got = receive(connection, block, left < block_size ? (size_t)left : block_size);
        if (got <= 0 || buffer_append(&request->body, block, (size_t)got) != 0)
            break;
        left -= (uint64_t)got;
        if (rate > 0)
            (void)usleep((useconds_t)((uint64_t)got * 1000000 / rate));
    }
    free(block);
    return left == 0;
}

/* ---- a response ---- */

static bool respond(struct connection *connection, const struct http_script_step *step)
{
    char head[4096];
    const char *body = step->body ? step->body : "";
    if (step->raw)
        return transmit(connection, step->raw, strlen(step->raw));
    if (step->status == 0)
        return true;
    int length = 0;
    if (step->ending == SCRIPT_ENDLESS || step->ending == SCRIPT_DRIP || step->status == 204)
        length = snprintf(head, sizeof head, "HTTP/1.1 %d Scripted\r\n%s\r\n", step->status,
                          step->headers ? step->headers : "");
    else
        length =
            snprintf(head, sizeof head, "HTTP/1.1 %d Scripted\r\nContent-Length: %zu\r\n%s\r\n",
                     step->status, strlen(body), step->headers ? step->headers : "");
    return transmit(connection, head, (size_t)length) && transmit(connection, body, strlen(body));
}

static void end(struct connection *connection, const struct http_script_step *step)
{
    const struct linger reset = {.l_onoff = 1, .l_linger = 0};
    char byte = 0;
    switch (step->ending) {
    case SCRIPT_ENDLESS:
        while (transmit(connection, step->body, strlen(step->body)))
            continue;
        break;
    case SCRIPT_DRIP:
        for (size_t i = 0; transmit(connection, step->body + i, 1);
             i = (i + 1) % strlen(step->body))
            (void)usleep(20000);
        break;
    case SCRIPT_HANG:
        while (receive(connection, &byte, 1) == 1)
            continue;
        break;
    case SCRIPT_RESET:
        (void)setsockopt(connection->fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
        break;
    case SCRIPT_KEEP:
    case SCRIPT_CLOSE:
        break;
    }
}

/* The place of the next request and its step, or null when there is no more room. */
static struct http_script_request *next_request(struct connection *connection,
                                                struct http_script_request *heard,
                                                struct http_script_step *step)
{
    static const struct http_script_step beyond = {.status = 599, .body = "beyond the script"};
    struct http_script *script = connection->script;
    struct http_script_request *place = NULL;
    (void)pthread_mutex_lock(&script->lock);
    if (script->request_count < MAX_REQUESTS) {
        unsigned number = script->request_count;
        place = &script->requests[number];
        *place = *heard;
        place->connection = connection->number;
        *step = number < script->step_count ? script->steps[number] : beyond;
    }
    (void)pthread_mutex_unlock(&script->lock);
    return place;
}

/* One request and its step. Returns whether the connection goes on. */
static bool serve(struct connection *connection)
{
    struct http_script *script = connection->script;
    struct http_script_request heard = {.method = ""};
    struct http_script_step step;
    buffer_init(&heard.headers, MAX_HEADERS);
    buffer_init(&heard.body, MAX_BODY);
    if (!read_head(connection, &heard)) {
        buffer_free(&heard.headers);
        return false;
    }
    /* The step decides how much of the body is read, so its number is taken first; requests that
     * overlap are beyond what these tests do. */
    (void)pthread_mutex_lock(&script->lock);
    unsigned number = script->request_count;
    uint64_t most = number < script->step_count ? script->steps[number].body_taken : 0;
    unsigned rate = number < script->step_count ? script->steps[number].body_rate : 0;
    (void)pthread_mutex_unlock(&script->lock);
    bool whole = read_body(connection, &heard, most, rate);
    struct http_script_request *place = next_request(connection, &heard, &step);
    if (!place) {
        buffer_free(&heard.headers);
        buffer_free(&heard.body);
        return false;
    }
    if (step.before)
        step.before(step.context);
    /* Counted when it is answered, so that a test may look at all that is counted. */
    (void)pthread_mutex_lock(&script->lock);
    script->request_count++;
    (void)pthread_mutex_unlock(&script->lock);
    bool goes_on = whole && respond(connection, &step) && step.ending == SCRIPT_KEEP;
    if (!goes_on)
        end(connection, &step);
    return goes_on;
}

static void *connection_run(void *context)
{
    struct connection *connection = context;
    struct http_script *script = connection->script;
    bool ready = true;
    if (script->ssl_context) {
        connection->tls = SSL_new(script->ssl_context);
        ready = connection->tls && SSL_set_fd(connection->tls, connection->fd) == 1 &&
                SSL_accept(connection->tls) == 1;
    }
    while (ready && serve(connection))
        continue;
    SSL_free(connection->tls);
    connection->tls = NULL;
    (void)pthread_mutex_lock(&script->lock);
    connection->open = false;
    (void)close(connection->fd);
    (void)pthread_mutex_unlock(&script->lock);
    return NULL;
}

/* ---- the server ---- */

static void take_connection(struct http_script *script, int fd)
{
    (void)pthread_mutex_lock(&script->lock);
    bool room = !script->stopping && script->connection_count < MAX_CONNECTIONS;
    if (room) {
        struct connection *connection = &script->connections[script->connection_count];
        *connection = (struct connection){
            .script = script, .fd = fd, .number = script->connection_count, .open = true};
        room = pthread_create(&connection->thread, NULL, connection_run, connection) == 0;
        if (room)
            script->connection_count++;
    }
    (void)pthread_mutex_unlock(&script->lock);
    if (!room)
        (void)close(fd);
}

static void *script_run(void *context)
{
    struct http_script *script = context;
    for (;;) {
        int fd = accept(script->listener, NULL, NULL);
        if (fd < 0)
            return NULL;
        take_connection(script, fd);
    }
}

static int listen_on_loopback(uint16_t *port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    if (bind(fd, (struct sockaddr *)&address, sizeof address) != 0 || listen(fd, 64) != 0 ||
        getsockname(fd, (struct sockaddr *)&address, &length) != 0) {
        (void)close(fd);
        return -1;
    }
    *port = ntohs(address.sin_port);
    return fd;
}

struct http_script *http_script_start(const struct http_script_step *steps, void *ssl_context)
{
    struct http_script *script = calloc(1, sizeof *script);
    if (!script)
        return NULL;
    script->steps = steps;
    script->ssl_context = ssl_context;
    while (steps[script->step_count].status || steps[script->step_count].raw)
        script->step_count++;
    script->listener = listen_on_loopback(&script->port);
    if (script->listener < 0 || pthread_mutex_init(&script->lock, NULL) != 0 ||
        pthread_create(&script->thread, NULL, script_run, script) != 0) {
        free(script);
        return NULL;
    }
    return script;
}

uint16_t http_script_port(const struct http_script *script)
{
    return script->port;
}

unsigned http_script_count(struct http_script *script)
{
    (void)pthread_mutex_lock(&script->lock);
    unsigned count = script->request_count;
    (void)pthread_mutex_unlock(&script->lock);
    return count;
}

unsigned http_script_connections(struct http_script *script)
{
    (void)pthread_mutex_lock(&script->lock);
    unsigned count = script->connection_count;
    (void)pthread_mutex_unlock(&script->lock);
    return count;
}

const struct http_script_request *http_script_request(struct http_script *script, unsigned n)
{
    return n < http_script_count(script) ? &script->requests[n] : NULL;
}

void http_script_stop(struct http_script *script)
{
    if (!script)
        return;
    (void)pthread_mutex_lock(&script->lock);
    script->stopping = true;
    (void)pthread_mutex_unlock(&script->lock);
    (void)shutdown(script->listener, SHUT_RDWR);
    (void)pthread_join(script->thread, NULL);
    (void)close(script->listener);
    for (unsigned i = 0; i < script->connection_count; i++) {
        struct connection *connection = &script->connections[i];
        (void)pthread_mutex_lock(&script->lock);
        if (connection->open)
            (void)shutdown(connection->fd, SHUT_RDWR);
        (void)pthread_mutex_unlock(&script->lock);
        (void)pthread_join(connection->thread, NULL);
    }
    for (unsigned i = 0; i < MAX_REQUESTS; i++) {
        buffer_free(&script->requests[i].headers);
        buffer_free(&script->requests[i].body);
    }
    (void)pthread_mutex_destroy(&script->lock);
    free(script);
}
