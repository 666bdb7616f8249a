/* See limit.h. The receiver: a thread for each connection. Bytes go from the socket into a buffer,
 * from there into the segment, and are digested while they are still in the processor's cache. */
#include "limit.h"

#include "aurabridge/digest.h"

#include "segment.h"

#include <arpa/inet.h>
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <libdeflate.h>
#include <netinet/tcp.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

enum { BUFFER = 128 * 1024, SEGMENTS_MAX = 1024 };

/* What follows an instance's bytes in the segment, so that it could be found again. */
struct record {
    uint64_t length;
    uint8_t sha256[SHA256_SIZE];
    uint32_t crc32;
    char mark[4];
};

struct received {
    unsigned segment;
    uint64_t offset, length;
    uint8_t sha256[SHA256_SIZE];
};

static struct {
    struct limit_serve orders;
    struct segment segments[SEGMENTS_MAX];
    pthread_mutex_t lock; /* of all below */
    bool taken[SEGMENTS_MAX];
    pthread_cond_t given_back;
    struct received *list;
    size_t count, room;
} serving = {.lock = PTHREAD_MUTEX_INITIALIZER, .given_back = PTHREAD_COND_INITIALIZER};

struct connection {
    int fd;
    struct segment *segment;
    uint8_t *buffer; /* BUFFER, and room for the record behind it */
    EVP_MD_CTX *sha256;
    /* Of the instance on its way: */
    uint64_t place, length, written, started; /* started: writing out, up to there */
    uint32_t crc32;
};

static int note(const struct connection *connection, const struct record *record)
{
    int result = 0;
    (void)pthread_mutex_lock(&serving.lock);
    if (serving.count == serving.room) {
        size_t room = serving.room ? 2 * serving.room : 4096;
        struct received *list = realloc(serving.list, room * sizeof *list);
        if (list) {
            serving.list = list;
            serving.room = room;
        } else {
            result = -1;
        }
    }
    if (result == 0) {
        struct received *entry = &serving.list[serving.count++];
        entry->segment = connection->segment->number;
        entry->offset = connection->place;
        entry->length = record->length;
        memcpy(entry->sha256, record->sha256, sizeof entry->sha256);
    }
    (void)pthread_mutex_unlock(&serving.lock);
    return result;
}

static void send_list(int fd)
{
    (void)pthread_mutex_lock(&serving.lock);
    for (size_t i = 0; i < serving.count; i++) {
        const struct received *entry = &serving.list[i];
        char hex[SHA256_HEX_SIZE];
        hex_encode(hex, entry->sha256, sizeof entry->sha256);
        (void)dprintf(fd, "%u %" PRIu64 " %" PRIu64 " %s\n", entry->segment, entry->offset,
                      entry->length, hex);
    }
    serving.count = 0;
    (void)pthread_mutex_unlock(&serving.lock);
}

static int write_out(struct connection *connection, size_t length, struct error *err)
{
    off_t at = (off_t)(connection->place + connection->written);
    if (pwrite(connection->segment->fd, connection->buffer, length, at) != (ssize_t)length)
        return error_errno(err, errno, "cannot write to a segment");
    connection->written += length;
    return 0;
}

/* The device writes while the bytes are digested. */
static void start_writing(struct connection *connection, uint64_t least)
{
    uint64_t ready = connection->written - connection->started;
    if (!serving.orders.early || ready < least)
        return;
    (void)sync_file_range(connection->segment->fd,
                          (off64_t)(connection->place + connection->started), (off64_t)ready,
                          SYNC_FILE_RANGE_WRITE);
    connection->started = connection->written;
}

static void take_digests(struct connection *connection, size_t length)
{
    (void)EVP_DigestUpdate(connection->sha256, connection->buffer, length);
    connection->crc32 = libdeflate_crc32(connection->crc32, connection->buffer, length);
}

/* The last bytes go out with the record, padded to a block, in one write; or, where writing starts
 * early, the whole blocks before the last one go ahead. */
static int finish_instance(struct connection *connection, size_t length, struct error *err)
{
    struct record record = {.length = connection->length, .mark = "DONE"};
    size_t padded = (length + sizeof record + SEGMENT_BLOCK - 1) / SEGMENT_BLOCK * SEGMENT_BLOCK;
    size_t ahead = padded - SEGMENT_BLOCK, rest = SEGMENT_BLOCK;
    if (connection->length < serving.orders.early || !serving.orders.early) {
        ahead = 0;
        rest = padded;
    } else if (write_out(connection, ahead, err) != 0) {
        return -1;
    }
    start_writing(connection, 1);
    take_digests(connection, length);
    (void)EVP_DigestFinal_ex(connection->sha256, record.sha256, NULL);
    record.crc32 = connection->crc32;
    memcpy(connection->buffer + padded - sizeof record, &record, sizeof record);
    uint64_t at = connection->place + connection->written;
    if (pwrite(connection->segment->fd, connection->buffer + ahead, rest, (off_t)at) !=
        (ssize_t)rest)
        return error_errno(err, errno, "cannot write to a segment");
    if (segment_commit(connection->segment, err) != 0)
        return -1;
    if (note(connection, &record) != 0)
        return error_set(err, "no memory");
    const uint8_t done = LIMIT_DONE;
    return send(connection->fd, &done, 1, MSG_NOSIGNAL) == 1
               ? 0
               : error_errno(err, errno, "cannot answer");
}

/* Reads until the buffer holds `wanted` bytes. */
static int fill(const struct connection *connection, size_t have, size_t wanted)
{
    while (have < wanted) {
        ssize_t got = recv(connection->fd, connection->buffer + have, wanted - have, MSG_WAITALL);
        if (got == 0 || (got < 0 && errno != EINTR))
            return -1;
        have += got > 0 ? (size_t)got : 0;
    }
    return 0;
}

/* Waits for one where each connection has its own: who had it may be about to leave. */
static struct segment *take_segment(void)
{
    if (!serving.orders.each)
        return &serving.segments[0];
    unsigned i = 0;
    (void)pthread_mutex_lock(&serving.lock);
    while (serving.taken[i]) {
        if (++i == serving.orders.connections) {
            (void)pthread_cond_wait(&serving.given_back, &serving.lock);
            i = 0;
        }
    }
    serving.taken[i] = true;
    (void)pthread_mutex_unlock(&serving.lock);
    return &serving.segments[i];
}

static void give_back(const struct segment *segment)
{
    (void)pthread_mutex_lock(&serving.lock);
    serving.taken[segment->number] = false;
    (void)pthread_cond_signal(&serving.given_back);
    (void)pthread_mutex_unlock(&serving.lock);
}

static int start_instance(struct connection *connection, uint64_t length, struct error *err)
{
    if (!connection->segment)
        connection->segment = take_segment();
    connection->length = length;
    connection->written = connection->started = 0;
    connection->crc32 = 0;
    (void)EVP_DigestInit_ex(connection->sha256, EVP_sha256(), NULL);
    return segment_reserve(connection->segment, length + sizeof(struct record), &connection->place,
                           err);
}

/* `have` bytes of it lie in the buffer. */
static int take_instance(struct connection *connection, size_t have, struct error *err)
{
    uint64_t left = connection->length;
    for (;;) {
        size_t piece = left < BUFFER ? (size_t)left : BUFFER;
        if (fill(connection, have, piece) != 0)
            return error_set(err, "the sender left within an instance");
        left -= piece;
        if (left == 0)
            return finish_instance(connection, piece, err);
        if (write_out(connection, piece, err) != 0)
            return -1;
        start_writing(connection, serving.orders.early);
        take_digests(connection, piece);
        have = 0;
    }
}

/* The length, and as much of the instance as is there, in one call. Returns the bytes in the
 * buffer, or -1 at the end. */
static ssize_t read_length(const struct connection *connection, uint64_t *length)
{
    uint8_t head[LIMIT_LENGTH];
    struct iovec into[2] = {{head, sizeof head}, {connection->buffer, BUFFER}};
    ssize_t got = readv(connection->fd, into, 2);
    if (got <= 0)
        return -1;
    while (got < LIMIT_LENGTH) {
        ssize_t more = recv(connection->fd, head + got, (size_t)(LIMIT_LENGTH - got), 0);
        if (more <= 0)
            return -1;
        got += more;
    }
    uint64_t value;
    memcpy(&value, head, sizeof value);
    *length = le64toh(value);
    return got - LIMIT_LENGTH;
}

static void serve_connection(struct connection *connection)
{
    struct error err = {""};
    uint64_t length;
    ssize_t have;
    while (!err.text[0] && (have = read_length(connection, &length)) >= 0) {
        if (length == LIMIT_LIST) {
            send_list(connection->fd);
            break;
        }
        if (start_instance(connection, length, &err) == 0)
            (void)take_instance(connection, (size_t)have, &err);
    }
    if (err.text[0])
        (void)fprintf(stderr, "bench_limit: %s\n", err.text);
}

static void *run_connection(void *argument)
{
    struct connection connection = {.fd = (int)(intptr_t)argument};
    void *buffer = NULL;
    connection.sha256 = EVP_MD_CTX_new();
    if (connection.sha256 &&
        posix_memalign(&buffer, SEGMENT_BLOCK, BUFFER + 2 * SEGMENT_BLOCK) == 0) {
        connection.buffer = buffer;
        serve_connection(&connection);
    }
    (void)close(connection.fd);
    free(buffer);
    EVP_MD_CTX_free(connection.sha256);
    if (connection.segment)
        give_back(connection.segment);
    return NULL;
}

static int listen_on(uint16_t port, struct error *err)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    socklen_t size = sizeof address;
    int on = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (fd < 0 || setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) != 0 ||
        bind(fd, (const struct sockaddr *)&address, size) != 0 || listen(fd, 128) != 0 ||
        getsockname(fd, (struct sockaddr *)&address, &size) != 0)
        return error_errno(err, errno, "cannot listen on port %u", port);
    printf("listening on %u\n", ntohs(address.sin_port));
    (void)fflush(stdout);
    return fd;
}

int limit_serve(const struct limit_serve *orders, struct error *err)
{
    serving.orders = *orders;
    if (orders->connections > SEGMENTS_MAX)
        return error_set(err, "at most %d connections", SEGMENTS_MAX);
    for (unsigned i = 0; i < (orders->each ? orders->connections : 1); i++) {
        if (segment_open(&serving.segments[i], orders->directory, i, orders->segment_size,
                         orders->direct, err) != 0)
            return -1;
    }
    int listener = listen_on(orders->port, err);
    while (listener >= 0) {
        pthread_t thread;
        int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
        if (fd < 0)
            continue;
        if (pthread_create(&thread, NULL, run_connection, (void *)(intptr_t)fd) == 0)
            (void)pthread_detach(thread);
        else
            (void)close(fd);
    }
    return -1;
}
