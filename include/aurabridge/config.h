/* The configuration: one schema table (key, type, default, range, documentation), read from YAML.
 * A config is immutable once loaded and shared by reference count; references are thread-safe.
 * Errors name file, line and key.
 */
#ifndef AURABRIDGE_CONFIG_H
#define AURABRIDGE_CONFIG_H

#include "aurabridge/ae_title.h"
#include "aurabridge/error.h"
#include "aurabridge/json.h"
#include "aurabridge/network.h"
#include "aurabridge/study_state.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

struct config_strings {
    char **items;
    size_t count;
};

struct config_networks {
    struct network *items;
    size_t count;
};

/* An AE title of ours and who may call it; empty lists mean anyone. */
struct config_ae_title {
    char name[AE_TITLE_SIZE];
    struct config_strings calling; /* patterns */
    struct config_networks from;
};

enum config_compression { COMPRESSION_AUTO, COMPRESSION_STORE, COMPRESSION_DEFLATE };

struct config_limits {  /* calls in any 60 s */
    unsigned exchange;  /* 10 */
    unsigned config;    /* 30 */
    unsigned lifecycle; /* 60 */
};

struct config_destination {
    char *name;
    char *api_base_url;                          /* without trailing slash */
    char *app_id, *app_secret, *service_api_key; /* resolved from env: or file: */
    char *ca_file;                               /* "" when none */
    char *source;
    int64_t token_ttl_ms, timeout_ms;
    struct config_limits limits;
};

/* A bandwidth limit, and when it holds: by this machine's local time. */
struct config_upload_limit {
    int from, to;  /* minutes since midnight, `to` not included; over midnight when `to` is less */
    unsigned days; /* bit 0: Monday; of the day on which the time begins */
    uint64_t rate; /* bytes a second */
};

struct config_drop_rule { /* an instance that matches both is received, never uploaded */
    char *sop_class_uid;
    char *protocol_name; /* "" matches any */
};

/* One entry of the AE-title map, as read. `context` values are templates, checked at load. */
struct config_key_line {
    char *key; /* "require", "context.patient.sex", "context.ids[2]" */
    unsigned line;
};

struct config_map_entry {
    char *file;                        /* where it stands, for messages */
    unsigned line;                     /* 0 when it came from --set; `file` is "--set" then */
    struct config_key_line *key_lines; /* where its keys stand; none when it came from --set */
    size_t key_line_count;
    char *name;    /* "" when it has none */
    char *called;  /* pattern; "*" when absent */
    char *calling; /* pattern; "*" when absent */
    struct config_networks from;
    char *destination;
    char *patient_id;              /* a template for Aurabox's own; null when absent */
    struct config_strings require; /* attribute keywords or "gggg,eeee" */
    struct json *context;          /* object of templates, any depth; null when absent */
    int64_t quiet_period_ms;       /* -1: the study's default */
    enum study_priority priority;
};

struct config {
    char *path;
    bool is_whole; /* false: config_load_spool's */
    struct {
        char *listen; /* "address:port", "[address]:port" */
        struct config_ae_title *ae_titles;
        size_t ae_title_count;
        unsigned max_associations, max_associations_per_peer;
        uint32_t max_pdu; /* bytes */
        int64_t association_timeout_ms, idle_timeout_ms, pdu_timeout_ms, shutdown_timeout_ms;
        bool unknown_sop_classes;    /* accept unknown and private ones; default true */
        char *default_character_set; /* defined term; "" none */
    } dicom;
    struct {
        char *directory;
        uint64_t reserve;
        uint64_t journal; /* bytes, at most */
    } spool;
    struct {
        int64_t quiet_period_ms, association_hold_ms, max_wait_ms;
        enum changed_duplicate on_changed_duplicate;
        struct config_drop_rule *drop;
        size_t drop_count;
    } study;
    struct {
        unsigned workers; /* per destination */
        uint64_t chunk_size;
        enum config_compression compression;
        int64_t retry_first_ms, retry_ceiling_ms;
        struct config_upload_limit *limits; /* in the order of the file: the first that holds */
        size_t limit_count;
    } upload;
    struct {
        int64_t completed_ms, receipts_ms;
    } retention;
    struct config_destination *destinations;
    size_t destination_count;
    struct config_map_entry *entries;
    size_t entry_count;
    char *ae_title_map_path; /* "" when inline */
};

/* Loads and checks everything: types, ranges, unknown and duplicate keys, references, credentials
 * (`env:` and `file:` are read now), map entries (duplicate, unreachable, templates;
 * `check_entries` is called for what only the route room knows; null: skipped). `overrides` are
 * "key.path=value" texts from --set, applied before checking. `*out` has one reference, the
 * caller's. */
int config_load(struct config **out, const char *path, const char *const *overrides,
                size_t override_count,
                int (*check_entries)(const struct config *config, struct error *err),
                struct error *err);

/* The same for commands that talk to no server: what env: and file: stand for is not fetched, and
 * the credentials are "". So they work without the daemon's environment. */
int config_load_without_secrets(
    struct config **out, const char *path, const char *const *overrides, size_t override_count,
    int (*check_entries)(const struct config *config, struct error *err), struct error *err);

/* What a configuration that is broken elsewhere says of its spool, where a bridge may run with the
 * last good one. Everything else is 0 or null. Fails when neither the file nor an override names
 * spool.directory: the default may be another bridge's. */
int config_load_spool(struct config **out, const char *path, const char *const *overrides,
                      size_t override_count, struct error *err);

struct config *config_retain(struct config *config);
void config_release(struct config *config);

/* Null when there is none of that name. Belongs to the config. */
const struct config_destination *config_destination(const struct config *config, const char *name);

/* Names the keys that differ and that only a restart can change (dicom.listen, spool.directory,
 * spool.journal), joined by ", "; "" when none. */
void config_restart_keys(const struct config *before, const struct config *after, char *out,
                         size_t size);

/* Writes docs/CONFIGURATION.md from the schema table. Returns 0 or -1. */
int config_write_documentation(FILE *out);

#endif
