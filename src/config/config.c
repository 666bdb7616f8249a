/* The life of a config: shared by count, freed with the last reference, secrets wiped. */
#include "aurabridge/config.h"

#include "loaders.h"
#include "shared.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct config *config_new(const char *path)
{
    struct shared_config *shared = calloc(1, sizeof *shared);
    if (!shared)
        return NULL;
    atomic_init(&shared->references, 1);
    shared->config.path = strdup(path);
    if (shared->config.path)
        return &shared->config;
    free(shared);
    return NULL;
}

/* `config` is the first member. */
static struct shared_config *shared_of(struct config *config)
{
    return (struct shared_config *)(void *)config;
}

struct config *config_retain(struct config *config)
{
    if (config)
        (void)atomic_fetch_add_explicit(&shared_of(config)->references, 1, memory_order_relaxed);
    return config;
}

static void secret_free(char *secret)
{
    if (secret)
        explicit_bzero(secret, strlen(secret));
    free(secret);
}

static void destination_clear(struct config_destination *destination)
{
    free(destination->name);
    free(destination->api_base_url);
    secret_free(destination->app_id);
    secret_free(destination->app_secret);
    secret_free(destination->service_api_key);
    free(destination->ca_file);
    free(destination->source);
}

static void entry_clear(struct config_map_entry *entry)
{
    free(entry->file);
    for (size_t i = 0; i < entry->key_line_count; i++)
        free(entry->key_lines[i].key);
    free(entry->key_lines);
    free(entry->name);
    free(entry->called);
    free(entry->calling);
    free(entry->from.items);
    free(entry->destination);
    free(entry->patient_id);
    texts_free(&entry->require);
    json_free(entry->context);
}

static void config_free(struct config *config)
{
    free(config->path);
    free(config->dicom.listen);
    for (size_t i = 0; i < config->dicom.ae_title_count; i++) {
        texts_free(&config->dicom.ae_titles[i].calling);
        free(config->dicom.ae_titles[i].from.items);
    }
    free(config->dicom.ae_titles);
    free(config->dicom.default_character_set);
    free(config->spool.directory);
    for (size_t i = 0; i < config->study.drop_count; i++) {
        free(config->study.drop[i].sop_class_uid);
        free(config->study.drop[i].protocol_name);
    }
    free(config->study.drop);
    free(config->upload.limits);
    for (size_t i = 0; i < config->destination_count; i++)
        destination_clear(&config->destinations[i]);
    free(config->destinations);
    for (size_t i = 0; i < config->entry_count; i++)
        entry_clear(&config->entries[i]);
    free(config->entries);
    free(config->ae_title_map_path);
    free(shared_of(config));
}

void config_release(struct config *config)
{
    if (!config)
        return;
    if (atomic_fetch_sub_explicit(&shared_of(config)->references, 1, memory_order_acq_rel) == 1)
        config_free(config);
}

const struct config_destination *config_destination(const struct config *config, const char *name)
{
    for (size_t i = 0; i < config->destination_count; i++) {
        if (strcmp(config->destinations[i].name, name) == 0)
            return &config->destinations[i];
    }
    return NULL;
}

void config_restart_keys(const struct config *before, const struct config *after, char *out,
                         size_t size)
{
    const struct {
        const char *key;
        bool differs;
    } keys[] = {
        {"dicom.listen", strcmp(before->dicom.listen, after->dicom.listen) != 0},
        {"spool.directory", strcmp(before->spool.directory, after->spool.directory) != 0},
        {"spool.journal", before->spool.journal != after->spool.journal},
    };
    size_t length = 0;
    out[0] = '\0';
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        if (!keys[i].differs || length >= size)
            continue;
        int added =
            snprintf(out + length, size - length, "%s%s", length > 0 ? ", " : "", keys[i].key);
        length += added > 0 ? (size_t)added : 0;
    }
}
