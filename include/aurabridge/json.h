/* JSON values; the only module that knows cJSON. Not thread-safe per document.
 *
 * Ownership: a value that was put into an object or array belongs to it; only the root is freed.
 * The json_set_* and json_append* functions own what they are given also when they fail. Strings
 * given are copied; they must be valid UTF-8. Integers are exact up to ±10^15.
 */
#ifndef AURABRIDGE_JSON_H
#define AURABRIDGE_JSON_H

#include "aurabridge/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct json;

/* Parses exactly one value, at most JSON_DEPTH_MAX deep. `*out` is the caller's. Returns 0 or -1.
 */
#define JSON_DEPTH_MAX 64
int json_parse(struct json **out, const char *text, size_t length, struct error *err);
void json_free(struct json *root);

/* The compact text; the caller frees it. Null when memory is short. */
char *json_print(const struct json *value);
/* The same, indented for people. */
char *json_print_pretty(const struct json *value);
/* A deep copy, the caller's. Null when memory is short or `value` is null. */
struct json *json_copy(const struct json *value);

/* New values, the caller's. Null when memory is short. */
struct json *json_new_object(void);
struct json *json_new_array(void);
struct json *json_new_string(const char *text);
struct json *json_new_int(int64_t number);
struct json *json_new_bool(bool flag);
struct json *json_new_null(void);

/* Each returns 0, or -1 when memory is short (or `child` is null). A null `text` sets null. */
int json_set(struct json *object, const char *key, struct json *child);
int json_set_string(struct json *object, const char *key, const char *text);
int json_set_int(struct json *object, const char *key, int64_t number);
int json_set_bool(struct json *object, const char *key, bool flag);
int json_set_null(struct json *object, const char *key);
int json_append(struct json *array, struct json *child);
int json_append_string(struct json *array, const char *text);

/* Reading. A null `value` is allowed everywhere and answers as if it were absent. */
const struct json *json_get(const struct json *object, const char *key); /* null when absent */
struct json *json_get_mutable(struct json *object, const char *key);
bool json_is_object(const struct json *value);
bool json_is_array(const struct json *value);
bool json_is_string(const struct json *value);
bool json_is_null(const struct json *value);
const char *json_text(const struct json *value);      /* null when it is no string */
int json_int(const struct json *value, int64_t *out); /* -1 when it is no integer */
bool json_bool(const struct json *value);             /* false when it is no true */
size_t json_size(const struct json *value);           /* members of an object or array */

/* Members in order: for (c = json_first(v); c; c = json_next(c)). json_key is null in arrays. */
const struct json *json_first(const struct json *value);
const struct json *json_next(const struct json *child);
const char *json_key(const struct json *child);

#endif
