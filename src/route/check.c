/* What is wrong with a map that only its meaning tells: templates, attributes, entries that no
 * instance can reach. Errors name file, line and key. */
#include "aurabridge/route.h"

#include "reach.h"
#include "template.h"

#include <stdio.h>
#include <string.h>

#define PATH_SIZE       256
#define ENTRY_NAME_SIZE 64

/* Of the key where it stands in the file, else of the entry. */
static unsigned line_of(const struct config_map_entry *entry, const char *key)
{
    for (size_t i = 0; i < entry->key_line_count; i++) {
        if (strcmp(entry->key_lines[i].key, key) == 0)
            return entry->key_lines[i].line;
    }
    return entry->line;
}

/* "etc/ae-titles.yaml:12: ae_title_map[3].called: …"; an entry from --set has no line. `key` is
 * that of the entry. */
static int refuse(const struct config *config, const struct config_map_entry *entry,
                  const char *key, struct error *err)
{
    size_t number = (size_t)(entry - config->entries) + 1;
    if (entry->line == 0)
        return error_wrap(err, "%s ae_title_map[%zu].%s", entry->file, number, key);
    return error_wrap(err, "%s:%u: ae_title_map[%zu].%s", entry->file, line_of(entry, key), number,
                      key);
}

static int check_templates(const struct config *config, const struct config_map_entry *entry,
                           const struct json *value, const char *path, struct error *err)
{
    if (json_is_string(value)) {
        if (template_check(json_text(value), err) != 0)
            return refuse(config, entry, path, err);
        return 0;
    }
    size_t index = 0;
    for (const struct json *at = json_first(value); at; at = json_next(at)) {
        char inner[PATH_SIZE];
        index++;
        if (json_key(at))
            (void)snprintf(inner, sizeof inner, "%s.%s", path, json_key(at));
        else
            (void)snprintf(inner, sizeof inner, "%s[%zu]", path, index);
        if (check_templates(config, entry, at, inner, err) != 0)
            return -1;
    }
    return 0;
}

static int check_require(const struct config *config, const struct config_map_entry *entry,
                         struct error *err)
{
    for (size_t i = 0; i < entry->require.count; i++) {
        uint32_t tag = 0;
        if (route_attribute_tag(&tag, entry->require.items[i]) == 0)
            continue;
        (void)error_set(err,
                        "\"%.64s\" is no attribute known here; write its DICOM keyword, e.g. "
                        "PatientID, or its tag in quotes, e.g. \"0010,0020\"",
                        entry->require.items[i]);
        return refuse(config, entry, "require", err);
    }
    return 0;
}

/* An entry for an AE title that the node refuses can never be reached. */
static int check_called(const struct config *config, const struct config_map_entry *entry,
                        struct error *err)
{
    char known[256] = "";
    for (size_t i = 0; i < config->dicom.ae_title_count; i++) {
        const char *name = config->dicom.ae_titles[i].name;
        if (ae_title_matches(entry->called, name))
            return 0;
        size_t used = strlen(known);
        (void)snprintf(known + used, sizeof known - used, "%s%s", i ? ", " : "", name);
    }
    (void)error_set(err, "unreachable: %s is none of this bridge's AE titles (dicom.ae_titles: %s)",
                    entry->called, known);
    return refuse(config, entry, "called", err);
}

static bool networks_cover(const struct config_networks *wide, const struct config_networks *narrow)
{
    if (wide->count == 0)
        return true;
    for (size_t i = 0; i < narrow->count; i++) {
        bool covered = false;
        for (size_t j = 0; j < wide->count && !covered; j++)
            covered = network_covers(&wide->items[j], &narrow->items[i]);
        if (!covered)
            return false;
    }
    return narrow->count > 0;
}

static bool covers(const struct config_map_entry *earlier, const struct config_map_entry *later)
{
    return ae_title_pattern_covers(earlier->called, later->called) &&
           ae_title_pattern_covers(earlier->calling, later->calling) &&
           networks_cover(&earlier->from, &later->from);
}

/* "entry 2 in line 14"; entries from --set have no line. */
static void name_entry(char out[ENTRY_NAME_SIZE], const struct config *config,
                       const struct config_map_entry *entry)
{
    size_t number = (size_t)(entry - config->entries) + 1;
    if (entry->line > 0)
        (void)snprintf(out, ENTRY_NAME_SIZE, "entry %zu in line %u", number, entry->line);
    else
        (void)snprintf(out, ENTRY_NAME_SIZE, "entry %zu", number);
}

static int check_against(const struct config *config, const struct config_map_entry *earlier,
                         const struct config_map_entry *later, struct error *err)
{
    char other[ENTRY_NAME_SIZE];
    name_entry(other, config, earlier);
    if (later->name[0] && strcmp(earlier->name, later->name) == 0) {
        (void)error_set(err, "the name %s is also that of %s; change one", later->name, other);
        return refuse(config, later, "name", err);
    }
    if (!covers(earlier, later))
        return 0;
    if (covers(later, earlier))
        (void)error_set(err, "duplicate: %s has the same called, calling and from; remove one",
                        other);
    else
        (void)error_set(err,
                        "unreachable: %s takes all that this one would; put this one before it, "
                        "or remove it",
                        other);
    return refuse(config, later, "called", err);
}

static int check_entry(const struct config *config, const struct config_map_entry *entry,
                       struct error *err)
{
    if (check_called(config, entry, err) != 0 || check_require(config, entry, err) != 0)
        return -1;
    if (entry->patient_id && template_check(entry->patient_id, err) != 0)
        return refuse(config, entry, "patient_id", err);
    return check_templates(config, entry, entry->context, "context", err);
}

/* After the entries have been held against each other, which names the one that is in the way. */
static int check_reach(const struct config *config, const struct config_map_entry *entry,
                       struct error *err)
{
    switch (reach_of(config, entry)) {
    case REACH_SOME:
        return 0;
    case REACH_TAKEN:
        (void)error_set(err, "unreachable: the entries before it take all that this one would; "
                             "put this one before them, or remove it");
        break;
    case REACH_REFUSED:
        (void)error_set(err,
                        "unreachable: `calling` and `from` of dicom.ae_titles let nobody call "
                        "%s who fits this entry; change one of them",
                        entry->called);
        break;
    }
    return refuse(config, entry, "called", err);
}

int route_check_entries(const struct config *config, struct error *err)
{
    for (size_t i = 0; i < config->entry_count; i++) {
        if (check_entry(config, &config->entries[i], err) != 0)
            return -1;
        for (size_t j = 0; j < i; j++) {
            if (check_against(config, &config->entries[j], &config->entries[i], err) != 0)
                return -1;
        }
        if (check_reach(config, &config->entries[i], err) != 0)
            return -1;
    }
    return 0;
}
