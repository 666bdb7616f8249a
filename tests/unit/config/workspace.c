/* Test directory and configurations. */
#include "workspace.h"

#include "aurabridge/route.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static char directory[64];

void workspace_open(void)
{
    (void)snprintf(directory, sizeof directory, "/tmp/aurabridge-config-XXXXXX");
    CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(directory));
    CU_ASSERT_EQUAL_FATAL(setenv("TEST_APP_ID", "app-1", 1), 0);
    CU_ASSERT_EQUAL_FATAL(setenv("TEST_APP_SECRET", "hush-hush", 1), 0);
    CU_ASSERT_EQUAL_FATAL(setenv("TEST_API_KEY", "key-1", 1), 0);
}

void workspace_close(void)
{
    DIR *entries = opendir(directory);
    CU_ASSERT_PTR_NOT_NULL_FATAL(entries);
    for (struct dirent *entry = readdir(entries); entry; entry = readdir(entries)) {
        if (entry->d_name[0] != '.')
            CU_ASSERT_EQUAL(unlink(workspace_path(entry->d_name)), 0);
    }
    CU_ASSERT_EQUAL(closedir(entries), 0);
    CU_ASSERT_EQUAL(rmdir(directory), 0);
}

const char *workspace_path(const char *name)
{
    static char path[512];
    (void)snprintf(path, sizeof path, "%s/%s", directory, name);
    return path;
}

void workspace_write(const char *name, const char *text, unsigned mode)
{
    const char *path = workspace_path(name);
    FILE *file = fopen(path, "we");
    CU_ASSERT_PTR_NOT_NULL_FATAL(file);
    CU_ASSERT_FATAL(fputs(text, file) >= 0);
    CU_ASSERT_EQUAL_FATAL(fclose(file), 0);
    CU_ASSERT_EQUAL_FATAL(chmod(path, mode), 0);
}

int workspace_load_with(struct config **out, const char *text, const char *override,
                        struct error *err)
{
    workspace_write("bridge.yaml", text, 0600);
    return config_load(out, workspace_path("bridge.yaml"), &override, override ? 1 : 0,
                       route_check_entries, err);
}

int workspace_load(struct config **out, const char *text, struct error *err)
{
    return workspace_load_with(out, text, NULL, err);
}

void workspace_expect_error(const char *text, const char *override, const char *wanted)
{
    struct config *config = NULL;
    struct error err = {""};
    char expected[1024] = "";
    if (wanted[0] == '@')
        (void)snprintf(expected, sizeof expected, "%s%s", workspace_path("bridge.yaml"),
                       wanted + 1);
    else
        (void)snprintf(expected, sizeof expected, "%s", wanted);
    int result = workspace_load_with(&config, text, override, &err);
    CU_ASSERT_EQUAL(result, -1);
    CU_ASSERT_PTR_NULL(config);
    if (!strstr(err.text, expected)) {
        (void)fprintf(stderr, "\n  wanted: %s\n  got:    %s\n", expected, err.text);
        CU_FAIL("another error text");
    }
    config_release(config);
}
