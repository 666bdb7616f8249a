/* Checks one value by its row of the table and stores it. Guarantees that what is stored lies in
 * the row's range. Does not know which keys there are. */
#include "loaders.h"

#include "aurabridge/fs.h"
#include "aurabridge/units.h"

#include <stdlib.h>
#include <string.h>

#define TEXT_MAX 4096 /* bytes of one text */

static const char *kind_name(enum node_kind kind)
{
    return kind == NODE_LIST ? "a list" : kind == NODE_MAPPING ? "a mapping" : "a text";
}

static int require_text(const struct node *node, const char *wanted, struct error *err)
{
    if (node->kind != NODE_TEXT)
        return document_node_error(err, node, NULL, "must be %s, not %s%s", wanted,
                                   kind_name(node->kind),
                                   node->braces ? "; a text that starts with { needs quotes" : "");
    size_t length = strlen(node->text);
    if (length > TEXT_MAX)
        return document_node_error(err, node, NULL, "is longer than %d bytes", TEXT_MAX);
    for (size_t i = 0; i < length; i++) {
        if ((unsigned char)node->text[i] < 0x20 || node->text[i] == 0x7F)
            return document_node_error(err, node, NULL, "holds a control character; remove it");
    }
    return 0;
}

static int replace_text(char **target, const char *text, const struct node *node, struct error *err)
{
    char *copy = strdup(text);
    if (!copy)
        return document_node_error(err, node, NULL, "memory is short");
    free(*target);
    *target = copy;
    return 0;
}

int path_resolve(char **out, const struct reading *reading, const struct node *node,
                 struct error *err)
{
    char path[FS_PATH_MAX];
    if (require_text(node, "a path", err) != 0)
        return -1;
    if (!node->file || node->text[0] == '/' || node->text[0] == '\0')
        return replace_text(out, node->text, node, err);
    if (fs_join(path, reading->directory, node->text, err) != 0)
        return document_node_error(err, node, NULL, "the path is too long");
    return replace_text(out, path, node, err);
}

static int read_text(const struct schema_key *key, const struct node *node, void *target,
                     struct error *err)
{
    if (require_text(node, key->shape ? key->shape : "a text", err) != 0)
        return -1;
    const char *why = key->check ? key->check(node->text) : NULL;
    char value[NODE_SHOWN_SIZE];
    if (why)
        return document_node_error(err, node, NULL, "\"%s\" is %s",
                                   document_node_shown(value, node), why);
    return replace_text(target, node->text, node, err);
}

static int read_ae_title(const struct node *node, char *target, struct error *err)
{
    if (require_text(node, "an AE title", err) != 0)
        return -1;
    char value[NODE_SHOWN_SIZE];
    if (ae_title_from_field(target, node->text, strlen(node->text)) != 0)
        return document_node_error(
            err, node, NULL, "\"%s\" is no AE title; write 1 to 16 ASCII characters, no backslash",
            document_node_shown(value, node));
    return 0;
}

static int parse_integer(uint64_t *out, const char *text)
{
    size_t digits = strspn(text, "0123456789");
    return digits > 0 && !text[digits] ? units_parse_size(out, text) : -1;
}

static int parse_duration(uint64_t *out, const char *text)
{
    int64_t milliseconds = 0;
    int result = units_parse_duration(&milliseconds, text);
    *out = (uint64_t)milliseconds;
    return result;
}

struct number_kind {
    int (*parse)(uint64_t *out, const char *text);
    const char *wanted; /* with an article */
    const char *remedy;
};

static const struct number_kind integer_kind = {parse_integer, "a whole number",
                                                "write digits only"};
static const struct number_kind duration_kind = {parse_duration, "a duration",
                                                 "write a whole number and ms, s, m, h or d, "
                                                 "e.g. 30s"};
static const struct number_kind size_kind = {units_parse_size, "a size",
                                             "write bytes, or a whole number and KiB, MiB, GiB or "
                                             "TiB, e.g. 8MiB"};

static const struct number_kind rate_kind = {units_parse_rate, "a rate",
                                             "write a whole number and kbit/s, Mbit/s or Gbit/s, "
                                             "e.g. 20Mbit/s"};

static int read_number(const struct schema_key *key, const struct node *node,
                       const struct number_kind *kind, uint64_t *out, struct error *err)
{
    char value[NODE_SHOWN_SIZE];
    uint64_t least = 0;
    uint64_t most = UINT64_MAX;
    if (require_text(node, kind->wanted, err) != 0)
        return -1;
    if (kind->parse(out, node->text) != 0)
        return document_node_error(err, node, NULL, "\"%s\" is not %s; %s",
                                   document_node_shown(value, node), kind->wanted, kind->remedy);
    if (key->least && kind->parse(&least, key->least) != 0)
        return document_node_error(err, node, NULL, "the table's least value %s is wrong",
                                   key->least);
    if (key->most && kind->parse(&most, key->most) != 0)
        return document_node_error(err, node, NULL, "the table's largest value %s is wrong",
                                   key->most);
    if (*out < least || *out > most)
        return document_node_error(err, node, NULL, "%s is out of range; use %s to %s",
                                   document_node_shown(value, node), key->least, key->most);
    return 0;
}

static int read_boolean(const struct node *node, bool *target, struct error *err)
{
    static const struct {
        const char *word;
        bool value;
    } words[] = {{"true", true},   {"yes", true}, {"on", true},
                 {"false", false}, {"no", false}, {"off", false}};
    if (require_text(node, "true or false", err) != 0)
        return -1;
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        if (strcmp(node->text, words[i].word) == 0) {
            *target = words[i].value;
            return 0;
        }
    }
    char value[NODE_SHOWN_SIZE];
    return document_node_error(err, node, NULL, "\"%s\" is neither true nor false",
                               document_node_shown(value, node));
}

static int read_choice(const struct schema_key *key, const struct node *node, void *target,
                       struct error *err)
{
    if (require_text(node, "one word", err) != 0)
        return -1;
    char all[256] = "";
    for (unsigned i = 0; key->choices[i]; i++) {
        if (strcmp(key->choices[i], node->text) == 0) {
            memcpy(target, &i, sizeof i);
            return 0;
        }
        size_t used = strlen(all);
        (void)snprintf(all + used, sizeof all - used, "%s%s", i ? ", " : "", key->choices[i]);
    }
    char value[NODE_SHOWN_SIZE];
    return document_node_error(err, node, NULL, "\"%s\" is not one of %s",
                               document_node_shown(value, node), all);
}

static int read_any_number(const struct schema_key *key, const struct node *node, void *target,
                           struct error *err)
{
    uint64_t number = 0;
    const struct number_kind *kind = key->type == VALUE_INTEGER    ? &integer_kind
                                     : key->type == VALUE_DURATION ? &duration_kind
                                     : key->type == VALUE_RATE     ? &rate_kind
                                                                   : &size_kind;
    if (read_number(key, node, kind, &number, err) != 0)
        return -1;
    unsigned narrow = (unsigned)number;
    int64_t milliseconds = (int64_t)number;
    if (key->type == VALUE_DURATION)
        memcpy(target, &milliseconds, sizeof milliseconds);
    else if (key->type == VALUE_SIZE || key->type == VALUE_RATE)
        memcpy(target, &number, sizeof number);
    else if (number <= UINT32_MAX)
        memcpy(target, &narrow, sizeof narrow);
    else
        return document_node_error(err, node, NULL, "is too large");
    return 0;
}

int value_read(const struct reading *reading, const struct schema_key *key, const struct node *node,
               void *target, struct error *err)
{
    switch (key->type) {
    case VALUE_TEXT:
        return read_text(key, node, target, err);
    case VALUE_AE_TITLE:
        return read_ae_title(node, target, err);
    case VALUE_PATH:
        return path_resolve(target, reading, node, err);
    case VALUE_SECRET:
        return secret_read(target, reading, node, err);
    case VALUE_BOOLEAN:
        return read_boolean(node, target, err);
    case VALUE_CHOICE:
        return read_choice(key, node, target, err);
    case VALUE_TEXTS:
        return texts_read(target, key, node, err);
    case VALUE_NETWORKS:
        return networks_read(target, node, err);
    case VALUE_TIME:
        return time_read(node, target, err);
    case VALUE_DAYS:
        return days_read(node, target, err);
    case VALUE_INTEGER:
    case VALUE_DURATION:
    case VALUE_RATE:
    case VALUE_SIZE:
    case VALUE_SIZE_32:
        return read_any_number(key, node, target, err);
    case VALUE_SECTION:
    case VALUE_SPECIAL:
        break;
    }
    return key->load ? key->load(reading, node, err) : 0;
}
