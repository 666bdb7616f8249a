/* Options of a command, from a table that also makes its help. */
#include "command.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static void print_help(const struct command_line *line, const char *about)
{
    printf("usage: %s\n", line->synopsis);
    if (about[0])
        printf("%c%s.\n\n", toupper((unsigned char)about[0]), about + 1);
    for (size_t i = 0; i < line->option_count; i++) {
        const struct option_spec *option = &line->options[i];
        char left[64];
        (void)snprintf(left, sizeof left, "--%s%s%s", option->name, option->value ? " " : "",
                       option->value ? option->value : "");
        printf("  %-30s %s\n", left, option->help);
    }
}

int command_misused(const struct command_line *line, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    (void)fputs("aurabridge: ", stderr);
    (void)vfprintf(stderr, format, arguments);
    (void)fprintf(stderr, "\nusage: %s\n", line->synopsis);
    va_end(arguments);
    return EXIT_USAGE;
}

static struct option_spec *find_named(struct command_line *line, const char *name, size_t length)
{
    for (size_t i = 0; i < line->option_count; i++) {
        struct option_spec *option = &line->options[i];
        if (strlen(option->name) == length && memcmp(option->name, name, length) == 0)
            return option;
    }
    return NULL;
}

static int read_option(struct command_line *line, int argc, char **argv, int *at)
{
    const char *name = argv[*at] + 2;
    const char *equals = strchr(name, '=');
    size_t length = equals ? (size_t)(equals - name) : strlen(name);
    struct option_spec *option = find_named(line, name, length);
    if (!option)
        return command_misused(line, "unknown option --%.*s", (int)length, name);
    if (option->count == OPTION_VALUES_MAX)
        return command_misused(line, "--%s is given more than %d times", option->name,
                               OPTION_VALUES_MAX);
    const char *value = "";
    if (option->value && equals)
        value = equals + 1;
    else if (option->value && *at + 1 < argc)
        value = argv[++*at];
    else if (option->value)
        return command_misused(line, "--%s needs a value: %s", option->name, option->value);
    else if (equals)
        return command_misused(line, "--%s takes no value", option->name);
    option->given[option->count++] = value;
    return 0;
}

int command_line_read(struct command_line *line, int argc, char **argv, int *exit_status)
{
    bool options_end = false;
    for (int at = 1; at < argc; at++) {
        const char *word = argv[at];
        if (!options_end && strcmp(word, "--") == 0) {
            options_end = true;
        } else if (!options_end && (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0)) {
            print_help(line, argc > 0 ? command_about(argv[0]) : "");
            *exit_status = 0;
            return -1;
        } else if (!options_end && strncmp(word, "--", 2) == 0) {
            *exit_status = read_option(line, argc, argv, &at);
            if (*exit_status != 0)
                return -1;
        } else if (line->operand_count < OPTION_VALUES_MAX) {
            line->operands[line->operand_count++] = word;
        } else {
            *exit_status = command_misused(line, "too many operands");
            return -1;
        }
    }
    return 0;
}

const struct option_spec *option_find(const struct command_line *line, const char *name)
{
    for (size_t i = 0; i < line->option_count; i++) {
        if (strcmp(line->options[i].name, name) == 0)
            return &line->options[i];
    }
    return NULL;
}

const char *option_text(const struct command_line *line, const char *name, const char *otherwise)
{
    const struct option_spec *option = option_find(line, name);
    return option && option->count > 0 ? option->given[option->count - 1] : otherwise;
}

bool option_flag(const struct command_line *line, const char *name)
{
    const struct option_spec *option = option_find(line, name);
    return option && option->count > 0;
}
