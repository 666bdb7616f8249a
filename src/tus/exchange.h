/* One HTTP exchange in Tus's words: a question made into a request, the reply into an answer.
 * Private to this room. One thread at a time.
 */
#ifndef AURABRIDGE_TUS_EXCHANGE_H
#define AURABRIDGE_TUS_EXCHANGE_H

#include "protocol.h"

#define EXCHANGE_HOST_SIZE 300

struct exchange {
    struct tus_upload *upload;     /* the caller's */
    char host[EXCHANGE_HOST_SIZE]; /* of the endpoint, for texts */
    struct buffer bearer;          /* "Bearer <lift token>"; never printed */
    struct buffer metadata;        /* Upload-Metadata */
    struct http_reply reply;
    struct error error;             /* when answer.failure says so */
    struct tus_answer answer;       /* to the last question */
    char location[LEDGER_URL_SIZE]; /* of the created upload, absolute */
};

/* What the server says it can do. */
struct exchange_capabilities {
    bool known;        /* it answered as a Tus server */
    uint64_t max_size; /* 0: no limit named */
    bool names_extensions, creation, termination;
};

/* Prepares the parts that all requests share, and the upload's out fields. Returns 0, or -1 with
 * the upload's text; either way exchange_free ends it. */
int exchange_init(struct exchange *exchange, struct tus_upload *upload);
void exchange_free(struct exchange *exchange);

/* Each asks once and fills `answer`. */
void exchange_options(struct exchange *exchange, struct exchange_capabilities *out);
void exchange_create(struct exchange *exchange);
void exchange_offset(struct exchange *exchange);
/* Sends `length` bytes from `offset` on; with `overrides` as a POST that says it is a PATCH. */
void exchange_send(struct exchange *exchange, uint64_t offset, uint64_t length, bool overrides);
void exchange_terminate(struct exchange *exchange);

/* Writes the upload's text: who answered what to which question, and what that means. */
void exchange_explain(struct exchange *exchange, enum tus_question question, const char *reason);

/* What is asked of tus_next, less what only a PATCH has. */
struct tus_asked exchange_asked(const struct exchange *exchange, enum tus_question question);

#endif
