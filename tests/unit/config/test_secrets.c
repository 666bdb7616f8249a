/* Credentials: where they may come from, and that they never get out. */
#include "workspace.h"

#include "aurabridge/fs.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static void write_and_load(struct config **config, const char *reference, struct error *err)
{
    char override[1024];
    (void)snprintf(override, sizeof override, "destinations.main.app_secret=%s", reference);
    (void)workspace_load_with(config, DESTINATION MAP, override, err);
}

/* For `aurabridge studies` and the like, in a shell without the daemon's environment. */
static void test_commands_that_need_none_do_without(void)
{
    static const struct {
        const char *reference;
        bool loads;
    } rows[] = {
        {"destinations.main.app_secret=env:TEST_NOWHERE", true},
        {"destinations.main.app_secret=file:/nowhere/secret", true},
        {"destinations.main.app_secret=hush", false},
    };
    workspace_open();
    workspace_write("bridge.yaml", DESTINATION MAP, 0600);
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct config *config = NULL;
        struct error err = {""};
        int result = config_load_without_secrets(&config, workspace_path("bridge.yaml"),
                                                 &rows[i].reference, 1, NULL, &err);
        CU_ASSERT_EQUAL(result, rows[i].loads ? 0 : -1);
        if (config)
            CU_ASSERT_STRING_EQUAL(config->destinations[0].app_secret, "");
        config_release(config);
    }
    workspace_close();
}

static void test_files_lose_their_line_end(void)
{
    static const struct {
        const char *content;
        const char *value; /* null: refused */
    } rows[] = {
        {"hush", "hush"}, {"hush\n", "hush"},    {"hush\r\n", "hush"}, {"", NULL},
        {"\n", NULL},     {"two words\n", NULL}, {"one\ntwo\n", NULL}, {"h\303\274sh", NULL},
    };
    workspace_open();
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct config *config = NULL;
        struct error err = {""};
        char reference[600];
        workspace_write("secret", rows[i].content, 0600);
        (void)snprintf(reference, sizeof reference, "file:%s", workspace_path("secret"));
        write_and_load(&config, reference, &err);
        CU_ASSERT_EQUAL(config != NULL, rows[i].value != NULL);
        if (config)
            CU_ASSERT_STRING_EQUAL(config->destinations[0].app_secret, rows[i].value);
        config_release(config);
    }
    workspace_close();
}

static void test_relative_files_start_at_the_configuration(void)
{
    static const char text[] = "destinations:\n  main:\n    api_base_url: https://h/api\n"
                               "    app_id: file:id\n    app_secret: file:id\n"
                               "    service_api_key: file:id\n" MAP;
    struct config *config = NULL;
    struct error err = {""};
    workspace_open();
    workspace_write("id", "relative\n", 0600);
    CU_ASSERT_EQUAL(workspace_load(&config, text, &err), 0);
    CU_ASSERT_PTR_NOT_NULL_FATAL(config);
    CU_ASSERT_STRING_EQUAL(config->destinations[0].service_api_key, "relative");
    config_release(config);
    workspace_close();
}

static void test_what_is_wrong_is_said(void)
{
    static const struct {
        const char *reference;
        const char *wanted;
    } rows[] = {
        {"hush-hush", "--set destinations.main.app_secret: must be env:NAME or file:PATH"},
        {"[hush-hush]", "must be env:NAME or file:PATH"},
        {"file:", "must be env:NAME or file:PATH"},
        {"env:TEST_NOT_SET", "the environment variable \"TEST_NOT_SET\" is not set; set it"},
        {"env:", "must be env:NAME or file:PATH"},
        {"file:/nowhere/secret", "cannot read /nowhere/secret: No such file or directory; put"},
        {"file:/tmp", "/tmp is no plain file"},
        {"file:/dev/zero", "/dev/zero is no plain file"},
    };
    workspace_open();
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct config *config = NULL;
        struct error err = {""};
        write_and_load(&config, rows[i].reference, &err);
        CU_ASSERT_PTR_NULL(config);
        CU_ASSERT_PTR_NOT_NULL(strstr(err.text, rows[i].wanted));
        CU_ASSERT_PTR_NULL(strstr(err.text, "hush"));
    }
    workspace_close();
}

static void test_too_long_is_refused(void)
{
    char value[5000];
    char reference[600];
    struct config *config = NULL;
    struct error err = {""};
    memset(value, 'x', sizeof value - 1);
    value[sizeof value - 1] = '\0';
    workspace_open();
    workspace_write("secret", value, 0600);
    (void)snprintf(reference, sizeof reference, "file:%s", workspace_path("secret"));
    write_and_load(&config, reference, &err);
    CU_ASSERT_PTR_NULL(config);
    CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "is larger than 4096 bytes"));
    CU_ASSERT_PTR_NULL(strstr(err.text, "xxxxxxxx"));
    CU_ASSERT_EQUAL(setenv("TEST_LONG", value, 1), 0);
    write_and_load(&config, "env:TEST_LONG", &err);
    CU_ASSERT_PTR_NULL(config);
    CU_ASSERT_PTR_NULL(strstr(err.text, "xxxxxxxx"));
    workspace_close();
}

/* Loads with standard error in a file, and says whether `wanted` was logged. */
static bool logs(const char *text, const char *override, const char *wanted)
{
    struct config *config = NULL;
    struct error err = {""};
    struct buffer log;
    buffer_init(&log, 65536);
    int old = dup(STDERR_FILENO);
    int file = open(workspace_path("log"), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    CU_ASSERT_FATAL(old >= 0 && file >= 0);
    (void)fflush(stderr);
    CU_ASSERT_FATAL(dup2(file, STDERR_FILENO) >= 0);
    CU_ASSERT_EQUAL(close(file), 0);
    int result = workspace_load_with(&config, text, override, &err);
    (void)fflush(stderr);
    CU_ASSERT_FATAL(dup2(old, STDERR_FILENO) >= 0);
    CU_ASSERT_EQUAL(close(old), 0);
    CU_ASSERT_EQUAL(result, 0);
    CU_ASSERT_EQUAL(fs_read_file(&log, workspace_path("log"), &err), 0);
    bool found = strstr(log.data, wanted) != NULL;
    CU_ASSERT_PTR_NULL(strstr(log.data, "hush"));
    buffer_free(&log);
    config_release(config);
    return found;
}

static void test_warnings(void)
{
    static const char url[] = "destinations.main.api_base_url=";
    static const struct {
        const char *url;
        bool warns;
    } rows[] = {
        {"https://h/api", false},           {"http://h/api", true},
        {"http://127.0.0.1:80/api", false}, {"http://localhost/api", false},
        {"http://[::1]:8080/api", false},   {"http://127.example.com/api", true},
        {"http://10.0.0.1/", true},
    };
    char override[600];
    workspace_open();
    for (size_t i = 0; i < COUNT(rows); i++) {
        (void)snprintf(override, sizeof override, "%s%s", url, rows[i].url);
        CU_ASSERT_EQUAL(logs(DESTINATION MAP, override, "has no TLS"), rows[i].warns);
    }
    workspace_write("secret", "hush", 0644);
    (void)snprintf(override, sizeof override, "destinations.main.app_secret=file:%s",
                   workspace_path("secret"));
    CU_ASSERT_TRUE(logs(DESTINATION MAP, override, "is open to other users; run: chmod 0600"));
    CU_ASSERT_EQUAL(chmod(workspace_path("secret"), 0600), 0);
    CU_ASSERT_FALSE(logs(DESTINATION MAP, override, "is open to other users"));
    CU_ASSERT_EQUAL(chmod(workspace_path("secret"), 0640), 0);
    CU_ASSERT_FALSE(logs(DESTINATION MAP, override, "is open to other users"));
    workspace_close();
}

CU_TestInfo secret_cases[] = {
    SUITE_CASE(test_commands_that_need_none_do_without),
    SUITE_CASE(test_files_lose_their_line_end),
    SUITE_CASE(test_relative_files_start_at_the_configuration),
    SUITE_CASE(test_what_is_wrong_is_said),
    SUITE_CASE(test_too_long_is_refused),
    SUITE_CASE(test_warnings),
    CU_TEST_INFO_NULL,
};
