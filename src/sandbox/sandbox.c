/* Makes and ends a sandbox: its options, its directory, its listening socket. */
#include "server.h"

#include "routes.h"

#include "aurabridge/fs.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define LISTEN_BACKLOG  64
#define ADDRESS_MAX     256
#define LIMIT_EXCHANGE  10
#define LIMIT_CONFIG    30
#define LIMIT_LIFECYCLE 60

int64_t sandbox_wall_ms(const struct sandbox *sandbox)
{
    return clock_wall_ms(sandbox->clock) + sandbox->faults.skew_s * 1000;
}

/* An error-free lock: a default mutex fails only when it is misused. */
void sandbox_lock(struct sandbox *sandbox)
{
    if (pthread_mutex_lock(&sandbox->lock) != 0)
        abort();
}

void sandbox_unlock(struct sandbox *sandbox)
{
    if (pthread_mutex_unlock(&sandbox->lock) != 0)
        abort();
}

/* "127.0.0.1:8080", "[::1]:0" */
static int split_listen(char host[ADDRESS_MAX], char port[8], const char *listen)
{
    const char *colon = strrchr(listen, ':');
    size_t length = colon ? (size_t)(colon - listen) : 0;
    if (!colon || length >= ADDRESS_MAX || strlen(colon + 1) >= 8)
        return -1;
    if (length >= 2 && listen[0] == '[' && listen[length - 1] == ']') {
        listen++;
        length -= 2;
    }
    memcpy(host, listen, length);
    host[length] = '\0';
    (void)snprintf(port, 8, "%s", colon + 1);
    return 0;
}

static int listen_at(int *out, const struct addrinfo *address)
{
    int fd = socket(address->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int on = 1;
    if (fd < 0)
        return -1;
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0 ||
        bind(fd, address->ai_addr, address->ai_addrlen) != 0 || listen(fd, LISTEN_BACKLOG) != 0) {
        int failed = errno;
        (void)close(fd);
        errno = failed;
        return -1;
    }
    *out = fd;
    return 0;
}

static int open_listener(struct sandbox *sandbox, const char *listen, struct error *err)
{
    char host[ADDRESS_MAX], port[8];
    if (split_listen(host, port, listen) != 0)
        return error_set(err, "listen address %.100s is not ADDRESS:PORT", listen);
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM,
                             .ai_flags = AI_PASSIVE | AI_NUMERICHOST | AI_NUMERICSERV};
    struct addrinfo *address = NULL;
    int failed = getaddrinfo(host[0] ? host : NULL, port, &hints, &address);
    if (failed != 0)
        return error_set(err, "listen address %s: %s", listen, gai_strerror(failed));
    int result = listen_at(&sandbox->listen_fd, address);
    if (result != 0)
        (void)error_errno(err, errno, "listening on %s", listen);
    freeaddrinfo(address);
    struct sockaddr_in6 bound = {0}; /* its port stands where that of sockaddr_in does */
    socklen_t size = sizeof bound;
    if (result == 0 &&
        getsockname(sandbox->listen_fd, (struct sockaddr *)(void *)&bound, &size) != 0)
        result = error_errno(err, errno, "asking the port of %s", listen);
    sandbox->port = ntohs(bound.sin6_port);
    return result;
}

static int copy(char **out, const char *text)
{
    *out = text ? strdup(text) : NULL;
    return text && !*out ? -1 : 0;
}

static int copy_options(struct sandbox *sandbox, const struct sandbox_options *options,
                        struct error *err)
{
    if (!options->listen || !options->directory || !options->app_id || !options->app_secret ||
        !options->service_api_key)
        return error_set(err, "the sandbox needs an address, a directory, an app id, an app secret "
                              "and a service API key");
    if (copy(&sandbox->directory, options->directory) != 0 ||
        copy(&sandbox->app_id, options->app_id) != 0 ||
        copy(&sandbox->app_secret, options->app_secret) != 0 ||
        copy(&sandbox->service_api_key, options->service_api_key) != 0 ||
        copy(&sandbox->tus_endpoint, options->tus_endpoint) != 0)
        return error_set(err, "memory is short");
    faults_init(&sandbox->faults);
    for (size_t i = 0; i < options->fault_count; i++) {
        if (faults_add(&sandbox->faults, options->faults[i], err) != 0)
            return -1;
    }
    return 0;
}

static int make_tables(struct sandbox *sandbox, const struct sandbox_options *options,
                       struct error *err)
{
    const unsigned limits[AURABOX_BUCKET_COUNT] = {
        [AURABOX_EXCHANGE] = options->limit_exchange ? options->limit_exchange : LIMIT_EXCHANGE,
        [AURABOX_CONFIG] = options->limit_config ? options->limit_config : LIMIT_CONFIG,
        [AURABOX_LIFECYCLE] =
            options->limit_lifecycle ? options->limit_lifecycle : LIMIT_LIFECYCLE};
    for (size_t i = 0; i < AURABOX_BUCKET_COUNT; i++) {
        if (limit_init(&sandbox->limits[i], limits[i]) != 0)
            return error_set(err, "memory is short");
    }
    sandbox->routes = routes_new(&sandbox->route_count);
    if (!sandbox->routes || auth_init(&sandbox->auth) != 0)
        return error_set(err, "memory is short");
    return 0;
}

static int make_directories(struct sandbox *sandbox, struct error *err)
{
    char tus[FS_PATH_MAX];
    return fs_make_directory(sandbox->directory, err) == 0 &&
                   fs_join(tus, sandbox->directory, "tus", err) == 0 &&
                   fs_make_directory(tus, err) == 0
               ? 0
               : -1;
}

int sandbox_open(struct sandbox **out, const struct sandbox_options *options,
                 const struct clock *clock, struct error *err)
{
    struct sandbox *sandbox = calloc(1, sizeof *sandbox);
    *out = NULL;
    if (!sandbox)
        return error_set(err, "memory is short");
    sandbox->clock = clock;
    sandbox->listen_fd = -1;
    sandbox->transcript.fd = -1;
    if (pthread_mutex_init(&sandbox->lock, NULL) != 0) {
        free(sandbox);
        return error_set(err, "a lock cannot be made");
    }
    if (copy_options(sandbox, options, err) != 0 || make_tables(sandbox, options, err) != 0 ||
        make_directories(sandbox, err) != 0 ||
        transcript_open(&sandbox->transcript, sandbox->directory, err) != 0 ||
        open_listener(sandbox, options->listen, err) != 0) {
        sandbox_free(sandbox);
        return error_wrap(err, "opening the sandbox");
    }
    *out = sandbox;
    return 0;
}

uint16_t sandbox_port(const struct sandbox *sandbox)
{
    return sandbox->port;
}

void sandbox_free(struct sandbox *sandbox)
{
    if (!sandbox)
        return;
    sandbox_stop(sandbox);
    if (sandbox->listen_fd >= 0)
        (void)close(sandbox->listen_fd);
    transcript_close(&sandbox->transcript);
    for (size_t i = 0; i < AURABOX_BUCKET_COUNT; i++)
        limit_free(&sandbox->limits[i]);
    auth_free(&sandbox->auth);
    uploads_free(&sandbox->uploads);
    tus_files_free(&sandbox->tus_files);
    free(sandbox->routes);
    free(sandbox->directory);
    free(sandbox->app_id);
    if (sandbox->app_secret)
        explicit_bzero(sandbox->app_secret, strlen(sandbox->app_secret));
    free(sandbox->app_secret);
    free(sandbox->service_api_key);
    free(sandbox->tus_endpoint);
    (void)pthread_mutex_destroy(&sandbox->lock);
    free(sandbox);
}
