/* Replies of the API: classification and texts, for every endpoint. The first bytes choose status,
 * endpoint and content type; the rest is the body. */
#include "reply.h"

#include "redact.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define MAX_BODY (1U << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_one(const struct reply_question *question, const struct http_reply *reply)
{
    struct aurabox_reply out;
    struct json *body = NULL;
    enum aurabox_outcome outcome = reply_read(&out, &body, question, reply, "no answer");
    if (outcome != out.outcome || (outcome != AURABOX_OK && body) ||
        memchr(out.text, '\0', sizeof out.text) == NULL || strchr(out.text, '\n'))
        abort();
    redact_patient_data(out.text, body);
    json_free(body);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char html[] = "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n";
    if (size < 4)
        return 0;
    struct http_reply reply;
    http_reply_init(&reply);
    reply.failure = HTTP_OK;
    reply.status = 100 + (data[0] << 8 | data[1]) % 500;
    buffer_init(&reply.body, MAX_BODY);
    int failed = buffer_append(&reply.body, data + 4, size - 4);
    if (!failed && data[3] % 2)
        failed = buffer_append(&reply.headers, html, sizeof html - 1);
    const struct reply_question question = {
        .endpoint = endpoint_of((enum endpoint_id)(data[2] % ENDPOINT_COUNT)),
        .base_url = "https://host.example/api",
        .now_ms = 1706140800000,
        .repeated = data[3] % 4 >= 2};
    if (!failed)
        read_one(&question, &reply);
    http_reply_free(&reply);
    return 0;
}
