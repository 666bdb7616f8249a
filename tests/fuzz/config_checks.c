/* See the header. */
#include "config_checks.h"

#include "aurabridge/spool.h"
#include "kept_entry.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define TITLES_MAX    24
#define ADDRESSES_MAX 12
#define ENTRIES_USED  8 /* of a long map */

static struct spool *spool;

void config_checks_start(void)
{
    char path[300];
    struct error err;
    (void)snprintf(path, sizeof path, "%s/spool", fuzz_directory());
    if (spool_open(&spool, path, 0, &err) != 0)
        fuzz_fail(__FILE__, __LINE__, "a spool opens", err.text);
}

/* ---- who reaches an entry ---- */

struct samples {
    char titles[TITLES_MAX][AE_TITLE_SIZE];
    size_t title_count;
    char addresses[ADDRESSES_MAX][NETWORK_ADDRESS_SIZE];
    size_t address_count;
};

/* A title that fits the pattern, with `filling` for each run and letter. */
static void add_title(struct samples *samples, const char *pattern, const char *filling)
{
    char text[64] = "";
    for (const char *at = pattern; *at && strlen(text) + 2 < sizeof text; at++) {
        const char letter[2] = {*at, '\0'};
        const char *more = *at == '*' ? filling : *at == '?' ? "Q" : letter;
        (void)strncat(text, more, sizeof text - strlen(text) - 1);
    }
    if (samples->title_count < TITLES_MAX &&
        ae_title_from_field(samples->titles[samples->title_count], text, strlen(text)) == 0)
        samples->title_count++;
}

static void add_pattern(struct samples *samples, const char *pattern)
{
    add_title(samples, pattern, "");
    add_title(samples, pattern, "X");
}

static void add_address(struct samples *samples, const uint8_t bytes[16])
{
    static const uint8_t mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF};
    if (samples->address_count == ADDRESSES_MAX)
        return;
    char *out = samples->addresses[samples->address_count++];
    bool is_ipv4 = memcmp(bytes, mapped, sizeof mapped) == 0;
    FUZZ_CHECK(inet_ntop(is_ipv4 ? AF_INET : AF_INET6, is_ipv4 ? bytes + 12 : bytes, out,
                         NETWORK_ADDRESS_SIZE));
}

static void add_networks(struct samples *samples, const struct config_networks *networks)
{
    for (size_t i = 0; i < networks->count; i++) {
        uint8_t last[16];
        const struct network *network = &networks->items[i];
        memcpy(last, network->address, sizeof last);
        for (unsigned bit = network->prefix; bit < 128; bit++)
            last[bit / 8] |= (uint8_t)(0x80U >> bit % 8);
        add_address(samples, network->address);
        add_address(samples, last);
    }
}

static void collect(struct samples *samples, const struct config *config,
                    const struct config_map_entry *entry)
{
    static const uint8_t elsewhere[16] = {0x20, 0x01, 0x0D, 0xB8, 9};
    *samples = (struct samples){.title_count = 0};
    add_pattern(samples, entry->calling);
    add_networks(samples, &entry->from);
    for (size_t i = 0; i < config->dicom.ae_title_count; i++) {
        const struct config_ae_title *title = &config->dicom.ae_titles[i];
        for (size_t j = 0; j < title->calling.count; j++)
            add_pattern(samples, title->calling.items[j]);
        add_networks(samples, &title->from);
    }
    add_title(samples, "*", "Z9");
    add_address(samples, elsewhere);
}

/* As the node decides (PS3.8 9.3.4): who may call that title. */
static bool may_call(const struct config_ae_title *title, const struct association *association)
{
    bool calling = title->calling.count == 0;
    bool from = title->from.count == 0;
    for (size_t i = 0; i < title->calling.count && !calling; i++)
        calling = ae_title_matches(title->calling.items[i], association->calling_ae_title);
    for (size_t i = 0; i < title->from.count && !from; i++)
        from = network_contains(&title->from.items[i], association->peer_address);
    return calling && from;
}

static void check_unreachable(const struct config *config, const struct config_map_entry *entry,
                              const char *why)
{
    static struct samples samples;
    collect(&samples, config, entry);
    for (size_t i = 0; i < config->dicom.ae_title_count && i < 8; i++) {
        struct association association = {.id = 1};
        memcpy(association.called_ae_title, config->dicom.ae_titles[i].name, AE_TITLE_SIZE);
        for (size_t j = 0; j < samples.title_count * samples.address_count; j++) {
            memcpy(association.calling_ae_title, samples.titles[j / samples.address_count],
                   AE_TITLE_SIZE);
            memcpy(association.peer_address, samples.addresses[j % samples.address_count],
                   NETWORK_ADDRESS_SIZE);
            if (may_call(&config->dicom.ae_titles[i], &association))
                FUZZ_CHECK_TEXT(route_match(config, &association) != entry, why);
        }
    }
}

int config_checks_entries(const struct config *config, struct error *err)
{
    struct error why = {""};
    int result = route_check_entries(config, &why);
    if (result == 0)
        return 0;
    const char *place = strstr(why.text, ": ae_title_map[");
    if (!place)
        place = strstr(why.text, "--set ae_title_map[");
    FUZZ_CHECK_TEXT(place, why.text);
    char *key = NULL; /* behind the number: what follows it may be any text of the file */
    unsigned long number = strtoul(strchr(place, '[') + 1, &key, 10);
    FUZZ_CHECK_TEXT(number >= 1 && number <= config->entry_count, why.text);
    if (strncmp(key, "].called: unreachable", 21) == 0 ||
        strncmp(key, "].called: duplicate", 19) == 0)
        check_unreachable(config, &config->entries[number - 1], why.text);
    if (err)
        *err = why;
    return result;
}

/* ---- use ---- */

struct rendered {
    struct json *context, *patient_id;
    int failed;
};

static void render(struct rendered *out, const struct config_map_entry *entry)
{
    static const struct attribute_source source = {.first = config_value};
    static const struct association association = {
        .id = 1, .calling_ae_title = "CT1", .called_ae_title = "A", .peer_address = "10.1.2.3"};
    struct error err = {""};
    struct buffer warning;
    buffer_init(&warning, 512);
    *out = (struct rendered){.failed = 0};
    out->failed |= route_context(&out->context, entry, &association, &source, &warning, &err);
    if (!out->failed)
        out->failed |=
            route_patient_id(&out->patient_id, entry, &association, &source, &warning, &err);
    if (out->failed) {
        FUZZ_CHECK_TEXT(strstr(err.text, "longer than"), err.text);
        FUZZ_CHECK_TEXT(!strstr(err.text, "(null)"), err.text);
    }
    FUZZ_CHECK_TEXT(!strstr(err.text, CONFIG_VALUE), err.text);
    FUZZ_CHECK(!strstr(warning.data, CONFIG_VALUE));
    if (!out->failed && json_size(out->context) > 0)
        config_check_rendered(out->context);
    if (!out->failed && out->patient_id)
        config_check_rendered(out->patient_id);
    buffer_free(&warning);
}

static void check_equal(const struct json *a, const struct json *b)
{
    char *left = a ? json_print(a) : NULL;
    char *right = b ? json_print(b) : NULL;
    FUZZ_CHECK((left == NULL) == (right == NULL));
    if (left && right)
        FUZZ_CHECK_TEXT(strcmp(left, right) == 0, left);
    free(left);
    free(right);
}

static void free_rendered(struct rendered *rendered)
{
    json_free(rendered->context);
    json_free(rendered->patient_id);
}

/* The map has lost the entry; what was kept of it gives the same. */
static void check_kept(const struct config_map_entry *entry, const struct config *nothing)
{
    char key[ROUTE_KEY_SIZE];
    char path[400];
    struct kept_entry kept;
    struct error err = {""};
    struct rendered own;
    struct rendered again;
    FUZZ_CHECK(route_key(key, entry, NULL) == 0);
    if (kept_entry_find(&kept, spool, nothing, key, &err) != 0)
        fuzz_fail(__FILE__, __LINE__, "a kept entry is found", err.text);
    FUZZ_CHECK(kept.own != NULL);
    FUZZ_CHECK(strcmp(kept.entry->name, entry->name) == 0);
    FUZZ_CHECK(strcmp(kept.entry->destination, entry->destination) == 0);
    FUZZ_CHECK(kept.entry->require.count == entry->require.count);
    for (size_t i = 0; i < entry->require.count; i++)
        FUZZ_CHECK(strcmp(kept.entry->require.items[i], entry->require.items[i]) == 0);
    render(&own, entry);
    render(&again, kept.entry);
    FUZZ_CHECK(own.failed == again.failed);
    check_equal(own.context, again.context);
    check_equal(own.patient_id, again.patient_id);
    free_rendered(&own);
    free_rendered(&again);
    kept_entry_free(&kept);
    (void)snprintf(path, sizeof path, "%s/entries/%s.json", spool_directory(spool), key);
    (void)unlink(path);
}

void config_checks_use(const struct config *config)
{
    static const struct config nothing;
    struct config few = *config;
    struct error err = {""};
    if (few.entry_count > ENTRIES_USED)
        few.entry_count = ENTRIES_USED;
    if (kept_entries_save(spool, &few, &err) != 0)
        fuzz_fail(__FILE__, __LINE__, "the entries are kept", err.text);
    for (size_t i = 0; i < few.entry_count; i++)
        check_kept(&few.entries[i], &nothing);
}
