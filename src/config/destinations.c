/* destinations: each name with its URL and credentials. */
#include "loaders.h"

#include "aurabridge/log.h"
#include "text_check.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define DESTINATIONS_MAX 64

static int check_ca_file(const struct config_destination *destination, const struct node *node,
                         struct error *err)
{
    struct stat status;
    if (destination->ca_file[0] == '\0')
        return 0;
    if (stat(destination->ca_file, &status) == 0 && S_ISREG(status.st_mode) &&
        access(destination->ca_file, R_OK) == 0)
        return 0;
    return document_node_error(
        err, document_node_get(node, "ca_file"), NULL,
        "%s cannot be read; put the certificates there, or leave the key out",
        destination->ca_file);
}

static void finish_url(const struct config_destination *destination, const struct node *node)
{
    char *url = destination->api_base_url;
    for (size_t length = strlen(url); length > 0 && url[length - 1] == '/'; length--)
        url[length - 1] = '\0';
    if (!text_is_exposed_http(url))
        return;
    char place[NODE_PLACE_SIZE];
    document_node_place(place, node, "api_base_url");
    log_warning("config",
                "%s: %s has no TLS: patient data and tokens go over the network in the clear; use "
                "https",
                place, url);
}

static int read_one(struct config_destination *out, const struct reading *reading,
                    const struct node *node, struct error *err)
{
    const char *why = text_check_name(node->key);
    if (why)
        return document_node_error(err, node, NULL, "is %s", why);
    if (node->kind != NODE_MAPPING)
        return document_node_error(err, node, NULL,
                                   "must be a mapping with api_base_url, app_id, "
                                   "app_secret and service_api_key");
    out->name = strdup(node->key);
    if (!out->name)
        return document_node_error(err, node, NULL, "memory is short");
    if (section_read(reading, node, "destinations.*.", out, err) != 0)
        return -1;
    finish_url(out, node);
    return check_ca_file(out, node, err);
}

int destinations_load(const struct reading *reading, const struct node *node, struct error *err)
{
    struct config *config = reading->config;
    if (node->kind != NODE_MAPPING || node->count == 0)
        return document_node_error(err, node, NULL,
                                   "must be a mapping with at least one destination");
    if (node->count > DESTINATIONS_MAX)
        return document_node_error(err, node, NULL, "has more than %d destinations",
                                   DESTINATIONS_MAX);
    config->destinations = calloc(node->count, sizeof *config->destinations);
    if (!config->destinations)
        return document_node_error(err, node, NULL, "memory is short");
    for (size_t i = 0; i < node->count; i++) {
        config->destination_count = i + 1;
        if (read_one(&config->destinations[i], reading, node->children[i], err) != 0)
            return -1;
    }
    return 0;
}
