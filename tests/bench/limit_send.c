/* See limit.h. The sender: the same data sets as bench_sender's, in memory before the clock starts.
 */
#include "limit.h"

#include <arpa/inet.h>
#include <endian.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct piece {
    uint8_t *bytes; /* length and data set */
    size_t length;
};

struct line {
    const struct limit_send *orders;
    int fd;
    unsigned count;
    struct piece pieces[];
};

static int open_connection(const struct limit_send *orders, struct error *err)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(orders->port)};
    int on = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd >= 0 && inet_pton(AF_INET, orders->host, &address.sin_addr) == 1 &&
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) == 0 &&
        connect(fd, (const struct sockaddr *)&address, sizeof address) == 0)
        return fd;
    int failed = errno;
    if (fd >= 0)
        (void)close(fd);
    return error_errno(err, failed, "cannot connect to %s:%u", orders->host, orders->port);
}

static int make_piece(struct piece *piece, struct synthetic *series, FILE *digests,
                      struct error *err)
{
    struct synthetic_instance made;
    if (synthetic_next(series, &made) != 0)
        return error_set(err, "no memory for an instance");
    int result = load_note(digests, made.sop_instance_uid, made.bytes, made.size, err);
    uint64_t length = htole64(made.size);
    piece->length = made.size + LIMIT_LENGTH;
    piece->bytes = malloc(piece->length);
    if (piece->bytes) {
        memcpy(piece->bytes, &length, LIMIT_LENGTH);
        memcpy(piece->bytes + LIMIT_LENGTH, made.bytes, made.size);
    } else {
        result = error_set(err, "no memory for an instance");
    }
    free(made.bytes);
    return result;
}

static int line_prepare(void *context, void **out, unsigned number, unsigned count,
                        struct error *err)
{
    const struct limit_send *orders = context;
    struct line *line = calloc(1, sizeof *line + count * sizeof line->pieces[0]);
    if (!line)
        return error_set(err, "no memory");
    *out = line;
    line->orders = orders;
    line->fd = -1;
    line->count = count;
    struct synthetic *series = synthetic_new(&orders->plan, number);
    int result = series ? 0 : error_set(err, "no memory");
    for (unsigned i = 0; result == 0 && i < count; i++)
        result = make_piece(&line->pieces[i], series, orders->digests, err);
    synthetic_free(series);
    return result;
}

static int line_open(void *context, struct error *err)
{
    struct line *line = context;
    line->fd = open_connection(line->orders, err);
    return line->fd < 0 ? -1 : 0;
}

static int line_send(void *context, unsigned index, uint64_t *bytes, struct error *err)
{
    const struct line *line = context;
    const struct piece *piece = &line->pieces[index];
    uint8_t answer = 0;
    *bytes = piece->length - LIMIT_LENGTH;
    for (size_t sent = 0; sent < piece->length;) {
        ssize_t now = send(line->fd, piece->bytes + sent, piece->length - sent, MSG_NOSIGNAL);
        if (now < 0 && errno != EINTR)
            return error_errno(err, errno, "cannot send");
        sent += now > 0 ? (size_t)now : 0;
    }
    if (recv(line->fd, &answer, 1, 0) != 1 || answer != LIMIT_DONE)
        return error_set(err, "no answer");
    return 0;
}

static int line_close(void *context, bool failed, struct error *err)
{
    struct line *line = context;
    (void)failed;
    (void)err;
    if (line->fd >= 0)
        (void)close(line->fd);
    for (unsigned i = 0; i < line->count; i++)
        free(line->pieces[i].bytes);
    free(line);
    return 0;
}

const struct load_line limit_line = {line_prepare, line_open, line_send, line_close};
