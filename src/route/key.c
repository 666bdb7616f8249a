/* The key under which an entry's studies are kept together: 64 bits of a SHA-256. Each part is
 * hashed with its length, so that no two contents run into the same bytes. */
#include "aurabridge/route.h"

#include "aurabridge/digest.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int add(struct sha256 *digest, const char *part)
{
    char length[32];
    if (!part)
        return sha256_update(digest, "-,", 2);
    (void)snprintf(length, sizeof length, "%zu:", strlen(part));
    int result = sha256_update(digest, length, strlen(length));
    return result != 0 ? result : sha256_update(digest, part, strlen(part));
}

static int add_networks(struct sha256 *digest, const struct config_networks *networks)
{
    int result = 0;
    for (size_t i = 0; i < networks->count && result == 0; i++) {
        result = sha256_update(digest, networks->items[i].address, 16);
        if (result == 0)
            result = sha256_update(digest, &networks->items[i].prefix, 1);
    }
    return result != 0 ? result : add(digest, "");
}

static int add_context(struct sha256 *digest, const struct json *context)
{
    if (!context)
        return add(digest, NULL);
    char *text = json_print(context);
    int result = text ? add(digest, text) : -1;
    free(text);
    return result;
}

static int add_content(struct sha256 *digest, const struct config_map_entry *entry)
{
    char quiet_period[32];
    (void)snprintf(quiet_period, sizeof quiet_period, "%" PRId64, entry->quiet_period_ms);
    if (add(digest, "content") != 0 || add(digest, entry->called) != 0 ||
        add(digest, entry->calling) != 0 || add_networks(digest, &entry->from) != 0 ||
        add(digest, entry->destination) != 0 || add(digest, entry->patient_id) != 0 ||
        add(digest, quiet_period) != 0)
        return -1;
    for (size_t i = 0; i < entry->require.count; i++) {
        if (add(digest, entry->require.items[i]) != 0)
            return -1;
    }
    return add_context(digest, entry->context);
}

static int add_all(struct sha256 *digest, const struct config_map_entry *entry,
                   const struct association *association)
{
    if (entry && entry->name[0])
        return add(digest, "name") != 0 ? -1 : add(digest, entry->name);
    if (entry)
        return add_content(digest, entry);
    if (add(digest, "unrouted") != 0 || add(digest, association->called_ae_title) != 0 ||
        add(digest, association->calling_ae_title) != 0)
        return -1;
    return add(digest, association->peer_address);
}

int route_key(char out[ROUTE_KEY_SIZE], const struct config_map_entry *entry,
              const struct association *association)
{
    uint8_t bytes[SHA256_SIZE];
    struct sha256 *digest = sha256_new();
    out[0] = '\0';
    int result = digest ? add_all(digest, entry, association) : -1;
    if (result == 0)
        result = sha256_finish(digest, bytes);
    sha256_free(digest);
    if (result == 0)
        hex_encode(out, bytes, (ROUTE_KEY_SIZE - 1) / 2);
    return result == 0 ? 0 : -1;
}
