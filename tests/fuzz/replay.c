/* Runs a fuzzer's function over kept inputs, for compilers without libFuzzer: every build with
 * tests replays the corpora, and a finding of the fuzzer can be looked at under any sanitizer.
 *
 *   replay_NAME FILE-OR-DIRECTORY…
 */
#include "fuzz.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define INPUT_MAX ((size_t)16 << 20)

/* Not every target has one. */
__attribute__((weak)) int LLVMFuzzerInitialize(int *argc, char ***argv);

static unsigned inputs;

static int run_file(const char *path)
{
    FILE *file = fopen(path, "rbe");
    uint8_t *bytes = malloc(INPUT_MAX);
    int result = -1;
    if (file && bytes) {
        size_t length = fread(bytes, 1, INPUT_MAX, file);
        /* Exact, so that the sanitizer sees its end. */
        uint8_t *exact = malloc(length > 0 ? length : 1);
        if (!ferror(file) && exact) {
            memcpy(exact, bytes, length);
            (void)LLVMFuzzerTestOneInput(exact, length);
            inputs++;
            result = 0;
        }
        free(exact);
    }
    free(bytes);
    if (file)
        (void)fclose(file); /* only read from */
    if (result != 0)
        (void)fprintf(stderr, "cannot read %s: %s\n", path, strerror(errno));
    return result;
}

static int run_directory(const char *path)
{
    struct dirent **names = NULL;
    int result = 0;
    int count = scandir(path, &names, NULL, alphasort);
    if (count < 0) {
        (void)fprintf(stderr, "cannot read %s: %s\n", path, strerror(errno));
        return -1;
    }
    for (int i = 0; i < count; i++) {
        char file[4096];
        int length = snprintf(file, sizeof file, "%s/%s", path, names[i]->d_name);
        if (names[i]->d_name[0] != '.' && (length >= (int)sizeof file || run_file(file) != 0))
            result = -1;
        free(names[i]);
    }
    free(names);
    return result;
}

int main(int argc, char **argv)
{
    int result = EXIT_SUCCESS;
    if (LLVMFuzzerInitialize)
        (void)LLVMFuzzerInitialize(&argc, &argv);
    for (int i = 1; i < argc; i++) {
        struct stat status;
        bool is_directory = stat(argv[i], &status) == 0 && S_ISDIR(status.st_mode);
        if ((is_directory ? run_directory(argv[i]) : run_file(argv[i])) != 0)
            result = EXIT_FAILURE;
    }
    (void)printf("%u inputs without a finding\n", inputs);
    /* A corpus that was not found must not look like one that passed. */
    return inputs > 0 ? result : EXIT_FAILURE;
}
