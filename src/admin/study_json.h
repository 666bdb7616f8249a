/* A study as operators see it. */
#ifndef AURABRIDGE_ADMIN_STUDY_JSON_H
#define AURABRIDGE_ADMIN_STUDY_JSON_H

#include "aurabridge/operate.h"

/* The object, the caller's; null when memory is short. */
struct json *study_json(const struct operate_target *target, const struct ledger_study *study);

/* Adds "patients": [{patient_id, issuer, instances}], at most 32 of them. */
int study_json_add_patients(struct json *object, struct ledger *ledger, int64_t study_id,
                            struct error *err);

#endif
