/* `aurabridge sign`: every step of AURA-HMAC-SHA256 for one request, for integrators who compare
 * their own signer with ours. The secret and the derived keys are never printed. */
#include "command.h"

#include "aurabridge/aurabox.h"
#include "aurabridge/fs.h"
#include "aurabridge/identifier.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define MAX_BODY   (16U << 20)
#define MAX_SECRET 4096

struct signing {
    struct aurabox_sign_request request;
    struct buffer body, secret;
    char nonce[UUID_SIZE];
    struct config *config;
    const struct option_spec *headers;
};

static int take_credentials(struct signing *signing, const struct command_line *line,
                            struct error *err)
{
    signing->request.app_id = option_text(line, "app-id", NULL);
    const char *secret_file = option_text(line, "app-secret-file", NULL);
    const char *destination = option_text(line, "destination", NULL);
    if (destination) {
        if (command_load_config(&signing->config, line, err) != 0)
            return -1;
        const struct config_destination *found = config_destination(signing->config, destination);
        if (!found)
            return error_set(err, "there is no destination %s", destination);
        signing->request.app_id = found->app_id;
        signing->request.app_secret = found->app_secret;
        return 0;
    }
    signing->request.app_secret = getenv("AURABRIDGE_APP_SECRET");
    if (secret_file) {
        if (fs_read_file(&signing->secret, secret_file, err) != 0)
            return -1;
        while (signing->secret.length > 0 &&
               isspace((unsigned char)signing->secret.data[signing->secret.length - 1]))
            signing->secret.data[--signing->secret.length] = '\0';
        signing->request.app_secret = signing->secret.data;
    }
    if (!signing->request.app_id || !signing->request.app_secret)
        return error_set(err, "give --destination NAME of the configuration, or --app-id with "
                              "--app-secret-file FILE or AURABRIDGE_APP_SECRET in the environment");
    return 0;
}

static int take_body(struct signing *signing, const struct command_line *line, struct error *err)
{
    const char *text = option_text(line, "body", NULL);
    const char *file = option_text(line, "body-file", NULL);
    if (text && file)
        return error_set(err, "give --body or --body-file, not both");
    if (file && fs_read_file(&signing->body, file, err) != 0)
        return -1;
    if (text && buffer_append_text(&signing->body, text) != 0)
        return error_set(err, "the body is larger than %u bytes", MAX_BODY);
    signing->request.body = text || file ? signing->body.data : NULL;
    signing->request.body_length = signing->body.length;
    return 0;
}

/* Only the content type of the given headers is signed; the others are shown as sent. */
static int take_headers(struct signing *signing, const struct command_line *line, struct error *err)
{
    static const char name[] = "content-type:";
    signing->headers = option_find(line, "header");
    for (size_t i = 0; i < signing->headers->count; i++) {
        const char *header = signing->headers->given[i];
        if (!strchr(header, ':'))
            return error_set(err, "--header '%s' has no colon", header);
        if (strncasecmp(header, name, sizeof name - 1) == 0)
            signing->request.content_type = header + sizeof name - 1;
    }
    return 0;
}

static int take_time(struct signing *signing, const struct command_line *line, struct error *err)
{
    const char *timestamp = option_text(line, "timestamp", NULL);
    signing->request.timestamp_s = clock_wall_ms(clock_system()) / 1000;
    if (timestamp) {
        char *end = NULL;
        errno = 0;
        signing->request.timestamp_s = strtoll(timestamp, &end, 10);
        if (errno != 0 || end == timestamp || *end != '\0' || signing->request.timestamp_s < 0)
            return error_set(err, "--timestamp takes Unix seconds, not %s", timestamp);
    }
    signing->request.nonce = option_text(line, "nonce", NULL);
    if (!signing->request.nonce) {
        if (uuid_v4(signing->nonce) != 0)
            return error_set(err, "the system gives no random numbers");
        signing->request.nonce = signing->nonce;
    }
    return 0;
}

static void show(const struct signing *signing, const struct aurabox_signature *signature)
{
    printf("canonical request:\n%s\n\n", signature->canonical_request.data);
    printf("payload hash:           %s\n", signature->payload_hash);
    printf("canonical request hash: %s\n", signature->canonical_hash);
    printf("signed headers:         %s\n", signature->signed_headers);
    printf("\nstring to sign:\n%s\n\n", signature->string_to_sign.data);
    printf("signature:              %s\n", signature->signature);
    printf("\nheaders to send:\nHost: %s\nX-Aura-Timestamp: %s\nX-Aura-Nonce: %s\n",
           signature->host, signature->timestamp, signature->nonce);
    if (signature->content_type[0])
        printf("Content-Type: %s\n", signature->content_type);
    printf("Authorization: %s\n", signature->authorization.data);
    for (size_t i = 0; i < signing->headers->count; i++) {
        if (strncasecmp(signing->headers->given[i], "content-type:", 13) != 0)
            printf("%s\n", signing->headers->given[i]);
    }
}

static int run(struct signing *signing, const struct command_line *line, struct error *err)
{
    signing->request.method = option_text(line, "method", "POST");
    signing->request.url = line->operands[0];
    struct aurabox_signature signature;
    if (take_credentials(signing, line, err) != 0 || take_body(signing, line, err) != 0 ||
        take_headers(signing, line, err) != 0 || take_time(signing, line, err) != 0 ||
        aurabox_sign(&signature, &signing->request, err) != 0)
        return -1;
    show(signing, &signature);
    aurabox_signature_free(&signature);
    return 0;
}

int command_sign(int argc, char **argv)
{
    struct option_spec options[] = {
        OPTION("method", "METHOD", "default POST"),
        OPTION("header", "'Name: value'", "Content-Type is signed, others are only shown"),
        OPTION("body", "TEXT", "exactly the bytes sent"),
        OPTION("body-file", "FILE", "the same from a file"),
        OPTION("timestamp", "SECONDS", "fixed X-Aura-Timestamp"),
        OPTION("nonce", "UUID", "fixed X-Aura-Nonce"),
        OPTION("app-id", "ID", "credential; the secret comes from AURABRIDGE_APP_SECRET or"),
        OPTION("app-secret-file", "FILE", "from this file"),
        OPTION("destination", "NAME", "take both from this destination of the configuration"),
        OPTION_CONFIG,
        OPTION_SET,
    };
    struct command_line line = COMMAND_LINE("aurabridge sign [OPTIONS] URL", options);
    int status = 0;
    if (command_line_read(&line, argc, argv, &status) != 0)
        return status;
    if (line.operand_count != 1)
        return command_misused(&line, "sign takes one absolute URL");
    struct signing signing = {.config = NULL};
    struct error err;
    buffer_init(&signing.body, MAX_BODY);
    buffer_init(&signing.secret, MAX_SECRET);
    int failed = run(&signing, &line, &err);
    explicit_bzero(signing.secret.data, signing.secret.length);
    buffer_free(&signing.secret);
    buffer_free(&signing.body);
    config_release(signing.config);
    return failed ? command_failed(&err) : 0;
}
