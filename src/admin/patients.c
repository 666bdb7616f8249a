/* Patients of a study. Read for the operator; nothing of it is logged. */
#include "patients.h"

#include "aurabridge/text.h"

#include <stdlib.h>
#include <string.h>

static int count_patient(void *context, const struct ledger_instance *instance)
{
    struct patients *patients = context;
    struct patient found = {.instances = 1};
    text_copy(found.id, sizeof found.id,
              attributes_get(&instance->attributes, ATTRIBUTE_PATIENT_ID));
    text_copy(found.issuer, sizeof found.issuer,
              attributes_get(&instance->attributes, ATTRIBUTE_ISSUER_OF_PATIENT_ID));
    for (size_t i = 0; i < patients->count; i++) {
        struct patient *known = &patients->items[i];
        if (strcmp(known->id, found.id) == 0 && strcmp(known->issuer, found.issuer) == 0) {
            known->instances++;
            return 0;
        }
    }
    if (patients->count < PATIENTS_MAX)
        patients->items[patients->count++] = found;
    else
        patients->more = true;
    return 0;
}

int patients_list(struct patients **out, struct ledger *ledger, int64_t study_id, struct error *err)
{
    *out = calloc(1, sizeof **out);
    if (!*out)
        return error_set(err, "no memory for the list of patients");
    int failed = ledger_instances(ledger, study_id, INSTANCE_STORED, count_patient, *out, err);
    if (!failed)
        return 0;
    free(*out);
    *out = NULL;
    return failed;
}

int patients_are_mixed(bool *mixed, struct ledger *ledger, int64_t study_id, struct error *err)
{
    struct patients *patients = NULL;
    const struct patient *first = NULL;
    const char *issuer = "";
    *mixed = false;
    if (patients_list(&patients, ledger, study_id, err) != 0)
        return -1;
    for (size_t i = 0; i < patients->count; i++) {
        const struct patient *patient = &patients->items[i];
        if (!patient->id[0])
            continue;
        first = first ? first : patient;
        issuer = issuer[0] ? issuer : patient->issuer;
        *mixed |= strcmp(patient->id, first->id) != 0 ||
                  (patient->issuer[0] && strcmp(patient->issuer, issuer) != 0);
    }
    int failed = 0;
    if (first && !*mixed)
        failed = ledger_other_patient(ledger, mixed, study_id, first->id, issuer, err);
    free(patients);
    return failed;
}
