/* Counting of open places. A list is enough: it is as short as the largest limit. */
#include "slots.h"

#include <stdio.h>
#include <string.h>

void slots_init(struct slots *slots)
{
    slots->first = NULL;
    slots->count = 0;
    (void)pthread_mutex_init(&slots->lock, NULL);
}

void slots_destroy(struct slots *slots)
{
    (void)pthread_mutex_destroy(&slots->lock);
}

static unsigned count_of(const struct slots *slots, const char *address)
{
    unsigned count = 0;
    for (const struct slot *slot = slots->first; slot; slot = slot->next)
        count += strcmp(slot->address, address) == 0;
    return count;
}

static void insert(struct slots *slots, struct slot *slot, const char *address)
{
    (void)snprintf(slot->address, sizeof slot->address, "%s", address);
    slot->previous = NULL;
    slot->next = slots->first;
    if (slots->first)
        slots->first->previous = slot;
    slots->first = slot;
    slot->taken = 1;
    slots->count++;
}

enum slots_result slots_take(struct slots *slots, struct slot *slot, const char *address,
                             unsigned limit, unsigned limit_per_peer)
{
    enum slots_result result = SLOTS_TAKEN;
    (void)pthread_mutex_lock(&slots->lock);
    slot->taken = 0;
    if (slots->count >= limit)
        result = SLOTS_FULL;
    else if (count_of(slots, address) >= limit_per_peer)
        result = SLOTS_FULL_FOR_PEER;
    else
        insert(slots, slot, address);
    (void)pthread_mutex_unlock(&slots->lock);
    return result;
}

void slots_release(struct slots *slots, struct slot *slot)
{
    (void)pthread_mutex_lock(&slots->lock);
    if (slot->taken) {
        if (slot->previous)
            slot->previous->next = slot->next;
        else
            slots->first = slot->next;
        if (slot->next)
            slot->next->previous = slot->previous;
        slot->taken = 0;
        slots->count--;
    }
    (void)pthread_mutex_unlock(&slots->lock);
}

unsigned slots_count(struct slots *slots)
{
    (void)pthread_mutex_lock(&slots->lock);
    unsigned count = slots->count;
    (void)pthread_mutex_unlock(&slots->lock);
    return count;
}
