/* Values of a study, first-received first. The recorded attributes are gathered in one pass over
 * the ledger's rows at the first question. */
#include "study_values.h"

#include "aurabridge/text.h"

#include <string.h>

void study_values_init(struct study_values *values, struct ledger *ledger, struct spool *spool,
                       int64_t study_id, const char *default_character_set)
{
    *values = (struct study_values){
        .ledger = ledger,
        .spool = spool,
        .study_id = study_id,
        .default_character_set =
            default_character_set && default_character_set[0] ? default_character_set : NULL,
    };
}

static int gather_one(void *context, const struct ledger_instance *instance)
{
    struct study_values *values = context;
    for (unsigned i = 0; i < ATTRIBUTE_COUNT; i++) {
        enum attribute attribute = (enum attribute)i;
        const char *value = attributes_get(&instance->attributes, attribute);
        const char *first = attributes_get(&values->first, attribute);
        if (!value[0])
            continue;
        if (!first[0])
            attributes_set(&values->first, attribute, value, strlen(value));
        else if (strcmp(first, value) != 0)
            values->differs[i] = true;
    }
    return 0;
}

struct search {
    struct study_values *values;
    uint32_t tag;
    char *value;
    bool differs;
    struct error *err;
};

static int read_one(void *context, const struct ledger_instance *instance)
{
    struct search *search = context;
    char text[1][ATTRIBUTE_VALUE_SIZE] = {{0}};
    if (!instance->file_name[0])
        return 0;
    if (spool_read_values(search->values->spool, instance->file_name, &search->tag, 1, text,
                          search->values->default_character_set, search->err) != 0)
        return -1;
    if (!text[0][0])
        return 0;
    if (!search->value[0])
        memcpy(search->value, text[0], ATTRIBUTE_VALUE_SIZE);
    else if (strcmp(search->value, text[0]) != 0)
        search->differs = true;
    return 0;
}

static int first_value(void *context, uint32_t tag, char value[ATTRIBUTE_VALUE_SIZE], int *differs,
                       struct error *err)
{
    struct study_values *values = context;
    value[0] = '\0';
    *differs = 0;
    enum attribute attribute;
    if (attribute_from_tag(&attribute, tag) == 0) {
        if (!values->gathered && ledger_instances(values->ledger, values->study_id, INSTANCE_STORED,
                                                  gather_one, values, err) != 0)
            return -1;
        values->gathered = true;
        text_copy(value, ATTRIBUTE_VALUE_SIZE, attributes_get(&values->first, attribute));
        *differs = values->differs[attribute];
        return 0;
    }
    struct search search = {.values = values, .tag = tag, .value = value, .err = err};
    if (ledger_instances(values->ledger, values->study_id, INSTANCE_STORED, read_one, &search,
                         err) != 0)
        return -1;
    *differs = search.differs;
    return 0;
}

struct attribute_source study_values_source(struct study_values *values)
{
    return (struct attribute_source){.context = values, .first = first_value};
}

static int take_sender(void *context, const struct ledger_instance *instance)
{
    *(struct association *)context = instance->association;
    return 1; /* the first one tells */
}

int study_sender(struct ledger *ledger, int64_t study_id, struct association *out,
                 struct error *err)
{
    *out = (struct association){0};
    return ledger_instances(ledger, study_id, -1, take_sender, out, err) < 0 ? -1 : 0;
}
