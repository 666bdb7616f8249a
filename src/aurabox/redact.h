/* Keeps patient data and secrets that a server repeats in its answer out of texts. Pure. */
#ifndef AURABRIDGE_AURABOX_REDACT_H
#define AURABRIDGE_AURABOX_REDACT_H

#include "aurabridge/json.h"

/* Replaces in `text` every whole word or phrase that is a value of patient data in `body` (of
 * init) by asterisks. Words end where ASCII letters and digits do. */
void redact_patient_data(char *text, const struct json *body);

#define REDACT_SECRETS_MAX 3

/* What was sent with a call and must not be read in a text about it. */
struct redaction {
    const struct json *body;                 /* of init; null: none */
    const char *secrets[REDACT_SECRETS_MAX]; /* null: none */
};

/* Replaces all of it by asterisks. Before the text is cut: half a name is one too many. */
void redact(char *text, const struct redaction *sent);

#endif
