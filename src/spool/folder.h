/* Study folders come with their first file and go with their last one, whoever else is at it. */
#ifndef AURABRIDGE_SPOOL_FOLDER_H
#define AURABRIDGE_SPOOL_FOLDER_H

#include "place.h"

/* Moves a complete, synced file to studies/<name> durably, making the folder when it is absent.
 * Returns 0, SPOOL_FULL or -1; on failure the file is at neither place. */
int spool_folder_take(struct spool *spool, const char *part_path, const char *folder,
                      const char *name, struct error *err);

#endif
