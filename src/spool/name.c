/* Names below studies/. Guarantees that a name that passes has two components of digits, letters,
 * dots and one "@", none of them "." or "..". Touches no disk.
 */
#include "name.h"

#include "aurabridge/identifier.h"
#include "aurabridge/uid.h"

#include <stdio.h>
#include <string.h>

#define RANDOM_BYTES 8
#define FILE_ENDING  ".dcm"

static bool is_route_key(const char *text)
{
    size_t length = strlen(text);
    return length > 0 && length < ROUTE_KEY_SIZE &&
           strspn(text, "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ") == length;
}

int spool_name_folder(char folder[STORED_NAME_SIZE], const char *study_instance_uid,
                      const char *route_key, struct error *err)
{
    if (!uid_is_valid(study_instance_uid))
        return error_set(err, "the Study Instance UID is not a valid UID, so it names no folder");
    if (!is_route_key(route_key))
        return error_set(err, "the route key of study %s is not valid", study_instance_uid);
    (void)snprintf(folder, STORED_NAME_SIZE, "%s@%s", study_instance_uid, route_key);
    return 0;
}

int spool_name_new(char name[STORED_NAME_SIZE], const char *folder, const char *sop_instance_uid,
                   struct error *err)
{
    char random[2 * RANDOM_BYTES + 1];
    if (random_hex(random, RANDOM_BYTES) != 0)
        return error_set(err, "the system gave no random bytes for a file name");
    int length =
        snprintf(name, STORED_NAME_SIZE, "%s/%s.%s" FILE_ENDING, folder, sop_instance_uid, random);
    if (length < 0 || length >= STORED_NAME_SIZE)
        return error_set(err, "the file name of instance %s is too long", sop_instance_uid);
    return 0;
}

int spool_name_parse_folder(char study_instance_uid[UID_SIZE], char route_key[ROUTE_KEY_SIZE],
                            const char *folder)
{
    const char *at = strchr(folder, '@');
    if (!at || at == folder || (size_t)(at - folder) > UID_MAX || !is_route_key(at + 1))
        return -1;
    memcpy(study_instance_uid, folder, (size_t)(at - folder));
    study_instance_uid[at - folder] = '\0';
    memcpy(route_key, at + 1, strlen(at + 1) + 1);
    return uid_is_valid(study_instance_uid) ? 0 : -1;
}

static bool parse_file(char sop_instance_uid[UID_SIZE], const char *file)
{
    size_t length = strlen(file);
    size_t tail = 1 + 2 * RANDOM_BYTES + strlen(FILE_ENDING);
    if (length <= tail || length - tail > UID_MAX)
        return false;
    const char *random = file + length - tail;
    memcpy(sop_instance_uid, file, length - tail);
    sop_instance_uid[length - tail] = '\0';
    return *random == '.' && strspn(random + 1, "0123456789abcdef") == 2 * RANDOM_BYTES &&
           strcmp(random + 1 + 2 * RANDOM_BYTES, FILE_ENDING) == 0 &&
           uid_is_valid(sop_instance_uid);
}

bool spool_name_is_file(const char *file)
{
    char uid[UID_SIZE];
    return parse_file(uid, file);
}

bool spool_name_is_of(const char *name, const char *sop_instance_uid)
{
    const char *slash = strchr(name, '/');
    char uid[UID_SIZE];
    return slash && parse_file(uid, slash + 1) && strcmp(uid, sop_instance_uid) == 0;
}

int spool_name_check(char folder[STORED_NAME_SIZE], const char *name, struct error *err)
{
    char study_instance_uid[UID_SIZE];
    char route_key[ROUTE_KEY_SIZE];
    const char *slash = strchr(name, '/');
    if (slash && (size_t)(slash - name) < STORED_NAME_SIZE && spool_name_is_file(slash + 1)) {
        memcpy(folder, name, (size_t)(slash - name));
        folder[slash - name] = '\0';
        if (spool_name_parse_folder(study_instance_uid, route_key, folder) == 0)
            return 0;
    }
    return error_set(err, "\"%s\" is not the name of a file in the spool", name);
}
