/* The one table of configuration keys: type, default, range and text. Checking, defaults and
 * docs/CONFIGURATION.md are made from it. Pure; the table is constant.
 */
#ifndef AURABRIDGE_CONFIG_SCHEMA_H
#define AURABRIDGE_CONFIG_SCHEMA_H

#include "aurabridge/config.h"
#include "node.h"

enum value_type {
    VALUE_SECTION,  /* a mapping whose keys belong to the same struct */
    VALUE_TEXT,     /* char * */
    VALUE_AE_TITLE, /* char[AE_TITLE_SIZE] */
    VALUE_PATH,     /* char *; relative to the configuration file's directory */
    VALUE_SECRET,   /* char *; env:NAME or file:PATH, resolved */
    VALUE_INTEGER,  /* unsigned */
    VALUE_BOOLEAN,  /* bool */
    VALUE_DURATION, /* int64_t, milliseconds */
    VALUE_SIZE,     /* uint64_t, bytes */
    VALUE_SIZE_32,  /* uint32_t, bytes */
    VALUE_RATE,     /* uint64_t, bytes a second */
    VALUE_TIME,     /* int, minutes since midnight; "HH:MM" */
    VALUE_DAYS,     /* unsigned, bit 0 is Monday; one text is a list of one */
    VALUE_CHOICE,   /* an enum whose values are the indices of `choices` */
    VALUE_TEXTS,    /* struct config_strings; one text is a list of one */
    VALUE_NETWORKS, /* struct config_networks; one text is a list of one */
    VALUE_SPECIAL   /* `load` knows */
};

/* What loading needs beside the node. */
struct reading {
    const char *directory; /* of the main file; "." when its path has none */
    struct config *config; /* filled in the table's order */
    bool without_secrets;  /* credentials are not fetched and stay "" */
};

struct schema_key {
    const char *path; /* "dicom.max_pdu", "destinations.*.app_id", "ae_title_map[].called" */
    enum value_type type;
    size_t offset;              /* of the value in its struct */
    const char *fallback;       /* the default, as YAML; null: the struct keeps what it had */
    const char *least, *most;   /* the range, in the type's own notation; null: none */
    const char *const *choices; /* ended by null */
    /* Null when the text (or list item) is good, else why not. */
    const char *(*check)(const char *text);
    /* VALUE_SPECIAL; `node` is never null (the default's, when the key is absent). */
    int (*load)(const struct reading *reading, const struct node *node, struct error *err);
    bool required;
    const char *shape;         /* the type in words, where the type alone does not say it */
    const char *default_words; /* the default in words, where `fallback` does not say it */
    const char *example;       /* "app_id: file:/etc/aurabridge/app_id" */
    const char *text;          /* for docs/CONFIGURATION.md */
};

extern const struct schema_key schema_keys[];
extern const size_t schema_key_count;

/* The row of a key directly below `prefix` ("", "dicom.", "destinations.*."); null when unknown. */
const struct schema_key *schema_find(const char *prefix, const char *key);

/* Whether the row stands directly below `prefix`. */
bool schema_is_below(const struct schema_key *key, const char *prefix);

/* Writes "did you mean X?" or "known here: X, Y" for an unknown key. */
void schema_suggest(char *out, size_t size, const char *prefix, const char *unknown);

#endif
