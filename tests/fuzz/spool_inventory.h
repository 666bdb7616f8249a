/* What stands in a spool's studies/, seen without the code under test but for the reading of names
 * and Part 10 headers. */
#ifndef AURABRIDGE_FUZZ_SPOOL_INVENTORY_H
#define AURABRIDGE_FUZZ_SPOOL_INVENTORY_H

#include "aurabridge/digest.h"
#include "aurabridge/stored_instance.h"
#include "aurabridge/uid.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define INVENTORY_MAX 400

struct inventory_file {
    char name[STORED_NAME_SIZE]; /* below studies/ */
    bool is_published;           /* a regular file under a name of the spool's own */
    bool is_whole;               /* and its header, data set, name and folder agree */
    char study_instance_uid[UID_SIZE];
    char route_key[ROUTE_KEY_SIZE];
    char sop_instance_uid[UID_SIZE]; /* of the header */
    uint64_t size;
    uint8_t content[SHA256_SIZE];
    uint8_t data_set[SHA256_SIZE];
};

struct inventory {
    size_t count;
    struct inventory_file files[INVENTORY_MAX];
};

/* `known` is what was seen before (null: nothing): the same bytes under the same name are not
 * judged again. */
void inventory_take(struct inventory *out, const char *spool, const struct inventory *known);

/* The file of that name; null when there is none. */
const struct inventory_file *inventory_find(const struct inventory *inventory, const char *name);

#endif
