/* The small files that the bridge keeps beside the ledger, damaged. The first byte chooses:
 *
 *   layout   an archive's layout, made right (then every range is a piece of the whole) or changed
 *            at some places and sealed anew (then reading ends, with bytes or with a reason)
 *   entry    a kept map entry: it is used as it stands or refused with a reason
 *   limits   the rate limits: there is an answer, and nobody waits for longer than a window
 */
#include "fuzz.h"

#include "aurabridge/aurabox.h"
#include "aurabridge/route.h"
#include "kept_entry.h"
#include "member.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { LAYOUT, ENTRY, LIMITS, KINDS };

#define STUDY        "1.2.3"
#define ROUTE        "0123456789abcdef"
#define FILES        3
#define MEMBERS_MAX  70 /* more than two windows of the reader */
#define SCRATCH_SIZE 100
#define READ_MAX     (128 * 1024)
#define CHANGES_MAX  16

static struct spool *spool;
static char layout_path[300], scratch_path[300], entry_path[700], limits_directory[300];

static const struct {
    const char *name;
    size_t size;
} files[FILES] = {{STUDY "@" ROUTE "/1.2.3.1.00000000000000a1.dcm", 700},
                  {STUDY "@" ROUTE "/1.2.3.2.00000000000000a2.dcm", 1},
                  {STUDY "@" ROUTE "/1.2.3.3.00000000000000a3.dcm", 5000}};

static void fill(uint8_t *bytes, size_t length, unsigned seed)
{
    for (size_t i = 0; i < length; i++)
        bytes[i] = (uint8_t)(i * 7 + seed);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    char path[600];
    uint8_t bytes[5000];
    struct error err;
    (void)argc;
    (void)argv;
    (void)snprintf(path, sizeof path, "%s/spool", fuzz_directory());
    if (spool_open(&spool, path, 0, &err) != 0)
        fuzz_fail(__FILE__, __LINE__, "a spool opens", err.text);
    (void)snprintf(path, sizeof path, "%s/studies/" STUDY "@" ROUTE, spool_directory(spool));
    FUZZ_CHECK(fs_make_directory(path, NULL) == 0);
    for (unsigned i = 0; i < FILES; i++) {
        fill(bytes, files[i].size, i);
        (void)snprintf(path, sizeof path, "%s/studies/%s", spool_directory(spool), files[i].name);
        fuzz_write_file(path, bytes, files[i].size);
    }
    (void)snprintf(layout_path, sizeof layout_path, "%s/layout", fuzz_directory());
    (void)snprintf(scratch_path, sizeof scratch_path, "%s/scratch", fuzz_directory());
    fill(bytes, SCRATCH_SIZE, FILES);
    fuzz_write_file(scratch_path, bytes, SCRATCH_SIZE);
    (void)snprintf(path, sizeof path, "%s/entries", spool_directory(spool));
    FUZZ_CHECK(fs_make_directory(path, NULL) == 0);
    (void)snprintf(entry_path, sizeof entry_path, "%s/" ROUTE ".json", path);
    (void)snprintf(limits_directory, sizeof limits_directory, "%s/limits", fuzz_directory());
    return 0;
}

/* ---- a layout ---- */

struct plan {
    struct layout_header header;
    struct layout_record records[MEMBERS_MAX];
};

/* As package_build lays it out: two of three members stored, the others in the scratch file. */
static void plan_members(struct plan *plan, uint64_t count)
{
    struct layout_header *header = &plan->header;
    *header = (struct layout_header){.study_instance_uid = STUDY, .count = count};
    for (uint64_t i = 0; i < count; i++) {
        uint8_t bytes[5000];
        char name[ZIP_NAME_MAX];
        struct layout_record *record = &plan->records[i];
        unsigned file = (unsigned)(i % FILES);
        fill(bytes, files[file].size, file);
        *record = (struct layout_record){.size = files[file].size,
                                         .packed = files[file].size,
                                         .header_offset = header->central_offset,
                                         .central_offset = header->central_size,
                                         .crc32 = crc32_update(0, bytes, files[file].size)};
        (void)snprintf(record->sop_instance_uid, UID_SIZE, "1.2.3.%u", (unsigned)i);
        (void)snprintf(record->file_name, STORED_NAME_SIZE, "%s", files[file].name);
        record->packed_crc32 = record->crc32;
        if (i % 5 == 4) {
            fill(bytes, SCRATCH_SIZE, FILES);
            record->method = ZIP_METHOD_DEFLATED;
            record->packed = SCRATCH_SIZE;
            record->packed_crc32 = crc32_update(0, bytes, SCRATCH_SIZE);
            header->scratch_size = SCRATCH_SIZE;
        }
        struct zip_entry entry = layout_entry(record, STUDY, name);
        header->source_bytes += record->size;
        header->central_offset += zip_local_header(bytes, &entry) + record->packed;
        header->central_size += zip_central_header(bytes, &entry);
    }
    uint8_t tail[ZIP_TAIL_MAX];
    header->archive_length = header->central_offset + header->central_size +
                             zip_tail(tail, count, header->central_offset, header->central_size);
}

/* Changes bytes of the file and seals it again, so that the change is believed. */
static void seal(uint8_t *bytes, size_t length, uint64_t count)
{
    uint8_t *header_checksum = bytes + LAYOUT_HEADER_SIZE - SHA256_SIZE;
    size_t records = length - LAYOUT_HEADER_SIZE;
    if (count <= records / LAYOUT_RECORD_SIZE)
        records = (size_t)count * LAYOUT_RECORD_SIZE;
    /* It stands behind magic, UID, six figures and the digest. */
    uint8_t *checksum = bytes + 8 + UID_SIZE + (size_t)6 * 8 + SHA256_SIZE;
    FUZZ_CHECK(sha256_of(checksum, bytes + LAYOUT_HEADER_SIZE, records) == 0);
    FUZZ_CHECK(sha256_of(header_checksum, bytes, LAYOUT_HEADER_SIZE - SHA256_SIZE) == 0);
}

static uint64_t count_in(const uint8_t *bytes)
{
    uint64_t count = 0;
    for (unsigned i = 0; i < 8; i++)
        count |= (uint64_t)bytes[8 + UID_SIZE + i] << 8 * i;
    return count;
}

/* Returns whether anything was changed. */
static bool write_layout(struct fuzz_input *input)
{
    static struct plan plan;
    static uint8_t bytes[LAYOUT_HEADER_SIZE + MEMBERS_MAX * LAYOUT_RECORD_SIZE];
    uint64_t count = fuzz_byte(input) % MEMBERS_MAX + 1U;
    size_t length = LAYOUT_HEADER_SIZE + (size_t)count * LAYOUT_RECORD_SIZE;
    unsigned changes = fuzz_byte(input) % CHANGES_MAX;
    bool sealed = true;
    plan_members(&plan, count);
    layout_encode_header(bytes, &plan.header);
    for (uint64_t i = 0; i < count; i++)
        layout_encode_record(bytes + LAYOUT_HEADER_SIZE + i * LAYOUT_RECORD_SIZE, &plan.records[i]);
    for (unsigned i = 0; i < changes && input->left > 0; i++) {
        uint32_t place = fuzz_number(input, 2);
        /* Half of the changes fall on the header and the first records. */
        size_t at = (place & 1 ? place >> 1 : (place >> 1) % 1200) % length;
        const uint8_t *change;
        size_t size = fuzz_take(input, &change, fuzz_byte(input) % 9U);
        if (at + size > length)
            size = length - at;
        memcpy(bytes + at, change, size);
        sealed = sealed && place % 31 != 0;
    }
    if (sealed)
        seal(bytes, length, count_in(bytes));
    fuzz_write_file(layout_path, bytes, length);
    return changes > 0;
}

/* `whole` is null where what was sealed may contradict itself: then reading just has to end. */
static void check_ranges(struct package *package, struct fuzz_input *input, const uint8_t *whole,
                         size_t length)
{
    static uint8_t piece[READ_MAX];
    struct error err;
    for (unsigned i = 0; i < 8; i++) {
        uint64_t offset = length > 0 ? fuzz_number(input, 3) % length : 0;
        size_t wanted = fuzz_number(input, 2) + 1U;
        size_t got = 0;
        if (wanted > length - offset)
            wanted = length - offset;
        int failed = package_read(package, offset, piece, wanted, &got, &err);
        FUZZ_CHECK_TEXT(!whole || !failed, err.text);
        if (whole)
            FUZZ_CHECK(got == wanted && memcmp(piece, whole + offset, got) == 0);
    }
}

static void check_layout(struct fuzz_input input)
{
    static uint8_t whole[READ_MAX];
    static struct package package;
    struct error err = {""};
    bool is_changed = write_layout(&input);
    package = (struct package){.spool = spool, .scratch = -1, .fd = -1, .index = NO_MEMBER};
    package.layout.fd = -1;
    int opened = layout_open(&package.layout, layout_path, &err);
    FUZZ_CHECK_TEXT(is_changed || opened == 0, err.text);
    if (opened != 0) {
        FUZZ_CHECK_TEXT(fuzz_is_line(err.text, sizeof err.text), err.text);
        return;
    }
    package.scratch = open(scratch_path, O_RDONLY | O_CLOEXEC);
    uint64_t length = package_length(&package);
    size_t wanted = length < READ_MAX ? (size_t)length : READ_MAX;
    size_t got = 0;
    int failed = package_read(&package, 0, whole, wanted, &got, &err);
    FUZZ_CHECK_TEXT(is_changed || failed == 0, err.text);
    if (failed) {
        FUZZ_CHECK_TEXT(fuzz_is_line(err.text, sizeof err.text), err.text);
        (void)package_read(&package, fuzz_number(&input, 4), whole, 4096, &got, &err);
        if (length > READ_MAX)
            (void)package_read(&package, length - 10, whole, 4096, &got, &err);
    } else {
        FUZZ_CHECK(got == wanted);
        check_ranges(&package, &input, is_changed ? NULL : whole, got);
    }
    member_close(&package);
    layout_close(&package.layout);
    (void)close(package.scratch);
}

/* ---- a kept entry ---- */

static int value_of(void *context, uint32_t tag, char value[ATTRIBUTE_VALUE_SIZE], int *differs,
                    struct error *err)
{
    (void)context;
    (void)err;
    *differs = 0;
    (void)snprintf(value, ATTRIBUTE_VALUE_SIZE, "%s", tag % 2 ? "" : "value");
    return 0;
}

static void check_use(const struct config_map_entry *entry)
{
    static const struct attribute_source source = {.first = value_of};
    static const struct association association = {
        .id = 1, .calling_ae_title = "CT1", .called_ae_title = "A", .peer_address = "10.1.2.3"};
    struct json *context = NULL;
    struct json *patient_id = NULL;
    struct error err = {""};
    FUZZ_CHECK(entry->name && entry->destination);
    for (size_t i = 0; i < entry->require.count; i++)
        FUZZ_CHECK(entry->require.items[i] != NULL);
    if (route_context(&context, entry, &association, &source, NULL, &err) != 0)
        FUZZ_CHECK_TEXT(fuzz_is_line(err.text, sizeof err.text) && strstr(err.text, entry_path),
                        err.text);
    else
        FUZZ_CHECK(json_is_object(context));
    if (route_patient_id(&patient_id, entry, &association, &source, NULL, &err) != 0)
        FUZZ_CHECK_TEXT(fuzz_is_line(err.text, sizeof err.text) && strstr(err.text, entry_path),
                        err.text);
    else
        FUZZ_CHECK(!patient_id || json_text(patient_id)[0]);
    json_free(context);
    json_free(patient_id);
}

static void check_entry(struct fuzz_input input)
{
    static const struct config nothing;
    struct kept_entry kept;
    struct error err = {""};
    fuzz_write_file(entry_path, input.at, input.left);
    if (kept_entry_find(&kept, spool, &nothing, ROUTE, &err) == 0) {
        FUZZ_CHECK(kept.entry && kept.entry == kept.own);
        check_use(kept.entry);
    } else {
        FUZZ_CHECK_TEXT(fuzz_is_line(err.text, sizeof err.text), err.text);
        FUZZ_CHECK_TEXT(strstr(err.text, entry_path), err.text);
    }
    kept_entry_free(&kept);
}

/* ---- rate limits ---- */

static int64_t now_ms;

static int64_t tell_time(void *context)
{
    (void)context;
    return now_ms;
}

#define WINDOW_MS    60000
#define TIMEOUT_MS   1000
#define RECORD_BYTES 98328 /* of a bucket; what is behind it does not matter */

static void damage(const char *path, struct fuzz_input *input)
{
    int fd = open(path, O_RDWR | O_CLOEXEC);
    FUZZ_CHECK(fd >= 0);
    for (unsigned i = fuzz_byte(input) % 8U; i > 0; i--) {
        uint32_t place = fuzz_number(input, 2);
        const uint8_t *bytes;
        size_t size = fuzz_take(input, &bytes, fuzz_byte(input) % 17U);
        off_t at = (off_t)(place & 1 ? place : place % 128 + place / 128 % 3 * RECORD_BYTES);
        if (place % 29 == 0)
            FUZZ_CHECK(ftruncate(fd, at) == 0);
        else if (size > 0)
            FUZZ_CHECK(pwrite(fd, bytes, size, at) == (ssize_t)size);
    }
    FUZZ_CHECK(close(fd) == 0);
}

static void find_file(char out[600])
{
    char hex[SHA256_HEX_SIZE];
    FUZZ_CHECK(sha256_hex_of(hex, "https://h/api\nkey", 17) == 0);
    (void)snprintf(out, 600, "%s/%.32s.limits", limits_directory, hex);
}

static void check_limits(struct fuzz_input input)
{
    static const struct clock clock = {NULL, tell_time, tell_time};
    static const struct config_limits limits = {2, 3, 4};
    struct aurabox_limiter *limiter = NULL;
    struct error err = {""};
    char path[600];
    int64_t wait_ms = -1;
    unsigned ticket = 0;
    find_file(path);
    (void)unlink(path);
    now_ms = 1760000000000;
    FUZZ_CHECK(aurabox_limiter_open(&limiter, limits_directory, "https://h/api", "key", &limits,
                                    &clock, &err) == 0);
    for (unsigned round = 0; round < 4; round++) {
        enum aurabox_bucket bucket = (enum aurabox_bucket)(fuzz_byte(&input) % 3U);
        if (round > 0)
            damage(path, &input);
        FUZZ_CHECK_TEXT(
            aurabox_limiter_take(limiter, bucket, TIMEOUT_MS, &wait_ms, &ticket, &err) == 0,
            err.text);
        FUZZ_CHECK(wait_ms >= 0 && wait_ms <= WINDOW_MS + TIMEOUT_MS + 1);
        if (wait_ms == 0)
            FUZZ_CHECK(aurabox_limiter_done(limiter, bucket, ticket, &err) == 0);
        now_ms += fuzz_number(&input, 2);
    }
    aurabox_limiter_close(limiter);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_input input = {data, size};
    fuzz_log_must_not_hold(NULL);
    switch (fuzz_byte(&input) % KINDS) {
    case LAYOUT:
        check_layout(input);
        break;
    case ENTRY:
        check_entry(input);
        break;
    case LIMITS:
        check_limits(input);
        break;
    }
    return 0;
}
