/* See upper_layer.h. PS3.8 section 9.3, PS3.7 sections 6.3 and 9.3.1. */
#include "upper_layer.h"

#include "synthetic.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    ASSOCIATE_RQ = 1,
    ASSOCIATE_AC,
    ASSOCIATE_RJ,
    DATA_TF,
    RELEASE_RQ,
    RELEASE_RP,
    ABORT,
    PDU_HEAD = 6,
    PDV_HEAD = 6, /* length, context, control */
    RECEIVED_PDU = 131072,
    CONTEXT_ID = 1
};

static void put16(uint8_t *out, unsigned value)
{
    out[0] = (uint8_t)(value >> 8);
    out[1] = (uint8_t)value;
}

static void put32(uint8_t *out, uint32_t value)
{
    put16(out, value >> 16);
    put16(out + 2, value & 0xffff);
}

static uint32_t get32(const uint8_t *at)
{
    return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

/* ---- the connection ---- */

int upper_layer_write(struct upper_layer *association, const void *bytes, size_t length,
                      struct error *err)
{
    const uint8_t *at = bytes;
    while (length > 0) {
        ssize_t sent = send(association->fd, at, length, MSG_NOSIGNAL);
        if (sent < 0 && errno != EINTR)
            return error_errno(err, errno, "cannot send");
        at += sent > 0 ? sent : 0;
        length -= sent > 0 ? (size_t)sent : 0;
    }
    return 0;
}

/* One PDU at the start of `input`; *length is all of it. */
static int read_pdu(struct upper_layer *association, size_t *length, struct error *err)
{
    for (;;) {
        size_t have = association->input_length;
        if (have >= PDU_HEAD) {
            *length = PDU_HEAD + (size_t)get32(association->input + 2);
            if (*length > UPPER_LAYER_INPUT)
                return error_set(err, "the peer sent a PDU of %zu bytes", *length);
            if (have >= *length)
                return 0;
        }
        ssize_t got = recv(association->fd, association->input + have, UPPER_LAYER_INPUT - have, 0);
        if (got == 0)
            return error_set(err, "the peer closed the connection");
        if (got < 0 && errno != EINTR)
            return error_errno(err, errno, "cannot receive");
        association->input_length += got > 0 ? (size_t)got : 0;
    }
}

static void drop_pdu(struct upper_layer *association, size_t length)
{
    association->input_length -= length;
    memmove(association->input, association->input + length, association->input_length);
}

static int expect(struct upper_layer *association, uint8_t type, size_t *length, struct error *err)
{
    if (read_pdu(association, length, err) != 0)
        return -1;
    const uint8_t *pdu = association->input;
    if (pdu[0] == type)
        return 0;
    if (pdu[0] == ASSOCIATE_RJ || pdu[0] == ABORT)
        return error_set(err, "the peer %s: %u/%u/%u",
                         pdu[0] == ABORT ? "aborted" : "rejected the association", pdu[7], pdu[8],
                         pdu[9]);
    return error_set(err, "the peer sent a PDU of type %u", pdu[0]);
}

static int open_connection(const struct upper_layer_peer *peer, struct error *err)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(peer->port)};
    if (inet_pton(AF_INET, peer->host, &address.sin_addr) != 1)
        return error_set(err, "%s is no IPv4 address", peer->host);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int on = peer->no_delay;
    if (fd >= 0 && setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) == 0 &&
        connect(fd, (const struct sockaddr *)&address, sizeof address) == 0)
        return fd;
    int failed = errno;
    if (fd >= 0)
        (void)close(fd);
    return error_errno(err, failed, "cannot connect to %s:%u", peer->host, peer->port);
}

/* ---- A-ASSOCIATE ---- */

/* Starts an item of unknown length; item_end fills that in. */
static uint8_t *item_begin(uint8_t *at, uint8_t type)
{
    at[0] = type;
    at[1] = 0;
    return at + 4;
}

static uint8_t *item_end(uint8_t *begun, uint8_t *at)
{
    put16(begun - 2, (unsigned)(at - begun));
    return at;
}

static uint8_t *put_item(uint8_t *at, uint8_t type, const char *text)
{
    uint8_t *begun = item_begin(at, type);
    size_t length = strlen(text);
    memcpy(begun, text, length);
    return item_end(begun, begun + length);
}

static void put_title(uint8_t *out, const char *title)
{
    memset(out, ' ', 16);
    size_t length = strlen(title);
    memcpy(out, title, length < 16 ? length : 16);
}

static size_t associate_request(uint8_t *out, const struct upper_layer_peer *peer,
                                const char *sop_class_uid)
{
    memset(out, 0, 74);
    out[0] = ASSOCIATE_RQ;
    out[7] = 1; /* protocol version */
    put_title(out + 10, peer->called);
    put_title(out + 26, peer->calling);
    uint8_t *at = put_item(out + 74, 0x10, "1.2.840.10008.3.1.1.1");
    uint8_t *context = item_begin(at, 0x20);
    memset(context, 0, 4);
    context[0] = CONTEXT_ID;
    at = put_item(context + 4, 0x30, sop_class_uid);
    at = item_end(context, put_item(at, 0x40, SYNTHETIC_TRANSFER_SYNTAX));
    uint8_t *user = item_begin(at, 0x50), *max = item_begin(user, 0x51);
    put32(max, RECEIVED_PDU);
    at = put_item(item_end(max, max + 4), 0x52, "2.25.137512606420173518294711528640951023848");
    at = item_end(user, put_item(at, 0x55, "BENCH_1"));
    put32(out + 2, (uint32_t)(at - out) - PDU_HEAD);
    return (size_t)(at - out);
}

/* Reads the acceptor's items; the context's result must be acceptance. */
static int read_acceptance(const struct upper_layer *association, const uint8_t *at, size_t length,
                           struct error *err)
{
    uint32_t theirs = 0;
    int result = -1;
    while (length >= 4) {
        size_t value = (size_t)at[2] << 8 | at[3];
        if (at[0] == 0x50) /* the user information's items follow */
            value = 0;
        if (value > length - 4)
            return error_set(err, "the A-ASSOCIATE-AC is broken");
        if (at[0] == 0x21 && value >= 4)
            result = at[6];
        if (at[0] == 0x51 && value == 4)
            theirs = get32(at + 4);
        at += 4 + value;
        length -= 4 + value;
    }
    if (result != 0)
        return error_set(err, "the presentation context was not accepted (result %d)", result);
    if (theirs > 0 && theirs < association->max_pdu)
        return error_set(err, "the peer takes PDUs of %u bytes at most: use --pdu", theirs);
    return 0;
}

void upper_layer_init(struct upper_layer *association, uint32_t max_pdu)
{
    *association = (struct upper_layer){.fd = -1, .max_pdu = max_pdu, .context_id = CONTEXT_ID};
}

int upper_layer_associate(struct upper_layer *association, const struct upper_layer_peer *peer,
                          const char *sop_class_uid, struct error *err)
{
    uint8_t request[512];
    size_t length = associate_request(request, peer, sop_class_uid);
    upper_layer_init(association, peer->max_pdu);
    association->fd = open_connection(peer, err);
    if (association->fd < 0)
        return -1;
    if (upper_layer_write(association, request, length, err) != 0 ||
        expect(association, ASSOCIATE_AC, &length, err) != 0 ||
        read_acceptance(association, association->input + 74, length < 74 ? 0 : length - 74, err) !=
            0) {
        upper_layer_drop(association);
        return -1;
    }
    drop_pdu(association, length);
    return 0;
}

int upper_layer_release(struct upper_layer *association, struct error *err)
{
    static const uint8_t request[10] = {RELEASE_RQ, 0, 0, 0, 0, 4};
    size_t length;
    int result = upper_layer_write(association, request, sizeof request, err);
    if (result == 0)
        result = expect(association, RELEASE_RP, &length, err);
    upper_layer_drop(association);
    return result;
}

void upper_layer_drop(struct upper_layer *association)
{
    if (association->fd >= 0)
        (void)close(association->fd);
    association->fd = -1;
}

/* ---- C-STORE ---- */

static uint8_t *put_command(uint8_t *at, unsigned element, const void *value, size_t length)
{
    const uint8_t head[8] = {0, 0, (uint8_t)element, (uint8_t)(element >> 8),
                             (uint8_t)(length + length % 2)};
    memcpy(at, head, sizeof head);
    memcpy(at + 8, value, length);
    at += 8 + length;
    if (length % 2)
        *at++ = 0;
    return at;
}

static uint8_t *put_command16(uint8_t *at, unsigned element, unsigned value)
{
    return put_command(at, element, (const uint8_t[2]){(uint8_t)value, (uint8_t)(value >> 8)}, 2);
}

static void put_pdv(const struct upper_layer *association, uint8_t *out, size_t length,
                    uint8_t control)
{
    out[0] = DATA_TF;
    out[1] = 0;
    put32(out + 2, (uint32_t)length + PDV_HEAD);
    put32(out + 6, (uint32_t)length + 2);
    out[10] = association->context_id;
    out[11] = control;
}

size_t upper_layer_command(const struct upper_layer *association,
                           const struct upper_layer_store *store,
                           uint8_t out[UPPER_LAYER_COMMAND_MAX])
{
    uint8_t *set = out + UPPER_LAYER_PDV_HEAD, *body = set + 12;
    uint8_t *at = put_command(body, 0x0002, store->sop_class_uid, strlen(store->sop_class_uid));
    at = put_command16(at, 0x0100, 0x0001); /* C-STORE-RQ */
    at = put_command16(at, 0x0110, store->message_id);
    at = put_command16(at, 0x0700, 0); /* priority: medium */
    at = put_command16(at, 0x0800, 1); /* there is a data set */
    at = put_command(at, 0x1000, store->sop_instance_uid, strlen(store->sop_instance_uid));
    size_t length = (size_t)(at - body);
    (void)put_command(set, 0x0000, (const uint8_t[4]){(uint8_t)length, (uint8_t)(length >> 8)}, 4);
    put_pdv(association, out, (size_t)(at - set), 3); /* command, last */
    return (size_t)(at - out);
}

void upper_layer_pdv_head(const struct upper_layer *association, size_t length, bool is_last,
                          uint8_t out[UPPER_LAYER_PDV_HEAD])
{
    put_pdv(association, out, length, is_last ? 2 : 0);
}

size_t upper_layer_pdv_room(const struct upper_layer *association)
{
    return association->max_pdu - PDV_HEAD;
}

uint8_t *upper_layer_cut(const struct upper_layer *association,
                         const struct upper_layer_store *store, const uint8_t *data_set,
                         size_t size, size_t *length)
{
    size_t room = upper_layer_pdv_room(association), pieces = (size + room - 1) / room;
    uint8_t *out = malloc(UPPER_LAYER_COMMAND_MAX + size + pieces * UPPER_LAYER_PDV_HEAD);
    if (!out)
        return NULL;
    uint8_t *at = out + upper_layer_command(association, store, out);
    for (size_t done = 0; done < size;) {
        size_t piece = size - done < room ? size - done : room;
        upper_layer_pdv_head(association, piece, done + piece == size, at);
        memcpy(at + UPPER_LAYER_PDV_HEAD, data_set + done, piece);
        at += UPPER_LAYER_PDV_HEAD + piece;
        done += piece;
    }
    *length = (size_t)(at - out);
    return out;
}

/* A value of two bytes in a command set, or `otherwise`. */
static unsigned command_value(const uint8_t *at, size_t length, unsigned element,
                              unsigned otherwise)
{
    while (length >= 8) {
        size_t value = (size_t)at[4] | (size_t)at[5] << 8;
        if (value > length - 8)
            break;
        if (at[0] == 0 && at[1] == 0 && (at[2] | (unsigned)at[3] << 8) == element && value == 2)
            return at[8] | (unsigned)at[9] << 8;
        at += 8 + value;
        length -= 8 + value;
    }
    return otherwise;
}

int upper_layer_answer(struct upper_layer *association, uint16_t message_id, uint16_t *status,
                       struct error *err)
{
    size_t length;
    if (expect(association, DATA_TF, &length, err) != 0)
        return -1;
    const uint8_t *set = association->input + UPPER_LAYER_PDV_HEAD;
    size_t size = length - UPPER_LAYER_PDV_HEAD;
    if (length < UPPER_LAYER_PDV_HEAD || association->input[11] != 3)
        return error_set(err, "the C-STORE-RSP is not one whole PDV");
    if (command_value(set, size, 0x0100, 0) != 0x8001 ||
        command_value(set, size, 0x0120, message_id + 1u) != message_id)
        return error_set(err, "the answer is no C-STORE-RSP to message %u", message_id);
    *status = (uint16_t)command_value(set, size, 0x0900, 0xffff);
    drop_pdu(association, length);
    return 0;
}
