/* Looks keys up in the table, and guesses what an unknown one was meant to be. */
#include "schema.h"

#include <stdio.h>
#include <string.h>

#define KEY_MAX 64 /* longer keys are not guessed at */

static const char *leaf_of(const struct schema_key *key)
{
    const char *dot = strrchr(key->path, '.');
    return dot ? dot + 1 : key->path;
}

bool schema_is_below(const struct schema_key *key, const char *prefix)
{
    size_t length = strlen(prefix);
    return strncmp(key->path, prefix, length) == 0 && key->path[length] &&
           !strchr(key->path + length, '.');
}

const struct schema_key *schema_find(const char *prefix, const char *key)
{
    for (size_t i = 0; i < schema_key_count; i++) {
        if (schema_is_below(&schema_keys[i], prefix) && strcmp(leaf_of(&schema_keys[i]), key) == 0)
            return &schema_keys[i];
    }
    return NULL;
}

static size_t least_of(size_t a, size_t b, size_t c)
{
    size_t least = a < b ? a : b;
    return least < c ? least : c;
}

/* Levenshtein's edit distance, with one row of memory. */
static size_t distance(const char *a, const char *b)
{
    size_t row[KEY_MAX + 1];
    size_t length = strlen(b);
    if (strlen(a) > KEY_MAX || length > KEY_MAX)
        return KEY_MAX;
    for (size_t j = 0; j <= length; j++)
        row[j] = j;
    for (size_t i = 0; a[i]; i++) {
        size_t diagonal = row[0];
        row[0] = i + 1;
        for (size_t j = 0; j < length; j++) {
            size_t above = row[j + 1];
            row[j + 1] = least_of(above + 1, row[j] + 1, diagonal + (a[i] != b[j]));
            diagonal = above;
        }
    }
    return row[length];
}

static const struct schema_key *nearest(const char *prefix, const char *unknown)
{
    const struct schema_key *best = NULL;
    size_t best_distance = 3 + strlen(unknown) / 4;
    for (size_t i = 0; i < schema_key_count; i++) {
        const struct schema_key *key = &schema_keys[i];
        size_t away = schema_is_below(key, prefix) ? distance(unknown, leaf_of(key)) : KEY_MAX;
        if (away < best_distance) {
            best = key;
            best_distance = away;
        }
    }
    for (size_t i = 0; i < schema_key_count && !best; i++) {
        if (strcmp(leaf_of(&schema_keys[i]), unknown) == 0)
            best = &schema_keys[i];
    }
    return best;
}

void schema_suggest(char *out, size_t size, const char *prefix, const char *unknown)
{
    const struct schema_key *key = nearest(prefix, unknown);
    if (key) {
        bool sibling = schema_is_below(key, prefix);
        (void)snprintf(out, size, "did you mean %s?", sibling ? leaf_of(key) : key->path);
        return;
    }
    (void)snprintf(out, size, "known here:");
    const char *separator = " ";
    for (size_t i = 0; i < schema_key_count; i++) {
        if (!schema_is_below(&schema_keys[i], prefix))
            continue;
        size_t used = strlen(out);
        (void)snprintf(out + used, size - used, "%s%s", separator, leaf_of(&schema_keys[i]));
        separator = ", ";
    }
}
