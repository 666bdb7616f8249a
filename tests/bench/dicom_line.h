/* Connections that send by C-STORE. */
#ifndef AURABRIDGE_BENCH_DICOM_LINE_H
#define AURABRIDGE_BENCH_DICOM_LINE_H

#include "load.h"
#include "synthetic.h"
#include "upper_layer.h"

struct dicom_load {
    struct upper_layer_peer peer;
    struct synthetic_plan plan;
    uint64_t stream_bytes; /* for dicom_line_stream */
    FILE *digests;         /* see load_note; may be null */
};

/* Each context is a struct dicom_load. */
/* One association; all its instances lie in memory, cut into PDUs. */
extern const struct load_line dicom_line_preloaded;
/* An association for each instance, opened and released within the time that is taken. */
extern const struct load_line dicom_line_churn;
/* One instance of any size that is made while it is sent. */
extern const struct load_line dicom_line_stream;

#endif
