/* The zip that arrived, held against what was announced. */
#ifndef SANDBOX_ZIP_CHECK_H
#define SANDBOX_ZIP_CHECK_H

#include "aurabridge/error.h"
#include "uploads.h"

/* Reads the whole archive: names are `<StudyInstanceUID>/<file>.dcm` of announced studies, none
 * twice, every CRC-32 is good, every member is a Part 10 file, and each study has as many members
 * as its `images`. Returns 0 with the number of instances, -1 with the reason. Thread-safe as long
 * as the upload's studies stay. */
int zip_check(uint64_t *instances, const char *path, const struct upload *upload,
              struct error *err);

#endif
