/* The data set header reader on any bytes: no crash, no read beyond a chunk, and
 *
 *   raw        one result whatever the chunks are;
 *   deflated   the same result for a data set as it stands and deflated;
 *   elements   the same attributes for the same elements in every transfer syntax;
 *   part 10    what part10_write_header wrote is what part10_read_header reads.
 *
 * The two highest bits of the first byte choose; the second one chooses the chunks.
 */
#include "fuzz.h"

#include "aurabridge/dataset.h"
#include "aurabridge/part10.h"

#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#define WANTED     0x00101060
#define FIXED_WANT 0x00080005

enum { RAW, DEFLATED, ELEMENTS, PART_10 };

static const char *const transfer_syntaxes[] = {"1.2.840.10008.1.2", "1.2.840.10008.1.2.1",
                                                "1.2.840.10008.1.2.2", "1.2.840.10008.1.2.1.99"};
enum { IMPLICIT, EXPLICIT, BIG_ENDIAN_, DEFLATE };

/* ---- scanning ---- */

struct chunks {
    uint32_t state; /* 0: all at once */
    unsigned limit;
};

static size_t next_chunk(struct chunks *chunks, size_t left)
{
    if (chunks->state == 0)
        return left;
    chunks->state = chunks->state * 1664525U + 1013904223U;
    size_t size = chunks->state >> 8;
    size = size % chunks->limit + 1;
    return size < left ? size : left;
}

/* Seven small sizes out of eight; then some that cross the reader's own pieces. */
static struct chunks chunks_of(uint8_t seed)
{
    return (struct chunks){.state = seed + 1U, .limit = seed % 8 == 7 ? 100000 : seed % 64 + 1U};
}

struct scan {
    struct dataset_scanner *scanner;
    struct dataset_result result;
};

static struct scan scan(unsigned syntax, uint8_t options, struct chunks chunks, const uint8_t *data,
                        size_t size)
{
    struct scan scan;
    const char *fallback = options & 4 ? "ISO_IR 144" : NULL;
    FUZZ_CHECK(dataset_scanner_new(&scan.scanner, transfer_syntaxes[syntax], fallback, NULL) == 0);
    if (options & 8)
        FUZZ_CHECK(dataset_scanner_want(scan.scanner, WANTED) == 0 &&
                   dataset_scanner_want(scan.scanner, FIXED_WANT) == 0);
    while (size > 0) {
        size_t piece = next_chunk(&chunks, size);
        uint8_t *exact = malloc(piece); /* so that the sanitizer sees its borders */
        if (!exact)
            abort();
        memcpy(exact, data, piece);
        dataset_scanner_feed(scan.scanner, exact, piece);
        /* Asking in between, now and then, must not change what comes out. */
        if (options & 16 && size / 512 != (size - piece) / 512)
            (void)dataset_scanner_attributes(scan.scanner);
        free(exact);
        data += piece;
        size -= piece;
    }
    dataset_scanner_finish(scan.scanner, &scan.result);
    for (unsigned i = 0; i < ATTRIBUTE_COUNT; i++)
        FUZZ_CHECK(fuzz_is_utf8(
            attributes_get(dataset_scanner_attributes(scan.scanner), (enum attribute)i)));
    return scan;
}

static void check_same_values(struct scan *a, struct scan *b)
{
    const struct attributes *left = dataset_scanner_attributes(a->scanner);
    const struct attributes *right = dataset_scanner_attributes(b->scanner);
    for (unsigned i = 0; i < ATTRIBUTE_COUNT; i++)
        FUZZ_CHECK(strcmp(attributes_get(left, (enum attribute)i),
                          attributes_get(right, (enum attribute)i)) == 0);
    FUZZ_CHECK(strcmp(dataset_scanner_value(a->scanner, WANTED),
                      dataset_scanner_value(b->scanner, WANTED)) == 0);
    FUZZ_CHECK(strcmp(dataset_scanner_value(a->scanner, FIXED_WANT),
                      dataset_scanner_value(b->scanner, FIXED_WANT)) == 0);
}

static void check_same(struct scan *a, struct scan *b)
{
    FUZZ_CHECK(a->result.ending == b->result.ending);
    FUZZ_CHECK(a->result.tag == b->result.tag);
    FUZZ_CHECK(a->result.missing == b->result.missing);
    FUZZ_CHECK(a->result.offset == b->result.offset);
    check_same_values(a, b);
}

static void free_scans(struct scan *a, struct scan *b)
{
    dataset_scanner_free(a->scanner);
    dataset_scanner_free(b->scanner);
}

static void check_raw(uint8_t options, uint8_t seed, const uint8_t *data, size_t size)
{
    unsigned syntax = options % 4;
    struct scan whole = scan(syntax, options, (struct chunks){0}, data, size);
    struct scan pieces = scan(syntax, options, chunks_of(seed), data, size);
    check_same(&whole, &pieces);
    if (whole.result.ending != DATASET_TRUNCATED)
        FUZZ_CHECK(whole.result.missing == 0);
    if (syntax != DEFLATE)
        FUZZ_CHECK(whole.result.offset <= size);
    free_scans(&whole, &pieces);
}

/* ---- deflated ---- */

static uint8_t *deflated(const uint8_t *data, size_t size, int level, size_t *length)
{
    z_stream stream = {0};
    if (deflateInit2(&stream, level, Z_DEFLATED, -MAX_WBITS, 8, Z_DEFAULT_STRATEGY) != Z_OK)
        abort();
    size_t room = deflateBound(&stream, (uLong)size);
    uint8_t *out = malloc(room);
    if (!out)
        abort();
    stream.next_in = (z_const Bytef *)(uintptr_t)data;
    stream.avail_in = (uInt)size;
    stream.next_out = out;
    stream.avail_out = (uInt)room;
    if (deflate(&stream, Z_FINISH) != Z_STREAM_END)
        abort();
    *length = room - stream.avail_out;
    (void)deflateEnd(&stream);
    return out;
}

static void check_deflated(uint8_t options, uint8_t seed, const uint8_t *data, size_t size)
{
    size_t length = 0;
    uint8_t *packed = deflated(data, size, options % 4 == 0 ? 0 : 6, &length);
    struct scan plain = scan(EXPLICIT, options, (struct chunks){0}, data, size);
    struct scan inflated = scan(DEFLATE, options, chunks_of(seed), packed, length);
    check_same(&plain, &inflated);
    free_scans(&plain, &inflated);
    free(packed);
}

/* ---- the same elements in every transfer syntax ---- */

#define ELEMENTS_MAX 64
#define VALUE_MAX    200 /* more could look like a VR where a length stands */
#define OUT_MAX      (ELEMENTS_MAX * (VALUE_MAX + 40) + 64)

struct writer {
    bool implicit, big_endian;
    size_t length;
    uint8_t bytes[OUT_MAX];
};

static void put_number(struct writer *writer, uint32_t value, unsigned bytes)
{
    for (unsigned i = 0; i < bytes; i++) {
        unsigned shift = 8 * (writer->big_endian ? bytes - 1 - i : i);
        writer->bytes[writer->length++] = (uint8_t)(value >> shift);
    }
}

static void put_header(struct writer *writer, uint32_t tag, const char *vr, uint32_t length)
{
    put_number(writer, tag >> 16, 2);
    put_number(writer, tag & 0xFFFF, 2);
    bool has_vr = !writer->implicit && tag >> 16 != 0xFFFE;
    bool is_long = has_vr && strstr("SQ OB UT UN UC", vr);
    if (has_vr) {
        memcpy(writer->bytes + writer->length, vr, 2);
        writer->length += 2;
    }
    if (is_long)
        put_number(writer, 0, 2);
    put_number(writer, length, has_vr && !is_long ? 2 : 4);
}

static void put_element(struct writer *writer, uint32_t tag, const char *vr, const uint8_t *value,
                        size_t length)
{
    put_header(writer, tag, vr, (uint32_t)length);
    memcpy(writer->bytes + writer->length, value, length);
    writer->length += length;
}

/* A sequence of undefined length around what one byte says. */
static void put_sequence(struct writer *writer, uint32_t tag, uint8_t shape, const uint8_t *value,
                         size_t length)
{
    bool open_item = shape & 1;
    size_t inner = length + 8;
    put_header(writer, tag, "SQ", shape & 2 ? (uint32_t)(inner + 8) : UINT32_MAX);
    if (shape & 2)
        open_item = false;
    put_header(writer, 0xFFFEE000, "", open_item ? UINT32_MAX : (uint32_t)inner);
    put_element(writer, 0x00100010, "PN", value, length);
    if (open_item)
        put_header(writer, 0xFFFEE00D, "", 0);
    if (!(shape & 2))
        put_header(writer, 0xFFFEE0DD, "", 0);
}

static void write_elements(struct writer *writer, struct fuzz_input input)
{
    static const struct {
        uint32_t tag;
        const char *vr;
    } rows[] = {{0x00080016, "UI"}, {0x00080018, "UI"}, {0x00080020, "DA"}, {0x00080050, "SH"},
                {0x00080060, "CS"}, {0x00081030, "LO"}, {0x00100010, "PN"}, {0x00100020, "LO"},
                {0x00100030, "DA"}, {0x00100040, "CS"}, {0x0020000D, "UI"}, {0x0020000E, "UI"},
                {0x00200011, "IS"}, {0x00101060, "PN"}, {0x00204000, "UT"}, {0x00091010, "UN"},
                {0x00081140, "SQ"}, {0x7FE00010, "OB"}};
    writer->length = 0;
    put_element(writer, 0x00080005, "CS", (const uint8_t *)"ISO_IR 192", 10);
    for (unsigned i = 0; i < ELEMENTS_MAX && input.left > 0; i++) {
        uint8_t row = fuzz_byte(&input) % (sizeof rows / sizeof *rows);
        uint8_t shape = fuzz_byte(&input);
        const uint8_t *value;
        size_t length = fuzz_take(&input, &value, shape % (VALUE_MAX / 2) * 2U);
        length -= length % 2;
        if (rows[row].vr[0] == 'S' && rows[row].vr[1] == 'Q')
            put_sequence(writer, rows[row].tag, shape, value, length);
        else
            put_element(writer, rows[row].tag, rows[row].vr, value, length);
    }
}

static void check_elements(uint8_t options, uint8_t seed, const uint8_t *data, size_t size)
{
    static struct writer writer;
    const struct fuzz_input input = {data, size};
    writer = (struct writer){.implicit = true};
    write_elements(&writer, input);
    struct scan first = scan(IMPLICIT, options, (struct chunks){0}, writer.bytes, writer.length);
    FUZZ_CHECK(first.result.ending == DATASET_COMPLETE);
    for (unsigned syntax = EXPLICIT; syntax <= BIG_ENDIAN_; syntax++) {
        writer = (struct writer){.big_endian = syntax == BIG_ENDIAN_};
        write_elements(&writer, input);
        struct scan other = scan(syntax, options, chunks_of(seed), writer.bytes, writer.length);
        FUZZ_CHECK(other.result.ending == DATASET_COMPLETE &&
                   other.result.tag == first.result.tag && other.result.offset == writer.length);
        check_same_values(&first, &other);
        dataset_scanner_free(other.scanner);
    }
    dataset_scanner_free(first.scanner);
}

/* ---- Part 10 ---- */

static void take_uid(char out[UID_SIZE], struct fuzz_input *input)
{
    const uint8_t *bytes;
    size_t length = fuzz_take(input, &bytes, fuzz_byte(input) % 70U);
    if (uid_from_field(out, bytes, length) != 0)
        memcpy(out, "1.2.3", 6);
}

static void take_title(char out[AE_TITLE_SIZE], struct fuzz_input *input)
{
    const uint8_t *bytes;
    size_t length = fuzz_take(input, &bytes, fuzz_byte(input) % 20U);
    (void)ae_title_from_field(out, bytes, length);
}

static void check_part_10(const uint8_t *data, size_t size)
{
    struct fuzz_input input = {data, size};
    struct association association = {0};
    struct instance_request request;
    struct part10_header header;
    uint8_t bytes[PART10_HEADER_MAX + 1];
    take_uid(request.sop_class_uid, &input);
    take_uid(request.sop_instance_uid, &input);
    take_uid(request.transfer_syntax_uid, &input);
    take_title(association.calling_ae_title, &input);
    take_title(association.called_ae_title, &input);
    size_t length = part10_write_header(bytes, &association, &request);
    FUZZ_CHECK(length <= PART10_HEADER_MAX);
    bytes[length] = 8; /* the data set begins */
    FUZZ_CHECK(part10_read_header(&header, bytes, length + 1, NULL) == 0);
    FUZZ_CHECK(header.data_set_offset == length);
    FUZZ_CHECK(strcmp(header.request.sop_class_uid, request.sop_class_uid) == 0);
    FUZZ_CHECK(strcmp(header.request.sop_instance_uid, request.sop_instance_uid) == 0);
    FUZZ_CHECK(strcmp(header.request.transfer_syntax_uid, request.transfer_syntax_uid) == 0);
    FUZZ_CHECK(strcmp(header.calling_ae_title, association.calling_ae_title) == 0);
    FUZZ_CHECK(strcmp(header.called_ae_title, association.called_ae_title) == 0);
}

/* Of any bytes, with the preamble put in front where they have none. */
static void check_header(const uint8_t *data, size_t size)
{
    struct part10_header header;
    struct error err = {""};
    uint8_t *bytes = calloc(1, size + 132);
    if (!bytes)
        abort();
    memcpy(bytes + 128, "DICM", 4);
    memcpy(bytes + 132, data, size);
    for (unsigned whole = 0; whole < 2; whole++) {
        int result = whole ? part10_read_header(&header, bytes, size + 132, &err)
                           : part10_read_header(&header, data, size, &err);
        FUZZ_CHECK(result == 0 || fuzz_is_line(err.text, sizeof err.text));
        if (result == 0)
            FUZZ_CHECK(header.data_set_offset <= size + 132 &&
                       header.request.transfer_syntax_uid[0]);
    }
    free(bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2)
        return 0;
    uint8_t options = data[0];
    uint8_t seed = data[1];
    data += 2;
    size -= 2;
    switch (options >> 6) {
    case RAW:
        check_raw(options, seed, data, size);
        check_header(data, size);
        break;
    case DEFLATED:
        check_deflated(options, seed, data, size);
        break;
    case ELEMENTS:
        check_elements(options, seed, data, size);
        break;
    case PART_10:
        check_part_10(data, size);
        break;
    }
    return 0;
}
