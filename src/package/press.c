/* See the header. A study's scratch is shared by all who are at it and stays open for a while; a
 * member is claimed while somebody is at it. No claim is ever waited for longer than the work would
 * take: who holds it may run on idle processors only.
 */
#include "press_state.h"

#include "build.h"
#include "zip.h"

#include "aurabridge/clock.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* PS3.5 annex A: the transfer syntaxes whose data sets are neither encapsulated nor deflated. */
static const char *const native_transfer_syntaxes[] = {"1.2.840.10008.1.2", "1.2.840.10008.1.2.1",
                                                       "1.2.840.10008.1.2.2", "1.2.840.113619.5.2"};

/* Members above this share one buffer among those who work ahead: what they take together stays
 * within some MiB, however many they are. */
#define LARGE_SIZE ((uint64_t)1024 * 1024)

#define PATIENCE_MS           20
#define PATIENCE_BYTES_PER_MS 100000
#define LOOK_EVERY_MS         100 /* whether the wait is cancelled */

struct press_hand {
    struct press *press;
    struct deflator *deflator;
    bool (*cancelled)(void *context);
    void *context;
};

int press_new(struct press **out, struct spool *spool, struct error *err)
{
    pthread_condattr_t attributes;
    *out = NULL;
    struct press *press = calloc(1, sizeof *press);
    if (!press)
        return error_set(err, "no memory for the press");
    press->spool = spool;
    pthread_mutex_init(&press->lock, NULL);
    pthread_condattr_init(&attributes);
    (void)pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&press->freed, &attributes);
    pthread_condattr_destroy(&attributes);
    *out = press;
    return 0;
}

void press_free(struct press *press)
{
    if (!press)
        return;
    while (press->scratches) {
        struct scratch *gone = press->scratches;
        press->scratches = gone->next;
        scratch_close(gone);
    }
    pthread_cond_destroy(&press->freed);
    pthread_mutex_destroy(&press->lock);
    free(press);
}

bool press_wants(enum config_compression compression, const char *transfer_syntax_uid)
{
    if (compression != COMPRESSION_AUTO)
        return compression == COMPRESSION_DEFLATE;
    size_t count = sizeof native_transfer_syntaxes / sizeof *native_transfer_syntaxes;
    for (size_t i = 0; i < count; i++) {
        if (strcmp(transfer_syntax_uid, native_transfer_syntaxes[i]) == 0)
            return true;
    }
    return false;
}

/* ---- scratches ---- */

/* With the lock held: what may be closed, taken off the list. */
static struct scratch *take_idle(struct press *press)
{
    struct scratch *gone = NULL;
    unsigned idle = 0;
    for (struct scratch **at = &press->scratches; *at;) {
        struct scratch *scratch = *at;
        bool goes = scratch->users == 0 && (scratch->is_stale || ++idle > PRESS_IDLE);
        if (!goes) {
            at = &scratch->next;
            continue;
        }
        *at = scratch->next;
        scratch->next = gone;
        gone = scratch;
    }
    return gone;
}

static void close_all(struct scratch *first)
{
    while (first) {
        struct scratch *next = first->next;
        scratch_close(first);
        first = next;
    }
}

/* With the lock held. */
static struct scratch *find(struct press *press, int64_t study_id)
{
    for (struct scratch **at = &press->scratches; *at; at = &(*at)->next) {
        struct scratch *scratch = *at;
        if (scratch->study_id != study_id || scratch->is_stale)
            continue;
        scratch->users++;
        *at = scratch->next; /* to the front */
        scratch->next = press->scratches;
        press->scratches = scratch;
        return scratch;
    }
    return NULL;
}

static struct scratch *find_current(struct press *press, int64_t study_id)
{
    pthread_mutex_lock(&press->lock);
    struct scratch *scratch = find(press, study_id);
    pthread_mutex_unlock(&press->lock);
    if (!scratch || scratch_is_current(scratch))
        return scratch;
    /* Its files were removed: who is at it still writes to what nobody will see. */
    pthread_mutex_lock(&press->lock);
    scratch->is_stale = true;
    pthread_mutex_unlock(&press->lock);
    press_leave(press, scratch);
    return NULL;
}

int press_enter(struct press *press, struct scratch **out, int64_t study_id, struct error *err)
{
    struct package_paths paths;
    struct scratch *made = NULL;
    *out = find_current(press, study_id);
    if (*out)
        return 0;
    if (package_paths(&paths, press->spool, study_id, err) != 0 ||
        fs_make_directory(paths.directory, err) != 0 ||
        scratch_open(&made, paths.scratch, paths.members, study_id, err) != 0)
        return -1;
    pthread_mutex_lock(&press->lock);
    *out = find(press, study_id); /* another thread may have been faster */
    if (!*out) {
        made->users = 1;
        made->next = press->scratches;
        press->scratches = made;
        *out = made;
        made = NULL;
    }
    pthread_mutex_unlock(&press->lock);
    scratch_close(made);
    return 0;
}

void press_leave(struct press *press, struct scratch *scratch)
{
    pthread_mutex_lock(&press->lock);
    scratch->users--;
    struct scratch *gone = take_idle(press);
    pthread_mutex_unlock(&press->lock);
    close_all(gone);
}

bool press_is_used(struct press *press, int64_t study_id)
{
    bool used = false;
    pthread_mutex_lock(&press->lock);
    for (const struct scratch *at = press->scratches; at && !used; at = at->next)
        used = at->study_id == study_id && at->users > 0;
    pthread_mutex_unlock(&press->lock);
    return used;
}

void press_start_writing(struct press *press)
{
    struct scratch *held[PRESS_IDLE];
    size_t count = 0;
    pthread_mutex_lock(&press->lock);
    for (struct scratch *at = press->scratches; at && count < PRESS_IDLE; at = at->next) {
        if (!atomic_load(&at->dirty) || at->is_stale)
            continue;
        at->users++;
        held[count++] = at;
    }
    pthread_mutex_unlock(&press->lock);
    for (size_t i = 0; i < count; i++) {
        scratch_start_writing(held[i]);
        press_leave(press, held[i]);
    }
}

/* ---- claims ---- */

/* With the lock held: the place of the claim, or a free one with 0, or null. */
static int64_t *find_claim(struct press *press, int64_t instance_id)
{
    for (size_t i = 0; i < PRESS_CLAIMS; i++) {
        if (press->claims[i] == instance_id)
            return &press->claims[i];
    }
    return NULL;
}

/* With the lock held. False when the time is over. */
static bool wait_freed(struct press *press, const struct press_job *job, int64_t deadline_ms)
{
    int64_t now = clock_monotonic_ms(clock_system());
    if (now >= deadline_ms || (job->cancelled && job->cancelled(job->context)))
        return false;
    int64_t until = deadline_ms - now < LOOK_EVERY_MS ? deadline_ms : now + LOOK_EVERY_MS;
    const struct timespec at = {.tv_sec = (time_t)(until / 1000),
                                .tv_nsec = (long)(until % 1000) * 1000000};
    (void)pthread_cond_timedwait(&press->freed, &press->lock, &at);
    return true;
}

/* Returns 0, also without a claim where waiting was in vain or there is no place left, or
 * PRESS_BUSY. */
static int claim(struct press *press, const struct press_job *job, bool *is_claimed)
{
    const struct ledger_member *member = job->key.member;
    int64_t deadline = clock_monotonic_ms(clock_system()) + PATIENCE_MS +
                       (int64_t)(member->file_size / PATIENCE_BYTES_PER_MS);
    int code = 0;
    pthread_mutex_lock(&press->lock);
    while (find_claim(press, member->id) && code == 0) {
        if (!job->is_patient)
            code = PRESS_BUSY;
        else if (!wait_freed(press, job, deadline))
            break;
    }
    int64_t *place = code == 0 && !find_claim(press, member->id) ? find_claim(press, 0) : NULL;
    if (place)
        *place = member->id;
    *is_claimed = place != NULL;
    pthread_mutex_unlock(&press->lock);
    return code;
}

static void unclaim(struct press *press, int64_t instance_id)
{
    pthread_mutex_lock(&press->lock);
    *find_claim(press, instance_id) = 0;
    pthread_cond_broadcast(&press->freed);
    pthread_mutex_unlock(&press->lock);
}

/* ---- work ---- */

static bool has_room(void *context, uint64_t bytes)
{
    return spool_check_space(context, bytes, NULL) == 0;
}

static int deflate_file(struct press *press, struct press_job *job, struct error *err)
{
    const struct ledger_member *member = job->key.member;
    struct deflator_job deflation = {.size = member->file_size,
                                     .crc32 = member->file_crc32,
                                     .scratch = job->scratch,
                                     .cancelled = job->cancelled,
                                     .context = job->context,
                                     .has_room = has_room,
                                     .room_context = press->spool};
    if (spool_read(&deflation.in, press->spool, member->file_name, err) != 0)
        return -1;
    int code = deflator_run(job->deflator, &deflation, err);
    (void)close(deflation.in); /* only read from */
    job->made = deflation.made;
    if (code == DEFLATOR_NO_GAIN) {
        job->made = (struct scratch_record){.method = ZIP_METHOD_STORED,
                                            .packed = member->file_size,
                                            .packed_crc32 = member->file_crc32};
        return 0;
    }
    return code == 0 || code == DEFLATOR_DISK_FULL
               ? code
               : error_wrap(err, "compressing %s", member->file_name);
}

static int make(struct press *press, struct press_job *job, struct error *err)
{
    int code = deflate_file(press, job, err);
    if (code == 0)
        code = scratch_record(job->scratch, &job->key, &job->made, err);
    return code == DEFLATOR_DISK_FULL || code == SCRATCH_FULL ? PRESS_NO_ROOM : code;
}

int press_make(struct press *press, struct press_job *job, struct error *err)
{
    bool is_claimed;
    int code = claim(press, job, &is_claimed);
    if (code != 0)
        return code;
    /* Who was at it may have made it. */
    if (!scratch_recall(job->scratch, &job->key, &job->made))
        code = make(press, job, err);
    if (is_claimed)
        unclaim(press, job->key.member->id);
    return code;
}

/* ---- hands ---- */

int press_hand_new(struct press_hand **out, struct press *press, bool (*cancelled)(void *context),
                   void *context, struct error *err)
{
    *out = calloc(1, sizeof **out);
    if (!*out)
        return error_set(err, "compressing: out of memory");
    **out = (struct press_hand){.press = press, .cancelled = cancelled, .context = context};
    if (deflator_new(&(*out)->deflator, err) == 0)
        return 0;
    free(*out);
    *out = NULL;
    return -1;
}

void press_hand_free(struct press_hand *hand)
{
    if (!hand)
        return;
    deflator_free(hand->deflator);
    free(hand);
}

void press_hand_rest(struct press_hand *hand)
{
    deflator_rest(hand->deflator);
}

static bool is_large(const struct ledger_member *member)
{
    return member->file_size > LARGE_SIZE && member->file_size <= DEFLATOR_WHOLE_MAX;
}

/* False when the wait was cancelled. */
static bool take_large(struct press *press, const struct press_job *job)
{
    bool goes_on = true;
    pthread_mutex_lock(&press->lock);
    while (press->is_large_taken && goes_on)
        goes_on = wait_freed(press, job, INT64_MAX);
    if (goes_on)
        press->is_large_taken = true;
    pthread_mutex_unlock(&press->lock);
    return goes_on;
}

static void give_large(struct press *press, struct deflator *deflator)
{
    deflator_rest(deflator);
    pthread_mutex_lock(&press->lock);
    press->is_large_taken = false;
    pthread_cond_broadcast(&press->freed);
    pthread_mutex_unlock(&press->lock);
}

static int work(struct press *press, struct press_job *job, struct error *err)
{
    if (!spool_is_ample(press->spool, job->key.member->file_size))
        return PRESS_NO_ROOM;
    bool large = is_large(job->key.member);
    if (large && !take_large(press, job))
        return error_set(err, "cancelled");
    int code = press_make(press, job, err);
    if (large)
        give_large(press, job->deflator);
    return code;
}

int press_ahead(struct press_hand *hand, const struct ledger_member *member, uint64_t place,
                struct error *err)
{
    struct press *press = hand->press;
    struct press_job job = {.key = {.member = member, .place = place},
                            .deflator = hand->deflator,
                            .cancelled = hand->cancelled,
                            .context = hand->context};
    if (press_enter(press, &job.scratch, member->study_id, err) != 0)
        return -1;
    int code = scratch_has_record(job.scratch, &job.key) ? 0 : work(press, &job, err);
    press_leave(press, job.scratch);
    return code;
}
