/* What the workers of a destination share. Immutable but for the token cache and the limiter, which
 * guard themselves. */
#ifndef AURABRIDGE_AURABOX_DESTINATION_H
#define AURABRIDGE_AURABOX_DESTINATION_H

#include "aurabridge/aurabox.h"

#include "token.h"

struct aurabox_destination {
    struct config *config; /* a reference */
    const struct config_destination *settings;
    const struct clock *clock;
    struct aurabox_limiter *limiter;
    struct token_cache *tokens;
};

#endif
