/* The listening socket: non-blocking, close-on-exec, dual stack where asked. Never looks up a
 * peer's name.
 */
#include "listener.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define BACKLOG  512
#define HOST_MAX 256

/* Splits at the last colon; brackets around the host are dropped. */
static int split(char host[HOST_MAX], const char **port, const char *listen_at, struct error *err)
{
    const char *colon = strrchr(listen_at, ':');
    if (!colon || !colon[1] || (size_t)(colon - listen_at) >= HOST_MAX)
        return error_set(err, "dicom.listen \"%s\" is not of the form address:port", listen_at);
    size_t length = (size_t)(colon - listen_at);
    const char *start = listen_at;
    if (length >= 2 && start[0] == '[' && start[length - 1] == ']') {
        start++;
        length -= 2;
    }
    memcpy(host, start, length);
    host[length] = '\0';
    *port = colon + 1;
    return 0;
}

static int listen_on(int *out, const struct addrinfo *at)
{
    int descriptor = socket(at->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (descriptor < 0)
        return -1;
    if (setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int)) != 0 ||
        (at->ai_family == AF_INET6 &&
         setsockopt(descriptor, IPPROTO_IPV6, IPV6_V6ONLY, &(int){0}, sizeof(int)) != 0) ||
        bind(descriptor, at->ai_addr, at->ai_addrlen) != 0 || listen(descriptor, BACKLOG) != 0) {
        int reason = errno;
        (void)close(descriptor);
        errno = reason;
        return -1;
    }
    *out = descriptor;
    return 0;
}

int listener_open(int *out, const char *listen_at, struct error *err)
{
    char host[HOST_MAX];
    const char *port = NULL;
    if (split(host, &port, listen_at, err) != 0)
        return -1;
    struct addrinfo hints, *found = NULL;
    memset(&hints, 0, sizeof hints);
    hints.ai_family = host[0] ? AF_UNSPEC : AF_INET6;
    hints.ai_socktype = SOCK_STREAM;
    hints.ai_flags = AI_PASSIVE | AI_NUMERICSERV;
    int code = getaddrinfo(host[0] ? host : NULL, port, &hints, &found);
    if (code != 0)
        return error_set(err, "dicom.listen \"%s\": %s", listen_at, gai_strerror(code));
    int result = listen_on(out, found);
    int reason = errno;
    freeaddrinfo(found);
    if (result == 0)
        return 0;
    (void)error_errno(err, reason, "listen for DICOM on %s", listen_at);
    if (reason == EADDRINUSE)
        return error_set(err, "%s; stop the other program there or change dicom.listen", err->text);
    return -1;
}

uint16_t listener_port(int listener)
{
    struct sockaddr_storage at;
    socklen_t length = sizeof at;
    if (getsockname(listener, (struct sockaddr *)&at, &length) != 0)
        return 0;
    return at.ss_family == AF_INET6 ? ntohs(((struct sockaddr_in6 *)&at)->sin6_port)
                                    : ntohs(((struct sockaddr_in *)&at)->sin_port);
}

static void write_address(char out[NETWORK_ADDRESS_SIZE], const struct sockaddr_storage *peer)
{
    out[0] = '\0';
    if (peer->ss_family == AF_INET) {
        const struct sockaddr_in *four = (const struct sockaddr_in *)peer;
        (void)inet_ntop(AF_INET, &four->sin_addr, out, NETWORK_ADDRESS_SIZE);
        return;
    }
    const struct sockaddr_in6 *six = (const struct sockaddr_in6 *)peer;
    if (IN6_IS_ADDR_V4MAPPED(&six->sin6_addr))
        (void)inet_ntop(AF_INET, six->sin6_addr.s6_addr + 12, out, NETWORK_ADDRESS_SIZE);
    else
        (void)inet_ntop(AF_INET6, &six->sin6_addr, out, NETWORK_ADDRESS_SIZE);
}

int listener_accept(int *out, char address[NETWORK_ADDRESS_SIZE], int listener)
{
    struct sockaddr_storage peer;
    socklen_t length = sizeof peer;
    memset(&peer, 0, sizeof peer);
    int descriptor = accept4(listener, (struct sockaddr *)&peer, &length, SOCK_CLOEXEC);
    if (descriptor < 0)
        return -1;
    write_address(address, &peer);
    *out = descriptor;
    return 0;
}
