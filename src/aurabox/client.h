/* One thread's client, and the two ways to make a call: signed, or with the upload token. */
#ifndef AURABRIDGE_AURABOX_CLIENT_H
#define AURABRIDGE_AURABOX_CLIENT_H

#include "destination.h"
#include "endpoint.h"
#include "reply.h"

#define MAX_API_REPLY (1U << 20)
#define CALL_URL_SIZE 2300

struct aurabox_client {
    struct aurabox_destination *destination;
    struct http_client *http;
    struct http_reply answer; /* of the last call; kept for its memory's sake only */
    bool (*cancelled)(void *context);
    void *context;
};

struct client_call {
    const struct endpoint *endpoint;
    const void *body; /* null: none */
    size_t body_length;
    bool repeated;
    const struct json *sent; /* what `body` is made of; null: nothing that texts must not show */
    const char *token;       /* in `headers`; null: none */
    struct http_header headers[6]; /* beside those of every call, to the first null name */
};

/* What texts about the call begin with. */
struct reply_question client_question(const struct aurabox_client *client,
                                      const struct client_call *call);

/* The absolute URL of an endpoint. Returns 0 or -1. */
int client_url(char out[CALL_URL_SIZE], const struct aurabox_client *client,
               const struct endpoint *endpoint);

/* Takes a place within the rate limits, sends, reads the answer. Whatever happens, `reply` is
 * filled; with AURABOX_OK `*body` is the caller's (see reply_read). */
enum aurabox_outcome client_send(struct aurabox_client *client, const struct client_call *call,
                                 struct json **body, struct aurabox_reply *reply);

/* The same with the upload token, which is exchanged first where needed and once more on a 401. */
enum aurabox_outcome client_call(struct aurabox_client *client, enum endpoint_id id,
                                 const struct json *request, bool repeated, struct json **body,
                                 struct aurabox_reply *reply);

/* A use of the upload token, as token_take. */
enum aurabox_outcome client_token(struct aurabox_client *client, struct token_grant *grant,
                                  struct aurabox_reply *reply);

/* POST /auth/exchange, for the token cache; `context` is a client. */
enum aurabox_outcome client_exchange(void *context, struct token *out, struct aurabox_reply *reply);

#endif
