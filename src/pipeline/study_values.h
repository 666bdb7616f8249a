/* A study's attribute values for templates and rules: the recorded ones from the ledger, any other
 * from the headers of the files. One per stage run; one thread. */
#ifndef AURABRIDGE_PIPELINE_STUDY_VALUES_H
#define AURABRIDGE_PIPELINE_STUDY_VALUES_H

#include "aurabridge/attribute.h"
#include "aurabridge/ledger.h"
#include "aurabridge/spool.h"

#include <stdbool.h>

struct study_values {
    struct ledger *ledger;
    struct spool *spool;
    int64_t study_id;
    const char *default_character_set;
    bool gathered;
    struct attributes first;
    bool differs[ATTRIBUTE_COUNT];
};

void study_values_init(struct study_values *values, struct ledger *ledger, struct spool *spool,
                       int64_t study_id, const char *default_character_set);

/* Reads through `values`, which must outlive it. */
struct attribute_source study_values_source(struct study_values *values);

/* The association of the study's first-received instance. */
int study_sender(struct ledger *ledger, int64_t study_id, struct association *out,
                 struct error *err);

#endif
