/* The driver with its pace as a parameter, for tests. Private to this room. */
#ifndef AURABRIDGE_TUS_UPLOAD_H
#define AURABRIDGE_TUS_UPLOAD_H

#include "aurabridge/tus.h"

/* tus_upload_run, waiting `pause_ms` after a failure. */
enum tus_outcome tus_upload_drive(struct tus_upload *upload, int64_t pause_ms);

#endif
