/* docs/CONFIGURATION.md from the table of keys: what stands there cannot lag behind what is
 * checked. */
#include "schema.h"

#include <string.h>

struct group {
    const char *prefix;
    const char *title;
    const char *intro; /* "" when there is nothing to say */
};

/* In the order of the document. A key belongs to the group with the longest prefix. */
static const struct group groups[] = {
    {"dicom.", "dicom: the node", "What senders see of the bridge."},
    {"dicom.ae_titles[].", "dicom.ae_titles: who may call",
     "An entry is an AE title, or a mapping with these keys:\n\n"
     "```yaml\n"
     "dicom:\n"
     "  ae_titles:\n"
     "    - AURABRIDGE\n"
     "    - {name: CLINIC_A, calling: [CT1, \"MR*\"], from: [10.2.0.0/16]}\n"
     "```"},
    {"spool.", "spool: where instances wait", ""},
    {"study.", "study: when a study is complete", ""},
    {"study.drop[].", "study.drop: what is never uploaded", ""},
    {"upload.", "upload: how studies are sent", ""},
    {"upload.limit[].", "upload.limit: how fast, and when", ""},
    {"retention.", "retention: how long things are kept", ""},
    {"destinations.", "destinations: Aurabox tenants",
     "Each destination stands under its name. The credentials stand elsewhere, and the "
     "configuration says where:\n\n"
     "| Text | Meaning |\n"
     "|---|---|\n"
     "| `env:NAME` | the environment variable `NAME` |\n"
     "| `file:PATH` | the content of a file (at most 4096 bytes, a line break at its end does not "
     "count). Let only the bridge's user read it: `chmod 0600`. It is read again on a reload. |"},
    {"ae_title_map[].", "ae_title_map: which study goes where",
     "The list stands in its own file, or directly under `ae_title_map`. See "
     "[How the map is matched](#how-the-map-is-matched) and [Templates](#templates)."},
};

static const char introduction[] =
    "# Configuration\n\n"
    "<!-- Made from the table in src/config/schema.c; do not edit. To write it anew: "
    "cmake --build BUILD --target configuration_documentation -->\n\n"
    "AuraBridge reads one YAML file, named by `--config`, and "
    "the AE-title map, in the file that `ae_title_map` names. Commented samples of both are in "
    "[`etc/`](../etc). `aurabridge check` says whether they are right. A mistake is reported with "
    "file, line and key, and nothing is started; on a reload (SIGHUP) the last good configuration "
    "stays.\n\n"
    "- A key that is left out, or has nothing behind its colon, takes its default. Unknown keys "
    "and keys that stand twice are mistakes.\n"
    "- Durations are a whole number and `ms`, `s`, `m`, `h` or `d`; sizes are bytes, or a whole "
    "number and `KiB`, `MiB`, `GiB` or `TiB`; rates are a whole number and `kbit/s`, `Mbit/s` or "
    "`Gbit/s`.\n"
    "- Relative paths start at the directory of the configuration file.\n"
    "- Where a list is asked for, one text alone is a list of one.\n"
    "- Texts that start with `*`, `{`, `[`, `&` or `!` need quotes.\n"
    "- YAML anchors, aliases, tags and further documents are not supported.\n";

static const char closing[] =
    "\n## One value from the command line: --set\n\n"
    "`--set KEY=VALUE` puts a value into the configuration before it is checked, as often as "
    "needed; the last one wins. The value is written as in YAML:\n\n"
    "```sh\n"
    "aurabridge serve --config etc/aurabridge.yaml \\\n"
    "  --set dicom.listen=127.0.0.1:4242 \\\n"
    "  --set 'dicom.ae_titles=[AURABRIDGE, TEST]' \\\n"
    "  --set destinations.main.app_secret=env:AURABOX_APP_SECRET\n"
    "```\n\n"
    "Lists are set as a whole. A key with nothing behind `=` takes its default. Relative paths "
    "start where the command was given. Mistakes name `--set KEY` in place of file and line.\n\n"
    "## How the map is matched\n\n"
    "The first entry wins whose `called`, `calling` and `from` all fit the association that "
    "brought the instance; a key that is left out fits everything. Nothing in the data set has a "
    "say in it. In patterns `*` stands for any run of characters and `?` for any one; case "
    "counts.\n\n"
    "Put special entries before general ones: an entry that can never be reached is a mistake, "
    "because earlier ones take everything that it would take, because its `called` is none of "
    "`dicom.ae_titles`, or because those let nobody call who fits it. `aurabridge route --calling "
    "X --called Y --from IP "
    "FILE.dcm` shows which entry an image would take and the context that it would give, or why "
    "the sender would be rejected.\n\n"
    "When the map is reloaded, studies that are still open keep their entry and its priority, and "
    "unrouted ones "
    "are matched again.\n\n"
    "## Templates\n\n"
    "The texts in `context` may take values from the data set and the association:\n\n"
    "| Text | Gives |\n"
    "|---|---|\n"
    "| `{PatientID}` | the attribute with that keyword |\n"
    "| `{0010,0021}` | the attribute with that tag |\n"
    "| `{PatientName.family}` | the family name of a person name |\n"
    "| `{PatientName.given}` | its given names, the middle name included |\n"
    "| `{PatientBirthDate:date}` | a date as `1977-06-03`; nothing, if it is no date |\n"
    "| `{PatientSex:sex}` | `m`, `f` or `o`; nothing for all else |\n"
    "| `{calling_ae}`, `{called_ae}` | the AE titles of the association |\n"
    "| `{AccessionNumber\\|none}` | the value, or the text behind the bar when it is empty |\n"
    "| `{{`, `}}` | the braces themselves |\n\n"
    "- A value comes from the first instance received in which the attribute is not empty. When "
    "other instances of the study have other values, the study shows a warning.\n"
    "- Names come from the alphabetic component group, or from the ideographic one where that is "
    "empty.\n"
    "- Nothing empty is sent: a text whose values are all empty is left out with its key, and so "
    "are mappings and lists that become empty by it. Fixed texts always stay.\n"
    "- `true` and `false` are sent as such, and numbers as texts. Values are not translated.\n";

static const struct group *group_of(const struct schema_key *key)
{
    const struct group *best = NULL;
    for (size_t i = 0; i < sizeof groups / sizeof *groups; i++) {
        size_t length = strlen(groups[i].prefix);
        if (strncmp(key->path, groups[i].prefix, length) == 0 &&
            (!best || length > strlen(best->prefix)))
            best = &groups[i];
    }
    return best;
}

static const char *type_words(const struct schema_key *key)
{
    static const char *const words[] = {
        [VALUE_SECTION] = "mapping",
        [VALUE_TEXT] = "text",
        [VALUE_AE_TITLE] = "AE title",
        [VALUE_PATH] = "path",
        [VALUE_SECRET] = "`env:NAME` or `file:PATH`",
        [VALUE_INTEGER] = "whole number",
        [VALUE_BOOLEAN] = "`true` or `false`",
        [VALUE_DURATION] = "duration",
        [VALUE_SIZE] = "size",
        [VALUE_SIZE_32] = "size",
        [VALUE_RATE] = "rate",
        [VALUE_TIME] = "time of day",
        [VALUE_DAYS] = "list of days",
        [VALUE_CHOICE] = "one of",
        [VALUE_TEXTS] = "list of texts",
        [VALUE_NETWORKS] = "list of networks",
        [VALUE_SPECIAL] = "list",
    };
    return key->shape ? key->shape : words[key->type];
}

/* Returns 0, or -1 when writing failed; the caller adds the results up. */
static int write_type(FILE *out, const struct schema_key *key)
{
    int result = fputs(type_words(key), out);
    for (size_t i = 0; key->choices && key->choices[i]; i++)
        result |= fprintf(out, "%s `%s`", i ? "," : "", key->choices[i]);
    if (key->least && key->most)
        result |= fprintf(out, ", `%s` to `%s`", key->least, key->most);
    return result < 0 ? -1 : 0;
}

static int write_default(FILE *out, const struct schema_key *key)
{
    int result = 0;
    if (key->required)
        result = fputs("**required**", out);
    else if (key->default_words)
        result = fputs(key->default_words, out);
    else
        result = fprintf(out, "`%s`", key->fallback ? key->fallback : "");
    return result < 0 ? -1 : 0;
}

/* Items of lists and of destinations are shown by what stands inside the item. */
static const char *shown_path(const struct schema_key *key)
{
    static const char *const items[] = {"[].", ".*."};
    for (size_t i = 0; i < sizeof items / sizeof *items; i++) {
        const char *item = strstr(key->path, items[i]);
        if (item)
            return item + strlen(items[i]);
    }
    return key->path;
}

static int write_key(FILE *out, const struct schema_key *key)
{
    int result = fprintf(out, "| `%s` | ", shown_path(key));
    result |= write_type(out, key);
    result |= fputs(" | ", out);
    result |= write_default(out, key);
    result |= fprintf(out, " | %s |\n", key->text);
    return result < 0 ? -1 : 0;
}

static int write_group(FILE *out, const struct group *group)
{
    int result = fprintf(out, "\n## %s\n\n", group->title);
    if (group->intro[0])
        result |= fprintf(out, "%s\n\n", group->intro);
    result |= fputs("| Key | Type and range | Default | Meaning |\n|---|---|---|---|\n", out);
    for (size_t i = 0; i < schema_key_count; i++) {
        const struct schema_key *key = &schema_keys[i];
        if (key->type != VALUE_SECTION && group_of(key) == group)
            result |= write_key(out, key);
    }
    return result < 0 ? -1 : 0;
}

/* Keys at the top that are more than a section. */
static int write_top(FILE *out)
{
    int result = fputs("\n| Key | Type and range | Default | Meaning |\n|---|---|---|---|\n", out);
    for (size_t i = 0; i < schema_key_count; i++) {
        if (schema_keys[i].type != VALUE_SECTION && !group_of(&schema_keys[i]))
            result |= write_key(out, &schema_keys[i]);
    }
    return result < 0 ? -1 : 0;
}

int config_write_documentation(FILE *out)
{
    int result = fputs(introduction, out);
    result |= write_top(out);
    for (size_t i = 0; i < sizeof groups / sizeof *groups; i++)
        result |= write_group(out, &groups[i]);
    result |= fputs(closing, out);
    result |= fflush(out);
    return result < 0 ? -1 : 0;
}
