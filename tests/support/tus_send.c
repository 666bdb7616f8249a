/* Sends a file with the tus room, for tests against other Tus servers.
 *
 * tus_send ENDPOINT TOKEN FILE STATE CHUNK_BYTES [CALLS [STOP_AFTER_RECORDS]]
 *
 * STATE keeps the upload's URL and offset between runs, as the ledger does. It calls
 * tus_upload_run up to CALLS times (default 1), creating anew when the upload is gone, and ends
 * the process at once after STOP_AFTER_RECORDS records, as a crash would. Prints the outcome.
 */
#include "aurabridge/fs.h"
#include "aurabridge/tus.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct sender {
    int fd;
    const char *state_path;
    unsigned records, stop_after;
};

static int read_file(void *context, uint64_t offset, void *bytes, size_t length, size_t *got,
                     struct error *err)
{
    const struct sender *sender = context;
    return fs_read_at(sender->fd, bytes, length, offset, got, err);
}

static int write_state(void *context, const char *url, uint64_t offset)
{
    struct sender *sender = context;
    char text[LEDGER_URL_SIZE + 32];
    struct error err;
    int length = snprintf(text, sizeof text, "%" PRIu64 " %s", offset, url);
    if (length < 0 || fs_write_atomic(sender->state_path, text, (size_t)length, &err) != 0)
        return -1;
    if (++sender->records == sender->stop_after)
        _exit(42);
    return 0;
}

static void read_state(struct tus_upload *upload, const char *path)
{
    struct buffer text;
    struct error err;
    char *end = NULL;
    buffer_init(&text, LEDGER_URL_SIZE + 32);
    if (access(path, R_OK) == 0 && fs_read_file(&text, path, &err) == 0) {
        upload->offset = strtoull(text.data, &end, 10);
        if (*end == ' ')
            (void)snprintf(upload->url, sizeof upload->url, "%s", end + 1);
    }
    buffer_free(&text);
}

static const char *outcome_name(enum tus_outcome outcome)
{
    static const char *const names[] = {[TUS_DONE] = "done",
                                        [TUS_RETRY] = "retry",
                                        [TUS_AWAY] = "away",
                                        [TUS_GONE] = "gone",
                                        [TUS_RENEW_TOKEN] = "renew token",
                                        [TUS_STOPPED] = "stopped",
                                        [TUS_TOO_LARGE] = "too large",
                                        [TUS_DESTINATION] = "destination"};
    return names[outcome];
}

static enum tus_outcome send_file(struct tus_upload *upload, unsigned calls)
{
    enum tus_outcome outcome = TUS_RETRY;
    for (unsigned call = 0; call < calls; call++) {
        outcome = tus_upload_run(upload);
        (void)printf("%s offset %" PRIu64 " chunk %" PRIu64 " %s\n", outcome_name(outcome),
                     upload->offset, upload->chunk_size, upload->text);
        if (outcome != TUS_RETRY && outcome != TUS_AWAY && outcome != TUS_GONE)
            break;
    }
    return outcome;
}

int main(int argc, char **argv)
{
    static const struct tus_metadata metadata[] = {{"upload_id", "integration"},
                                                   {"filename", "integration.zip"},
                                                   {"filetype", "application/zip"},
                                                   {NULL, NULL}};
    struct error err = {""};
    struct stat status;
    int result = EXIT_FAILURE;
    if (argc < 6) {
        (void)fprintf(stderr, "usage: tus_send ENDPOINT TOKEN FILE STATE CHUNK_BYTES [CALLS "
                              "[STOP_AFTER_RECORDS]]\n");
        return EXIT_FAILURE;
    }
    struct sender sender = {.fd = open(argv[3], O_RDONLY | O_CLOEXEC),
                            .state_path = argv[4],
                            .stop_after = argc > 7 ? (unsigned)strtoul(argv[7], NULL, 10) : 0};
    struct tus_upload upload = {.endpoint = argv[1],
                                .lift_token = argv[2],
                                .metadata = metadata,
                                .chunk_size = strtoull(argv[5], NULL, 10),
                                .timeout_ms = 10000,
                                .body = {.context = &sender, .read = read_file},
                                .recorded = write_state,
                                .record_context = &sender};
    if (sender.fd < 0 || fstat(sender.fd, &status) != 0) {
        perror(argv[3]);
        goto cleanup;
    }
    upload.length = (uint64_t)status.st_size;
    read_state(&upload, sender.state_path);
    if (http_global_init(&err) != 0 || http_client_new(&upload.http, NULL, &err) != 0) {
        (void)fprintf(stderr, "%s\n", err.text);
        goto cleanup;
    }
    if (send_file(&upload, argc > 6 ? (unsigned)strtoul(argv[6], NULL, 10) : 1) == TUS_DONE)
        result = EXIT_SUCCESS;
cleanup:
    if (upload.http != NULL)
        http_client_free(upload.http);
    http_global_cleanup();
    if (sender.fd >= 0 && close(sender.fd) != 0)
        result = EXIT_FAILURE;
    return result;
}
