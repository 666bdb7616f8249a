/* Builds a tree from libyaml's events, with its own limits on size, depth and number. Guarantees
 * that no key stands twice in one mapping. Knows nothing of what the keys mean. */
#include "node.h"

#include "aurabridge/buffer.h"
#include "aurabridge/fs.h"

#include <yaml.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct builder {
    const char *file;
    const char *text; /* the whole document */
    size_t length;
    struct node *root;
    struct node *open; /* the list or mapping that takes the next value */
    char *key;         /* of the next value, in a mapping */
    unsigned key_line;
    unsigned depth, nodes, documents;
    struct error *err;
};

static int refuse(struct builder *builder, unsigned line, const char *text)
{
    if (!builder->file)
        return error_set(builder->err, "--set: %s", text);
    return error_set(builder->err, "%s:%u: %s", builder->file, line, text);
}

static unsigned line_of(const yaml_event_t *event)
{
    return (unsigned)event->start_mark.line + 1;
}

static int take_key(struct builder *builder, const yaml_event_t *event)
{
    const char *key = (const char *)event->data.scalar.value;
    unsigned line = line_of(event);
    const struct node *first = document_node_get(builder->open, key);
    if (first) {
        char path[NODE_PATH_SIZE];
        document_node_path(path, builder->open, key);
        if (!builder->file)
            return error_set(builder->err, "--set %s: the key stands twice; remove one", path);
        return error_set(builder->err,
                         "%s:%u: %s: the key stands twice, first in line %u; remove one of them",
                         builder->file, line, path, first->line);
    }
    builder->key = strdup(key);
    builder->key_line = line;
    return builder->key ? 0 : refuse(builder, line, "memory is short");
}

/* Puts the node where the next value belongs; owns it then, also on failure. */
static int place(struct builder *builder, struct node *node)
{
    if (!node)
        return refuse(builder, 0, "memory is short");
    unsigned line = node->line;
    if (++builder->nodes > YAML_NODES_MAX) {
        document_node_free(node);
        return refuse(builder, line, "too many values");
    }
    if (!builder->open) {
        builder->root = node;
        return 0;
    }
    if (builder->key)
        node->line = builder->key_line;
    if (document_node_add(builder->open, builder->key, node) != 0) {
        document_node_free(node);
        return refuse(builder, line, "memory is short");
    }
    free(builder->key);
    builder->key = NULL;
    return 0;
}

static bool expects_key(const struct builder *builder)
{
    return builder->open && builder->open->kind == NODE_MAPPING && !builder->key;
}

static int take_scalar(struct builder *builder, const yaml_event_t *event)
{
    const char *text = (const char *)event->data.scalar.value;
    if (memchr(text, '\0', event->data.scalar.length))
        return refuse(builder, line_of(event), "a text holds a NUL character");
    if (expects_key(builder))
        return take_key(builder, event);
    struct node *node = document_node_new(NODE_TEXT, builder->file, line_of(event));
    if (node) {
        node->plain = event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
        node->text = strdup(text);
        if (!node->text) {
            document_node_free(node);
            node = NULL;
        }
    }
    return place(builder, node);
}

static int open_collection(struct builder *builder, const yaml_event_t *event, enum node_kind kind)
{
    if (expects_key(builder))
        return refuse(builder, line_of(event), "a key must be a text, not a list or mapping");
    if (++builder->depth > YAML_DEPTH_MAX)
        return refuse(builder, line_of(event), "nested too deep");
    struct node *node = document_node_new(kind, builder->file, line_of(event));
    if (place(builder, node) != 0)
        return -1;
    builder->open = node;
    return 0;
}

static int refuse_decoration(struct builder *builder, const yaml_event_t *event,
                             const yaml_char_t *anchor, const yaml_char_t *tag)
{
    if (anchor)
        return refuse(builder, line_of(event),
                      "anchors (&name) are not supported; repeat the text");
    if (tag)
        return refuse(builder, line_of(event), "tags (!name) are not supported; remove it");
    return 0;
}

static int take_event(struct builder *builder, const yaml_event_t *event)
{
    switch (event->type) {
    case YAML_SCALAR_EVENT:
        if (refuse_decoration(builder, event, event->data.scalar.anchor, event->data.scalar.tag))
            return -1;
        return take_scalar(builder, event);
    case YAML_SEQUENCE_START_EVENT:
        if (refuse_decoration(builder, event, event->data.sequence_start.anchor,
                              event->data.sequence_start.tag))
            return -1;
        return open_collection(builder, event, NODE_LIST);
    case YAML_MAPPING_START_EVENT:
        if (refuse_decoration(builder, event, event->data.mapping_start.anchor,
                              event->data.mapping_start.tag))
            return -1;
        if (open_collection(builder, event, NODE_MAPPING) != 0)
            return -1;
        builder->open->braces = event->data.mapping_start.style == YAML_FLOW_MAPPING_STYLE;
        return 0;
    case YAML_SEQUENCE_END_EVENT:
    case YAML_MAPPING_END_EVENT:
        builder->depth--;
        builder->open = builder->open->parent;
        return 0;
    case YAML_ALIAS_EVENT:
        return refuse(builder, line_of(event),
                      "aliases (*name) are not supported; a text that "
                      "starts with * needs quotes");
    case YAML_DOCUMENT_START_EVENT:
        if (++builder->documents > 1)
            return refuse(builder, line_of(event), "a second document (---) is not supported");
        return 0;
    default:
        return 0;
    }
}

/* The line that a byte stands in. */
static unsigned line_of_byte(const struct builder *builder, size_t offset)
{
    unsigned line = 1;
    for (size_t i = 0; i < offset && i < builder->length; i++)
        line += builder->text[i] == '\n';
    return line;
}

/* Whether a tab stands among the white space at the start of a line. */
static bool is_indented_by_tab(const struct builder *builder, unsigned line)
{
    const char *at = builder->text;
    const char *end = builder->text + builder->length;
    for (unsigned i = 1; at && i < line; i++) {
        at = memchr(at, '\n', (size_t)(end - at));
        at = at ? at + 1 : NULL;
    }
    while (at && at < end && *at == ' ')
        at++;
    return at && at < end && *at == '\t';
}

/* Bytes that are no UTF-8, or characters that no text file has. libyaml tells no line for them. */
static int refuse_bytes(struct builder *builder, const yaml_parser_t *parser)
{
    unsigned line = line_of_byte(builder, parser->problem_offset);
    if (strstr(parser->problem, "control"))
        return refuse(builder, line, "holds a control character; remove it");
    return refuse(builder, line, "holds a character that is not UTF-8; save the file as UTF-8");
}

/* A mistake of the scanner stands where the unfinished thing began; one of the parser where it no
 * longer fits, and there the bracket that is open is worth knowing, too. */
static int refuse_syntax(struct builder *builder, const yaml_parser_t *parser)
{
    const char *problem = parser->problem ? parser->problem : "cannot be read";
    const char *context = parser->context ? parser->context : "";
    unsigned line = (unsigned)parser->problem_mark.line + 1;
    unsigned begun = (unsigned)parser->context_mark.line + 1;
    char bracket[64] = "";
    if (parser->error == YAML_READER_ERROR && parser->problem)
        return refuse_bytes(builder, parser);
    if (!builder->file)
        return error_set(builder->err, "--set: not valid YAML: %s", problem);
    if (parser->error == YAML_SCANNER_ERROR && context[0])
        line = begun;
    else if (strstr(context, "flow") && begun != line)
        (void)snprintf(bracket, sizeof bracket, " for the bracket opened in line %u", begun);
    return error_set(
        builder->err, "%s:%u: not valid YAML: %s%s; %s", builder->file, line, problem, bracket,
        is_indented_by_tab(builder, line) ? "the line starts with a tab: indent with spaces only"
                                          : "look at indentation, colons and quotes there");
}

static int build(struct builder *builder, yaml_parser_t *parser)
{
    for (bool end = false; !end;) {
        yaml_event_t event;
        if (!yaml_parser_parse(parser, &event))
            return refuse_syntax(builder, parser);
        end = event.type == YAML_STREAM_END_EVENT;
        int result = take_event(builder, &event);
        yaml_event_delete(&event);
        if (result != 0)
            return -1;
    }
    if (builder->root)
        return 0;
    struct node *nothing = document_node_new(NODE_TEXT, builder->file, 1);
    if (nothing)
        nothing->plain = true;
    return place(builder, nothing);
}

int yaml_parse(struct node **out, const char *file, const char *text, size_t length,
               struct error *err)
{
    static const char mark[] = "\xEF\xBB\xBF"; /* some editors start UTF-8 files so */
    *out = NULL;
    if (length >= sizeof mark - 1 && memcmp(text, mark, sizeof mark - 1) == 0) {
        text += sizeof mark - 1;
        length -= sizeof mark - 1;
    }
    struct builder builder = {.file = file, .text = text, .length = length, .err = err};
    yaml_parser_t parser;
    if (!yaml_parser_initialize(&parser))
        return refuse(&builder, 1, "memory is short");
    yaml_parser_set_encoding(&parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&parser, (const unsigned char *)text, length);
    int result = build(&builder, &parser);
    yaml_parser_delete(&parser);
    free(builder.key);
    if (result != 0) {
        document_node_free(builder.root);
        return -1;
    }
    *out = builder.root;
    return 0;
}

int yaml_parse_file(struct node **out, const char *file, struct error *err)
{
    struct buffer content;
    buffer_init(&content, YAML_FILE_MAX);
    *out = NULL;
    int result = fs_read_file(&content, file, err);
    if (result == 0)
        result = yaml_parse(out, file, content.data, content.length, err);
    buffer_free(&content);
    return result;
}
