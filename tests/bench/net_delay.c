/* A line with delay, rate, queue and loss between two network namespaces of this machine, in user
 * space, for kernels without netem. Nothing leaves the machine.
 *
 * net_delay [--delay MS] [--rate MBIT] [--queue KIB] [--loss PERCENT] [--seed N] [--mtu BYTES]
 *           [--no-offload]
 *
 * --delay is one way, both ways have it. Prints a line of JSON: each end's namespace (for nsenter
 * --net=) and address. Then takes commands on its standard input: "stats" is answered by a line of
 * JSON; its end ends the process and, once nothing runs inside any more, the namespaces.
 *
 * What it counts by is the segment on an Ethernet line, headers, preamble and gap included, also
 * where the kernel hands over many in one: 1 Gbit/s are 117.7 MB/s of payload at an MTU of 1500.
 */
#include "net_line.h"
#include "net_tun.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#define BATCH 64 /* packets read from one end before those that are due go out */

static const char *const addresses[2] = {"192.0.2.1", "192.0.2.2"}; /* RFC 5737 */

struct delay {
    struct net_end ends[2];
    struct net_line lines[2]; /* lines[i] leads away from ends[i] */
    int64_t latest;           /* how late a packet went out, at worst; nanoseconds */
    double lateness;          /* sum */
    uint64_t delivered, refused;
    unsigned char packet[NET_PACKET_MAX];
};

struct settings {
    struct net_line_options line;
    unsigned mtu;
    bool offload;
};

static int64_t now_ns(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static void receive(struct delay *delay, unsigned end)
{
    for (unsigned taken = 0; taken < BATCH; taken++) {
        ssize_t length = read(delay->ends[end].tun_fd, delay->packet, sizeof delay->packet);
        if (length <= 0)
            return;
        net_line_put(&delay->lines[end], delay->packet, (size_t)length, now_ns());
    }
}

static void deliver(struct delay *delay, unsigned end)
{
    struct net_line *line = &delay->lines[end];
    size_t length = 0;
    int64_t due = 0;
    const unsigned char *packet = NULL;
    while ((packet = net_line_first(line, &length, &due)) != NULL) {
        int64_t late = now_ns() - due;
        if (late < 0)
            return;
        if (write(delay->ends[!end].tun_fd, packet, length) != (ssize_t)length)
            delay->refused++;
        net_line_pop(line);
        delay->delivered++;
        delay->lateness += (double)late;
        if (late > delay->latest)
            delay->latest = late;
    }
}

static void print_line(const struct net_line_count *count, const char *name)
{
    (void)printf("\"%s\":{\"segments\":%" PRIu64 ",\"bytes\":%" PRIu64 ",\"lost\":%" PRIu64
                 ",\"dropped\":%" PRIu64 ",\"overflowed\":%" PRIu64 ",\"ignored\":%" PRIu64
                 ",\"longest_queue\":%" PRIu64 "},",
                 name, count->segments, count->bytes, count->lost, count->dropped,
                 count->overflowed, count->ignored, count->longest_queue);
}

static void print_stats(const struct delay *delay)
{
    struct rusage usage;
    (void)getrusage(RUSAGE_SELF, &usage);
    double cpu = (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
                 (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
    (void)printf("{");
    print_line(&delay->lines[0].count, "from_left");
    print_line(&delay->lines[1].count, "from_right");
    (void)printf("\"delivered\":%" PRIu64 ",\"refused\":%" PRIu64
                 ",\"late_total_us\":%.1f,\"late_most_us\":%.1f,\"cpu_seconds\":%.3f}\n",
                 delay->delivered, delay->refused, delay->lateness / 1e3,
                 (double)delay->latest / 1e3, cpu);
    (void)fflush(stdout);
}

/* Returns false at the end of the commands. */
static bool obey(const struct delay *delay)
{
    char text[64];
    ssize_t length = read(STDIN_FILENO, text, sizeof text - 1);
    if (length <= 0)
        return false;
    text[length] = '\0';
    if (strncmp(text, "stats", 5) == 0)
        print_stats(delay);
    return true;
}

/* Until the next packet is due; null: none is. */
static const struct timespec *until_due(const struct delay *delay, struct timespec *out)
{
    int64_t next = INT64_MAX;
    for (unsigned end = 0; end < 2; end++) {
        size_t length = 0;
        int64_t due = INT64_MAX;
        if (net_line_first(&delay->lines[end], &length, &due) != NULL && due < next)
            next = due;
    }
    if (next == INT64_MAX)
        return NULL;
    int64_t wait = next - now_ns();
    if (wait < 0)
        wait = 0;
    *out = (struct timespec){.tv_sec = (time_t)(wait / 1000000000), .tv_nsec = wait % 1000000000};
    return out;
}

static int run(struct delay *delay)
{
    for (;;) {
        struct timespec timeout;
        struct pollfd waits[3] = {{.fd = delay->ends[0].tun_fd, .events = POLLIN},
                                  {.fd = delay->ends[1].tun_fd, .events = POLLIN},
                                  {.fd = STDIN_FILENO, .events = POLLIN}};
        if (ppoll(waits, 3, until_due(delay, &timeout), NULL) < 0 && errno != EINTR) {
            perror("net_delay: poll");
            return EXIT_FAILURE;
        }
        for (unsigned end = 0; end < 2; end++)
            if (waits[end].revents & POLLIN)
                receive(delay, end);
        for (unsigned end = 0; end < 2; end++)
            deliver(delay, end);
        if (waits[2].revents != 0 && !obey(delay))
            return EXIT_SUCCESS;
    }
}

static bool read_figure(const char *text, double least, double most, double *out)
{
    char *end = NULL;
    *out = strtod(text, &end);
    return end != text && *end == '\0' && *out >= least && *out <= most;
}

/* A queue of one bandwidth-delay product of the round trip, as a router's is by the rule of thumb,
 * where none is named. */
static void read_settings(struct settings *out, double delay_ms, double rate, double queue)
{
    out->line.delay_ns = (int64_t)(delay_ms * 1e6);
    out->line.ns_per_byte = rate > 0 ? 8e3 / rate : 0;
    if (queue > 0)
        out->line.queue_bytes = (uint64_t)(queue * 1024);
    else if (rate > 0)
        out->line.queue_bytes =
            (uint64_t)(2 * (double)out->line.delay_ns / out->line.ns_per_byte) + 65536;
}

static int read_options(struct settings *out, int argc, char **argv)
{
    static const struct option options[] = {
        {"delay", required_argument, NULL, 'd'}, {"rate", required_argument, NULL, 'r'},
        {"queue", required_argument, NULL, 'q'}, {"loss", required_argument, NULL, 'l'},
        {"seed", required_argument, NULL, 's'},  {"mtu", required_argument, NULL, 'm'},
        {"no-offload", no_argument, NULL, 'n'},  {NULL, 0, NULL, 0}};
    double delay = 50, rate = 1000, queue = 0, loss = 0, seed = 1, mtu = 1500;
    bool valid = true;
    int option = 0;
    out->offload = true;
    while (valid && (option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        switch (option) {
        case 'd':
            valid = read_figure(optarg, 0, 10000, &delay);
            break;
        case 'r':
            valid = read_figure(optarg, 0, 100000, &rate);
            break;
        case 'q':
            valid = read_figure(optarg, 0, 1 << 20, &queue);
            break;
        case 'l':
            valid = read_figure(optarg, 0, 100, &loss);
            break;
        case 's':
            valid = read_figure(optarg, 0, 1e15, &seed);
            break;
        case 'm':
            valid = read_figure(optarg, 576, 65000, &mtu);
            break;
        case 'n':
            out->offload = false;
            break;
        default:
            valid = false;
        }
    }
    if (!valid || optind != argc) {
        (void)fprintf(stderr, "usage: net_delay [--delay MS] [--rate MBIT, 0: none] [--queue KIB] "
                              "[--loss PERCENT] [--seed N] [--mtu BYTES] [--no-offload]\n");
        return -1;
    }
    read_settings(out, delay, rate, queue);
    out->line.loss = loss / 100;
    out->line.seed = (uint64_t)seed;
    out->mtu = (unsigned)mtu;
    return 0;
}

int main(int argc, char **argv)
{
    static struct delay delay;
    struct settings settings = {.mtu = 0};
    int result = EXIT_FAILURE;
    if (read_options(&settings, argc, argv) != 0)
        return 2;
    /* A line does not wait for the processor. */
    (void)prctl(PR_SET_TIMERSLACK, 1000UL);
    (void)setpriority(PRIO_PROCESS, 0, -15);
    for (unsigned end = 0; end < 2; end++) {
        if (net_end_open(&delay.ends[end], addresses[end], settings.mtu, settings.offload) != 0)
            goto cleanup;
        if (net_line_init(&delay.lines[end], &settings.line) != 0) {
            perror("net_delay");
            goto cleanup;
        }
        settings.line.seed++;
    }
    (void)printf("{\"left\":\"/proc/%d/fd/%d\",\"right\":\"/proc/%d/fd/%d\","
                 "\"left_address\":\"%s\",\"right_address\":\"%s\"}\n",
                 getpid(), delay.ends[0].namespace_fd, getpid(), delay.ends[1].namespace_fd,
                 addresses[0], addresses[1]);
    (void)fflush(stdout);
    result = run(&delay);
cleanup:
    for (unsigned end = 0; end < 2; end++)
        net_line_free(&delay.lines[end]);
    return result;
}
