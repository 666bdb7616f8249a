/* Whether there is room for instances. Guarantees that reception closes at the reserve and opens
 * only well above it, so that it does not flap with each instance; that each change is one line of
 * the log; and that a disk which refused a write is tried before senders are let in again. No lock
 * is held over the disk.
 */
#include "place.h"

#include "aurabridge/clock.h"
#include "aurabridge/log.h"
#include "aurabridge/units.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define MARGIN_PART  8 /* of the reserve */
#define MARGIN_LEAST (UINT64_C(16) << 20)
#define MARGIN_MOST  (UINT64_C(1) << 30)

/* Below so many above the reserve, copies that nobody needs give room back. */
#define COMFORT_MARGINS 2

/* The same for the number of files, where the file system counts them. */
#define FILES_RESERVE 256
#define FILES_REOPEN  512

/* Less than this is a full disk for whoever has to write a few pages. */
#define FULL_BYTES (UINT64_C(1) << 20)
#define FULL_FILES 8

#define TRIAL_NAME "trial.part"

static uint64_t margin_of(uint64_t reserve)
{
    uint64_t margin = reserve / MARGIN_PART;
    if (margin < MARGIN_LEAST)
        return MARGIN_LEAST;
    return margin < MARGIN_MOST ? margin : MARGIN_MOST;
}

static uint64_t sum(uint64_t a, uint64_t b)
{
    return a < UINT64_MAX - b ? a + b : UINT64_MAX;
}

/* `margins` above the reserve. */
static uint64_t level(uint64_t reserve, unsigned margins)
{
    return sum(reserve, margins * margin_of(reserve));
}

static bool is_short(const struct fs_room *room, uint64_t reserve)
{
    return room->bytes <= reserve || room->files < FILES_RESERVE;
}

static bool is_ample(const struct fs_room *room, uint64_t reserve)
{
    return room->bytes > level(reserve, 1) && room->files >= FILES_REOPEN;
}

static void describe(struct error *err, const char *directory, const struct fs_room *room,
                     uint64_t reserve)
{
    char free_text[UNITS_TEXT_SIZE];
    char reserve_text[UNITS_TEXT_SIZE];
    char reopen_text[UNITS_TEXT_SIZE];
    units_format_size(free_text, room->bytes);
    units_format_size(reserve_text, reserve);
    units_format_size(reopen_text, level(reserve, 1));
    if (room->files < FILES_REOPEN && room->bytes > reserve)
        (void)error_set(err,
                        "the file system of the spool %s takes only %" PRIu64 " files more: "
                        "senders are refused until it takes %d; remove files there",
                        directory, room->files, FILES_REOPEN);
    else
        (void)error_set(err,
                        "the spool %s has %s free, and %s are its reserve: senders are refused "
                        "until more than %s are free; free disk space (`aurabridge studies` shows "
                        "what waits for what), or lower spool.reserve",
                        directory, free_text, reserve_text, reopen_text);
}

void spool_room_init(struct spool *spool)
{
    (void)pthread_mutex_init(&spool->room.lock, NULL);
    spool->room.reception = RECEPTION_OPEN;
}

void spool_room_destroy(struct spool *spool)
{
    (void)pthread_mutex_destroy(&spool->room.lock);
}

static void close_reception(struct spool *spool, enum reception reception, const struct error *why)
{
    (void)pthread_mutex_lock(&spool->room.lock);
    bool was_open = spool->room.reception == RECEPTION_OPEN;
    if (spool->room.reception != RECEPTION_REFUSED) {
        spool->room.reception = reception;
        spool->room.why = *why;
    }
    if (was_open)
        spool->room.closed_ms = clock_monotonic_ms(clock_system());
    (void)pthread_mutex_unlock(&spool->room.lock);
    if (was_open)
        log_error("spool", "reception is closed: %s", why->text);
}

static bool open_reception(struct spool *spool, const struct fs_room *room)
{
    (void)pthread_mutex_lock(&spool->room.lock);
    bool was_closed = spool->room.reception != RECEPTION_OPEN;
    int64_t closed_for = clock_monotonic_ms(clock_system()) - spool->room.closed_ms;
    spool->room.reception = RECEPTION_OPEN;
    (void)pthread_mutex_unlock(&spool->room.lock);
    if (!was_closed)
        return false;
    char duration[UNITS_TEXT_SIZE];
    char free_text[UNITS_TEXT_SIZE];
    char reserve_text[UNITS_TEXT_SIZE];
    units_format_duration(duration, closed_for);
    units_format_size(free_text, room->bytes);
    units_format_size(reserve_text, atomic_load(&spool->reserve));
    log_info("spool",
             "reception is open again after %s: the spool %s has %s free, of which %s are its "
             "reserve",
             duration, spool->directory, free_text, reserve_text);
    return true;
}

static enum reception reception_of(struct spool *spool, struct error *why)
{
    (void)pthread_mutex_lock(&spool->room.lock);
    enum reception reception = spool->room.reception;
    if (why && reception != RECEPTION_OPEN)
        *why = spool->room.why;
    (void)pthread_mutex_unlock(&spool->room.lock);
    return reception;
}

/* Closes, or stays closed with the figures of now. */
static void keep_closed(struct spool *spool, const struct fs_room *room, uint64_t reserve)
{
    struct error why;
    describe(&why, spool->directory, room, reserve);
    close_reception(spool, RECEPTION_SHORT, &why);
}

int spool_room_grow(struct spool *spool, struct error *err)
{
    struct fs_room room;
    uint64_t reserve = atomic_load(&spool->reserve);
    if (fs_room(&room, spool->directory, err) != 0)
        return -1;
    if (!is_short(&room, reserve))
        return 0;
    keep_closed(spool, &room, reserve);
    describe(err, spool->directory, &room, reserve);
    return SPOOL_FULL;
}

int spool_admit(struct spool *spool, struct error *why_not)
{
    return spool_is_closed(spool, why_not) ? SPOOL_FULL : spool_room_grow(spool, why_not);
}

bool spool_is_closed(struct spool *spool, struct error *why)
{
    return reception_of(spool, why) != RECEPTION_OPEN;
}

void spool_refused(struct spool *spool, const char *reason)
{
    struct error why;
    (void)error_set(&why,
                    "the disk of the spool %s refused a write (%s): senders are refused until it "
                    "takes one; free disk space, or raise the quota",
                    spool->directory, reason);
    close_reception(spool, RECEPTION_REFUSED, &why);
}

int spool_failure(struct spool *spool, int errnum)
{
    char reason[128];
    switch (errnum) {
    case ENOSPC:
    case EDQUOT:
        spool_refused(spool, strerror_r(errnum, reason, sizeof reason));
        return SPOOL_FULL;
    case EFBIG: /* one more kind of full, but of this instance alone */
        return SPOOL_FULL;
    default:
        return -1;
    }
}

bool spool_is_full(struct spool *spool)
{
    struct fs_room room;
    if (reception_of(spool, NULL) == RECEPTION_REFUSED)
        return true;
    return fs_room(&room, spool->directory, NULL) == 0 &&
           (room.bytes < FULL_BYTES || room.files < FULL_FILES);
}

static bool takes_a_trial(struct spool *spool, uint64_t length)
{
    char path[FS_PATH_MAX];
    return fs_join(path, spool->incoming, TRIAL_NAME, NULL) == 0 &&
           fs_try_room(path, length, NULL) == 0;
}

void spool_look(struct spool *spool, struct spool_look *out)
{
    struct fs_room room;
    *out = (struct spool_look){.opened = false};
    uint64_t reserve = atomic_load(&spool->reserve);
    uint64_t margin = margin_of(reserve);
    if (fs_room(&room, spool->directory, NULL) != 0)
        return; /* senders hear of it, each for himself */
    enum reception reception = reception_of(spool, NULL);
    bool opens = reception != RECEPTION_OPEN && is_ample(&room, reserve) &&
                 (reception == RECEPTION_SHORT || takes_a_trial(spool, margin));
    if (opens)
        out->opened = open_reception(spool, &room);
    else if (reception != RECEPTION_OPEN || is_short(&room, reserve))
        keep_closed(spool, &room, reserve);
    uint64_t comfort = level(reserve, COMFORT_MARGINS);
    if (room.bytes < comfort)
        out->wanted = comfort - room.bytes;
    /* Bytes are not what is missing, but removing files helps. */
    if (room.files < FILES_REOPEN || (reception == RECEPTION_REFUSED && !opens))
        out->wanted = out->wanted > margin ? out->wanted : margin;
}

void spool_set_reserve(struct spool *spool, uint64_t reserve)
{
    struct spool_look ignored;
    atomic_store(&spool->reserve, reserve);
    spool_look(spool, &ignored);
}

int spool_check_directory(const char *directory, uint64_t reserve, struct error *err)
{
    struct fs_room room;
    if (fs_room(&room, directory, err) != 0)
        return -1;
    if (!is_short(&room, reserve))
        return 0;
    describe(err, directory, &room, reserve);
    return SPOOL_FULL;
}

int spool_check_space(struct spool *spool, uint64_t wanted, struct error *err)
{
    struct fs_room room;
    if (fs_room(&room, spool->directory, err) != 0)
        return -1;
    uint64_t kept = level(atomic_load(&spool->reserve), 1);
    if (room.bytes > sum(kept, wanted))
        return 0;
    char free_text[UNITS_TEXT_SIZE];
    char kept_text[UNITS_TEXT_SIZE];
    char wanted_text[UNITS_TEXT_SIZE];
    units_format_size(free_text, room.bytes);
    units_format_size(kept_text, kept);
    units_format_size(wanted_text, wanted);
    (void)error_set(err,
                    "the spool %s has %s free, of which %s are kept for reception, and needs %s "
                    "more: free disk space, or lower spool.reserve",
                    spool->directory, free_text, kept_text, wanted_text);
    return SPOOL_FULL;
}

bool spool_is_ample(struct spool *spool, uint64_t wanted)
{
    struct fs_room room;
    return fs_room(&room, spool->directory, NULL) == 0 && room.files >= FILES_REOPEN &&
           room.bytes > sum(level(atomic_load(&spool->reserve), COMFORT_MARGINS), wanted);
}
