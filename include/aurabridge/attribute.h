/* The attributes of an instance that the bridge reads on the way past, and their keywords
 * (PS3.6). Values are UTF-8, trimmed of padding; multiple values keep their backslashes; person
 * names keep their component groups (A=I=P). Patient data: never log a value.
 */
#ifndef AURABRIDGE_ATTRIBUTE_H
#define AURABRIDGE_ATTRIBUTE_H

#include <stddef.h>
#include <stdint.h>

/* Recorded with every instance, in tag order. */
enum attribute {
    ATTRIBUTE_SOP_CLASS_UID,
    ATTRIBUTE_SOP_INSTANCE_UID,
    ATTRIBUTE_STUDY_DATE,
    ATTRIBUTE_SERIES_DATE,
    ATTRIBUTE_STUDY_TIME,
    ATTRIBUTE_SERIES_TIME,
    ATTRIBUTE_ACCESSION_NUMBER,
    ATTRIBUTE_MODALITY,
    ATTRIBUTE_INSTITUTION_NAME,
    ATTRIBUTE_REFERRING_PHYSICIAN_NAME,
    ATTRIBUTE_STUDY_DESCRIPTION,
    ATTRIBUTE_SERIES_DESCRIPTION,
    ATTRIBUTE_PATIENT_NAME,
    ATTRIBUTE_PATIENT_ID,
    ATTRIBUTE_ISSUER_OF_PATIENT_ID,
    ATTRIBUTE_PATIENT_BIRTH_DATE,
    ATTRIBUTE_PATIENT_SEX,
    ATTRIBUTE_BODY_PART_EXAMINED,
    ATTRIBUTE_PROTOCOL_NAME,
    ATTRIBUTE_STUDY_INSTANCE_UID,
    ATTRIBUTE_SERIES_INSTANCE_UID,
    ATTRIBUTE_STUDY_ID,
    ATTRIBUTE_SERIES_NUMBER,
    ATTRIBUTE_COUNT
};

/* (gggg,eeee) as gggg << 16 | eeee. */
uint32_t attribute_tag(enum attribute attribute);
const char *attribute_keyword(enum attribute attribute);

/* Returns 0, or -1 when the tag is not among the recorded ones. */
int attribute_from_tag(enum attribute *out, uint32_t tag);

/* The tag of a PS3.6 keyword; knows the recorded attributes and the other ones that people map
 * (OtherPatientIDs, RequestedProcedureID, …). Returns 0, or -1 when it is unknown. */
int attribute_tag_from_keyword(uint32_t *tag, const char *keyword);

/* The values of one instance, in fixed memory. Zero-initialise it. */
#define ATTRIBUTES_TEXT_MAX  8192
#define ATTRIBUTE_VALUE_MAX  1400 /* bytes of UTF-8; longer values are cut at a character */
#define ATTRIBUTE_VALUE_SIZE (ATTRIBUTE_VALUE_MAX + 1)
struct attributes {
    uint16_t offset[ATTRIBUTE_COUNT]; /* into text, plus 1; 0: absent or empty */
    uint16_t used;
    char text[ATTRIBUTES_TEXT_MAX];
};

/* Sets a value once (the first wins), cut to ATTRIBUTE_VALUE_MAX and to what room is left. */
void attributes_set(struct attributes *attributes, enum attribute attribute, const char *value,
                    size_t length);

/* The value, "" when absent; belongs to `attributes`. */
const char *attributes_get(const struct attributes *attributes, enum attribute attribute);

/* Where templates and rules take a study's values from: the pipeline implements it over ledger and
 * spool, `aurabridge route` over one file. */
struct error;
struct attribute_source {
    void *context;
    /* The first-received non-empty value of `tag` into `value` ("" when none has one);
     * `*differs` says whether another instance has another non-empty one. Returns 0 or -1. */
    int (*first)(void *context, uint32_t tag, char value[ATTRIBUTE_VALUE_SIZE], int *differs,
                 struct error *err);
};

#endif
