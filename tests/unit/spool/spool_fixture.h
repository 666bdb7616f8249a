/* A spool in a temporary directory, and instances to put in it. */
#ifndef AURABRIDGE_TESTS_SPOOL_FIXTURE_H
#define AURABRIDGE_TESTS_SPOOL_FIXTURE_H

#include "aurabridge/spool.h"

#include <stdio.h>

#define STUDY_UID "1.2.826.0.1.3680043.9.1"
#define ROUTE_KEY "0123456789abcdef"

struct fixture {
    char directory[64]; /* of the spool; removed at the end */
    struct spool *spool;
    struct journal *journal;
    struct error err;
};

/* Opens a fresh spool without reserve; ends the program when even that fails. */
void fixture_open(struct fixture *fixture);
void fixture_close(struct fixture *fixture);

/* Files (not folders) at any depth below a place of the spool: "incoming", "studies". */
unsigned fixture_files(const struct fixture *fixture, const char *place);
/* Entries directly in the place. */
unsigned fixture_entries(const struct fixture *fixture, const char *place);

extern const struct association fixture_association;
struct instance_request fixture_request(const char *sop_instance_uid);

/* An explicit little endian data set with `pixels` bytes of pixel data; the caller frees it. */
uint8_t *fixture_data_set(const char *sop_instance_uid, uint32_t pixels, size_t *length);

/* spool_writer_new; and from a finished writer to its file in the study's folder. */
int fixture_begin(struct fixture *fixture, struct spool_writer **writer,
                  const struct instance_request *request, const char *character_set);
int fixture_publish(struct fixture *fixture, struct spool_writer *writer,
                    const struct stored_instance *stored, const struct instance_request *request,
                    char name[STORED_NAME_SIZE]);

/* Begins, writes in pieces of `piece` bytes, finishes and publishes. Returns the failing call's
 * code; `stored->attributes` is null after. */
int fixture_store(struct fixture *fixture, const char *sop_instance_uid, uint32_t pixels,
                  size_t piece, struct stored_instance *stored, char name[STORED_NAME_SIZE]);

/* The published file's bytes; the caller frees them. */
uint8_t *fixture_read(struct fixture *fixture, const char *name, size_t *length);

#endif
