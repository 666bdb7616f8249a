/* Files without a row. Guarantees that none is taken for a copy of, or for superseded by, something
 * that is not there: a ledger that was restored, or damaged, names files that the spool has under
 * other names only. Removes nothing that is whole.
 */
#include "found_file.h"

#include "aurabridge/log.h"

#include <inttypes.h>
#include <string.h>

int found_file_check(const struct spool_found *found, const struct part10_header *header,
                     const struct stored_instance *stored, struct error *err)
{
    const char *sop_instance_uid = header->request.sop_instance_uid;
    const struct attributes *values = stored->attributes;
    if (!uid_is_valid(sop_instance_uid) || !uid_is_valid(header->request.sop_class_uid))
        return error_set(err, "its header names no valid SOP class and instance");
    if (!spool_name_is_of(found->name, sop_instance_uid))
        return error_set(err, "its header is that of instance %s", sop_instance_uid);
    if (strcmp(attributes_get(values, ATTRIBUTE_SOP_INSTANCE_UID), sop_instance_uid) != 0 ||
        strcmp(attributes_get(values, ATTRIBUTE_STUDY_INSTANCE_UID), found->study_instance_uid) !=
            0 ||
        !uid_is_valid(attributes_get(values, ATTRIBUTE_SERIES_INSTANCE_UID)))
        return error_set(err, "its data set is not that of this instance and study");
    return 0;
}

/* What the rows of the instance say. */
struct survey {
    bool is_named;      /* one names this very file */
    bool has_copy;      /* an identical version is there, or was completed */
    bool stands;        /* some version is there, or was completed */
    bool any;           /* there is a row at all */
    bool is_superseded; /* an identical one was superseded */
    bool was_let_go;    /* an identical one was discarded, cancelled or forgotten, later than this
                           file came */
    struct ledger_version
        missing; /* an identical one whose file is not there; instance_id 0: none */
};

static bool has_file(const struct bridge *bridge, const struct ledger_version *version,
                     const struct ledger_arrival *arrival)
{
    return spool_has_instance(bridge->spool, version->file_name, version->file_size,
                              arrival->request->sop_instance_uid) &&
           (!version->is_identical || /* then one may take the other's place */
            spool_check_file(bridge->spool, version->file_name, version->file_size,
                             version->file_crc32, NULL) == 0);
}

/* What was let go is as if it had never come, but says what a file of that time is: left over when
 * a removal failed, or was undone by a power loss. A cancelled or failed study keeps its
 * files. */
static void note_let_go(struct survey *survey, const struct bridge *bridge,
                        const struct ledger_version *version, const struct ledger_arrival *arrival)
{
    if (!version->is_identical)
        return;
    bool keeps_file = (version->state == STUDY_CANCELLED || version->state == STUDY_FAILED) &&
                      version->disposition == INSTANCE_STORED;
    if (keeps_file && !has_file(bridge, version, arrival))
        survey->missing = *version;
    else if (arrival->received_ms <= version->let_go_ms)
        survey->was_let_go = true;
}

static void note(struct survey *survey, const struct bridge *bridge,
                 const struct ledger_version *version, const struct ledger_arrival *arrival)
{
    bool stands = version->state == STUDY_COMPLETED || has_file(bridge, version, arrival);
    survey->any = true;
    survey->stands = survey->stands || stands;
    if (!version->is_identical)
        return;
    survey->has_copy = survey->has_copy || stands;
    if (version->disposition == INSTANCE_SUPERSEDED)
        survey->is_superseded = true;
    else if (!stands)
        survey->missing = *version;
}

static int look_at_versions(struct survey *survey, struct bridge *bridge,
                            const struct ledger_arrival *arrival, struct error *err)
{
    struct ledger_version version = {.instance_id = 0};
    int failed = 0;
    *survey = (struct survey){.any = false};
    while ((failed = ledger_version_next(bridge->ledger, &version, arrival, version.instance_id,
                                         err)) == 0) {
        survey->is_named = survey->is_named || strcmp(version.file_name, arrival->file_name) == 0;
        if (version.is_let_go)
            note_let_go(survey, bridge, &version, arrival);
        else
            note(survey, bridge, &version, arrival);
    }
    return failed == LEDGER_NOT_FOUND ? 0 : failed;
}

/* What stands in the way is told, and tried again at the next start: the file stays. */
static int take_place(struct bridge *bridge, const struct ledger_version *version,
                      const struct ledger_arrival *arrival)
{
    const struct mended_row row = {.study_id = version->study_id,
                                   .instance_id = version->instance_id,
                                   .lost = version->file_name};
    struct error err;
    if (mend_row(bridge, &row, arrival, &err) != 0)
        log_error("recovery", "study S%" PRId64 ": %s is left where it is: %s", version->study_id,
                  arrival->file_name, err.text);
    return 0;
}

int found_file_judge(enum found_fate *fate, struct bridge *bridge, struct ledger_arrival *arrival,
                     struct error *err)
{
    struct survey survey;
    *fate = FOUND_SETTLED;
    if (look_at_versions(&survey, bridge, arrival, err) != 0)
        return -1;
    if (survey.is_named) {
        log_error("recovery",
                  "%s is in the ledger, but its index does not say so: the ledger is damaged; "
                  "restore it, or stop the bridge and move it away",
                  arrival->file_name);
        return 0;
    }
    if (survey.has_copy || (survey.is_superseded && survey.stands)) {
        *fate = FOUND_COPY;
        return 0;
    }
    if (survey.missing.instance_id != 0)
        return take_place(bridge, &survey.missing, arrival);
    if (survey.was_let_go) {
        *fate = FOUND_UNWANTED;
        return 0;
    }
    if (survey.is_superseded) {
        log_error("recovery",
                  "%s was superseded, but what superseded it is missing; it stays in the spool: "
                  "restore the other file, or remove this one",
                  arrival->file_name);
        return 0;
    }
    if (survey.any && !survey.stands)
        arrival->changed_duplicate = CHANGED_DUPLICATE_SUPPLEMENT;
    *fate = FOUND_RECORD;
    return 0;
}
