/* PDUs of an association that stands, over a socket pair: what is taken, what is refused by what.
 */
#include "pdu.h"

#include "suite.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define MAX_PDU 4096

struct bench {
    int peer; /* the other end */
    struct transport *transport;
    struct pdu_reader *reader;
};

static void open_bench(struct bench *bench)
{
    int ends[2];
    CU_ASSERT_EQUAL_FATAL(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    bench->peer = ends[0];
    CU_ASSERT_EQUAL_FATAL(transport_open(&bench->transport, ends[1], clock_system()), 0);
    CU_ASSERT_EQUAL_FATAL(pdu_reader_new(&bench->reader, bench->transport, MAX_PDU), 0);
}

static void close_bench(struct bench *bench)
{
    pdu_reader_free(bench->reader);
    transport_close(bench->transport);
    if (bench->peer >= 0)
        (void)close(bench->peer);
}

static void say(const struct bench *bench, const void *bytes, size_t length)
{
    CU_ASSERT_EQUAL(write(bench->peer, bytes, length), (ssize_t)length);
}

/* What comes of the bytes when nothing comes after them. */
static enum pdu_event event_of(const void *bytes, size_t length, enum pdu_abort *abort,
                               struct error *err)
{
    struct bench bench;
    err->text[0] = '\0';
    open_bench(&bench);
    say(&bench, bytes, length);
    (void)close(bench.peer);
    bench.peer = -1;
    enum pdu_event event = pdu_read(bench.reader, err);
    *abort = pdu_reader_abort(bench.reader);
    close_bench(&bench);
    return event;
}

static void test_pdvs_are_taken_in_turn(void)
{
    static const char data[] = "\4\0\0\0\0\x13"
                               "\0\0\0\5\1\3abc"
                               "\0\0\0\2\3\0"
                               "\0\0\0\2\5\2"
                               "\5\0\0\0\0\4\0\0\0\0";
    struct bench bench;
    struct pdv pdv;
    open_bench(&bench);
    CU_ASSERT_FALSE(pdu_take_pdv(bench.reader, &pdv));
    say(&bench, data, sizeof data - 1);
    CU_ASSERT_EQUAL(pdu_read(bench.reader, NULL), PDU_EVENT_FAULT); /* its length is wrong */
    close_bench(&bench);

    char right[sizeof data];
    memcpy(right, data, sizeof data);
    right[5] = 21;
    open_bench(&bench);
    say(&bench, right, sizeof data - 1);
    CU_ASSERT_EQUAL_FATAL(pdu_read(bench.reader, NULL), PDU_EVENT_PDV);
    CU_ASSERT_TRUE(pdu_take_pdv(bench.reader, &pdv));
    CU_ASSERT_TRUE(pdv.context_id == 1 && pdv.is_command && pdv.is_last && pdv.length == 3 &&
                   memcmp(pdv.bytes, "abc", 3) == 0);
    CU_ASSERT_TRUE(pdu_take_pdv(bench.reader, &pdv));
    CU_ASSERT_TRUE(pdv.context_id == 3 && !pdv.is_command && !pdv.is_last && pdv.length == 0);
    CU_ASSERT_TRUE(pdu_take_pdv(bench.reader, &pdv));
    CU_ASSERT_TRUE(pdv.context_id == 5 && !pdv.is_command && pdv.is_last && pdv.length == 0);
    CU_ASSERT_FALSE(pdu_take_pdv(bench.reader, &pdv));
    CU_ASSERT_EQUAL(pdu_read(bench.reader, NULL), PDU_EVENT_RELEASE);
    CU_ASSERT_FALSE(pdu_take_pdv(bench.reader, &pdv));
    close_bench(&bench);
}

#define ROW(bytes, event, abort, words)                                                            \
    {                                                                                              \
        bytes, sizeof(bytes) - 1, event, abort, words                                              \
    }

static void test_what_each_pdu_is(void)
{
    const struct {
        const char *bytes;
        size_t length;
        enum pdu_event event;
        enum pdu_abort abort;
        const char *words;
    } rows[] = {
        ROW("\5\0\0\0\0\4\0\0\0\0", PDU_EVENT_RELEASE, PDU_ABORT_BY_USER, ""),
        ROW("\5\0\0\0\0\5\0\0\0\0\0", PDU_EVENT_FAULT, PDU_ABORT_INVALID_PARAMETER, "RELEASE-RQ"),
        ROW("\5\0\xFF\xFF\xFF\xFF", PDU_EVENT_FAULT, PDU_ABORT_INVALID_PARAMETER, "4294967295"),
        ROW("\7\0\0\0\0\4\0\0\2\0", PDU_EVENT_ABORT, PDU_ABORT_BY_USER, ""),
        ROW("\7\0\xFF\xFF\xFF\xFF", PDU_EVENT_ABORT, PDU_ABORT_BY_USER, ""),
        ROW("\1\0\0\0\0\4\0\0\0\0", PDU_EVENT_FAULT, PDU_ABORT_UNEXPECTED_PDU, "type 01"),
        ROW("\2\0\0\0\0\4\0\0\0\0", PDU_EVENT_FAULT, PDU_ABORT_UNEXPECTED_PDU, "type 02"),
        ROW("\3\0\0\0\0\4\0\0\0\0", PDU_EVENT_FAULT, PDU_ABORT_UNEXPECTED_PDU, "type 03"),
        ROW("\6\0\0\0\0\4\0\0\0\0", PDU_EVENT_FAULT, PDU_ABORT_UNEXPECTED_PDU, "type 06"),
        ROW("\0\0\0\0\0\4\0\0\0\0", PDU_EVENT_FAULT, PDU_ABORT_UNRECOGNIZED_PDU, "type 00"),
        ROW("\x42\0\0\0\0\4\0\0\0\0", PDU_EVENT_FAULT, PDU_ABORT_UNRECOGNIZED_PDU, "type 42"),
        ROW("\4\0\0\0\0\0", PDU_EVENT_FAULT, PDU_ABORT_INVALID_PARAMETER, "no PDV"),
        ROW("\4\0\0\0\x10\1", PDU_EVENT_FAULT, PDU_ABORT_INVALID_PARAMETER,
            "claims 4097 bytes, more than the 4096"),
        ROW("\4\0\xFF\xFF\xFF\xFF", PDU_EVENT_FAULT, PDU_ABORT_INVALID_PARAMETER, "4294967295"),
        ROW("\4\0\0\0\0\6\0\0\0\2\1", PDU_EVENT_ENDED, PDU_ABORT_BY_USER, ""),
        ROW("\4\0\0\0", PDU_EVENT_ENDED, PDU_ABORT_BY_USER, ""),
        ROW("", PDU_EVENT_ENDED, PDU_ABORT_BY_USER, ""),
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        enum pdu_abort abort;
        struct error err;
        CU_ASSERT_EQUAL(event_of(rows[i].bytes, rows[i].length, &abort, &err), rows[i].event);
        CU_ASSERT_EQUAL(abort, rows[i].abort);
        CU_ASSERT_PTR_NOT_NULL(strstr(err.text, rows[i].words));
    }
}

static void test_pdvs_fill_their_pdu(void)
{
    const struct {
        const char *body;
        size_t length;
        int result;
    } rows[] = {
        {"\0\0\0\2\1\0", 6, 0},
        {"\0\0\0\3\1\0x", 7, 0},
        {"\0\0\0\2\1\0\0\0\0\2\1\2", 12, 0},
        {"\0\0\0\1\1\0", 6, -1},
        {"\0\0\0\0\1\0", 6, -1},
        {"\0\0\0\3\1\0", 6, -1},
        {"\0\0\0\2\1\0x", 7, -1},
        {"\0\0\0\2\1\0\0\0\0\2\1", 11, -1},
        {"\0\0\0\2\1", 5, -1},
        /* Lengths with the highest bit set: negative to a reader that takes them as signed, which
         * then walks back or goes on in small steps. */
        {"\xFF\xFF\xFF\xFE\1\0", 6, -1},
        {"\x80\0\0\0\1\0", 6, -1},
        {"\xFF\xFF\xFF\xFC\1\0", 6, -1},
        {"\x7F\xFF\xFF\xFF\1\0", 6, -1},
        {"\0\1\0\2\1\0", 6, -1}, /* all four bytes count */
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        uint8_t *exact = malloc(rows[i].length); /* so that a sanitizer sees one byte more */
        CU_ASSERT_PTR_NOT_NULL_FATAL(exact);
        memcpy(exact, rows[i].body, rows[i].length);
        CU_ASSERT_EQUAL(pdu_examine(exact, rows[i].length, NULL), rows[i].result);
        free(exact);
    }
}

static void test_commands_are_sent_as_one_pdu(void)
{
    struct bench bench;
    uint8_t got[64];
    open_bench(&bench);
    CU_ASSERT_EQUAL(pdu_send_command(bench.transport, 7, "abcd", 4, NULL), 0);
    CU_ASSERT_EQUAL(read(bench.peer, got, sizeof got), 16);
    CU_ASSERT_EQUAL(memcmp(got, "\4\0\0\0\0\12\0\0\0\6\7\3abcd", 16), 0);
    (void)close(bench.peer);
    bench.peer = -1;
    struct error err = {""};
    CU_ASSERT_EQUAL(pdu_send_command(bench.transport, 7, "abcd", 4, &err), -1);
    CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "the connection ended"));
    close_bench(&bench);
}

static void test_short_pdus(void)
{
    uint8_t pdu[PDU_SHORT_LENGTH];
    pdu_write_rejection(pdu, &REJECTION_LOCAL_LIMIT);
    CU_ASSERT_EQUAL(memcmp(pdu, "\3\0\0\0\0\4\0\2\3\2", sizeof pdu), 0);
    pdu_write_release_response(pdu);
    CU_ASSERT_EQUAL(memcmp(pdu, "\6\0\0\0\0\4\0\0\0\0", sizeof pdu), 0);
    pdu_write_abort(pdu, PDU_ABORT_UNEXPECTED_PDU);
    CU_ASSERT_EQUAL(memcmp(pdu, "\7\0\0\0\0\4\0\0\2\2", sizeof pdu), 0);
}

static CU_TestInfo cases[] = {SUITE_CASE(test_pdvs_are_taken_in_turn),
                              SUITE_CASE(test_what_each_pdu_is),
                              SUITE_CASE(test_pdvs_fill_their_pdu),
                              SUITE_CASE(test_commands_are_sent_as_one_pdu),
                              SUITE_CASE(test_short_pdus),
                              CU_TEST_INFO_NULL};
SUITE_MAIN("dicom_pdu", cases)
