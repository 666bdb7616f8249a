/* upload.limit: how fast uploads may be, and when. */
#include "loaders.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LIMITS_MAX 64
#define EVERY_DAY  0x7FU

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

int time_read(const struct node *node, int *target, struct error *err)
{
    const char *text = node->kind == NODE_TEXT ? node->text : "";
    char value[NODE_SHOWN_SIZE];
    if (node->kind == NODE_TEXT && strlen(text) == 5 && is_digit(text[0]) && is_digit(text[1]) &&
        text[2] == ':' && is_digit(text[3]) && is_digit(text[4])) {
        int hour = (text[0] - '0') * 10 + text[1] - '0';
        int minute = (text[3] - '0') * 10 + text[4] - '0';
        *target = hour * 60 + minute;
        if (minute < 60 && *target <= 24 * 60)
            return 0;
    }
    if (node->kind != NODE_TEXT)
        return document_node_error(err, node, NULL, "must be a time of day such as \"08:00\"");
    return document_node_error(err, node, NULL,
                               "\"%s\" is no time of day; write \"HH:MM\", \"00:00\" to \"24:00\"",
                               document_node_shown(value, node));
}

static int add_day(const struct node *node, unsigned *days, struct error *err)
{
    static const char *const names[] = {"mon", "tue", "wed", "thu", "fri", "sat", "sun"};
    for (unsigned i = 0; node->kind == NODE_TEXT && i < sizeof names / sizeof *names; i++) {
        if (strcmp(node->text, names[i]) == 0) {
            *days |= 1U << i;
            return 0;
        }
    }
    char value[NODE_SHOWN_SIZE] = "";
    if (node->kind == NODE_TEXT)
        (void)document_node_shown(value, node);
    return document_node_error(err, node, NULL,
                               "\"%s\" is no day; use mon, tue, wed, thu, fri, sat, sun", value);
}

int days_read(const struct node *node, unsigned *target, struct error *err)
{
    *target = 0;
    if (node->kind == NODE_TEXT)
        return add_day(node, target, err);
    if (node->kind != NODE_LIST || node->count == 0)
        return document_node_error(err, node, NULL,
                                   "must be a list of days such as [mon, tue]; leave the key out "
                                   "for every day");
    for (size_t i = 0; i < node->count; i++) {
        if (add_day(node->children[i], target, err) != 0)
            return -1;
    }
    return 0;
}

static int read_limit(struct config_upload_limit *out, const struct reading *reading,
                      const struct node *node, struct error *err)
{
    *out = (struct config_upload_limit){.from = -1, .to = -1, .days = EVERY_DAY};
    if (node->kind != NODE_MAPPING)
        return document_node_error(err, node, NULL, "must be a mapping {from, to, days, rate}");
    if (section_read(reading, node, "upload.limit[].", out, err) != 0)
        return -1;
    if ((out->from < 0) != (out->to < 0))
        return document_node_error(err, node, out->from < 0 ? "from" : "to",
                                   "is missing: a limit has both times, or none and holds always");
    if (out->from == 24 * 60)
        return document_node_error(err, document_node_get(node, "from"), NULL,
                                   "a day begins at \"00:00\"");
    if (out->from < 0) { /* whole days, then */
        out->from = 0;
        out->to = 24 * 60;
    }
    if (out->from != out->to)
        return 0;
    return document_node_error(err, document_node_get(node, "to"), NULL,
                               "is the same as from; leave out both for the whole day");
}

int upload_limits_load(const struct reading *reading, const struct node *node, struct error *err)
{
    struct config *config = reading->config;
    if (node->kind != NODE_LIST)
        return document_node_error(err, node, NULL,
                                   "must be a list of {from, to, days, rate}, e.g. [{from: "
                                   "\"08:00\", to: \"18:00\", rate: 20Mbit/s}]");
    if (node->count > LIMITS_MAX)
        return document_node_error(err, node, NULL, "has more than %d entries", LIMITS_MAX);
    if (node->count == 0)
        return 0;
    config->upload.limits = calloc(node->count, sizeof *config->upload.limits);
    if (!config->upload.limits)
        return document_node_error(err, node, NULL, "memory is short");
    for (size_t i = 0; i < node->count; i++) {
        if (read_limit(&config->upload.limits[i], reading, node->children[i], err) != 0)
            return -1;
        config->upload.limit_count = i + 1;
    }
    return 0;
}
