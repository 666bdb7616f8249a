/* A fast C-STORE SCU, so that the node is what is measured and not the sender: every instance lies
 * in memory, cut into PDUs, before the clock starts, and goes out in one write; the next one
 * follows its answer, as modalities do. Prints one line of JSON, see load.h. Ends with 1 when a
 * status was not 0000.
 */
#include "dicom_line.h"

#include "aurabridge/part10.h"
#include "aurabridge/units.h"

#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static const char usage[] =
    "usage: bench_sender --port PORT [OPTIONS]    send, and print how long it took\n"
    "       bench_sender --write DIRECTORY [OPTIONS]    write the same as Part 10 files\n"
    "  --host ADDRESS        127.0.0.1\n"
    "  --called TITLE        AURABRIDGE\n"
    "  --calling TITLE       BENCH\n"
    "  --associations N      at once; 1\n"
    "  --instances N         in all; 600\n"
    "  --kind CT|MR          CT: 512 KiB, MR: 20 KiB\n"
    "  --size SIZE           of the pixel data\n"
    "  --pdu SIZE            the largest PDU to send; 131072\n"
    "  --seed N              another seed, other instances\n"
    "  --one-study           for all associations, instead of one for each\n"
    "  --churn               an association for each instance\n"
    "  --huge SIZE           one instance that is made while it is sent\n"
    "  --nagle               leave TCP_NODELAY off\n"
    "  --touch SIZE          of memory, just before the clock starts\n"
    "  --digests FILE        write UID, SHA-256 and size of each data set\n"
    "  --hold                stay connected until standard input ends\n";

enum {
    OPTION_HOST = 1,
    OPTION_PORT,
    OPTION_CALLED,
    OPTION_CALLING,
    OPTION_ASSOCIATIONS,
    OPTION_INSTANCES,
    OPTION_KIND,
    OPTION_SIZE,
    OPTION_PDU,
    OPTION_SEED,
    OPTION_ONE_STUDY,
    OPTION_CHURN,
    OPTION_HUGE,
    OPTION_NAGLE,
    OPTION_TOUCH,
    OPTION_DIGESTS,
    OPTION_HOLD,
    OPTION_WRITE
};

static const struct option options[] = {
    {"host", required_argument, NULL, OPTION_HOST},
    {"port", required_argument, NULL, OPTION_PORT},
    {"called", required_argument, NULL, OPTION_CALLED},
    {"calling", required_argument, NULL, OPTION_CALLING},
    {"associations", required_argument, NULL, OPTION_ASSOCIATIONS},
    {"instances", required_argument, NULL, OPTION_INSTANCES},
    {"kind", required_argument, NULL, OPTION_KIND},
    {"size", required_argument, NULL, OPTION_SIZE},
    {"pdu", required_argument, NULL, OPTION_PDU},
    {"seed", required_argument, NULL, OPTION_SEED},
    {"one-study", no_argument, NULL, OPTION_ONE_STUDY},
    {"churn", no_argument, NULL, OPTION_CHURN},
    {"huge", required_argument, NULL, OPTION_HUGE},
    {"nagle", no_argument, NULL, OPTION_NAGLE},
    {"touch", required_argument, NULL, OPTION_TOUCH},
    {"digests", required_argument, NULL, OPTION_DIGESTS},
    {"hold", no_argument, NULL, OPTION_HOLD},
    {"write", required_argument, NULL, OPTION_WRITE},
    {NULL, 0, NULL, 0},
};

struct orders {
    struct dicom_load dicom;
    struct load load;
    const char *write_to;
};

static int number_of(uint64_t *out, const char *text, uint64_t least, uint64_t most)
{
    return units_parse_size(out, text) == 0 && *out >= least && *out <= most ? 0 : -1;
}

static int take_count(unsigned *out, const char *text)
{
    uint64_t number;
    if (number_of(&number, text, 1, 10000000) != 0)
        return -1;
    *out = (unsigned)number;
    return 0;
}

static int take_peer(struct upper_layer_peer *peer, int option, const char *value)
{
    uint64_t number;
    switch (option) {
    case OPTION_HOST:
        peer->host = value;
        return 0;
    case OPTION_CALLED:
        peer->called = value;
        return 0;
    case OPTION_CALLING:
        peer->calling = value;
        return 0;
    case OPTION_NAGLE:
        peer->no_delay = false;
        return 0;
    case OPTION_PORT:
        if (number_of(&number, value, 1, 65535) != 0)
            return -1;
        peer->port = (uint16_t)number;
        return 0;
    default: /* OPTION_PDU */
        if (number_of(&number, value, 1024, UINT32_MAX / 2) != 0)
            return -1;
        peer->max_pdu = (uint32_t)number;
        return 0;
    }
}

static int take_plan(struct synthetic_plan *plan, int option, const char *value)
{
    uint64_t size;
    switch (option) {
    case OPTION_KIND:
        return synthetic_kind_named(&plan->kind, &plan->pixel_bytes, value);
    case OPTION_SIZE:
        if (number_of(&size, value, 1, UINT32_C(1) << 30) != 0)
            return -1;
        plan->pixel_bytes = (size_t)size;
        return 0;
    case OPTION_SEED:
        plan->seed = strtoull(value, NULL, 10);
        return 0;
    default: /* OPTION_ONE_STUDY */
        plan->one_study = true;
        return 0;
    }
}

static int take_option(struct orders *orders, int option, const char *value)
{
    switch (option) {
    case OPTION_ASSOCIATIONS:
        return take_count(&orders->load.connections, value);
    case OPTION_INSTANCES:
        return take_count(&orders->load.instances, value);
    case OPTION_KIND:
    case OPTION_SIZE:
    case OPTION_SEED:
    case OPTION_ONE_STUDY:
        return take_plan(&orders->dicom.plan, option, value);
    case OPTION_CHURN:
        orders->load.line = &dicom_line_churn;
        return 0;
    case OPTION_HUGE:
        orders->load.line = &dicom_line_stream;
        orders->load.instances = 1;
        return number_of(&orders->dicom.stream_bytes, value, 1, UINT64_C(8) << 30);
    case OPTION_DIGESTS:
        orders->dicom.digests = fopen(value, "we");
        return orders->dicom.digests ? 0 : -1;
    case OPTION_TOUCH:
        return units_parse_size(&orders->load.touch, value);
    case OPTION_HOLD:
        orders->load.hold = true;
        return 0;
    case OPTION_WRITE:
        orders->write_to = value;
        return 0;
    case '?':
        return -1;
    default:
        return take_peer(&orders->dicom.peer, option, value);
    }
}

static int write_file(const char *directory, const struct orders *orders,
                      const struct synthetic_instance *made, struct error *err)
{
    struct association association = {.calling_ae_title = "BENCH", .called_ae_title = "BENCH"};
    struct instance_request request = {.transfer_syntax_uid = SYNTHETIC_TRANSFER_SYNTAX};
    uint8_t header[PART10_HEADER_MAX];
    char path[4096];
    (void)snprintf(request.sop_class_uid, UID_SIZE, "%s",
                   synthetic_sop_class(orders->dicom.plan.kind));
    (void)snprintf(request.sop_instance_uid, UID_SIZE, "%s", made->sop_instance_uid);
    (void)snprintf(path, sizeof path, "%s/%s.dcm", directory, made->sop_instance_uid);
    size_t length = part10_write_header(header, &association, &request);
    FILE *file = fopen(path, "we");
    if (!file)
        return error_set(err, "cannot make %s", path);
    bool good = fwrite(header, 1, length, file) == length &&
                fwrite(made->bytes, 1, made->size, file) == made->size;
    if (fclose(file) != 0 || !good)
        return error_set(err, "cannot write %s", path);
    return load_note(orders->dicom.digests, made->sop_instance_uid, made->bytes, made->size, err);
}

static int write_line(const struct orders *orders, unsigned number, struct error *err)
{
    unsigned count = orders->load.instances / orders->load.connections +
                     (number < orders->load.instances % orders->load.connections);
    struct synthetic *series = synthetic_new(&orders->dicom.plan, number);
    int result = series ? 0 : error_set(err, "no memory");
    for (unsigned i = 0; result == 0 && i < count; i++) {
        struct synthetic_instance made;
        if (synthetic_next(series, &made) != 0) {
            result = error_set(err, "no memory");
            break;
        }
        result = write_file(orders->write_to, orders, &made, err);
        free(made.bytes);
    }
    synthetic_free(series);
    return result;
}

static int write_all(const struct orders *orders, struct error *err)
{
    (void)mkdir(orders->write_to, 0700);
    int result = 0;
    for (unsigned i = 0; result == 0 && i < orders->load.connections; i++)
        result = write_line(orders, i, err);
    return result;
}

int main(int argc, char **argv)
{
    struct orders orders = {
        .dicom = {.peer = {.host = "127.0.0.1",
                           .called = "AURABRIDGE",
                           .calling = "BENCH",
                           .max_pdu = 131072,
                           .no_delay = true},
                  .plan = {.kind = SYNTHETIC_CT, .pixel_bytes = SYNTHETIC_CT_BYTES, .seed = 1}},
        .load = {.line = &dicom_line_preloaded, .connections = 1, .instances = 600},
    };
    struct error err = {""};
    int option;
    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (take_option(&orders, option, optarg) != 0) {
            (void)fputs(usage, stderr);
            return 2;
        }
    }
    if (optind < argc || (!orders.write_to && orders.dicom.peer.port == 0)) {
        (void)fputs(usage, stderr);
        return 2;
    }
    orders.load.context = &orders.dicom;
    int result = orders.write_to ? write_all(&orders, &err) : load_run(&orders.load, &err);
    if (orders.dicom.digests && fclose(orders.dicom.digests) != 0 && result == 0)
        result = error_set(&err, "cannot write the digests");
    if (result != 0)
        (void)fprintf(stderr, "bench_sender: %s\n", err.text);
    return result == 0 ? 0 : 1;
}
