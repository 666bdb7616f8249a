/* The sandbox's HTTP side, and the only place that knows libmicrohttpd: requests come in, are
 * counted, meet their fault, find their row in the table of calls, and are answered and
 * transcribed. A refused body is read to its end, so that the answer is never lost to a connection
 * reset.
 */
#include "server.h"

#include "routes.h"
#include "text.h"
#include "tus_server.h"

#include "aurabridge/log.h"

#include <microhttpd.h>

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CONNECTION_LIMIT  256u
#define CONNECTION_MEMORY ((size_t)256 * 1024)
#define CONNECTION_IDLE_S 300u
#define LOOK_MS           50 /* how often a fault that takes its time looks whether it is over */
#define FRAGMENT          16384

const char *call_header(const struct call *call, const char *name)
{
    return MHD_lookup_connection_value(call->connection, MHD_HEADER_KIND, name);
}

/* libmicrohttpd calls this first, with the request's target as it came. */
static void *call_open(void *context, const char *target, struct MHD_Connection *connection)
{
    struct call *call = calloc(1, sizeof *call);
    if (!call)
        return NULL;
    call->sandbox = context;
    call->connection = connection;
    call->cut_after = CALL_NO_CUT;
    call->truncate_at = CALL_NO_CUT;
    call->patch_fd = -1;
    buffer_init(&call->body, MAX_SANDBOX_BODY);
    buffer_init(&call->reply, MAX_SANDBOX_REPLY);
    int size = snprintf(call->target, sizeof call->target, "%s", target);
    call->target_too_long = size < 0 || (size_t)size >= sizeof call->target;
    (void)snprintf(call->path, sizeof call->path, "%s", call->target);
    call->path[strcspn(call->path, "?")] = '\0';
    return call;
}

static void write_transcript(struct call *call, unsigned status)
{
    struct transcript_entry entry = {.wall_ms = sandbox_wall_ms(call->sandbox),
                                     .method = call->method,
                                     .path = call->path,
                                     .status = status,
                                     .upload_id = call->upload_id,
                                     .body_bytes = call->received};
    if (!call->transcribed && call->begun)
        transcript_write(&call->sandbox->transcript, &entry);
    call->transcribed = true;
}

static void call_ended(void *context, struct MHD_Connection *connection, void **state,
                       enum MHD_RequestTerminationCode code)
{
    (void)context;
    (void)connection;
    (void)code;
    struct call *call = *state;
    if (!call)
        return;
    tus_server_release(call);
    write_transcript(call, 0);
    buffer_free(&call->body);
    buffer_free(&call->reply);
    free(call);
    *state = NULL;
}

static void begin(struct call *call, const char *method)
{
    const char *override = call_header(call, "X-HTTP-Method-Override");
    bool overridden = override && strcmp(method, "POST") == 0;
    (void)snprintf(call->method, sizeof call->method, "%s", overridden ? override : method);
    call->begun = true;
    if (call->target_too_long)
        call_reply_message(call, 414, "The URL is too long.");
    else
        routes_begin(call);
}

/* Returns false when a fault cuts the connection here. */
static bool take_body(struct call *call, const char *bytes, size_t length)
{
    uint64_t left = call->cut_after - call->received; /* never negative: we stop at zero */
    size_t part = length < left ? length : (size_t)left;
    call->received += part;
    if (call->patch)
        tus_server_data(call, bytes, part);
    else if (call->status == 0 && !call->body_too_large &&
             buffer_append(&call->body, bytes, part) != 0)
        call->body_too_large = true;
    return call->received < call->cut_after;
}

static int add_headers(struct MHD_Response *response, const struct call *call)
{
    char date[TEXT_HTTP_DATE_SIZE];
    text_http_date(date, sandbox_wall_ms(call->sandbox));
    if (MHD_add_response_header(response, "Date", date) != MHD_YES)
        return -1;
    if (call->reply_type &&
        MHD_add_response_header(response, "Content-Type", call->reply_type) != MHD_YES)
        return -1;
    for (unsigned i = 0; i < call->header_count; i++) {
        if (MHD_add_response_header(response, call->headers[i].name, call->headers[i].value) !=
            MHD_YES)
            return -1;
    }
    return 0;
}

/* ---- faults that need the connection ---- */

bool call_wait(const struct call *call, unsigned ms)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(call->connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    int64_t until = clock_monotonic_ms(clock_system()) + ms;
    for (;;) {
        int64_t left = until - clock_monotonic_ms(clock_system());
        if (left <= 0)
            return true;
        struct pollfd peer = {.fd = info ? info->connect_fd : -1, .events = POLLRDHUP};
        if (poll(&peer, 1, left < LOOK_MS ? (int)left : LOOK_MS) > 0)
            return false;
        if (atomic_load(&call->sandbox->stopping))
            return false;
    }
}

static ssize_t read_endless(void *context, uint64_t offset, char *out, size_t size)
{
    struct call *call = context;
    (void)offset;
    if (!call_wait(call, call->drip_ms))
        return MHD_CONTENT_READER_END_WITH_ERROR;
    size_t length = call->drip_ms > 0 ? 1 : size;
    memset(out, ' ', length);
    return (ssize_t)length;
}

static ssize_t read_truncated(void *context, uint64_t offset, char *out, size_t size)
{
    const struct call *call = context;
    uint64_t end = call->truncate_at < call->reply.length ? call->truncate_at : call->reply.length;
    if (offset >= end)
        return MHD_CONTENT_READER_END_WITH_ERROR;
    size_t length = end - offset < size ? (size_t)(end - offset) : size;
    memcpy(out, call->reply.data + offset, length);
    return (ssize_t)length;
}

/* Outlived by the call, which is there until the connection has done with it. */
static struct MHD_Response *make_response(struct call *call)
{
    if (call->endless)
        return MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, FRAGMENT, read_endless, call,
                                                 NULL);
    if (call->truncate_at != CALL_NO_CUT) {
        if (call->status == 204)
            call->status = 200;
        return MHD_create_response_from_callback(call->reply.length + 1, FRAGMENT, read_truncated,
                                                 call, NULL);
    }
    return MHD_create_response_from_buffer(call->reply.length, call->reply.data,
                                           MHD_RESPMEM_MUST_COPY);
}

/* ---- the answer ---- */

static enum MHD_Result answer(struct call *call)
{
    struct MHD_Response *response = make_response(call);
    if (!response)
        return MHD_NO;
    enum MHD_Result result = MHD_NO;
    if (add_headers(response, call) == 0)
        result = MHD_queue_response(call->connection, call->status, response);
    MHD_destroy_response(response);
    return result;
}

static enum MHD_Result finish(struct call *call)
{
    if (call->body_too_large)
        call_reply_message(call, 413, "The body is too large.");
    routes_finish(call);
    if (call->status == 0)
        call->status = 500;
    if (call->hung || !call_wait(call, call->delay_ms) || call->close_unanswered) {
        write_transcript(call, 0);
        return MHD_NO;
    }
    write_transcript(call, call->status);
    return answer(call);
}

static enum MHD_Result handle(void *context, struct MHD_Connection *connection, const char *url,
                              const char *method, const char *version, const char *bytes,
                              size_t *length, void **state)
{
    (void)context;
    (void)connection;
    (void)url;
    (void)version;
    struct call *call = *state;
    if (!call)
        return MHD_NO;
    if (!call->begun) {
        begin(call, method);
        return call->hung ? MHD_NO : MHD_YES;
    }
    if (*length == 0)
        return finish(call);
    bool goes_on = take_body(call, bytes, *length);
    *length = 0;
    return goes_on ? MHD_YES : MHD_NO;
}

int sandbox_start(struct sandbox *sandbox, struct error *err)
{
    if (sandbox->daemon)
        return error_set(err, "the sandbox is running already");
    if (sandbox->listen_fd < 0)
        return error_set(err, "the sandbox was stopped; open another one");
    sandbox->daemon =
        MHD_start_daemon(MHD_USE_THREAD_PER_CONNECTION | MHD_USE_INTERNAL_POLLING_THREAD |
                             MHD_USE_POLL | MHD_USE_ITC | MHD_USE_SUPPRESS_DATE_NO_CLOCK,
                         0, NULL, NULL, handle, NULL, MHD_OPTION_LISTEN_SOCKET, sandbox->listen_fd,
                         MHD_OPTION_URI_LOG_CALLBACK, call_open, (void *)sandbox,
                         MHD_OPTION_NOTIFY_COMPLETED, call_ended, NULL, MHD_OPTION_CONNECTION_LIMIT,
                         CONNECTION_LIMIT, MHD_OPTION_CONNECTION_MEMORY_LIMIT, CONNECTION_MEMORY,
                         MHD_OPTION_CONNECTION_TIMEOUT, CONNECTION_IDLE_S, MHD_OPTION_END);
    if (!sandbox->daemon)
        return error_errno(err, errno, "starting the sandbox's HTTP server");
    return 0;
}

void sandbox_stop(struct sandbox *sandbox)
{
    if (!sandbox || !sandbox->daemon)
        return;
    atomic_store(&sandbox->stopping, true);
    MHD_stop_daemon(sandbox->daemon); /* closes listen_fd */
    sandbox->daemon = NULL;
    sandbox->listen_fd = -1;
}
