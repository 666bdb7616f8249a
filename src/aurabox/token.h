/* The upload token of a destination: one for all its workers, exchanged by one of them at a time.
 * Thread-safe. Tokens live in memory only and are wiped. */
#ifndef AURABRIDGE_AURABOX_TOKEN_H
#define AURABRIDGE_AURABOX_TOKEN_H

#include "aurabridge/aurabox.h"

#define TOKEN_SIZE 4096

struct token { /* from an exchange */
    char text[TOKEN_SIZE];
    int64_t life_ms;
    int64_t max_uses; /* -1: any number */
};

struct token_grant { /* one use of the token; wipe it */
    char text[TOKEN_SIZE];
    uint64_t generation;
};

/* Who asks: how to exchange, and when to stop waiting. */
struct token_asker {
    void *context;
    enum aurabox_outcome (*exchange)(void *context, struct token *out, struct aurabox_reply *reply);
    bool (*cancelled)(void *context); /* may be null */
    void *cancel_context;
};

struct token_cache;

int token_cache_new(struct token_cache **out, const struct clock *clock, struct error *err);
void token_cache_free(struct token_cache *cache);

/* One use of a valid token, exchanged first where there is none; while another thread does that,
 * waits for it and shares its failure. AURABOX_OK, or what stood in the way in `reply`. */
enum aurabox_outcome token_take(struct token_cache *cache, struct token_grant *out,
                                const struct token_asker *asker, struct aurabox_reply *reply);
/* The grant was not used after all. */
void token_return(struct token_cache *cache, const struct token_grant *grant);
/* The server refused it: no one gets it again. */
void token_reject(struct token_cache *cache, const struct token_grant *grant);
/* Forgets the token, whatever it is. */
void token_forget(struct token_cache *cache);

#endif
