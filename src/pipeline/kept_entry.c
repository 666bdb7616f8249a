/* Kept map entries. Only what is used after the match is kept: name, destination, patient id,
 * required attributes and context templates; none of it is patient data. */
#include "kept_entry.h"

#include "aurabridge/fs.h"
#include "aurabridge/route.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MAX_KEPT_ENTRY (1U << 20)

static int entry_path(char out[FS_PATH_MAX], const struct spool *spool, const char *key,
                      struct error *err)
{
    int length = snprintf(out, FS_PATH_MAX, "%s/entries/%s.json", spool_directory(spool), key);
    if (length < 0 || length >= FS_PATH_MAX)
        return error_set(err, "the path of the spool %s is too long", spool_directory(spool));
    return 0;
}

static struct json *entry_to_json(const struct config_map_entry *entry)
{
    struct json *root = json_new_object();
    struct json *require = json_new_array();
    int failed = json_set_string(root, "name", entry->name);
    failed |= json_set_string(root, "destination", entry->destination);
    failed |= json_set_string(root, "patient_id", entry->patient_id);
    for (size_t i = 0; i < entry->require.count; i++)
        failed |= json_append_string(require, entry->require.items[i]);
    failed |= json_set(root, "require", require);
    if (entry->context)
        failed |= json_set(root, "context", json_copy(entry->context));
    if (!failed)
        return root;
    json_free(root);
    return NULL;
}

static int save_one(const struct spool *spool, const struct config_map_entry *entry,
                    struct error *err)
{
    char key[ROUTE_KEY_SIZE];
    char path[FS_PATH_MAX];
    if (route_key(key, entry, NULL) != 0)
        return error_set(err, "no memory for a route key");
    if (entry_path(path, spool, key, err) != 0)
        return -1;
    struct json *root = entry_to_json(entry);
    char *text = root ? json_print(root) : NULL;
    json_free(root);
    if (!text)
        return error_set(err, "no memory to keep a map entry");
    struct buffer there;
    buffer_init(&there, MAX_KEPT_ENTRY);
    bool same = access(path, F_OK) == 0 && fs_read_file(&there, path, NULL) == 0 &&
                strcmp(there.data, text) == 0;
    int failed = same ? 0 : fs_write_atomic(path, text, strlen(text), err);
    buffer_free(&there);
    free(text);
    return failed;
}

int kept_entries_save(const struct spool *spool, const struct config *config, struct error *err)
{
    char directory[FS_PATH_MAX];
    if (fs_join(directory, spool_directory(spool), "entries", err) != 0 ||
        fs_make_directory(directory, err) != 0)
        return -1;
    for (size_t i = 0; i < config->entry_count; i++) {
        if (save_one(spool, &config->entries[i], err) != 0)
            return error_wrap(err, "keeping map entry %zu", i + 1);
    }
    return 0;
}

static char *copy_text(const struct json *value)
{
    const char *text = json_text(value);
    return strdup(text ? text : "");
}

static void free_own(struct config_map_entry *own)
{
    if (!own)
        return;
    for (size_t i = 0; i < own->require.count; i++)
        free(own->require.items[i]);
    free(own->require.items);
    free(own->file);
    free(own->name);
    free(own->destination);
    free(own->patient_id);
    json_free(own->context);
    free(own);
}

static int copy_require(struct config_strings *out, const struct json *list)
{
    size_t count = json_size(list);
    if (count == 0)
        return 0;
    out->items = calloc(count, sizeof *out->items);
    if (!out->items)
        return -1;
    for (const struct json *item = json_first(list); item; item = json_next(item)) {
        char *text = copy_text(item);
        if (!text)
            return -1;
        out->items[out->count++] = text;
    }
    return 0;
}

/* What entry_to_json writes. Anything else is damage, and must not go up as a patient's context. */
static bool is_entry(const struct json *root)
{
    const struct json *require = json_get(root, "require");
    const struct json *context = json_get(root, "context");
    for (const struct json *item = json_first(require); item; item = json_next(item))
        if (!json_is_string(item))
            return false;
    return json_is_string(json_get(root, "name")) &&
           json_is_string(json_get(root, "destination")) && json_is_array(require) &&
           (!context || json_is_object(context));
}

static struct config_map_entry *entry_from_json(const struct json *root, const char *path)
{
    struct config_map_entry *own = calloc(1, sizeof *own);
    if (!own)
        return NULL;
    own->quiet_period_ms = -1;
    own->file = strdup(path);
    own->name = copy_text(json_get(root, "name"));
    own->destination = copy_text(json_get(root, "destination"));
    if (json_is_string(json_get(root, "patient_id")))
        own->patient_id = copy_text(json_get(root, "patient_id"));
    own->context = json_copy(json_get(root, "context"));
    if (own->file && own->name && own->destination &&
        copy_require(&own->require, json_get(root, "require")) == 0)
        return own;
    free_own(own);
    return NULL;
}

int kept_entry_find(struct kept_entry *out, const struct spool *spool, const struct config *config,
                    const char *key, struct error *err)
{
    *out = (struct kept_entry){.entry = route_entry_of_key(config, key)};
    if (out->entry)
        return 0;
    char path[FS_PATH_MAX];
    if (entry_path(path, spool, key, err) != 0)
        return -1;
    if (access(path, F_OK) != 0)
        return errno == ENOENT ? 0 : error_errno(err, errno, "looking for %s", path);
    struct buffer text;
    struct json *root = NULL;
    buffer_init(&text, MAX_KEPT_ENTRY);
    int failed =
        fs_read_file(&text, path, err) != 0 || json_parse(&root, text.data, text.length, err) != 0;
    if (!failed && !is_entry(root))
        failed = error_set(err, "it is no map entry");
    if (!failed) {
        out->own = entry_from_json(root, path);
        out->entry = out->own;
        if (!out->own)
            failed = error_set(err, "no memory for a map entry");
    }
    json_free(root);
    buffer_free(&text);
    return failed ? error_wrap(err,
                               "%s cannot be used; put its entry back into the AE-title map, "
                               "which writes it anew",
                               path)
                  : 0;
}

int kept_entry_of_study(struct kept_entry *out, const struct spool *spool,
                        const struct config *config, const struct ledger_study *study,
                        struct error *err)
{
    *out = (struct kept_entry){.entry = NULL};
    if (!study->destination[0])
        return 0; /* unrouted: it has none */
    if (kept_entry_find(out, spool, config, study->route_key, err) != 0)
        return -1;
    if (out->entry)
        return 0;
    return error_set(err,
                     "the map entry %s that it was matched to is neither in the AE-title map nor "
                     "in %s/entries/%s.json; put it back into the map",
                     study->entry_name[0] ? study->entry_name : "(without a name)",
                     spool_directory(spool), study->route_key);
}

void kept_entry_free(struct kept_entry *kept)
{
    free_own(kept->own);
    *kept = (struct kept_entry){.entry = NULL};
}
