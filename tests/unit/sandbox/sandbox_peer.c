#include "sandbox_peer.h"

#include "suite.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static void send_all(int fd, const char *bytes, size_t length)
{
    while (length > 0) {
        ssize_t sent = send(fd, bytes, length, MSG_NOSIGNAL);
        if (sent <= 0)
            return; /* the sandbox may close early; its answer tells */
        bytes += sent;
        length -= (size_t)sent;
    }
}

void peer_ask(struct peer_answer *out, uint16_t port, const char *head, const char *body)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons(port),
                                  .sin_addr = {.s_addr = htonl(INADDR_LOOPBACK)}};
    char request[8192];
    size_t length = 0;
    *out = (struct peer_answer){0};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CU_ASSERT_FATAL(fd >= 0);
    CU_ASSERT_EQUAL_FATAL(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
    int size = snprintf(request, sizeof request,
                        "%sHost: 127.0.0.1:%u\r\nConnection: close\r\nContent-Length: %zu\r\n\r\n",
                        head, port, body ? strlen(body) : 0);
    CU_ASSERT_FATAL(size > 0 && (size_t)size < sizeof request);
    send_all(fd, request, (size_t)size);
    if (body)
        send_all(fd, body, strlen(body));
    ssize_t got;
    while (length < sizeof out->text - 1 &&
           (got = recv(fd, out->text + length, sizeof out->text - 1 - length, 0)) > 0)
        length += (size_t)got;
    (void)close(fd);
    if (sscanf(out->text, "HTTP/1.1 %d", &out->status) != 1)
        out->status = 0;
}

static void copy_until(char *out, size_t size, const char *from, const char *end)
{
    size_t length = strcspn(from, end);
    (void)snprintf(out, size, "%.*s", (int)length, from);
}

void peer_header(char *out, size_t size, const struct peer_answer *answer, const char *name)
{
    char start[128];
    (void)snprintf(start, sizeof start, "\r\n%s: ", name);
    const char *at = strcasestr(answer->text, start);
    copy_until(out, size, at ? at + strlen(start) : "", "\r\n");
}

void peer_member(char *out, size_t size, const struct peer_answer *answer, const char *name)
{
    char start[128];
    (void)snprintf(start, sizeof start, "\"%s\":\"", name);
    const char *at = strstr(answer->text, start);
    copy_until(out, size, at ? at + strlen(start) : "", "\"");
}
