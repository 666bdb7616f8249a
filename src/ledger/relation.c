/* Questions that span studies, for the rules of validation. Reads only. */
#include "ledger.h"

struct question {
    int64_t study_id;
    const char *first, *second;
    int64_t answer;
};

static int ask_series(struct ledger *ledger, struct database *database, void *argument,
                      struct error *err)
{
    (void)ledger;
    struct question *question = argument;
    /* Steps from study to study over the index: a series has thousands of rows in one study. */
    static const char sql[] =
        "WITH RECURSIVE holder(id) AS (SELECT min(study_id) FROM instance WHERE "
        "series_instance_uid=?2 UNION ALL SELECT (SELECT min(study_id) FROM instance WHERE "
        "series_instance_uid=?2 AND study_id>holder.id) FROM holder WHERE holder.id IS NOT NULL) "
        "SELECT EXISTS(SELECT 1 FROM study o JOIN holder CROSS JOIN study s ON s.id=holder.id "
        "WHERE "
        "o.id=?1 AND s.route_key=o.route_key AND s.study_instance_uid<>o.study_instance_uid AND "
        "s.forgotten=0 AND s.state NOT IN ('cancelled','discarded') AND EXISTS(SELECT 1 FROM "
        "instance i WHERE i.series_instance_uid=?2 AND i.study_id=s.id AND "
        "i.disposition='stored'))";
    return database_number(database, &question->answer, sql,
                           VALUES(INTEGER(question->study_id), TEXT(question->first)), err) < 0
               ? -1
               : 0;
}

int ledger_series_elsewhere(struct ledger *ledger, bool *elsewhere, int64_t study_id,
                            const char *series_instance_uid, struct error *err)
{
    struct question question = {.study_id = study_id, .first = series_instance_uid};
    int failed = ledger_read(ledger, ask_series, &question, err);
    *elsewhere = question.answer != 0;
    return failed;
}

static int ask_patient(struct ledger *ledger, struct database *database, void *argument,
                       struct error *err)
{
    (void)ledger;
    struct question *question = argument;
    static const char sql[] =
        "SELECT EXISTS(SELECT 1 FROM study o CROSS JOIN study s ON s.route_key=o.route_key AND "
        "s.study_instance_uid=o.study_instance_uid AND s.forgotten=0 AND s.id<>o.id AND "
        "s.state<>'discarded' CROSS JOIN instance i ON i.study_id=s.id AND i.disposition='stored' "
        "AND i.patient_id<>'' AND (i.patient_id<>?2 OR (i.issuer<>?3 AND i.issuer<>'' AND ?3<>'')) "
        "WHERE o.id=?1)";
    return database_number(
               database, &question->answer, sql,
               VALUES(INTEGER(question->study_id), TEXT(question->first), TEXT(question->second)),
               err) < 0
               ? -1
               : 0;
}

int ledger_other_patient(struct ledger *ledger, bool *differs, int64_t study_id,
                         const char *patient_id, const char *issuer, struct error *err)
{
    struct question question = {.study_id = study_id, .first = patient_id, .second = issuer};
    int failed = ledger_read(ledger, ask_patient, &question, err);
    *differs = question.answer != 0;
    return failed;
}
