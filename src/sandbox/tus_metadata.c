/* Reads "key base64,key base64". Strict: an unknown key, a second one of the same name or padding
 * out of place is refused, since a sandbox that forgives teaches nothing.
 */
#include "tus_metadata.h"

#include "text.h"

#include "aurabridge/digest.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define MAX_METADATA       4096
#define MAX_METADATA_VALUE 256

enum key { KEY_UPLOAD_ID, KEY_BUCKET, KEY_MODE, KEY_NAME, KEY_FILENAME, KEY_TYPE, KEY_FILETYPE };

static const char *const key_names[] = {"upload_id", "bucket", "mode",    "name",
                                        "filename",  "type",   "filetype"};
#define KEY_COUNT (sizeof key_names / sizeof key_names[0])

struct values {
    bool present[KEY_COUNT];
    char text[KEY_COUNT][MAX_METADATA_VALUE];
};

static int read_pair(struct values *values, char *pair, struct error *err)
{
    char *value = strchr(pair, ' ');
    if (value)
        *value++ = '\0';
    for (size_t i = 0; i < KEY_COUNT; i++) {
        if (strcmp(pair, key_names[i]) != 0)
            continue;
        if (values->present[i])
            return error_set(err, "Upload-Metadata names %s twice", pair);
        uint8_t decoded[MAX_METADATA_VALUE];
        long length = value ? base64_decode(decoded, sizeof decoded - 1, value) : 0;
        if (length < 0 || memchr(decoded, '\0', (size_t)length))
            return error_set(err, "Upload-Metadata: the value of %s is no Base64 text", pair);
        memcpy(values->text[i], decoded, (size_t)length);
        values->text[i][length] = '\0';
        values->present[i] = true;
        return 0;
    }
    return error_set(err, "Upload-Metadata: the key %.40s is not part of the protocol", pair);
}

static int expect(const struct values *values, enum key key, const char *expected,
                  struct error *err)
{
    if (values->present[key] && strcmp(values->text[key], expected) == 0)
        return 0;
    return error_set(err, "Upload-Metadata: %s must be %s", key_names[key], expected);
}

int tus_metadata_check(char upload_id[UUID_SIZE], const char *header, const char *bucket,
                       const char *mode, struct error *err)
{
    char copied[MAX_METADATA];
    struct values values = {0};
    if (!header || strlen(header) >= sizeof copied)
        return error_set(err, "Upload-Metadata is missing or too long");
    (void)snprintf(copied, sizeof copied, "%s", header);
    char *rest = NULL;
    for (char *pair = strtok_r(copied, ",", &rest); pair; pair = strtok_r(NULL, ",", &rest)) {
        pair += strspn(pair, " ");
        if (read_pair(&values, pair, err) != 0)
            return -1;
    }
    const char *id = values.text[KEY_UPLOAD_ID];
    if (!text_is_uuid_v4(id))
        return error_set(err, "Upload-Metadata: upload_id must be a UUID v4");
    char file_name[UUID_SIZE + 4];
    (void)snprintf(file_name, sizeof file_name, "%.36s.zip", id);
    if (expect(&values, KEY_BUCKET, bucket, err) != 0 ||
        expect(&values, KEY_MODE, mode, err) != 0 ||
        expect(&values, KEY_NAME, file_name, err) != 0 ||
        expect(&values, KEY_FILENAME, file_name, err) != 0 ||
        expect(&values, KEY_TYPE, "application/zip", err) != 0 ||
        expect(&values, KEY_FILETYPE, "application/zip", err) != 0)
        return -1;
    (void)snprintf(upload_id, UUID_SIZE, "%.36s", id);
    return 0;
}
