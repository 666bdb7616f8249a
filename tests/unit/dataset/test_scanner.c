/* The scanner on made data sets: encodings, nesting, damage, limits. */
#include "aurabridge/dataset.h"
#include "sample.h"
#include "suite.h"

#include <stdio.h>
#include <string.h>
#include <zlib.h>

#define IMPLICIT    "1.2.840.10008.1.2"
#define EXPLICIT    "1.2.840.10008.1.2.1"
#define BIG         "1.2.840.10008.1.2.2"
#define JPEG        "1.2.840.10008.1.2.4.50"
#define STUDY_UID   "1.2.3.4.5"
#define VALUES_LEFT 13 /* of 16, after three wanted ones that are not recorded anyway */

static struct sample sample;

static const struct encoding {
    const char *transfer_syntax_uid;
    bool implicit;
    bool big_endian;
} encodings[] = {{IMPLICIT, true, false}, {EXPLICIT, false, false}, {BIG, false, true}};
#define ENCODINGS (sizeof encodings / sizeof *encodings)

static void start(const struct encoding *encoding)
{
    sample_start(&sample, encoding->implicit, encoding->big_endian);
    sample_text(&sample, 0x00080005, "CS", "ISO_IR 100");
}

/* What every data set here ends with, so that one sees whether the scanner kept its place. */
static void put_tail(void)
{
    sample_text(&sample, 0x0020000D, "UI", STUDY_UID);
    sample_header(&sample, 0x7FE00010, "OW", 6);
    sample_bytes(&sample, "pixels", 6);
}

static struct dataset_scanner *scan(const char *transfer_syntax_uid, const void *bytes,
                                    size_t length, size_t chunk, struct dataset_result *result)
{
    struct dataset_scanner *scanner;
    CU_ASSERT_EQUAL_FATAL(dataset_scanner_new(&scanner, transfer_syntax_uid, NULL, NULL), 0);
    const uint8_t *next = bytes;
    while (length > 0) {
        size_t n = chunk < length ? chunk : length;
        dataset_scanner_feed(scanner, next, n);
        next += n;
        length -= n;
    }
    dataset_scanner_finish(scanner, result);
    return scanner;
}

static const char *get(struct dataset_scanner *scanner, enum attribute attribute)
{
    return attributes_get(dataset_scanner_attributes(scanner), attribute);
}

/* Scans the sample in several chunkings: complete, with the Study Instance UID of the tail. */
static void expect_complete(const char *transfer_syntax_uid)
{
    static const size_t chunks[] = {1, 3, 7, 13, SAMPLE_MAX};
    for (size_t i = 0; i < sizeof chunks / sizeof *chunks; i++) {
        struct dataset_result result;
        struct dataset_scanner *scanner =
            scan(transfer_syntax_uid, sample.bytes, sample.length, chunks[i], &result);
        CU_ASSERT_EQUAL(result.ending, DATASET_COMPLETE);
        CU_ASSERT_EQUAL(result.offset, sample.length);
        CU_ASSERT_STRING_EQUAL(get(scanner, ATTRIBUTE_STUDY_INSTANCE_UID), STUDY_UID);
        CU_ASSERT_TRUE(dataset_scanner_header_done(scanner));
        dataset_scanner_free(scanner);
    }
}

static struct dataset_result result_of(const char *transfer_syntax_uid, size_t length)
{
    struct dataset_result result;
    dataset_scanner_free(scan(transfer_syntax_uid, sample.bytes, length, 5, &result));
    return result;
}

static void test_every_encoding_and_vr(void)
{
    static const char *const vrs[] = {"OB", "OD", "OF", "OL", "OV", "OW", "SQ", "SV", "UC",
                                      "UN", "UR", "UT", "UV", "ZZ", "LO", "US", "AT", "??"};
    for (size_t i = 0; i < ENCODINGS; i++) {
        start(&encodings[i]);
        sample_header(&sample, 0x00080000, "UL", 4);
        sample_bytes(&sample, "\1\0\0\0", 4);
        for (size_t v = 0; v < sizeof vrs / sizeof *vrs; v++) {
            sample_header(&sample, 0x00091001 + (uint32_t)v, vrs[v], 8);
            sample_bytes(&sample, "\x0d\0\x20\0UI\0\0", 8);
        }
        sample_header(&sample, 0x00091100, NULL, 8); /* copied in without VR */
        sample_bytes(&sample, "no VR...", 8);
        sample_header(&sample, 0x00091101, "LO", 3); /* odd */
        sample_bytes(&sample, "abc", 3);
        put_tail();
        expect_complete(encodings[i].transfer_syntax_uid);
    }
}

/* Undefined lengths, nested; the same attributes within must not be taken. */
static void test_sequences(void)
{
    for (size_t i = 0; i < ENCODINGS; i++) {
        start(&encodings[i]);
        sample_header(&sample, 0x00081140, "SQ", SAMPLE_UNDEFINED);
        sample_item(&sample, SAMPLE_UNDEFINED);
        sample_text(&sample, 0x0020000D, "UI", "9.9.9");
        sample_header(&sample, 0x00081199, "SQ", SAMPLE_UNDEFINED);
        sample_item(&sample, 8);
        sample_bytes(&sample, "whatever", 8);
        sample_item(&sample, SAMPLE_UNDEFINED);
        sample_text(&sample, 0x0020000D, "UI", "8.8.8");
        sample_end_item(&sample);
        sample_end_sequence(&sample);
        sample_text(&sample, 0x0020000D, "UI", "7.7.7");
        sample_end_item(&sample);
        sample_item(&sample, 0);
        sample_end_sequence(&sample);
        sample_header(&sample, 0x00081110, "SQ", 0);
        sample_header(&sample, 0x00081111, "SQ", 8);
        sample_item(&sample, 0);
        put_tail();
        expect_complete(encodings[i].transfer_syntax_uid);
    }
}

/* UN of undefined length holds implicit VR little endian (PS3.5 6.2.2); some hold explicit. */
static void test_unknown_vr_of_undefined_length(void)
{
    for (size_t i = 1; i < ENCODINGS; i++) {
        for (int implicit = 0; implicit <= 1; implicit++) {
            start(&encodings[i]);
            sample_header(&sample, 0x00091001, "UN", SAMPLE_UNDEFINED);
            sample.implicit = implicit;
            sample.big_endian = false;
            sample_item(&sample, SAMPLE_UNDEFINED);
            sample_text(&sample, 0x0020000D, "UI", "9.9.9");
            sample_header(&sample, 0x00091002, "SQ", SAMPLE_UNDEFINED);
            sample_item(&sample, SAMPLE_UNDEFINED);
            sample_text(&sample, 0x00100010, "PN", "Nested");
            sample_end_item(&sample);
            sample_end_sequence(&sample);
            sample_end_item(&sample);
            sample_end_sequence(&sample);
            sample.implicit = encodings[i].implicit;
            sample.big_endian = encodings[i].big_endian;
            put_tail();
            expect_complete(encodings[i].transfer_syntax_uid);
        }
    }
}

static void test_encapsulated_pixels(void)
{
    start(&encodings[1]);
    sample_text(&sample, 0x0020000D, "UI", STUDY_UID);
    sample_header(&sample, 0x7FE00010, "OB", SAMPLE_UNDEFINED);
    sample_item(&sample, 0);
    sample_item(&sample, 9);
    sample_bytes(&sample, "\xff\xd8\xfe\xff\xdd\xe0\0\0\0", 9);
    size_t inside = sample.length;
    sample_end_sequence(&sample);
    sample_header(&sample, 0xFFFCFFFC, "OB", 2);
    sample_bytes(&sample, "\0", 2);
    expect_complete(JPEG);
    expect_complete("1.2.3.4.5.6.7"); /* unknown: explicit little endian */

    struct dataset_result result = result_of(JPEG, inside);
    CU_ASSERT_EQUAL(result.ending, DATASET_TRUNCATED);
    CU_ASSERT_EQUAL(result.tag, 0x7FE00010);
    CU_ASSERT_EQUAL(result.missing, 0);
    CU_ASSERT_EQUAL(result_of(JPEG, inside - 4).ending, DATASET_TRUNCATED);
}

/* The transfer syntax says one thing, the bytes another. */
static void test_mislabelled_encodings(void)
{
    for (size_t declared = 0; declared < ENCODINGS; declared++) {
        for (size_t real = 0; real < ENCODINGS; real++) {
            start(&encodings[real]);
            put_tail();
            expect_complete(encodings[declared].transfer_syntax_uid);
        }
    }
}

static void test_file_meta_in_the_data_set(void)
{
    for (size_t i = 0; i < ENCODINGS; i++) {
        sample_start(&sample, false, false);
        sample_header(&sample, 0x00020001, "OB", 2);
        sample_bytes(&sample, "\0\1", 2);
        sample_text(&sample, 0x00020010, "UI", EXPLICIT);
        sample.implicit = encodings[i].implicit;
        sample.big_endian = encodings[i].big_endian;
        put_tail();
        expect_complete(encodings[i].transfer_syntax_uid);
    }
}

static void test_stray_bytes(void)
{
    static const uint8_t zeros[1000];
    for (size_t padding = 0; padding <= sizeof zeros; padding += padding < 20 ? 1 : 245) {
        start(&encodings[1]);
        put_tail();
        sample_bytes(&sample, zeros, padding);
        expect_complete(EXPLICIT);
    }
    /* surplus delimiters at the top, a missing item delimiter */
    start(&encodings[1]);
    sample_end_item(&sample);
    sample_end_sequence(&sample);
    sample_header(&sample, 0x00081140, "SQ", SAMPLE_UNDEFINED);
    sample_item(&sample, SAMPLE_UNDEFINED);
    sample_text(&sample, 0x00080060, "CS", "CT");
    sample_end_sequence(&sample);
    put_tail();
    expect_complete(EXPLICIT);
    /* zeros, then something */
    sample_bytes(&sample, zeros, 20);
    sample_bytes(&sample, "x", 1);
    CU_ASSERT_EQUAL(result_of(EXPLICIT, sample.length).ending, DATASET_NOT_UNDERSTOOD);
    CU_ASSERT_EQUAL(result_of(EXPLICIT, sample.length).offset, sample.length - 21);
}

/* One padding byte in front of the first element. */
static void test_shifted_by_one(void)
{
    sample_start(&sample, false, false);
    sample_bytes(&sample, " ", 1);
    sample_text(&sample, 0x00080005, "CS", "ISO_IR 100");
    put_tail();
    expect_complete(EXPLICIT);
    sample_start(&sample, false, false);
    sample_bytes(&sample, " \x08\0\x05\0CS", 7);
    CU_ASSERT_EQUAL(result_of(EXPLICIT, sample.length).ending, DATASET_TRUNCATED);
}

static void test_first_value_wins_in_any_order(void)
{
    start(&encodings[1]);
    sample_text(&sample, 0x0020000D, "UI", STUDY_UID);
    sample_text(&sample, 0x0020000D, "UI", "6.6.6");
    sample_text(&sample, 0x00100010, "PN", "J\xe9r\xf4me^ ");
    sample_text(&sample, 0x00080060, "CS", "CT ");
    sample_text(&sample, 0x00100020, "OB", "ID1"); /* text, whatever its VR says */
    struct dataset_result result;
    struct dataset_scanner *scanner = scan(EXPLICIT, sample.bytes, sample.length, 4, &result);
    CU_ASSERT_EQUAL(result.ending, DATASET_COMPLETE);
    CU_ASSERT_STRING_EQUAL(get(scanner, ATTRIBUTE_STUDY_INSTANCE_UID), STUDY_UID);
    CU_ASSERT_STRING_EQUAL(get(scanner, ATTRIBUTE_PATIENT_NAME), "Jérôme");
    CU_ASSERT_STRING_EQUAL(get(scanner, ATTRIBUTE_MODALITY), "CT");
    CU_ASSERT_STRING_EQUAL(get(scanner, ATTRIBUTE_PATIENT_ID), "ID1");
    dataset_scanner_free(scanner);
}

/* At each cut the tag and the missing bytes are right, and what was read before stays. */
static void test_every_cut(void)
{
    start(&encodings[1]);
    size_t uid_at = sample.length;
    put_tail();
    size_t pixels_at = sample.length - 6 - 12;
    for (size_t cut = 0; cut < sample.length; cut++) {
        struct dataset_result result;
        struct dataset_scanner *scanner = scan(EXPLICIT, sample.bytes, cut, 6, &result);
        bool border = cut == 0 || cut == uid_at || cut == pixels_at;
        CU_ASSERT_EQUAL(result.ending, border ? DATASET_COMPLETE : DATASET_TRUNCATED);
        CU_ASSERT_EQUAL(result.offset, cut);
        if (cut > pixels_at + 4) {
            bool in_value = cut >= pixels_at + 12;
            CU_ASSERT_EQUAL(result.tag, 0x7FE00010);
            CU_ASSERT_EQUAL(result.missing, in_value ? sample.length - cut : 0);
        }
        const char *uid = cut < pixels_at ? "" : STUDY_UID;
        CU_ASSERT_STRING_EQUAL(get(scanner, ATTRIBUTE_STUDY_INSTANCE_UID), uid);
        dataset_scanner_free(scanner);
    }
}

static void put_nested(size_t depth)
{
    for (size_t i = 0; i < depth; i++) {
        sample_header(&sample, 0x00081140, "SQ", SAMPLE_UNDEFINED);
        sample_item(&sample, SAMPLE_UNDEFINED);
    }
    for (size_t i = 0; i < depth; i++) {
        sample_end_item(&sample);
        sample_end_sequence(&sample);
    }
}

static void test_depth(void)
{
    start(&encodings[0]);
    put_nested(DATASET_DEPTH_MAX);
    put_tail();
    expect_complete(IMPLICIT);

    start(&encodings[0]);
    sample_text(&sample, 0x00080060, "CS", "CT");
    size_t nest = sample.length;
    put_nested(DATASET_DEPTH_MAX + 1);
    put_tail();
    struct dataset_result result;
    struct dataset_scanner *scanner = scan(IMPLICIT, sample.bytes, sample.length, 999, &result);
    CU_ASSERT_EQUAL(result.ending, DATASET_NOT_UNDERSTOOD);
    CU_ASSERT_EQUAL(result.tag, 0x00081140);
    CU_ASSERT_EQUAL(result.offset, nest + 16UL * DATASET_DEPTH_MAX);
    CU_ASSERT_STRING_EQUAL(get(scanner, ATTRIBUTE_MODALITY), "CT");
    dataset_scanner_free(scanner);
}

static void test_nonsense(void)
{
    /* an item at the top, an element between items, an unknown delimiter, a fragment without end */
    for (int kind = 0; kind < 4; kind++) {
        start(&encodings[1]);
        size_t at = sample.length;
        if (kind == 1) {
            sample_header(&sample, 0x00081140, "SQ", SAMPLE_UNDEFINED);
            at = sample.length;
            sample_text(&sample, 0x00080060, "CS", "CT");
        } else if (kind == 3) {
            sample_header(&sample, 0x7FE00010, "OB", SAMPLE_UNDEFINED);
            at = sample.length;
            sample_item(&sample, SAMPLE_UNDEFINED);
        } else {
            sample_header(&sample, kind == 0 ? 0xFFFEE000 : 0xFFFEE123, NULL, 4);
        }
        put_tail();
        struct dataset_result result = result_of(EXPLICIT, sample.length);
        CU_ASSERT_EQUAL(result.ending, DATASET_NOT_UNDERSTOOD);
        CU_ASSERT_EQUAL(result.offset, at);
    }
}

static void test_wanted_values(void)
{
    struct dataset_scanner *scanner;
    CU_ASSERT_EQUAL_FATAL(dataset_scanner_new(&scanner, EXPLICIT, NULL, NULL), 0);
    CU_ASSERT_EQUAL(dataset_scanner_want(scanner, 0x00101060), 0); /* mother's birth name */
    CU_ASSERT_EQUAL(dataset_scanner_want(scanner, 0x00280010), 0); /* rows: binary */
    CU_ASSERT_EQUAL(dataset_scanner_want(scanner, 0x00100010), 0);
    CU_ASSERT_EQUAL(dataset_scanner_want(scanner, 0x00101060), 0);
    CU_ASSERT_EQUAL(dataset_scanner_want(scanner, 0x00080005), 0);
    for (uint32_t tag = 1; tag <= VALUES_LEFT; tag++)
        CU_ASSERT_EQUAL(dataset_scanner_want(scanner, 0x00090000 + tag), 0);
    CU_ASSERT_EQUAL(dataset_scanner_want(scanner, 0x00099999), -1);

    static char long_text[5001];
    memset(long_text, 'x', sizeof long_text - 1);
    start(&encodings[1]);
    sample_text(&sample, 0x00090001, "LO", " private ");
    sample_text(&sample, 0x00090002, "UT", long_text);
    sample_text(&sample, 0x00100010, "PN", "A^B");
    sample_text(&sample, 0x00101060, "PN", "M\xfcller^^");
    sample_header(&sample, 0x00280010, "US", 2);
    sample_bytes(&sample, "AB", 2);
    dataset_scanner_feed(scanner, sample.bytes, sample.length);
    CU_ASSERT_STRING_EQUAL(dataset_scanner_value(scanner, 0x00101060), "Müller");
    struct dataset_result result;
    dataset_scanner_finish(scanner, &result);
    CU_ASSERT_STRING_EQUAL(dataset_scanner_value(scanner, 0x00090001), "private");
    CU_ASSERT_EQUAL(strlen(dataset_scanner_value(scanner, 0x00090002)), ATTRIBUTE_VALUE_MAX);
    CU_ASSERT_STRING_EQUAL(dataset_scanner_value(scanner, 0x00100010), "A^B");
    CU_ASSERT_STRING_EQUAL(dataset_scanner_value(scanner, 0x00101060), "Müller");
    CU_ASSERT_STRING_EQUAL(dataset_scanner_value(scanner, 0x00280010), "");
    CU_ASSERT_STRING_EQUAL(dataset_scanner_value(scanner, 0x00080005), "ISO_IR 100");
    CU_ASSERT_STRING_EQUAL(dataset_scanner_value(scanner, 0x00089999), "");
    dataset_scanner_free(scanner);
}

/* What is no UID on the wire must not become one by what conversion leaves out. */
static void test_uids_are_not_converted(void)
{
    static const struct {
        const char *value;
        size_t length;
        const char *taken;
    } rows[] = {
        {"1.2.3\0", 6, "1.2.3"},      {" 1.2.3  ", 8, "1.2.3"},
        {"1.2\0.3", 6, "1.2?.3"},     {"1.2\1.3", 6, "1.2?.3"},
        {"1.2\x1B(B3", 7, "1.2?(B3"}, {"1.2\x81.3", 6, "1.2?.3"},
        {"1.2\\1.3", 7, "1.2\\1.3"},  {"\0\0", 2, ""},
    };
    static const uint32_t tags[] = {0x00080016, 0x00080018, 0x0020000D, 0x0020000E};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        for (size_t t = 0; t < sizeof tags / sizeof *tags; t++) {
            start(&encodings[1]);
            sample_header(&sample, tags[t], "UI", (uint32_t)rows[i].length);
            sample_bytes(&sample, rows[i].value, rows[i].length);
            struct dataset_result result;
            struct dataset_scanner *scanner =
                scan(EXPLICIT, sample.bytes, sample.length, SAMPLE_MAX, &result);
            CU_ASSERT_STRING_EQUAL(dataset_scanner_value(scanner, tags[t]), rows[i].taken);
            dataset_scanner_free(scanner);
        }
    }
}

/* Texts as long as they may be leave room for the UIDs. */
static void test_uids_survive_long_texts(void)
{
    static char long_text[3001];
    memset(long_text, 'y', sizeof long_text - 1);
    start(&encodings[1]);
    sample_text(&sample, 0x00080050, "UT", long_text);
    sample_text(&sample, 0x00080080, "UT", long_text);
    sample_text(&sample, 0x00080090, "UT", long_text);
    sample_text(&sample, 0x00081030, "UT", long_text);
    sample_text(&sample, 0x0008103E, "UT", long_text);
    sample_text(&sample, 0x00100010, "UT", long_text);
    sample_text(&sample, 0x00100020, "UT", long_text);
    put_tail();
    expect_complete(EXPLICIT);
}

static void test_default_character_set(void)
{
    struct dataset_scanner *scanner;
    CU_ASSERT_EQUAL_FATAL(dataset_scanner_new(&scanner, IMPLICIT, "ISO_IR 144", NULL), 0);
    sample_start(&sample, true, false);
    sample_text(&sample, 0x00100010, "PN", "\xbb\xee");
    dataset_scanner_feed(scanner, sample.bytes, sample.length);
    struct dataset_result result;
    dataset_scanner_finish(scanner, &result);
    CU_ASSERT_STRING_EQUAL(get(scanner, ATTRIBUTE_PATIENT_NAME), "Лю");
    dataset_scanner_free(scanner);
}

static void test_header_done_at_pixel_data(void)
{
    struct dataset_scanner *scanner;
    CU_ASSERT_EQUAL_FATAL(dataset_scanner_new(&scanner, EXPLICIT, NULL, NULL), 0);
    start(&encodings[1]);
    put_tail();
    dataset_scanner_feed(scanner, sample.bytes, sample.length - 18);
    CU_ASSERT_FALSE(dataset_scanner_header_done(scanner));
    CU_ASSERT_STRING_EQUAL(get(scanner, ATTRIBUTE_STUDY_INSTANCE_UID), STUDY_UID);
    dataset_scanner_feed(scanner, sample.bytes + sample.length - 18, 12);
    CU_ASSERT_TRUE(dataset_scanner_header_done(scanner));
    dataset_scanner_free(scanner);
    dataset_scanner_free(NULL);
}

/* Raw deflate of the sample with `zeros` bytes of pixel data behind it. */
static size_t deflate_sample(uint8_t *out, size_t size, size_t zeros)
{
    static uint8_t nothing[65536];
    z_stream stream = {.next_in = sample.bytes, .avail_in = (uInt)sample.length};
    CU_ASSERT_EQUAL_FATAL(deflateInit2(&stream, 9, Z_DEFLATED, -MAX_WBITS, 9, Z_DEFAULT_STRATEGY),
                          Z_OK);
    stream.next_out = out;
    stream.avail_out = (uInt)size;
    CU_ASSERT_EQUAL(deflate(&stream, Z_NO_FLUSH), Z_OK);
    while (zeros > 0) {
        stream.next_in = nothing;
        stream.avail_in = zeros < sizeof nothing ? (uInt)zeros : (uInt)sizeof nothing;
        zeros -= stream.avail_in;
        CU_ASSERT_EQUAL(deflate(&stream, Z_NO_FLUSH), Z_OK);
    }
    CU_ASSERT_EQUAL(deflate(&stream, Z_FINISH), Z_STREAM_END);
    size_t length = size - stream.avail_out;
    CU_ASSERT_EQUAL(deflateEnd(&stream), Z_OK);
    return length;
}

/* Deflated Explicit VR Little Endian, JPIP Referenced Deflate, JPIP HTJ2K Referenced Deflate. */
static const char *const deflated_syntaxes[] = {"1.2.840.10008.1.2.1.99", "1.2.840.10008.1.2.4.95",
                                                "1.2.840.10008.1.2.4.205"};
#define DEFLATED deflated_syntaxes[0]

/* 64 MiB of zeros come out of 64 KiB: lengths are followed, memory stays. */
static void test_deflated(void)
{
    static uint8_t deflated[1 << 18];
    size_t pixels = 64U << 20;
    start(&encodings[1]);
    sample_text(&sample, 0x0020000D, "UI", STUDY_UID);
    sample_header(&sample, 0x7FE00010, "OW", (uint32_t)pixels);
    size_t length = deflate_sample(deflated, sizeof deflated, pixels);
    CU_ASSERT(length < pixels / 900);
    deflated[length] = 0; /* the padding byte of PS3.5 A.5 */
    size_t chunk = 1;
    for (size_t i = 0; i < sizeof deflated_syntaxes / sizeof *deflated_syntaxes; i++) {
        struct dataset_result result;
        struct dataset_scanner *scanner =
            scan(deflated_syntaxes[i], deflated, length + 1, chunk, &result);
        chunk = chunk * 500 + 1;
        CU_ASSERT_EQUAL(result.ending, DATASET_COMPLETE);
        CU_ASSERT_EQUAL(result.offset, sample.length + pixels);
        CU_ASSERT_STRING_EQUAL(get(scanner, ATTRIBUTE_STUDY_INSTANCE_UID), STUDY_UID);
        dataset_scanner_free(scanner);
    }
    struct dataset_result result;
    dataset_scanner_free(scan(DEFLATED, deflated, length / 2, 4096, &result));
    CU_ASSERT_EQUAL(result.ending, DATASET_TRUNCATED);
    CU_ASSERT_EQUAL(result.tag, 0x7FE00010);
    CU_ASSERT_EQUAL(result.missing, sample.length + pixels - result.offset);
    dataset_scanner_free(scan(DEFLATED, deflated, length - 1, 4096, &result));
    CU_ASSERT_EQUAL(result.ending, DATASET_TRUNCATED);
    deflated[0] = 0x07; /* a block type that is not */
    dataset_scanner_free(scan(DEFLATED, deflated, length, 4096, &result));
    CU_ASSERT_EQUAL(result.ending, DATASET_NOT_UNDERSTOOD);
}

static CU_TestInfo cases[] = {SUITE_CASE(test_every_encoding_and_vr),
                              SUITE_CASE(test_sequences),
                              SUITE_CASE(test_unknown_vr_of_undefined_length),
                              SUITE_CASE(test_encapsulated_pixels),
                              SUITE_CASE(test_mislabelled_encodings),
                              SUITE_CASE(test_file_meta_in_the_data_set),
                              SUITE_CASE(test_stray_bytes),
                              SUITE_CASE(test_shifted_by_one),
                              SUITE_CASE(test_first_value_wins_in_any_order),
                              SUITE_CASE(test_every_cut),
                              SUITE_CASE(test_depth),
                              SUITE_CASE(test_nonsense),
                              SUITE_CASE(test_wanted_values),
                              SUITE_CASE(test_uids_are_not_converted),
                              SUITE_CASE(test_uids_survive_long_texts),
                              SUITE_CASE(test_default_character_set),
                              SUITE_CASE(test_header_done_at_pixel_data),
                              SUITE_CASE(test_deflated),
                              CU_TEST_INFO_NULL};
SUITE_MAIN("dataset_scanner", cases)
