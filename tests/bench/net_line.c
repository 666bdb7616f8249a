/* The line's law, segment by segment: bottleneck, queue, loss, delay.
 *
 * A segment leaves the bottleneck when everything before it and itself has been sent at the rate;
 * one that finds no room in the queue is dropped (drop-tail); one that is lost has taken its time
 * on the line. Neighbours that survive travel on as one packet, as a receiver's network card would
 * merge them.
 */
#include "net_line.h"

#include <stdlib.h>
#include <string.h>

#define RING_LEAST ((size_t)8 << 20)
#define RING_FREE  ((size_t)64 << 20) /* of a line without a rate */
#define ALIGNMENT  16

/* `length` 0: the ring goes on at its beginning. */
struct entry {
    int64_t due;
    uint64_t length;
};

int net_line_init(struct net_line *line, const struct net_line_options *options)
{
    *line = (struct net_line){.options = *options, .random = options->seed};
    line->size = RING_FREE;
    if (options->ns_per_byte > 0) {
        /* An entry is at most a quarter longer than its segment on the line. */
        double in_flight =
            (double)options->queue_bytes + (double)options->delay_ns / options->ns_per_byte;
        line->size = RING_LEAST + (size_t)(in_flight * 1.25);
        line->size -= line->size % ALIGNMENT;
    }
    line->ring = malloc(line->size);
    return line->ring ? 0 : -1;
}

void net_line_free(struct net_line *line)
{
    free(line->ring);
    line->ring = NULL;
}

/* splitmix64: a few instructions, and any seed will do. */
static double next_random(struct net_line *line)
{
    uint64_t bits = line->random += UINT64_C(0x9e3779b97f4a7c15);
    bits = (bits ^ (bits >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    bits = (bits ^ (bits >> 27)) * UINT64_C(0x94d049bb133111eb);
    bits ^= bits >> 31;
    return (double)(bits >> 11) * 0x1p-53;
}

/* Returns whether the segment comes through, and then when. */
static bool passes(struct net_line *line, size_t bytes, int64_t now, int64_t *due)
{
    const struct net_line_options *options = &line->options;
    line->count.segments++;
    line->count.bytes += bytes;
    if (line->free_at < now)
        line->free_at = now;
    if (options->ns_per_byte > 0) {
        double waiting = (double)(line->free_at - now) / options->ns_per_byte + (double)bytes;
        if (waiting > (double)options->queue_bytes) {
            line->count.dropped++;
            return false;
        }
        if (waiting > (double)line->count.longest_queue)
            line->count.longest_queue = (uint64_t)waiting;
        line->free_at += (int64_t)((double)bytes * options->ns_per_byte + 0.5);
    }
    *due = line->free_at + options->delay_ns;
    if (options->loss > 0 && next_random(line) < options->loss) {
        line->count.lost++;
        return false;
    }
    return true;
}

/* Room for an entry of `need` bytes in one piece; null when there is none. */
static unsigned char *reserve(struct net_line *line, size_t need)
{
    size_t behind = line->size - line->head;
    if (need > behind) { /* what is left at the end is skipped */
        if (line->used + behind + need > line->size)
            return NULL;
        struct entry skip = {0, 0};
        if (behind >= sizeof skip)
            memcpy(line->ring + line->head, &skip, sizeof skip);
        line->used += behind;
        line->head = 0;
    } else if (line->used + need > line->size) {
        return NULL;
    }
    return line->ring + line->head;
}

static size_t entry_size(size_t length)
{
    return (sizeof(struct entry) + length + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
}

static void keep(struct net_line *line, const struct net_packet *packet, size_t first, size_t count,
                 int64_t due)
{
    struct entry entry = {due, net_packet_cut_length(packet, first, count)};
    size_t need = entry_size(entry.length);
    unsigned char *at = reserve(line, need);
    if (!at) {
        line->count.overflowed += count;
        return;
    }
    memcpy(at, &entry, sizeof entry);
    net_packet_cut(at + sizeof entry, packet, first, count);
    line->head = (line->head + need) % line->size;
    line->used += need;
}

void net_line_put(struct net_line *line, const unsigned char *bytes, size_t length, int64_t now)
{
    struct net_packet packet;
    if (!net_packet_read(&packet, bytes, length)) {
        line->count.ignored++;
        return;
    }
    size_t first = 0;
    int64_t due = 0;
    for (size_t number = 0; number < packet.segments; number++) {
        int64_t arrival = 0;
        if (passes(line, net_packet_wire_bytes(&packet, number), now, &arrival)) {
            due = arrival;
            continue;
        }
        if (number > first)
            keep(line, &packet, first, number - first, due);
        first = number + 1;
    }
    if (packet.segments > first)
        keep(line, &packet, first, packet.segments - first, due);
}

/* Where the first entry stands: behind a skipped end, at the beginning. */
static size_t first_at(const struct net_line *line)
{
    struct entry entry;
    if (line->size - line->tail < sizeof entry)
        return 0;
    memcpy(&entry, line->ring + line->tail, sizeof entry);
    return entry.length == 0 ? 0 : line->tail;
}

const unsigned char *net_line_first(const struct net_line *line, size_t *length, int64_t *due)
{
    struct entry entry;
    if (line->used == 0)
        return NULL;
    const unsigned char *at = line->ring + first_at(line);
    memcpy(&entry, at, sizeof entry);
    *length = entry.length;
    *due = entry.due;
    return at + sizeof entry;
}

void net_line_pop(struct net_line *line)
{
    struct entry entry;
    size_t at = first_at(line);
    if (at != line->tail)
        line->used -= line->size - line->tail;
    memcpy(&entry, line->ring + at, sizeof entry);
    size_t size = entry_size(entry.length);
    line->tail = (at + size) % line->size;
    line->used -= size;
}
