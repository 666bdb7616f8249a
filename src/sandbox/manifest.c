/* What a good init body is. Strict where the protocol is definite (names of fields, types, keys,
 * counts, padding), silent where devices are free (the form of dates, leading zeros in UIDs).
 * Complaints name the field, never its value, for the values are patient data.
 */
#include "manifest.h"

#include "call.h"
#include "text.h"

#include "aurabridge/text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_FIELD      256
#define MAX_COMPLAINTS 100

enum kind {
    KIND_TEXT,          /* a string, possibly "" */
    KIND_OPTIONAL_TEXT, /* the same, null, or absent */
    KIND_COUNT,         /* an integer, at least 1 */
    KIND_OTHER          /* checked elsewhere */
};

struct field {
    const char *name;
    enum kind kind;
};

static const struct field top_fields[] = {{"upload_id", KIND_OTHER}, {"mode", KIND_OTHER},
                                          {"type", KIND_OTHER},      {"source", KIND_TEXT},
                                          {"context", KIND_OTHER},   {"patient_id", KIND_OTHER},
                                          {"studies", KIND_OTHER},   {NULL, KIND_OTHER}};

static const struct field study_fields[] = {
    {"study_uid", KIND_TEXT},     {"study_description", KIND_TEXT}, {"institution_name", KIND_TEXT},
    {"patient_id", KIND_TEXT},    {"patient_name", KIND_TEXT},      {"study_date", KIND_TEXT},
    {"study_time", KIND_TEXT},    {"modalities", KIND_OTHER},       {"images", KIND_COUNT},
    {"series_count", KIND_COUNT}, {"series", KIND_OTHER},           {NULL, KIND_OTHER}};

static const struct field series_fields[] = {
    {"study_instance_uid", KIND_TEXT},          {"series_instance_uid", KIND_TEXT},
    {"modality", KIND_OPTIONAL_TEXT},           {"series_description", KIND_OPTIONAL_TEXT},
    {"body_part_examined", KIND_OPTIONAL_TEXT}, {"series_date", KIND_OPTIONAL_TEXT},
    {"series_time", KIND_OPTIONAL_TEXT},        {"study_date", KIND_OPTIONAL_TEXT},
    {"series_number", KIND_OPTIONAL_TEXT},      {NULL, KIND_OTHER}};

struct check {
    struct json *errors;
    size_t complaints;
    bool failed; /* memory */
};

static void complain(struct check *check, const char *field, const char *text)
{
    char name[MAX_FIELD];
    (void)snprintf(name, sizeof name, "%s", field);
    text_repair_utf8(name);
    if (++check->complaints > MAX_COMPLAINTS || check->failed)
        return;
    struct json *texts = json_get_mutable(check->errors, name);
    if (!texts) {
        texts = json_new_array();
        if (json_set(check->errors, name, texts) != 0) {
            check->failed = true;
            return;
        }
    }
    if (json_append_string(texts, text) != 0)
        check->failed = true;
}

static void join(char out[MAX_FIELD], const char *prefix, const char *name)
{
    text_copy(out, MAX_FIELD - 1, prefix);
    size_t used = strlen(out);
    if (used > 0)
        out[used++] = '.';
    text_copy(out + used, MAX_FIELD - used, name);
}

/* Text of DICOM attributes comes without its padding (PS3.5 6.2). */
static void check_padding(struct check *check, const char *name, const char *text)
{
    size_t length = strlen(text);
    if (length > 0 && text[length - 1] == ' ')
        complain(check, name, "The field must not end in padding.");
}

static void check_field(struct check *check, const struct json *object, const char *prefix,
                        const struct field *field)
{
    char name[MAX_FIELD];
    join(name, prefix, field->name);
    const struct json *value = json_get(object, field->name);
    int64_t number;
    switch (field->kind) {
    case KIND_OPTIONAL_TEXT:
        if (!value || json_is_null(value))
            return;
        __attribute__((fallthrough));
    case KIND_TEXT:
        if (!json_is_string(value))
            complain(check, name, "The field must be a string.");
        else
            check_padding(check, name, json_text(value));
        return;
    case KIND_COUNT:
        if (json_int(value, &number) != 0 || number < 1 || number > ANNOUNCED_INSTANCES_MAX)
            complain(check, name, "The field must be a positive integer.");
        return;
    case KIND_OTHER:
        return;
    }
}

static void check_fields(struct check *check, const struct json *object, const char *prefix,
                         const struct field *fields)
{
    for (const struct field *field = fields; field->name; field++)
        check_field(check, object, prefix, field);
    for (const struct json *child = json_first(object); child; child = json_next(child)) {
        const struct field *field = fields;
        while (field->name && strcmp(field->name, json_key(child)) != 0)
            field++;
        char name[MAX_FIELD];
        join(name, prefix, json_key(child));
        if (!field->name)
            complain(check, name, "The field is not part of the protocol.");
    }
}

static void check_context(struct check *check, const struct json *object, const char *prefix)
{
    for (const struct json *child = json_first(object); child; child = json_next(child)) {
        char name[MAX_FIELD];
        join(name, prefix, json_key(child) ? json_key(child) : "*");
        const char *text = json_text(child);
        if (text && !*text)
            complain(check, name, "An empty value must leave its key out.");
        else if (!text)
            check_context(check, child, name);
    }
}

/* What the documented context fields promise. */
static void check_context_patient(struct check *check, const struct json *context)
{
    const struct json *patient = json_get(context, "patient");
    const char *sex = json_text(json_get(patient, "sex"));
    const char *birth = json_text(json_get(patient, "date_of_birth"));
    for (const char *p = sex; p && *p; p++) {
        if (*p >= 'A' && *p <= 'Z') {
            complain(check, "context.patient.sex", "The sex must be in lower case.");
            break;
        }
    }
    static const char shape[] = "dddd-dd-dd";
    bool good = !birth || strlen(birth) == sizeof shape - 1;
    for (size_t i = 0; good && birth && shape[i]; i++)
        good = shape[i] == 'd' ? birth[i] >= '0' && birth[i] <= '9' : birth[i] == '-';
    if (!good)
        complain(check, "context.patient.date_of_birth", "The date must be YYYY-MM-DD.");
}

static void check_top(struct check *check, const struct json *body)
{
    check_fields(check, body, "", top_fields);
    const char *mode = json_text(json_get(body, "mode"));
    const char *type = json_text(json_get(body, "type"));
    const char *source = json_text(json_get(body, "source"));
    const struct json *patient_id = json_get(body, "patient_id");
    if (!text_is_uuid_v4(json_text(json_get(body, "upload_id"))))
        complain(check, "upload_id", "The upload id must be a UUID v4.");
    if (!mode || strcmp(mode, SANDBOX_UPLOAD_MODE) != 0)
        complain(check, "mode", "The mode must be the config's, \"" SANDBOX_UPLOAD_MODE "\".");
    if (!type || strcmp(type, "uploader") != 0)
        complain(check, "type", "The type must be \"uploader\".");
    if (source && !*source)
        complain(check, "source", "The source must not be empty.");
    if (!json_is_null(patient_id) && (!json_text(patient_id) || !*json_text(patient_id)))
        complain(check, "patient_id", "The patient id must be null or a string that is not empty.");
    const struct json *context = json_get(body, "context");
    if (!json_is_object(context))
        complain(check, "context", "The context must be an object.");
    check_context(check, context, "context");
    check_context_patient(check, context);
}

static void check_series(struct check *check, const struct json *study, const char *study_uid,
                         const char *prefix)
{
    const struct json *map = json_get(study, "series");
    int64_t count = 0;
    char name[MAX_FIELD];
    join(name, prefix, "series");
    if (!json_is_object(map) || json_size(map) == 0) {
        complain(check, name, "The series must be an object that is not empty.");
        return;
    }
    if (json_int(json_get(study, "series_count"), &count) == 0 && (uint64_t)count != json_size(map))
        complain(check, name, "The number of series differs from series_count.");
    for (const struct json *series = json_first(map); series; series = json_next(series)) {
        join(name, prefix, json_key(series));
        const char *uid = json_text(json_get(series, "series_instance_uid"));
        const char *parent = json_text(json_get(series, "study_instance_uid"));
        if (!uid_is_valid(json_key(series)))
            complain(check, name, "The key must be a Series Instance UID.");
        if (!json_is_object(series)) {
            complain(check, name, "The series must be an object.");
            continue;
        }
        check_fields(check, series, name, series_fields);
        if (uid && strcmp(uid, json_key(series)) != 0)
            complain(check, name, "The series_instance_uid differs from the key.");
        if (parent && strcmp(parent, study_uid) != 0)
            complain(check, name, "The study_instance_uid is another study's.");
    }
}

static void check_modalities(struct check *check, const struct json *study, const char *prefix)
{
    const struct json *list = json_get(study, "modalities");
    char name[MAX_FIELD];
    join(name, prefix, "modalities");
    if (!json_is_array(list)) {
        complain(check, name, "The modalities must be an array.");
        return;
    }
    for (const struct json *item = json_first(list); item; item = json_next(item)) {
        if (!json_text(item) || !*json_text(item))
            complain(check, name, "A modality must be a string that is not empty.");
    }
}

static void check_study(struct check *check, const struct json *study, struct announced_study *out)
{
    const char *key = json_key(study);
    char prefix[MAX_FIELD];
    join(prefix, "studies", key);
    if (!uid_is_valid(key))
        complain(check, prefix, "The key must be a Study Instance UID.");
    if (!json_is_object(study)) {
        complain(check, prefix, "The study must be an object.");
        return;
    }
    check_fields(check, study, prefix, study_fields);
    const char *uid = json_text(json_get(study, "study_uid"));
    if (uid && strcmp(uid, key) != 0)
        complain(check, prefix, "The study_uid differs from the key.");
    const char *name = json_text(json_get(study, "patient_name"));
    size_t length = name ? strlen(name) : 0;
    if (length > 0 && strchr("=^", name[length - 1]))
        complain(check, prefix, "The patient_name must not end in = or ^.");
    check_modalities(check, study, prefix);
    check_series(check, study, key, prefix);
    (void)snprintf(out->uid, sizeof out->uid, "%s", key);
    (void)snprintf(out->patient_name, sizeof out->patient_name, "%s", name ? name : "");
    if (json_int(json_get(study, "images"), &out->images) != 0)
        out->images = 0;
}

static void check_studies(struct check *check, const struct json *map, struct announced_study **out,
                          size_t *count)
{
    size_t size = json_size(map);
    if (!json_is_object(map) || size == 0 || size > MAX_ANNOUNCED) {
        complain(check, "studies", "The studies must be an object that is not empty.");
        return;
    }
    *out = calloc(size, sizeof **out);
    if (!*out) {
        check->failed = true;
        return;
    }
    for (const struct json *study = json_first(map); study; study = json_next(study))
        check_study(check, study, &(*out)[(*count)++]);
}

int manifest_check(const struct json *body, struct json **errors, struct announced_study **studies,
                   size_t *study_count)
{
    struct check check = {.errors = json_new_object()};
    check.failed = !check.errors;
    *studies = NULL;
    *study_count = 0;
    check_top(&check, body);
    check_studies(&check, json_get(body, "studies"), studies, study_count);
    if (!check.failed && check.complaints == 0) {
        *errors = check.errors;
        return 0;
    }
    free(*studies);
    *studies = NULL;
    if (check.failed) {
        json_free(check.errors);
        check.errors = NULL;
    }
    *errors = check.errors;
    return -1;
}
