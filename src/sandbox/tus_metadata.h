/* Upload-Metadata (Tus 1.0.0, creation), held against section 6 of the protocol. Pure. */
#ifndef SANDBOX_TUS_METADATA_H
#define SANDBOX_TUS_METADATA_H

#include "aurabridge/error.h"
#include "aurabridge/identifier.h"

/* Every key that the protocol names must stand there once with the right value, and no other.
 * Returns 0 with the upload id, -1 with the reason. */
int tus_metadata_check(char upload_id[UUID_SIZE], const char *header, const char *bucket,
                       const char *mode, struct error *err);

#endif
