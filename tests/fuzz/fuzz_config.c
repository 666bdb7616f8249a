/* The configuration, the AE-title map and its templates. Two kinds of input:
 *
 *   the configuration, "%%%", the map's file, "%%%", --set texts, a line each
 *   "%template", a template, "%%%", the attributes' values, a line each     (config_template.c)
 *
 * Whatever the files say: what loads lies within the table's ranges, renders without a syntax error
 * and without anything empty, and is the same after it was kept beside the spool; what does not
 * load says why in one line that names a place, the line moves with the text, and no secret gets
 * out; and no entry is called unreachable that an association does reach.
 */
#include "config_checks.h"

#include "aurabridge/fs.h"
#include "schema.h"

#include "aurabridge/units.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SECRET        "fuzz-SECRET-value"
#define OVERRIDES_MAX 16
#define SHIFT         "#\n#\n#\n"
#define SHIFT_LINES   3

static char main_path[300], map_path[300];

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    char path[300];
    (void)argc;
    (void)argv;
    (void)setenv("FUZZ_SECRET", SECRET, 1);
    (void)snprintf(main_path, sizeof main_path, "%s/bridge.yaml", fuzz_directory());
    (void)snprintf(map_path, sizeof map_path, "%s/map.yaml", fuzz_directory());
    (void)snprintf(path, sizeof path, "%s/secret", fuzz_directory());
    fuzz_write_file(path, SECRET "\n", strlen(SECRET "\n"));
    (void)snprintf(path, sizeof path, "%s/empty", fuzz_directory());
    fuzz_write_file(path, "", 0);
    config_checks_start();
    return 0;
}

/* ---- what is in range ---- */

static uint64_t parsed(enum value_type type, const char *text)
{
    uint64_t size = 0;
    int64_t duration = 0;
    if (type == VALUE_DURATION) {
        FUZZ_CHECK_TEXT(units_parse_duration(&duration, text) == 0, text);
        return (uint64_t)duration;
    }
    FUZZ_CHECK_TEXT((type == VALUE_RATE ? units_parse_rate : units_parse_size)(&size, text) == 0,
                    text);
    return size;
}

static uint64_t number_at(enum value_type type, const void *value)
{
    uint64_t wide = 0;
    uint32_t narrow = 0;
    if (type == VALUE_DURATION || type == VALUE_SIZE || type == VALUE_RATE) {
        memcpy(&wide, value, sizeof wide);
        return wide;
    }
    memcpy(&narrow, value, sizeof narrow);
    return narrow;
}

static void check_range(const struct schema_key *key, const void *of)
{
    const char *value = (const char *)of + key->offset;
    bool is_number = key->type == VALUE_INTEGER || key->type == VALUE_DURATION ||
                     key->type == VALUE_SIZE || key->type == VALUE_SIZE_32 ||
                     key->type == VALUE_RATE;
    if (is_number && key->least) {
        uint64_t number = number_at(key->type, value);
        FUZZ_CHECK_TEXT(number >= parsed(key->type, key->least) &&
                            number <= parsed(key->type, key->most),
                        key->path);
    } else if (key->type == VALUE_TEXT && key->check) {
        const char *text = *(const char *const *)(const void *)value;
        FUZZ_CHECK_TEXT(!text || !key->check(text), key->path);
    } else if (key->type == VALUE_CHOICE) {
        uint32_t choices = 0;
        while (key->choices[choices])
            choices++;
        FUZZ_CHECK_TEXT(number_at(key->type, value) < choices, key->path);
    }
}

static void check_ranges(const struct config *config)
{
    for (size_t i = 0; i < schema_key_count; i++) {
        const struct schema_key *key = &schema_keys[i];
        if (strncmp(key->path, "destinations.*.", 15) == 0) {
            for (size_t j = 0; j < config->destination_count; j++)
                check_range(key, &config->destinations[j]);
        } else if (strncmp(key->path, "ae_title_map[].", 15) == 0) {
            for (size_t j = 0; j < config->entry_count; j++)
                if (config->entries[j].quiet_period_ms >= 0 || key->type != VALUE_DURATION)
                    check_range(key, &config->entries[j]);
        } else if (strncmp(key->path, "upload.limit[].", 15) == 0) {
            for (size_t j = 0; j < config->upload.limit_count; j++)
                check_range(key, &config->upload.limits[j]);
        } else if (!strstr(key->path, "[]")) {
            check_range(key, config);
        }
    }
    FUZZ_CHECK(config->dicom.ae_title_count > 0 && config->destination_count > 0);
    for (size_t i = 0; i < config->upload.limit_count; i++) {
        const struct config_upload_limit *limit = &config->upload.limits[i];
        FUZZ_CHECK(limit->from >= 0 && limit->from < 1440 && limit->to >= 0 && limit->to <= 1440);
        FUZZ_CHECK(limit->from != limit->to && limit->days > 0 && limit->days < 128);
    }
    for (size_t i = 0; i < config->entry_count; i++)
        FUZZ_CHECK(config_destination(config, config->entries[i].destination) != NULL);
}

/* ---- loading ---- */

struct documents {
    char *main, *map, *overrides;
    const char *sets[OVERRIDES_MAX];
    size_t set_count;
};

static void write_documents(const struct documents *documents, const char *before_main,
                            const char *before_map)
{
    const struct {
        const char *path, *before, *text;
    } files[] = {{main_path, before_main, documents->main}, {map_path, before_map, documents->map}};
    for (size_t i = 0; i < 2; i++) {
        size_t before = strlen(files[i].before);
        size_t length = strlen(files[i].text);
        char *whole = malloc(before + length + 1);
        if (!whole)
            abort();
        memcpy(whole, files[i].before, before);
        memcpy(whole + before, files[i].text, length);
        fuzz_write_file(files[i].path, whole, before + length);
        free(whole);
    }
}

/* Without the figures, which may have moved. */
static void drop_digits(char *text)
{
    char *out = text;
    for (const char *at = text; *at; at++)
        if (*at < '0' || *at > '9')
            *out++ = *at;
    *out = '\0';
}

/* The line that an error names in the file; 0: it names none. */
static unsigned long line_in(const char *error, const char *path)
{
    size_t length = strlen(path);
    if (strncmp(error, path, length) != 0 || error[length] != ':')
        return 0;
    return strtoul(error + length + 1, NULL, 10);
}

/* The same text further down gives the same error, further down. */
static void check_moved(const struct error *before, const struct error *after)
{
    struct error plain[2] = {*before, *after};
    const char *const paths[] = {main_path, map_path};
    for (size_t i = 0; i < 2; i++) {
        unsigned long line = line_in(before->text, paths[i]);
        unsigned long moved = line_in(after->text, paths[i]);
        /* A document without anything in it misses its keys in the first line. */
        bool is_nowhere = line == 1 && moved == 1 && strstr(after->text, "is missing");
        FUZZ_CHECK_TEXT(is_nowhere || moved == (line ? line + SHIFT_LINES : 0), after->text);
    }
    if (strlen(before->text) > ERROR_TEXT_MAX - 32)
        return; /* cut, and elsewhere */
    drop_digits(plain[0].text);
    drop_digits(plain[1].text);
    FUZZ_CHECK_TEXT(strcmp(plain[0].text, plain[1].text) == 0, after->text);
}

static void check_same(const struct config *a, const struct config *b)
{
    FUZZ_CHECK(a->entry_count == b->entry_count && a->destination_count == b->destination_count);
    for (size_t i = 0; i < a->entry_count; i++) {
        char keys[2][ROUTE_KEY_SIZE];
        FUZZ_CHECK(route_key(keys[0], &a->entries[i], NULL) == 0 &&
                   route_key(keys[1], &b->entries[i], NULL) == 0);
        FUZZ_CHECK(strcmp(keys[0], keys[1]) == 0);
    }
}

/* The fuzzer learns the texts that are looked for, and writes them itself. */
static bool holds(const struct documents *documents, const char *text)
{
    if (strstr(documents->main, text) || strstr(documents->map, text))
        return true;
    for (size_t i = 0; i < documents->set_count; i++)
        if (strstr(documents->sets[i], text))
            return true;
    return false;
}

static void check_error(const struct documents *documents, const struct error *err)
{
    FUZZ_CHECK_TEXT(fuzz_is_line(err->text, sizeof err->text), err->text);
    if (!holds(documents, "(null"))
        FUZZ_CHECK_TEXT(!strstr(err->text, "(null)"), err->text);
    FUZZ_CHECK_TEXT(strstr(err->text, fuzz_directory()) || strstr(err->text, "--set"), err->text);
    if (!holds(documents, SECRET))
        FUZZ_CHECK_TEXT(!strstr(err->text, SECRET), err->text);
}

static void load(const struct documents *documents)
{
    struct config *config = NULL;
    struct config *moved = NULL;
    struct error err = {""};
    struct error moved_err = {""};
    bool has_mark = strncmp(documents->main, "\xEF\xBB\xBF", 3) == 0 ||
                    strncmp(documents->map, "\xEF\xBB\xBF", 3) == 0;
    write_documents(documents, "", "");
    int result = config_load(&config, main_path, documents->sets, documents->set_count,
                             config_checks_entries, &err);
    FUZZ_CHECK((result == 0) == (config != NULL));
    if (!has_mark) {
        write_documents(documents, SHIFT, SHIFT);
        int again = config_load(&moved, main_path, documents->sets, documents->set_count,
                                route_check_entries, &moved_err);
        FUZZ_CHECK(again == result);
        if (result == 0)
            check_same(config, moved);
        else
            check_moved(&err, &moved_err);
    }
    if (result == 0) {
        check_ranges(config);
        config_checks_use(config);
    } else {
        check_error(documents, &err);
    }
    config_release(moved);
    config_release(config);
}

static void split_overrides(struct documents *documents)
{
    char *rest = documents->overrides;
    while (documents->set_count < OVERRIDES_MAX && rest && *rest)
        documents->sets[documents->set_count++] = strsep(&rest, "\n");
}

/* What is outside is none of the test's business, and a device could keep it waiting. */
static bool leads_outside(const char *text)
{
    return strstr(text, "/dev") || strstr(text, "/proc") || strstr(text, "/sys") ||
           strstr(text, "/tmp") || strstr(text, "..");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char mark[] = "%template\n";
    struct fuzz_input input = {data, size};
    fuzz_log_must_not_hold(NULL);
    if (size >= sizeof mark - 1 && memcmp(data, mark, sizeof mark - 1) == 0) {
        input.at += sizeof mark - 1;
        input.left -= sizeof mark - 1;
        config_template(input);
        return 0;
    }
    struct documents documents = {.main = fuzz_section(&input, NULL),
                                  .map = fuzz_section(&input, NULL),
                                  .overrides = fuzz_section(&input, NULL)};
    if (!leads_outside(documents.main) && !leads_outside(documents.map) &&
        !leads_outside(documents.overrides)) {
        split_overrides(&documents);
        load(&documents);
    }
    free(documents.main);
    free(documents.map);
    free(documents.overrides);
    return 0;
}
