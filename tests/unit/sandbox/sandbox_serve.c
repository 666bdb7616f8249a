/* The sandbox as a program by itself, for tests that talk to it from outside. Takes the options of
 * `aurabridge sandbox`; ends on SIGTERM or SIGINT.
 */
#include "aurabridge/sandbox.h"

#include <getopt.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#define FAULTS_MAX 64

enum serve_option {
    LISTEN = 1,
    DIRECTORY,
    APP_ID,
    APP_SECRET,
    API_KEY,
    TUS_ENDPOINT,
    LIMIT_EXCHANGE,
    LIMIT_CONFIG,
    LIMIT_LIFECYCLE,
    FAULT
};

static const struct option long_options[] = {
    {"listen", required_argument, NULL, LISTEN},
    {"directory", required_argument, NULL, DIRECTORY},
    {"app-id", required_argument, NULL, APP_ID},
    {"app-secret", required_argument, NULL, APP_SECRET},
    {"service-api-key", required_argument, NULL, API_KEY},
    {"tus-endpoint", required_argument, NULL, TUS_ENDPOINT},
    {"limit-exchange", required_argument, NULL, LIMIT_EXCHANGE},
    {"limit-config", required_argument, NULL, LIMIT_CONFIG},
    {"limit-lifecycle", required_argument, NULL, LIMIT_LIFECYCLE},
    {"fault", required_argument, NULL, FAULT},
    {NULL, 0, NULL, 0}};

static unsigned number(const char *text)
{
    return (unsigned)strtoul(text, NULL, 10);
}

static int read_options(struct sandbox_options *options, const char **faults, int argc, char **argv)
{
    int option;
    while ((option = getopt_long(argc, argv, "", long_options, NULL)) != -1) {
        switch (option) {
        case LISTEN:
            options->listen = optarg;
            break;
        case DIRECTORY:
            options->directory = optarg;
            break;
        case APP_ID:
            options->app_id = optarg;
            break;
        case APP_SECRET:
            options->app_secret = optarg;
            break;
        case API_KEY:
            options->service_api_key = optarg;
            break;
        case TUS_ENDPOINT:
            options->tus_endpoint = optarg;
            break;
        case LIMIT_EXCHANGE:
            options->limit_exchange = number(optarg);
            break;
        case LIMIT_CONFIG:
            options->limit_config = number(optarg);
            break;
        case LIMIT_LIFECYCLE:
            options->limit_lifecycle = number(optarg);
            break;
        case FAULT:
            if (options->fault_count == FAULTS_MAX)
                return -1;
            faults[options->fault_count++] = optarg;
            break;
        default:
            return -1;
        }
    }
    return 0;
}

int main(int argc, char **argv)
{
    const char *faults[FAULTS_MAX];
    struct sandbox_options options = {.listen = "127.0.0.1:0", .faults = faults};
    struct sandbox *sandbox = NULL;
    struct error err = {""};
    sigset_t signals;
    int signal_number;
    (void)signal(SIGPIPE, SIG_IGN);
    (void)sigemptyset(&signals);
    (void)sigaddset(&signals, SIGTERM);
    (void)sigaddset(&signals, SIGINT);
    if (pthread_sigmask(SIG_BLOCK, &signals, NULL) != 0)
        return EXIT_FAILURE;
    if (read_options(&options, faults, argc, argv) != 0)
        return sandbox_fault_help(stderr) == 0 ? 2 : EXIT_FAILURE;
    if (sandbox_open(&sandbox, &options, clock_system(), &err) != 0 ||
        sandbox_start(sandbox, &err) != 0) {
        (void)fprintf(stderr, "%s\n", err.text);
        sandbox_free(sandbox);
        return EXIT_FAILURE;
    }
    (void)printf("sandbox listening on http://127.0.0.1:%u/api\n", sandbox_port(sandbox));
    (void)fflush(stdout);
    (void)sigwait(&signals, &signal_number);
    sandbox_free(sandbox);
    return EXIT_SUCCESS;
}
