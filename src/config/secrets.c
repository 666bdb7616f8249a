/* Credentials by reference. A value never stands in the document, never goes into an error or log
 * line, and leaves this file only in the config. */
#include "loaders.h"

#include "aurabridge/buffer.h"
#include "aurabridge/fs.h"
#include "aurabridge/log.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define SECRET_MAX 4096 /* bytes */

static void wipe(char *text, size_t length)
{
    if (length > 0)
        explicit_bzero(text, length);
}

/* Takes a value less its line end. */
static int take_value(char **out, const char *value, size_t length, const struct node *node,
                      struct error *err)
{
    while (length > 0 && (value[length - 1] == '\n' || value[length - 1] == '\r'))
        length--;
    if (length == 0)
        return document_node_error(err, node, NULL, "%.200s is empty; put the value there",
                                   node->text);
    for (size_t i = 0; i < length; i++) {
        unsigned char byte = (unsigned char)value[i];
        if (byte <= 0x20 || byte >= 0x7F)
            return document_node_error(
                err, node, NULL,
                "%.200s holds a space, a line break or a character that is not ASCII; "
                "it must hold the value alone, on one line",
                node->text);
    }
    char *copy = strndup(value, length);
    if (!copy)
        return document_node_error(err, node, NULL, "memory is short");
    if (*out)
        wipe(*out, strlen(*out));
    free(*out);
    *out = copy;
    return 0;
}

static int from_environment(char **out, const char *name, const struct node *node,
                            struct error *err)
{
    const char *value = name[0] ? getenv(name) : NULL;
    if (!value)
        return document_node_error(
            err, node, NULL,
            "the environment variable \"%.100s\" is not set; set it where the bridge "
            "is started, or use file:PATH",
            name);
    if (strlen(value) > SECRET_MAX)
        return document_node_error(err, node, NULL, "%.200s is longer than %d bytes", node->text,
                                   SECRET_MAX);
    return take_value(out, value, strlen(value), node, err);
}

/* Only plain files: a pipe or device could keep the bridge waiting. */
static int check_file(const char *path, const struct node *node, struct error *err)
{
    struct stat status;
    if (stat(path, &status) != 0) {
        int reason = errno;
        struct error detail;
        (void)error_errno(&detail, reason, "cannot read %s", path);
        return document_node_error(
            err, node, NULL, "%s; put the value into that file, readable by the bridge's user only",
            detail.text);
    }
    if (!S_ISREG(status.st_mode))
        return document_node_error(err, node, NULL,
                                   "%s is no plain file; name a file that holds the value", path);
    if (status.st_mode & (S_IRWXO | S_IWGRP)) {
        char place[NODE_PLACE_SIZE];
        document_node_place(place, node, NULL);
        log_warning("config", "%s: %s is open to other users; run: chmod 0600 %s", place, path,
                    path);
    }
    return 0;
}

static int from_file(char **out, const char *path, const struct node *node, struct error *err)
{
    if (check_file(path, node, err) != 0)
        return -1;
    struct buffer content;
    struct error detail;
    buffer_init(&content, SECRET_MAX);
    int result = fs_read_file(&content, path, &detail);
    if (result != 0)
        (void)document_node_error(err, node, NULL, "%s; let the bridge's user read it",
                                  detail.text);
    else
        result = take_value(out, content.data, content.length, node, err);
    wipe(content.data, content.length);
    buffer_free(&content);
    return result;
}

int secret_read(char **out, const struct reading *reading, const struct node *node,
                struct error *err)
{
    static const char *const remedy = "must be env:NAME or file:PATH; the value itself does not "
                                      "belong into the configuration";
    if (node->kind != NODE_TEXT)
        return document_node_error(err, node, NULL, "%s", remedy);
    bool is_env = strncmp(node->text, "env:", 4) == 0;
    if (!is_env && (strncmp(node->text, "file:", 5) != 0 || node->text[5] == '\0'))
        return document_node_error(err, node, NULL, "%s", remedy);
    if (reading->without_secrets) {
        free(*out);
        *out = strdup("");
        return *out ? 0 : document_node_error(err, node, NULL, "memory is short");
    }
    if (is_env)
        return from_environment(out, node->text + 4, node, err);
    const char *name = node->text + 5;
    char path[FS_PATH_MAX];
    if (name[0] == '/' || !node->file)
        return from_file(out, name, node, err);
    if (fs_join(path, reading->directory, name, err) != 0)
        return document_node_error(err, node, NULL, "the path is too long");
    return from_file(out, path, node, err);
}
