/* `aurabridge route`: which map entry would take this file from that sender, and what context it
 * gives. Nothing is sent and nothing is stored. */
#include "command.h"

#include "aurabridge/dataset.h"
#include "aurabridge/fs.h"
#include "aurabridge/node.h"
#include "aurabridge/part10.h"
#include "aurabridge/route.h"
#include "aurabridge/text.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CHUNK_SIZE 65536

struct file_values {
    const char *path;
    const char *default_character_set;
};

static int scan_file(int fd, const char *path, const char *charset, uint32_t tag,
                     char value[ATTRIBUTE_VALUE_SIZE], struct error *err)
{
    static _Thread_local char chunk[CHUNK_SIZE];
    struct part10_header header;
    struct dataset_scanner *scanner = NULL;
    size_t got = 0;
    if (fs_read_at(fd, chunk, sizeof chunk, 0, &got, err) != 0 ||
        part10_read_header(&header, chunk, got, err) != 0)
        return error_wrap(err, "%s", path);
    if (dataset_scanner_new(&scanner, header.request.transfer_syntax_uid, charset, err) != 0)
        return -1;
    int failed = dataset_scanner_want(scanner, tag);
    uint64_t offset = header.data_set_offset;
    while (!failed && !dataset_scanner_header_done(scanner)) {
        failed = fs_read_at(fd, chunk, sizeof chunk, offset, &got, err);
        if (failed || got == 0)
            break;
        dataset_scanner_feed(scanner, chunk, got);
        offset += got;
    }
    struct dataset_result result;
    dataset_scanner_finish(scanner, &result);
    text_copy(value, ATTRIBUTE_VALUE_SIZE, dataset_scanner_value(scanner, tag));
    dataset_scanner_free(scanner);
    return failed;
}

static int first_value(void *context, uint32_t tag, char value[ATTRIBUTE_VALUE_SIZE], int *differs,
                       struct error *err)
{
    const struct file_values *values = context;
    *differs = 0;
    value[0] = '\0';
    int fd = open(values->path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return error_errno(err, errno, "opening %s", values->path);
    int failed = scan_file(fd, values->path, values->default_character_set, tag, value, err);
    (void)close(fd);
    return failed;
}

static void show_entry(const struct config_map_entry *entry)
{
    printf("entry:       %s (%s:%u)\n", entry->name[0] ? entry->name : "(no name)", entry->file,
           entry->line);
    printf("destination: %s\n", entry->destination);
}

static int show_context(const struct config_map_entry *entry, const struct association *sender,
                        const struct attribute_source *source, struct error *err)
{
    struct json *patient_id = NULL;
    struct json *context = NULL;
    int failed = route_patient_id(&patient_id, entry, sender, source, NULL, err) != 0 ||
                 route_context(&context, entry, sender, source, NULL, err) != 0;
    char *text = failed ? NULL : json_print_pretty(context);
    if (text)
        printf("patient_id:  %s\ncontext:\n%s\n", patient_id ? json_text(patient_id) : "null",
               text);
    free(text);
    json_free(patient_id);
    json_free(context);
    return failed ? -1 : 0;
}

static int show_missing(const struct config_map_entry *entry, const struct attribute_source *source,
                        struct error *err)
{
    for (size_t i = 0; i < entry->require.count; i++) {
        char value[ATTRIBUTE_VALUE_SIZE];
        uint32_t tag = 0;
        int differs = 0;
        if (route_attribute_tag(&tag, entry->require.items[i]) != 0 ||
            source->first(source->context, tag, value, &differs, err) != 0)
            return -1;
        if (!value[0])
            printf("quarantine:  required attribute %s is empty\n", entry->require.items[i]);
    }
    return 0;
}

static int show(const struct config *config, const struct association *sender, const char *path,
                struct error *err)
{
    if (node_admits(config, sender, err) != 0)
        return error_wrap(err, "the association is rejected");
    const struct config_map_entry *entry = route_match(config, sender);
    if (!entry)
        return error_set(
            err,
            "no entry of the AE-title map matches calling %s, called %s, from %s: such "
            "studies are held as unrouted",
            sender->calling_ae_title, sender->called_ae_title, sender->peer_address);
    show_entry(entry);
    const char *charset = config->dicom.default_character_set;
    struct file_values values = {path, charset[0] ? charset : NULL};
    struct attribute_source source = {&values, first_value};
    if (show_missing(entry, &source, err) != 0)
        return -1;
    return show_context(entry, sender, &source, err);
}

static int take_title(char out[AE_TITLE_SIZE], const char *text)
{
    return text ? ae_title_from_field(out, text, strlen(text)) : -1;
}

int command_route(int argc, char **argv)
{
    struct option_spec options[] = {OPTION_CONFIG, OPTION_SET,
                                    OPTION("calling", "AE", "AE title of the sender"),
                                    OPTION("called", "AE", "AE title that it calls"),
                                    OPTION("from", "IP", "its address (default 127.0.0.1)")};
    struct command_line line =
        COMMAND_LINE("aurabridge route --calling AE --called AE [--from IP] FILE.dcm", options);
    int status = 0;
    if (command_line_read(&line, argc, argv, &status) != 0)
        return status;
    struct association sender = {0};
    if (line.operand_count != 1)
        return command_misused(&line, "route takes one file");
    if (take_title(sender.calling_ae_title, option_text(&line, "calling", NULL)) != 0 ||
        take_title(sender.called_ae_title, option_text(&line, "called", NULL)) != 0)
        return command_misused(&line,
                               "--calling and --called take AE titles of 1 to 16 characters");
    struct network address;
    const char *from = option_text(&line, "from", "127.0.0.1");
    if (strchr(from, '/') || network_parse(&address, from) != 0)
        return command_misused(&line, "--from takes an IP address, not %s", from);
    text_copy(sender.peer_address, sizeof sender.peer_address, from);
    struct config *config = NULL;
    struct error err;
    if (command_load_config_without_secrets(&config, &line, &err) != 0)
        return command_failed(&err);
    int failed = show(config, &sender, line.operands[0], &err);
    config_release(config);
    return failed ? command_failed(&err) : 0;
}
