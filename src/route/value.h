/* What templates make of DICOM values. Pure; patient data, so nothing here logs. */
#ifndef AURABRIDGE_ROUTE_VALUE_H
#define AURABRIDGE_ROUTE_VALUE_H

#include "aurabridge/attribute.h"
#include "template.h"

/* The family or given names (PS3.5 6.2.1) of the first person name: from the alphabetic component
 * group, else the ideographic one. Given names and middle name are joined by a space. */
void value_person_name(char out[ATTRIBUTE_VALUE_SIZE], const char *name, enum template_part part);

/* A DICOM date (PS3.5 6.2 DA, also the old 1977.06.03) as YYYY-MM-DD; "" when it is none. */
void value_date(char out[ATTRIBUTE_VALUE_SIZE], const char *date);

/* m, f or o; "" for all else. */
void value_sex(char out[ATTRIBUTE_VALUE_SIZE], const char *sex);

#endif
