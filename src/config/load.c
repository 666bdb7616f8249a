/* config_load: document, overrides, table, and what concerns several keys at once. On any error
 * nothing is left behind. */
#include "aurabridge/config.h"

#include "loaders.h"
#include "shared.h"

#include "aurabridge/fs.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

static int directory_of(char out[FS_PATH_MAX], const char *path, struct error *err)
{
    const char *slash = strrchr(path, '/');
    size_t length = !slash ? 1 : slash == path ? 1 : (size_t)(slash - path);
    if (length >= FS_PATH_MAX)
        return error_set(err, "the path of the configuration file is too long");
    memcpy(out, slash ? path : ".", length);
    out[length] = '\0';
    return 0;
}

/* `key` of `section`, or the nearest place that stands in the document. */
static int refuse_pair(const struct node *root, const char *section, const char *key,
                       const char *least, struct error *err)
{
    const struct node *mapping = document_node_get(root, section);
    const struct node *inner =
        strcmp(section, "upload") == 0 ? document_node_get(mapping, "retry") : mapping;
    const struct node *value = document_node_get(inner, key);
    if (value)
        return document_node_error(err, value, NULL, "must be at least %s", least);
    return document_node_error(err, inner ? inner : root, inner ? key : section,
                               "must be at least %s", least);
}

static int check_pairs(const struct config *config, const struct node *root, struct error *err)
{
    if (config->study.max_wait_ms < config->study.quiet_period_ms)
        return refuse_pair(root, "study", "max_wait", "study.quiet_period", err);
    if (config->upload.retry_ceiling_ms < config->upload.retry_first_ms)
        return refuse_pair(root, "upload", "ceiling", "upload.retry.first", err);
    if (config->retention.receipts_ms < config->retention.completed_ms)
        return refuse_pair(root, "retention", "receipts", "retention.completed", err);
    return 0;
}

static int check_readable(const char *path, struct error *err)
{
    if (access(path, R_OK) == 0)
        return 0;
    return error_errno(err, errno,
                       "%s cannot be read; name the configuration file with --config FILE", path);
}

/* The document with the overrides in it; an empty one becomes a mapping without keys. */
static int read_document(struct node **out, const char *path, const char *const *overrides,
                         size_t override_count, struct error *err)
{
    if (check_readable(path, err) != 0 || yaml_parse_file(out, path, err) != 0)
        return -1;
    if (document_node_is_absent(*out)) {
        document_node_free(*out);
        *out = document_node_new(NODE_MAPPING, path, 1);
        if (!*out)
            return error_set(err, "%s: memory is short", path);
    }
    if ((*out)->kind != NODE_MAPPING)
        return document_node_error(err, *out, NULL, "must be a mapping with dicom, destinations …");
    return overrides_apply(*out, overrides, override_count, err);
}

static int load(struct config **out, struct reading *reading, const char *path,
                const char *const *overrides, size_t override_count,
                int (*check_entries)(const struct config *config, struct error *err),
                struct error *err)
{
    char directory[FS_PATH_MAX];
    struct node *root = NULL;
    struct config *config = NULL;
    int result = -1;
    *out = NULL;
    if (directory_of(directory, path, err) != 0)
        return -1;
    if (read_document(&root, path, overrides, override_count, err) != 0)
        goto cleanup;
    config = config_new(path);
    if (!config) {
        (void)error_set(err, "%s: memory is short", path);
        goto cleanup;
    }
    reading->directory = directory;
    reading->config = config;
    if (section_read(reading, root, "", config, err) != 0 || check_pairs(config, root, err) != 0)
        goto cleanup;
    if (check_entries && check_entries(config, err) != 0)
        goto cleanup;
    config->is_whole = true;
    *out = config;
    config = NULL;
    result = 0;

cleanup:
    config_release(config);
    document_node_free(root);
    return result;
}

/* Of a file that is no YAML only the overrides are left. */
static int read_what_is_readable(struct node **out, const char *path, const char *const *overrides,
                                 size_t override_count, struct error *err)
{
    if (yaml_parse_file(out, path, err) != 0)
        *out = NULL;
    if (!*out || (*out)->kind != NODE_MAPPING) {
        document_node_free(*out);
        *out = document_node_new(NODE_MAPPING, path, 1);
    }
    return *out ? overrides_apply(*out, overrides, override_count, err)
                : error_set(err, "%s: memory is short", path);
}

int config_load_spool(struct config **out, const char *path, const char *const *overrides,
                      size_t override_count, struct error *err)
{
    char directory[FS_PATH_MAX];
    struct reading reading = {.directory = directory, .without_secrets = true};
    struct node *root = NULL;
    *out = NULL;
    int result = -1;
    if (directory_of(directory, path, err) != 0 || check_readable(path, err) != 0 ||
        read_what_is_readable(&root, path, overrides, override_count, err) != 0)
        goto cleanup;
    const struct node *spool = document_node_get(root, "spool");
    reading.config = config_new(path);
    if (!reading.config)
        (void)error_set(err, "%s: memory is short", path);
    else if (document_node_is_absent(document_node_get(spool, "directory")))
        (void)document_node_error(err, root, "spool.directory", "is not there");
    else
        result = section_read(&reading, spool, "spool.", reading.config, err);
    if (result == 0)
        *out = reading.config;
    else
        config_release(reading.config);

cleanup:
    document_node_free(root);
    return result;
}

int config_load(struct config **out, const char *path, const char *const *overrides,
                size_t override_count,
                int (*check_entries)(const struct config *config, struct error *err),
                struct error *err)
{
    struct reading reading = {.without_secrets = false};
    return load(out, &reading, path, overrides, override_count, check_entries, err);
}

int config_load_without_secrets(
    struct config **out, const char *path, const char *const *overrides, size_t override_count,
    int (*check_entries)(const struct config *config, struct error *err), struct error *err)
{
    struct reading reading = {.without_secrets = true};
    return load(out, &reading, path, overrides, override_count, check_entries, err);
}
