/* What was committed and is not settled: what is due, and those who wait for it. Guarantees that
 * numbers are settled in their order, and that nobody who waits is forgotten. */
#include "segments.h"

#include "aurabridge/clock.h"

#include <time.h>

void journal_skip_void(struct journal *journal)
{
    while (journal->settled + 1 < journal->next_number &&
           journal_slot(journal, journal->settled + 1)->state == SLOT_VOID)
        journal->settled++;
}

static void forget_backlog(struct journal *journal, uint64_t number)
{
    const struct slot *slot = journal_slot(journal, number);
    if (slot->state != SLOT_DURABLE)
        return;
    journal->backlog_blocks -= slot->blocks;
    journal->backlog_instances--;
}

void journal_settle(struct journal *journal, uint64_t through)
{
    (void)pthread_mutex_lock(&journal->lock);
    while (journal->settled < through)
        forget_backlog(journal, ++journal->settled);
    journal->oldest_ms = clock_monotonic_ms(clock_system());
    journal_retire(journal);
    (void)pthread_cond_broadcast(&journal->changed);
    (void)pthread_mutex_unlock(&journal->lock);
}

uint64_t journal_due(struct journal *journal, struct journal_place *places, size_t size,
                     size_t *count, uint64_t *through)
{
    uint64_t blocks = 0;
    *count = 0;
    (void)pthread_mutex_lock(&journal->lock);
    journal_skip_void(journal);
    journal_retire(journal);
    *through = journal->settled;
    for (uint64_t number = journal->settled + 1; number < journal->next_number; number++) {
        const struct slot *slot = journal_slot(journal, number);
        if (slot->state == SLOT_WRITING || (slot->state == SLOT_DURABLE && *count == size))
            break;
        *through = number;
        if (slot->state == SLOT_VOID)
            continue;
        places[(*count)++] = (struct journal_place){number, slot->segment, slot->block};
        blocks += slot->blocks;
    }
    (void)pthread_mutex_unlock(&journal->lock);
    return blocks * BLOCK_SIZE;
}

static uint64_t capacity_of(const struct journal *journal)
{
    return journal->options.segment_size * journal->options.segments;
}

bool journal_is_half_full(const struct journal *journal, uint64_t blocks)
{
    return blocks >= capacity_of(journal) / 2 / BLOCK_SIZE;
}

void journal_backlog(struct journal *journal, struct journal_backlog *out)
{
    (void)pthread_mutex_lock(&journal->lock);
    *out = (struct journal_backlog){
        .instances = journal->backlog_instances,
        .bytes = journal->backlog_blocks * BLOCK_SIZE,
        .capacity = capacity_of(journal),
        .last = journal->next_number - 1,
        .settled = journal->settled,
        .oldest_ms = journal->oldest_ms,
        .newest_ms = journal->newest_ms,
    };
    (void)pthread_mutex_unlock(&journal->lock);
}

void journal_wait(struct journal *journal, int64_t at_most_ms)
{
    struct timespec until;
    (void)clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += (time_t)(at_most_ms / 1000);
    until.tv_nsec += (long)(at_most_ms % 1000) * 1000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000;
    }
    (void)pthread_mutex_lock(&journal->lock);
    if (!journal->wanted)
        (void)pthread_cond_timedwait(&journal->work, &journal->lock, &until);
    journal->wanted = false;
    (void)pthread_mutex_unlock(&journal->lock);
}

void journal_await_any(struct journal *journal)
{
    journal->awaiting++;
    (void)pthread_cond_wait(&journal->changed, &journal->lock);
    journal->awaiting--;
}

void journal_await(struct journal *journal, uint64_t through)
{
    (void)pthread_mutex_lock(&journal->lock);
    uint64_t number = 0;
    while (number < through) {
        uint64_t next = (number > journal->settled ? number : journal->settled) + 1;
        if (next > through)
            break;
        if (journal_slot(journal, next)->state == SLOT_WRITING)
            journal_await_any(journal);
        else
            number = next;
    }
    (void)pthread_mutex_unlock(&journal->lock);
}

void journal_want(struct journal *journal)
{
    journal->wanted = true;
    (void)pthread_cond_broadcast(&journal->work);
}

void journal_wake(struct journal *journal)
{
    (void)pthread_mutex_lock(&journal->lock);
    journal_want(journal);
    (void)pthread_mutex_unlock(&journal->lock);
}
