/* The body of `init` (section 4), built while the study's instances go by once. Holds one JSON
 * object a series, never an instance; a study of more than MAX_SERIES series is refused. */
#include "aurabridge/aurabox.h"

#include <search.h>
#include <stdlib.h>
#include <string.h>

#define MAX_SERIES     10000
#define MAX_MODALITIES 256
#define UPLOAD_MODE    "bulk"
#define UPLOAD_TYPE    "uploader"

/* A field of the body and the attribute that it takes its value from. */
struct field {
    const char *key;
    enum attribute attribute;
};

static const struct field study_fields[] = {
    {"study_description", ATTRIBUTE_STUDY_DESCRIPTION},
    {"institution_name", ATTRIBUTE_INSTITUTION_NAME},
    {"patient_id", ATTRIBUTE_PATIENT_ID},
    {"patient_name", ATTRIBUTE_PATIENT_NAME},
    {"study_date", ATTRIBUTE_STUDY_DATE},
    {"study_time", ATTRIBUTE_STUDY_TIME},
};
#define STUDY_FIELDS (sizeof study_fields / sizeof study_fields[0])

static const struct field series_fields[] = {
    {"modality", ATTRIBUTE_MODALITY},
    {"series_description", ATTRIBUTE_SERIES_DESCRIPTION},
    {"body_part_examined", ATTRIBUTE_BODY_PART_EXAMINED},
    {"series_date", ATTRIBUTE_SERIES_DATE},
    {"series_time", ATTRIBUTE_SERIES_TIME},
    {"study_date", ATTRIBUTE_STUDY_DATE},
    {"series_number", ATTRIBUTE_SERIES_NUMBER},
};

struct series {
    char uid[UID_SIZE];
    struct json *json; /* belongs to manifest.series */
};

struct manifest {
    const struct ledger_study *study;
    char *values[STUDY_FIELDS]; /* null until an instance has one */
    struct json *series;
    struct json *modalities;
    void *index; /* of struct series, by UID (tsearch) */
    struct series *last;
    int64_t images;
    size_t series_count;
    struct error *err;
};

static int out_of_memory(const struct manifest *manifest)
{
    return error_set(manifest->err, "no memory for the announcement of a study of %zu series",
                     manifest->series_count);
}

/* ---- study ---- */

static char *copy_value(enum attribute attribute, const char *value)
{
    char *copy = strdup(value);
    if (copy && attribute == ATTRIBUTE_PATIENT_NAME) {
        size_t length = strlen(copy);
        while (length > 0 && strchr("=^ ", copy[length - 1]))
            copy[--length] = '\0';
    }
    return copy;
}

static int take_study_values(struct manifest *manifest, const struct attributes *attributes)
{
    for (size_t i = 0; i < STUDY_FIELDS; i++) {
        const char *value = attributes_get(attributes, study_fields[i].attribute);
        if (manifest->values[i] || !value[0])
            continue;
        char *copy = copy_value(study_fields[i].attribute, value);
        if (!copy)
            return out_of_memory(manifest);
        if (copy[0])
            manifest->values[i] = copy;
        else
            free(copy);
    }
    return 0;
}

static int take_modality(struct manifest *manifest, const char *modality)
{
    if (!modality[0] || json_size(manifest->modalities) >= MAX_MODALITIES)
        return 0;
    const struct json *known = json_first(manifest->modalities);
    for (; known; known = json_next(known)) {
        if (strcmp(json_text(known), modality) == 0)
            return 0;
    }
    return json_append_string(manifest->modalities, modality) == 0 ? 0 : out_of_memory(manifest);
}

/* ---- series ---- */

static int compare_series(const void *left, const void *right)
{
    return strcmp(((const struct series *)left)->uid, ((const struct series *)right)->uid);
}

static int add_series(struct manifest *manifest, struct series *series)
{
    struct json *json = json_new_object();
    /* Once it is set it belongs to the map. */
    if (!json || json_set(manifest->series, series->uid, json) != 0 ||
        json_set_string(json, "study_instance_uid", manifest->study->study_instance_uid) != 0 ||
        json_set_string(json, "series_instance_uid", series->uid) != 0)
        return out_of_memory(manifest);
    series->json = json;
    manifest->series_count++;
    return 0;
}

static int find_series(struct manifest *manifest, const char *uid)
{
    if (manifest->last && strcmp(manifest->last->uid, uid) == 0)
        return 0;
    struct series *series = calloc(1, sizeof *series);
    if (!series)
        return out_of_memory(manifest);
    memcpy(series->uid, uid, strnlen(uid, sizeof series->uid - 1));
    void *found = tsearch(series, &manifest->index, compare_series);
    if (!found) {
        free(series);
        return out_of_memory(manifest);
    }
    manifest->last = *(struct series **)found;
    if (manifest->last != series) {
        free(series);
        return 0;
    }
    if (manifest->series_count == MAX_SERIES)
        return error_set(manifest->err,
                         "the study has more than %d series, which no announcement holds; split "
                         "it at its source",
                         MAX_SERIES);
    return add_series(manifest, series);
}

static int take_series_values(struct manifest *manifest, const struct attributes *attributes)
{
    struct json *json = manifest->last->json;
    for (size_t i = 0; i < sizeof series_fields / sizeof series_fields[0]; i++) {
        const char *value = attributes_get(attributes, series_fields[i].attribute);
        if (value[0] && !json_get(json, series_fields[i].key) &&
            json_set_string(json, series_fields[i].key, value) != 0)
            return out_of_memory(manifest);
    }
    return 0;
}

static int take_instance(void *context, const struct ledger_instance *instance)
{
    struct manifest *manifest = context;
    const struct attributes *attributes = &instance->attributes;
    manifest->images++;
    return take_study_values(manifest, attributes) != 0 ||
                   take_modality(manifest, attributes_get(attributes, ATTRIBUTE_MODALITY)) != 0 ||
                   find_series(manifest, instance->series_instance_uid) != 0 ||
                   take_series_values(manifest, attributes) != 0
               ? -1
               : 0;
}

/* ---- the body ---- */

/* Gives `*child` away to `object`, also when it fails. */
static int give(struct json *object, const char *key, struct json **child)
{
    struct json *given = *child;
    *child = NULL;
    return json_set(object, key, given);
}

static struct json *make_study(struct manifest *manifest)
{
    struct json *study = json_new_object();
    int failed = json_set_string(study, "study_uid", manifest->study->study_instance_uid);
    for (size_t i = 0; !failed && i < STUDY_FIELDS; i++)
        failed = json_set_string(study, study_fields[i].key,
                                 manifest->values[i] ? manifest->values[i] : "");
    if (!failed)
        failed = give(study, "modalities", &manifest->modalities) != 0 ||
                 json_set_int(study, "images", manifest->images) != 0 ||
                 json_set_int(study, "series_count", (int64_t)manifest->series_count) != 0 ||
                 give(study, "series", &manifest->series) != 0;
    if (!failed)
        return study;
    json_free(study);
    return NULL;
}

static struct json *make_body(struct manifest *manifest, const char *source, const char *patient_id,
                              struct json **context)
{
    struct json *body = json_new_object();
    struct json *studies = json_new_object();
    struct json *study = make_study(manifest);
    if (!*context)
        *context = json_new_object();
    int failed = json_set_string(body, "upload_id", manifest->study->upload.upload_id) != 0 ||
                 json_set_string(body, "mode", UPLOAD_MODE) != 0 ||
                 json_set_string(body, "type", UPLOAD_TYPE) != 0 ||
                 json_set_string(body, "source", source) != 0 ||
                 json_set_string(body, "patient_id", patient_id) != 0 ||
                 give(body, "context", context) != 0 ||
                 give(studies, manifest->study->study_instance_uid, &study) != 0 ||
                 give(body, "studies", &studies) != 0;
    json_free(study);
    json_free(studies);
    if (!failed)
        return body;
    json_free(body);
    return NULL;
}

static int stream(struct manifest *manifest, struct ledger *ledger)
{
    if (!manifest->series || !manifest->modalities)
        return out_of_memory(manifest);
    if (ledger_instances(ledger, manifest->study->id, INSTANCE_STORED, take_instance, manifest,
                         manifest->err) != 0)
        return -1;
    if (manifest->images == 0)
        return error_set(manifest->err, "study S%lld has no instance to announce",
                         (long long)manifest->study->id);
    return 0;
}

int aurabox_manifest(struct json **out, struct ledger *ledger, const struct ledger_study *study,
                     const char *source, const char *patient_id, struct json *context,
                     struct error *err)
{
    struct manifest manifest = {
        .study = study, .series = json_new_object(), .modalities = json_new_array(), .err = err};
    *out = NULL;
    int failed = stream(&manifest, ledger);
    if (!failed) {
        *out = make_body(&manifest, source, patient_id, &context);
        if (!*out)
            failed = out_of_memory(&manifest);
    }
    for (size_t i = 0; i < STUDY_FIELDS; i++) {
        if (manifest.values[i])
            explicit_bzero(manifest.values[i], strlen(manifest.values[i]));
        free(manifest.values[i]);
    }
    tdestroy(manifest.index, free);
    json_free(manifest.series);
    json_free(manifest.modalities);
    json_free(context);
    return failed;
}
