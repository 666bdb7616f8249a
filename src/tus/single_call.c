/* The Tus calls that stand alone: is it complete, and throw it away.
 *
 * Guarantees: one question each (and OPTIONS before a DELETE), no repetition; the caller comes back
 * on TUS_RETRY. Does not create or send anything.
 */
#include "exchange.h"

#include <stdio.h>

enum tus_outcome tus_upload_is_complete(struct tus_upload *upload, bool *complete)
{
    struct exchange exchange;
    enum tus_outcome outcome = TUS_DESTINATION;
    *complete = false;
    if (exchange_init(&exchange, upload) != 0)
        goto cleanup;
    if (upload->url[0] == '\0') {
        (void)snprintf(upload->text, sizeof upload->text, "the upload was not created yet");
        outcome = TUS_GONE;
        goto cleanup;
    }
    exchange_offset(&exchange);
    struct tus_asked asked = exchange_asked(&exchange, TUS_QUESTION_OFFSET);
    struct tus_decision decision = tus_next(&asked, &exchange.answer);
    if (decision.action == TUS_ACTION_SEND || decision.outcome == TUS_DONE) {
        upload->offset = decision.offset;
        *complete = decision.offset == upload->length;
        outcome = TUS_DONE;
        goto cleanup;
    }
    exchange_explain(&exchange, TUS_QUESTION_OFFSET, decision.reason);
    upload->retry_after_ms = exchange.answer.retry_after_ms;
    outcome = decision.outcome;
    if (outcome == TUS_GONE) {
        upload->url[0] = '\0';
        upload->offset = 0;
    }
cleanup:
    exchange_free(&exchange);
    return outcome;
}

enum tus_outcome tus_upload_terminate(struct tus_upload *upload)
{
    struct exchange exchange;
    struct exchange_capabilities server;
    enum tus_outcome outcome = TUS_DESTINATION;
    if (exchange_init(&exchange, upload) != 0)
        goto cleanup;
    outcome = TUS_DONE;
    if (upload->url[0] == '\0')
        goto cleanup;
    exchange_options(&exchange, &server);
    if (server.known && !server.termination) {
        (void)snprintf(upload->text, sizeof upload->text,
                       "Tus server %s offers no termination; it will let the upload expire",
                       exchange.host);
        goto cleanup;
    }
    if (server.known)
        exchange_terminate(&exchange);
    struct tus_asked asked = exchange_asked(&exchange, TUS_QUESTION_TERMINATE);
    struct tus_decision decision = tus_next(&asked, &exchange.answer);
    outcome = decision.outcome;
    if (!server.known && outcome == TUS_DONE) {
        (void)snprintf(upload->text, sizeof upload->text,
                       "Tus server %s does not say what it offers; the upload is left to expire",
                       exchange.host);
        goto cleanup;
    }
    if (outcome == TUS_DONE) {
        upload->url[0] = '\0';
        upload->offset = 0;
        goto cleanup;
    }
    exchange_explain(&exchange, TUS_QUESTION_TERMINATE, decision.reason);
    upload->retry_after_ms = exchange.answer.retry_after_ms;
cleanup:
    exchange_free(&exchange);
    return outcome;
}
