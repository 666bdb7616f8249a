/* The four ledger questions that validation asks, over an array. One thread. */
#ifndef AURABRIDGE_TESTS_FAKE_LEDGER_H
#define AURABRIDGE_TESTS_FAKE_LEDGER_H

#include "aurabridge/ledger.h"

struct ledger {
    struct ledger_instance *instances;
    size_t count;
    const char *series_elsewhere; /* this series is in another study; null: none */
    const char *other_patient;    /* another generation has this PatientID; null: none is there */
    unsigned series_questions, patient_questions, drops;
    char drop_reason[LEDGER_REASON_SIZE]; /* the last */
    const char *fails;                    /* the function of this name fails; null: none */
};

#endif
