/* Keeps the raw values of the wanted top-level elements and converts them.
 *
 * Each tag has one slot and fills it once, so that memory is bounded by the number of slots. A
 * value whose end never came is left out: half a UID would be another UID. Longer values than
 * VALUE_RAW_MAX are cut. It does not check values.
 */
#include "value.h"

#include "aurabridge/charset.h"
#include "header.h"

#include <stdlib.h>
#include <string.h>

#define TAG_SPECIFIC_CHARACTER_SET 0x00080005U
#define FIXED_SLOTS                (ATTRIBUTE_COUNT + 1)
#define CHARACTER_SET_SLOT         ATTRIBUTE_COUNT

void values_init(struct values *values)
{
    memset(values, 0, offsetof(struct values, raw));
    for (size_t i = 0; i < ATTRIBUTE_COUNT; i++)
        values->slots[i].tag = attribute_tag((enum attribute)i);
    values->slots[CHARACTER_SET_SLOT].tag = TAG_SPECIFIC_CHARACTER_SET;
    values->count = FIXED_SLOTS;
}

void values_free(struct values *values)
{
    free(values->wanted);
    values->wanted = NULL;
}

static struct value_slot *find_slot(struct values *values, uint32_t tag)
{
    for (size_t i = 0; i < values->count; i++)
        if (values->slots[i].tag == tag)
            return &values->slots[i];
    return NULL;
}

int values_want(struct values *values, uint32_t tag)
{
    if (tag != TAG_SPECIFIC_CHARACTER_SET && find_slot(values, tag))
        return 0;
    if (values->count == VALUES_SLOTS_MAX)
        return -1;
    if (!values->wanted) {
        values->wanted = calloc(VALUES_WANTED_MAX, sizeof *values->wanted);
        if (!values->wanted)
            return -1;
    }
    values->slots[values->count++] = (struct value_slot){.tag = tag};
    return 0;
}

/* The fixed ones are text whatever VR a writer gave them; among the others binary values have no
 * text, and a VR that is not known may have. */
static bool has_text(const struct values *values, const struct value_slot *slot, uint16_t vr)
{
    if (slot < values->slots + FIXED_SLOTS)
        return vr != VR('S', 'Q');
    static const char binary[] = "ATFDFLOBODOFOLOVOWSLSQSSSVULUSUV";
    for (size_t i = 0; binary[i] != '\0'; i += 2)
        if (vr == VR(binary[i], binary[i + 1]))
            return false;
    return true;
}

bool values_begin(struct values *values, uint32_t tag, uint16_t vr)
{
    struct value_slot *slot = find_slot(values, tag);
    if (!slot || slot->seen || !has_text(values, slot, vr))
        return false;
    slot->seen = true;
    slot->vr = vr;
    slot->offset = (uint16_t)values->used;
    values->open = slot;
    return true;
}

void values_append(struct values *values, const uint8_t *bytes, size_t length)
{
    size_t room = (size_t)(VALUE_RAW_MAX - values->open->length);
    if (length > room)
        length = room;
    memcpy(values->raw + values->used, bytes, length);
    values->used += length;
    values->open->length = (uint16_t)(values->open->length + length);
}

void values_end(struct values *values)
{
    values->open->whole = true;
    values->open = NULL;
}

static bool is_person_name(const struct value_slot *slot)
{
    static const uint32_t names[] = {0x00080090, 0x0008009C, 0x00081048, 0x00081050, 0x00081052,
                                     0x00081060, 0x00081070, 0x00100010, 0x00101001, 0x00101005,
                                     0x00101060, 0x00102297, 0x00321032, 0x00400006, 0x00401010,
                                     0x00402008, 0x0040A075, 0x0040A123, 0x4008010C, 0x40080114};
    if (slot->vr == VR('P', 'N'))
        return true;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (slot->tag == names[i])
            return true;
    return false;
}

/* Specific Character Set has no bearing on these (PS3.5 6.1.2.3). */
static bool is_ascii_attribute(size_t index)
{
    switch (index) {
    case ATTRIBUTE_ACCESSION_NUMBER:
    case ATTRIBUTE_INSTITUTION_NAME:
    case ATTRIBUTE_REFERRING_PHYSICIAN_NAME:
    case ATTRIBUTE_STUDY_DESCRIPTION:
    case ATTRIBUTE_SERIES_DESCRIPTION:
    case ATTRIBUTE_PATIENT_NAME:
    case ATTRIBUTE_PATIENT_ID:
    case ATTRIBUTE_ISSUER_OF_PATIENT_ID:
    case ATTRIBUTE_PROTOCOL_NAME:
    case ATTRIBUTE_STUDY_ID:
        return false;
    default:
        return index <= CHARACTER_SET_SLOT;
    }
}

static bool is_uid(size_t index)
{
    return index == ATTRIBUTE_SOP_CLASS_UID || index == ATTRIBUTE_SOP_INSTANCE_UID ||
           index == ATTRIBUTE_STUDY_INSTANCE_UID || index == ATTRIBUTE_SERIES_INSTANCE_UID;
}

/* As it stands, less its padding: conversion leaves control characters and escapes out, and would
 * make another UID of what is none. Such bytes become '?', so that it stays none. */
static size_t copy_uid(char out[ATTRIBUTE_VALUE_SIZE], const uint8_t *bytes, size_t length)
{
    while (length > 0 && (bytes[length - 1] == ' ' || bytes[length - 1] == '\0'))
        length--;
    while (length > 0 && *bytes == ' ') {
        bytes++;
        length--;
    }
    if (length > ATTRIBUTE_VALUE_MAX)
        length = ATTRIBUTE_VALUE_MAX;
    for (size_t i = 0; i < length; i++)
        out[i] = bytes[i] > ' ' && bytes[i] <= '~' ? (char)bytes[i] : '?';
    out[length] = '\0';
    return length;
}

static size_t convert_slot(const struct values *values, size_t index, char *out,
                           const char *character_set, const char *fallback)
{
    const struct value_slot *slot = &values->slots[index];
    out[0] = '\0';
    if (!slot->whole)
        return 0;
    if (is_uid(index))
        return copy_uid(out, values->raw + slot->offset, slot->length);
    bool ascii = is_ascii_attribute(index);
    return charset_to_utf8(out, ATTRIBUTE_VALUE_SIZE, ascii ? "" : character_set,
                           ascii ? NULL : fallback,
                           is_person_name(slot) ? CHARSET_PERSON_NAME : CHARSET_TEXT,
                           values->raw + slot->offset, slot->length);
}

void values_convert(struct values *values, struct attributes *out, const char *fallback)
{
    char character_set[ATTRIBUTE_VALUE_SIZE];
    char text[ATTRIBUTE_VALUE_SIZE];
    convert_slot(values, CHARACTER_SET_SLOT, character_set, "", NULL);
    memset(out, 0, sizeof *out);
    /* Long texts must not take the room of UIDs and dates: those go first. */
    for (int ascii = 1; ascii >= 0; ascii--) {
        for (size_t i = 0; i < ATTRIBUTE_COUNT; i++) {
            if (is_ascii_attribute(i) != (bool)ascii)
                continue;
            size_t length = convert_slot(values, i, text, character_set, fallback);
            if (length > 0)
                attributes_set(out, (enum attribute)i, text, length);
        }
    }
    for (size_t i = FIXED_SLOTS; i < values->count; i++) {
        bool itself = values->slots[i].tag == TAG_SPECIFIC_CHARACTER_SET;
        convert_slot(values, itself ? CHARACTER_SET_SLOT : i, values->wanted[i - FIXED_SLOTS].text,
                     character_set, fallback);
    }
}

const char *values_wanted_text(const struct values *values, uint32_t tag)
{
    for (size_t i = FIXED_SLOTS; i < values->count; i++)
        if (values->slots[i].tag == tag)
            return values->wanted[i - FIXED_SLOTS].text;
    return "";
}
