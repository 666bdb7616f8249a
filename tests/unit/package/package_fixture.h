/* A spool with one study, its fake ledger, and ways to read the study's archive. */
#ifndef AURABRIDGE_TESTS_PACKAGE_FIXTURE_H
#define AURABRIDGE_TESTS_PACKAGE_FIXTURE_H

#include "fake_ledger.h"

#include "aurabridge/fs.h"
#include "aurabridge/package.h"

#include <stdio.h>

#define STUDY_UID "1.2.826.0.1.3680043.9.2"
#define ROUTE_KEY "0123456789abcdef"

#define EXPLICIT_LITTLE_ENDIAN "1.2.840.10008.1.2.1"
#define JPEG_BASELINE          "1.2.840.10008.1.2.4.50"

enum content { CONTENT_SMOOTH, CONTENT_RANDOM };

struct shelf {
    char directory[64];
    struct spool *spool;
    struct press *press;
    struct journal *journal;
    struct ledger ledger;
    struct ledger_study study;
    struct error err;
};

struct shelf *shelf_open(void);
void shelf_close(struct shelf *shelf);

/* Stores an instance whose data set has `length` bytes, as reception does, and adds its row. */
void shelf_add(struct shelf *shelf, const char *sop_instance_uid, const char *transfer_syntax_uid,
               enum content content, size_t length);

/* Adds a row, and a file of `length` bytes full of holes whose name is made from `number`. */
void shelf_add_sparse(struct shelf *shelf, unsigned number, uint64_t length, uint32_t crc32);

/* The path of a member's file. */
void shelf_path(const struct shelf *shelf, size_t row, char path[512]);
/* The path of something in packages/: "layout", "deflated". */
void shelf_made(const struct shelf *shelf, const char *ending, char path[512]);
bool shelf_has_made(const struct shelf *shelf, const char *ending);

struct package *shelf_package(struct shelf *shelf, enum config_compression compression);

/* The whole archive in memory; the caller frees it. */
uint8_t *shelf_read(struct shelf *shelf, struct package *package, size_t *length);

/* The archive as a file in the shelf's directory, read in pieces of `piece` bytes. */
void shelf_write_archive(struct shelf *shelf, struct package *package, size_t piece,
                         char path[512]);

#endif
