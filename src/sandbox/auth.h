/* Who may call: the signature of `exchange`, upload tokens and lift tokens. */
#ifndef SANDBOX_AUTH_H
#define SANDBOX_AUTH_H

#include "call.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MAX_NONCES      4096 /* within NONCE_LIFE_MS; further calls are refused */
#define MAX_TOKENS      1024 /* of each sort; the oldest makes room */
#define MAX_SKEW_MS     (5 * 60 * 1000)
#define NONCE_LIFE_MS   (2 * MAX_SKEW_MS + 1000)
#define AUTH_TOKEN_SIZE 192

enum auth_scope { SCOPE_UPLOAD_INIT = 1, SCOPE_UPLOAD_MANAGE = 2, SCOPE_INTEGRATION_READ = 4 };

struct auth_token {
    char text[AUTH_TOKEN_SIZE]; /* "": free */
    unsigned scopes;
    int64_t expires_ms, uses, max_uses; /* max_uses -1: without bound */
};

struct auth_nonce {
    char text[UUID_SIZE];
    int64_t seen_ms;
};

/* Rings; guarded by the sandbox's lock. */
struct auth {
    struct auth_nonce *nonces;                      /* MAX_NONCES */
    struct auth_token *upload_tokens, *lift_tokens; /* MAX_TOKENS */
    size_t next_nonce, next_upload_token, next_lift_token;
};

int auth_init(struct auth *auth);
void auth_free(struct auth *auth);

bool auth_api_key(const struct call *call);

/* Checks X-Api-Key, bearer token, scope, expiry and uses, and counts a use. False: the answer is
 * given. */
bool auth_bearer(struct call *call, enum auth_scope scope);

/* Makes a lift token. Returns 0, or -1 when the random generator fails. */
int auth_issue_lift(struct sandbox *sandbox, char out[AUTH_TOKEN_SIZE]);
/* 401 without or with an expired token, 403 with one that was never issued. */
bool auth_lift(struct call *call);

/* The token that the call carries expires now. Under the lock. */
void auth_revoke(struct call *call);

/* Accept, and Content-Type where there is a body. False: the answer is given. */
bool auth_json_headers(struct call *call, bool body);

#endif
