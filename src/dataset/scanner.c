/* The public face of the scanner, and inflation for the deflated transfer syntaxes.
 *
 * Bytes go through zlib, a bounded window at a time, or straight to the element reader; what comes
 * out is forgotten at once, but for the wanted values. After the last byte of a deflate stream the
 * rest is padding.
 */
#include "aurabridge/dataset.h"

#include "aurabridge/charset.h"
#include "element.h"
#include "header.h"
#include "value.h"

#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#define IMPLICIT_LITTLE_ENDIAN "1.2.840.10008.1.2"
#define EXPLICIT_BIG_ENDIAN    "1.2.840.10008.1.2.2"

#define INFLATED_PIECE_MAX 32768
#define DEFLATED_PIECE_MAX 65536
#define DEFINED_TERM_SIZE  65

struct inflater {
    z_stream stream;
    bool ended;  /* the deflate stream has had its last block */
    bool broken; /* or cannot be read on */
    bool fed;
    uint8_t piece[INFLATED_PIECE_MAX];
};

struct dataset_scanner {
    struct inflater *inflater; /* owned; null unless deflated */
    bool converted;            /* `attributes` is as new as the values */
    char fallback[DEFINED_TERM_SIZE];
    struct element_reader reader;
    struct attributes attributes;
    struct values values;
};

/* Transfer syntaxes whose whole data set is deflated (PS3.5 A.5 and its like). */
static bool is_deflated(const char *transfer_syntax_uid)
{
    static const char *const deflated[] = {
        "1.2.840.10008.1.2.1.99",  /* Deflated Explicit VR Little Endian */
        "1.2.840.10008.1.2.4.95",  /* JPIP Referenced Deflate */
        "1.2.840.10008.1.2.4.205", /* JPIP HTJ2K Referenced Deflate */
    };
    for (size_t i = 0; i < sizeof deflated / sizeof *deflated; i++)
        if (strcmp(transfer_syntax_uid, deflated[i]) == 0)
            return true;
    return false;
}

static struct inflater *inflater_new(void)
{
    struct inflater *inflater = calloc(1, sizeof *inflater);
    if (inflater && inflateInit2(&inflater->stream, -MAX_WBITS) != Z_OK) {
        free(inflater);
        return NULL;
    }
    return inflater;
}

static void inflater_free(struct inflater *inflater)
{
    if (!inflater)
        return;
    (void)inflateEnd(&inflater->stream); /* says only whether data was left over */
    free(inflater);
}

static uint8_t encoding_of(const char *transfer_syntax_uid)
{
    if (strcmp(transfer_syntax_uid, IMPLICIT_LITTLE_ENDIAN) == 0)
        return ENCODING_IMPLICIT_VR;
    if (strcmp(transfer_syntax_uid, EXPLICIT_BIG_ENDIAN) == 0)
        return ENCODING_BIG_ENDIAN;
    return 0;
}

int dataset_scanner_new(struct dataset_scanner **out, const char *transfer_syntax_uid,
                        const char *default_character_set, struct error *err)
{
    *out = NULL;
    struct dataset_scanner *scanner = malloc(sizeof *scanner);
    if (!scanner)
        return error_set(err, "cannot read the data set: out of memory");
    scanner->inflater = NULL;
    scanner->converted = false;
    memset(scanner->fallback, 0, sizeof scanner->fallback);
    memset(&scanner->attributes, 0, sizeof scanner->attributes);
    if (default_character_set && charset_is_known(default_character_set))
        strncpy(scanner->fallback, default_character_set, sizeof scanner->fallback - 1);
    values_init(&scanner->values);
    element_reader_init(&scanner->reader, &scanner->values, encoding_of(transfer_syntax_uid));
    if (is_deflated(transfer_syntax_uid)) {
        scanner->inflater = inflater_new();
        if (!scanner->inflater) {
            free(scanner);
            return error_set(err, "cannot inflate the data set: out of memory");
        }
    }
    *out = scanner;
    return 0;
}

int dataset_scanner_want(struct dataset_scanner *scanner, uint32_t tag)
{
    return values_want(&scanner->values, tag);
}

/* Inflates one piece of input into as many bounded pieces of output as it takes. */
static void inflate_piece(struct dataset_scanner *scanner, const uint8_t *bytes, size_t length)
{
    struct inflater *inflater = scanner->inflater;
    z_stream *stream = &inflater->stream;
    stream->next_in = (z_const Bytef *)(uintptr_t)bytes; /* zlib does not write to it */
    stream->avail_in = (uInt)length;
    inflater->fed = true;
    do {
        stream->next_out = inflater->piece;
        stream->avail_out = sizeof inflater->piece;
        int status = inflate(stream, Z_NO_FLUSH);
        size_t produced = sizeof inflater->piece - stream->avail_out;
        element_reader_feed(&scanner->reader, inflater->piece, produced);
        if (status == Z_STREAM_END)
            inflater->ended = true;
        else if (status != Z_OK && status != Z_BUF_ERROR)
            inflater->broken = true;
    } while (!inflater->ended && !inflater->broken &&
             (stream->avail_in > 0 || stream->avail_out == 0) &&
             scanner->reader.state != ELEMENT_LOST);
}

void dataset_scanner_feed(struct dataset_scanner *scanner, const void *bytes, size_t length)
{
    const uint8_t *next = bytes;
    scanner->converted = false;
    if (!scanner->inflater) {
        element_reader_feed(&scanner->reader, next, length);
        return;
    }
    while (length > 0 && !scanner->inflater->ended && scanner->reader.state != ELEMENT_LOST) {
        size_t piece = length < DEFLATED_PIECE_MAX ? length : DEFLATED_PIECE_MAX;
        inflate_piece(scanner, next, piece);
        if (scanner->inflater->broken && scanner->reader.state != ELEMENT_LOST) {
            scanner->reader.element_offset = scanner->reader.offset;
            element_reader_lose(&scanner->reader);
        }
        next += piece;
        length -= piece;
    }
}

bool dataset_scanner_header_done(const struct dataset_scanner *scanner)
{
    return scanner->reader.header_done;
}

void dataset_scanner_finish(struct dataset_scanner *scanner, struct dataset_result *out)
{
    const struct inflater *inflater = scanner->inflater;
    element_reader_result(&scanner->reader, out);
    if (inflater && inflater->fed && !inflater->ended && out->ending == DATASET_COMPLETE)
        out->ending = DATASET_TRUNCATED;
    scanner->reader.header_done = true;
    (void)dataset_scanner_attributes(scanner);
}

const struct attributes *dataset_scanner_attributes(struct dataset_scanner *scanner)
{
    if (!scanner->converted) {
        values_convert(&scanner->values, &scanner->attributes,
                       scanner->fallback[0] != '\0' ? scanner->fallback : NULL);
        scanner->converted = true;
    }
    return &scanner->attributes;
}

const char *dataset_scanner_value(struct dataset_scanner *scanner, uint32_t tag)
{
    const struct attributes *attributes = dataset_scanner_attributes(scanner);
    enum attribute attribute;
    if (attribute_from_tag(&attribute, tag) == 0)
        return attributes_get(attributes, attribute);
    return values_wanted_text(&scanner->values, tag);
}

void dataset_scanner_free(struct dataset_scanner *scanner)
{
    if (!scanner)
        return;
    inflater_free(scanner->inflater);
    values_free(&scanner->values);
    free(scanner);
}
