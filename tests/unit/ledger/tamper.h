/* A second connection to a ledger file: for tests that put something in it which the ledger never
 * would. */
#ifndef AURABRIDGE_TESTS_LEDGER_TAMPER_H
#define AURABRIDGE_TESTS_LEDGER_TAMPER_H

#include <stdint.h>

/* Runs SQL on the file; ends the test program when that fails. */
void tamper(const char *path, const char *sql);
/* One number of one row. */
int64_t tamper_number(const char *path, const char *sql);
/* The texts of the rows, a line each, into memory of the function's own. */
const char *tamper_texts(const char *path, const char *sql);

#endif
