/* --set: puts values into the document before it is checked, so that they are checked like all
 * others. */
#include "loaders.h"

#include <stdlib.h>
#include <string.h>

#define OVERRIDE_MAX 65536 /* bytes */

/* A value that is no YAML is taken as the text it is: "[::]:104" needs no quotes. */
static struct node *parse_value(const char *text)
{
    struct node *value = NULL;
    if (yaml_parse(&value, NULL, text, strlen(text), NULL) == 0)
        return value;
    value = document_node_new(NODE_TEXT, NULL, 0);
    if (!value)
        return NULL;
    value->text = strdup(text);
    if (value->text)
        return value;
    document_node_free(value);
    return NULL;
}

static int check_path(const char *path, size_t length, struct error *err)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                  "0123456789-_.";
    unsigned dots = 0;
    bool valid = length > 0 && length < NODE_PATH_SIZE && path[0] != '.' && path[length - 1] != '.';
    for (size_t i = 0; valid && i < length; i++) {
        valid = strchr(letters, path[i]) && !(path[i] == '.' && path[i - 1] == '.');
        dots += path[i] == '.';
    }
    if (valid && dots < YAML_DEPTH_MAX / 2)
        return 0;
    return error_set(err, "--set %.*s: is no key; write --set dicom.listen=127.0.0.1:11112",
                     (int)(length < 100 ? length : 100), path);
}

/* The mapping below `mapping` under `key`, made when there is none. */
static struct node *descend(struct node *mapping, const char *key, const char *path,
                            struct error *err)
{
    struct node *child = document_node_get(mapping, key);
    if (child && child->kind == NODE_MAPPING)
        return child;
    if (!document_node_is_absent(child)) {
        (void)error_set(err, "--set %s: %s is %s; set it as a whole", path, key,
                        child->kind == NODE_LIST ? "a list" : "a single value");
        return NULL;
    }
    document_node_remove(mapping, key);
    child = document_node_new(NODE_MAPPING, NULL, 0);
    if (child && document_node_add(mapping, key, child) == 0)
        return child;
    document_node_free(child);
    (void)error_set(err, "--set %s: memory is short", path);
    return NULL;
}

static int put(struct node *root, char *path, const char *value, struct error *err)
{
    char whole[NODE_PATH_SIZE];
    memcpy(whole, path, strlen(path) + 1);
    struct node *mapping = root;
    char *rest = path;
    char *key = strsep(&rest, ".");
    for (; rest; key = strsep(&rest, ".")) {
        mapping = descend(mapping, key, whole, err);
        if (!mapping)
            return -1;
    }
    struct node *child = parse_value(value);
    document_node_remove(mapping, key);
    if (child && document_node_add(mapping, key, child) == 0)
        return 0;
    document_node_free(child);
    return error_set(err, "--set %s: memory is short", whole);
}

int overrides_apply(struct node *root, const char *const *overrides, size_t count,
                    struct error *err)
{
    for (size_t i = 0; i < count; i++) {
        const char *equals = strchr(overrides[i], '=');
        if (!equals)
            return error_set(err, "--set %.100s: the value is missing; write --set KEY=VALUE",
                             overrides[i]);
        size_t length = (size_t)(equals - overrides[i]);
        char path[NODE_PATH_SIZE];
        if (check_path(overrides[i], length, err) != 0)
            return -1;
        memcpy(path, overrides[i], length);
        path[length] = '\0';
        if (strlen(equals + 1) > OVERRIDE_MAX)
            return error_set(err, "--set %s: the value is longer than %d bytes", path,
                             OVERRIDE_MAX);
        if (put(root, path, equals + 1, err) != 0)
            return -1;
    }
    return 0;
}
