/* See the header. The thread that follows the rows runs as all others do, since it holds what the
 * ledger's other readers wait for; those that compress run on idle processors only and share with
 * others nothing but the press. Rows are taken a page at a time; after each page, what was made of
 * a study that has gone meanwhile is removed. */
#include "packer.h"

#include "bridge_state.h"

#include "aurabridge/log.h"
#include "aurabridge/package.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#define HANDS_MAX        4
#define PAGE             64
#define STUDIES_SEEN     128
#define LOOK_EVERY_MS    50 /* at most, while instances come */
#define AFTER_FAILURE_MS 5000
#define LEAST_NICE       19
#define EVENT_SIZE       sizeof(uint64_t)

struct hand {
    struct packer *packer;
    struct press_hand *press;
    pthread_t thread;
    bool runs;
};

/* Where a study's next row stands among its rows. */
struct seen {
    int64_t study_id;
    uint64_t next_place;
};

struct packer {
    struct bridge *bridge;
    int event; /* eventfd: something may have come, or the bridge stops */
    atomic_bool noticed;
    pthread_t follower;
    bool follows;
    struct hand hands[HANDS_MAX];
    unsigned hand_count;

    pthread_mutex_t lock; /* guards what follows */
    pthread_cond_t changed;
    struct ledger_member page[PAGE]; /* those of it that are to be compressed come first */
    uint64_t places[PAGE];
    size_t count, next, left; /* to compress, not yet begun, not yet done */
    bool may_rest;            /* nothing comes: hands let go of their memory */

    /* The follower's own. */
    int64_t after_id;
    struct seen seen[STUDIES_SEEN];
    size_t seen_next;
};

static bool stops(void *context)
{
    struct packer *packer = context;
    return atomic_load(&packer->bridge->stopping);
}

int packer_new(struct packer **out, struct bridge *bridge, struct error *err)
{
    *out = NULL;
    struct packer *packer = calloc(1, sizeof *packer);
    if (!packer)
        return error_set(err, "no memory for the packer");
    packer->bridge = bridge;
    packer->event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (packer->event < 0) {
        free(packer);
        return error_errno(err, errno, "making an eventfd");
    }
    pthread_mutex_init(&packer->lock, NULL);
    pthread_cond_init(&packer->changed, NULL);
    *out = packer;
    return 0;
}

void packer_free(struct packer *packer)
{
    if (!packer)
        return;
    for (unsigned i = 0; i < HANDS_MAX; i++)
        press_hand_free(packer->hands[i].press);
    pthread_cond_destroy(&packer->changed);
    pthread_mutex_destroy(&packer->lock);
    (void)close(packer->event); /* nothing is stored there */
    free(packer);
}

static void ring(struct packer *packer)
{
    const uint64_t one = 1;
    ssize_t ignored = write(packer->event, &one, EVENT_SIZE); /* full: it has been rung */
    (void)ignored;
}

void packer_notice(struct packer *packer)
{
    if (!atomic_exchange(&packer->noticed, true))
        ring(packer);
}

/* ---- the hands ---- */

/* A processor that anybody else wants is not ours. */
static void step_back(void)
{
    const struct sched_param none = {0};
    if (sched_setscheduler(0, SCHED_IDLE, &none) != 0)
        (void)setpriority(PRIO_PROCESS, 0, LEAST_NICE); /* of this thread, on Linux */
}

/* Waits for a member, with the lock held. False when there will be none. */
static bool await_member(struct hand *hand)
{
    struct packer *packer = hand->packer;
    bool rests = false;
    while (packer->next >= packer->count && !stops(packer)) {
        if (packer->may_rest && !rests) {
            pthread_mutex_unlock(&packer->lock);
            press_hand_rest(hand->press);
            pthread_mutex_lock(&packer->lock);
            rests = true;
            continue;
        }
        pthread_cond_wait(&packer->changed, &packer->lock);
    }
    return !stops(packer);
}

static void compress(struct hand *hand, const struct ledger_member *member, uint64_t place)
{
    struct error err = {.text = ""};
    /* No room is no failure: it is stored then. Of a file that went meanwhile its sender knows
     * more, and one that cannot be read is told of when the study is packed. */
    if (press_ahead(hand->press, member, place, &err) == -1 && !stops(hand->packer))
        log_write(LOG_LEVEL_DEBUG, "packer", "instance %" PRId64 " of S%" PRId64 " waits: %s",
                  member->id, member->study_id, err.text);
}

static void *hand_run(void *context)
{
    struct hand *hand = context;
    struct packer *packer = hand->packer;
    step_back();
    pthread_mutex_lock(&packer->lock);
    while (await_member(hand)) {
        size_t at = packer->next++;
        pthread_mutex_unlock(&packer->lock);
        compress(hand, &packer->page[at], packer->places[at]);
        pthread_mutex_lock(&packer->lock);
        if (--packer->left == 0)
            pthread_cond_broadcast(&packer->changed);
    }
    pthread_mutex_unlock(&packer->lock);
    return NULL;
}

/* ---- the follower ---- */

/* Whether a study's archive is still to be made, as far as anybody can tell. */
static bool is_coming(enum study_state state)
{
    return state == STUDY_RECEIVING || state == STUDY_VALIDATING || state == STUDY_READY ||
           state == STUDY_PACKAGING;
}

static bool is_wanted(const struct ledger_member *member, enum config_compression compression)
{
    return member->disposition == INSTANCE_STORED && member->file_name[0] &&
           member->has_destination && is_coming(member->study_state) &&
           press_wants(compression, member->transfer_syntax_uid);
}

/* Counts only what is not known: a study's rows come in order. */
static int find_place(struct packer *packer, uint64_t *place, const struct ledger_member *member,
                      struct error *err)
{
    struct seen *seen = NULL;
    for (size_t i = 0; i < STUDIES_SEEN && !seen; i++) {
        if (packer->seen[i].study_id == member->study_id)
            seen = &packer->seen[i];
    }
    if (!seen) {
        uint64_t before;
        if (ledger_member_place(packer->bridge->ledger, &before, member->study_id, member->id,
                                err) != 0)
            return -1;
        seen = &packer->seen[packer->seen_next++ % STUDIES_SEEN];
        *seen = (struct seen){.study_id = member->study_id, .next_place = before};
    }
    *place = seen->next_place++;
    return 0;
}

/* Keeps of the page what is to be compressed. */
static int choose(struct packer *packer, size_t read, size_t *chosen, struct error *err)
{
    struct config *config = bridge_config(packer->bridge);
    enum config_compression compression = config->upload.compression;
    config_release(config);
    *chosen = 0;
    for (size_t i = 0; i < read; i++) {
        const struct ledger_member *member = &packer->page[i];
        uint64_t place;
        if (!is_coming(member->study_state))
            continue;
        if (find_place(packer, &place, member, err) != 0)
            return -1;
        if (!is_wanted(member, compression))
            continue;
        packer->places[*chosen] = place;
        packer->page[(*chosen)++] = *member;
    }
    return 0;
}

/* Lets the hands have the page, and waits until they are done. */
static void hand_over(struct packer *packer, size_t chosen)
{
    pthread_mutex_lock(&packer->lock);
    packer->next = 0;
    packer->count = packer->left = chosen;
    packer->may_rest = false;
    pthread_cond_broadcast(&packer->changed);
    while (packer->left > 0 && !stops(packer))
        pthread_cond_wait(&packer->changed, &packer->lock);
    pthread_mutex_unlock(&packer->lock);
}

static bool is_gone(struct packer *packer, int64_t study_id)
{
    struct ledger_study study;
    struct error err;
    int found = ledger_study(packer->bridge->ledger, &study, study_id, &err);
    if (found != 0)
        return found == LEDGER_NOT_FOUND;
    return study_state_is_final(study.state) || study.state == STUDY_QUARANTINED ||
           study.state == STUDY_UNROUTED;
}

static void remove_if_gone(struct packer *packer, int64_t study_id)
{
    struct error err;
    if (is_gone(packer, study_id) && package_remove(packer->bridge->spool, study_id, &err) != 0)
        log_warning("packer", "what was compressed of S%" PRId64 " stays: %s", study_id, err.text);
}

/* Whoever discards, cancels or sets aside a study removes its package; what a hand made since then
 * would stay for ever. */
static void tidy(struct packer *packer, size_t chosen)
{
    for (size_t i = 0; i < chosen; i++) {
        size_t first = 0;
        while (packer->page[first].study_id != packer->page[i].study_id)
            first++;
        if (first == i)
            remove_if_gone(packer, packer->page[i].study_id);
    }
}

/* One page. Returns how many rows it had, or -1. */
static int follow(struct packer *packer, struct error *err)
{
    int64_t after_id = packer->after_id;
    size_t read, chosen;
    if (ledger_members_since(packer->bridge->ledger, &after_id, packer->page, PAGE, &read, err) !=
            0 ||
        choose(packer, read, &chosen, err) != 0)
        return -1;
    packer->after_id = after_id;
    hand_over(packer, chosen);
    if (!stops(packer))
        tidy(packer, chosen);
    return (int)read;
}

static void rest(struct packer *packer)
{
    press_start_writing(packer->bridge->press);
    pthread_mutex_lock(&packer->lock);
    packer->may_rest = true;
    pthread_cond_broadcast(&packer->changed);
    pthread_mutex_unlock(&packer->lock);
}

static void await_notice(struct packer *packer, int timeout_ms)
{
    struct pollfd event = {.fd = packer->event, .events = POLLIN};
    uint64_t ignored;
    (void)poll(&event, 1, timeout_ms);
    if (read(packer->event, &ignored, EVENT_SIZE) < 0)
        return; /* the time is over */
    (void)nanosleep(&(struct timespec){.tv_nsec = LOOK_EVERY_MS * 1000000L}, NULL);
}

static void remove_unneeded(void *context, int64_t study_id)
{
    struct packer *packer = context;
    if (!stops(packer))
        remove_if_gone(packer, study_id);
}

/* Studies that went when nobody could remove their packages. */
static void tidy_all(struct packer *packer)
{
    struct error err;
    if (package_walk(packer->bridge->spool, remove_unneeded, packer, &err) != 0)
        log_warning("packer", "packages of studies that are gone may stay: %s", err.text);
}

static void *follower_run(void *context)
{
    struct packer *packer = context;
    struct error err;
    bool is_placed = false;
    tidy_all(packer);
    while (!stops(packer)) {
        atomic_store(&packer->noticed, false);
        if (!is_placed)
            is_placed = ledger_members_open(packer->bridge->ledger, &packer->after_id, &err) == 0;
        int rows = is_placed ? follow(packer, &err) : -1;
        if (rows > 0)
            continue;
        if (rows < 0)
            log_warning("packer", "nothing is compressed ahead for a while: %s", err.text);
        else
            rest(packer);
        await_notice(packer, rows < 0 ? AFTER_FAILURE_MS : -1);
    }
    return NULL;
}

/* ---- threads ---- */

static unsigned processors(void)
{
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) != 0)
        return 1;
    int count = CPU_COUNT(&set);
    return count < 1 ? 1 : count > HANDS_MAX ? HANDS_MAX : (unsigned)count;
}

static int start_hand(struct packer *packer, struct hand *hand, struct error *err)
{
    hand->packer = packer;
    if (!hand->press &&
        press_hand_new(&hand->press, packer->bridge->press, stops, packer, err) != 0)
        return -1;
    int refused = pthread_create(&hand->thread, NULL, hand_run, hand);
    if (refused)
        return error_errno(err, refused, "starting a packer's thread");
    hand->runs = true;
    return 0;
}

int packer_start(struct packer *packer, struct error *err)
{
    packer->hand_count = processors();
    packer->count = packer->next = packer->left = 0; /* of an earlier run */
    for (unsigned i = 0; i < packer->hand_count; i++) {
        if (start_hand(packer, &packer->hands[i], err) != 0)
            return -1;
    }
    int refused = pthread_create(&packer->follower, NULL, follower_run, packer);
    if (refused)
        return error_errno(err, refused, "starting the packer's thread");
    packer->follows = true;
    return 0;
}

void packer_stop(struct packer *packer)
{
    ring(packer);
    pthread_mutex_lock(&packer->lock);
    pthread_cond_broadcast(&packer->changed);
    pthread_mutex_unlock(&packer->lock);
    for (unsigned i = 0; i < HANDS_MAX; i++) {
        if (packer->hands[i].runs)
            pthread_join(packer->hands[i].thread, NULL);
        packer->hands[i].runs = false;
    }
    if (packer->follows)
        pthread_join(packer->follower, NULL);
    packer->follows = false;
}
