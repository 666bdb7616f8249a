/* See the header. */
#include "spool_fixture.h"

#include "spool_publish.h"

#include <fcntl.h>
#include <ftw.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

const struct association fixture_association = {.id = 7,
                                                .calling_ae_title = "CT1",
                                                .called_ae_title = "AURABRIDGE",
                                                .peer_address = "10.1.2.3"};

static int remove_entry(const char *path, const struct stat *status, int type, struct FTW *walk)
{
    (void)status;
    (void)type;
    (void)walk;
    return remove(path);
}

static void die(const char *what, const char *why)
{
    (void)fprintf(stderr, "%s: %s\n", what, why);
    exit(EXIT_FAILURE);
}

void fixture_open(struct fixture *fixture)
{
    memset(fixture, 0, sizeof *fixture);
    (void)snprintf(fixture->directory, sizeof fixture->directory, "/tmp/aurabridge-spool-XXXXXX");
    if (!mkdtemp(fixture->directory))
        die("mkdtemp", fixture->directory);
    if (spool_open(&fixture->spool, fixture->directory, 0, &fixture->err) != 0 ||
        spool_publish_open(&fixture->journal, fixture->spool, &fixture->err) != 0)
        die("spool_open", fixture->err.text);
}

void fixture_close(struct fixture *fixture)
{
    journal_close(fixture->journal);
    spool_close(fixture->spool);
    if (nftw(fixture->directory, remove_entry, 16, FTW_DEPTH | FTW_PHYS) != 0)
        die("removing", fixture->directory);
}

static unsigned counted_files, counted_entries; /* nftw has no context argument */

static int count_entry(const char *path, const struct stat *status, int type, struct FTW *walk)
{
    (void)path;
    (void)status;
    counted_files += type == FTW_F;
    counted_entries += walk->level == 1;
    return 0;
}

static void count(const struct fixture *fixture, const char *place)
{
    char path[256];
    (void)snprintf(path, sizeof path, "%s/%s", fixture->directory, place);
    counted_files = counted_entries = 0;
    if (nftw(path, count_entry, 16, FTW_PHYS) != 0)
        die("walking", path);
}

unsigned fixture_files(const struct fixture *fixture, const char *place)
{
    count(fixture, place);
    return counted_files;
}

unsigned fixture_entries(const struct fixture *fixture, const char *place)
{
    count(fixture, place);
    return counted_entries;
}

struct instance_request fixture_request(const char *sop_instance_uid)
{
    struct instance_request request = {.sop_class_uid = "1.2.840.10008.5.1.4.1.1.2",
                                       .transfer_syntax_uid = "1.2.840.10008.1.2.1"};
    (void)snprintf(request.sop_instance_uid, sizeof request.sop_instance_uid, "%s",
                   sop_instance_uid);
    return request;
}

static size_t put_text(uint8_t *out, unsigned group, unsigned element, const char *vr,
                       const char *text)
{
    size_t length = strlen(text);
    size_t even = length + length % 2;
    const uint8_t head[8] = {(uint8_t)group,          (uint8_t)(group >> 8), (uint8_t)element,
                             (uint8_t)(element >> 8), (uint8_t)vr[0],        (uint8_t)vr[1],
                             (uint8_t)even,           (uint8_t)(even >> 8)};
    memcpy(out, head, sizeof head);
    memcpy(out + 8, text, length);
    if (even > length)
        out[8 + length] = strcmp(vr, "UI") == 0 ? '\0' : ' ';
    return 8 + even;
}

uint8_t *fixture_data_set(const char *sop_instance_uid, uint32_t pixels, size_t *length)
{
    uint8_t *bytes = malloc(1024 + (size_t)pixels);
    if (!bytes)
        die("malloc", "out of memory");
    size_t at = put_text(bytes, 0x0008, 0x0016, "UI", "1.2.840.10008.5.1.4.1.1.2");
    at += put_text(bytes + at, 0x0008, 0x0018, "UI", sop_instance_uid);
    at += put_text(bytes + at, 0x0008, 0x1010, "SH", "ROOM 4");
    at += put_text(bytes + at, 0x0010, 0x0010, "PN", "Test^Spool");
    at += put_text(bytes + at, 0x0010, 0x0020, "LO", "P-17");
    at += put_text(bytes + at, 0x0020, 0x000d, "UI", STUDY_UID);
    at += put_text(bytes + at, 0x0020, 0x000e, "UI", STUDY_UID ".1");
    const uint8_t head[12] = {0xe0,
                              0x7f,
                              0x10,
                              0x00,
                              'O',
                              'W',
                              0,
                              0,
                              (uint8_t)pixels,
                              (uint8_t)(pixels >> 8),
                              (uint8_t)(pixels >> 16),
                              (uint8_t)(pixels >> 24)};
    memcpy(bytes + at, head, sizeof head);
    at += sizeof head;
    for (uint32_t i = 0; i < pixels; i++)
        bytes[at + i] = (uint8_t)(i * 2654435761u >> 13);
    *length = at + pixels;
    return bytes;
}

int fixture_begin(struct fixture *fixture, struct spool_writer **writer,
                  const struct instance_request *request, const char *character_set)
{
    return spool_writer_new(writer, fixture->spool, fixture->journal, &fixture_association, request,
                            character_set, &fixture->err);
}

int fixture_publish(struct fixture *fixture, struct spool_writer *writer,
                    const struct stored_instance *stored, const struct instance_request *request,
                    char name[STORED_NAME_SIZE])
{
    return spool_publish(fixture->spool, fixture->journal, writer, stored, &fixture_association,
                         request, STUDY_UID, ROUTE_KEY, name, &fixture->err);
}

int fixture_store(struct fixture *fixture, const char *sop_instance_uid, uint32_t pixels,
                  size_t piece, struct stored_instance *stored, char name[STORED_NAME_SIZE])
{
    struct instance_request request = fixture_request(sop_instance_uid);
    struct spool_writer *writer = NULL;
    size_t length;
    uint8_t *bytes = fixture_data_set(sop_instance_uid, pixels, &length);
    int code = fixture_begin(fixture, &writer, &request, NULL);
    for (size_t at = 0; code == 0 && at < length; at += piece) {
        size_t size = length - at < piece ? length - at : piece;
        code = spool_writer_write(writer, bytes + at, size, &fixture->err);
    }
    if (code == 0)
        code = spool_writer_finish(writer, stored, &fixture->err);
    if (code == 0)
        code = fixture_publish(fixture, writer, stored, &request, name);
    stored->attributes = NULL;
    spool_writer_free(writer);
    free(bytes);
    return code;
}

uint8_t *fixture_read(struct fixture *fixture, const char *name, size_t *length)
{
    int fd;
    struct stat status;
    if (spool_read(&fd, fixture->spool, name, &fixture->err) != 0)
        die("spool_read", fixture->err.text);
    if (fstat(fd, &status) != 0)
        die("fstat", name);
    uint8_t *bytes = malloc((size_t)status.st_size + 1);
    if (!bytes || read(fd, bytes, (size_t)status.st_size) != status.st_size)
        die("read", name);
    (void)close(fd);
    *length = (size_t)status.st_size;
    return bytes;
}
