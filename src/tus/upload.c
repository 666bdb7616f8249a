/* The driver: asks the pure protocol what comes next and does it.
 *
 * Guarantees: the URL is recorded before the first byte leaves, the offset after each PATCH that
 * was acknowledged; only what the server says counts as sent; after TUS_FRUITLESS_MAX failures
 * without a new byte acknowledged it goes back to the caller, so it never turns in circles. Texts
 * and logs hold neither token nor upload URL. Does not back off beyond short pauses and does not
 * create a lost upload anew by itself: the caller records that first.
 */
#include "upload.h"

#include "chunk.h"

#include "aurabridge/clock.h"
#include "aurabridge/log.h"
#include "exchange.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define POLL_MS 20 /* how often a pause looks whether it is cancelled */

struct driver {
    struct tus_upload *upload;
    struct exchange exchange;
    const char *name; /* for the log */
    enum tus_question question;
    uint64_t sent;       /* body of the PATCH that was sent */
    uint64_t high_water; /* the highest offset acknowledged; only more than this is progress */
    struct tus_way own;  /* of this call alone, where the caller has none */
    int64_t sent_ms;     /* monotonic: when the PATCH began */
    uint64_t failed_at;  /* where a PATCH began that broke; UINT64_MAX: none did just now */
    bool may_be_lost;    /* if nothing of it is there, it is the size that may be at fault */
    unsigned fruitless;
    bool overrides;
    int64_t pause_ms;
};

/* ---- set-up ---- */

static const char *upload_name(const struct tus_upload *upload)
{
    for (const struct tus_metadata *item = upload->metadata; item != NULL && item->key != NULL;
         item++)
        if (strcmp(item->key, "upload_id") == 0)
            return item->value;
    return "(unnamed)";
}

static int driver_init(struct driver *driver, struct tus_upload *upload, int64_t pause_ms)
{
    memset(driver, 0, sizeof *driver);
    driver->upload = upload;
    driver->name = upload_name(upload);
    driver->high_water = upload->url[0] != '\0' ? upload->offset : 0;
    driver->failed_at = UINT64_MAX;
    driver->pause_ms = pause_ms;
    pthread_mutex_init(&driver->own.lock, NULL);
    driver->own.plan.size = upload->chunk_size;
    return exchange_init(&driver->exchange, upload);
}

static bool is_cancelled(const struct tus_upload *upload)
{
    return upload->cancelled != NULL && upload->cancelled(upload->cancel_context);
}

static enum tus_outcome stopped(struct tus_upload *upload)
{
    (void)snprintf(upload->text, sizeof upload->text, "stopped");
    return TUS_STOPPED;
}

/* ---- what the server acknowledged ---- */

static int record(struct driver *driver)
{
    struct tus_upload *upload = driver->upload;
    if (upload->recorded == NULL ||
        upload->recorded(upload->record_context, upload->url, upload->offset) == 0)
        return 0;
    (void)snprintf(upload->text, sizeof upload->text,
                   "the upload's progress could not be recorded; it goes on later from the "
                   "server's offset");
    return -1;
}

static void note_difference(const struct driver *driver, uint64_t offset)
{
    const struct tus_upload *upload = driver->upload;
    if (offset < upload->offset)
        log_warning("tus",
                    "upload %s: %s holds %" PRIu64 " bytes, fewer than the %" PRIu64
                    " it had acknowledged; sending them again",
                    driver->name, driver->exchange.host, offset, upload->offset);
    else
        log_info("tus", "upload %s: going on at %" PRIu64 " of %" PRIu64 " bytes", driver->name,
                 offset, upload->length);
}

/* A server that takes bytes and loses them again, for ever, must not look like one that goes on. */
static void lose(struct tus_upload *upload)
{
    upload->lost = true;
    upload->progressed = false;
}

static int acknowledge(struct driver *driver, uint64_t offset)
{
    struct tus_upload *upload = driver->upload;
    bool changed = offset != upload->offset;
    if (driver->question == TUS_QUESTION_OFFSET)
        note_difference(driver, offset);
    if (offset < upload->offset)
        lose(upload);
    if (offset > driver->high_water) {
        driver->high_water = offset;
        driver->fruitless = 0;
        upload->progressed = !upload->lost;
        upload->token_renewed = false;
    }
    upload->offset = offset;
    return changed || driver->question == TUS_QUESTION_CREATE ? record(driver) : 0;
}

static int created(struct driver *driver)
{
    struct tus_upload *upload = driver->upload;
    (void)snprintf(upload->url, sizeof upload->url, "%s", driver->exchange.location);
    upload->offset = 0;
    driver->high_water = 0;
    log_info("tus", "upload %s: created at %s, %" PRIu64 " bytes", driver->name,
             driver->exchange.host, upload->length);
    return acknowledge(driver, 0);
}

/* ---- how much at a time ---- */

static struct chunk_plan *plan_lock(struct driver *driver)
{
    struct tus_way *way = driver->upload->way ? driver->upload->way : &driver->own;
    pthread_mutex_lock(&way->lock);
    return &way->plan;
}

static void plan_unlock(struct driver *driver)
{
    struct tus_way *way = driver->upload->way ? driver->upload->way : &driver->own;
    if (!driver->upload->way && way->plan.size > 0 && way->plan.size < driver->sent)
        driver->upload->chunk_size = way->plan.size; /* shrunk: for the next call */
    pthread_mutex_unlock(&way->lock);
}

static void choose_size(struct driver *driver)
{
    const struct tus_upload *upload = driver->upload;
    uint64_t left = upload->length - upload->offset;
    driver->sent_ms = clock_monotonic_ms(clock_system());
    driver->sent = left; /* nothing has shrunk yet */
    driver->sent = chunk_next(plan_lock(driver), upload->chunk_size, left, driver->sent_ms);
    plan_unlock(driver);
}

/* A PATCH was acknowledged; how far says the offset. */
static void note_taken(struct driver *driver, uint64_t offset)
{
    int64_t took_ms = clock_monotonic_ms(clock_system()) - driver->sent_ms;
    if (!driver->upload->way || offset - driver->upload->offset != driver->sent)
        return;
    chunk_acknowledged(plan_lock(driver), driver->sent, took_ms);
    plan_unlock(driver);
}

/* A PATCH broke, and the server says now what it has of it. */
static void note_broken(struct driver *driver, uint64_t offset)
{
    int64_t now_ms = clock_monotonic_ms(clock_system());
    struct chunk_plan *plan = plan_lock(driver);
    uint64_t before = plan->size;
    if (offset == driver->failed_at && driver->may_be_lost)
        chunk_lost(plan, driver->sent, now_ms);
    else if (offset > driver->failed_at && offset - driver->failed_at < driver->sent &&
             driver->upload->way)
        chunk_kept(plan, now_ms);
    uint64_t after = plan->size;
    plan_unlock(driver);
    if (after < before)
        log_info("tus",
                 "upload %s: nothing of %" PRIu64 " bytes arrived; trying %" PRIu64 " at a time",
                 driver->name, driver->sent, after);
}

/* ---- asking ---- */

/* The server's word on what it takes; its silence is no obstacle. */
static bool is_creatable(struct driver *driver, enum tus_outcome *outcome)
{
    struct tus_upload *upload = driver->upload;
    struct exchange_capabilities server;
    exchange_options(&driver->exchange, &server);
    if (driver->exchange.answer.failure == HTTP_CANCELLED) {
        *outcome = stopped(upload);
        return false;
    }
    if (server.max_size > 0 && upload->length > server.max_size) {
        (void)snprintf(upload->text, sizeof upload->text,
                       "the upload is %" PRIu64 " bytes long; Tus server %s takes at most %" PRIu64
                       " (Tus-Max-Size)",
                       upload->length, driver->exchange.host, server.max_size);
        *outcome = TUS_TOO_LARGE;
        return false;
    }
    if (server.names_extensions && !server.creation) {
        (void)snprintf(upload->text, sizeof upload->text,
                       "Tus server %s does not offer to create uploads (Tus-Extension); check the "
                       "lift endpoint",
                       driver->exchange.host);
        *outcome = TUS_DESTINATION;
        return false;
    }
    return true;
}

static void ask(struct driver *driver)
{
    struct tus_upload *upload = driver->upload;
    switch (driver->question) {
    case TUS_QUESTION_CREATE:
        exchange_create(&driver->exchange);
        break;
    case TUS_QUESTION_OFFSET:
        exchange_offset(&driver->exchange);
        break;
    case TUS_QUESTION_SEND:
        choose_size(driver);
        exchange_send(&driver->exchange, upload->offset, driver->sent, driver->overrides);
        break;
    case TUS_QUESTION_TERMINATE:
        exchange_terminate(&driver->exchange);
        break;
    }
}

static struct tus_decision decide(const struct driver *driver)
{
    struct tus_asked asked = exchange_asked(&driver->exchange, driver->question);
    asked.sent = driver->sent;
    asked.first = driver->upload->chunk_size;
    asked.overrides = driver->overrides;
    return tus_next(&asked, &driver->exchange.answer);
}

/* ---- doing what was decided: true when the call ends with `*outcome` ---- */

static bool end(struct driver *driver, const struct tus_decision *decision,
                enum tus_outcome *outcome)
{
    struct tus_upload *upload = driver->upload;
    *outcome = decision->outcome;
    if (decision->outcome == TUS_DONE) {
        if (driver->question == TUS_QUESTION_SEND)
            note_taken(driver, decision->offset);
        if (driver->question != TUS_QUESTION_TERMINATE && acknowledge(driver, decision->offset))
            *outcome = TUS_RETRY;
        return true;
    }
    exchange_explain(&driver->exchange, driver->question, decision->reason);
    if (decision->outcome == TUS_GONE) {
        log_warning("tus", "upload %s: %s", driver->name, upload->text);
        upload->url[0] = '\0';
        upload->offset = 0;
        lose(upload);
    }
    if (decision->outcome == TUS_RETRY || decision->outcome == TUS_AWAY)
        upload->retry_after_ms = driver->exchange.answer.retry_after_ms;
    return true;
}

static bool pause_is_cancelled(const struct driver *driver, int64_t pause_ms)
{
    const struct clock *clock = clock_system();
    int64_t until = clock_monotonic_ms(clock) + pause_ms;
    for (;;) {
        if (is_cancelled(driver->upload))
            return true;
        int64_t left = until - clock_monotonic_ms(clock);
        if (left <= 0)
            return false;
        int64_t slice = left < POLL_MS ? left : POLL_MS;
        struct timespec time = {.tv_nsec = (long)slice * 1000000L};
        (void)nanosleep(&time, NULL);
    }
}

/* Whether the PATCH may have failed for what it carries: not when it was turned away at the door.
 */
static bool is_broken(const struct tus_answer *answer)
{
    if (answer->failure != HTTP_OK)
        return answer->reached;
    return answer->status == 400 || answer->status == 408 || answer->status >= 500;
}

/* A failure that may pass: again, but only so often without a new byte. */
static bool again(struct driver *driver, const struct tus_decision *decision,
                  enum tus_outcome *outcome)
{
    struct tus_upload *upload = driver->upload;
    exchange_explain(&driver->exchange, driver->question, decision->reason);
    if (++driver->fruitless >= TUS_FRUITLESS_MAX) {
        upload->retry_after_ms = driver->exchange.answer.retry_after_ms;
        *outcome = decision->outcome;
        return true;
    }
    log_info("tus", "upload %s: %s; trying again (%u of %d)", driver->name, upload->text,
             driver->fruitless, TUS_FRUITLESS_MAX - 1);
    if (decision->action == TUS_ACTION_WAIT && pause_is_cancelled(driver, driver->pause_ms)) {
        *outcome = stopped(upload);
        return true;
    }
    if (driver->question == TUS_QUESTION_SEND) {
        const struct tus_answer *answer = &driver->exchange.answer;
        driver->may_be_lost = is_broken(answer);
        /* A kept connection that breaks is replaced below us, and what is sent again meets what was
         * kept of it: 409. */
        if (driver->may_be_lost || (answer->failure == HTTP_OK && answer->status == 409))
            driver->failed_at = upload->offset;
    }
    if (decision->action != TUS_ACTION_RESEND)
        driver->question = upload->url[0] != '\0' ? TUS_QUESTION_OFFSET : TUS_QUESTION_CREATE;
    return false;
}

static bool send_on(struct driver *driver, const struct tus_decision *decision,
                    enum tus_outcome *outcome)
{
    struct tus_upload *upload = driver->upload;
    if (driver->question == TUS_QUESTION_SEND)
        note_taken(driver, decision->offset);
    if (driver->failed_at != UINT64_MAX)
        note_broken(driver, decision->offset);
    driver->failed_at = UINT64_MAX;
    int recorded = driver->question == TUS_QUESTION_CREATE ? created(driver)
                                                           : acknowledge(driver, decision->offset);
    if (recorded != 0) {
        *outcome = TUS_RETRY;
        return true;
    }
    if (upload->offset == upload->length) {
        *outcome = TUS_DONE;
        return true;
    }
    driver->question = TUS_QUESTION_SEND;
    return false;
}

static bool halve(struct driver *driver)
{
    struct chunk_plan *plan = plan_lock(driver);
    chunk_refused(plan, driver->sent, driver->upload->chunk_size,
                  clock_monotonic_ms(clock_system()));
    uint64_t smaller = plan->size;
    plan_unlock(driver);
    log_warning("tus", "upload %s: %s refused a chunk of %" PRIu64 " bytes; trying %" PRIu64,
                driver->name, driver->exchange.host, driver->sent, smaller);
    driver->question = TUS_QUESTION_OFFSET;
    return false;
}

static bool act(struct driver *driver, const struct tus_decision *decision,
                enum tus_outcome *outcome)
{
    switch (decision->action) {
    case TUS_ACTION_SEND:
        return send_on(driver, decision, outcome);
    case TUS_ACTION_ASK:
    case TUS_ACTION_WAIT:
    case TUS_ACTION_RESEND:
        return again(driver, decision, outcome);
    case TUS_ACTION_HALVE:
        return halve(driver);
    case TUS_ACTION_OVERRIDE:
        log_warning("tus", "upload %s: %s does not let PATCH through; using POST", driver->name,
                    driver->exchange.host);
        driver->overrides = true;
        return false;
    case TUS_ACTION_END:
        break;
    }
    return end(driver, decision, outcome);
}

/* ---- the contract ---- */

enum tus_outcome tus_upload_drive(struct tus_upload *upload, int64_t pause_ms)
{
    struct driver driver;
    enum tus_outcome outcome = TUS_RETRY;
    if (driver_init(&driver, upload, pause_ms) != 0) {
        outcome = TUS_DESTINATION;
        goto cleanup;
    }
    if (is_cancelled(upload)) {
        outcome = stopped(upload);
        goto cleanup;
    }
    driver.question = upload->url[0] != '\0' ? TUS_QUESTION_OFFSET : TUS_QUESTION_CREATE;
    if (driver.question == TUS_QUESTION_CREATE && !is_creatable(&driver, &outcome))
        goto cleanup;
    for (;;) {
        if (is_cancelled(upload)) {
            outcome = stopped(upload);
            break;
        }
        ask(&driver);
        upload->refused = driver.question == TUS_QUESTION_CREATE &&
                          driver.exchange.answer.failure == HTTP_OK &&
                          tus_refuses_creation(driver.exchange.answer.status);
        struct tus_decision decision = decide(&driver);
        if (act(&driver, &decision, &outcome))
            break;
    }
cleanup:
    if (outcome == TUS_DONE)
        upload->text[0] = '\0';
    exchange_free(&driver.exchange);
    pthread_mutex_destroy(&driver.own.lock);
    return outcome;
}

enum tus_outcome tus_upload_run(struct tus_upload *upload)
{
    return tus_upload_drive(upload, TUS_PATIENCE_MS);
}
