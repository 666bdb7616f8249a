/* JSON replies of the API: every call of an upload against a server that answers anything
 * (fuzz_http.h). Whatever it says, each call has an outcome with a text of one line, no secret and
 * no patient data gets into texts or log, and JSON that was read is written and read again as the
 * same.
 */
#include "fuzz_http.h"

#include "aurabridge/aurabox.h"
#include "aurabridge/route.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define SECRET       "fuzz-SECRET-value"
#define PATIENT      "Zyxwvut"
#define PATIENT_PART 4 /* so many letters of a name would be too many */
#define NOW_MS       1760000000000

static struct config *config;
static struct json *manifest;

static int64_t tell_time(void *context)
{
    (void)context;
    return NOW_MS;
}

static const struct clock clock_of_test = {NULL, tell_time, tell_time};

static struct config *load_config(void)
{
    char path[300];
    static const char text[] =
        "destinations:\n"
        "  main: {api_base_url: \"https://host.example/api\", app_id: \"env:FUZZ_SECRET\","
        " app_secret: \"env:FUZZ_SECRET\", service_api_key: \"env:FUZZ_SECRET\"}\n"
        "ae_title_map: []\n";
    struct config *loaded = NULL;
    struct error err;
    (void)setenv("FUZZ_SECRET", SECRET, 1);
    (void)snprintf(path, sizeof path, "%s/bridge.yaml", fuzz_directory());
    fuzz_write_file(path, text, strlen(text));
    if (config_load(&loaded, path, NULL, 0, route_check_entries, &err) != 0)
        fuzz_fail(__FILE__, __LINE__, "the configuration loads", err.text);
    return loaded;
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    static const char body[] =
        "{\"upload_id\":\"1\",\"context\":{\"patient\":{\"family_name\":\"" PATIENT "\"}},"
        "\"studies\":[{\"patient_name\":\"" PATIENT "^Anna\",\"study_description\":\"Knee of "
        "" PATIENT "\"}]}";
    (void)argc;
    (void)argv;
    config = load_config();
    FUZZ_CHECK(json_parse(&manifest, body, strlen(body), NULL) == 0);
    return 0;
}

/* ---- no rate limit is in the way, and no file of it ---- */

int __wrap_aurabox_limiter_take(struct aurabox_limiter *limiter, enum aurabox_bucket bucket,
                                int64_t timeout_ms, int64_t *wait_ms, unsigned *ticket,
                                struct error *err);
int __wrap_aurabox_limiter_done(struct aurabox_limiter *limiter, enum aurabox_bucket bucket,
                                unsigned ticket, struct error *err);
int __wrap_aurabox_limiter_refused(struct aurabox_limiter *limiter, enum aurabox_bucket bucket,
                                   unsigned ticket, int64_t retry_after_ms, struct error *err);

int __wrap_aurabox_limiter_take(struct aurabox_limiter *limiter, enum aurabox_bucket bucket,
                                int64_t timeout_ms, int64_t *wait_ms, unsigned *ticket,
                                struct error *err)
{
    (void)err;
    FUZZ_CHECK(limiter && bucket < AURABOX_BUCKET_COUNT && timeout_ms > 0);
    *wait_ms = 0;
    *ticket = 1;
    return 0;
}

int __wrap_aurabox_limiter_done(struct aurabox_limiter *limiter, enum aurabox_bucket bucket,
                                unsigned ticket, struct error *err)
{
    (void)err;
    FUZZ_CHECK(limiter && bucket < AURABOX_BUCKET_COUNT && ticket == 1);
    return 0;
}

int __wrap_aurabox_limiter_refused(struct aurabox_limiter *limiter, enum aurabox_bucket bucket,
                                   unsigned ticket, int64_t retry_after_ms, struct error *err)
{
    FUZZ_CHECK(retry_after_ms <= 3600000);
    return __wrap_aurabox_limiter_done(limiter, bucket, ticket, err);
}

/* ---- what must hold of every reply ---- */

static void judge(const struct http_request *request)
{
    const char *authorization = fuzz_request_header(request, "Authorization");
    FUZZ_CHECK(authorization && authorization[0]);
    FUZZ_CHECK(fuzz_request_header(request, "X-Api-Key") != NULL);
    FUZZ_CHECK(strncmp(request->url, "https://host.example/api/", 25) == 0);
}

/* The name, where a word begins; or its beginning, which a cut may have left, in a text about the
 * call that carried it. */
static bool shows_patient(const char *text)
{
    bool is_of_init = strncmp(text, "init at", 7) == 0;
    size_t length = is_of_init ? PATIENT_PART : strlen(PATIENT);
    for (const char *at = text; *at; at++) {
        bool begins = at == text || !isalnum((unsigned char)at[-1]);
        if (begins && strncasecmp(at, PATIENT, length) == 0)
            return true;
    }
    return false;
}

static void check(enum aurabox_outcome outcome, const struct aurabox_reply *reply,
                  bool may_show_patient)
{
    FUZZ_CHECK(outcome == reply->outcome && outcome <= AURABOX_STOPPED);
    FUZZ_CHECK(reply->retry_after_ms >= -1 && reply->retry_after_ms <= 3600000);
    FUZZ_CHECK(memchr(reply->text, '\0', sizeof reply->text) != NULL);
    if (outcome != AURABOX_OK)
        FUZZ_CHECK_TEXT(fuzz_is_line(reply->text, sizeof reply->text), reply->text);
    FUZZ_CHECK_TEXT(fuzz_is_utf8(reply->text), reply->text);
    FUZZ_CHECK_TEXT(!strstr(reply->text, SECRET), reply->text);
    FUZZ_CHECK_TEXT(may_show_patient || !shows_patient(reply->text), reply->text);
}

static void check_lift(const struct aurabox_lift *lift)
{
    char host[300];
    FUZZ_CHECK(http_host_of(host, sizeof host, lift->endpoint) == 0);
    FUZZ_CHECK(strncasecmp(lift->endpoint, "https://", 8) == 0);
    FUZZ_CHECK(lift->token[0] && lift->bucket[0] && lift->mode[0]);
}

/* ---- a conversation ---- */

static void talk(struct aurabox_client *client, bool may_show_patient)
{
    struct aurabox_reply reply;
    struct aurabox_lift lift;
    char study_id[128];
    enum aurabox_outcome outcome = aurabox_exchange(client, &reply);
    check(outcome, &reply, true);
    outcome = aurabox_config(client, &lift, &reply);
    check(outcome, &reply, true);
    if (outcome == AURABOX_OK)
        check_lift(&lift);
    outcome = aurabox_init(client, manifest, false, study_id, &reply);
    check(outcome, &reply, may_show_patient);
    FUZZ_CHECK(memchr(study_id, '\0', sizeof study_id) != NULL && fuzz_is_utf8(study_id));
    check(aurabox_start(client, "1", "2", false, &reply), &reply, true);
    check(aurabox_complete(client, "1", "2", false, &reply), &reply, true);
    check(aurabox_complete(client, "1", "2", true, &reply), &reply, true);
    check(aurabox_error(client, "1", "why", &reply), &reply, true);
    check(aurabox_cancel(client, "1", &reply), &reply, true);
}

/* Whether the server invents words that only begin like the name, which proves nothing. */
static bool holds_other_words(const uint8_t *data, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        size_t left = size - i;
        if (data[i] == '\\' && left > 1 && data[i + 1] == 'u')
            return true;
        if (left < PATIENT_PART || strncasecmp((const char *)data + i, PATIENT, PATIENT_PART) != 0)
            continue;
        size_t length = strlen(PATIENT);
        bool whole = left > length && strncasecmp((const char *)data + i, PATIENT, length) == 0 &&
                     data[i + length] < 0x80 && !isalnum(data[i + length]);
        if (!whole)
            return true;
    }
    return false;
}

static void check_json(const uint8_t *data, size_t size)
{
    struct json *read = NULL;
    struct json *again = NULL;
    struct error err = {""};
    if (json_parse(&read, (const char *)data, size, &err) != 0) {
        FUZZ_CHECK(!read && fuzz_is_line(err.text, sizeof err.text));
        return;
    }
    char *text = json_print(read);
    struct json *copy = json_copy(read);
    FUZZ_CHECK(text && copy);
    FUZZ_CHECK_TEXT(json_parse(&again, text, strlen(text), &err) == 0, text);
    char *repeated = json_print(again);
    char *copied = json_print(copy);
    FUZZ_CHECK_TEXT(repeated && strcmp(text, repeated) == 0, text);
    FUZZ_CHECK_TEXT(copied && strcmp(text, copied) == 0, text);
    free(copied);
    free(repeated);
    free(text);
    json_free(copy);
    json_free(again);
    json_free(read);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct aurabox_destination *destination = NULL;
    struct aurabox_client *client = NULL;
    struct error err;
    fuzz_log_must_not_hold(SECRET);
    check_json(data, size);
    if (aurabox_destination_new(&destination, config, "main", fuzz_directory(), &clock_of_test,
                                &err) != 0 ||
        aurabox_client_new(&client, destination, NULL, NULL, &err) != 0)
        fuzz_fail(__FILE__, __LINE__, "a client can be made", err.text);
    fuzz_server_start((struct fuzz_input){data, size}, judge);
    talk(client, holds_other_words(data, size));
    aurabox_client_free(client);
    aurabox_destination_free(destination);
    return 0;
}
