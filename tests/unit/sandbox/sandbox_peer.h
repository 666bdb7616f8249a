/* A client on a plain socket, for tests: one request, one answer. */
#ifndef TESTS_SANDBOX_PEER_H
#define TESTS_SANDBOX_PEER_H

#include <stddef.h>
#include <stdint.h>

#define PEER_ANSWER_SIZE 65536

struct peer_answer {
    int status; /* 0: the connection ended without an answer */
    char text[PEER_ANSWER_SIZE];
};

/* Sends `head` (request line and headers, each ended by \r\n, without the empty line; Host, and
 * Content-Length for a body, are added) and reads to the end. */
void peer_ask(struct peer_answer *out, uint16_t port, const char *head, const char *body);

/* The value of a header, or of a string member of a flat JSON body; "" when absent. */
void peer_header(char *out, size_t size, const struct peer_answer *answer, const char *name);
void peer_member(char *out, size_t size, const struct peer_answer *answer, const char *name);

#endif
