/* A table of what was announced. Bounded; linear search, which is quick enough for a sandbox. */
#include "uploads.h"

#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

const char *upload_state_name(enum upload_state state)
{
    static const char *const names[] = {"announced", "started", "completed", "failed", "cancelled"};
    return names[state];
}

static void upload_free(struct upload *upload)
{
    free(upload->studies);
    free(upload);
}

void uploads_free(struct uploads *uploads)
{
    for (size_t i = 0; i < uploads->count; i++)
        upload_free(uploads->list[i]);
    free(uploads->list);
    *uploads = (struct uploads){0};
}

struct upload *uploads_find(const struct uploads *uploads, const char *id)
{
    for (size_t i = 0; i < uploads->count; i++) {
        if (!uploads->list[i]->forgotten && strcasecmp(uploads->list[i]->id, id) == 0)
            return uploads->list[i];
    }
    return NULL;
}

struct upload *uploads_add(struct uploads *uploads, const char *id, struct announced_study *studies,
                           size_t study_count)
{
    if (uploads->count == MAX_SANDBOX_UPLOADS)
        return NULL;
    if (uploads->count == uploads->capacity) {
        size_t capacity = uploads->capacity ? 2 * uploads->capacity : 16;
        struct upload **list = realloc(uploads->list, capacity * sizeof(struct upload *));
        if (!list)
            return NULL;
        uploads->list = list;
        uploads->capacity = capacity;
    }
    struct upload *upload = calloc(1, sizeof *upload);
    if (!upload)
        return NULL;
    (void)snprintf(upload->id, sizeof upload->id, "%s", id);
    upload->studies = studies;
    upload->study_count = study_count;
    uploads->list[uploads->count++] = upload;
    return upload;
}
