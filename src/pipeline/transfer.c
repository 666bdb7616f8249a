/* The bytes of the archive, by Tus. The upload's URL and the offset that the server acknowledged
 * are in the ledger, so that the next attempt, in this life or the next, goes on from there. */
#include "stage.h"

#include "aurabridge/log.h"
#include "aurabridge/text.h"
#include "aurabridge/tus.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define PACE_MS 50 /* how often a worker that waits for bandwidth looks whether it is to stop */

struct archive {
    struct package *package;
    struct delivery_worker *worker;
    bool is_unreadable; /* a read failed */
    int damage;         /* package_read's: what was sent of a member is not what was received */
    struct error why;   /* of the damage */
};

static int read_archive(void *context, uint64_t offset, void *bytes, size_t length, size_t *got,
                        struct error *err)
{
    struct archive *archive = context;
    int failed = package_read(archive->package, offset, bytes, length, got, err);
    archive->is_unreadable |= failed != 0;
    if (failed == PACKAGE_DAMAGED || failed == PACKAGE_FILE_DAMAGED) {
        archive->damage = failed;
        archive->why = *err;
    }
    if (!failed)
        meter_add(&archive->worker->delivery->meter, *got,
                  clock_monotonic_ms(archive->worker->delivery->bridge->clock));
    return failed;
}

/* The share of the line that this worker may have now. */
static size_t admit(void *context, size_t wanted)
{
    const struct archive *archive = context;
    struct bandwidth *bandwidth = &archive->worker->delivery->bridge->bandwidth;
    for (;;) {
        int64_t wait_ms = 0;
        size_t granted = bandwidth_take(bandwidth, wanted, &wait_ms);
        if (granted > 0)
            return granted;
        if (delivery_worker_stops(archive->worker))
            return 0;
        struct timespec pause = {.tv_nsec = (wait_ms < PACE_MS ? wait_ms : PACE_MS) * 1000000L};
        (void)nanosleep(&pause, NULL);
    }
}

static void note_sent(void *context, uint64_t sent)
{
    const struct archive *archive = context;
    atomic_store(&archive->worker->sent, sent);
}

static int record_progress(void *context, const char *url, uint64_t offset)
{
    struct stage *stage = context;
    struct ledger_upload *upload = &stage->study.upload;
    text_copy(upload->upload_url, sizeof upload->upload_url, url);
    if (offset > upload->upload_offset) /* only bytes say that it takes bytes */
        stage_answered(stage, GATE_TUS);
    upload->upload_offset = offset;
    return stage_record_step(stage, url[0] ? STEP_UPLOAD_CREATED : STEP_START_DONE);
}

struct transfer {
    struct tus_upload tus;
    struct tus_metadata metadata[8];
    char file_name[UUID_SIZE + 8];
};

static void describe(struct transfer *transfer, struct stage *stage)
{
    const struct ledger_upload *upload = &stage->study.upload;
    struct tus_upload *tus = &transfer->tus;
    (void)snprintf(transfer->file_name, sizeof transfer->file_name, "%s.zip", upload->upload_id);
    struct tus_metadata metadata[] = {
        {"upload_id", upload->upload_id},  {"bucket", stage->lift.bucket},
        {"mode", stage->lift.mode},        {"name", transfer->file_name},
        {"filename", transfer->file_name}, {"type", "application/zip"},
        {"filetype", "application/zip"},   {NULL, NULL},
    };
    memcpy(transfer->metadata, metadata, sizeof metadata);
    *tus = (struct tus_upload){
        .http = stage->worker->http,
        .endpoint = stage->lift.endpoint,
        .lift_token = stage->lift.token,
        .metadata = transfer->metadata,
        .length = upload->upload_length,
        .chunk_size = stage->config->upload.chunk_size,
        .way = stage->worker->delivery->way,
        .timeout_ms = stage->worker->delivery->settings->timeout_ms,
        .offset = upload->upload_offset,
        .recorded = record_progress,
        .record_context = stage,
        .cancelled = delivery_worker_stops,
        .cancel_context = stage->worker,
    };
    text_copy(tus->url, sizeof tus->url, upload->upload_url);
}

/* A server that makes no upload of what was announced may not know the announcement: `start` tells.
 */
static int announce_again(struct stage *stage, const char *refusal)
{
    log_warning("delivery", "study S%" PRId64 ": %s; asking Aurabox whether it knows the upload",
                stage->study.id, refusal);
    if (stage_record_step(stage, STEP_START_SENT) != 0 || announce_upload(stage) != 0)
        return -1;
    return 0;
}

/* Runs Tus, with one new lift token, one new upload and one new announcement at most: what needs
 * more waits for the backoff. */
static enum tus_outcome drive(struct transfer *transfer, struct stage *stage)
{
    struct tus_upload *tus = &transfer->tus;
    bool created_anew = false;
    bool announced_again = false;
    bool lost = false;
    for (;;) {
        stage->place = GATE_TUS;
        atomic_store(&stage->worker->sent, tus->offset);
        atomic_store(&stage->worker->sends, true);
        enum tus_outcome outcome = tus_upload_run(tus);
        atomic_store(&stage->worker->sends, false);
        lost |= tus->lost;
        stage->progressed = !lost && (stage->progressed || tus->progressed);
        if (outcome == TUS_GONE && record_progress(stage, "", 0) != 0)
            return TUS_STOPPED; /* the outcome is written */
        if (outcome == TUS_RENEW_TOKEN && !tus->token_renewed) {
            if (announce_lift(stage) != 0)
                return TUS_STOPPED; /* the outcome is written */
            tus->token_renewed = true;
        } else if (outcome == TUS_GONE && !created_anew) {
            created_anew = true;
            tus->token_renewed = false;
        } else if (tus->refused && !announced_again) {
            announced_again = true;
            if (announce_again(stage, tus->text) != 0)
                return TUS_STOPPED; /* the outcome is written */
        } else {
            return outcome;
        }
    }
}

/* Its layout may name a file that another has replaced meanwhile: the next try makes it again, to
 * the same bytes, and goes on at the same offset. */
static void lay_out_anew(struct stage *stage)
{
    struct error err;
    if (package_remove(stage->bridge->spool, stage->study.id, &err) != 0)
        log_warning("delivery", "study S%" PRId64 ": its archive stays as it is: %s",
                    stage->study.id, err.text);
}

/* The server may hold bytes that are not those of the archive: no later try may go on from there.
 */
static int give_up_upload(struct stage *stage)
{
    struct transfer transfer;
    log_warning("delivery", "study S%" PRId64 ": what was sent of its archive is given up",
                stage->study.id);
    describe(&transfer, stage);
    stage->progressed = false; /* whatever is damaged, may be again */
    if (record_progress(stage, "", 0) != 0)
        return -1;
    (void)tus_upload_terminate(&transfer.tus); /* best effort: nobody goes on with it */
    return 0;
}

/* Each further try would send everything up to the damaged file again. */
static enum stage_result quarantine(struct stage *stage, const struct error *why)
{
    struct error reason;
    (void)error_set(&reason, "%s; have it sent again, then release the study", why->text);
    return stage_done(stage, STUDY_QUARANTINED, reason.text);
}

enum stage_result transfer_run(struct stage *stage)
{
    struct bridge *bridge = stage->bridge;
    struct archive archive = {.worker = stage->worker};
    struct error err;
    if (package_open(&archive.package, bridge->spool, bridge->press, bridge->ledger, &stage->study,
                     stage->config->upload.compression, delivery_worker_stops, stage->worker,
                     &err) != 0) {
        if (delivery_worker_stops(stage->worker))
            return stage_ends(stage, STAGE_AGAIN, 0, "interrupted");
        return stage_local(stage, &err);
    }
    if (strcmp(package_digest(archive.package), stage->study.upload.package_digest) != 0) {
        package_close(archive.package);
        return stage_done(stage, STUDY_PACKAGING, "its package is not the one that was begun");
    }
    struct transfer transfer;
    describe(&transfer, stage);
    transfer.tus.body = (struct http_upload){
        .context = &archive, .read = read_archive, .progress = note_sent, .admit = admit};
    stage->result = STAGE_AGAIN;
    enum tus_outcome outcome = drive(&transfer, stage);
    package_close(archive.package);
    /* First: once it is laid out anew, nothing tells any more that the server's bytes are not it.
     */
    if (archive.damage && give_up_upload(stage) != 0)
        return stage->result;
    if (archive.is_unreadable)
        lay_out_anew(stage);
    if (archive.damage == PACKAGE_FILE_DAMAGED)
        return quarantine(stage, &archive.why);
    const struct tus_upload *tus = &transfer.tus;
    switch (outcome) {
    case TUS_DONE:
        stage_answered(stage, GATE_TUS);
        if (stage_record_step(stage, STEP_UPLOAD_DONE) != 0)
            return stage->result;
        return stage_done(stage, STUDY_CONFIRMING, "the server has every byte");
    case TUS_TOO_LARGE:
        return stage_ends(stage, STAGE_REJECT, -1, tus->text);
    case TUS_AWAY: /* to all studies alike */
    case TUS_DESTINATION:
        return stage_ends(stage, STAGE_PAUSE, tus->retry_after_ms, tus->text);
    case TUS_STOPPED:
        if (stage->result == STAGE_AGAIN)
            return stage_ends(stage, STAGE_AGAIN, 0, "interrupted");
        return stage->result;
    case TUS_RETRY:
    case TUS_RENEW_TOKEN:
    case TUS_GONE:
        break;
    }
    if (stage->result == STAGE_LOCAL)
        return stage->result; /* the ledger refused to record progress */
    return stage_ends(stage, STAGE_RETRY, tus->retry_after_ms, tus->text);
}

int transfer_is_complete(struct stage *stage, bool *complete)
{
    struct transfer transfer;
    *complete = false;
    if (announce_lift(stage) != 0)
        return -1;
    if (!stage->study.upload.upload_url[0])
        return 0;
    describe(&transfer, stage);
    enum tus_outcome outcome = tus_upload_is_complete(&transfer.tus, complete);
    if (outcome == TUS_DONE || outcome == TUS_GONE)
        return 0;
    if (outcome == TUS_STOPPED)
        (void)stage_ends(stage, STAGE_AGAIN, 0, "interrupted");
    else
        (void)stage_ends(stage, STAGE_RETRY, transfer.tus.retry_after_ms, transfer.tus.text);
    return -1;
}

void transfer_terminate(struct stage *stage)
{
    struct transfer transfer;
    if (!stage->study.upload.upload_url[0])
        return;
    describe(&transfer, stage);
    (void)tus_upload_terminate(&transfer.tus); /* best effort: `cancel` is what counts */
}
