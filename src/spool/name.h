/* The names of study folders and instance files: made and read in this one place, so that nothing
 * unchecked gets into a path.
 */
#ifndef AURABRIDGE_SPOOL_NAME_H
#define AURABRIDGE_SPOOL_NAME_H

#include "aurabridge/spool.h"

/* "<StudyInstanceUID>@<route key>". Returns 0, or -1 when either is not fit for a path. */
int spool_name_folder(char folder[STORED_NAME_SIZE], const char *study_instance_uid,
                      const char *route_key, struct error *err);

/* "<folder>/<SOP Instance UID>.<16 random hex digits>.dcm". Returns 0 or -1. */
int spool_name_new(char name[STORED_NAME_SIZE], const char *folder, const char *sop_instance_uid,
                   struct error *err);

/* Returns 0, or -1 when `folder` is no study folder's name. */
int spool_name_parse_folder(char study_instance_uid[UID_SIZE], char route_key[ROUTE_KEY_SIZE],
                            const char *folder);

/* Whether it is an instance file's name, without folder. */
bool spool_name_is_file(const char *file);

/* Splits off the folder of a published name. Returns 0, or -1 when it is no such name. */
int spool_name_check(char folder[STORED_NAME_SIZE], const char *name, struct error *err);

#endif
