/* The four ledger questions that validation asks, over an array. */
#include "fake_ledger.h"

#include <stdio.h>
#include <string.h>

static bool must_fail(const struct ledger *ledger, const char *function)
{
    return ledger->fails != NULL && strcmp(ledger->fails, function) == 0;
}

int ledger_instances(struct ledger *ledger, int64_t study_id, int disposition,
                     int (*visit)(void *context, const struct ledger_instance *instance),
                     void *context, struct error *err)
{
    if (must_fail(ledger, "instances"))
        return error_set(err, "played failure");
    for (size_t i = 0; i < ledger->count; i++) {
        const struct ledger_instance *instance = &ledger->instances[i];
        if (instance->study_id != study_id)
            continue;
        if (disposition >= 0 && instance->disposition != (enum ledger_disposition)disposition)
            continue;
        int result = visit(context, instance);
        if (result != 0)
            return result;
    }
    return 0;
}

int ledger_instance_drop(struct ledger *ledger, int64_t instance_id, const char *reason,
                         struct error *err)
{
    if (must_fail(ledger, "drop"))
        return error_set(err, "played failure");
    ledger->drops++;
    (void)snprintf(ledger->drop_reason, sizeof ledger->drop_reason, "%s", reason);
    for (size_t i = 0; i < ledger->count; i++)
        if (ledger->instances[i].id == instance_id)
            ledger->instances[i].disposition = INSTANCE_DROPPED;
    return 0;
}

int ledger_series_elsewhere(struct ledger *ledger, bool *elsewhere, int64_t study_id,
                            const char *series_instance_uid, struct error *err)
{
    (void)study_id;
    if (must_fail(ledger, "series"))
        return error_set(err, "played failure");
    ledger->series_questions++;
    *elsewhere = ledger->series_elsewhere != NULL &&
                 strcmp(ledger->series_elsewhere, series_instance_uid) == 0;
    return 0;
}

int ledger_other_patient(struct ledger *ledger, bool *differs, int64_t study_id,
                         const char *patient_id, const char *issuer, struct error *err)
{
    (void)study_id;
    (void)issuer;
    if (must_fail(ledger, "patient"))
        return error_set(err, "played failure");
    ledger->patient_questions++;
    *differs = ledger->other_patient != NULL && strcmp(ledger->other_patient, patient_id) != 0;
    return 0;
}
