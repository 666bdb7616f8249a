/* A directory of its own for each case, and configurations made from few lines. */
#ifndef AURABRIDGE_TESTS_CONFIG_WORKSPACE_H
#define AURABRIDGE_TESTS_CONFIG_WORKSPACE_H

#include "aurabridge/config.h"

#include "suite.h"

#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof *(array))

/* What every configuration needs; rows put more before or behind it. The credentials are in the
 * environment after workspace_open. */
#define DESTINATION                                                                                \
    "destinations:\n"                                                                              \
    "  main:\n"                                                                                    \
    "    api_base_url: https://au.aurabox.app/api\n"                                               \
    "    app_id: env:TEST_APP_ID\n"                                                                \
    "    app_secret: env:TEST_APP_SECRET\n"                                                        \
    "    service_api_key: env:TEST_API_KEY\n"
#define MAP "ae_title_map: [{called: AURABRIDGE, destination: main}]\n"

void workspace_open(void);
void workspace_close(void);

/* Absolute path of a file there; one result at a time. */
const char *workspace_path(const char *name);
void workspace_write(const char *name, const char *text, unsigned mode);

/* Writes "bridge.yaml" and loads it. Returns config_load's result. */
int workspace_load(struct config **out, const char *text, struct error *err);
int workspace_load_with(struct config **out, const char *text, const char *override,
                        struct error *err);

/* Loads and expects an error with `wanted` in it, where "@" stands for the main file's path. */
void workspace_expect_error(const char *text, const char *override, const char *wanted);

extern CU_TestInfo refusal_cases[];
extern CU_TestInfo secret_cases[];
extern CU_TestInfo sample_cases[];

#endif
