/* The table of section 2. Another deployment's paths would be another table. */
#include "endpoint.h"

#include <string.h>

static const struct endpoint table[ENDPOINT_COUNT] = {
    [ENDPOINT_EXCHANGE] = {.name = "token exchange",
                           .method = "POST",
                           .path = "/auth/exchange",
                           .bucket = AURABOX_EXCHANGE,
                           .answers_json = true},
    [ENDPOINT_INIT] = {.name = "init",
                       .method = "POST",
                       .path = "/uploader/upload/init",
                       .scope = "upload:init",
                       .bucket = AURABOX_LIFECYCLE,
                       .answers_json = true,
                       .of_study = true},
    [ENDPOINT_START] = {.name = "start",
                        .method = "POST",
                        .path = "/uploader/upload/start",
                        .scope = "upload:manage",
                        .bucket = AURABOX_LIFECYCLE,
                        .of_study = true,
                        .of_announced = true},
    [ENDPOINT_COMPLETE] = {.name = "complete",
                           .method = "POST",
                           .path = "/uploader/upload/complete",
                           .scope = "upload:manage",
                           .bucket = AURABOX_LIFECYCLE,
                           .of_study = true,
                           .of_announced = true},
    [ENDPOINT_ERROR] = {.name = "error",
                        .method = "POST",
                        .path = "/uploader/upload/error",
                        .scope = "upload:manage",
                        .bucket = AURABOX_LIFECYCLE,
                        .of_study = true,
                        .of_announced = true},
    [ENDPOINT_CANCEL] = {.name = "cancel",
                         .method = "POST",
                         .path = "/uploader/upload/cancel",
                         .scope = "upload:manage",
                         .bucket = AURABOX_LIFECYCLE,
                         .of_study = true,
                         .of_announced = true},
    [ENDPOINT_CONFIG] = {.name = "uploader config",
                         .method = "GET",
                         .path = "/uploader/config",
                         .scope = "integration:read",
                         .bucket = AURABOX_CONFIG,
                         .answers_json = true},
};

const struct endpoint *endpoint_of(enum endpoint_id id)
{
    return &table[id];
}

size_t endpoint_scopes(const char *out[ENDPOINT_COUNT])
{
    size_t count = 0;
    for (size_t i = 0; i < ENDPOINT_COUNT; i++) {
        bool known = !table[i].scope;
        for (size_t j = 0; j < count; j++)
            known = known || strcmp(out[j], table[i].scope) == 0;
        if (!known)
            out[count++] = table[i].scope;
    }
    return count;
}
