/* JSON over cJSON. A struct json is a cJSON node under another name; the type never leaves here. */
#include "aurabridge/json.h"

#include <cjson/cJSON.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* cJSON prints fifteen digits. */
#define EXACT_INTEGER_MAX 1e15

static cJSON *node(struct json *value)
{
    return (cJSON *)(void *)value;
}

static const cJSON *view(const struct json *value)
{
    return (const cJSON *)(const void *)value;
}

static struct json *wrap(cJSON *value)
{
    return (struct json *)(void *)value;
}

/* cJSON recurses while it parses and allows a depth of 1,000; what is refused here never gets
 * there. */
static bool too_deep(const char *text, size_t length)
{
    int depth = 0;
    bool in_string = false;
    for (size_t i = 0; i < length; i++) {
        char c = text[i];
        if (in_string) {
            if (c == '\\')
                i++;
            else if (c == '"')
                in_string = false;
        } else if (c == '"') {
            in_string = true;
        } else if (c == '{' || c == '[') {
            if (++depth > JSON_DEPTH_MAX)
                return true;
        } else if (c == '}' || c == ']') {
            depth--;
        }
    }
    return false;
}

static bool only_space(const char *text, const char *end)
{
    while (text < end && (*text == ' ' || *text == '\t' || *text == '\n' || *text == '\r'))
        text++;
    return text == end;
}

int json_parse(struct json **out, const char *text, size_t length, struct error *err)
{
    *out = NULL;
    if (too_deep(text, length))
        return error_set(err, "JSON is nested deeper than %d levels", JSON_DEPTH_MAX);
    const char *end = NULL;
    cJSON *root = cJSON_ParseWithLengthOpts(text, length, &end, false);
    if (!root) {
        long at = end ? (long)(end - text) : 0;
        return error_set(err, "no valid JSON at byte %ld of %zu", at, length);
    }
    if (!only_space(end, text + length)) {
        cJSON_Delete(root);
        return error_set(err, "JSON is followed by other bytes at byte %ld", (long)(end - text));
    }
    *out = wrap(root);
    return 0;
}

void json_free(struct json *root)
{
    cJSON_Delete(node(root));
}

char *json_print(const struct json *value)
{
    return cJSON_PrintUnformatted(view(value));
}

char *json_print_pretty(const struct json *value)
{
    return cJSON_Print(view(value));
}

struct json *json_copy(const struct json *value)
{
    return value ? wrap(cJSON_Duplicate(view(value), true)) : NULL;
}

struct json *json_new_object(void)
{
    return wrap(cJSON_CreateObject());
}

struct json *json_new_array(void)
{
    return wrap(cJSON_CreateArray());
}

struct json *json_new_string(const char *text)
{
    return wrap(text ? cJSON_CreateString(text) : cJSON_CreateNull());
}

struct json *json_new_int(int64_t number)
{
    return wrap(cJSON_CreateNumber((double)number));
}

struct json *json_new_bool(bool flag)
{
    return wrap(cJSON_CreateBool(flag));
}

struct json *json_new_null(void)
{
    return wrap(cJSON_CreateNull());
}

int json_set(struct json *object, const char *key, struct json *child)
{
    if (object && child) {
        if (cJSON_HasObjectItem(node(object), key))
            cJSON_DeleteItemFromObjectCaseSensitive(node(object), key);
        if (cJSON_AddItemToObject(node(object), key, node(child)))
            return 0;
    }
    json_free(child);
    return -1;
}

int json_set_string(struct json *object, const char *key, const char *text)
{
    return json_set(object, key, json_new_string(text));
}

int json_set_int(struct json *object, const char *key, int64_t number)
{
    return json_set(object, key, json_new_int(number));
}

int json_set_bool(struct json *object, const char *key, bool flag)
{
    return json_set(object, key, json_new_bool(flag));
}

int json_set_null(struct json *object, const char *key)
{
    return json_set(object, key, json_new_null());
}

int json_append(struct json *array, struct json *child)
{
    if (array && child && cJSON_AddItemToArray(node(array), node(child)))
        return 0;
    json_free(child);
    return -1;
}

int json_append_string(struct json *array, const char *text)
{
    return json_append(array, json_new_string(text));
}

const struct json *json_get(const struct json *object, const char *key)
{
    return (const struct json *)(const void *)cJSON_GetObjectItemCaseSensitive(view(object), key);
}

struct json *json_get_mutable(struct json *object, const char *key)
{
    return wrap(cJSON_GetObjectItemCaseSensitive(node(object), key));
}

bool json_is_object(const struct json *value)
{
    return cJSON_IsObject(view(value));
}

bool json_is_array(const struct json *value)
{
    return cJSON_IsArray(view(value));
}

bool json_is_string(const struct json *value)
{
    return cJSON_IsString(view(value));
}

bool json_is_null(const struct json *value)
{
    return cJSON_IsNull(view(value));
}

const char *json_text(const struct json *value)
{
    return cJSON_GetStringValue(view(value));
}

int json_int(const struct json *value, int64_t *out)
{
    if (!cJSON_IsNumber(view(value)))
        return -1;
    double number = cJSON_GetNumberValue(view(value));
    if (!(fabs(number) <= EXACT_INTEGER_MAX) || number != floor(number))
        return -1;
    *out = (int64_t)number;
    return 0;
}

bool json_bool(const struct json *value)
{
    return cJSON_IsTrue(view(value));
}

size_t json_size(const struct json *value)
{
    return (size_t)cJSON_GetArraySize(view(value));
}

const struct json *json_first(const struct json *value)
{
    return value ? (const struct json *)(const void *)view(value)->child : NULL;
}

const struct json *json_next(const struct json *child)
{
    return child ? (const struct json *)(const void *)view(child)->next : NULL;
}

const char *json_key(const struct json *child)
{
    return child ? view(child)->string : NULL;
}
