/* See dicom_line.h. */
#include "dicom_line.h"

#include "aurabridge/digest.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

struct piece {
    char sop_instance_uid[UID_SIZE];
    uint8_t *bytes; /* the data set, or what goes out */
    size_t length;
    size_t data_set_size;
};

struct line {
    const struct dicom_load *load;
    struct upper_layer association;
    unsigned count;
    struct piece *pieces;
};

static void line_free(struct line *line)
{
    for (unsigned i = 0; line->pieces && i < line->count; i++)
        free(line->pieces[i].bytes);
    free(line->pieces);
    free(line);
}

static struct upper_layer_store store_of(const struct line *line, unsigned index)
{
    return (struct upper_layer_store){
        .sop_class_uid = synthetic_sop_class(line->load->plan.kind),
        .sop_instance_uid = line->pieces[index].sop_instance_uid,
        .message_id = (uint16_t)(index + 1),
    };
}

/* Puts the PDUs in the place of the data set. */
static int cut_piece(struct line *line, unsigned index, struct error *err)
{
    struct piece *piece = &line->pieces[index];
    struct upper_layer_store store = store_of(line, index);
    uint8_t *cut = upper_layer_cut(&line->association, &store, piece->bytes, piece->data_set_size,
                                   &piece->length);
    if (!cut)
        return error_set(err, "no memory for instance %u", index);
    free(piece->bytes);
    piece->bytes = cut;
    return 0;
}

/* Makes the data sets of one connection, and cuts them into PDUs. */
static int make_pieces(struct line *line, unsigned number, struct error *err)
{
    struct synthetic *series = synthetic_new(&line->load->plan, number);
    int result = series ? 0 : error_set(err, "no memory");
    for (unsigned i = 0; result == 0 && i < line->count; i++) {
        struct synthetic_instance made;
        if (synthetic_next(series, &made) != 0) {
            result = error_set(err, "no memory for instance %u", i);
            break;
        }
        struct piece *piece = &line->pieces[i];
        piece->bytes = made.bytes;
        piece->length = piece->data_set_size = made.size;
        memcpy(piece->sop_instance_uid, made.sop_instance_uid, sizeof made.sop_instance_uid);
        result = load_note(line->load->digests, made.sop_instance_uid, made.bytes, made.size, err);
        if (result == 0)
            result = cut_piece(line, i, err);
    }
    synthetic_free(series);
    return result;
}

static int associate(struct line *line, struct error *err)
{
    return upper_layer_associate(&line->association, &line->load->peer,
                                 synthetic_sop_class(line->load->plan.kind), err);
}

static int line_prepare(void *context, void **out, unsigned number, unsigned count,
                        struct error *err)
{
    struct line *line = calloc(1, sizeof *line);
    if (!line)
        return error_set(err, "no memory");
    *out = line;
    line->load = context;
    upper_layer_init(&line->association, line->load->peer.max_pdu);
    line->count = count;
    line->pieces = calloc(count ? count : 1, sizeof *line->pieces);
    return line->pieces ? make_pieces(line, number, err) : error_set(err, "no memory");
}

static int no_open(void *context, struct error *err)
{
    (void)context;
    (void)err;
    return 0;
}

static int line_open(void *context, struct error *err)
{
    return associate(context, err);
}

static int await_success(struct line *line, const char *uid, uint16_t message_id, struct error *err)
{
    uint16_t status = 0;
    if (upper_layer_answer(&line->association, message_id, &status, err) != 0)
        return error_wrap(err, "instance %s", uid);
    if (status != 0)
        return error_set(err, "instance %s was answered %04X", uid, status);
    return 0;
}

static int preloaded_send(void *context, unsigned index, uint64_t *bytes, struct error *err)
{
    struct line *line = context;
    const struct piece *piece = &line->pieces[index];
    *bytes = piece->data_set_size;
    if (upper_layer_write(&line->association, piece->bytes, piece->length, err) != 0)
        return -1;
    return await_success(line, piece->sop_instance_uid, (uint16_t)(index + 1), err);
}

static int line_close(void *context, bool failed, struct error *err)
{
    struct line *line = context;
    int result = 0;
    if (failed)
        upper_layer_drop(&line->association);
    else if (line->association.fd >= 0)
        result = upper_layer_release(&line->association, err);
    line_free(line);
    return result;
}

const struct load_line dicom_line_preloaded = {line_prepare, line_open, preloaded_send, line_close};

static int churn_send(void *context, unsigned index, uint64_t *bytes, struct error *err)
{
    struct line *line = context;
    if (associate(line, err) != 0)
        return -1;
    if (preloaded_send(line, index, bytes, err) != 0) {
        upper_layer_drop(&line->association);
        return -1;
    }
    free(line->pieces[index].bytes);
    line->pieces[index].bytes = NULL;
    return upper_layer_release(&line->association, err);
}

const struct load_line dicom_line_churn = {line_prepare, no_open, churn_send, line_close};

static int stream_prepare(void *context, void **out, unsigned number, unsigned count,
                          struct error *err)
{
    struct line *line = calloc(1, sizeof *line);
    (void)number;
    (void)count;
    if (!line)
        return error_set(err, "no memory");
    *out = line;
    line->load = context;
    upper_layer_init(&line->association, line->load->peer.max_pdu);
    return 0;
}

/* The data set, PDU by PDU, with its digest on the way. */
static int send_stream(struct line *line, struct synthetic_stream *stream, struct sha256 *digest,
                       uint8_t *buffer, struct error *err)
{
    size_t room = upper_layer_pdv_room(&line->association), length;
    while ((length = synthetic_stream_read(stream, buffer + UPPER_LAYER_PDV_HEAD, room)) > 0) {
        if (sha256_update(digest, buffer + UPPER_LAYER_PDV_HEAD, length) != 0)
            return error_set(err, "cannot digest");
        upper_layer_pdv_head(&line->association, length, stream->at == stream->size, buffer);
        if (upper_layer_write(&line->association, buffer, UPPER_LAYER_PDV_HEAD + length, err) != 0)
            return -1;
    }
    return 0;
}

static int note_stream(struct line *line, const struct synthetic_stream *stream,
                       struct sha256 *digest, struct error *err)
{
    uint8_t sum[SHA256_SIZE];
    char hex[SHA256_HEX_SIZE];
    if (sha256_finish(digest, sum) != 0)
        return error_set(err, "cannot digest");
    hex_encode(hex, sum, sizeof sum);
    if (line->load->digests && fprintf(line->load->digests, "%s %s %" PRIu64 "\n",
                                       stream->sop_instance_uid, hex, stream->size) < 0)
        return error_set(err, "cannot note the digest");
    return 0;
}

static int stream_send(void *context, unsigned index, uint64_t *bytes, struct error *err)
{
    struct line *line = context;
    struct synthetic_stream stream;
    uint8_t command[UPPER_LAYER_COMMAND_MAX];
    if (synthetic_stream_open(&stream, line->load->stream_bytes, line->load->plan.seed) != 0)
        return error_set(err, "an instance of %" PRIu64 " bytes cannot be made",
                         line->load->stream_bytes);
    const struct upper_layer_store store = {.sop_class_uid = synthetic_sop_class(SYNTHETIC_CT),
                                            .sop_instance_uid = stream.sop_instance_uid,
                                            .message_id = (uint16_t)(index + 1)};
    uint8_t *buffer = malloc(UPPER_LAYER_PDV_HEAD + (size_t)line->association.max_pdu);
    struct sha256 *digest = sha256_new();
    int result = buffer && digest ? 0 : error_set(err, "no memory");
    if (result == 0)
        result = upper_layer_write(&line->association, command,
                                   upper_layer_command(&line->association, &store, command), err);
    if (result == 0)
        result = send_stream(line, &stream, digest, buffer, err);
    if (result == 0)
        result = await_success(line, stream.sop_instance_uid, store.message_id, err);
    if (result == 0)
        result = note_stream(line, &stream, digest, err);
    *bytes = stream.size;
    sha256_free(digest);
    free(buffer);
    synthetic_stream_close(&stream);
    return result;
}

const struct load_line dicom_line_stream = {stream_prepare, line_open, stream_send, line_close};
