/* Checks an uploaded zip with libarchive, in blocks; no member is held in memory. Nothing is
 * extracted.
 */
#include "zip_check.h"

#include "text.h"

#include <archive.h>
#include <archive_entry.h>

#include <stdlib.h>
#include <string.h>

#define BLOCK_SIZE       (128 * 1024)
#define PART10_PREAMBLE  128
#define PART10_MAGIC_END 132

struct tally {
    const struct upload *upload;
    int64_t *members; /* by study */
    uint64_t *names;  /* digests, to find duplicates */
    size_t count, capacity;
};

/* FNV-1a, 64 bits: a chance collision refuses a good zip once in millions of millions. */
static uint64_t name_digest(const char *name)
{
    uint64_t digest = UINT64_C(14695981039346656037);
    for (; *name; name++)
        digest = (digest ^ (unsigned char)*name) * UINT64_C(1099511628211);
    return digest;
}

static int compare_digests(const void *left, const void *right)
{
    uint64_t a = *(const uint64_t *)left, b = *(const uint64_t *)right;
    return a < b ? -1 : a > b;
}

static int note_name(struct tally *tally, const char *name, struct error *err)
{
    if (tally->count == tally->capacity) {
        size_t capacity = tally->capacity ? 2 * tally->capacity : 1024;
        uint64_t *names = capacity > ANNOUNCED_INSTANCES_MAX
                              ? NULL
                              : realloc(tally->names, capacity * sizeof *names);
        if (!names)
            return error_set(err, "the zip has too many members");
        tally->names = names;
        tally->capacity = capacity;
    }
    tally->names[tally->count++] = name_digest(name);
    return 0;
}

/* Finds the study of a member by its name. */
static int check_name(struct tally *tally, const char *name, struct error *err)
{
    const char *slash = name ? strchr(name, '/') : NULL;
    size_t length = name ? strlen(name) : 0;
    if (!slash || strchr(slash + 1, '/') || length - (size_t)(slash + 1 - name) < 5 ||
        strcmp(name + length - 4, ".dcm") != 0)
        return error_set(err, "member %.150s is not named <StudyInstanceUID>/<file>.dcm",
                         name && text_is_utf8(name, length) ? name : "?");
    for (size_t i = 0; i < tally->upload->study_count; i++) {
        const char *uid = tally->upload->studies[i].uid;
        if (strlen(uid) == (size_t)(slash - name) && strncmp(name, uid, strlen(uid)) == 0) {
            tally->members[i]++;
            return note_name(tally, name, err);
        }
    }
    return error_set(err, "member %.150s belongs to no announced study",
                     text_is_utf8(name, length) ? name : "?");
}

/* Reads the member to its end, where libarchive compares the CRC-32. */
static int check_content(struct archive *archive, char *block, const char *name, struct error *err)
{
    char head[PART10_MAGIC_END] = {0};
    size_t have = 0;
    for (;;) {
        la_ssize_t count = archive_read_data(archive, block, BLOCK_SIZE);
        if (count < 0)
            return error_set(err, "member %.150s: %s", name, archive_error_string(archive));
        if (count == 0)
            break;
        size_t part = (size_t)count < sizeof head - have ? (size_t)count : sizeof head - have;
        memcpy(head + have, block, part);
        have += part;
    }
    if (have < sizeof head || memcmp(head + PART10_PREAMBLE, "DICM", 4) != 0)
        return error_set(err, "member %.150s is no DICOM Part 10 file", name);
    return 0;
}

static int check_members(struct archive *archive, struct tally *tally, char *block,
                         struct error *err)
{
    struct archive_entry *entry;
    int result;
    while ((result = archive_read_next_header(archive, &entry)) == ARCHIVE_OK) {
        const char *name = archive_entry_pathname(entry);
        if (check_name(tally, name, err) != 0 || check_content(archive, block, name, err) != 0)
            return -1;
    }
    if (result != ARCHIVE_EOF)
        return error_set(err, "the zip cannot be read: %s", archive_error_string(archive));
    return 0;
}

static int check_counts(struct tally *tally, struct error *err)
{
    qsort(tally->names, tally->count, sizeof *tally->names, compare_digests);
    for (size_t i = 1; i < tally->count; i++) {
        if (tally->names[i] == tally->names[i - 1])
            return error_set(err, "two members of the zip have the same name");
    }
    for (size_t i = 0; i < tally->upload->study_count; i++) {
        const struct announced_study *study = &tally->upload->studies[i];
        if (tally->members[i] != study->images)
            return error_set(err, "study %s: %lld images were announced, the zip has %lld",
                             study->uid, (long long)study->images, (long long)tally->members[i]);
    }
    return 0;
}

int zip_check(uint64_t *instances, const char *path, const struct upload *upload, struct error *err)
{
    int result = -1;
    struct tally tally = {.upload = upload};
    tally.members = calloc(upload->study_count, sizeof *tally.members);
    tally.names = calloc(1, sizeof *tally.names);
    tally.capacity = 1;
    char *block = malloc(BLOCK_SIZE);
    struct archive *archive = archive_read_new();
    if (!tally.members || !tally.names || !block || !archive) {
        (void)error_set(err, "memory is short");
        goto cleanup;
    }
    if (archive_read_support_format_zip_seekable(archive) != ARCHIVE_OK ||
        archive_read_open_filename(archive, path, BLOCK_SIZE) != ARCHIVE_OK) {
        (void)error_set(err, "the zip cannot be opened: %s", archive_error_string(archive));
        goto cleanup;
    }
    if (check_members(archive, &tally, block, err) == 0 && check_counts(&tally, err) == 0) {
        *instances = tally.count;
        result = 0;
    }
cleanup:
    if (archive)
        (void)archive_read_free(archive);
    free(block);
    free(tally.names);
    free(tally.members);
    return result;
}
