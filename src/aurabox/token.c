/* The token cache. The lock guards memory alone: the exchange runs without it, and `exchanging`
 * keeps the others out. Whoever exchanged gets the first use, so that a token that is spent or
 * expiring from birth cannot make anyone go in circles. */
#include "token.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define MARGIN_MS    60000
#define MARGIN_SHARE 10
#define WAIT_MS      100 /* between two looks at whether the waiter was cancelled */

struct token_cache {
    const struct clock *clock;
    pthread_mutex_t lock;
    pthread_cond_t ended; /* an exchange did */
    bool exchanging;
    bool valid;
    char text[TOKEN_SIZE];
    int64_t renew_at_ms; /* monotonic */
    int64_t uses_left;   /* -1: any number */
    uint64_t generation; /* of the token */
    uint64_t failures;   /* exchanges that failed, with the last one's reply */
    struct aurabox_reply failure;
};

int token_cache_new(struct token_cache **out, const struct clock *clock, struct error *err)
{
    *out = NULL;
    struct token_cache *cache = calloc(1, sizeof *cache);
    pthread_condattr_t attributes;
    if (!cache)
        return error_set(err, "no memory for the upload token");
    cache->clock = clock;
    int failed = pthread_condattr_init(&attributes);
    if (!failed) {
        failed = pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
        if (!failed)
            failed = pthread_cond_init(&cache->ended, &attributes);
        (void)pthread_condattr_destroy(&attributes);
    }
    if (!failed && (failed = pthread_mutex_init(&cache->lock, NULL)) != 0)
        (void)pthread_cond_destroy(&cache->ended);
    if (failed) {
        free(cache);
        return error_errno(err, failed, "cannot make a lock for the upload token");
    }
    *out = cache;
    return 0;
}

void token_cache_free(struct token_cache *cache)
{
    if (!cache)
        return;
    (void)pthread_mutex_destroy(&cache->lock);
    (void)pthread_cond_destroy(&cache->ended);
    explicit_bzero(cache, sizeof *cache);
    free(cache);
}

/* ---- with the lock held ---- */

static bool is_usable(const struct token_cache *cache)
{
    return cache->valid && cache->uses_left != 0 &&
           clock_monotonic_ms(cache->clock) < cache->renew_at_ms;
}

static void grant(struct token_cache *cache, struct token_grant *out)
{
    memcpy(out->text, cache->text, sizeof out->text);
    out->generation = cache->generation;
    if (cache->uses_left > 0)
        cache->uses_left--;
}

static void keep(struct token_cache *cache, const struct token *token, int64_t asked_ms)
{
    int64_t margin = token->life_ms / MARGIN_SHARE;
    if (margin < MARGIN_MS)
        margin = MARGIN_MS;
    if (margin > token->life_ms / 2)
        margin = token->life_ms / 2; /* a token that lives for a minute is of some use, too */
    memcpy(cache->text, token->text, sizeof cache->text);
    cache->valid = true;
    cache->renew_at_ms = asked_ms + token->life_ms - margin;
    cache->uses_left = token->max_uses;
    cache->generation++;
}

static void drop(struct token_cache *cache)
{
    explicit_bzero(cache->text, sizeof cache->text);
    cache->valid = false;
}

static void wait_a_little(struct token_cache *cache)
{
    struct timespec until;
    (void)clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_nsec += WAIT_MS * 1000000L;
    if (until.tv_nsec >= 1000000000L) {
        until.tv_nsec -= 1000000000L;
        until.tv_sec++;
    }
    (void)pthread_cond_timedwait(&cache->ended, &cache->lock, &until);
}

/* Exchanges without the lock, which is held again on return. */
static enum aurabox_outcome exchange(struct token_cache *cache, struct token_grant *out,
                                     const struct token_asker *asker, struct aurabox_reply *reply)
{
    struct token token = {.max_uses = -1};
    int64_t asked_ms = clock_monotonic_ms(cache->clock);
    cache->exchanging = true;
    (void)pthread_mutex_unlock(&cache->lock);
    enum aurabox_outcome outcome = asker->exchange(asker->context, &token, reply);
    (void)pthread_mutex_lock(&cache->lock);
    cache->exchanging = false;
    if (outcome == AURABOX_OK) {
        keep(cache, &token, asked_ms);
        grant(cache, out);
    } else if (outcome != AURABOX_STOPPED) { /* that one was its asker's affair */
        cache->failures++;
        cache->failure = *reply;
    }
    (void)pthread_cond_broadcast(&cache->ended);
    explicit_bzero(&token, sizeof token);
    return outcome;
}

/* ---- */

enum aurabox_outcome token_take(struct token_cache *cache, struct token_grant *out,
                                const struct token_asker *asker, struct aurabox_reply *reply)
{
    (void)pthread_mutex_lock(&cache->lock);
    enum aurabox_outcome outcome = AURABOX_OK;
    uint64_t failures = cache->failures;
    for (;;) {
        if (cache->failures != failures) {
            *reply = cache->failure;
            outcome = reply->outcome;
        } else if (is_usable(cache)) {
            grant(cache, out);
        } else if (asker->cancelled && asker->cancelled(asker->cancel_context)) {
            *reply = (struct aurabox_reply){
                .outcome = AURABOX_STOPPED, .retry_after_ms = -1, .answered = true};
            (void)snprintf(reply->text, sizeof reply->text, "stopped while waiting for a token");
            outcome = AURABOX_STOPPED;
        } else if (cache->exchanging) {
            wait_a_little(cache);
            continue;
        } else {
            outcome = exchange(cache, out, asker, reply);
        }
        break;
    }
    (void)pthread_mutex_unlock(&cache->lock);
    return outcome;
}

void token_return(struct token_cache *cache, const struct token_grant *granted)
{
    (void)pthread_mutex_lock(&cache->lock);
    if (cache->generation == granted->generation && cache->uses_left >= 0)
        cache->uses_left++;
    (void)pthread_mutex_unlock(&cache->lock);
}

void token_reject(struct token_cache *cache, const struct token_grant *granted)
{
    (void)pthread_mutex_lock(&cache->lock);
    if (cache->generation == granted->generation)
        drop(cache);
    (void)pthread_mutex_unlock(&cache->lock);
}

void token_forget(struct token_cache *cache)
{
    (void)pthread_mutex_lock(&cache->lock);
    drop(cache);
    (void)pthread_mutex_unlock(&cache->lock);
}
