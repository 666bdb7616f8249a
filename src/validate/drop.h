/* Which instances are received and never uploaded. Private to this room. */
#ifndef AURABRIDGE_VALIDATE_DROP_H
#define AURABRIDGE_VALIDATE_DROP_H

#include "aurabridge/config.h"
#include "aurabridge/ledger.h"

#include <stdbool.h>
#include <stddef.h>

#define DROP_NAME_SIZE 384

/* Whether a rule drops the instance; `name` then says which, e.g. "raw data of ExamCard". */
bool drop_applies(const struct config *config, const struct ledger_instance *instance,
                  char name[DROP_NAME_SIZE]);

#endif
