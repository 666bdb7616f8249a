/* The rules a complete study must pass. Private to this room. */
#ifndef AURABRIDGE_VALIDATE_RULES_H
#define AURABRIDGE_VALIDATE_RULES_H

#include "aurabridge/validate.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Patients that are told apart in a count; a study with more is refused all the same. */
#define MAX_PATIENTS 16
/* Series that are remembered as asked for; beyond it a series may be asked for again. */
#define SERIES_CACHE 64

struct patient_seen {
    uint8_t id[SHA256_SIZE];
    uint8_t issuer[SHA256_SIZE];
    bool has_issuer;
};

/* What the rules gather while the instances pass by. Fixed size, whatever the study's. */
struct check {
    struct ledger *ledger;
    const struct ledger_study *study;
    const struct config_map_entry *entry; /* may be null */
    const struct attribute_source *source;
    struct error *err;
    uint64_t instances;

    struct patient_seen patients[MAX_PATIENTS];
    size_t patient_count;
    bool more_patients;
    uint64_t without_patient;
    char patient_id[ATTRIBUTE_VALUE_SIZE]; /* of the first patient; never printed */
    char issuer[ATTRIBUTE_VALUE_SIZE];

    uint64_t inconsistent;
    char inconsistent_instance[UID_SIZE]; /* the first */
    const char *inconsistent_what;

    char series[SERIES_CACHE][UID_SIZE];
    size_t series_next; /* where the next one goes */
    char shared_series[UID_SIZE];

    uint64_t truncated, not_understood;
    uint32_t truncated_tag;
    uint64_t truncated_missing;
};

/* A rule looks at each instance as it passes and is asked at the end. Both return 0, or -1 when the
 * question itself failed. An empty `reason` means that the study passes it. */
struct rule {
    const char *name;
    int (*look)(struct check *check, const struct ledger_instance *instance); /* may be null */
    int (*conclude)(struct check *check, char *reason, size_t size);          /* may be null */
};

extern const struct rule validate_rules[];
extern const size_t validate_rule_count;

/* Writes what need not stop the study, "" when there is nothing. */
void validate_warn(const struct check *check, char *out, size_t size);

#endif
