/* Attributes: the recorded ones, their tags and keywords, and a fixed-size set of values. */
#include "aurabridge/attribute.h"

#include <stdbool.h>
#include <string.h>

struct known {
    uint32_t tag;
    const char *keyword;
};

static const struct known recorded[ATTRIBUTE_COUNT] = {
    [ATTRIBUTE_SOP_CLASS_UID] = {0x00080016, "SOPClassUID"},
    [ATTRIBUTE_SOP_INSTANCE_UID] = {0x00080018, "SOPInstanceUID"},
    [ATTRIBUTE_STUDY_DATE] = {0x00080020, "StudyDate"},
    [ATTRIBUTE_SERIES_DATE] = {0x00080021, "SeriesDate"},
    [ATTRIBUTE_STUDY_TIME] = {0x00080030, "StudyTime"},
    [ATTRIBUTE_SERIES_TIME] = {0x00080031, "SeriesTime"},
    [ATTRIBUTE_ACCESSION_NUMBER] = {0x00080050, "AccessionNumber"},
    [ATTRIBUTE_MODALITY] = {0x00080060, "Modality"},
    [ATTRIBUTE_INSTITUTION_NAME] = {0x00080080, "InstitutionName"},
    [ATTRIBUTE_REFERRING_PHYSICIAN_NAME] = {0x00080090, "ReferringPhysicianName"},
    [ATTRIBUTE_STUDY_DESCRIPTION] = {0x00081030, "StudyDescription"},
    [ATTRIBUTE_SERIES_DESCRIPTION] = {0x0008103E, "SeriesDescription"},
    [ATTRIBUTE_PATIENT_NAME] = {0x00100010, "PatientName"},
    [ATTRIBUTE_PATIENT_ID] = {0x00100020, "PatientID"},
    [ATTRIBUTE_ISSUER_OF_PATIENT_ID] = {0x00100021, "IssuerOfPatientID"},
    [ATTRIBUTE_PATIENT_BIRTH_DATE] = {0x00100030, "PatientBirthDate"},
    [ATTRIBUTE_PATIENT_SEX] = {0x00100040, "PatientSex"},
    [ATTRIBUTE_BODY_PART_EXAMINED] = {0x00180015, "BodyPartExamined"},
    [ATTRIBUTE_PROTOCOL_NAME] = {0x00181030, "ProtocolName"},
    [ATTRIBUTE_STUDY_INSTANCE_UID] = {0x0020000D, "StudyInstanceUID"},
    [ATTRIBUTE_SERIES_INSTANCE_UID] = {0x0020000E, "SeriesInstanceUID"},
    [ATTRIBUTE_STUDY_ID] = {0x00200010, "StudyID"},
    [ATTRIBUTE_SERIES_NUMBER] = {0x00200011, "SeriesNumber"},
};

/* Not recorded, read from the files again when a map or rule names them. */
static const struct known others[] = {
    {0x00080008, "ImageType"},
    {0x00080012, "InstanceCreationDate"},
    {0x00080013, "InstanceCreationTime"},
    {0x00080014, "InstanceCreatorUID"},
    {0x00080022, "AcquisitionDate"},
    {0x00080023, "ContentDate"},
    {0x00080032, "AcquisitionTime"},
    {0x00080033, "ContentTime"},
    {0x00080064, "ConversionType"},
    {0x00080068, "PresentationIntentType"},
    {0x00080070, "Manufacturer"},
    {0x00080081, "InstitutionAddress"},
    {0x00080092, "ReferringPhysicianAddress"},
    {0x00080094, "ReferringPhysicianTelephoneNumbers"},
    {0x00080201, "TimezoneOffsetFromUTC"},
    {0x00081010, "StationName"},
    {0x00081040, "InstitutionalDepartmentName"},
    {0x00081048, "PhysiciansOfRecord"},
    {0x00081050, "PerformingPhysicianName"},
    {0x00081060, "NameOfPhysiciansReadingStudy"},
    {0x00081070, "OperatorsName"},
    {0x00081080, "AdmittingDiagnosesDescription"},
    {0x00081090, "ManufacturerModelName"},
    {0x00100022, "TypeOfPatientID"},
    {0x00100032, "PatientBirthTime"},
    {0x00101000, "OtherPatientIDs"},
    {0x00101001, "OtherPatientNames"},
    {0x00101005, "PatientBirthName"},
    {0x00101010, "PatientAge"},
    {0x00101020, "PatientSize"},
    {0x00101030, "PatientWeight"},
    {0x00101040, "PatientAddress"},
    {0x00101060, "PatientMotherBirthName"},
    {0x00102154, "PatientTelephoneNumbers"},
    {0x00102160, "EthnicGroup"},
    {0x001021B0, "AdditionalPatientHistory"},
    {0x00104000, "PatientComments"},
    {0x00181000, "DeviceSerialNumber"},
    {0x00181020, "SoftwareVersions"},
    {0x00185100, "PatientPosition"},
    {0x00200012, "AcquisitionNumber"},
    {0x00200013, "InstanceNumber"},
    {0x00200052, "FrameOfReferenceUID"},
    {0x00200060, "Laterality"},
    {0x00204000, "ImageComments"},
    {0x00280301, "BurnedInAnnotation"},
    {0x00321032, "RequestingPhysician"},
    {0x00321033, "RequestingService"},
    {0x00321060, "RequestedProcedureDescription"},
    {0x00380010, "AdmissionID"},
    {0x00380014, "IssuerOfAdmissionID"},
    {0x00380300, "CurrentPatientLocation"},
    {0x00380500, "PatientState"},
    {0x00400241, "PerformedStationAETitle"},
    {0x00400244, "PerformedProcedureStepStartDate"},
    {0x00400245, "PerformedProcedureStepStartTime"},
    {0x00400253, "PerformedProcedureStepID"},
    {0x00400254, "PerformedProcedureStepDescription"},
    {0x00401001, "RequestedProcedureID"},
    {0x00402016, "PlacerOrderNumberImagingServiceRequest"},
    {0x00402017, "FillerOrderNumberImagingServiceRequest"},
};

uint32_t attribute_tag(enum attribute attribute)
{
    return recorded[attribute].tag;
}

const char *attribute_keyword(enum attribute attribute)
{
    return recorded[attribute].keyword;
}

int attribute_from_tag(enum attribute *out, uint32_t tag)
{
    for (unsigned i = 0; i < ATTRIBUTE_COUNT; i++) {
        if (recorded[i].tag == tag) {
            *out = (enum attribute)i;
            return 0;
        }
    }
    return -1;
}

static int find_keyword(uint32_t *tag, const struct known *table, size_t count, const char *keyword)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(table[i].keyword, keyword) == 0) {
            *tag = table[i].tag;
            return 0;
        }
    }
    return -1;
}

int attribute_tag_from_keyword(uint32_t *tag, const char *keyword)
{
    if (find_keyword(tag, recorded, ATTRIBUTE_COUNT, keyword) == 0)
        return 0;
    return find_keyword(tag, others, sizeof others / sizeof *others, keyword);
}

static bool is_continuation(char byte)
{
    return ((unsigned char)byte & 0xC0) == 0x80;
}

void attributes_set(struct attributes *attributes, enum attribute attribute, const char *value,
                    size_t length)
{
    if (attributes->offset[attribute] != 0 || length == 0)
        return;
    size_t room = ATTRIBUTES_TEXT_MAX - attributes->used;
    if (room < 2)
        return;
    size_t keep = length > ATTRIBUTE_VALUE_MAX ? ATTRIBUTE_VALUE_MAX : length;
    if (keep > room - 1)
        keep = room - 1;
    while (keep > 0 && keep < length && is_continuation(value[keep]))
        keep--;
    if (keep == 0)
        return;
    char *text = attributes->text + attributes->used;
    memcpy(text, value, keep);
    text[keep] = '\0';
    attributes->offset[attribute] = (uint16_t)(attributes->used + 1);
    attributes->used = (uint16_t)(attributes->used + keep + 1);
}

const char *attributes_get(const struct attributes *attributes, enum attribute attribute)
{
    uint16_t offset = attributes->offset[attribute];
    return offset == 0 ? "" : attributes->text + offset - 1;
}
