/* The node when memory is short and when dcmtk fails: every allocation on the way of an association
 * fails once, and what the peer and the log are told is looked at. The linker puts the functions
 * below in place of those that they are named after.
 */
#include "dul.h"
#include "pdu.h"

#include "aurabridge/log.h"
#include "aurabridge/node.h"

#include "suite.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define PATIENCE_SECONDS 20

/* ---- memory: the n-th piece from arming on is not to be had, once ---- */

static atomic_int pieces_left; /* 0: no piece fails */

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);

static bool is_refused(void)
{
    int left = atomic_load(&pieces_left);
    while (left > 0 && !atomic_compare_exchange_weak(&pieces_left, &left, left - 1))
        ;
    return left == 1;
}

void *__wrap_malloc(size_t size)
{
    return is_refused() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
    return is_refused() ? NULL : __real_calloc(count, size);
}

/* ---- dcmtk: fails with this once it was told, on a connection that ended if so told ---- */

static atomic_int fail_receive, fail_accept;
static atomic_bool is_late;

static void let_time_pass(struct transport *transport)
{
    uint8_t byte;
    transport_replay(transport, NULL, 0);
    transport_set_deadline(transport, 0);
    while (transport_read(transport, &byte, 1) > 0)
        ;
}

int __real_dul_association_receive(struct dul_association **out, struct dul_network *network,
                                   struct transport *transport, uint32_t max_pdu,
                                   struct error *err);
int __real_dul_association_accept(struct dul_association *association,
                                  const struct presentation_context *contexts, size_t count,
                                  bool identity_answer, struct error *err);
int __wrap_dul_association_receive(struct dul_association **out, struct dul_network *network,
                                   struct transport *transport, uint32_t max_pdu,
                                   struct error *err);
int __wrap_dul_association_accept(struct dul_association *association,
                                  const struct presentation_context *contexts, size_t count,
                                  bool identity_answer, struct error *err);

int __wrap_dul_association_receive(struct dul_association **out, struct dul_network *network,
                                   struct transport *transport, uint32_t max_pdu, struct error *err)
{
    int failed = atomic_exchange(&fail_receive, 0);
    if (!failed)
        return __real_dul_association_receive(out, network, transport, max_pdu, err);
    *out = NULL;
    if (atomic_exchange(&is_late, false))
        let_time_pass(transport);
    (void)error_set(err, "A-ASSOCIATE-RQ: told to fail");
    return failed;
}

int __wrap_dul_association_accept(struct dul_association *association,
                                  const struct presentation_context *contexts, size_t count,
                                  bool identity_answer, struct error *err)
{
    int failed = atomic_exchange(&fail_accept, 0);
    if (!failed)
        return __real_dul_association_accept(association, contexts, count, identity_answer, err);
    (void)error_set(err, "A-ASSOCIATE-AC: told to fail");
    return failed;
}

/* ---- the log: what is warned of or worse ---- */

static pthread_mutex_t log_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t log_came = PTHREAD_COND_INITIALIZER;
static unsigned lines;
static enum log_level line_level;
static char line[LOG_LINE_MAX];

void __wrap_log_write(enum log_level level, const char *room, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

void __wrap_log_write(enum log_level level, const char *room, const char *format, ...)
{
    (void)room;
    if (level > LOG_LEVEL_WARNING)
        return;
    va_list arguments;
    va_start(arguments, format);
    (void)pthread_mutex_lock(&log_lock);
    lines++;
    line_level = level;
    (void)vsnprintf(line, sizeof line, format, arguments);
    (void)pthread_cond_signal(&log_came);
    (void)pthread_mutex_unlock(&log_lock);
    va_end(arguments);
}

static void expect_one_line(enum log_level level, const char *words, const char *remedy)
{
    struct timespec until;
    int code = 0;
    (void)clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += PATIENCE_SECONDS;
    (void)pthread_mutex_lock(&log_lock);
    while (lines == 0 && code == 0)
        code = pthread_cond_timedwait(&log_came, &log_lock, &until);
    CU_ASSERT_EQUAL(lines, 1);
    CU_ASSERT_EQUAL(line_level, level);
    bool is_right = strstr(line, "127.0.0.1") && strstr(line, words) && strstr(line, remedy);
    CU_ASSERT_TRUE(is_right);
    if (!is_right)
        (void)printf("\n    got \"%s\"\n", line);
    (void)pthread_mutex_unlock(&log_lock);
}

static void forget_lines(void)
{
    (void)pthread_mutex_lock(&log_lock);
    lines = 0;
    line[0] = '\0';
    (void)pthread_mutex_unlock(&log_lock);
}

/* ---- the config, which is not counted here ---- */

struct config *__wrap_config_retain(struct config *config);
void __wrap_config_release(struct config *config);

struct config *__wrap_config_retain(struct config *config)
{
    return config;
}

void __wrap_config_release(struct config *config)
{
    (void)config;
}

/* ---- the node ---- */

static void forget_association(void *context, const struct association *association)
{
    (void)context;
    (void)association;
}

static char listen_at[] = "127.0.0.1:0";
static struct config_ae_title title = {.name = "AURABRIDGE"};
static struct config config;
static const struct instance_sink sink = {.association_ended = forget_association};
static struct node *node;

static void start_node(void)
{
    struct error err = {""};
    memset(&config, 0, sizeof config);
    config.dicom.listen = listen_at;
    config.dicom.ae_titles = &title;
    config.dicom.ae_title_count = 1;
    config.dicom.max_associations = config.dicom.max_associations_per_peer = 4;
    config.dicom.max_pdu = 16384;
    config.dicom.association_timeout_ms = config.dicom.idle_timeout_ms =
        config.dicom.pdu_timeout_ms = config.dicom.shutdown_timeout_ms = PATIENCE_SECONDS * 1000;
    CU_ASSERT_EQUAL_FATAL(node_open(&node, &config, &sink, NULL, clock_system(), &err), 0);
    CU_ASSERT_EQUAL_FATAL(node_start(node, &err), 0);
    forget_lines();
}

static struct node_counters stop_node(void)
{
    struct node_counters counters;
    node_stop(node);
    node_counters(node, &counters);
    node_free(node);
    return counters;
}

/* ---- the peer ---- */

static int connect_peer(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons(node_port(node)),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int peer = socket(AF_INET, SOCK_STREAM, 0);
    CU_ASSERT_FATAL(peer >= 0);
    CU_ASSERT_EQUAL_FATAL(setsockopt(peer, SOL_SOCKET, SO_RCVTIMEO,
                                     &(struct timeval){PATIENCE_SECONDS, 0},
                                     sizeof(struct timeval)),
                          0);
    CU_ASSERT_EQUAL_FATAL(connect(peer, (struct sockaddr *)&address, sizeof address), 0);
    return peer;
}

static size_t put_item(uint8_t *out, uint8_t type, const void *value, size_t length)
{
    const uint8_t header[] = {type, 0, (uint8_t)(length >> 8), (uint8_t)length};
    memcpy(out, header, sizeof header);
    memcpy(out + sizeof header, value, length);
    return sizeof header + length;
}

static size_t write_request(uint8_t out[512])
{
    static const char application[] = "1.2.840.10008.3.1.1.1", verification[] = "1.2.840.10008.1.1",
                      implicit[] = "1.2.840.10008.1.2";
    uint8_t context[128] = {1}, user[64];
    size_t length = 4, user_length;
    memset(out, 0, 512);
    length += put_item(context + length, 0x30, verification, sizeof verification - 1);
    length += put_item(context + length, 0x40, implicit, sizeof implicit - 1);
    user_length = put_item(user, 0x51, (const uint8_t[]){0, 0, 0x40, 0}, 4);
    user_length += put_item(user + user_length, 0x52, "1.2.3", 5);
    size_t end = 74;
    out[0] = PDU_ASSOCIATE_RQ;
    out[7] = 1;
    memcpy(out + 10, "AURABRIDGE      CT1             ", 32);
    end += put_item(out + end, 0x10, application, sizeof application - 1);
    end += put_item(out + end, 0x20, context, length);
    end += put_item(out + end, 0x50, user, user_length);
    out[4] = (uint8_t)((end - PDU_HEADER_LENGTH) >> 8);
    out[5] = (uint8_t)(end - PDU_HEADER_LENGTH);
    return end;
}

static bool ends_in_release(const uint8_t *answer, size_t length)
{
    static const uint8_t released[PDU_SHORT_LENGTH] = {6, 0, 0, 0, 0, 4, 0, 0, 0, 0};
    return length >= sizeof released &&
           memcmp(answer + length - sizeof released, released, sizeof released) == 0;
}

/* Asks for an association, and for its release at once. Returns the length of all that came until
 * the node closed. */
static size_t ask(uint8_t answer[512])
{
    static const uint8_t release[] = {PDU_RELEASE_RQ, 0, 0, 0, 0, 4, 0, 0, 0, 0};
    uint8_t request[512];
    size_t length = write_request(request), got = 0;
    int peer = connect_peer();
    memcpy(request + length, release, sizeof release);
    length += sizeof release;
    /* Fails where the node closed already. */
    ssize_t part = send(peer, request, length, MSG_NOSIGNAL);
    while ((part = recv(peer, answer + got, 512 - got, 0)) > 0) {
        got += (size_t)part;
        bool is_last = answer[0] != PDU_ASSOCIATE_AC || ends_in_release(answer, got);
        if (is_last) /* the node waits for the peer to close */
            (void)shutdown(peer, SHUT_WR);
    }
    (void)close(peer);
    return got;
}

static void test_short_memory_is_not_the_senders_fault(void)
{
    /* What asks for memory in turn, and the answer that it makes. */
    static const struct {
        const char *what;
        bool is_rejected;
    } rows[] = {{"the connection", true},     {"the transport", false},   {"the read buffer", true},
                {"the A-ASSOCIATE-RQ", true}, {"the conversation", true}, {"the PDU reader", true}};
    const size_t count = sizeof rows / sizeof rows[0];
    static const uint8_t rejection[PDU_SHORT_LENGTH] = {3, 0, 0, 0, 0, 4, 0, 2, 3, 2};
    uint8_t answer[512];
    start_node();
    for (size_t i = 0; i < count; i++) {
        forget_lines();
        atomic_store(&pieces_left, (int)i + 1);
        size_t got = ask(answer);
        CU_ASSERT_EQUAL(atomic_load(&pieces_left), 0);
        expect_one_line(LOG_LEVEL_ERROR, "out of memory", "give the bridge more memory");
        bool is_right = rows[i].is_rejected
                            ? got == sizeof rejection && memcmp(answer, rejection, got) == 0
                            : got == 0;
        CU_ASSERT_TRUE(is_right);
        if (!is_right)
            (void)printf("\n    %s: %zu bytes came\n", rows[i].what, got);
    }
    forget_lines();
    atomic_store(&pieces_left, (int)count + 1); /* there is no other: it stands */
    size_t got = ask(answer);
    CU_ASSERT_EQUAL(atomic_exchange(&pieces_left, 0), 1);
    CU_ASSERT_TRUE(got > PDU_SHORT_LENGTH && answer[0] == PDU_ASSOCIATE_AC &&
                   ends_in_release(answer, got));
    struct node_counters counters = stop_node();
    CU_ASSERT_EQUAL(lines, 0);
    CU_ASSERT_TRUE(counters.rejected == 5 && counters.aborted == 0 && counters.accepted == 1 &&
                   counters.released == 1 && counters.open == 0);
}

static void test_what_dcmtk_gives_up_is_aborted_and_counted(void)
{
    static const struct {
        atomic_int *fails;
        int with;
        bool is_late;
        enum log_level level;
        const char *words, *remedy;
    } rows[] = {
        {&fail_receive, -1, false, LOG_LEVEL_WARNING, "RQ: told to fail", "is short of memory"},
        {&fail_accept, -1, false, LOG_LEVEL_WARNING, "AC: told to fail", "is short of memory"},
        {&fail_receive, -1, true, LOG_LEVEL_WARNING, "RQ: told to fail", "gave up waiting"},
        {&fail_receive, DUL_NO_MEMORY, false, LOG_LEVEL_ERROR, "out of memory", "more memory"},
        {&fail_accept, DUL_NO_MEMORY, false, LOG_LEVEL_ERROR, "out of memory", "more memory"},
    };
    const size_t count = sizeof rows / sizeof rows[0];
    static const uint8_t abort_pdu[PDU_SHORT_LENGTH] = {7, 0, 0, 0, 0, 4, 0, 0, 0, 0};
    uint8_t answer[512];
    start_node();
    for (size_t i = 0; i < count; i++) {
        forget_lines();
        atomic_store(&is_late, rows[i].is_late);
        atomic_store(rows[i].fails, rows[i].with);
        size_t got = ask(answer);
        CU_ASSERT_TRUE(got == sizeof abort_pdu && memcmp(answer, abort_pdu, got) == 0);
        expect_one_line(rows[i].level, rows[i].words, rows[i].remedy);
    }
    struct node_counters counters = stop_node();
    CU_ASSERT_TRUE(counters.aborted == count && counters.accepted == 0 && counters.rejected == 0 &&
                   counters.open == 0);
}

/* What stayed unread would turn the close into a reset that overtakes the answer. */
static void test_what_came_is_dropped_without_memory(void)
{
    int ends[2], unread = -1;
    struct transport *transport;
    char byte;
    CU_ASSERT_EQUAL_FATAL(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    CU_ASSERT_EQUAL_FATAL(transport_open(&transport, ends[1], clock_system()), 0);
    CU_ASSERT_EQUAL(write(ends[0], "much", 4), 4);
    CU_ASSERT_EQUAL(shutdown(ends[0], SHUT_WR), 0);
    atomic_store(&pieces_left, 1);
    CU_ASSERT_EQUAL(transport_read(transport, &byte, 1), 0);
    CU_ASSERT_EQUAL(transport_state(transport), TRANSPORT_NO_MEMORY);
    CU_ASSERT_EQUAL(transport_write(transport, "no", 2), 0);
    transport_linger(transport);
    CU_ASSERT_EQUAL(ioctl(ends[1], FIONREAD, &unread), 0);
    CU_ASSERT_EQUAL(unread, 0);
    transport_close(transport);
    (void)close(ends[0]);
}

static CU_TestInfo cases[] = {SUITE_CASE(test_short_memory_is_not_the_senders_fault),
                              SUITE_CASE(test_what_dcmtk_gives_up_is_aborted_and_counted),
                              SUITE_CASE(test_what_came_is_dropped_without_memory),
                              CU_TEST_INFO_NULL};
SUITE_MAIN("dicom_shortage", cases)
