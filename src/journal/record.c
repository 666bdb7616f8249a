/* Records. Guarantees that what decodes was written whole by record_encode, and that no text in it
 * is longer than whoever reads it expects. */
#include "record.h"

#include <string.h>

#define LENGTH_AT 16
#define CRC32_AT  20
#define NUMBER_AT 24

/* ---- writing: the same walk counts and writes ---- */

struct sink {
    uint8_t *at; /* null: only counts */
    size_t length;
};

static void put_bytes(struct sink *sink, const void *bytes, size_t length)
{
    if (sink->at && length > 0)
        memcpy(sink->at + sink->length, bytes, length);
    sink->length += length;
}

static void store_number(uint8_t *out, uint64_t number, size_t size)
{
    for (size_t i = 0; i < size; i++)
        out[i] = (uint8_t)(number >> (8 * i));
}

static void put_number(struct sink *sink, uint64_t number, size_t size)
{
    if (sink->at)
        store_number(sink->at + sink->length, number, size);
    sink->length += size;
}

static void put_text(struct sink *sink, const char *text)
{
    put_bytes(sink, text, strlen(text) + 1);
}

static void put_stored(struct sink *sink, const struct stored_instance *stored)
{
    put_bytes(sink, stored->data_set_sha256, SHA256_SIZE);
    put_number(sink, stored->file_crc32, 4);
    put_number(sink, stored->file_size, 8);
    put_number(sink, stored->data_set_offset, 8);
    put_number(sink, (uint64_t)stored->ending.ending, 1);
    put_number(sink, stored->ending.tag, 4);
    put_number(sink, stored->ending.missing, 8);
    put_number(sink, stored->ending.offset, 8);
}

static void put_attributes(struct sink *sink, const struct attributes *attributes)
{
    for (unsigned i = 0; i < ATTRIBUTE_COUNT; i++) {
        const char *value = attributes_get(attributes, (enum attribute)i);
        if (!value[0])
            continue;
        put_number(sink, i, 1);
        put_text(sink, value);
    }
    put_number(sink, ATTRIBUTE_COUNT, 1);
}

static void put_extents(struct sink *sink, const struct journal_extent *extents, size_t count)
{
    put_number(sink, count, 2);
    for (size_t i = 0; i < count; i++) {
        const struct journal_extent none = {0};
        const struct journal_extent *extent = extents ? &extents[i] : &none;
        put_number(sink, extent->segment, 4);
        put_number(sink, extent->length, 4);
        put_number(sink, extent->offset, 8);
    }
}

static void put_entry(struct sink *sink, const struct journal_entry *entry)
{
    put_number(sink, entry->association->id, 8);
    put_text(sink, entry->association->calling_ae_title);
    put_text(sink, entry->association->called_ae_title);
    put_text(sink, entry->association->peer_address);
    put_text(sink, entry->request->sop_class_uid);
    put_text(sink, entry->request->sop_instance_uid);
    put_text(sink, entry->request->transfer_syntax_uid);
    put_text(sink, entry->study_instance_uid);
    put_text(sink, entry->series_instance_uid);
    put_text(sink, entry->route_key);
    put_text(sink, entry->entry_name);
    put_text(sink, entry->destination);
    put_text(sink, entry->file_name);
    put_text(sink, entry->part_name);
    put_number(sink, (uint64_t)entry->received_ms, 8);
    put_number(sink, (uint64_t)entry->quiet_period_ms, 8);
    put_number(sink, (uint64_t)entry->max_wait_ms, 8);
    put_number(sink, entry->changed_duplicate, 1);
    put_number(sink, entry->priority, 1);
    put_stored(sink, entry->stored);
    put_attributes(sink, entry->stored->attributes);
}

size_t record_size(const struct journal_entry *entry, size_t extent_count)
{
    struct sink sink = {.at = NULL, .length = RECORD_HEAD_SIZE};
    put_entry(&sink, entry);
    put_extents(&sink, NULL, extent_count);
    return sink.length;
}

void record_encode(uint8_t *out, const struct journal_entry *entry,
                   const struct journal_extent *extents, size_t extent_count, uint64_t number,
                   const uint8_t nonce[RECORD_NONCE_SIZE])
{
    struct sink sink = {.at = out, .length = RECORD_HEAD_SIZE};
    put_entry(&sink, entry);
    put_extents(&sink, extents, extent_count);
    memcpy(out, nonce, RECORD_NONCE_SIZE);
    store_number(out + LENGTH_AT, sink.length, 4);
    store_number(out + CRC32_AT, 0, 4);
    store_number(out + NUMBER_AT, number, 8);
    store_number(out + CRC32_AT, crc32_update(0, out, sink.length), 4);
}

/* ---- reading ---- */

struct source {
    const uint8_t *at, *end;
    bool failed;
};

static uint64_t load_number(const uint8_t *from, size_t size)
{
    uint64_t number = 0;
    for (size_t i = 0; i < size; i++)
        number |= (uint64_t)from[i] << (8 * i);
    return number;
}

static uint64_t take_number(struct source *source, size_t size)
{
    if ((size_t)(source->end - source->at) < size)
        source->failed = true;
    if (source->failed)
        return 0;
    source->at += size;
    return load_number(source->at - size, size);
}

/* At most `size` bytes with the NUL. */
static const char *take_text(struct source *source, size_t size)
{
    size_t left = source->failed ? 0 : (size_t)(source->end - source->at);
    const uint8_t *end = left > 0 ? memchr(source->at, 0, left) : NULL;
    if (!end || (size_t)(end - source->at) >= size) {
        source->failed = true;
        return "";
    }
    const char *text = (const char *)source->at;
    source->at = end + 1;
    return text;
}

static void copy_text(struct source *source, char *out, size_t size)
{
    const char *text = take_text(source, size);
    memcpy(out, text, strlen(text) + 1);
}

static void take_stored(struct source *source, struct stored_instance *stored)
{
    for (size_t i = 0; i < SHA256_SIZE; i++)
        stored->data_set_sha256[i] = (uint8_t)take_number(source, 1);
    stored->file_crc32 = (uint32_t)take_number(source, 4);
    stored->file_size = take_number(source, 8);
    stored->data_set_offset = take_number(source, 8);
    uint64_t ending = take_number(source, 1);
    source->failed |= ending > DATASET_NOT_UNDERSTOOD;
    stored->ending.ending = (enum dataset_ending)ending;
    stored->ending.tag = (uint32_t)take_number(source, 4);
    stored->ending.missing = take_number(source, 8);
    stored->ending.offset = take_number(source, 8);
}

static void take_attributes(struct source *source, struct attributes *attributes)
{
    memset(attributes, 0, sizeof *attributes);
    for (;;) {
        uint64_t which = take_number(source, 1);
        source->failed |= which > ATTRIBUTE_COUNT;
        if (source->failed || which == ATTRIBUTE_COUNT)
            return;
        const char *value = take_text(source, ATTRIBUTE_VALUE_SIZE);
        attributes_set(attributes, (enum attribute)which, value, strlen(value));
    }
}

static void take_extents(struct source *source, struct journal_record *record)
{
    uint64_t count = take_number(source, 2);
    source->failed |= count > JOURNAL_EXTENTS_MAX;
    record->extent_count = source->failed ? 0 : (size_t)count;
    for (size_t i = 0; i < record->extent_count; i++) {
        record->extents[i].segment = (uint32_t)take_number(source, 4);
        record->extents[i].length = (uint32_t)take_number(source, 4);
        record->extents[i].offset = take_number(source, 8);
    }
}

static void take_entry(struct source *source, struct journal_record *record)
{
    struct journal_entry *entry = &record->entry;
    record->association.id = take_number(source, 8);
    copy_text(source, record->association.calling_ae_title, AE_TITLE_SIZE);
    copy_text(source, record->association.called_ae_title, AE_TITLE_SIZE);
    copy_text(source, record->association.peer_address, NETWORK_ADDRESS_SIZE);
    copy_text(source, record->request.sop_class_uid, UID_SIZE);
    copy_text(source, record->request.sop_instance_uid, UID_SIZE);
    copy_text(source, record->request.transfer_syntax_uid, UID_SIZE);
    entry->study_instance_uid = take_text(source, UID_SIZE);
    entry->series_instance_uid = take_text(source, UID_SIZE);
    entry->route_key = take_text(source, ROUTE_KEY_SIZE);
    entry->entry_name = take_text(source, JOURNAL_RECORD_MAX);
    entry->destination = take_text(source, JOURNAL_RECORD_MAX);
    entry->file_name = take_text(source, STORED_NAME_SIZE);
    entry->part_name = take_text(source, STORED_NAME_SIZE);
    entry->received_ms = (int64_t)take_number(source, 8);
    entry->quiet_period_ms = (int64_t)take_number(source, 8);
    entry->max_wait_ms = (int64_t)take_number(source, 8);
    entry->changed_duplicate = (unsigned)take_number(source, 1);
    entry->priority = (unsigned)take_number(source, 1);
    take_stored(source, &record->stored);
    take_attributes(source, &record->attributes);
    entry->association = &record->association;
    entry->request = &record->request;
    entry->stored = &record->stored;
    record->stored.attributes = &record->attributes;
}

size_t record_length(const uint8_t *head, const uint8_t nonce[RECORD_NONCE_SIZE])
{
    if (memcmp(head, nonce, RECORD_NONCE_SIZE) != 0)
        return 0;
    uint64_t length = load_number(head + LENGTH_AT, 4);
    return length > RECORD_HEAD_SIZE && length <= JOURNAL_RECORD_MAX ? (size_t)length : 0;
}

static bool is_whole(struct journal_record *record, size_t length)
{
    uint8_t *bytes = record->bytes;
    if (length < RECORD_HEAD_SIZE || load_number(bytes + LENGTH_AT, 4) != length)
        return false;
    uint32_t told = (uint32_t)load_number(bytes + CRC32_AT, 4);
    store_number(bytes + CRC32_AT, 0, 4);
    uint32_t crc32 = crc32_update(0, bytes, length);
    store_number(bytes + CRC32_AT, told, 4);
    return crc32 == told;
}

int record_decode(struct journal_record *record, size_t length)
{
    if (!is_whole(record, length))
        return -1;
    struct source source = {.at = record->bytes + RECORD_HEAD_SIZE, .end = record->bytes + length};
    record->number = load_number(record->bytes + NUMBER_AT, 8);
    take_entry(&source, record);
    take_extents(&source, record);
    return source.failed || source.at != source.end ? -1 : 0;
}
