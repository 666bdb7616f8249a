/* A receipt as reply lines. What is shown is checked as it goes out: the head against its hash, the
 * instances against the head. */
#include "receipt_json.h"

#include "aurabridge/digest.h"
#include "aurabridge/ledger_receipt.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

struct showing {
    operate_emit *emit;
    void *context;
    struct sha256 *digest;
};

static int show_instance(void *context, const char *text)
{
    struct showing *showing = context;
    struct json *instance = NULL;
    struct json *line = json_new_object();
    int failed = sha256_update(showing->digest, text, strlen(text));
    failed |= sha256_update(showing->digest, "\n", 1);
    if (!failed)
        failed = json_parse(&instance, text, strlen(text), NULL);
    if (!failed)
        failed = json_set(line, "instance", instance);
    if (!failed)
        failed = showing->emit(showing->context, line);
    json_free(line);
    return failed ? 1 : 0;
}

static int show_head(const struct showing *showing, const struct ledger_receipt *receipt,
                     const struct json *head)
{
    struct json *line = json_new_object();
    int failed = json_set(line, "receipt", json_copy(head));
    failed |= json_set_string(line, "sha256", receipt->sha256);
    if (!failed)
        failed = showing->emit(showing->context, line);
    json_free(line);
    return failed;
}

/* Whether the lines that were shown are those of the head. */
static bool is_of(const struct json *head, struct sha256 *digest)
{
    uint8_t bytes[SHA256_SIZE];
    char hash[SHA256_HEX_SIZE];
    const char *noted = json_text(json_get(head, "instances_sha256"));
    if (!noted || sha256_finish(digest, bytes) != 0)
        return false;
    hex_encode(hash, bytes, sizeof bytes);
    return strcmp(hash, noted) == 0;
}

static int altered(const struct ledger_receipt *receipt, struct error *err)
{
    return error_set(err,
                     "receipt %" PRId64 " of S%" PRId64 " has been altered since it was made; "
                     "`aurabridge audit` says what else does not add up",
                     receipt->number, receipt->study_id);
}

static int show(struct showing *showing, struct ledger *ledger,
                const struct ledger_receipt *receipt, struct error *err)
{
    struct json *head = NULL;
    if (json_parse(&head, receipt->head, strlen(receipt->head), NULL) != 0)
        return altered(receipt, err);
    int failed = show_head(showing, receipt, head) ? 1 : 0;
    if (!failed)
        failed = ledger_receipt_instances(ledger, receipt->study_id, show_instance, showing, err);
    if (failed > 0)
        failed = error_set(err, "the receipt could not be shown");
    else if (!failed && (!is_of(head, showing->digest) || !receipt->is_intact))
        failed = altered(receipt, err);
    json_free(head);
    return failed;
}

static int no_receipt(const struct ledger_study *study, struct error *err)
{
    if (study->state == STUDY_COMPLETED)
        return error_set(err,
                         "S%" PRId64 " is completed, and its receipt is missing; `aurabridge "
                         "audit` says what else does not add up",
                         study->id);
    return error_set(err,
                     "S%" PRId64 " is %s: a receipt is made when Aurabox has confirmed the study",
                     study->id, study_state_name(study->state));
}

int receipt_emit(struct ledger *ledger, const struct ledger_study *study, operate_emit *emit,
                 void *context, struct error *err)
{
    struct ledger_receipt receipt;
    int failed = ledger_receipt(ledger, &receipt, study->id, err);
    if (failed)
        return failed == LEDGER_NOT_FOUND ? no_receipt(study, err) : -1;
    struct showing showing = {.emit = emit, .context = context, .digest = sha256_new()};
    failed = showing.digest ? show(&showing, ledger, &receipt, err)
                            : error_set(err, "no SHA-256 to be had");
    sha256_free(showing.digest);
    return failed;
}
