/* The patients whose instances a study holds: for the operator who must choose. */
#ifndef AURABRIDGE_ADMIN_PATIENTS_H
#define AURABRIDGE_ADMIN_PATIENTS_H

#include "aurabridge/error.h"
#include "aurabridge/ledger.h"

#include <stdbool.h>

#define PATIENTS_MAX      32
#define PATIENT_TEXT_SIZE 272 /* LO: 64 characters of UTF-8 */

struct patient {
    char id[PATIENT_TEXT_SIZE], issuer[PATIENT_TEXT_SIZE];
    int64_t instances;
};

struct patients {
    struct patient items[PATIENTS_MAX];
    size_t count;
    bool more; /* than PATIENTS_MAX */
};

/* Lists the patients of the study's stored instances. `*out` is the caller's to free. */
int patients_list(struct patients **out, struct ledger *ledger, int64_t study_id,
                  struct error *err);

/* Whether instances of one patient id (and issuer) are mixed with those of another, within the
 * study or with its other generations, by validation's rule. An empty patient id is no patient of
 * its own, and an empty issuer no issuer of its own. */
int patients_are_mixed(bool *mixed, struct ledger *ledger, int64_t study_id, struct error *err);

#endif
