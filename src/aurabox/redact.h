/* Keeps patient data that a server repeats in its answer out of texts. Pure. */
#ifndef AURABRIDGE_AURABOX_REDACT_H
#define AURABRIDGE_AURABOX_REDACT_H

#include "aurabridge/json.h"

/* Replaces in `text` every whole word or phrase that is a value of patient data in `body` (of
 * init) by asterisks. */
void redact_patient_data(char *text, const struct json *body);

#endif
