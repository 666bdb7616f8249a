/* The yardstick of the ingest benchmark, see limit.h: `serve` takes instances, `send` sends those
 * that bench_sender would and prints what that prints. */
#include "limit.h"

#include "aurabridge/units.h"

#include <getopt.h>
#include <stdlib.h>
#include <string.h>

static const char usage[] =
    "usage: bench_limit serve --directory DIR [--port PORT] [--segment-size SIZE]\n"
    "                   [--each CONNECTIONS] [--early SIZE] [--direct]\n"
    "       bench_limit send --port PORT [--host ADDRESS] [--connections N] [--instances N]\n"
    "                   [--kind CT|MR] [--size SIZE] [--seed N] [--touch SIZE] [--digests FILE]\n"
    "                   [--hold]\n";

static const struct option options[] = {
    {"directory", required_argument, NULL, 'd'},    {"port", required_argument, NULL, 'p'},
    {"segment-size", required_argument, NULL, 's'}, {"each", required_argument, NULL, 'e'},
    {"early", required_argument, NULL, 'w'},        {"direct", no_argument, NULL, 'D'},
    {"host", required_argument, NULL, 'h'},         {"connections", required_argument, NULL, 'c'},
    {"instances", required_argument, NULL, 'i'},    {"kind", required_argument, NULL, 'k'},
    {"size", required_argument, NULL, 'z'},         {"seed", required_argument, NULL, 'r'},
    {"digests", required_argument, NULL, 'f'},      {"hold", no_argument, NULL, 'o'},
    {"touch", required_argument, NULL, 't'},        {NULL, 0, NULL, 0},
};

struct orders {
    struct limit_serve serve;
    struct limit_send send;
    struct load load;
};

static int take_serve(struct limit_serve *serve, int option, const char *value)
{
    uint64_t number = 0;
    switch (option) {
    case 'd':
        serve->directory = value;
        return 0;
    case 's':
        return units_parse_size(&serve->segment_size, value);
    case 'e':
        serve->each = true;
        if (units_parse_size(&number, value) != 0 || number < 1 || number > 1024)
            return -1;
        serve->connections = (unsigned)number;
        return 0;
    case 'w':
        return units_parse_size(&serve->early, value);
    default:
        serve->direct = true;
        return 0;
    }
}

static int take_number(struct orders *orders, int option, const char *value)
{
    uint64_t number;
    if (units_parse_size(&number, value) != 0 || number == 0)
        return -1;
    switch (option) {
    case 'p':
        orders->serve.port = orders->send.port = (uint16_t)number;
        return 0;
    case 'c':
        orders->load.connections = (unsigned)number;
        return 0;
    case 'i':
        orders->load.instances = (unsigned)number;
        return 0;
    default:
        orders->send.plan.pixel_bytes = (size_t)number;
        return 0;
    }
}

static int take_option(struct orders *orders, int option, const char *value)
{
    struct limit_send *send = &orders->send;
    switch (option) {
    case 'h':
        send->host = value;
        return 0;
    case 'k':
        return synthetic_kind_named(&send->plan.kind, &send->plan.pixel_bytes, value);
    case 'r':
        send->plan.seed = strtoull(value, NULL, 10);
        return 0;
    case 'f':
        send->digests = fopen(value, "we");
        return send->digests ? 0 : -1;
    case 't':
        return units_parse_size(&orders->load.touch, value);
    case 'o':
        orders->load.hold = true;
        return 0;
    case 'p':
    case 'c':
    case 'i':
    case 'z':
        return take_number(orders, option, value);
    case '?':
        return -1;
    default:
        return take_serve(&orders->serve, option, value);
    }
}

static int send_all(struct orders *orders, struct error *err)
{
    orders->load.line = &limit_line;
    orders->load.context = &orders->send;
    int result = load_run(&orders->load, err);
    if (orders->send.digests && fclose(orders->send.digests) != 0 && result == 0)
        result = error_set(err, "cannot write the digests");
    return result;
}

int main(int argc, char **argv)
{
    struct orders orders = {
        .serve = {.connections = 1, .segment_size = UINT64_C(512) << 20},
        .send = {.host = "127.0.0.1",
                 .plan = {.kind = SYNTHETIC_CT, .pixel_bytes = SYNTHETIC_CT_BYTES, .seed = 1}},
        .load = {.connections = 1, .instances = 600},
    };
    struct error err = {""};
    const char *command = argc > 1 ? argv[1] : "";
    int option = 0;
    while (argc > 1 && (option = getopt_long(argc - 1, argv + 1, "", options, NULL)) != -1) {
        if (take_option(&orders, option, optarg) != 0)
            break;
    }
    bool serves = strcmp(command, "serve") == 0 && orders.serve.directory;
    bool sends = strcmp(command, "send") == 0 && orders.send.port;
    if (option != -1 || (!serves && !sends)) {
        (void)fputs(usage, stderr);
        return 2;
    }
    if ((serves ? limit_serve(&orders.serve, &err) : send_all(&orders, &err)) != 0) {
        (void)fprintf(stderr, "bench_limit: %s\n", err.text);
        return 1;
    }
    return 0;
}
