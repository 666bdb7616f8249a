/* The steps of damage_do that touch the ledger. */
#ifndef AURABRIDGE_FUZZ_DAMAGE_LEDGER_H
#define AURABRIDGE_FUZZ_DAMAGE_LEDGER_H

#include "spool_damage.h"

/* The ledger file or its log goes, is cut, or gives way to something else. */
void damage_ledger_lose(struct damage *out, struct fuzz_input *input);
/* Some bytes of either; the log's checksums may be made right again. */
void damage_ledger_bytes(struct damage *out, struct fuzz_input *input);
/* Rows and tables, as SQL would. */
void damage_ledger_rows(struct damage *out, struct fuzz_input *input);

#endif
