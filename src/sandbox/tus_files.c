/* A table of Tus uploads; knows no HTTP and does no I/O. */
#include "tus_files.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

void tus_files_free(struct tus_files *files)
{
    for (size_t i = 0; i < files->count; i++)
        free(files->list[i]);
    free(files->list);
    *files = (struct tus_files){0};
}

struct tus_file *tus_files_find(const struct tus_files *files, const char *id)
{
    for (size_t i = 0; i < files->count; i++) {
        if (strcmp(files->list[i]->id, id) == 0)
            return files->list[i];
    }
    return NULL;
}

struct tus_file *tus_files_add(struct tus_files *files, const char *upload_id, uint64_t length)
{
    if (files->count == MAX_TUS_FILES)
        return NULL;
    if (files->count == files->capacity) {
        size_t capacity = files->capacity ? 2 * files->capacity : 16;
        struct tus_file **list = realloc(files->list, capacity * sizeof(struct tus_file *));
        if (!list)
            return NULL;
        files->list = list;
        files->capacity = capacity;
    }
    struct tus_file *file = calloc(1, sizeof *file);
    if (!file || random_hex(file->id, (TUS_FILE_ID_SIZE - 1) / 2) != 0) {
        free(file);
        return NULL;
    }
    (void)snprintf(file->upload_id, sizeof file->upload_id, "%s", upload_id);
    file->length = length;
    files->list[files->count++] = file;
    return file;
}

struct tus_file *tus_files_complete(const struct tus_files *files, const char *upload_id)
{
    for (size_t i = files->count; i > 0; i--) {
        struct tus_file *file = files->list[i - 1];
        if (!file->gone && !file->busy && file->offset == file->length &&
            strcasecmp(file->upload_id, upload_id) == 0)
            return file;
    }
    return NULL;
}

void tus_files_forget(struct tus_files *files, const char *upload_id)
{
    for (size_t i = 0; i < files->count; i++) {
        if (strcasecmp(files->list[i]->upload_id, upload_id) == 0)
            files->list[i]->gone = true;
    }
}

int tus_file_path(char out[FS_PATH_MAX], const char *directory, const char *id, struct error *err)
{
    int size = snprintf(out, FS_PATH_MAX, "%s/tus/%s", directory, id);
    if (size < 0 || size >= FS_PATH_MAX)
        return error_set(err, "the sandbox's directory name is too long");
    return 0;
}
