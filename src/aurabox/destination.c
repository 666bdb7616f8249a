/* A destination: settings, rate limits and the upload token. Guarantees that the settings stay as
 * they are while it lives, since it holds a reference to their config. */
#include "destination.h"

#include "aurabridge/fs.h"

#include <stdlib.h>

static int open_limiter(struct aurabox_limiter **out, const struct config_destination *settings,
                        const char *state_directory, const struct clock *clock, struct error *err)
{
    char directory[FS_PATH_MAX];
    if (fs_join(directory, state_directory, "limits", err) != 0)
        return -1;
    return aurabox_limiter_open(out, directory, settings->api_base_url, settings->service_api_key,
                                &settings->limits, clock, err);
}

int aurabox_budget(struct aurabox_budget *out, const struct config_destination *settings,
                   const char *state_directory, enum aurabox_bucket bucket,
                   const struct clock *clock, struct error *err)
{
    struct aurabox_limiter *limiter = NULL;
    if (open_limiter(&limiter, settings, state_directory, clock, err) != 0)
        return -1;
    int failed = aurabox_limiter_look(limiter, bucket, out, err);
    aurabox_limiter_close(limiter);
    return failed;
}

int aurabox_destination_new(struct aurabox_destination **out, struct config *config,
                            const char *name, const char *state_directory,
                            const struct clock *clock, struct error *err)
{
    *out = NULL;
    const struct config_destination *settings = config_destination(config, name);
    if (!settings)
        return error_set(err, "there is no destination %s in the configuration", name);
    struct aurabox_destination *destination = calloc(1, sizeof *destination);
    if (!destination)
        return error_set(err, "no memory for destination %s", name);
    destination->config = config_retain(config);
    destination->settings = settings;
    destination->clock = clock;
    if (open_limiter(&destination->limiter, settings, state_directory, clock, err) != 0 ||
        token_cache_new(&destination->tokens, clock, err) != 0) {
        aurabox_destination_free(destination);
        return error_wrap(err, "destination %s", name);
    }
    *out = destination;
    return 0;
}

void aurabox_destination_free(struct aurabox_destination *destination)
{
    if (!destination)
        return;
    token_cache_free(destination->tokens);
    aurabox_limiter_close(destination->limiter);
    config_release(destination->config);
    free(destination);
}
