/* The sandbox's record of requests. A line is one write(2) to a file opened for appending, so that
 * lines of several connections never mix. A full disk is logged, and stops nothing.
 */
#include "transcript.h"

#include "aurabridge/clock.h"
#include "aurabridge/fs.h"
#include "aurabridge/json.h"
#include "aurabridge/log.h"
#include "text.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int transcript_open(struct transcript *transcript, const char *directory, struct error *err)
{
    char path[FS_PATH_MAX];
    transcript->fd = -1;
    if (fs_join(path, directory, "requests.jsonl", err) != 0)
        return -1;
    transcript->fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (transcript->fd < 0)
        return error_errno(err, errno, "opening %s", path);
    return 0;
}

void transcript_close(struct transcript *transcript)
{
    if (transcript->fd >= 0 && close(transcript->fd) != 0)
        log_warning("sandbox", "closing requests.jsonl: %s", strerror(errno));
    transcript->fd = -1;
}

static struct json *line_of(const struct transcript_entry *entry)
{
    char time[CLOCK_RFC3339_SIZE];
    clock_format_rfc3339(time, entry->wall_ms);
    const char *path = text_is_utf8(entry->path, strlen(entry->path)) ? entry->path : "?";
    const char *upload_id = entry->upload_id && *entry->upload_id ? entry->upload_id : NULL;
    struct json *line = json_new_object();
    if (!line || json_set_string(line, "time", time) != 0 ||
        json_set_string(line, "method", entry->method) != 0 ||
        json_set_string(line, "path", path) != 0 ||
        json_set_int(line, "status", (int64_t)entry->status) != 0 ||
        json_set_int(line, "body_bytes", (int64_t)entry->body_bytes) != 0 ||
        json_set_string(line, "upload_id", upload_id) != 0) {
        json_free(line);
        return NULL;
    }
    return line;
}

void transcript_write(struct transcript *transcript, const struct transcript_entry *entry)
{
    struct json *line = line_of(entry);
    char *text = line ? json_print(line) : NULL;
    struct error err = {""};
    struct buffer bytes;
    buffer_init(&bytes, 8192);
    if (!text || buffer_append_text(&bytes, text) != 0 || buffer_append_text(&bytes, "\n") != 0)
        log_warning("sandbox", "a request is missing in requests.jsonl: memory is short");
    else if (fs_write_all(transcript->fd, bytes.data, bytes.length, &err) != 0)
        log_warning("sandbox", "a request is missing in requests.jsonl: %s", err.text);
    buffer_free(&bytes);
    free(text);
    json_free(line);
}
