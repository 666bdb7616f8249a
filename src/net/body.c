/* The body of a request: read as it is sent, from memory or from the caller's source, and read
 * again from any offset when libcurl has to start over on a new connection, where it may. */
#include "client.h"

#include "aurabridge/clock.h"

#include <stdio.h>
#include <string.h>

static int read_memory(void *context, uint64_t offset, void *bytes, size_t length, size_t *got,
                       struct error *err)
{
    const struct http_request *request = context;
    (void)err;
    size_t left = request->body_length - (size_t)offset;
    *got = length < left ? length : left;
    memcpy(bytes, (const char *)request->body + offset, *got);
    return 0;
}

void body_choose(struct http_exchange *exchange)
{
    const struct http_request *request = exchange->request;
    exchange->memory = (struct http_upload){
        .length = request->body_length, .context = (void *)request, .read = read_memory};
    if (request->upload)
        exchange->body = request->upload;
    else if (request->body)
        exchange->body = &exchange->memory;
}

/* Whoever paces us may take longer than a line may stand still. Returns 0 when the call is to end.
 */
static size_t admitted(struct http_exchange *exchange, size_t wanted)
{
    const struct http_upload *body = exchange->body;
    if (!body->admit)
        return wanted;
    int64_t asked_ms = clock_monotonic_ms(clock_system());
    size_t granted = body->admit(body->context, wanted);
    exchange->moved_ms += clock_monotonic_ms(clock_system()) - asked_ms;
    exchange->cancelled = granted == 0;
    return granted < wanted ? granted : wanted;
}

size_t body_read(char *out, size_t size, size_t count, void *context)
{
    struct http_exchange *exchange = context;
    const struct http_upload *body = exchange->body;
    uint64_t left = body->length - exchange->body_offset;
    size_t room = size * count;
    size_t want = left < room ? (size_t)left : room;
    size_t got = 0;
    if (want == 0)
        return 0;
    want = admitted(exchange, want);
    if (want == 0)
        return CURL_READFUNC_ABORT;
    if (body->read(body->context, exchange->body_offset, out, want, &got, &exchange->read_error) !=
        0)
        exchange->read_failed = true;
    else if (got == 0 || got > want)
        exchange->read_failed = error_set(&exchange->read_error, "it ended %llu bytes early",
                                          (unsigned long long)left) != 0;
    if (exchange->read_failed)
        return CURL_READFUNC_ABORT;
    exchange->body_offset += got;
    return got;
}

int body_seek(void *context, curl_off_t offset, int origin)
{
    struct http_exchange *exchange = context;
    /* It would go to the server once more, which may have it already. */
    if (exchange->request->once && exchange->body_offset > 0)
        return CURL_SEEKFUNC_FAIL;
    if (origin != SEEK_SET || offset < 0 || (uint64_t)offset > exchange->body->length)
        return CURL_SEEKFUNC_FAIL;
    exchange->body_offset = (uint64_t)offset;
    return CURL_SEEKFUNC_OK;
}
