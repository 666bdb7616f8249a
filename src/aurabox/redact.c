/* A validation text may repeat the value it refuses ("The selected DOE^JOHN is invalid", "The API
 * key abc is unknown"), and the text ends in logs and in the ledger. All that was sent about the
 * patient is known, so it can be taken out again: the context, and the study's values that are
 * neither UIDs nor numbers; and so are the credentials. */
#include "redact.h"

#include <stdbool.h>
#include <string.h>
#include <strings.h>

#define SHORTEST_VALUE 2 /* a single letter, as of sex, tells nothing */

/* Of ASCII alone: what stands beyond may be a letter, or the quotation mark before a name. */
static bool is_word(unsigned char c)
{
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}

static void hide(char *text, const char *value, size_t length)
{
    if (length < SHORTEST_VALUE)
        return;
    size_t left = strlen(text);
    for (char *at = text; left >= length; at++, left--) {
        bool begins =
            at == text || !is_word((unsigned char)at[-1]) || !is_word((unsigned char)value[0]);
        bool ends =
            !is_word((unsigned char)at[length]) || !is_word((unsigned char)value[length - 1]);
        if (begins && ends && strncasecmp(at, value, length) == 0)
            memset(at, '*', length);
    }
}

/* A person's name also by its parts. */
static void hide_value(char *text, const char *value)
{
    static const char separators[] = "^=";
    hide(text, value, strlen(value));
    while (*value) {
        size_t length = strcspn(value, separators);
        hide(text, value, length);
        value += length;
        value += strspn(value, separators);
    }
}

/* JSON is at most JSON_DEPTH_MAX deep where it was parsed; the context is checked at load. */
static void hide_all(char *text, const struct json *value, int depth)
{
    const char *own = json_text(value);
    if (own)
        hide_value(text, own);
    else if (depth < JSON_DEPTH_MAX)
        for (const struct json *child = json_first(value); child; child = json_next(child))
            hide_all(text, child, depth + 1);
}

void redact_patient_data(char *text, const struct json *body)
{
    static const char *const of_study[] = {"patient_name", "patient_id",       "study_description",
                                           "study_date",   "institution_name", "study_time"};
    hide_all(text, json_get(body, "context"), 0);
    hide_all(text, json_get(body, "patient_id"), 0);
    const struct json *study = json_first(json_get(body, "studies"));
    for (; study; study = json_next(study)) {
        for (size_t i = 0; i < sizeof of_study / sizeof of_study[0]; i++)
            hide_all(text, json_get(study, of_study[i]), 0);
    }
}

/* Wherever it stands: a secret has no words. */
static void hide_secret(char *text, const char *secret)
{
    size_t length = secret ? strlen(secret) : 0;
    for (char *at = text; length > 0 && (at = strstr(at, secret)) != NULL; at += length)
        memset(at, '*', length);
}

void redact(char *text, const struct redaction *sent)
{
    for (size_t i = 0; i < REDACT_SECRETS_MAX; i++)
        hide_secret(text, sent->secrets[i]);
    redact_patient_data(text, sent->body);
}
