/* See the header. */
#include "spool_inventory.h"

#include "fuzz.h"

#include "aurabridge/dataset.h"
#include "aurabridge/part10.h"
#include "name.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define CONTENT_MAX ((size_t)2 << 20)

/* Whether it could have been published as it stands. */
static bool is_whole(struct inventory_file *file, const uint8_t *bytes, size_t length)
{
    struct part10_header header;
    struct dataset_result ending;
    struct dataset_scanner *scanner = NULL;
    if (part10_read_header(&header, bytes, length, NULL) != 0)
        return false;
    size_t offset = header.data_set_offset;
    memcpy(file->sop_instance_uid, header.request.sop_instance_uid, UID_SIZE);
    FUZZ_CHECK(sha256_of(file->data_set, bytes + offset, length - offset) == 0);
    FUZZ_CHECK(dataset_scanner_new(&scanner, header.request.transfer_syntax_uid, NULL, NULL) == 0);
    dataset_scanner_feed(scanner, bytes + offset, length - offset);
    dataset_scanner_finish(scanner, &ending);
    const struct attributes *values = dataset_scanner_attributes(scanner);
    const char *sop = attributes_get(values, ATTRIBUTE_SOP_INSTANCE_UID);
    const char *study = attributes_get(values, ATTRIBUTE_STUDY_INSTANCE_UID);
    const char *base = strchr(file->name, '/') + 1;
    size_t used = strlen(sop);
    bool whole = uid_is_valid(sop) && strcmp(sop, header.request.sop_instance_uid) == 0 &&
                 uid_is_valid(header.request.sop_class_uid) && strncmp(base, sop, used) == 0 &&
                 strlen(base) == used + 21 && strcmp(study, file->study_instance_uid) == 0 &&
                 uid_is_valid(attributes_get(values, ATTRIBUTE_SERIES_INSTANCE_UID));
    dataset_scanner_free(scanner);
    return whole;
}

static void look_into(struct inventory_file *file, int folder_fd, const char *base,
                      const struct inventory *known)
{
    static uint8_t bytes[CONTENT_MAX];
    int fd = openat(folder_fd, base, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    FUZZ_CHECK(fd >= 0);
    ssize_t length = read(fd, bytes, CONTENT_MAX);
    FUZZ_CHECK(length >= 0 && (uint64_t)length == file->size);
    FUZZ_CHECK(sha256_of(file->content, bytes, (size_t)length) == 0);
    const struct inventory_file *seen = known ? inventory_find(known, file->name) : NULL;
    if (seen && seen->is_published == file->is_published &&
        memcmp(seen->content, file->content, SHA256_SIZE) == 0)
        *file = *seen;
    else
        file->is_whole = file->is_published && is_whole(file, bytes, (size_t)length);
    (void)close(fd);
}

static void take_folder(struct inventory *out, int studies_fd, const char *folder,
                        const struct inventory *known)
{
    struct inventory_file like = {.size = 0};
    bool is_ours = spool_name_parse_folder(like.study_instance_uid, like.route_key, folder) == 0;
    int fd = openat(studies_fd, folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    DIR *directory = fd >= 0 ? fdopendir(fd) : NULL;
    struct dirent *entry;
    while (directory && (entry = readdir(directory)) != NULL) {
        struct stat status;
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0 ||
            fstatat(fd, entry->d_name, &status, AT_SYMLINK_NOFOLLOW) != 0)
            continue;
        FUZZ_CHECK(out->count < INVENTORY_MAX);
        struct inventory_file *file = &out->files[out->count++];
        *file = like;
        (void)snprintf(file->name, sizeof file->name, "%.140s/%.170s", folder, entry->d_name);
        file->size = S_ISREG(status.st_mode) ? (uint64_t)status.st_size : 0;
        file->is_published =
            is_ours && S_ISREG(status.st_mode) && spool_name_is_file(entry->d_name);
        if (S_ISREG(status.st_mode))
            look_into(file, fd, entry->d_name, known);
    }
    if (directory)
        (void)closedir(directory);
}

void inventory_take(struct inventory *out, const char *spool, const struct inventory *known)
{
    char path[400];
    struct dirent *entry;
    (void)snprintf(path, sizeof path, "%s/studies", spool);
    out->count = 0;
    DIR *directory = opendir(path);
    while (directory && (entry = readdir(directory)) != NULL) {
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            take_folder(out, dirfd(directory), entry->d_name, known);
    }
    if (directory)
        (void)closedir(directory);
}

const struct inventory_file *inventory_find(const struct inventory *inventory, const char *name)
{
    for (size_t i = 0; i < inventory->count; i++) {
        if (strcmp(inventory->files[i].name, name) == 0)
            return &inventory->files[i];
    }
    return NULL;
}
