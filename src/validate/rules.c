/* The rules a complete study must pass, as one table.
 *
 * Guarantees: memory does not grow with the study; reasons name UIDs, counts, tags and keywords,
 * never a value that describes a patient. Does not change anything in the ledger.
 */
#include "rules.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- changed duplicates ---- */

static int conclude_changed_duplicates(struct check *check, char *reason, size_t size)
{
    if (check->study->must_quarantine)
        (void)snprintf(reason, size,
                       "changed duplicates under on_changed_duplicate: quarantine; release or "
                       "discard");
    return 0;
}

/* ---- one patient ---- */

static int digest_of(uint8_t out[SHA256_SIZE], const char *value, struct error *err)
{
    if (sha256_of(out, value, strlen(value)) != 0)
        return error_set(err, "the digest of a patient id could not be made");
    return 0;
}

static bool same(const uint8_t a[SHA256_SIZE], const uint8_t b[SHA256_SIZE])
{
    return memcmp(a, b, SHA256_SIZE) == 0;
}

/* An instance without issuer is of whoever has the id. */
static bool is_known_patient(struct check *check, const struct patient_seen *seen)
{
    for (size_t i = 0; i < check->patient_count; i++) {
        struct patient_seen *known = &check->patients[i];
        if (!same(known->id, seen->id))
            continue;
        if (!seen->has_issuer)
            return true;
        if (!known->has_issuer) {
            memcpy(known->issuer, seen->issuer, SHA256_SIZE);
            known->has_issuer = true;
            return true;
        }
        if (same(known->issuer, seen->issuer))
            return true;
    }
    return false;
}

static int look_patient(struct check *check, const struct ledger_instance *instance)
{
    const char *id = attributes_get(&instance->attributes, ATTRIBUTE_PATIENT_ID);
    const char *issuer = attributes_get(&instance->attributes, ATTRIBUTE_ISSUER_OF_PATIENT_ID);
    struct patient_seen seen = {.has_issuer = issuer[0] != '\0'};
    if (id[0] == '\0') {
        check->without_patient++;
        return 0;
    }
    if (digest_of(seen.id, id, check->err) != 0 || digest_of(seen.issuer, issuer, check->err) != 0)
        return -1;
    if (check->patient_count == 0)
        (void)snprintf(check->patient_id, sizeof check->patient_id, "%s", id);
    if (check->issuer[0] == '\0')
        (void)snprintf(check->issuer, sizeof check->issuer, "%s", issuer);
    if (is_known_patient(check, &seen))
        return 0;
    if (check->patient_count == MAX_PATIENTS)
        check->more_patients = true;
    else
        check->patients[check->patient_count++] = seen;
    return 0;
}

static size_t count_ids(const struct check *check)
{
    size_t count = 0;
    for (size_t i = 0; i < check->patient_count; i++) {
        bool first = true;
        for (size_t j = 0; j < i && first; j++)
            first = !same(check->patients[i].id, check->patients[j].id);
        count += first ? 1 : 0;
    }
    return count;
}

static int conclude_patient(struct check *check, char *reason, size_t size)
{
    bool differs = false;
    size_t ids = count_ids(check);
    if (ids > 1) {
        (void)snprintf(reason, size,
                       "two patients: %s%zu different patient ids among %" PRIu64
                       " instances; release with --patient-id or discard",
                       check->more_patients ? "more than " : "", ids, check->instances);
        return 0;
    }
    if (check->patient_count > 1) {
        (void)snprintf(reason, size,
                       "two patients: one patient id of %s%zu issuers among %" PRIu64
                       " instances; release with --patient-id or discard",
                       check->more_patients ? "more than " : "", check->patient_count,
                       check->instances);
        return 0;
    }
    if (check->patient_count == 0)
        return 0;
    if (ledger_other_patient(check->ledger, &differs, check->study->id, check->patient_id,
                             check->issuer, check->err) != 0)
        return -1;
    if (differs)
        (void)snprintf(reason, size,
                       "two patients: another upload of this study has a different patient id; "
                       "release with --patient-id or discard");
    return 0;
}

/* ---- UIDs ---- */

static bool contradicts(const struct ledger_instance *instance, enum attribute attribute,
                        const char *expected)
{
    const char *value = attributes_get(&instance->attributes, attribute);
    return value[0] != '\0' && strcmp(value, expected) != 0;
}

static const char *what_contradicts(const struct check *check,
                                    const struct ledger_instance *instance)
{
    const struct instance_request *request = &instance->request;
    if (!uid_is_valid(request->sop_instance_uid))
        return "SOP Instance UID is not valid";
    if (!uid_is_valid(instance->series_instance_uid))
        return "Series Instance UID is not valid";
    if (contradicts(instance, ATTRIBUTE_STUDY_INSTANCE_UID, check->study->study_instance_uid))
        return "Study Instance UID is not the study's";
    if (contradicts(instance, ATTRIBUTE_SERIES_INSTANCE_UID, instance->series_instance_uid))
        return "Series Instance UID differs from the record";
    if (contradicts(instance, ATTRIBUTE_SOP_INSTANCE_UID, request->sop_instance_uid))
        return "SOP Instance UID differs from the C-STORE command's";
    if (contradicts(instance, ATTRIBUTE_SOP_CLASS_UID, request->sop_class_uid))
        return "SOP Class UID differs from the C-STORE command's";
    return NULL;
}

static int look_uids(struct check *check, const struct ledger_instance *instance)
{
    const char *what = what_contradicts(check, instance);
    if (what == NULL)
        return 0;
    if (check->inconsistent++ == 0) {
        check->inconsistent_what = what;
        (void)snprintf(check->inconsistent_instance, sizeof check->inconsistent_instance, "%s",
                       instance->request.sop_instance_uid);
    }
    return 0;
}

static int conclude_uids(struct check *check, char *reason, size_t size)
{
    if (check->inconsistent > 0)
        (void)snprintf(reason, size,
                       "UIDs are inconsistent in %" PRIu64 " of %" PRIu64
                       " instances, first in %s: its %s; release or discard",
                       check->inconsistent, check->instances, check->inconsistent_instance,
                       check->inconsistent_what);
    return 0;
}

/* ---- series ---- */

static int look_series(struct check *check, const struct ledger_instance *instance)
{
    const char *uid = instance->series_instance_uid;
    bool elsewhere = false;
    if (check->shared_series[0] != '\0')
        return 0;
    for (size_t i = 0; i < SERIES_CACHE; i++)
        if (strcmp(check->series[i], uid) == 0)
            return 0;
    if (ledger_series_elsewhere(check->ledger, &elsewhere, check->study->id, uid, check->err) != 0)
        return -1;
    (void)snprintf(check->series[check->series_next], UID_SIZE, "%s", uid);
    check->series_next = (check->series_next + 1) % SERIES_CACHE;
    if (elsewhere)
        (void)snprintf(check->shared_series, sizeof check->shared_series, "%s", uid);
    return 0;
}

static int conclude_series(struct check *check, char *reason, size_t size)
{
    if (check->shared_series[0] != '\0')
        (void)snprintf(reason, size, "series %s is in another study too; release or discard",
                       check->shared_series);
    return 0;
}

/* ---- required attributes ---- */

/* A keyword, or "gggg,eeee". */
static int tag_of(uint32_t *tag, const char *name)
{
    if (attribute_tag_from_keyword(tag, name) == 0)
        return 0;
    if (strlen(name) != 9 || name[4] != ',' || strspn(name, "0123456789abcdefABCDEF") != 4 ||
        strspn(name + 5, "0123456789abcdefABCDEF") != 4)
        return -1;
    *tag = (uint32_t)(strtoul(name, NULL, 16) << 16 | strtoul(name + 5, NULL, 16));
    return 0;
}

static int is_present(const struct check *check, bool *present, const char *name)
{
    char value[ATTRIBUTE_VALUE_SIZE] = "";
    uint32_t tag = 0;
    int differs = 0;
    if (tag_of(&tag, name) != 0)
        return error_set(check->err, "%s:%u: require: \"%s\" is no attribute keyword or tag",
                         check->entry->file != NULL ? check->entry->file : "map entry",
                         check->entry->line, name);
    if (check->source == NULL)
        return error_set(check->err, "there is no source to ask for the required %s", name);
    if (check->source->first(check->source->context, tag, value, &differs, check->err) != 0)
        return error_wrap(check->err, "asking for the required %s", name);
    *present = value[0] != '\0';
    return 0;
}

static int conclude_required(struct check *check, char *reason, size_t size)
{
    char missing[LEDGER_REASON_SIZE / 2] = "";
    if (check->entry == NULL)
        return 0;
    for (size_t i = 0; i < check->entry->require.count; i++) {
        bool present = false;
        size_t used = strlen(missing);
        if (is_present(check, &present, check->entry->require.items[i]) != 0)
            return -1;
        if (!present)
            (void)snprintf(missing + used, sizeof missing - used, "%s%s", used > 0 ? ", " : "",
                           check->entry->require.items[i]);
    }
    if (missing[0] != '\0')
        (void)snprintf(reason, size,
                       "required by the map entry and missing: %s; release or discard", missing);
    return 0;
}

/* ---- what only warns ---- */

static int look_ending(struct check *check, const struct ledger_instance *instance)
{
    switch (instance->ending.ending) {
    case DATASET_TRUNCATED:
        if (check->truncated++ == 0) {
            check->truncated_tag = instance->ending.tag;
            check->truncated_missing = instance->ending.missing;
        }
        break;
    case DATASET_NOT_UNDERSTOOD:
        check->not_understood++;
        break;
    case DATASET_COMPLETE:
        break;
    }
    return 0;
}

static const char *plural(uint64_t count)
{
    return count == 1 ? "" : "s";
}

static void warn_truncated(const struct check *check, char *out, size_t size)
{
    char missing[48] = "";
    if (check->truncated_missing > 0)
        (void)snprintf(missing, sizeof missing, ", %" PRIu64 " byte%s missing",
                       check->truncated_missing, plural(check->truncated_missing));
    (void)snprintf(out, size, "%" PRIu64 " instance%s truncated (%sin %04X,%04X%s)",
                   check->truncated, plural(check->truncated), check->truncated > 1 ? "first " : "",
                   (unsigned)(check->truncated_tag >> 16),
                   (unsigned)(check->truncated_tag & 0xFFFF), missing);
}

void validate_warn(const struct check *check, char *out, size_t size)
{
    out[0] = '\0';
    if (check->truncated > 0)
        warn_truncated(check, out, size);
    size_t used = strlen(out);
    if (check->not_understood > 0)
        (void)snprintf(out + used, size - used,
                       "%s%" PRIu64 " instance%s whose data set is not understood to its end",
                       used > 0 ? "; " : "", check->not_understood, plural(check->not_understood));
    used = strlen(out);
    if (check->without_patient > 0)
        (void)snprintf(out + used, size - used,
                       "%sPatientID is missing in %" PRIu64 " of %" PRIu64 " instances",
                       used > 0 ? "; " : "", check->without_patient, check->instances);
}

/* ---- the table ---- */

const struct rule validate_rules[] = {
    {"changed duplicates", NULL, conclude_changed_duplicates},
    {"one patient", look_patient, conclude_patient},
    {"consistent UIDs", look_uids, conclude_uids},
    {"series in one study", look_series, conclude_series},
    {"required attributes", NULL, conclude_required},
    {"whole data sets", look_ending, NULL},
};
const size_t validate_rule_count = sizeof validate_rules / sizeof validate_rules[0];
