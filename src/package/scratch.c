/* See the header. A record is 64 bytes: what was made, who wrote it, and a seal over that and all
 * that it holds for, so that one that is torn, of another study, or of another file is no record.
 */
#include "scratch.h"

#include "zip.h"

#include "aurabridge/digest.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAGIC       0x31424d41u /* "AMB1" */
#define RECORD_SIZE 64
#define SEAL_SIZE   16
#define SEAL_OFFSET (RECORD_SIZE - SEAL_SIZE)
#define LOOK_SIZE   ((size_t)64 * 1024)
#define FILE_MODE   0600

static int open_there(const char *path)
{
    return open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
}

int scratch_open(struct scratch **out, const char *bytes_path, const char *table_path,
                 int64_t study_id, struct error *err)
{
    struct stat status;
    *out = NULL;
    struct scratch *scratch = calloc(1, sizeof *scratch);
    if (!scratch)
        return error_set(err, "packing S%lld: out of memory", (long long)study_id);
    if (getrandom(&scratch->writer, sizeof scratch->writer, 0) != sizeof scratch->writer) {
        free(scratch);
        return error_set(err, "the system gives no random numbers");
    }
    scratch->study_id = study_id;
    memcpy(scratch->bytes_path, bytes_path, strnlen(bytes_path, FS_PATH_MAX - 1));
    memcpy(scratch->table_path, table_path, strnlen(table_path, FS_PATH_MAX - 1));
    int bytes = open_there(bytes_path);
    if (bytes >= 0 && (fstat(bytes, &status) != 0 || !S_ISREG(status.st_mode))) {
        (void)close(bytes); /* only looked at */
        bytes = -1;
    }
    atomic_init(&scratch->end, bytes >= 0 ? (unsigned long long)status.st_size : 0);
    atomic_init(&scratch->bytes, bytes);
    atomic_init(&scratch->table, bytes >= 0 ? open_there(table_path) : -1);
    atomic_init(&scratch->dirty, false);
    atomic_init(&scratch->is_doubted, false);
    *out = scratch;
    return 0;
}

void scratch_close(struct scratch *scratch)
{
    if (!scratch)
        return;
    /* What counts was synced; the rest is made again. */
    if (atomic_load(&scratch->bytes) >= 0)
        (void)close(atomic_load(&scratch->bytes));
    if (atomic_load(&scratch->table) >= 0)
        (void)close(atomic_load(&scratch->table));
    free(scratch);
}

static bool has_name(int fd)
{
    struct stat status;
    return fd < 0 || (fstat(fd, &status) == 0 && status.st_nlink > 0);
}

bool scratch_is_current(const struct scratch *scratch)
{
    return has_name(atomic_load(&scratch->bytes)) && has_name(atomic_load(&scratch->table));
}

static int failure_of(int errnum)
{
    return errnum == ENOSPC || errnum == EDQUOT || errnum == EFBIG ? SCRATCH_FULL : -1;
}

/* Two threads may come here at once: one of them keeps its descriptor. */
static int make(atomic_int *fd, const char *path, struct error *err)
{
    int none = -1;
    if (atomic_load(fd) >= 0)
        return 0;
    int made = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, FILE_MODE);
    if (made < 0) {
        int errnum = errno;
        (void)error_errno(err, errnum, "making file %s", path);
        return failure_of(errnum);
    }
    if (!atomic_compare_exchange_strong(fd, &none, made))
        (void)close(made); /* nothing was done with it */
    return 0;
}

static int make_files(struct scratch *scratch, struct error *err)
{
    int code = make(&scratch->bytes, scratch->bytes_path, err);
    return code == 0 ? make(&scratch->table, scratch->table_path, err) : code;
}

int scratch_reserve(struct scratch *scratch, uint64_t length, uint64_t *offset, struct error *err)
{
    int code = make_files(scratch, err);
    if (code == 0)
        *offset = atomic_fetch_add(&scratch->end, length);
    return code;
}

int scratch_write(struct scratch *scratch, const void *bytes, size_t length, uint64_t offset,
                  struct error *err)
{
    atomic_store(&scratch->dirty, true);
    if (fs_write_at(atomic_load(&scratch->bytes), bytes, length, offset, err) == 0)
        return 0;
    return failure_of(errno);
}

void scratch_give_back(struct scratch *scratch, uint64_t offset, uint64_t length)
{
    if (length > 0)
        (void)fallocate(atomic_load(&scratch->bytes), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
                        (off_t)offset, (off_t)length);
}

/* ---- records ---- */

static void put(uint8_t **at, uint64_t value, unsigned bytes)
{
    for (unsigned i = 0; i < bytes; i++)
        *(*at)++ = (uint8_t)(value >> 8 * i);
}

static uint64_t get(const uint8_t **at, unsigned bytes)
{
    uint64_t value = 0;
    for (unsigned i = 0; i < bytes; i++)
        value |= (uint64_t) * (*at)++ << 8 * i;
    return value;
}

static int seal(uint8_t out[SHA256_SIZE], const uint8_t *record, const struct scratch *scratch,
                const struct scratch_key *key)
{
    uint8_t all[SEAL_OFFSET + 2 * 8 + STORED_NAME_SIZE] = {0};
    uint8_t *at = all + SEAL_OFFSET;
    memcpy(all, record, SEAL_OFFSET);
    put(&at, (uint64_t)scratch->study_id, 8);
    put(&at, (uint64_t)key->member->id, 8);
    memcpy(at, key->member->file_name, strnlen(key->member->file_name, STORED_NAME_SIZE));
    return sha256_of(out, all, sizeof all);
}

int scratch_record(struct scratch *scratch, const struct scratch_key *key,
                   const struct scratch_record *record, struct error *err)
{
    uint8_t bytes[RECORD_SIZE], digest[SHA256_SIZE];
    uint8_t *at = bytes;
    int code = make_files(scratch, err);
    if (code != 0)
        return code;
    put(&at, MAGIC, 4);
    put(&at, record->method, 4);
    put(&at, scratch->writer, 8);
    put(&at, key->member->file_size, 8);
    put(&at, record->packed, 8);
    put(&at, record->offset, 8);
    put(&at, key->member->file_crc32, 4);
    put(&at, record->packed_crc32, 4);
    if (seal(digest, bytes, scratch, key) != 0)
        return error_set(err, "SHA-256 failed");
    memcpy(bytes + SEAL_OFFSET, digest, SEAL_SIZE);
    if (fs_write_at(atomic_load(&scratch->table), bytes, sizeof bytes, key->place * RECORD_SIZE,
                    err) == 0)
        return 0;
    return failure_of(errno);
}

/* Whether the bytes that the record speaks of are there. */
static bool look_at_bytes(struct scratch *scratch, const struct scratch_record *record)
{
    uint64_t done = 0;
    uint32_t crc32 = 0;
    uint8_t *bytes = malloc(LOOK_SIZE);
    while (bytes && done < record->packed) {
        uint64_t left = record->packed - done;
        size_t wanted = left < LOOK_SIZE ? (size_t)left : LOOK_SIZE;
        size_t got;
        if (fs_read_at(atomic_load(&scratch->bytes), bytes, wanted, record->offset + done, &got,
                       NULL) != 0 ||
            got != wanted)
            break;
        crc32 = crc32_update(crc32, bytes, got);
        done += got;
    }
    free(bytes);
    return done == record->packed && crc32 == record->packed_crc32;
}

/* Records of a member that did not shrink have nothing to look at. */
static bool is_kept(struct scratch *scratch, const struct scratch_record *record, uint64_t size,
                    bool is_own)
{
    struct stat status;
    if (record->method == ZIP_METHOD_STORED)
        return true;
    if (record->method != ZIP_METHOD_DEFLATED || record->packed == 0 || record->packed >= size ||
        fstat(atomic_load(&scratch->bytes), &status) != 0)
        return false;
    uint64_t there = (uint64_t)status.st_size;
    if (record->offset > there || record->packed > there - record->offset) {
        atomic_store(&scratch->is_doubted, true); /* it was cut */
        return false;
    }
    return (is_own && !atomic_load(&scratch->is_doubted)) || look_at_bytes(scratch, record);
}

/* A record as it stands in the table, and who wrote it. */
static bool read_record(struct scratch *scratch, const struct scratch_key *key,
                        struct scratch_record *out, bool *is_own)
{
    uint8_t bytes[RECORD_SIZE], digest[SHA256_SIZE];
    const uint8_t *at = bytes;
    size_t got;
    int table = atomic_load(&scratch->table);
    if (table < 0 ||
        fs_read_at(table, bytes, sizeof bytes, key->place * RECORD_SIZE, &got, NULL) != 0 ||
        got != sizeof bytes || get(&at, 4) != MAGIC || seal(digest, bytes, scratch, key) != 0 ||
        memcmp(digest, bytes + SEAL_OFFSET, SEAL_SIZE) != 0)
        return false;
    out->method = (unsigned)get(&at, 4);
    *is_own = get(&at, 8) == scratch->writer;
    uint64_t size = get(&at, 8);
    out->packed = get(&at, 8);
    out->offset = get(&at, 8);
    uint32_t crc32 = (uint32_t)get(&at, 4);
    out->packed_crc32 = (uint32_t)get(&at, 4);
    return size == key->member->file_size && crc32 == key->member->file_crc32;
}

bool scratch_recall(struct scratch *scratch, const struct scratch_key *key,
                    struct scratch_record *out)
{
    bool is_own;
    return read_record(scratch, key, out, &is_own) &&
           is_kept(scratch, out, key->member->file_size, is_own);
}

bool scratch_has_record(struct scratch *scratch, const struct scratch_key *key)
{
    struct scratch_record ignored;
    bool is_own;
    return read_record(scratch, key, &ignored, &is_own);
}

/* ---- the disk ---- */

void scratch_start_writing(struct scratch *scratch)
{
    int bytes = atomic_load(&scratch->bytes);
    if (bytes >= 0 && atomic_exchange(&scratch->dirty, false))
        (void)sync_file_range(bytes, 0, 0, SYNC_FILE_RANGE_WRITE); /* a head start, no more */
}

int scratch_sync(struct scratch *scratch, struct error *err)
{
    if (fdatasync(atomic_load(&scratch->bytes)) != 0)
        return error_errno(err, errno, "syncing %s", scratch->bytes_path);
    return 0;
}
